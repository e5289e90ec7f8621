//! Piper's JSON, and phonemes into ids as Piper does it: `^ _`, each phoneme followed by `_`, `$`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::Style;

/// The table of a Piper voice.
#[derive(Debug)]
pub(super) struct Piper {
    pub(super) rate: u32,
    pub(super) style: Style,
    /// The espeak-ng voice that it was trained with.
    pub(super) espeak: Option<String>,
    pub(super) speakers: u32,
    ids: BTreeMap<char, Vec<i64>>,
    /// Phonemes to replace before the table is asked.
    replaced: BTreeMap<char, Vec<char>>,
    pad: Vec<i64>,
    begin: Vec<i64>,
    end: Vec<i64>,
}

#[derive(Deserialize)]
struct File {
    audio: Audio,
    #[serde(default)]
    espeak: Espeak,
    #[serde(default)]
    inference: Inference,
    phoneme_type: Option<String>,
    #[serde(default)]
    phoneme_map: BTreeMap<char, Vec<char>>,
    phoneme_id_map: BTreeMap<String, Vec<i64>>,
    num_symbols: Option<i64>,
    num_speakers: Option<u32>,
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Default, Deserialize)]
struct Espeak {
    voice: Option<String>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for Inference {
    fn default() -> Self {
        Self { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

impl Piper {
    /// Reads and checks `X.onnx.json`; the fault does not name the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("the JSON cannot be read: {error}"))?;
        let file: File = serde_json::from_str(&text).map_err(|error| format!("the JSON is not Piper's: {error}"))?;
        if let Some(kind) = file.phoneme_type.filter(|kind| kind != "espeak") {
            return Err(format!("phoneme_type is {kind}: only voices of espeak phonemes are known"));
        }
        if !(8_000..=48_000).contains(&file.audio.sample_rate) {
            return Err(format!("audio.sample_rate is {}: voices have 8000 to 48000 Hz", file.audio.sample_rate));
        }
        let all = || file.phoneme_id_map.values().flatten();
        if let Some(id) = all().find(|&&id| id < 0 || file.num_symbols.is_some_and(|symbols| id >= symbols)) {
            return Err(format!("phoneme_id_map has the id {id}, num_symbols is {}", file.num_symbols.unwrap_or(0)));
        }
        let special = |name: &str| {
            let ids = file.phoneme_id_map.get(name).filter(|ids| !ids.is_empty()).cloned();
            ids.ok_or_else(|| format!("phoneme_id_map has no {name}: replace the JSON"))
        };
        let (pad, begin, end) = (special("_")?, special("^")?, special("$")?);
        let single = |(phoneme, ids): (&String, &Vec<i64>)| {
            let mut chars = phoneme.chars();
            let first = chars.next()?;
            // Text must not be able to say a control symbol.
            (chars.next().is_none() && !matches!(first, '_' | '^' | '$')).then(|| (first, ids.clone()))
        };
        Ok(Self {
            rate: file.audio.sample_rate,
            style: Style {
                noise: file.inference.noise_scale,
                length: file.inference.length_scale,
                duration_noise: file.inference.noise_w,
                speaker: 0,
            },
            espeak: file.espeak.voice,
            speakers: file.num_speakers.unwrap_or(1),
            ids: file.phoneme_id_map.iter().filter_map(single).collect(),
            replaced: file.phoneme_map,
            pad,
            begin,
            end,
        })
    }

    /// The ids of phonemes in IPA. Those that the voice does not know are left out.
    pub(super) fn ids(&self, phonemes: &str) -> Vec<i64> {
        self.framed(self.symbols(phonemes).filter_map(|phoneme| self.ids.get(&phoneme)))
    }

    /// The phonemes that have no id, each once, and how many have one.
    pub(super) fn unknown(&self, phonemes: &str) -> (String, usize) {
        let unknown: BTreeSet<char> = self.symbols(phonemes).filter(|p| !self.ids.contains_key(p)).collect();
        let known: BTreeSet<char> = self.symbols(phonemes).filter(|p| self.ids.contains_key(p)).collect();
        (unknown.into_iter().collect(), known.len())
    }

    /// Every id of the table in one text.
    pub(super) fn every_id(&self) -> Vec<i64> {
        self.framed(self.ids.values())
    }

    fn framed<'a>(&self, phonemes: impl Iterator<Item = &'a Vec<i64>>) -> Vec<i64> {
        let mut ids = [&self.begin[..], &self.pad].concat();
        for phoneme in phonemes {
            ids.extend(phoneme);
            ids.extend(&self.pad);
        }
        ids.extend(&self.end);
        ids
    }

    /// Code points, decomposed as Piper's are: of espeak-ng's only ç is composed.
    fn symbols<'a>(&'a self, phonemes: &'a str) -> impl Iterator<Item = char> + 'a {
        let replaced = |c| self.replaced.get(&c).cloned().unwrap_or_else(|| vec![c]);
        let decomposed = |c| if c == 'ç' { vec!['c', '\u{327}'] } else { vec![c] };
        phonemes.chars().flat_map(replaced).flat_map(decomposed)
    }
}
