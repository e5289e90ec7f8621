//! The voice's thread: loads, warms, then speaks one chunk after the other.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ort::session::{NoSelectedOutputs, RunOptions};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::error::{TtsError, one_line};
use super::espeak::{self, Espeak};
use super::phonemes::Phonemizer;
use super::pronounce::pronounce;
use super::voice::{self, Voice};
use super::{Spoken, Utterance, VoiceFigures, WarmFigures, runtime, sound};
use crate::clock::Mono;
use crate::config::{Language, TtsSettings};
use crate::models::VoiceModel;

/// Ends the inference of an utterance that is cancelled.
#[derive(Default)]
pub(super) struct Stop {
    cancel: CancellationToken,
    running: Mutex<Option<Arc<RunOptions<NoSelectedOutputs>>>>,
}

impl Stop {
    pub(super) fn on(cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self { cancel, running: Mutex::default() })
    }

    /// Options for a run that [`Stop::end`] ends.
    fn begin(&self) -> Result<Arc<RunOptions<NoSelectedOutputs>>, ort::Error> {
        let options = Arc::new(RunOptions::new()?);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(options.clone());
        // The cancelling one may have looked before there was something to end.
        if self.cancel.is_cancelled() {
            options.terminate()?;
        }
        Ok(options)
    }

    /// Ends the run, if one runs. Call it once the token is cancelled.
    pub(super) fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = running.map(|options| options.terminate()) {
            log::debug!("the inference cannot be ended: {}", one_line(error));
        }
    }
}

/// What the thread is asked.
pub(super) enum Message {
    Speak(Box<Job>),
    Touch(Language),
}

pub(super) struct Job {
    pub(super) utterance: Utterance,
    pub(super) reply: oneshot::Sender<Result<Spoken, TtsError>>,
    pub(super) stop: Arc<Stop>,
}

/// A voice that spoke less than this ago is warm.
const WARM: Duration = Duration::from_secs(20);

/// The longest chunk that is expected, and what the level is measured on: some 30 words with all kinds of sounds.
const LONGEST: [(Language, &str); 2] = [
    (
        Language::En,
        "The weather this afternoon should stay mostly dry and quite mild, with a light breeze from the south, \
         although a few showers are possible over the hills before the evening comes.",
    ),
    (
        Language::Fr,
        "Le temps restera plutôt sec et assez doux cet après-midi, avec un vent léger venu du sud, même si quelques \
         averses sont possibles sur les collines avant que le soir ne tombe.",
    ),
];

/// The voices, warm.
pub(super) struct Engine {
    settings: TtsSettings,
    voices: Vec<Voice>,
    slots: BTreeMap<Language, Slot>,
    /// One for each espeak-ng voice that is needed.
    phonemizers: BTreeMap<String, Phonemizer>,
}

/// How a language is spoken.
struct Slot {
    /// Index of its voice; `None`: espeak-ng is the voice.
    voice: Option<usize>,
    /// The espeak-ng voice for its phonemes; `None`: the voice reads characters.
    phonemes: Option<String>,
    fallback: Espeak,
    fallback_gain: f32,
    fallback_rate: u32,
    used: Option<Mono>,
}

/// Name and rate of each language's voice.
type Names = BTreeMap<Language, (String, u32)>;

impl Engine {
    /// Loads and warms everything. Blocking.
    pub(super) fn load(
        settings: TtsSettings,
        models: Vec<(Language, VoiceModel)>,
    ) -> Result<(Self, Names, WarmFigures), TtsError> {
        let from = Mono::now();
        let mut engine = Self { settings, voices: Vec::new(), slots: BTreeMap::new(), phonemizers: BTreeMap::new() };
        let mut figures = Vec::new();
        for (language, model) in &models {
            let files = (model.onnx.as_path(), model.json.as_path());
            let loaded = engine.voices.iter().position(|voice| voice.files() == files);
            let index = match loaded {
                Some(index) => index,
                None => {
                    let from = Mono::now();
                    let environment = runtime::environment(engine.settings.onnxruntime.as_deref())?;
                    let voice = Voice::load(&environment, model, &engine.settings)?;
                    figures.push(VoiceFigures {
                        name: voice.name.clone(),
                        provider: voice.provider,
                        load: from.elapsed(),
                        longest: Duration::ZERO,
                        longest_audio: Duration::ZERO,
                        shortest: Duration::ZERO,
                        gain_db: 0.0,
                    });
                    engine.voices.push(voice);
                    engine.voices.len() - 1
                }
            };
            engine.add(*language, Some(index))?;
            if loaded.is_none() {
                engine.warm(*language, index, &mut figures[index])?;
            } else {
                engine.check_phonemes(*language, index)?;
            }
        }
        for language in [Language::En, Language::Fr] {
            if !engine.slots.contains_key(&language) {
                engine.add(language, None)?;
            }
        }
        let names = engine.slots.iter().map(|(language, slot)| {
            let voice = slot.voice.and_then(|index| engine.voices.get(index));
            (*language, voice.map_or((espeak::NAME.into(), slot.fallback_rate), |v| (v.name.clone(), v.rate)))
        });
        let names = names.collect();
        let warm = WarmFigures { total: from.elapsed(), voices: figures };
        for voice in &warm.voices {
            log::info!(
                "voice {} ready on {:?}: load {:.0} ms, longest chunk {:.0} ms for {:.1} s, shortest {:.0} ms, gain {:+.1} dB",
                voice.name,
                voice.provider,
                ms(voice.load),
                ms(voice.longest),
                voice.longest_audio.as_secs_f64(),
                ms(voice.shortest),
                voice.gain_db,
            );
        }
        Ok((engine, names, warm))
    }

    /// Answers until the last handle is gone.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        while let Ok(message) = inbox.recv() {
            match message {
                Message::Touch(language) => self.touch(language),
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

    fn add(&mut self, language: Language, voice: Option<usize>) -> Result<(), TtsError> {
        let phonemes = voice.and_then(|index| self.voices.get(index)?.espeak_voice(language));
        if let Some(name) = &phonemes
            && !self.phonemizers.contains_key(name)
        {
            self.phonemizers.insert(name.clone(), Phonemizer::start(&self.settings.espeak, name)?);
        }
        let name = phonemes.as_deref().unwrap_or_else(|| voice::default_espeak_voice(language));
        let fallback = Espeak::new(&self.settings.espeak, name, self.settings.speed);
        let text = longest(language);
        // Tried at the start, so that it is there when it is needed.
        let (gain, rate) = match fallback.speak(text) {
            Ok((samples, rate)) => (sound::gain(&samples, rate, self.settings.level_dbfs), rate),
            // It is the language's only voice.
            Err(error) if super::voice_name(&self.settings, language).is_none() => return Err(error),
            Err(error) => {
                log::warn!("the fallback voice for {} is not available: {error}", language.code());
                (1.0, 22_050)
            }
        };
        let slot = Slot { voice, phonemes, fallback, fallback_gain: gain, fallback_rate: rate, used: None };
        self.slots.insert(language, slot);
        Ok(())
    }

    /// The longest text and a short one through the whole way: the figures, and the gain.
    fn warm(&mut self, language: Language, index: usize, figures: &mut VoiceFigures) -> Result<(), TtsError> {
        self.check_phonemes(language, index)?;
        let from = Mono::now();
        let samples = self.samples(longest(language), language, index, &Stop::default())?;
        figures.longest = from.elapsed();
        let from = Mono::now();
        self.samples(
            if language == Language::En { "Hello there." } else { "Bonjour Paris." },
            language,
            index,
            &Stop::default(),
        )?;
        figures.shortest = from.elapsed();
        let level = self.settings.level_dbfs;
        if let Some(voice) = self.voices.get_mut(index) {
            voice.gain = sound::gain(&samples, voice.rate, level);
            figures.longest_audio = Duration::from_secs_f64(samples.len() as f64 / f64::from(voice.rate));
            figures.gain_db = 20.0 * voice.gain.log10();
        }
        Ok(())
    }

    /// A table that does not know the language's phonemes would swallow words without a fault.
    fn check_phonemes(&mut self, language: Language, index: usize) -> Result<(), TtsError> {
        let phonemes = self.front(longest(language), language)?;
        let Some(voice) = self.voices.get(index) else { return Ok(()) };
        let (unknown, known) = voice.unknown(&phonemes);
        let count = unknown.chars().count();
        if count * 4 > known {
            return Err(voice.misfit(format!(
                "its table lacks {count} of {} phonemes of espeak-ng's {}: {unknown}: it speaks another language",
                count + known,
                voice.espeak_voice(language).unwrap_or_default()
            )));
        }
        if count > 0 {
            log::warn!("voice {}: no id for the phonemes {unknown} of {}", voice.name, language.code());
        }
        Ok(())
    }

    fn speak(&mut self, utterance: &Utterance, stop: &Stop) -> Result<Spoken, TtsError> {
        let Utterance { text, language, first, pause, cancel } = utterance;
        if cancel.is_cancelled() {
            return Err(TtsError::Cancelled);
        }
        let slot = self.slots.get_mut(language).ok_or(TtsError::Gone)?;
        slot.used = Some(Mono::now());
        let index = slot.voice;
        let mut spoken = None;
        if let Some(index) = index {
            match self.samples(text, *language, index, stop) {
                _ if cancel.is_cancelled() => return Err(TtsError::Cancelled),
                Ok(samples) => spoken = Some(samples),
                Err(error) => log::warn!("{error}; espeak-ng speaks instead"),
            }
        }
        let slot = self.slots.get(language).ok_or(TtsError::Gone)?;
        let (samples, rate, gain, voice) = match (spoken, index.and_then(|index| self.voices.get(index))) {
            (Some(samples), Some(voice)) => (samples, voice.rate, voice.gain, voice.name.clone()),
            _ => {
                let (samples, rate) = slot.fallback.speak(&pronounce(text, *language))?;
                (samples, rate, slot.fallback_gain, espeak::NAME.into())
            }
        };
        let fallback = index.is_some() && voice == espeak::NAME;
        let joined = sound::join(samples, rate, gain, *first, *pause);
        let now = Mono::now();
        Ok(Spoken {
            samples: joined.samples,
            rate,
            lead_silence: joined.lead,
            // The network gives all of a chunk at once.
            first_pcm: now,
            done: now,
            voice,
            fallback,
        })
    }

    fn touch(&mut self, language: Language) {
        let Some(slot) = self.slots.get_mut(&language) else { return };
        let idle = slot.used.is_none_or(|used| used.elapsed() > WARM);
        if let (true, Some(index)) = (idle, slot.voice) {
            slot.used = Some(Mono::now());
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
    fn samples(&mut self, text: &str, language: Language, index: usize, stop: &Stop) -> Result<Vec<f32>, TtsError> {
        let front = self.front(text, language)?;
        if !front.contains(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let voice = self.voices.get_mut(index).ok_or(TtsError::Gone)?;
        let ids = voice.ids(&front, language);
        let run = stop.begin().and_then(|options| voice.infer(&ids, &options));
        run.map_err(|error| voice.misfit(format!("the inference failed: {}", one_line(error))))
    }
}

fn longest(language: Language) -> &'static str {
    LONGEST.iter().find(|(of, _)| *of == language).map_or("", |(_, text)| text)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
