//! `benches/models/make`: what it writes is loaded and run by Elio, and its quantization is ggml's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use elio::config::ModelsSettings;
use elio::models::{Models, Verified};

mod common;

/// Made once, though the tests run at the same time.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| common::python("benches/models/requirements.txt", "bench-venv"));

#[test]
fn what_is_made_hears_and_speaks() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-models");
    let mut make = Command::new(&*PYTHON);
    make.arg(common::repository().join("benches/models/make")).arg("--out").arg(&folder);
    let made = common::output(make.args(["whisper-tiny", "voice-medium"]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let manifest = folder.join("manifest.toml");
    let dirs = vec![folder.clone()];
    let models = Models::open(&ModelsSettings { dirs: dirs.clone(), manifest: Some(manifest.clone()) }).unwrap();
    let published = Models::open(&ModelsSettings { dirs, manifest: None }).unwrap();
    let size = |models: &Models, name: &str| models.manifest().get(name).unwrap().files[0].size;
    assert_eq!(size(&models, "bench-whisper-tiny-q5_1"), size(&published, "whisper-tiny-q5_1"));

    let elio = |args: &[&str], model: &str| {
        let mut command = common::elio(args);
        for set in [
            format!("models.manifest={}", manifest.display()),
            format!("models.dirs=[\"{}\"]", folder.display()),
            format!("stt.model={model}"),
            format!("tts.voice_en={model}"),
        ] {
            command.args(["--set", &set]);
        }
        common::json(&common::output(command.args(["--set", "stt.threads=1", "--json"])))
    };
    for model in ["bench-whisper-tiny-q5_1", "bench-whisper-tiny-f16"] {
        assert_eq!(models.whisper(model).unwrap().verify().unwrap(), Verified::Published);
        let heard = elio(&["transcribe", "models/demo/questions/en-joke.wav"], model);
        assert_eq!((&heard["model"], &heard["audio_ctx"]), (&model.into(), &512.into()));
        assert!(!heard["text"].as_str().unwrap().is_empty(), "{heard}");
    }
    let voice = "bench-voice-medium";
    assert_eq!(models.voice(voice).unwrap().verify().unwrap(), Verified::Published);
    let wav = folder.join("said.wav");
    let said = elio(&["say", "It is noon.", "--language", "en", "--out", wav.to_str().unwrap()], voice);
    assert_eq!((&said["voice"], &said["fallback"]), (&voice.into(), &false.into()));
    let audio = said["audio_ms"].as_f64().unwrap();
    assert!((400.0..4000.0).contains(&audio), "as long as three words: {said}");
}

/// The file is ggml's as far as this reads it as ggml does (`dequantize_row_q5_1` and `dequantize_row_q8_0`).
#[test]
fn a_quantized_block_is_within_half_a_step() {
    let values: Vec<f32> = (0..128).map(|i| (i as f32 * 0.7).sin() * 3f32.powi(i / 32 * 3 - 4)).collect();
    let bytes: String = values.iter().flat_map(|v| v.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect();
    let script = "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1]); import ggml, numpy\n\
                  x = numpy.frombuffer(bytes.fromhex(sys.argv[2]), '<f4')\n\
                  print(ggml.q5_1(x).tobytes().hex(), ggml.q8_0(x).tobytes().hex())";
    let format = common::repository().join("models/demo/train/whisper");
    let out = common::output(Command::new(&*PYTHON).args(["-c", script]).arg(format).arg(bytes));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let [q5_1, q8_0] = text.split_whitespace().map(hex).collect::<Vec<_>>().try_into().unwrap();

    assert_eq!((q5_1.len(), q8_0.len()), (4 * 24, 4 * 34));
    for ((values, five), eight) in values.chunks(32).zip(q5_1.chunks(24)).zip(q8_0.chunks(34)) {
        let (step, least) = (f16(five[0], five[1]), f16(five[2], five[3]));
        let fifth = u32::from_le_bytes(five[4..8].try_into().unwrap());
        for (i, value) in values.iter().enumerate() {
            let nibble = if i < 16 { five[8 + i] & 15 } else { five[8 + i - 16] >> 4 };
            let level = u32::from(nibble) | ((fifth >> i & 1) << 4);
            // Step and least are rounded to 11 bits, which moves the highest level by 31 times that.
            let found = step * level as f32 + least;
            assert!((found - value).abs() <= step * 0.52 + least.abs() / 2048.0, "q5_1 {i}: {found}, was {value}");
            let step = f16(eight[0], eight[1]);
            let found = step * f32::from(eight[2 + i].cast_signed());
            assert!((found - value).abs() <= step * 0.57, "q8_0 {i}: {found}, was {value}");
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A normal half-precision number.
fn f16(low: u8, high: u8) -> f32 {
    let bits = u32::from(u16::from_le_bytes([low, high]));
    assert_ne!(bits >> 10 & 31, 0, "subnormal");
    f32::from_bits(((bits & 0x8000) << 16) | (((bits & 0x7fff) << 13) + (112 << 23)))
}
