//! `elio transcribe`: what a recording says.

use std::path::PathBuf;
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
    /// The recording: a WAV file of any rate and number of channels
    wav: PathBuf,
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
    let clip = wav::Clip::read(&args.wav).map_err(|error| CliError::new(Exit::Failed, error))?;
    if clip.samples.is_empty() {
        return Err(CliError::new(Exit::Failed, format!("{}: the file holds no sound", args.wav.display())));
    }
    let samples = convert::resample(&clip.samples, clip.rate, RATE);

    let model = Models::open(&config.models)?.whisper(args.model.as_deref().unwrap_or(&config.stt.model))?;
    let listen = args.language.map_or(config.language.listen, |language| vec![language]);
    let whisper = Whisper::start(&config.stt, model, &listen)?;

    let heard = super::runtime()?.block_on(whisper.transcribe(Clip { samples }, CancellationToken::new()))?;
    let out = if global.json {
        let ms = |time: Duration| time.as_micros() as f64 / 1e3;
        let document = json!({
            "text": heard.text,
            "stt_compute_ms": ms(heard.compute),
            "audio_ms": ms(heard.audio),
            "language": heard.language,
            "audio_ctx": heard.audio_ctx,
            "model": whisper.name(),
        });
        format!("{document:#}\n")
    } else {
        format!("{}\n", heard.text)
    };
    stdout::print(&out)
}
