//! The voice's thread: loads, warms, then speaks one chunk after the other; and what may be wanted, while nothing is.

mod load;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::error::TtsError;
use super::espeak::{self, Espeak};
use super::pace::Measured;
use super::phonemes::Phonemizer;
use super::pronounce::pronounce;
use super::ready::{Line, Ready};
use super::voice::Voice;
use super::{MadeLine, Pause, Spoken, Utterance, sound};
use crate::clock::Mono;
use crate::config::{Language, TtsSettings};
use crate::onnx::{Stop, one_line};

/// What the thread is asked.
pub(super) enum Message {
    Speak(Box<Job>),
    /// This may be wanted soon.
    Draft(Line, Arc<Stop>),
    /// These are wanted again and again: to be spoken when there is time, and kept; each is told.
    Keep(Vec<Line>, Option<UnboundedSender<MadeLine>>),
    Touch,
}

pub(super) struct Job {
    pub(super) utterance: Utterance,
    pub(super) reply: oneshot::Sender<Result<Spoken, TtsError>>,
    pub(super) stop: Arc<Stop>,
}

/// A voice that spoke less than this ago is warm.
const WARM: Duration = Duration::from_secs(20);

/// The voices, warm.
pub(super) struct Engine {
    settings: TtsSettings,
    ready: Arc<Ready>,
    /// The last draft, and how long it took.
    draft: Option<(Line, Raw)>,
    /// Lines that are still to be kept.
    lines: VecDeque<Line>,
    /// Who wants to hear of each of them.
    made: Option<UnboundedSender<MadeLine>>,
    voices: Vec<Voice>,
    slots: BTreeMap<Language, Slot>,
    /// One for each espeak-ng voice that is needed.
    phonemizers: BTreeMap<String, Phonemizer>,
    /// Languages whose espeak-ng has not been tried yet, which takes the place of a voice that fails.
    untried: Vec<Language>,
}

/// What a network gave, and the time that phonemes and inference took.
struct Raw {
    samples: Vec<f32>,
    compute: Duration,
}

/// How a language is spoken.
struct Slot {
    /// Index of its voice; `None`: espeak-ng is the voice.
    voice: Option<usize>,
    /// The espeak-ng voice for its phonemes; `None`: the voice reads characters.
    phonemes: Option<String>,
    espeak: Espeak,
    /// Brings espeak-ng to the configured level; `None`: not tried yet.
    espeak_gain: Option<f32>,
    espeak_rate: u32,
    used: Option<Mono>,
}

impl Engine {
    /// Answers until the last handle is gone.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        while let Some(message) = self.next(inbox) {
            match message {
                Message::Touch => self.touch(),
                Message::Keep(lines, made) => {
                    self.lines.extend(lines);
                    self.made = made;
                }
                Message::Draft(line, stop) => self.take_draft(line, &stop),
                Message::Speak(job) => {
                    let Job { utterance, reply, stop } = *job;
                    if reply.is_closed() {
                        continue;
                    }
                    let spoken = self.speak(&utterance, &stop);
                    // Nobody waits for one that was cancelled.
                    drop(reply.send(spoken));
                }
            }
        }
    }

    /// The next message. Until one comes, espeak-ng is tried and lines are made; whoever sends one ends that.
    fn next(&mut self, inbox: &Receiver<Message>) -> Option<Message> {
        while let Some(language) = self.untried.last().copied() {
            match inbox.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if let Err(error) = self.try_espeak(language) {
                log::warn!("the fallback voice for {} is not available: {error}", language.code());
            }
        }
        while let Some((language, text)) = self.lines.pop_front() {
            let stop = Stop::on(CancellationToken::new());
            // Before the look at the inbox: who sends after it, finds this and ends it.
            self.ready.idle(Some(stop.clone()));
            let message = inbox.try_recv();
            if matches!(message, Err(TryRecvError::Empty)) {
                let cancel = stop.token();
                let line = Utterance { text: text.clone(), language, first: true, pause: Pause::None, cancel };
                match self.speak(&line, &stop) {
                    Ok(spoken) => {
                        if let Some(made) = &self.made {
                            // Nobody wants to hear of it any more: it is kept all the same.
                            let _ = made.send(MadeLine { language, text: text.clone(), spoken: spoken.clone() });
                        }
                        if !self.ready.keep((language, text), spoken) {
                            log::warn!("the lines that Elio says of its own take too much memory: not all are kept");
                            self.lines.clear();
                        }
                    }
                    Err(TtsError::Cancelled) => self.lines.push_front((language, text)),
                    Err(error) => log::warn!("a line that Elio says of its own: {error}"),
                }
                self.ready.idle(None);
            } else {
                self.ready.idle(None);
                self.lines.push_front((language, text));
                return message.ok();
            }
        }
        self.made = None;
        inbox.recv().ok()
    }

    fn take_draft(&mut self, line: Line, stop: &Stop) {
        self.draft = None;
        let (language, text) = &line;
        let Some(slot) = self.slots.get_mut(language).filter(|_| !stop.is_cancelled()) else { return };
        slot.used = Some(Mono::now());
        let Some(index) = slot.voice else { return };
        match self.samples(text, *language, index, stop) {
            Ok(raw) => self.draft = Some((line, raw)),
            // Its utterance, where it comes, says what is wrong.
            Err(error) if !stop.is_cancelled() => log::debug!("{error}"),
            Err(_) => {}
        }
    }

    fn speak(&mut self, utterance: &Utterance, stop: &Stop) -> Result<Spoken, TtsError> {
        let Utterance { text, language, first, pause, cancel } = utterance;
        if cancel.is_cancelled() {
            return Err(TtsError::Cancelled);
        }
        let slot = self.slots.get_mut(language).ok_or(TtsError::Gone)?;
        slot.used = Some(Mono::now());
        let index = slot.voice;
        let drafted = self.draft.take_if(|((of, draft), _)| of == language && draft == text);
        let mut spoken = drafted.map(|(_, raw)| raw);
        if let (Some(index), None) = (index, &spoken) {
            match self.samples(text, *language, index, stop) {
                _ if cancel.is_cancelled() => return Err(TtsError::Cancelled),
                Ok(raw) => spoken = Some(raw),
                Err(error) => log::warn!("{error}; espeak-ng speaks instead"),
            }
        }
        let (raw, rate, gain, voice) = match (spoken, index.and_then(|index| self.voices.get(index))) {
            (Some(raw), Some(voice)) => (raw, voice.rate, voice.gain, voice.name.clone()),
            _ => {
                let slot = self.slots.get(language).ok_or(TtsError::Gone)?;
                let gain = slot.espeak_gain.map_or_else(|| self.try_espeak(*language), Ok)?;
                let slot = self.slots.get(language).ok_or(TtsError::Gone)?;
                let from = Mono::now();
                let (samples, rate) = slot.espeak.speak(&pronounce(text, *language))?;
                let raw = Raw { samples, compute: from.elapsed() };
                (raw, rate, gain, espeak::NAME.into())
            }
        };
        let fallback = index.is_some() && voice == espeak::NAME;
        let joined = sound::join(raw.samples, rate, gain, *first, *pause);
        let sound = seconds(joined.samples.len(), rate).saturating_sub(pause.length());
        let chunk = Measured { characters: text.chars().count(), sound, compute: raw.compute };
        self.ready.set_pace(*language, |pace| pace.observe(chunk));
        Ok(Spoken::made(joined, rate, voice, fallback))
    }

    /// A tiny inference of each voice that nobody has used for long.
    fn touch(&mut self) {
        let voices = self.slots.iter().filter_map(|(language, slot)| Some((*language, slot.voice?, slot.used)));
        let mut last: BTreeMap<usize, (Language, Option<Mono>)> = BTreeMap::new();
        for (language, index, used) in voices {
            let of = last.entry(index).or_insert((language, used));
            of.1 = of.1.max(used);
        }
        for (index, (language, used)) in last {
            if used.is_some_and(|used| used.elapsed() <= WARM) {
                continue;
            }
            if let Some(slot) = self.slots.get_mut(&language) {
                slot.used = Some(Mono::now());
            }
            if let Err(error) = self.samples("a", language, index, &Stop::default()) {
                log::warn!("{error}");
            }
        }
    }

    /// What the voice of `language` reads: phonemes, or the written text.
    fn front(&mut self, text: &str, language: Language) -> Result<String, TtsError> {
        let text = pronounce(text, language);
        let phonemizer = self.slots.get(&language).and_then(|slot| slot.phonemes.as_ref());
        match phonemizer.and_then(|name| self.phonemizers.get_mut(name)) {
            Some(phonemizer) => phonemizer.phonemes(&text),
            None => Ok(text),
        }
    }

    /// The samples of `text` at the voice's own level.
    fn samples(&mut self, text: &str, language: Language, index: usize, stop: &Stop) -> Result<Raw, TtsError> {
        let from = Mono::now();
        let front = self.front(text, language)?;
        let voice = self.voices.get_mut(index).ok_or(TtsError::Gone)?;
        let samples = if front.contains(char::is_alphanumeric) {
            let ids = voice.ids(&front, language);
            let run = stop.begin().and_then(|options| voice.infer(&ids, &options));
            run.map_err(|error| voice.misfit(format!("the inference failed: {}", one_line(error))))?
        } else {
            Vec::new()
        };
        Ok(Raw { samples, compute: from.elapsed() })
    }
}

fn seconds(samples: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(rate.max(1)))
}
