//! `elio split` and `elio say` as a script sees them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs `elio` with the demo's models and `input` on standard input.
fn elio(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let config = folder.join("elio.toml");
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
    let voices = "[tts]\nvoice_en = \"voice-demo\"\nvoice_fr = \"voice-demo\"\n";
    fs::write(&config, format!("[language]\nspeak = \"fr\"\n[models]\ndirs = [\"{models}\"]\n{voices}")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_elio"))
        .arg("--config")
        .arg(&config)
        .args(arguments)
        .env("HOME", folder)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn split_gives_the_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Bonjour ! Il fait **20 °C** à Paris.";
    let json = elio(folder.path(), &["split", "--json"], text);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json, serde_json::json!({"chunks": ["Bonjour !", "Il fait 20 degrés Celsius à Paris."]}));
    let lines = elio(folder.path(), &["split", "--language", "en"], "Yes. It is 20 °C.");
    assert_eq!(String::from_utf8(lines.stdout).unwrap(), "Yes.\nIt is 20 degrees Celsius.\n");
    assert_eq!(elio(folder.path(), &["split", "--json"], "").stdout, b"{\"chunks\":[]}\n");
}

/// Microsoft's ONNX Runtime would leave a device id and a database there, and send them.
#[test]
fn onnx_runtime_leaves_no_telemetry_behind() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("a.wav");
    let said = elio(folder.path(), &["say", "Bonjour.", "--out", wav.to_str().unwrap()], "");
    assert!(said.status.success() && wav.exists(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(!folder.path().join(".cache").exists());
}

#[test]
fn say_writes_speech_and_tells_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("said.wav");
    let out =
        elio(folder.path(), &["say", "Bonjour, il fait beau à Paris.", "--out", wav.to_str().unwrap(), "--json"], "");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let number = |key: &str| report[key].as_f64().unwrap();
    let mut file = hound::WavReader::open(&wav).unwrap();
    let samples: Vec<i16> = file.samples().map(Result::unwrap).collect();
    assert_eq!((file.spec().sample_rate, &report["voice"]), (16_000, &"voice-demo".into()));
    assert!((number("audio_ms") - samples.len() as f64 / 16.0).abs() < 0.1 && number("audio_ms") > 1000.0, "{report}");
    assert!(0.0 < number("tts_ttfb_ms") && number("tts_ttfb_ms") <= number("tts_total_ms"), "{report}");
    assert!(samples.iter().any(|sample| sample.unsigned_abs() > 3000) && report["fallback"] == false);
}

#[test]
fn say_tells_a_bad_voice_in_one_line_and_exits_with_78() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("said.wav");
    let text = folder.path().join("text.onnx");
    fs::write(&text, "not a network").unwrap();
    fs::write(folder.path().join("text.onnx.json"), "{}").unwrap();
    for voice in ["no-such-voice", text.to_str().unwrap()] {
        let out = elio(folder.path(), &["say", "Oui.", "--voice", voice, "--out", wav.to_str().unwrap()], "");
        let fault = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(78), "{fault}");
        assert!(fault.contains(voice) && fault.lines().count() == 1, "{fault}");
    }
}

#[test]
fn say_plays_on_the_configured_device() {
    let folder = tempfile::tempdir().unwrap();
    // ALSA's null device is there without a sound card, and keeps no time.
    let out = elio(folder.path(), &["--set", "audio.playback.device=null", "say", "Oui.", "--json"], "");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8(out.stdout).unwrap().contains("tts_ttfb_ms"));
    let out = elio(folder.path(), &["--set", "audio.playback.device=hw:77,0", "say", "Oui."], "");
    let fault = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(69), "{fault}");
    assert!(fault.contains("hw:77,0") && fault.lines().count() == 1, "{fault}");
}
