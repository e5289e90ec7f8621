//! `elio say`: a text through the splitter and the voice, into a file or the speaker, with the times that they take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::split::language;
use super::{CliError, Exit, Global, stdout};
use crate::audio::{AlsaPlaybackHost, Playback, PlaybackEvent, Recording, convert};
use crate::clock::Mono;
use crate::config::{Language, PlaybackSettings};
use crate::daemon::start_voices;
use crate::models::Models;
use crate::tts::{Splitter, Spoken, Tts, TtsError, Utterance};

/// The one turn of the speaker's.
const TURN: u64 = 1;

/// Arguments of `elio say`.
#[derive(Debug, Args)]
pub struct SayArgs {
    /// What to say
    #[arg(value_name = "TEXT")]
    text: String,
    /// Write a WAV file (16 bits, mono, the voice's rate) instead of playing on audio.playback.device
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Language of the text, en or fr [default: language.speak of the configuration]
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    language: Option<Language>,
    /// Voice instead of the configured one: a name of the manifest, the path of an ONNX file, or espeak-ng
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,
}

/// Runs `elio say`. Exit 78: the voice, or what it needs, cannot be used; 69: the speaker cannot.
pub fn run(args: SayArgs, global: &Global) -> Result<(), CliError> {
    if !args.text.contains(char::is_alphanumeric) {
        return Err(CliError::new(Exit::Usage, "there is nothing to say: give a text with words in it"));
    }
    let mut config = global.load_config_or_demo()?.config;
    let language = args.language.unwrap_or(config.language.speak);
    if let Some(voice) = args.voice {
        match language {
            Language::En => config.tts.voice_en = voice,
            Language::Fr => config.tts.voice_fr = voice,
        }
    }
    let tts = start_voices(&config.tts, &Models::open(&config.models)?, &[language])?;
    let runtime = super::runtime()?;
    let mut speaker = match args.out {
        Some(_) => None,
        None => Some(open(&config.playback)?),
    };
    let playback = speaker.as_ref().map(|(playback, _)| playback);
    let said = runtime
        .block_on(say(&tts, &args.text, language, playback))
        .map_err(|error| CliError::new(Exit::Failed, error))?;
    if let Some(out) = &args.out {
        let samples = said.samples.iter().map(|sample| (sample * 32767.0).round() as i16).collect();
        let recording = Recording { rate: said.rate, start: Mono::now(), samples };
        recording.write(out).map_err(|error| CliError::new(Exit::Failed, error))?;
    }
    if let Some((_, events)) = &mut speaker {
        runtime.block_on(played(events))?;
    }
    stdout::print(&report(&said, args.out.as_deref(), global.json))
}

fn open(settings: &PlaybackSettings) -> Result<(Playback, UnboundedReceiver<PlaybackEvent>), CliError> {
    let host = Box::new(AlsaPlaybackHost::new(settings));
    let unavailable = |error| CliError::new(Exit::Unavailable, error);
    let (playback, events) = Playback::start(host, settings).map_err(unavailable)?;
    playback.begin(TURN);
    Ok((playback, events))
}

/// Waits until the last sample has left the converter.
async fn played(events: &mut UnboundedReceiver<PlaybackEvent>) -> Result<(), CliError> {
    while let Some(event) = events.recv().await {
        match event {
            PlaybackEvent::Ended { at, .. } => {
                // The device still holds its queue.
                tokio::time::sleep(at.since(Mono::now())).await;
                return Ok(());
            }
            PlaybackEvent::Lost(error) => return Err(CliError::new(Exit::Unavailable, error)),
            PlaybackEvent::FirstAudible { .. } | PlaybackEvent::Returned => {}
        }
    }
    Ok(())
}

/// What was said.
struct Said {
    samples: Vec<f32>,
    rate: u32,
    voice: String,
    fallback: bool,
    ttfb: Duration,
    total: Duration,
}

async fn say(tts: &Tts, text: &str, language: Language, playback: Option<&Playback>) -> Result<Said, TtsError> {
    let from = Mono::now();
    let mut splitter = Splitter::new(language).least_first(tts.pace(language).least_first());
    let mut chunks = splitter.push(text);
    chunks.extend(splitter.finish());
    let mut spoken: Vec<Spoken> = Vec::with_capacity(chunks.len());
    for (index, chunk) in chunks.into_iter().enumerate() {
        let cancel = CancellationToken::new();
        let utterance = Utterance { text: chunk.text, language, first: index == 0, pause: chunk.pause, cancel };
        let chunk = tts.speak(utterance).await?;
        if let Some(playback) = playback {
            playback.push(TURN, chunk.rate, &chunk.samples);
        }
        spoken.push(chunk);
    }
    if let Some(playback) = playback {
        playback.finish(TURN);
    }
    // Where the fallback spoke a chunk, its rate differs: the file has one.
    let rate = spoken.first().map_or(tts.rate(language), |first| first.rate);
    let since = |mono: Option<Mono>| mono.map_or(Duration::ZERO, |mono| mono.since(from));
    Ok(Said {
        rate,
        voice: spoken.first().map_or_else(|| tts.voice(language).to_owned(), |first| first.voice.clone()),
        fallback: spoken.iter().any(|chunk| chunk.fallback),
        ttfb: since(spoken.first().map(|chunk| chunk.first_pcm)),
        total: since(spoken.last().map(|chunk| chunk.done)),
        samples: spoken.into_iter().flat_map(|chunk| at_rate(chunk, rate)).collect(),
    })
}

fn at_rate(chunk: Spoken, rate: u32) -> Vec<f32> {
    if chunk.rate == rate { chunk.samples } else { convert::resample(&chunk.samples, chunk.rate, rate) }
}

fn report(said: &Said, out: Option<&Path>, json: bool) -> String {
    // To the microsecond: below that the clock's reading is noise.
    let round = |value: f64| (value * 1e3).round() / 1e3;
    let ms = |duration: Duration| round(duration.as_secs_f64() * 1e3);
    let audio = round(said.samples.len() as f64 / f64::from(said.rate) * 1e3);
    let rtf = round(ms(said.total) / audio.max(1.0));
    if json {
        let report = serde_json::json!({
            "tts_ttfb_ms": ms(said.ttfb),
            "tts_total_ms": ms(said.total),
            "audio_ms": audio,
            "voice": said.voice,
            "rate": said.rate,
            "fallback": said.fallback,
            "rtf": rtf,
        });
        format!("{report}\n")
    } else {
        format!(
            "{}{audio:.0} ms by {}, first sound after {:.1} ms, all after {:.1} ms ({rtf:.3} of real time)\n",
            out.map_or(String::new(), |out| format!("{}: ", out.display())),
            said.voice,
            ms(said.ttfb),
            ms(said.total),
        )
    }
}
