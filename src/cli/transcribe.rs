//! `elio transcribe`: what a recording says.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{CliError, Exit, Global};
use crate::audio::{RATE, convert, wav};
use crate::config::Language;
use crate::models::{ModelError, Models};
use crate::stt::{Clip, SttError, Whisper};

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

fn language(code: &str) -> Result<Language, String> {
    [Language::En, Language::Fr].into_iter().find(|l| l.code() == code).ok_or_else(|| "en or fr".into())
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

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("the runtime does not start: {error}")))?;
    let heard = runtime.block_on(whisper.transcribe(Clip { samples }, CancellationToken::new()))?;
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
    match io::stdout().write_all(out.as_bytes()) {
        // A reader such as `head` that has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| CliError::new(Exit::Failed, format!("standard output: {error}"))),
    }
}

impl From<ModelError> for CliError {
    fn from(error: ModelError) -> Self {
        Self::new(Exit::Config, error)
    }
}

impl From<SttError> for CliError {
    fn from(error: SttError) -> Self {
        let exit = match error {
            SttError::Load { .. } | SttError::Language { .. } => Exit::Config,
            SttError::Cancelled | SttError::Inference(_) | SttError::Gone => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
