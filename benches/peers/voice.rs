//! A warm voice that speaks line by line, as it speaks the first chunk of an answer.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;

use elio::clock::Mono;
use elio::config::{Config, Language, ModelsSettings};
use elio::daemon::start_voices;
use elio::models::Models;
use elio::tts::{Pause, Utterance};
use tokio_util::sync::CancellationToken;

/// Speaks each line of standard input; `voice` is a name of the manifest or the path of an ONNX file, `threads` those of
/// an inference.
pub fn run(voice: &str, threads: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let models = Models::open(&ModelsSettings { dirs: vec![folder], manifest: None })?;
    let mut settings = Config::default().tts;
    settings.voice_en = voice.to_owned();
    settings.threads = Some(threads.parse()?);
    let tts = start_voices(&settings, &models, &[Language::En])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for text in std::io::stdin().lock().lines() {
        let text = text?;
        let cancel = CancellationToken::new();
        let utterance = Utterance { text, language: Language::En, first: true, pause: Pause::None, cancel };
        let from = Mono::now();
        let spoken = runtime.block_on(tts.speak(utterance))?;
        if spoken.fallback {
            return Err(format!("{voice} failed, and espeak-ng spoke instead").into());
        }
        let audio_ms = spoken.samples.len() as f64 / f64::from(spoken.rate) * 1e3;
        println!("{}", serde_json::json!({ "ttfb_ms": spoken.first_pcm.ms_since(from), "audio_ms": audio_ms }));
        std::io::stdout().flush()?;
    }
    Ok(())
}
