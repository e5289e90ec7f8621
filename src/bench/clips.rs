//! Recordings: a folder of WAV files with a list. `clips.toml` also tells where each word ends; the demo's
//! `questions.toml`, which does not, is read as well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::BenchError;
use crate::audio::Clip;
use crate::config::Language;

/// The lists that are looked for, in this order.
const LISTS: [&str; 2] = ["clips.toml", "questions.toml"];

/// One recorded sentence.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// The WAV file.
    pub file: PathBuf,
    /// Its sound.
    pub sound: Clip,
    /// Its language.
    pub language: Language,
    /// What is said in it.
    pub text: String,
    /// Where its words end, after the recording's begin, rising; empty where the list does not tell.
    pub word_ends: Vec<Duration>,
}

/// The recordings of a folder, never none.
#[derive(Clone, Debug)]
pub struct Clips {
    /// The folder.
    pub folder: PathBuf,
    /// In the list's order.
    pub sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(alias = "question")]
    clip: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    language: Language,
    text: String,
    #[serde(default)]
    word_ends_ms: Vec<f64>,
}

impl Clips {
    /// Reads every recording of a folder.
    ///
    /// # Errors
    /// [`BenchError::Clips`] for the list, [`BenchError::Audio`] for a WAV file.
    pub fn read(folder: &Path) -> Result<Self, BenchError> {
        let lists = LISTS.map(|list| folder.join(list));
        let Some(path) = lists.into_iter().find(|path| path.is_file()) else {
            let fault = "has neither clips.toml nor questions.toml; name a folder like models/demo/questions";
            return Err(BenchError::Clips { path: folder.to_owned(), fault: fault.to_owned() });
        };
        let fault = |fault: String| BenchError::Clips { path: path.clone(), fault };
        let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
        let list: List = toml::from_str(&text).map_err(|error| fault(error.to_string().trim().replace('\n', " ")))?;
        if list.clip.is_empty() {
            return Err(fault("no [[clip]] in it; see docs/performance.md for the format".to_owned()));
        }
        let sentences = list.clip.into_iter().map(|entry| {
            let file = folder.join(entry.file);
            let sound = Clip::read(&file)?;
            let word_ends = word_ends(&entry.word_ends_ms, &sound).map_err(|why| {
                fault(format!("word_ends_ms of {} {why}; correct it, or leave it out", file.display()))
            })?;
            Ok(Sentence { file, sound, language: entry.language, text: entry.text, word_ends })
        });
        Ok(Self { folder: folder.to_owned(), sentences: sentences.collect::<Result<_, BenchError>>()? })
    }
}

impl Sentence {
    /// Where a pause may come: after every word but the last.
    pub fn boundaries(&self) -> &[Duration] {
        self.word_ends.split_last().map_or(&[], |(_, inner)| inner)
    }
}

/// Length of a sound.
pub(super) fn length(sound: &Clip) -> Duration {
    Duration::from_secs_f64(sound.samples.len() as f64 / f64::from(sound.rate.max(1)))
}

fn word_ends(given: &[f64], sound: &Clip) -> Result<Vec<Duration>, &'static str> {
    let length_ms = length(sound).as_secs_f64() * 1e3;
    if !given.iter().all(|end| end.is_finite() && *end > 0.0 && *end <= length_ms) {
        return Err("has a word that ends outside of the recording");
    }
    if !given.is_sorted_by(|a, b| a < b) {
        return Err("does not rise");
    }
    Ok(given.iter().map(|end| Duration::from_secs_f64(end / 1e3)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Recording;
    use crate::clock::Mono;

    fn folder(list: &str, content: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let sound = Recording { rate: 16_000, start: Mono::from_nanos(0), samples: vec![100; 16_000] };
        sound.write(&dir.path().join("a.wav")).unwrap();
        std::fs::write(dir.path().join(list), content).unwrap();
        dir
    }

    const ONE: &str = "file = \"a.wav\"\nlanguage = \"fr\"\ntext = \"il est midi\"\n";

    #[test]
    fn a_list_with_word_ends_tells_where_a_pause_may_come() {
        let dir = folder("clips.toml", &format!("[[clip]]\n{ONE}word_ends_ms = [250, 400.5, 900]\n"));
        let clips = Clips::read(dir.path()).unwrap();
        let sentence = &clips.sentences[0];
        assert_eq!((sentence.language, sentence.text.as_str()), (Language::Fr, "il est midi"));
        assert_eq!(sentence.boundaries(), [Duration::from_millis(250), Duration::from_micros(400_500)]);
    }

    #[test]
    fn the_demos_list_is_a_set_without_pauses() {
        let dir = folder("questions.toml", &format!("[[question]]\n{ONE}"));
        assert!(Clips::read(dir.path()).unwrap().sentences[0].boundaries().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said_in_one_line() {
        let missing = Clips::read(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(missing.contains("/no/such/folder") && missing.contains("name a folder"), "{missing}");
        for (ends, words) in [("[250, 1200]", "outside"), ("[400, 250]", "does not rise"), ("[0]", "outside")] {
            let dir = folder("clips.toml", &format!("[[clip]]\n{ONE}word_ends_ms = {ends}\n"));
            let text = Clips::read(dir.path()).unwrap_err().to_string();
            assert!(text.contains("a.wav") && text.contains(words) && !text.contains('\n'), "{text}");
        }
        let dir = folder("clips.toml", "[[clip]]\nfile = 3\n");
        let text = Clips::read(dir.path()).unwrap_err().to_string();
        assert!(text.contains("clips.toml") && !text.contains('\n'), "{text}");
    }
}
