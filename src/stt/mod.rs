//! Hearing: Whisper, warm on its own thread.
//!
//! A clip goes in, a [`Transcript`] comes out; an empty one means that nothing was said. The thread owns the model, so
//! clips are heard one after another in the order of the calls; one that was cancelled (or whose future was dropped)
//! before its turn costs nothing. A [`Listener`] hears one turn by such clips while the person still speaks. No word is
//! ever logged.

mod cores;
mod engine;
mod hallucinations;
mod hardware;
mod listener;
mod partials;
mod voiced;
mod whisper;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::clock::Mono;
use crate::config::Language;
pub use hardware::{Hardware, Overhearing};
pub use listener::Listener;
pub use partials::{Partial, Partials};
pub use whisper::Whisper;

/// Sound to be heard.
#[derive(Clone, Debug, Default)]
pub struct Clip {
    /// Mono, 16 kHz, full scale 1.
    pub samples: Vec<f32>,
    /// The language that is spoken in it; none: detected among those listened for.
    pub language: Option<Language>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// The words, with single spaces; empty: nothing was said.
    pub text: String,
    /// The language that was fixed or detected; the first one listened for where nothing was said.
    pub language: Language,
    /// Time from the thread's taking the clip to its text, without the wait for clips before it.
    pub compute: Duration,
    /// Length of the clip.
    pub audio: Duration,
    /// Encoder context, in positions of 20 ms, of the longest run; 0 where the model was not asked.
    pub audio_ctx: u32,
    /// The instant at which the text was ready.
    pub finished: Mono,
}

/// What the start cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmFigures {
    /// Reading the model into memory.
    pub load: Duration,
    /// The first inference, of the longest sound that is expected: it touches everything for the first time. Ten seconds; on
    /// a GPU, which keeps what it needs for each length, as much as one run takes.
    pub first: Duration,
    /// The second inference, of two seconds: what a turn will cost.
    pub second: Duration,
}

/// Whatever turns a clip into words: Whisper, or a test's fake.
pub trait Transcribe: Send + Sync {
    /// Hears a clip. Cancelling ends the wait at once, and the work at its next step.
    fn transcribe(&self, clip: Clip, cancel: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>>;

    /// Name of the model, for the record.
    fn name(&self) -> &str;

    /// How often a turn may be heard before it is over.
    fn partials(&self) -> Partials {
        Partials::Off
    }
}

/// Why a clip has no transcript.
#[derive(Debug, thiserror::Error)]
pub enum SttError {
    /// The model cannot be loaded or run at all: the caller shows the line and exits with 78.
    #[error("model file {path} cannot be loaded: {fault}", path = path.display())]
    Load {
        /// The ggml file.
        path: PathBuf,
        /// What whisper.cpp says of it, and the mend.
        fault: String,
    },
    /// The model does not know a language that is listened for: the caller shows the line and exits with 78.
    #[error("model {model} does not know {language}: choose another stt.model, or take it out of language.listen")]
    Language {
        /// The model's name.
        model: String,
        /// The language's code.
        language: &'static str,
    },
    /// The turn was given up: the caller forgets it.
    #[error("the transcription was cancelled")]
    Cancelled,
    /// This clip failed: the caller ends the turn; the next clip may well be heard.
    #[error("Whisper failed on this clip: {0}")]
    Inference(String),
    /// Whisper's thread has ended: the caller starts a new one or exits with 1.
    #[error("Whisper's thread has ended: restart elio")]
    Gone,
}
