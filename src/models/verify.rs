//! Every byte of a model against what its publisher says, and against what came first.

use std::path::{Path, PathBuf};

use super::error::bad;
use super::hash::{Algorithm, Sums};
use super::open::{Found, check_kind};
use super::{Entry, FileEntry, ModelError, Models, Pins, VoiceModel, WhisperModel};

/// By what a model is known to be right; of several files, the weakest, which is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verified {
    /// Every byte is what the manifest says.
    Published,
    /// Every byte is what came first: its publisher gives no hash.
    Pinned,
    /// There is neither hash nor pin.
    Unknown,
}

/// What a file that is right was compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The hashes of the manifest, strongest first.
    pub published: Vec<Algorithm>,
    /// The pin of its first download.
    pub pinned: bool,
    /// Its SHA-256, whatever it was compared with.
    pub sha256: String,
}

/// One file of a model, read to its end.
#[derive(Debug)]
pub struct FileReport {
    /// Its name in the folders of models.
    pub file: String,
    /// Where it lies; none: nowhere.
    pub path: Option<PathBuf>,
    /// What it was compared with, or the fault and its mend.
    pub checked: Result<Checked, ModelError>,
}

impl Checked {
    /// What it was compared with.
    pub fn how(&self) -> Verified {
        match (self.published.is_empty(), self.pinned) {
            (false, _) => Verified::Published,
            (true, true) => Verified::Pinned,
            (true, false) => Verified::Unknown,
        }
    }
}

impl Models {
    /// Reads every file of a model to its end. Blocking.
    pub fn verify(&self, entry: &Entry) -> Vec<FileReport> {
        let report = |file: &FileEntry| {
            let found = self.find(entry, file);
            let path = found.as_ref().ok().cloned();
            let checked = found.and_then(|path| {
                let checked = check_file(&path, Some(file), &entry.again())?;
                check_kind(&path, entry, &file.file)
                    .map_err(|fault| bad(&path, format!("{fault}: {}", entry.again())))?;
                Ok(checked)
            });
            FileReport { file: file.file.clone(), path, checked }
        };
        entry.files.iter().map(report).collect()
    }
}

impl WhisperModel {
    /// Compares every byte with the manifest. Blocking; reads the whole file.
    pub fn verify(&self) -> Result<Verified, ModelError> {
        verify(std::slice::from_ref(&self.file))
    }
}

impl VoiceModel {
    /// Compares every byte with the manifest. Blocking; reads both files.
    pub fn verify(&self) -> Result<Verified, ModelError> {
        verify(&self.files)
    }
}

fn verify(files: &[Found]) -> Result<Verified, ModelError> {
    let mut weakest = Verified::Published;
    for Found { path, entry, mend } in files {
        weakest = weakest.max(check_file(path, entry.as_ref(), mend)?.how());
    }
    Ok(weakest)
}

/// Reads a file to its end and compares it with the manifest and the pins of its folder.
pub(super) fn check_file(path: &Path, entry: Option<&FileEntry>, mend: &str) -> Result<Checked, ModelError> {
    let sums = Sums::of(path).map_err(|error| bad(path, format!("cannot be read: {error}")))?;
    let Some(entry) = entry else {
        return Ok(Checked { published: Vec::new(), pinned: false, sha256: sums.sha256 });
    };
    let pins = Pins::read(path.parent().unwrap_or(Path::new("/")))?;
    compare(&sums, entry, &pins).map_err(|fault| bad(path, format!("{fault}: {mend}")))
}

/// Compares sums with the manifest and the pins; the fault completes "FILE ...".
pub(super) fn compare(sums: &Sums, entry: &FileEntry, pins: &Pins) -> Result<Checked, String> {
    if let Some(want) = entry.size.filter(|size| *size != sums.size) {
        let what = if sums.size < want { "is truncated" } else { "is another file" };
        return Err(format!("{what}: {} bytes, the manifest says {want}", sums.size));
    }
    let mut published = Vec::new();
    for (algorithm, want) in entry.hashes() {
        let found = sums.get(algorithm);
        if found != want {
            let name = algorithm.name();
            let source = entry.verify.as_deref().map_or(String::new(), |source| format!(" ({source})"));
            return Err(format!("is damaged: {name} {found}, the manifest says {want}{source}"));
        }
        published.push(algorithm);
    }
    // A pin beside a SHA-256 of the publisher's has nothing to say.
    let pin = pins.get(entry).filter(|_| entry.sha256.is_none());
    if let Some(pin) = pin.filter(|pin| pin.sha256 != sums.sha256) {
        return Err(format!(
            "is not the file that came first: SHA-256 {}, pinned is {} (if its publisher has changed it and you trust \
             that, remove its lines from {})",
            sums.sha256,
            pin.sha256,
            pins.path().display()
        ));
    }
    Ok(Checked { published, pinned: pin.is_some(), sha256: sums.sha256.clone() })
}
