//! What is wrong with a configuration: one line for each fault, with the place, the key, the value, what is allowed
//! and the nearest name. Nothing that could be a secret is shown.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "<hidden>";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file, and the line in it (from 1) where there is one.
    File {
        /// As it was named or found.
        path: PathBuf,
        /// From 1.
        line: Option<usize>,
    },
    /// A variable of the environment, by its name.
    Environment(String),
    /// `--set`.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", one_line(&path.to_string_lossy())),
            Origin::File { path, line: None } => f.write_str(&one_line(&path.to_string_lossy())),
            Origin::Environment(name) => write!(f, "environment {}", one_line(name)),
            Origin::Flag => f.write_str("flag --set"),
        }
    }
}

/// One thing that is wrong. The person mends it at its origin; the program cannot go on without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub origin: Origin,
    /// Key or section path, such as `endpoint.silence`; none for a fault of a whole file.
    pub key: Option<String>,
    /// The value as it was given, shortened; secrets hidden.
    pub value: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
    /// The nearest name that is known, for a name that is not.
    pub nearest: Option<String>,
}

impl Fault {
    /// As `elio check --json` writes it.
    pub fn to_json(&self) -> Value {
        let (file, line) = match &self.origin {
            Origin::File { path, line } => (Some(path.to_string_lossy()), *line),
            _ => (None, None),
        };
        json!({
            "file": file, "line": line, "origin": self.origin.to_string(), "key": self.key,
            "value": self.value, "message": self.message, "nearest": self.nearest,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if let Some(key) = &self.key {
            f.write_str(&one_line(key))?;
            if let Some(value) = &self.value {
                write!(f, " = {}", one_line(value))?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&one_line(&self.message))?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// Every fault of a configuration, in the order of the sources and their lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The files that could be read.
    pub files: Vec<PathBuf>,
    faults: Vec<Fault>,
}

impl Faults {
    /// `tried`: the files in the order of reading, those among them that could not be read too.
    pub(super) fn sorted(mut faults: Vec<Fault>, files: Vec<PathBuf>, tried: &[PathBuf]) -> Self {
        let place = |fault: &Fault| match &fault.origin {
            Origin::File { path, line } => (0, tried.iter().position(|f| f == path), *line),
            Origin::Environment(_) => (1, None, None),
            Origin::Flag => (2, None, None),
            Origin::Default => (3, None, None),
        };
        faults.sort_by_key(place);
        Self { files, faults }
    }

    /// The faults, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    /// One fault a line, no newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name nearest to an unknown one, where one is near enough to be meant. The last part of a path counts
/// most, so that a key in the wrong section finds its own.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let (section, leaf) = split(name);
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let (its_section, its_leaf) = split(candidate);
        let mut alike = strsim::normalized_damerau_levenshtein(leaf, its_leaf);
        if leaf.len() > 3 && its_leaf.contains(leaf) {
            alike = alike.max(0.75);
        }
        let score = 0.7 * alike + 0.3 * strsim::normalized_damerau_levenshtein(section, its_section);
        if score >= 0.65 && best.is_none_or(|(top, _)| score > top) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// A path as its section and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// A value fit to be shown: shortened, an API key and the user information of a URL hidden.
pub(super) fn shown(value: &str) -> String {
    if looks_like_a_key(value) {
        return HIDDEN.into();
    }
    // The last '@': a password may hold one, and hiding too much is the safe side.
    let value = match (value.find("://"), value.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}{HIDDEN}{}", &value[..scheme + 3], &value[at..]),
        _ => value.to_owned(),
    };
    if value.chars().count() > 60 { value.chars().take(59).chain(['…']).collect() } else { value }
}

/// Whether a text holds an API key of Claude.
pub(super) fn looks_like_a_key(text: &str) -> bool {
    text.contains("sk-ant-")
}

/// A text without control characters: a line of TOML may span several lines, and a path may hold any byte.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known =
            ["endpoint.silence", "endpoint.threshold", "language.speak", "claude.connect_timeout", "tts.voice_en"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("endpoint.silense").as_deref(), Some("endpoint.silence"));
        assert_eq!(near("endpoit.silence").as_deref(), Some("endpoint.silence"));
        assert_eq!(near("silence").as_deref(), Some("endpoint.silence"));
        assert_eq!(near("claude.speak").as_deref(), Some("language.speak"));
        assert_eq!(near("claude.timeout").as_deref(), Some("claude.connect_timeout"));
        assert_eq!(near("tts.voice").as_deref(), Some("tts.voice_en"));
        assert_eq!(near("endpoint.colour"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("\"sk-ant-api03-abc\""), HIDDEN);
        assert_eq!(shown("https://me:p@ss/word@host:8443"), "https://<hidden>@host:8443");
        assert_eq!(shown("https://host"), "https://host");
        assert_eq!(shown("mail@host://x"), "mail@host://x");
        assert_eq!(shown(&"é".repeat(61)).chars().count(), 60);
    }
}
