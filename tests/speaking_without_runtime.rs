//! ONNX Runtime is opened once for a process: what happens without it needs a process of its own.
#![allow(clippy::unwrap_used)]

use std::fs;

use elio::audio::{FRAME, Vad};
use elio::config::{Config, Language, ModelsSettings};
use elio::daemon::start_vad;
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
    // The voice detector is no reason not to start: earshot, which is built in, takes its place.
    let mut config = Config::default();
    config.tts.onnxruntime = Some(library.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let frames: Vec<[f32; FRAME]> = (0..40).map(|n| [if n % 2 == 0 { 0.4 } else { -0.3 }; FRAME]).collect();
    let scores = |mut vad: Vad| frames.iter().map(|frame| vad.score(frame)).collect::<Vec<f32>>();
    let earshot = scores(Vad::default());
    assert_eq!(scores(runtime.block_on(start_vad(&config))), earshot);
    // After those, the right one is found all the same.
    settings.onnxruntime = None;
    Tts::start(&settings, vec![(Language::En, voice)]).unwrap();
    // With it Silero is the default; a model that is not there is replaced as the library was.
    config.tts.onnxruntime = None;
    assert_ne!(scores(runtime.block_on(start_vad(&config))), earshot);
    for other in ["earshot", "nothing.onnx", "no-such-name"] {
        config.endpoint.vad = other.into();
        assert_eq!(scores(runtime.block_on(start_vad(&config))), earshot, "{other}");
    }
}
