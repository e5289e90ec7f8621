//! Bad input: one clear line that names the thing and the mend, and the right exit code.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::{SimProcess, elio, one_line_of_failure, output, repository};

const CONFIG: &str = "configs/demo.toml";

fn question() -> String {
    let folder = repository().join("models/demo/questions");
    let file = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    file.into_iter().find(|path| path.extension().is_some_and(|e| e == "wav")).unwrap().display().to_string()
}

#[track_caller]
fn mentions(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is missing: {line}");
    }
}

/// `elio transcribe` with another model file.
fn transcribe_with(model: &Path) -> String {
    let model = model.display().to_string();
    one_line_of_failure(&output(&mut elio(&["transcribe", &question(), "--config", CONFIG, "--model", &model])), 78)
}

#[test]
fn no_model_file() {
    mentions(&transcribe_with(Path::new("/nowhere/whisper.bin")), &["/nowhere/whisper.bin"]);
}

#[test]
fn a_truncated_model() {
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("whisper-demo-q5_1.bin");
    let whole = std::fs::read(repository().join("models/demo/whisper-demo-q5_1.bin")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 3]).unwrap();
    mentions(&transcribe_with(&cut), &[cut.to_str().unwrap()]);
}

#[test]
fn a_text_file_as_model() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("model.bin");
    std::fs::write(&text, "This is not a model.\n".repeat(100)).unwrap();
    mentions(&transcribe_with(&text), &[text.to_str().unwrap()]);
}

#[test]
fn a_voice_whose_json_does_not_fit_its_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let onnx = dir.path().join("voice.onnx");
    std::fs::copy(repository().join("models/demo/voice-demo.onnx"), &onnx).unwrap();
    let json = std::fs::read_to_string(repository().join("models/demo/voice-demo.onnx.json")).unwrap();
    let wrong = json.replace("[61]", "[9999]");
    assert_ne!(wrong, json, "the voice has no symbol 61");
    std::fs::write(dir.path().join("voice.onnx.json"), wrong).unwrap();
    let voice = format!("tts.voice_en=\"{}\"", onnx.display());
    let out = dir.path().join("out.wav").display().to_string();
    let args = ["say", "Hello there.", "--language", "en", "--out", &out, "--config", CONFIG, "--set", &voice];
    mentions(&one_line_of_failure(&output(&mut elio(&args)), 78), &["voice.onnx", "voice.onnx.json"]);
}

/// `elio run` with the demo models, ALSA's null devices, a state folder of its own, and `set`.
fn run_with(set: &[&str]) -> std::process::Output {
    let dir = tempfile::tempdir().unwrap();
    let (state, socket) = (dir.path().join("state"), dir.path().join("control.sock"));
    let state = format!("daemon.state_dir=\"{}\"", state.display());
    let socket = format!("daemon.socket=\"{}\"", socket.display());
    let mut args = vec!["run", "--config", CONFIG];
    let own = [&*state, &*socket, "audio.capture.device=\"null\"", "audio.playback.device=\"null\""];
    for key in own.iter().chain(set) {
        args.extend(["--set", key]);
    }
    output(elio(&args).env("ANTHROPIC_API_KEY", "test-key"))
}

/// A card may come late, so the daemon waits for it; the doctor says what is wrong now.
#[test]
fn an_alsa_device_that_does_not_exist() {
    for (check, key, device) in
        [("microphone", "audio.capture.device", "hw:77,0"), ("speaker", "audio.playback.device", "hw:78,0")]
    {
        let set = format!("{key}=\"{device}\"");
        let ended = output(&mut elio(&["doctor", check, "--config", CONFIG, "--set", &set]));
        let text = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{text}");
        mentions(&text, &["fault", device]);
    }
}

#[test]
fn a_gpio_line_that_does_not_exist() {
    let line = one_line_of_failure(&run_with(&["wake.button.name=\"no-such-button\""]), 69);
    mentions(&line, &["no-such-button", "wake.button"]);
}

#[test]
fn a_state_folder_that_cannot_be_written() {
    let line = one_line_of_failure(&run_with(&["daemon.state_dir=\"/proc/elio\""]), 78);
    mentions(&line, &["/proc/elio", "daemon.state_dir"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let args = ["sim", "--listen", &address, "--dir", dir.path().to_str().unwrap()];
    mentions(&one_line_of_failure(&output(&mut elio(&args)), 69), &[&address]);
}

#[test]
fn a_standard_output_that_nobody_reads_or_that_is_full() {
    let mut command = elio(&["check", "--print", "--config", CONFIG]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let left = output(command.stdout(writer));
    assert_eq!(left.status.code(), Some(0), "{}", String::from_utf8_lossy(&left.stderr));
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut child = elio(&["check", "--print", "--config", CONFIG]);
    let child = child.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    mentions(&one_line_of_failure(&child.wait_with_output().unwrap(), 1), &["standard output"]);
}

#[test]
fn an_answer_that_is_never_written() {
    let ended = output(&mut elio(&["demo", "--silent", "--tokens-per-second", "0"]));
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    mentions(&String::from_utf8_lossy(&ended.stderr), &["--tokens-per-second", "0.1"]);
}

#[test]
fn a_model_that_is_not_there_is_named_with_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = elio(&["transcribe", &question(), "--model", "whisper-base-q5_1"]);
    let line = one_line_of_failure(&output(command.env("ELIO_MODELS", dir.path())), 78);
    mentions(&line, &["ggml-base-q5_1.bin", dir.path().to_str().unwrap(), "https://"]);
}

#[test]
fn no_key() {
    let line = one_line_of_failure(&output(&mut elio(&["ask", "Hello?", "--config", CONFIG])), 78);
    mentions(&line, &["ANTHROPIC_API_KEY", "claude.key_file"]);
}

#[test]
fn a_wrong_key_is_named_by_its_place_and_not_shown() {
    let sim = SimProcess::start(&["--key", "right"]);
    let mut command = elio(&["ask", "Hello?", "--config", CONFIG]);
    let line = one_line_of_failure(&output(command.args(sim.flags()).env("ANTHROPIC_API_KEY", "wrong-one")), 78);
    mentions(&line, &["ANTHROPIC_API_KEY"]);
    assert!(!line.contains("wrong-one"), "{line}");
}

#[test]
fn a_self_signed_server() {
    let sim = SimProcess::start(&[]);
    let base = format!("claude.base_url=\"{}\"", sim.base_url);
    let mut command = elio(&["ask", "Hello?", "--config", CONFIG, "--set", &base]);
    let line = one_line_of_failure(&output(command.env("ANTHROPIC_API_KEY", "k")), 69);
    mentions(&line, &["claude.ca_file"]);
}

#[test]
fn a_file_with_five_faults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("elio.toml");
    let text = "[wake]\nmode = \"toggle\"\n[endpoint]\nsilense = \"700ms\"\nno_speech = 6\n[claude]\nmax_tokens = 0\n\
                [tts]\nlevel_dbfs = 3\n";
    std::fs::write(&file, text).unwrap();
    let result = output(&mut elio(&["check", "--config", file.to_str().unwrap()]));
    assert_eq!(result.status.code(), Some(78));
    let stderr = String::from_utf8_lossy(&result.stderr);
    for key in ["wake.mode", "endpoint.silense", "endpoint.no_speech", "claude.max_tokens", "tts.level_dbfs"] {
        assert!(stderr.contains(key), "{key} is missing:\n{stderr}");
    }
    mentions(&stderr, &["silence"]);
}
