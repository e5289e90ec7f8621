//! How the voices come to be warm: loaded, tried, spoken through once with the longest text that is expected.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Raw, Slot, seconds};
use crate::clock::Mono;
use crate::config::{Language, TtsSettings};
use crate::models::VoiceModel;
use crate::onnx::{self, Stop};
use crate::tts::error::TtsError;
use crate::tts::espeak::{self, Espeak};
use crate::tts::pace::{Measured, Pace};
use crate::tts::phonemes::Phonemizer;
use crate::tts::ready::Ready;
use crate::tts::voice::{self, Voice};
use crate::tts::{Pause, VoiceFigures, WarmFigures, sound};

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

/// Name and rate of each language's voice.
type Names = BTreeMap<Language, (String, u32)>;

impl Engine {
    /// Loads and warms everything. Blocking.
    pub(in crate::tts) fn load(
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
            untried: Vec::new(),
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
            (*language, voice.map_or((espeak::NAME.into(), slot.espeak_rate), |v| (v.name.clone(), v.rate)))
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

    fn add(&mut self, language: Language, voice: Option<usize>) -> Result<(), TtsError> {
        let phonemes = voice.and_then(|index| self.voices.get(index)?.espeak_voice(language));
        if let Some(name) = &phonemes
            && !self.phonemizers.contains_key(name)
        {
            self.phonemizers.insert(name.clone(), Phonemizer::start(&self.settings.espeak, name)?);
        }
        let name = phonemes.as_deref().unwrap_or_else(|| voice::default_espeak_voice(language));
        let espeak = Espeak::new(&self.settings.espeak, name, self.settings.speed);
        let slot = Slot { voice, phonemes, espeak, espeak_gain: None, espeak_rate: espeak::RATE, used: None };
        self.slots.insert(language, slot);
        if crate::tts::voice_name(&self.settings, language).is_none() {
            // It is the language's only voice.
            self.try_espeak(language)?;
        } else {
            self.untried.push(language);
        }
        Ok(())
    }

    /// Lets espeak-ng speak once, for its level, and so that who reads the log knows before it is needed that it is not there.
    pub(super) fn try_espeak(&mut self, language: Language) -> Result<f32, TtsError> {
        self.untried.retain(|untried| *untried != language);
        let level = self.settings.level_dbfs;
        let slot = self.slots.get_mut(&language).ok_or(TtsError::Gone)?;
        let (samples, rate) = slot.espeak.speak(longest(language))?;
        let gain = sound::gain(&samples, rate, level);
        (slot.espeak_gain, slot.espeak_rate) = (Some(gain), rate);
        Ok(gain)
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
}

fn shortest(language: Language) -> &'static str {
    match language {
        Language::En => "Hello there.",
        Language::Fr => "Bonjour Paris.",
    }
}

fn longest(language: Language) -> &'static str {
    LONGEST.iter().find(|(of, _)| *of == language).map_or("", |(_, text)| text)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
