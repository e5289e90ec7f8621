//! MMS-TTS: characters into ids, with the blank between them that these networks were trained with.
//!
//! The JSON is the `vocab.json` of the voice (an object of character → id), or an object with that under `vocab` and
//! beside it, where they differ from MMS-TTS's own, `sampling_rate` (16000), `add_blank` (true), `noise_scale` (0.667),
//! `noise_scale_duration` (0.8) and `speaking_rate` (1). A network as Hugging Face's exporters write it has its pace and
//! noise built in: for those the last three, and `tts.speed`, change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Style, numbers};
use crate::config::Language;

/// The table of an MMS-TTS voice.
#[derive(Debug)]
pub(super) struct Mms {
    pub(super) rate: u32,
    pub(super) style: Style,
    ids: BTreeMap<char, i64>,
    add_blank: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Whole(Whole),
    Vocab(BTreeMap<String, i64>),
}

#[derive(Deserialize)]
struct Whole {
    vocab: BTreeMap<String, i64>,
    #[serde(default = "rate")]
    sampling_rate: u32,
    #[serde(default = "yes")]
    add_blank: bool,
    noise_scale: Option<f32>,
    noise_scale_duration: Option<f32>,
    speaking_rate: Option<f32>,
}

fn rate() -> u32 {
    16_000
}

fn yes() -> bool {
    true
}

impl Mms {
    /// Reads and checks the JSON; the fault does not name the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("the JSON cannot be read: {error}"))?;
        let file = serde_json::from_str(&text)
            .map_err(|error| format!("the JSON is no table of characters ({{\"a\": 1, …}}): {error}"))?;
        let whole = match file {
            File::Whole(whole) => whole,
            File::Vocab(vocab) => Whole {
                vocab,
                sampling_rate: rate(),
                add_blank: true,
                noise_scale: None,
                noise_scale_duration: None,
                speaking_rate: None,
            },
        };
        if !(8_000..=48_000).contains(&whole.sampling_rate) {
            return Err(format!("sampling_rate is {}: voices have 8000 to 48000 Hz", whole.sampling_rate));
        }
        let single = |(text, id): (String, i64)| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none()).map(|c| (c, id))
        };
        let ids: BTreeMap<char, i64> = whole.vocab.into_iter().filter_map(single).collect();
        if !('a'..='e').all(|letter| ids.contains_key(&letter)) || ids.values().any(|&id| id < 0) {
            return Err("the table has not the letters of French and English: it is another language's".into());
        }
        Ok(Self {
            rate: whole.sampling_rate,
            style: Style {
                noise: whole.noise_scale.unwrap_or(0.667),
                length: 1.0 / whole.speaking_rate.unwrap_or(1.0),
                duration_noise: whole.noise_scale_duration.unwrap_or(0.8),
                speaker: 0,
            },
            ids,
            add_blank: whole.add_blank,
        })
    }

    /// The ids of a text, in small letters, with its numbers in words; what the voice does not know is left out.
    pub(super) fn ids(&self, text: &str, language: Language) -> Vec<i64> {
        let text = numbers::in_words(text, language).to_lowercase().replace('’', "'");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.blanked(text.chars().filter_map(|c| self.ids.get(&c)))
    }

    /// Every id of the table in one text.
    pub(super) fn every_id(&self) -> Vec<i64> {
        self.blanked(self.ids.values())
    }

    fn blanked<'a>(&self, ids: impl Iterator<Item = &'a i64>) -> Vec<i64> {
        if !self.add_blank {
            return ids.copied().collect();
        }
        // The blank is the id 0, whatever character has it.
        let mut out = vec![0];
        out.extend(ids.flat_map(|&id| [id, 0]));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_ids_with_blanks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.json");
        fs::write(&path, r#"{"k": 0, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, " ": 6, "u": 7, "x": 8, "<unk>": 9}"#)
            .unwrap();
        let mms = Mms::read(&path).unwrap();
        assert_eq!(mms.ids("Ab,  2?", Language::Fr), [0, 1, 0, 2, 0, 6, 0, 4, 0, 5, 0, 7, 0, 8, 0]);
        assert_eq!(mms.rate, 16_000);
        fs::write(&path, r#"{"vocab": {"ж": 1}, "sampling_rate": 16000}"#).unwrap();
        assert!(Mms::read(&path).unwrap_err().contains("another language"));
    }
}
