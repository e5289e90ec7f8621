//! The turn model's whole way: sound in, features, a real network on its own thread, a probability out.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use elio::claude::ApiKey;
use elio::config::{Config, ModelsSettings};
use elio::daemon::Engines;
use elio::models::{ModelError, Models, TurnModel};
use elio::prosody::{Prosody, ProsodyError, SmartTurn};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn model(path: &str) -> TurnModel {
    let settings = ModelsSettings { dirs: vec![], manifest: None };
    Models::open(&settings).unwrap().turn(repository(path).to_str().unwrap()).unwrap()
}

/// The network gives the sigmoid of the mean of its features.
#[tokio::test]
async fn a_sound_becomes_features_and_they_a_probability() {
    let turn = SmartTurn::start(model("tests/data/turn/mean.onnx"), None).unwrap();
    assert!(!turn.run().is_zero());
    let finished = async |sound| turn.finished(sound).await.unwrap();
    let silence = 1.0 / (1.0 + 1.5_f32.exp());
    assert!((finished(vec![0.0; 16_000]).await - silence).abs() < 1e-5);
    let tone: Vec<f32> = (0..48_000).map(|n| (n as f32 * 0.2).sin() * 0.5).collect();
    let heard = finished(tone.clone()).await;
    assert!(heard > silence + 0.05, "{heard}");
    // What is longer ago than eight seconds is not heard.
    let late: Vec<f32> = tone.into_iter().chain(vec![0.0; 128_000]).collect();
    assert!((finished(late).await - silence).abs() < 1e-5);
}

#[tokio::test]
async fn who_does_not_wait_holds_nobody_up() {
    let turn = SmartTurn::start(model("tests/data/turn/mean.onnx"), None).unwrap();
    for _ in 0..50 {
        drop(turn.finished(vec![0.1; 128_000]));
    }
    assert!(turn.finished(vec![0.1; 16_000]).await.is_ok());
}

#[test]
fn a_network_of_another_kind_is_refused_with_the_key_and_the_mend() {
    let fault = SmartTurn::start(model("models/demo/voice-demo.onnx"), None).unwrap_err();
    assert!(matches!(fault, ProsodyError::Model { .. }), "{fault:?}");
    let fault = fault.to_string();
    for part in ["endpoint.turn_model", "voice-demo.onnx", "input_features", "leave the key out"] {
        assert!(fault.contains(part), "{part} is not in: {fault}");
    }
    assert_eq!(fault.lines().count(), 1, "{fault}");
}

#[test]
fn a_name_that_is_no_turn_model_is_refused_with_those_that_are() {
    let models = Models::open(&ModelsSettings { dirs: vec![], manifest: None }).unwrap();
    let fault = models.turn("whisper-demo").unwrap_err();
    assert!(matches!(&fault, ModelError::Unknown { known, .. } if known == "smart-turn-v3.2"), "{fault}");
    let fault = models.turn(repository("models/manifest.toml").to_str().unwrap()).unwrap_err().to_string();
    assert!(fault.contains("manifest.toml is not an ONNX model"), "{fault}");
}

#[tokio::test]
async fn a_missing_file_is_told_at_the_start_with_the_key_and_both_mends() {
    let mut config = Config::default();
    config.models.dirs = vec![repository("models/demo")];
    config.stt.model = "whisper-demo".into();
    config.endpoint.turn_model = Some("smart-turn-v3.2".into());
    let key = ApiKey::new("any", "the test".into()).unwrap();
    let fault = Engines::start(&config, key).await.err().unwrap().to_string();
    for part in ["endpoint.turn_model", "smart-turn-v3.2-cpu.onnx", "models/demo", "from https://", "leave the key out"]
    {
        assert!(fault.contains(part), "{part} is not in: {fault}");
    }
    assert_eq!(fault.lines().count(), 1, "{fault}");
}
