//! Trust on first use: the SHA-256 of what was downloaded first, where a publisher gives none, in a file beside the
//! models. Whatever comes later is compared with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::bad;
use super::{FileEntry, ModelError};

/// The name of the file of pins.
pub const PIN_FILE: &str = "pins.toml";

const HEAD: &str = "# Written by `elio models fetch`: the SHA-256 of each file as it came first, where its publisher gives none.\n\
                    # Whatever comes later is compared with it. Remove a file's lines to trust another one.\n\n";

/// A file as it came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// The address in the manifest. Where the manifest has moved on to another one, the pin holds no more.
    pub url: String,
}

/// The pins of one folder of models.
#[derive(Clone, Debug)]
pub struct Pins {
    path: PathBuf,
    pins: BTreeMap<String, Pin>,
}

impl Pins {
    /// Reads the pins of a folder; none where it has no such file.
    ///
    /// # Errors
    /// [`ModelError::Bad`]: the file cannot be read, and nothing must be trusted anew for that.
    pub fn read(folder: &Path) -> Result<Pins, ModelError> {
        let path = folder.join(PIN_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(bad(&path, format!("cannot be read: {error}"))),
        };
        let pins = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let fault = error.message().lines().collect::<Vec<_>>().join(", ");
            bad(&path, format!("is no list of pins ({fault}): mend it, or remove it and the next download is trusted"))
        })?;
        Ok(Pins { path, pins })
    }

    /// The file that they are in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pin that holds for a file of the manifest.
    pub fn get(&self, file: &FileEntry) -> Option<&Pin> {
        self.pins.get(&file.file).filter(|pin| file.url.as_ref() == Some(&pin.url))
    }

    /// Pins a file, in place of an older pin, and writes the list: all of it or nothing.
    pub(super) fn add(&mut self, file: &str, pin: Pin) -> io::Result<()> {
        self.pins.insert(file.to_owned(), pin);
        let text = toml::to_string(&self.pins).map_err(io::Error::other)?;
        let new = self.path.with_extension("toml.new");
        let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        out.write_all(HEAD.as_bytes())?;
        out.write_all(text.as_bytes())?;
        super::fetch::readable(&out)?;
        out.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> FileEntry {
        FileEntry { file: "v.onnx".into(), url: Some(url.into()), ..FileEntry::default() }
    }

    #[test]
    fn a_pin_is_kept_and_holds_for_its_address_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut pins = Pins::read(dir.path()).unwrap();
        let pin = Pin { sha256: "0".repeat(64), size: 3, url: "https://a/v.onnx".into() };
        pins.add("v.onnx", pin.clone()).unwrap();
        let again = Pins::read(dir.path()).unwrap();
        assert_eq!(again.get(&file("https://a/v.onnx")), Some(&pin));
        assert_eq!(again.get(&file("https://b/v.onnx")), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else stays");
    }

    #[test]
    fn a_broken_list_is_a_fault_and_no_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(PIN_FILE), "v.onnx = 3").unwrap();
        let fault = Pins::read(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("pins.toml is no list of pins") && !fault.contains('\n'), "{fault}");
    }
}
