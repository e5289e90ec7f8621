//! Speaking: splitter, voices, levelling and joints.
//!
//! [`Splitter`] cuts Claude's text into chunks while it is written; [`Tts`] owns the thread with the warm voices and
//! speaks one chunk at a time. A Piper voice takes the phonemes of a resident espeak-ng, an MMS-TTS voice the
//! characters; espeak-ng itself speaks where another voice fails.

mod engine;
mod error;
mod espeak;
mod kept;
mod pace;
mod phonemes;
mod pronounce;
mod proof;
mod ready;
mod sound;
mod splitter;
mod voice;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::Mono;
use crate::config::{Language, Provider, TtsSettings};
use crate::models::VoiceModel;
use crate::onnx::Stop;
use engine::{Engine, Job, Message};
pub use error::TtsError;
pub use kept::KeptLines;
pub use pace::Pace;
pub use proof::{Share, VoiceProof, prove};
use ready::Ready;
pub use splitter::{Chunk, Pause, Splitter};

/// A chunk to speak.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// Speakable text ([`Chunk::text`]).
    pub text: String,
    /// Its language.
    pub language: Language,
    /// It is the first of its answer: its lead is trimmed to 15 ms before the first audible sample. The others are cut
    /// for a joint.
    pub first: bool,
    /// The pause after it.
    pub pause: Pause,
    /// Cancels it, waiting or in the middle of the inference.
    pub cancel: CancellationToken,
}

/// A spoken chunk.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// Mono, at the configured level, with the pause after it.
    pub samples: Vec<f32>,
    /// Their rate in Hz. The fallback's may differ from [`Tts::rate`].
    pub rate: u32,
    /// Silence left before the first audible sample (above −50 dBFS).
    pub lead_silence: Duration,
    /// When the first samples were there.
    pub first_pcm: Mono,
    /// When all were.
    pub done: Mono,
    /// The voice that spoke.
    pub voice: String,
    /// espeak-ng spoke, because the voice failed.
    pub fallback: bool,
    /// It is a line that was ready: see [`Tts::keep`].
    pub cached: bool,
}

impl Spoken {
    /// Made just now, and all at once: a network and espeak-ng give the samples of a chunk together.
    fn made(joined: sound::Joined, rate: u32, voice: String, fallback: bool) -> Spoken {
        let now = Mono::now();
        Spoken {
            samples: joined.samples,
            rate,
            lead_silence: joined.lead,
            first_pcm: now,
            done: now,
            voice,
            fallback,
            cached: false,
        }
    }
}

/// A line of Elio's own, spoken.
#[derive(Clone, Debug)]
pub struct MadeLine {
    /// Its language.
    pub language: Language,
    /// Its words.
    pub text: String,
    /// Its sound.
    pub spoken: Spoken,
}

/// Speaks a line of Elio's own by espeak-ng, which needs no model. Blocking, for the time of a process.
///
/// # Errors
/// [`TtsError::Espeak`]
pub fn espeak_line(settings: &TtsSettings, language: Language, text: &str) -> Result<Spoken, TtsError> {
    let espeak = espeak::Espeak::new(&settings.espeak, voice::default_espeak_voice(language), settings.speed);
    let (samples, rate) = espeak.speak(&pronounce::pronounce(text, language))?;
    let gain = sound::gain(&samples, rate, settings.level_dbfs);
    let joined = sound::join(samples, rate, gain, true, Pause::None);
    Ok(Spoken::made(joined, rate, espeak::NAME.into(), true))
}

/// What speaks chunks; [`Tts`], or a script in the tests of the turn.
pub trait Speak: Send + Sync {
    /// Speaks one chunk. Chunks are spoken in the order of the calls.
    fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>>;

    /// This text may come next: what can be computed of it, is. Where another text comes, that ends. Does not wait.
    fn prepare(&self, _text: String, _language: Language) {}

    /// An answer will be spoken soon: what has been idle for long is woken. Does not wait.
    fn touch(&self) {}

    /// How fast the voice of a language is at present.
    fn pace(&self, _language: Language) -> Pace {
        Pace::default()
    }
}

/// How long the voices took to become ready, and how fast they are since.
#[derive(Clone, Debug, Default)]
pub struct WarmFigures {
    /// From [`Tts::start`] to ready.
    pub total: Duration,
    /// For each voice, in the order of their loading.
    pub voices: Vec<VoiceFigures>,
}

/// The figures of one voice.
#[derive(Clone, Debug)]
pub struct VoiceFigures {
    /// Its name.
    pub name: String,
    /// Where it really runs: a GPU that is not available is a warning.
    pub provider: Provider,
    /// From its files to a session, with a trial of every id.
    pub load: Duration,
    /// Phonemes and inference of the longest expected chunk.
    pub longest: Duration,
    /// The length of its sound.
    pub longest_audio: Duration,
    /// The same for two words.
    pub shortest: Duration,
    /// Gain that brings it to `tts.level_dbfs`, in dB.
    pub gain_db: f32,
}

/// The handle of the voice's thread. The thread ends with the last clone.
#[derive(Clone)]
pub struct Tts {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` only while it is dropped.
    messages: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    voices: BTreeMap<Language, (String, u32)>,
    warm: WarmFigures,
    ready: Arc<Ready>,
}

/// The name or path of the voice that is configured for `language`; `None`: espeak-ng, which needs no model.
pub fn voice_name(settings: &TtsSettings, language: Language) -> Option<&str> {
    let name = match language {
        Language::En => &settings.voice_en,
        Language::Fr => &settings.voice_fr,
    };
    (name != espeak::NAME).then_some(name)
}

impl Tts {
    /// Loads and warms the voices; a language that `voices` has none for is spoken by espeak-ng. Blocking, for as long
    /// as the slowest model takes; logs the figures.
    pub fn start(settings: &TtsSettings, voices: Vec<(Language, VoiceModel)>) -> Result<Tts, TtsError> {
        let (messages, inbox) = mpsc::channel();
        let (report, loaded) = mpsc::channel();
        let ready = Arc::new(Ready::default());
        let (settings, shared) = (settings.clone(), ready.clone());
        let run = move || match Engine::load(settings, voices, shared) {
            Ok((engine, voices, warm)) => {
                if report.send(Ok((voices, warm))).is_ok() {
                    engine.run(&inbox);
                }
            }
            // Nobody listens any more where this fails.
            Err(error) => drop(report.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("tts".into()).spawn(run).map_err(|_| TtsError::Gone)?;
        let (voices, warm) = loaded.recv().map_err(|_| TtsError::Gone)??;
        Ok(Tts { shared: Arc::new(Shared { messages: Some(messages), thread: Some(thread), voices, warm, ready }) })
    }

    /// Speaks one chunk. Chunks are spoken in the order of the calls; a cancelled one ends at once, and a line that is
    /// kept waits for none.
    pub fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>> {
        if let Some(spoken) = self.shared.ready.spoken(&utterance) {
            let cancelled = utterance.cancel.is_cancelled();
            return Box::pin(std::future::ready(if cancelled { Err(TtsError::Cancelled) } else { Ok(spoken) }));
        }
        let (language, text) = (utterance.language, utterance.text.clone());
        let (reply, answer) = oneshot::channel();
        let cancel = utterance.cancel.clone();
        let stop = Stop::on(cancel.clone());
        let sent = self.send(Message::Speak(Box::new(Job { utterance, reply, stop: stop.clone() })));
        self.shared.ready.make_way(language, &text);
        Box::pin(async move {
            sent?;
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    stop.end();
                    Err(TtsError::Cancelled)
                }
                answer = answer => answer.map_err(|_| TtsError::Gone)?,
            }
        })
    }

    /// Begins to compute a text that may be spoken next, so that it is there when it is; where another is spoken, that
    /// ends. Does not wait.
    pub fn prepare(&self, text: String, language: Language) {
        let stop = Stop::on(CancellationToken::new());
        self.shared.ready.draft((language, text.clone()), stop.clone());
        // A thread that has ended says so when it is asked to speak.
        let _ = self.send(Message::Draft((language, text), stop));
        self.shared.ready.pause_lines();
    }

    /// Speaks lines that will be needed again and again, in the background, and keeps their sound (8 MB at most): an
    /// [`Utterance`] of one, without a pause after it, is then there at once. Does not wait.
    pub fn keep(&self, lines: Vec<(Language, String)>) {
        if self.send(Message::Keep(lines, None)).is_err() {
            log::debug!("the voice's thread has ended");
        }
    }

    /// As [`Tts::keep`]; each line that was made is also told.
    pub fn keep_and_tell(&self, lines: Vec<(Language, String)>, made: UnboundedSender<MadeLine>) {
        if self.send(Message::Keep(lines, Some(made))).is_err() {
            log::debug!("the voice's thread has ended");
        }
    }

    /// Takes lines whose sound is there already, as far as there is room.
    pub fn adopt(&self, lines: Vec<MadeLine>) {
        for MadeLine { language, text, spoken } in lines {
            self.shared.ready.keep((language, text), spoken);
        }
    }

    /// How fast the voice of a language is at present.
    pub fn pace(&self, language: Language) -> Pace {
        self.shared.ready.pace(language)
    }

    /// Touches each voice that has been idle for long with a tiny inference, so that memory and clocks are up when the
    /// answer comes: for the wake edge. Does not wait.
    pub fn touch(&self) {
        if self.send(Message::Touch).is_err() {
            log::debug!("the voice's thread has ended");
        }
    }

    /// The rate of the voice for `language`, in Hz.
    pub fn rate(&self, language: Language) -> u32 {
        self.shared.voices.get(&language).map_or(16_000, |(_, rate)| *rate)
    }

    /// The name of the voice for `language`.
    pub fn voice(&self, language: Language) -> &str {
        self.shared.voices.get(&language).map_or(espeak::NAME, |(name, _)| name)
    }

    /// The figures of the start.
    pub fn warm(&self) -> &WarmFigures {
        &self.shared.warm
    }

    fn send(&self, message: Message) -> Result<(), TtsError> {
        let messages = self.shared.messages.as_ref().ok_or(TtsError::Gone)?;
        messages.send(message).map_err(|_| TtsError::Gone)
    }
}

impl Speak for Tts {
    fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>> {
        Tts::speak(self, utterance)
    }

    fn prepare(&self, text: String, language: Language) {
        Tts::prepare(self, text, language);
    }

    fn touch(&self) {
        Tts::touch(self);
    }

    fn pace(&self, language: Language) -> Pace {
        Tts::pace(self, language)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Without a sender the thread ends; sessions must not outlive the process's own end.
        self.messages = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the voice's thread panicked");
        }
    }
}
