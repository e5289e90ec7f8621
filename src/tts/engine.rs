//! The voice's thread: loads, warms, then speaks one chunk after the other; and what may be wanted, while nothing is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::error::TtsError;
use super::espeak::{self, Espeak};
use super::pace::{Measured, Pace};
use super::phonemes::Phonemizer;
use super::pronounce::pronounce;
use super::ready::{Line, Ready};
use super::voice::{self, Voice};
use super::{MadeLine, Pause, Spoken, Utterance, VoiceFigures, WarmFigures, sound};
use crate::clock::Mono;
use crate::config::{Language, TtsSettings};
use crate::models::VoiceModel;
use crate::onnx::{self, Stop, one_line};

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
        ready: Arc<Ready>,
    ) -> Result<(Self, Names, WarmFigures), TtsError> {
        let from = Mono::now();
        let mut engine = Self {
            settings,
            ready,
            draft: None,
            lines: VecDeque::new(),
            made: None,
            voices: Vec::new(),
            slots: BTreeMap::new(),
            phonemizers: BTreeMap::new(),
        };
        let mut figures = Vec::new();
        let mut paces = BTreeMap::new();
        for (language, model) in &models {
            let files = (model.onnx.as_path(), model.json.as_path());
            let loaded = engine.voices.iter().position(|voice| voice.files() == files);
            let index = match loaded {
                Some(index) => index,
                None => {
                    let from = Mono::now();
                    let environment =
                        onnx::environment(engine.settings.onnxruntime.as_deref()).map_err(TtsError::Runtime)?;
                    let voice = Voice::load(&environment, model, &engine.settings, None)?;
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
            let pace = paces.entry(index).or_insert_with(|| engine.ready.pace(*language));
            engine.ready.set_pace(*language, |of| *of = *pace);
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

    /// The next message. Until one comes, lines are made; whoever sends one ends that.
    fn next(&mut self, inbox: &Receiver<Message>) -> Option<Message> {
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
        let (long, short) = (longest(language), shortest(language));
        let longest = self.samples(long, language, index, &Stop::default())?;
        let shortest = self.samples(short, language, index, &Stop::default())?;
        (figures.longest, figures.shortest) = (longest.compute, shortest.compute);
        let level = self.settings.level_dbfs;
        if let Some(voice) = self.voices.get_mut(index) {
            voice.gain = sound::gain(&longest.samples, voice.rate, level);
            figures.longest_audio = seconds(longest.samples.len(), voice.rate);
            figures.gain_db = 20.0 * voice.gain.log10();
            let (rate, gain) = (voice.rate, voice.gain);
            let measured = |text: &str, raw: Raw| {
                let sound = sound::join(raw.samples, rate, gain, true, Pause::None).samples.len();
                Measured { characters: text.chars().count(), sound: seconds(sound, rate), compute: raw.compute }
            };
            let pace = Pace::through(measured(short, shortest), measured(long, longest));
            self.ready.set_pace(language, |of| *of = pace);
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
        let drafted = self.draft.take_if(|((of, draft), _)| of == language && draft == text);
        let mut spoken = drafted.map(|(_, raw)| raw);
        if let (Some(index), None) = (index, &spoken) {
            match self.samples(text, *language, index, stop) {
                _ if cancel.is_cancelled() => return Err(TtsError::Cancelled),
                Ok(raw) => spoken = Some(raw),
                Err(error) => log::warn!("{error}; espeak-ng speaks instead"),
            }
        }
        let slot = self.slots.get(language).ok_or(TtsError::Gone)?;
        let (raw, rate, gain, voice) = match (spoken, index.and_then(|index| self.voices.get(index))) {
            (Some(raw), Some(voice)) => (raw, voice.rate, voice.gain, voice.name.clone()),
            _ => {
                let from = Mono::now();
                let (samples, rate) = slot.fallback.speak(&pronounce(text, *language))?;
                let raw = Raw { samples, compute: from.elapsed() };
                (raw, rate, slot.fallback_gain, espeak::NAME.into())
            }
        };
        let fallback = index.is_some() && voice == espeak::NAME;
        let joined = sound::join(raw.samples, rate, gain, *first, *pause);
        let sound = seconds(joined.samples.len(), rate).saturating_sub(pause.length());
        let chunk = Measured { characters: text.chars().count(), sound, compute: raw.compute };
        self.ready.set_pace(*language, |pace| pace.observe(chunk));
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
            cached: false,
        })
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

fn shortest(language: Language) -> &'static str {
    match language {
        Language::En => "Hello there.",
        Language::Fr => "Bonjour Paris.",
    }
}

fn seconds(samples: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(rate.max(1)))
}

fn longest(language: Language) -> &'static str {
    LONGEST.iter().find(|(of, _)| *of == language).map_or("", |(_, text)| text)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
