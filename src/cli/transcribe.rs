//! `elio transcribe`: what recordings say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::split::language;
use super::{CliError, Exit, Global, stdout};
use crate::audio::{RATE, convert, wav};
use crate::config::Language;
use crate::models::Models;
use crate::stt::{Clip, Whisper};

/// Arguments of `elio transcribe`.
#[derive(Debug, Args)]
pub struct TranscribeArgs {
    /// The recordings: WAV files of any rate and number of channels, one line of text each
    #[arg(required = true)]
    wav: Vec<PathBuf>,
    /// Whisper model, by name or path [default: stt.model]
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Language that is spoken, en or fr [default: one of language.listen, detected]
    #[arg(long, value_parser = language)]
    language: Option<Language>,
}

/// Runs `elio transcribe`.
pub fn run(args: TranscribeArgs, global: &Global) -> Result<(), CliError> {
    let config = global.load_config_or_demo()?.config;
    // A file that cannot be read is told before the model is loaded, and before the others cost their time.
    let clips = args.wav.iter().map(|path| samples(path)).collect::<Result<Vec<_>, _>>()?;

    let model = Models::open(&config.models)?.whisper(args.model.as_deref().unwrap_or(&config.stt.model))?;
    let listen = args.language.map_or(config.language.listen, |language| vec![language]);
    let whisper = Whisper::start(&config.stt, model, &listen)?;
    let runtime = super::runtime()?;
    for (path, samples) in args.wav.iter().zip(clips) {
        let heard = runtime.block_on(whisper.transcribe(Clip { samples, language: None }, CancellationToken::new()))?;
        let line = if global.json {
            let ms = |time: Duration| time.as_micros() as f64 / 1e3;
            json!({
                "wav": path,
                "text": heard.text,
                "stt_compute_ms": ms(heard.compute),
                "audio_ms": ms(heard.audio),
                "language": heard.language,
                "audio_ctx": heard.audio_ctx,
                "model": whisper.name(),
            })
            .to_string()
        } else {
            heard.text
        };
        stdout::print(&(line + "\n"))?;
    }
    Ok(())
}

/// The sound of a recording, at the rate that Whisper hears.
fn samples(path: &Path) -> Result<Vec<f32>, CliError> {
    let clip = wav::Clip::read(path).map_err(|error| CliError::new(Exit::Failed, error))?;
    if clip.samples.is_empty() {
        return Err(CliError::new(Exit::Failed, format!("{}: the file holds no sound", path.display())));
    }
    Ok(convert::resample(&clip.samples, clip.rate, RATE))
}
