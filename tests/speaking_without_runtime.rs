//! ONNX Runtime is opened once for a process: what happens without it needs a process of its own.
#![allow(clippy::unwrap_used)]

use std::fs;

use elio::config::{Config, Language, ModelsSettings};
use elio::models::Models;
use elio::tts::Tts;

#[test]
fn a_library_that_is_missing_or_no_library_is_told_with_the_mend() {
    let dirs = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into()];
    let voice = Models::open(&ModelsSettings { dirs, manifest: None }).unwrap().voice("voice-demo").unwrap();
    let mut settings = Config::default().tts;
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    settings.onnxruntime = Some(library.clone());
    let fault = || {
        let fault = Tts::start(&settings, vec![(Language::En, voice.clone())]).err().unwrap().to_string();
        assert!(fault.contains(library.to_str().unwrap()) && fault.contains("tts.onnxruntime"), "{fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
        fault
    };
    assert!(fault().contains("no such file"));
    fs::write(&library, "text").unwrap();
    assert!(fault().contains("make setup"));
    // After those, the right one is found all the same.
    settings.onnxruntime = None;
    Tts::start(&settings, vec![(Language::En, voice)]).unwrap();
}
