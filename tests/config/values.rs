//! Which value is in force, where it came from, how it is printed; the files of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use elio::config::{Config, Language, LineName, Loaded, Origin, WakeMode};
use insta::assert_snapshot;

use super::{Home, good, load, repository};

fn origin(loaded: &Loaded, key: &str) -> Origin {
    loaded.effective.iter().find(|e| e.key == key).unwrap().origin.clone()
}

#[test]
fn the_later_source_wins_and_each_value_remembers_its_own() {
    let home = Home::new("[endpoint]\nsilence = \"1s\"\nno_speech = \"2s\"\nmax_turn = \"20s\"\nthreshold = 0.1\n");
    let first =
        home.write("elio.toml.d/10-a.toml", "endpoint = { no_speech = \"3s\", max_turn = \"21s\", threshold = 0.2 }\n");
    let second = home.write("elio.toml.d/20-b.toml", "\nendpoint.max_turn = \"22s\"\nendpoint.threshold = 0.3\n");
    let env = [("ELIO_ENDPOINT__THRESHOLD", "0.4"), ("ELIO_STT__MODEL", "5"), ("PATH", "/bin"), ("ELIO_CONFIG", "x")];
    let loaded = home.load(&env, &["stt.model = small", "stt.threads=2"]).unwrap();

    let endpoint = &loaded.config.endpoint;
    assert_eq!(endpoint.silence, Duration::from_secs(1));
    assert_eq!(endpoint.no_speech, Duration::from_secs(3));
    assert_eq!(endpoint.max_turn, Duration::from_secs(22));
    assert_eq!(endpoint.threshold, 0.4);
    assert_eq!((loaded.config.stt.model.as_str(), loaded.config.stt.threads), ("small", Some(2)));
    assert!(!loaded.config.stt.gpu);

    let file = home.0.path().join("elio.toml");
    let at = |path: &PathBuf, line| Origin::File { path: path.clone(), line: Some(line) };
    assert_eq!(origin(&loaded, "endpoint.silence"), at(&file, 2));
    assert_eq!(origin(&loaded, "endpoint.no_speech"), at(&first, 1));
    assert_eq!(origin(&loaded, "endpoint.max_turn"), at(&second, 2));
    assert_eq!(origin(&loaded, "endpoint.threshold"), Origin::Environment("ELIO_ENDPOINT__THRESHOLD".into()));
    assert_eq!(origin(&loaded, "stt.model"), Origin::Flag);
    assert_eq!(origin(&loaded, "stt.gpu"), Origin::Default);
    assert_eq!(loaded.files, [file, first, second]);

    // Below the flag, the variable: a text key takes what looks like a number as it stands.
    assert_eq!(home.load(&env, &[]).unwrap().config.stt.model, "5");
}

#[test]
fn lists_tables_and_nothing_can_be_given_by_variables_and_flags() {
    let home = Home::new("audio.capture.rate = 48000\nclaude.speed = \"fast\"\nwake.button.name = \"PTT\"");
    let env = [("ELIO_MODELS", "/a:/b"), ("ELIO_LANGUAGE__LISTEN", "fr"), ("ELIO_CLAUDE__SPEED", "")];
    let set = ["audio.capture.rate=", "wake.led={chip=\"gpiochip1\",line=7}", "wake.button.name=\"\""];
    let config = home.load(&env, &set).unwrap().config;
    assert_eq!(config.models.dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!((config.language.listen, config.language.speak), (vec![Language::Fr], Language::Fr));
    assert_eq!((config.claude.speed, config.capture.rate, config.wake.button), (None, None, None));
    assert_eq!(config.wake.led.unwrap().line, LineName::Offset { chip: "gpiochip1".into(), offset: 7 });
    let both = home.load(&[], &["language.listen=fr, en", "models.dirs=[\"/c\"]"]).unwrap().config;
    assert_eq!((both.language.listen, both.models.dirs), (vec![Language::Fr, Language::En], vec![PathBuf::from("/c")]));
}

#[test]
fn relative_paths_begin_at_the_file_that_names_them() {
    let home = Home::new(
        "models.dirs = [\"models\", \"/srv\"]\nclaude.key_file = \"key\"\n[stt]\nmodel = \"./whisper\"\n[tts]\nvoice_en = \"v.onnx\"\nvoice_fr = \"espeak-ng\"\nespeak = \"bin/espeak\"",
    );
    home.write("elio.toml.d/10.toml", "claude.ca_file = \"ca.pem\"");
    let config = home.load(&[("ELIO_DAEMON__STATE_DIR", "state")], &[]).unwrap().config;
    let at = |name: &str| home.0.path().join(name);
    assert_eq!(config.models.dirs, [at("models"), PathBuf::from("/srv")]);
    assert_eq!(config.claude.key_file, Some(at("key")));
    assert_eq!(config.claude.ca_file, Some(at("elio.toml.d/ca.pem")));
    assert_eq!(Path::new(&config.stt.model), at("whisper"));
    assert_eq!(Path::new(&config.tts.voice_en), at("v.onnx"));
    assert_eq!(config.tts.voice_fr, "espeak-ng");
    assert_eq!(config.tts.espeak, at("bin/espeak"));
    assert_eq!(config.daemon.state_dir, std::env::current_dir().unwrap().join("state"));
    assert_eq!(Config::default().tts.espeak, Path::new("espeak-ng"));
}

#[test]
fn the_effective_configuration_is_printed_as_toml_with_origins() {
    let home =
        Home::new("[endpoint]\nsilence = \"1500ms\"\n[audio.playback]\nrate = 48000\n[wake.button]\nname = \"PTT\"\n");
    home.write("elio.toml.d/10-x.toml", "\n\nlanguage.listen = [\"fr\"]\n");
    let loaded = home.load(&[("ELIO_TTS__SPEED", "1.1")], &["claude.max_tokens=200"]).unwrap();
    let printed = loaded.to_toml();
    assert_snapshot!(home.tidy(&printed), @r#"
    [language]
    listen = ["fr"]  # elio.toml.d/10-x.toml:3
    speak = "fr"  # default

    [audio.capture]
    device = "default"  # default
    rate = ""  # default
    channels = ""  # default
    channel = ""  # default
    period = "10ms"  # default
    buffer = "200ms"  # default
    preroll = "500ms"  # default

    [audio.playback]
    device = "default"  # default
    rate = 48000  # elio.toml:4
    channels = ""  # default
    period = "5ms"  # default
    buffer = "30ms"  # default

    [wake]
    mode = "press"  # default
    grace = "120ms"  # default
    debounce = "20ms"  # default

    [wake.button]
    name = "PTT"  # elio.toml:6
    chip = ""  # default
    line = ""  # default
    active_low = false  # default
    bias = "as-is"  # default

    [wake.led]
    name = ""  # default
    chip = ""  # default
    line = ""  # default
    active_low = false  # default
    bias = "as-is"  # default

    [wake.mute]
    name = ""  # default
    chip = ""  # default
    line = ""  # default
    active_low = false  # default
    bias = "as-is"  # default

    [endpoint]
    silence = "1500ms"  # elio.toml:2
    silence_min = "700ms"  # default
    silence_max = "1500ms"  # default
    no_speech = "6s"  # default
    max_turn = "30s"  # default
    threshold = 0.5  # default
    vad = "silero-vad"  # default
    turn_model = ""  # default
    turn_threshold = 0.5  # default

    [speculation]
    tries = 3  # default
    after = "150ms"  # default
    daily_tokens = 50000  # default

    [stt]
    model = "whisper-base-q5_1"  # default
    threads = ""  # default
    gpu = false  # default
    incremental = true  # default

    [claude]
    base_url = "https://api.anthropic.com"  # default
    ca_file = ""  # default
    key_file = ""  # default
    model = "claude-haiku-5-5"  # default
    max_tokens = 200  # flag --set
    effort = "low"  # default
    thinking = "disabled"  # default
    speed = ""  # default
    cache_ttl = "5m"  # default
    keep_warm = "wake"  # default
    keep_warm_for = "15m"  # default
    instructions_file = ""  # default
    history_exchanges = 8  # default
    history_idle = "10m"  # default
    connect_timeout = "5s"  # default
    first_text_timeout = "8s"  # default

    [tts]
    voice_en = "en_US-lessac-medium"  # default
    voice_fr = "fr_FR-siwis-medium"  # default
    provider = "cpu"  # default
    threads = ""  # default
    speed = 1.1  # environment ELIO_TTS__SPEED
    level_dbfs = -20.0  # default
    espeak = "espeak-ng"  # default
    onnxruntime = ""  # default

    [latency]
    log_words = false  # default

    [daemon]
    state_dir = "/var/lib/elio"  # default
    socket = "/run/elio/control.sock"  # default
    drain = "5s"  # default

    [models]
    dirs = ["/var/lib/elio/models"]  # default
    manifest = ""  # default
    "#);
    assert_eq!(good(&printed), loaded.config);
    let json = loaded.to_json();
    assert_eq!(json["config"]["audio"]["playback"]["rate"], 48000);
    assert_eq!(json["config"]["audio"]["capture"]["rate"], serde_json::Value::Null);
    assert_eq!(json["config"]["wake"]["button"]["name"], "PTT");
    assert_eq!(json["config"]["tts"]["speed"], 1.1);
    assert_eq!(json["origins"]["claude.max_tokens"], "flag --set");
    assert_eq!(json["origins"]["tts.speed"], "environment ELIO_TTS__SPEED");
}

#[test]
fn the_default_file_says_every_key_and_exactly_the_defaults() {
    let file = repository("configs/elio.toml");
    let loaded = load(file.clone());
    assert_eq!(loaded.config, Config::default());
    // A key that is not set by default stands there as an example behind a `#`, and each example is good.
    let is_example = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
    let text = fs::read_to_string(&file).unwrap();
    let examples = |leave: &[&str]| {
        let uncommented = text.lines().map(|line| match line {
            line if is_example(line) && !leave.iter().any(|key| line[1..].starts_with(&format!("{key} "))) => {
                &line[1..]
            }
            line => line,
        });
        let home = Home::new(&uncommented.collect::<Vec<_>>().join("\n"));
        let loaded = load(home.0.path().join("elio.toml"));
        loaded.effective.into_iter().filter(|e| e.origin == Origin::Default).map(|e| e.key).collect::<Vec<_>>()
    };
    assert_eq!(
        examples(&["chip", "line"]),
        ["button", "led", "mute"].map(|l| [format!("wake.{l}.chip"), format!("wake.{l}.line")]).concat()
    );
    assert_eq!(examples(&["name"]), ["button", "led", "mute"].map(|l| format!("wake.{l}.name")));
}

#[test]
fn what_the_installation_pages_tell_to_write_is_good() {
    for page in ["install.md", "boards/jetson-orin.md", "boards/raspberry-pi.md", "boards/linux.md"] {
        let text = fs::read_to_string(repository("docs").join(page)).unwrap();
        let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{page}");
        // All that one page tells, in one file.
        good(&blocks.concat());
    }
}

#[test]
fn the_other_files_of_the_repository_are_good() {
    let load = |name| load(repository(name)).config;
    let demo = load("configs/demo.toml");
    assert_eq!((demo.wake.mode, demo.stt.model.as_str()), (WakeMode::Press, "whisper-demo"));
    assert_eq!(demo.models.dirs, [repository("configs/../models/demo")]);
    assert!(demo.models.dirs[0].is_dir());
    let jetson = load("configs/jetson-orin.toml");
    assert_eq!(jetson.wake.mode, WakeMode::Hold);
    let button = jetson.wake.button.unwrap();
    assert!(jetson.stt.gpu && button.active_low);
    assert_eq!(button.line, LineName::Name("PQ.05".into()));
}
