//! `elio doctor` as a technician and a script run it: exit codes, the document, bad input.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{SimProcess, elio, one_line_of_failure, output};
use serde_json::Value;

const KEY: &str = "sk-secret-0123456789";

/// The doctor with the demo's configuration and state and socket in `state`, where no daemon answers.
fn doctor(state: &Path, args: &[&str]) -> Command {
    let set = |key: &str, name: &str| format!("{key}=\"{}\"", state.join(name).display());
    let mut command = elio(&["doctor", "--config", "configs/demo.toml"]);
    command.args(["--set", &set("daemon.state_dir", ""), "--set", &set("daemon.socket", "none.sock")]);
    command.args(args);
    command
}

/// The document, whatever the exit code, and that code.
fn document(output: &Output) -> (Value, Option<i32>) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (document, output.status.code())
}

fn of<'a>(document: &'a Value, check: &str) -> Vec<&'a Value> {
    document["checks"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect()
}

#[test]
fn what_is_well_ends_with_0_and_one_document() {
    let sim = SimProcess::start(&["--key", KEY]);
    let dir = tempfile::tempdir().unwrap();
    let checks = ["configuration", "models", "onnxruntime", "espeak", "network", "key", "cache", "led", "--json"];
    let mut command = doctor(dir.path(), &checks);
    let output = output(command.args(sim.flags()).env("ANTHROPIC_API_KEY", KEY));
    let (document, code) = document(&output);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["faults"], 0);
    for finding in document["checks"].as_array().unwrap() {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "verdict", "finding", "mend", "figures", "ms"]);
        let bad = matches!(finding["verdict"].as_str().unwrap(), "warning" | "fault");
        assert!(!bad || finding["mend"].is_string(), "{finding}");
        assert!(!finding["finding"].as_str().unwrap().contains('\n') && finding["ms"].is_number(), "{finding}");
    }
    assert_eq!(of(&document, "models").len(), 3);
    assert!(of(&document, "cache")[0]["figures"]["prefix_tokens"].as_u64() > Some(512), "{document:#}");
    assert_eq!(of(&document, "led")[0]["verdict"], "skipped");
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!all.contains("sk-secret"), "{all}");
    assert!(sim.requests().iter().all(|request| request["path"] != "/v1/messages"), "it spent tokens");
}

#[test]
fn a_fault_ends_with_1_and_names_its_check() {
    let sim = SimProcess::start(&["--key", "another"]);
    let dir = tempfile::tempdir().unwrap();
    let mut command = doctor(dir.path(), &["key", "mute"]);
    let output = output(command.args(sim.flags()).env("ANTHROPIC_API_KEY", KEY));
    assert_eq!(one_line_of_failure(&output, 1), "elio: 1 fault: key");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("fault    key ") && text.contains("mend: ") && text.contains("1 fault, 1 skipped"), "{text}");
    assert!(!text.contains("sk-secret") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_configuration_that_cannot_be_read_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let (document, code) = document(&output(&mut doctor(dir.path(), &["--quick", "--json", "--set", "stt.gpuu=true"])));
    assert_eq!(code, Some(78), "{document:#}");
    assert!(of(&document, "configuration")[0]["finding"].as_str().unwrap().contains("stt.gpuu"), "{document:#}");
    assert_eq!(of(&document, "key")[0]["verdict"], "skipped");
}

#[test]
fn a_check_that_does_not_exist_is_a_wrong_command_line() {
    let output = output(&mut elio(&["doctor", "microfone"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("microphone"));
}

#[test]
fn models_that_are_not_there_and_devices_that_do_not_exist_are_each_told() {
    let dir = tempfile::tempdir().unwrap();
    let models = format!("models.dirs=[\"{}\"]", dir.path().display());
    let args = ["models", "microphone", "speaker", "loop", "--json", "--set", &models];
    let mut command = doctor(dir.path(), &args);
    command.args(["--set", "audio.capture.device=\"no_such_pcm\"", "--set", "audio.playback.device=\"no_such_pcm\""]);
    let (document, code) = document(&output(&mut command));
    assert_eq!(code, Some(1));
    assert_eq!(of(&document, "models")[0]["mend"], "`elio models fetch whisper-demo`");
    for check in ["microphone", "speaker"] {
        let finding = of(&document, check)[0];
        assert!(
            finding["verdict"] == "fault" && finding["finding"].as_str().unwrap().contains("no_such_pcm"),
            "{finding}"
        );
    }
    assert_eq!(of(&document, "loop")[0]["verdict"], "skipped", "{document:#}");
}

/// ALSA's own library with PCMs that need no card: a microphone that is muted, a speaker into the void.
#[test]
fn a_muted_microphone_is_heard_through_alsa() {
    let dir = tempfile::tempdir().unwrap();
    let asound = dir.path().join("asound.conf");
    std::fs::write(&asound, "pcm.null { type null }\n").unwrap();
    let mut command = doctor(dir.path(), &["microphone", "speaker", "loop", "--json"]);
    command.args(["--set", "audio.capture.device=\"null\"", "--set", "audio.playback.device=\"null\""]);
    let (document, code) = document(&output(command.env("ALSA_CONFIG_PATH", asound)));
    assert_eq!(code, Some(1), "{document:#}");
    let microphone = of(&document, "microphone");
    assert!(microphone[1]["finding"].as_str().unwrap().starts_with("digital silence"), "{document:#}");
    assert_ne!(of(&document, "speaker")[0]["verdict"], "fault", "{document:#}");
    assert_eq!(of(&document, "loop")[0]["verdict"], "warning", "{document:#}");
}
