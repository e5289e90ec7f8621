//! What is wrong is said all at once, with its place, its key, what is allowed and the nearest name.

use std::fs;

use elio::config::{Bias, LineName};
use insta::assert_snapshot;

use super::{Home, bad, good};

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    assert_snapshot!(bad(r#"
[endpoint]
silense = "500ms"
max_turn = 30

[audio.capture]
period = "10 parsecs"
rate = 1_000_000

[wak]
mode = "press"

[wake]
mode = "pres"

[claude]
base_url = "https://api.anthropic.com/v1"
"#), @r#"
    elio.toml:3: endpoint.silense = "500ms": unknown key; did you mean endpoint.silence?
    elio.toml:4: endpoint.max_turn = 30: allowed is a duration with its unit, such as "300ms", "1.5s" or "2m", from 1s to 2m
    elio.toml:7: audio.capture.period = "10 parsecs": allowed is a duration with its unit, such as "300ms", "1.5s" or "2m", from 1ms to 100ms
    elio.toml:8: audio.capture.rate = 1_000_000: allowed is a whole number from 4000 to 384000 (or "" for none)
    elio.toml:10: wak: unknown section; did you mean wake?
    elio.toml:14: wake.mode = "pres": allowed is "hold" or "press"; did you mean "press"?
    elio.toml:17: claude.base_url = "https://api.anthropic.com/v1": allowed is an http or https URL of scheme, host and port alone, such as "https://api.anthropic.com"
    "#);
}

#[test]
fn rules_between_keys_are_reported_where_they_were_broken() {
    assert_snapshot!(bad(r#"
language = { speak = "fr", listen = ["en"] }
[audio]
capture = { buffer = "15ms", channel = 2, channels = 2 }
playback = { period = "20ms" }
[wake]
button = { chip = "gpiochip0", line = 105 }
led = { name = "LED", bias = "pull-up" }
mute = { chip = "/dev/gpiochip0", line = 105 }
[endpoint]
max_turn = "5s"
[claude]
effort = "max"
"#), @r#"
    elio.toml:2: language.speak = "fr": language.speak must be one of language.listen: it is the answer's language where none was detected
    elio.toml:4: audio.capture.buffer = "15ms": audio.capture.buffer (15ms) must be at least two periods of 10ms
    elio.toml:4: audio.capture.channel = 2: audio.capture.channel counts from 0 and must be below audio.capture.channels (2)
    elio.toml:5: audio.playback.period = "20ms": audio.playback.buffer (30ms) must be at least two periods of 20ms
    elio.toml:8: wake.led.bias = "pull-up": an output has no pull resistor: leave it "as-is"
    elio.toml:9: wake.mute.line = 105: [wake.button] and [wake.mute] are the same GPIO line; each needs its own
    elio.toml:11: endpoint.max_turn = "5s": endpoint.no_speech must not be longer than endpoint.max_turn (5s)
    elio.toml:13: claude.effort = "max": claude-haiku-5-5 refuses effort "max" with thinking "disabled": take "high" at most, or thinking "adaptive"
    "#);
    assert_snapshot!(bad("claude.model = \"claude-haiku-4-5-20251001\""), @r#"elio.toml:1: claude.model = "claude-haiku-4-5-20251001": claude-haiku-4-5-20251001 does not support effort: set claude.effort = "none""#);
    let allowed = good("claude = { model = \"claude-haiku-4-5\", effort = \"none\" }");
    assert_eq!(allowed.claude.model, "claude-haiku-4-5");
    good("claude = { effort = \"max\", thinking = \"adaptive\" }");
}

#[test]
fn a_line_is_found_in_one_way() {
    assert_snapshot!(bad(r#"
[wake.button]
active_low = true
[wake.led]
name = "LED"
line = 3
[wake.mute]
chip = "gpiochip1"
"#), @r#"
    elio.toml:3: wake.button.active_low = true: [wake.button] needs name, or chip and line
    elio.toml:5: wake.led.name = "LED": [wake.led] is found by name, or by chip and line, not by both: take one back with ""
    elio.toml:8: wake.mute.chip = "gpiochip1": [wake.mute] needs chip and line together
    "#);
    let wake = good("[wake.button]\nname = \"PTT\"\nactive_low = true\nbias = \"pull-up\"").wake;
    let button = wake.button.unwrap();
    assert_eq!((button.line, button.active_low, button.bias), (LineName::Name("PTT".into()), true, Bias::PullUp));
    assert_eq!((wake.led, wake.mute), (None, None));
}

#[test]
fn unknown_names_find_the_nearest_or_the_list() {
    assert_snapshot!(bad(r#"
silence = "1s"
[endpoint]
colour = "red"
[remote]
port = 8080
[claude]
speak = "fr"
[[actions]]
name = "light"
[tts.voices]
en = "x"
"#), @r#"
    elio.toml:2: silence = "1s": unknown key; did you mean endpoint.silence?
    elio.toml:4: endpoint.colour = "red": unknown key; [endpoint] knows silence, silence_min, silence_max, no_speech, max_turn, threshold, vad, turn_model, turn_threshold
    elio.toml:5: remote: unknown section; the file knows language, audio, wake, endpoint, speculation, stt, claude, tts, latency, daemon, models
    elio.toml:8: claude.speak = "fr": unknown key; did you mean language.speak?
    elio.toml:9: actions: unknown section; the file knows language, audio, wake, endpoint, speculation, stt, claude, tts, latency, daemon, models
    elio.toml:11: tts.voices: unknown section; [tts] knows voice_en, voice_fr, provider, threads, speed, level_dbfs, espeak, onnxruntime
    "#);
}

#[test]
fn types_that_do_not_fit_are_faults() {
    assert_snapshot!(bad(r#"
endpoint = 5
[language]
listen = []
[audio.capture.device]
card = 1
[tts]
speed = nan
level_dbfs = -41
voice_en = ""
[stt]
threads = 99999999999999999999
gpu = "yes"
[models]
dirs = ["a", "a"]
[wake]
button = "PTT"
"#), @r#"
    elio.toml:2: endpoint = 5: a section is needed, [endpoint] with its keys below it
    elio.toml:4: language.listen = []: allowed is a list in brackets of at least one, none twice, each "en" or "fr"
    elio.toml:5: audio.capture.device = {…}: allowed is a text that is not empty
    elio.toml:8: tts.speed = nan: allowed is a number from 0.5 to 2
    elio.toml:9: tts.level_dbfs = -41: allowed is a number from -40 to -10
    elio.toml:10: tts.voice_en = "": allowed is a name of the manifest or the path of a .onnx file
    elio.toml:12: stt.threads = 99999999999999999999: allowed is a whole number from 1 to 64 (or "" for none)
    elio.toml:13: stt.gpu = "yes": allowed is true or false
    elio.toml:15: models.dirs = ["a", "a"]: allowed is a list in brackets of at least one, none twice, each the path of a file or folder
    elio.toml:17: wake.button = "PTT": a section is needed, [wake.button] with its keys below it
    "#);
}

#[test]
fn a_file_that_is_not_toml_is_one_fault_and_the_others_are_still_checked() {
    let home = Home::new("[claude]\nmodel = \"x\"\napi_key = sk-ant-secret\n");
    home.write("elio.toml.d/10-twice.toml", "stt.gpu = true\nstt.gpu = false\n");
    home.write("elio.toml.d/20-bytes.toml", b"a = 1\nb = \"\xff\"\n");
    home.write("elio.toml.d/30-unknown.toml", "stt.gpuu = true\n");
    home.write("elio.toml.d/.40-hidden.toml", "nonsense");
    home.write("elio.toml.d/readme.txt", "nonsense");
    fs::create_dir(home.0.path().join("elio.toml.d/50-folder.toml")).unwrap();
    assert_snapshot!(home.faults(&[], &[]), @r#"
    elio.toml:3: not TOML at column 11: string values must be quoted, expected literal string
    elio.toml.d/10-twice.toml:2: not TOML at column 5: duplicate key
    elio.toml.d/20-bytes.toml: cannot be read: it is not UTF-8 at line 2
    elio.toml.d/30-unknown.toml:1: stt.gpuu = true: unknown key; did you mean stt.gpu?
    elio.toml.d/50-folder.toml: cannot be read: Is a directory (os error 21)
    "#);
}

#[test]
fn a_named_file_must_exist() {
    let home = Home::new("");
    fs::remove_file(home.0.path().join("elio.toml")).unwrap();
    assert_snapshot!(home.faults(&[], &["stt.gpu=maybe"]), @r#"
    elio.toml: there is no such file; name one that exists with --config or ELIO_CONFIG
    flag --set: stt.gpu = "maybe": allowed is true or false
    "#);
}

#[test]
fn secrets_are_in_no_fault_and_in_no_print() {
    let home = Home::new(
        r#"
[claude]
api_key = "very-s3cret"
key_file = "sk-ant-s3cret"
api_key_2 = "s3cret"
base_url = "ftp://me:s3cret@host"
auth = { password = "s3cret" }
[anthropic]
key = "s3cret"
"#,
    );
    let faults = home.faults(&[("ELIO_CLAUDE__API_KEY", "s3cret")], &["claude.model=sk-ant-s3cret", "sk-ant-s3cret"]);
    assert!(!faults.contains("s3cret"), "{faults}");
    assert_snapshot!(faults, @r#"
    elio.toml:3: claude.api_key = <hidden>: an API key does not belong in the configuration: give it as systemd's credential anthropic-api-key (LoadCredential=), in a file that claude.key_file names, or as ANTHROPIC_API_KEY
    elio.toml:4: claude.key_file = <hidden>: an API key does not belong in the configuration: give it as systemd's credential anthropic-api-key (LoadCredential=), in a file that claude.key_file names, or as ANTHROPIC_API_KEY
    elio.toml:5: claude.api_key_2 = <hidden>: unknown key; [claude] knows base_url, ca_file, key_file, model, max_tokens, effort, thinking, speed, cache_ttl, keep_warm, keep_warm_for, instructions_file, history_exchanges, history_idle, connect_timeout, first_text_timeout
    elio.toml:6: claude.base_url = "ftp://<hidden>@host": allowed is an http or https URL of scheme, host and port alone, such as "https://api.anthropic.com"
    elio.toml:7: claude.auth: unknown section; [claude] knows base_url, ca_file, key_file, model, max_tokens, effort, thinking, speed, cache_ttl, keep_warm, keep_warm_for, instructions_file, history_exchanges, history_idle, connect_timeout, first_text_timeout
    elio.toml:8: anthropic: unknown section; the file knows language, audio, wake, endpoint, speculation, stt, claude, tts, latency, daemon, models
    environment ELIO_CLAUDE__API_KEY: claude.api_key = <hidden>: an API key does not belong in the configuration: give it as systemd's credential anthropic-api-key (LoadCredential=), in a file that claude.key_file names, or as ANTHROPIC_API_KEY
    flag --set: claude.model = <hidden>: an API key does not belong in the configuration: give it as systemd's credential anthropic-api-key (LoadCredential=), in a file that claude.key_file names, or as ANTHROPIC_API_KEY
    flag --set: <hidden>: key=value is needed
    "#);
    for json in home.load(&[], &[]).unwrap_err().iter().map(|f| f.to_json().to_string()) {
        assert!(!json.contains("s3cret"), "{json}");
    }

    let home = Home::new("claude.base_url = \"https://me:s3cret@host:8443/\"");
    let loaded = home.load(&[], &[]).unwrap();
    assert_eq!(loaded.config.claude.base_url, "https://me:s3cret@host:8443");
    assert!(loaded.to_toml().contains("base_url = \"https://<hidden>@host:8443\""));
    assert!(!loaded.to_json().to_string().contains("s3cret"));
}

#[test]
fn a_bad_value_is_a_fault_even_where_a_later_source_covers_it() {
    let home = Home::new("endpoint.silence = \"1\"");
    assert_snapshot!(home.faults(&[], &["endpoint.silence=1s"]), @r#"elio.toml:1: endpoint.silence = "1": allowed is a duration with its unit, such as "300ms", "1.5s" or "2m", from 100ms to 10s"#);
}

#[test]
fn variables_and_flags_are_checked_as_files_are() {
    let env = [
        ("ELIO_ENDPOINT__SILENSE", "1s"),
        ("ELIO_ENDPOINT_SILENCE", "1s"),
        ("ELIO_STT__GPU", "maybe"),
        ("ELIO_QUITE__ELSE", "1"),
        ("ELIO_LOG", "debug"),
    ];
    let set = ["endpoint.silence", "endpoint={silence=1}", "wake.mode=held", "=5", "voice=x"];
    assert_snapshot!(Home::new("").faults(&env, &set), @r#"
    environment ELIO_ENDPOINT_SILENCE: two underscores stand between a section and its key; did you mean ELIO_ENDPOINT__SILENCE?
    environment ELIO_ENDPOINT__SILENSE: endpoint.silense = "1s": unknown key; did you mean ELIO_ENDPOINT__SILENCE?
    environment ELIO_QUITE__ELSE: quite.else = 1: unknown key; the file knows language, audio, wake, endpoint, speculation, stt, claude, tts, latency, daemon, models
    environment ELIO_STT__GPU: stt.gpu = "maybe": allowed is true or false
    flag --set: endpoint.silence: key=value is needed
    flag --set: =5: key=value is needed
    flag --set: voice = "x": unknown key; the file knows language, audio, wake, endpoint, speculation, stt, claude, tts, latency, daemon, models
    flag --set: wake.mode = "held": allowed is "hold" or "press"; did you mean "hold"?
    flag --set: endpoint.silence = 1: allowed is a duration with its unit, such as "300ms", "1.5s" or "2m", from 100ms to 10s
    "#);
}
