//! The API key: found in one of three places, sent as a header, shown nowhere.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hyper::header::HeaderValue;

use super::ClaudeError;
use crate::config::ClaudeSettings;

/// Name of the credential in systemd's `$CREDENTIALS_DIRECTORY`, and of the environment variable.
const CREDENTIAL: &str = "anthropic-api-key";
const VARIABLE: &str = "ANTHROPIC_API_KEY";

/// An API key, and where it came from. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct ApiKey {
    value: HeaderValue,
    place: String,
}

impl ApiKey {
    /// Looks into systemd's credential, then `claude.key_file`, then `ANTHROPIC_API_KEY`; the first that exists counts.
    /// `env` gives the value of an environment variable.
    ///
    /// # Errors
    ///
    /// [`ClaudeError::NoKey`] where no place has one, [`ClaudeError::BadKey`] where one has something else.
    pub fn find(settings: &ClaudeSettings, env: impl Fn(&str) -> Option<String>) -> Result<ApiKey, ClaudeError> {
        if let Some(folder) = env("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())
            && let Some(key) = Self::read(&Path::new(&folder).join(CREDENTIAL), "the credential")?
        {
            return Ok(key);
        }
        let mut missing = String::new();
        if let Some(path) = &settings.key_file {
            if let Some(key) = Self::read(path, "claude.key_file")? {
                warn_if_open(path);
                return Ok(key);
            }
            missing = format!(" ({} does not exist)", path.display());
        }
        match env(VARIABLE).filter(|value| !value.trim().is_empty()) {
            Some(value) => Self::new(&value, VARIABLE.to_owned()),
            None => Err(ClaudeError::NoKey { key_file: missing }),
        }
    }

    /// A key given by the caller; `place` is named in errors.
    ///
    /// # Errors
    ///
    /// [`ClaudeError::BadKey`] where it is empty or cannot stand in a header.
    pub fn new(value: &str, place: String) -> Result<ApiKey, ClaudeError> {
        let value = value.trim();
        if value.is_empty() {
            return Err(ClaudeError::BadKey { place, fault: "is empty".to_owned() });
        }
        if let Some(at) = value.chars().position(|c| !c.is_ascii_graphic()) {
            let fault = format!("has a character that no key has, at position {} (a second line, a space?)", at + 1);
            return Err(ClaudeError::BadKey { place, fault });
        }
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                Ok(ApiKey { value, place })
            }
            Err(_) => Err(ClaudeError::BadKey { place, fault: "cannot stand in a header".to_owned() }),
        }
    }

    /// Where it came from.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.value.clone()
    }

    /// True where `text` holds the key.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.value.to_str().is_ok_and(|key| text.contains(key))
    }

    fn read(path: &Path, what: &str) -> Result<Option<ApiKey>, ClaudeError> {
        let place = format!("{what} {}", path.display());
        match std::fs::read_to_string(path) {
            Ok(text) => Self::new(&text, place).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ClaudeError::BadKey { place, fault: format!("cannot be read: {error}") }),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(from {})", self.place)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key from {}", self.place)
    }
}

fn warn_if_open(path: &Path) {
    if let Ok(meta) = std::fs::metadata(path)
        && is_open(meta.mode())
    {
        log::warn!("claude.key_file {} can be read by every user: chmod 600 it", path.display());
    }
}

fn is_open(mode: u32) -> bool {
    mode & 0o007 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::tests::settings;

    fn env<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_places_are_asked_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let credentials = folder.path().to_str().unwrap();
        let mut settings = settings();
        settings.key_file = Some(file.clone());
        let all = [("CREDENTIALS_DIRECTORY", credentials), (VARIABLE, "from-env")];
        let find = |settings: &ClaudeSettings| ApiKey::find(settings, env(&all)).unwrap();

        assert!(find(&settings).is_in("from-env"));
        std::fs::write(&file, "\n from-file\r\n").unwrap();
        let key = find(&settings);
        assert!(key.is_in("from-file") && key.place().contains("key_file"));
        std::fs::write(folder.path().join(CREDENTIAL), "from-systemd").unwrap();
        assert!(find(&settings).is_in("from-systemd"));
    }

    #[test]
    fn no_key_names_every_place() {
        let mut settings = settings();
        settings.key_file = Some("/nowhere/key".into());
        let text = ApiKey::find(&settings, env(&[(VARIABLE, " ")])).unwrap_err().to_string();
        for place in [CREDENTIAL, "claude.key_file", "/nowhere/key does not exist", VARIABLE] {
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for bad in ["", "sk-secret\nsk-other", "sk-secret\u{e9}", "sk secret"] {
            let error = ApiKey::new(bad, "here".to_owned()).unwrap_err();
            assert_eq!(error.kind(), "key");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings();
        settings.key_file = Some(folder.path().to_owned());
        let error = ApiKey::find(&settings, env(&[(VARIABLE, "good")])).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn it_is_never_shown() {
        let key = ApiKey::new("sk-secret", "ANTHROPIC_API_KEY".to_owned()).unwrap();
        assert!(!format!("{key} {key:?} {:?}", key.header()).contains("secret"));
    }

    #[test]
    fn a_file_for_everybody_is_noticed() {
        assert!(is_open(0o644) && !is_open(0o640) && !is_open(0o600));
    }
}
