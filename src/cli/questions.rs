//! Recorded questions: a folder with `questions.toml` and the WAV files that it names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CliError, Exit};
use crate::audio::Clip;
use crate::config::Language;

/// One recorded question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The WAV file.
    pub(super) file: PathBuf,
    /// Its sound.
    pub(super) clip: Clip,
    /// Its language.
    pub(super) language: Language,
    /// What is said in it, as it was recorded.
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    question: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    language: Language,
    text: String,
}

/// Reads every question of a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Question>, CliError> {
    let path = folder.join("questions.toml");
    let named = |error: &dyn std::fmt::Display| CliError::new(Exit::Failed, format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| named(&format!("{error}; --questions names a folder like models/demo/questions")))?;
    let list: List = toml::from_str(&text).map_err(|error| named(&error.to_string().replace('\n', " ")))?;
    if list.question.is_empty() {
        return Err(named(&"no [[question]] in it"));
    }
    let read = |entry: Entry| {
        let file = folder.join(entry.file);
        let clip = Clip::read(&file).map_err(|error| CliError::new(Exit::Failed, error))?;
        Ok(Question { file, clip, language: entry.language, text: entry.text })
    };
    list.question.into_iter().map(read).collect()
}
