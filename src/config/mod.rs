//! Configuration: raw TOML in, checked [`Config`] out, every fault at once.
//!
//! Sources, the later over the earlier: the built-in defaults, the file, its drop-ins (`elio.toml.d/*.toml`, by
//! name), the environment (`ELIO_ENDPOINT__SILENCE=500ms`), the flags (`--set endpoint.silence=500ms`). A value is
//! checked even where a later source covers it, and each effective one remembers where it came from.
//!
//! * `source`: the files, the environment and the flags, as values with their origin; unknown names are found here.
//! * `kind`: what a value may be (duration, number, path, choice…), how it is read and how it is written.
//! * `reader`: one key at a time, the last good value wins, every bad one becomes a fault.
//! * `schema`: every key with its default and its bounds; the one place to add a key.
//! * `checks`: rules between keys.
//! * `fault`, `print`, `duration`: what people see.

mod checks;
mod duration;
mod fault;
mod kind;
mod print;
mod reader;
mod schema;
mod settings;
mod source;

use std::path::{Path, PathBuf};

pub use fault::{Fault, Faults, Origin};
pub use print::Effective;
pub use settings::*;

use reader::Reader;
use source::{Gathered, Known};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "/etc/elio/elio.toml";

/// Where [`load`] looks.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file to read; none: [`DEFAULT_FILE`] where it exists, else the defaults.
    pub file: Option<PathBuf>,
    /// The environment; only names that begin with `ELIO_` are looked at.
    pub env: Vec<(String, String)>,
    /// `key=value`, the value as TOML or as a bare string.
    pub set: Vec<String>,
}

impl LoadOptions {
    /// The options of a process: its own environment beside a file and flags.
    pub fn from_process(file: Option<PathBuf>, set: Vec<String>) -> Self {
        let env = std::env::vars_os()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ELIO_"))
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self { file, env, set }
    }
}

/// A checked configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// Every key with its value and origin, in the order of the schema. No secret is in it.
    pub effective: Vec<Effective>,
}

/// Reads and checks everything.
///
/// # Errors
/// All the faults of all the sources at once; then nothing of the configuration is usable.
pub fn load(options: &LoadOptions) -> Result<Loaded, Faults> {
    load_from(options, Path::new(DEFAULT_FILE))
}

/// What can be read of a configuration that has faults: a bad value counts as not given. For whoever only has to tell a
/// person that something is wrong.
pub fn load_what_is_right(options: &LoadOptions) -> Config {
    let Gathered { given, faults, .. } = source::gather(options, Path::new(DEFAULT_FILE), &known());
    schema::read(&mut Reader::new(&given, faults))
}

fn load_from(options: &LoadOptions, default_file: &Path) -> Result<Loaded, Faults> {
    let Gathered { given, faults, files, tried } = source::gather(options, default_file, &known());
    let mut reader = Reader::new(&given, faults);
    let config = schema::read(&mut reader);
    checks::check(&config, &mut reader);
    let (faults, effective) = reader.finish();
    if faults.is_empty() { Ok(Loaded { config, files, effective }) } else { Err(Faults::sorted(faults, files, &tried)) }
}

impl Default for Config {
    /// The built-in defaults, the same as those of `configs/elio.toml`.
    fn default() -> Self {
        schema::read(&mut Reader::new(&Default::default(), Vec::new()))
    }
}

/// The names that the schema knows: what it asks for when nothing is given.
fn known() -> Known {
    let nothing = Default::default();
    let mut reader = Reader::new(&nothing, Vec::new());
    schema::read(&mut reader);
    Known::new(reader.finish().1.into_iter().map(|e| e.key))
}

/// The sections in which two configurations differ, for a reload that restarts only what must be.
pub fn changed_sections(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("language", old.language != new.language),
        ("audio.capture", old.capture != new.capture),
        ("audio.playback", old.playback != new.playback),
        ("wake", old.wake != new.wake),
        ("endpoint", old.endpoint != new.endpoint),
        ("speculation", old.speculation != new.speculation),
        ("stt", old.stt != new.stt),
        ("claude", old.claude != new.claude),
        ("tts", old.tts != new.tts),
        ("latency", old.latency != new.latency),
        ("daemon", old.daemon != new.daemon),
        ("models", old.models != new.models),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_named_file_the_usual_one_and_its_drop_ins_are_read_where_they_exist() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("elio.toml");
        let none = load_from(&LoadOptions::default(), &usual).unwrap();
        assert_eq!((none.config, none.files), (Config::default(), vec![]));

        std::fs::create_dir(dir.path().join("elio.toml.d")).unwrap();
        let drop_in = dir.path().join("elio.toml.d/10-mode.toml");
        std::fs::write(&drop_in, "wake.mode = \"hold\"").unwrap();
        let alone = load_from(&LoadOptions::default(), &usual).unwrap();
        assert_eq!((alone.config.wake.mode, alone.files), (WakeMode::Hold, vec![drop_in.clone()]));

        std::fs::write(&usual, "stt.gpu = true").unwrap();
        let both = load_from(&LoadOptions::default(), &usual).unwrap();
        assert!(both.config.stt.gpu);
        assert_eq!(both.files, [usual, drop_in]);
    }

    #[test]
    fn of_a_bad_file_what_is_right_can_be_had() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("elio.toml");
        let options = LoadOptions { file: Some(file.clone()), ..LoadOptions::default() };
        std::fs::write(&file, "stt.gpu = 7\nlanguage.speak = \"fr\"\nnonsense = 1").unwrap();
        assert!(load(&options).is_err());
        let config = load_what_is_right(&options);
        assert_eq!((config.stt.gpu, config.language.speak), (Config::default().stt.gpu, Language::Fr));
        std::fs::write(&file, "[[[").unwrap();
        assert_eq!(load_what_is_right(&options), Config::default());
    }

    #[test]
    fn a_reload_knows_which_sections_changed() {
        let old = Config::default();
        assert_eq!(changed_sections(&old, &old), [""; 0]);
        let mut new = old.clone();
        new.playback.rate = Some(48_000);
        new.models.dirs.clear();
        assert_eq!(changed_sections(&old, &new), ["audio.playback", "models"]);
    }
}
