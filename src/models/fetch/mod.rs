//! Fetching models: from their publishers or a mirror, into a folder, each file checked to its last byte before it takes
//! its place. Until then, and after any failure, what was there before is there still.

mod client;
mod download;
mod error;
mod owner;
mod part;
mod store;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::hash::Sums;
use super::open::check_kind;
use super::verify::{Checked, check_file, compare};
use super::{Entry, FileEntry, Pin, Pins};
use download::{Wanted, download};
pub use error::FetchError;
pub use owner::become_owner;
use part::Part;
pub use store::Store;
pub(super) use store::readable;

/// Another place for the files of the manifest, under the names that they have in a folder of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A folder: a USB stick, a share.
    Folder(PathBuf),
    /// An address that ends with `/`.
    Address(String),
}

/// How long a download is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Silence after which a connection counts as broken.
    pub stall: Duration,
    /// The wait after the first failure; it doubles with each one.
    pub backoff: Duration,
    /// Tries in a row that bring nothing new.
    pub tries: u32,
}

/// What happens, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// Another fetch is at work in the folder.
    Waiting {
        /// The folder.
        dir: &'a Path,
    },
    /// Bytes begin to come.
    Begins {
        /// The file.
        file: &'a str,
        /// Address or path.
        url: &'a str,
        /// Bytes that are there already.
        from: u64,
        /// Bytes of the whole, where anybody knows.
        size: Option<u64>,
    },
    /// That many bytes are there.
    Bytes(u64),
    /// A try went wrong, and there will be another one.
    Again {
        /// What went wrong.
        fault: &'a str,
        /// After this time.
        wait: Duration,
    },
    /// The part of an earlier fetch was not of this file; it comes anew.
    Anew {
        /// The file.
        file: &'a str,
    },
}

/// What was done about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It was there and is right.
    Kept,
    /// It was there and nobody publishes a hash of it: it is trusted and pinned as it is.
    PinnedAsItWas,
    /// It has been fetched.
    Fetched,
}

/// A file that is right and in its place.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its name.
    pub file: String,
    /// Its place.
    pub path: PathBuf,
    /// What was done.
    pub did: Did,
    /// What it was compared with.
    pub checked: Checked,
    /// It came first now: its SHA-256 is pinned, and nothing else is taken from now on.
    pub first: bool,
}

/// Fetches models into a folder.
#[derive(Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    mirror: Option<Mirror>,
    patience: Patience,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall: Duration::from_secs(30), backoff: Duration::from_secs(1), tries: 5 }
    }
}

impl FromStr for Mirror {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Mirror, FetchError> {
        let wrong = |fault: &str| FetchError::Mirror { mirror: text.to_owned(), fault: fault.to_owned() };
        if !text.contains("://") {
            let folder = PathBuf::from(text);
            return if folder.is_dir() { Ok(Mirror::Folder(folder)) } else { Err(wrong("is no folder")) };
        }
        let url = url::Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "begins with http:// or https:// and ends with a path: the files' names are added to it",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must have no user name or password: Elio sends none"));
        }
        Ok(Mirror::Address(format!("{}/", text.trim_end_matches('/'))))
    }
}

impl Fetcher {
    /// Makes ready; opens no connection. `ca_file`: a PEM file of authorities to trust besides the system's.
    ///
    /// # Errors
    /// [`FetchError::Authority`], [`FetchError::Tls`]
    pub fn new(mirror: Option<Mirror>, ca_file: Option<&Path>, patience: Patience) -> Result<Fetcher, FetchError> {
        Ok(Fetcher { client: client::client(ca_file, &patience)?, mirror, patience })
    }

    /// Brings the files of a model into the folder, those that are not there and right already. They take their places
    /// together, when the last one has been checked.
    ///
    /// Hashing and writing block the thread for moments: nothing else is to run there.
    ///
    /// # Errors
    /// Every kind of [`FetchError`] but those of [`Store::open`]; the files that were there are there still.
    pub async fn fetch(
        &self,
        store: &Store,
        entry: &Entry,
        news: &dyn Fn(News<'_>),
    ) -> Result<Vec<Fetched>, FetchError> {
        let mut pins = Pins::read(store.dir())?;
        let mut ready = Vec::new();
        for file in &entry.files {
            let kept = kept(store, entry, file, &pins)?;
            ready.push(match kept {
                Some(checked) => (file, Did::Kept, checked),
                None => (file, Did::Fetched, self.part(store, entry, file, &pins, news).await?),
            });
        }
        let mut fetched = Vec::new();
        for (file, mut did, checked) in ready {
            let pin = pin_of(store, file, &checked, did)?;
            let first = pin.is_some();
            if let Some(pin) = pin {
                // Before the file has its place: what stands there is never unpinned.
                pins.add(&file.file, pin).map_err(|error| FetchError::disk(pins.path(), &error))?;
            }
            let path = match did {
                Did::Fetched => store.install(&file.file)?,
                _ => store.place(&file.file),
            };
            if did == Did::Kept {
                // A copy made by hand may be nobody else's to read; where it is not ours, its owner has seen to that.
                let _ = File::open(&path).and_then(|file| readable(&file));
            }
            Part::forget(&store.part(&file.file));
            if did == Did::Kept && first && checked.published.is_empty() {
                did = Did::PinnedAsItWas;
            }
            fetched.push(Fetched { file: file.file.clone(), path, did, checked, first });
        }
        Ok(fetched)
    }

    /// The part of a file, whole and checked.
    async fn part(
        &self,
        store: &Store,
        entry: &Entry,
        file: &FileEntry,
        pins: &Pins,
        news: &dyn Fn(News<'_>),
    ) -> Result<Checked, FetchError> {
        let path = store.part(&file.file);
        let disk = |error| FetchError::disk(&path, &error);
        let from = self.address(entry, file)?;
        if let Some(size) = file.size {
            // What an earlier fetch left is a part of it.
            let there = std::fs::metadata(&path).map_or(0, |part| part.len());
            store.room_for(size.saturating_sub(there))?;
        }
        loop {
            let mut part = Part::open(&path, &from).map_err(disk)?;
            let resumed = part.len() > 0;
            let wanted = Wanted { file: &file.file, url: &from, size: file.size };
            let came = match &self.mirror {
                Some(Mirror::Folder(_)) => copy(&wanted, &mut part, store, news),
                _ => download(&self.client, &wanted, &mut part, store, &self.patience, news).await,
            };
            let sums = match came.and_then(|()| part.finish().map_err(disk)) {
                Ok(sums) => sums,
                // A full disk must not stay full, and a wrong file is no part of the right one.
                Err(error @ (FetchError::Full { .. } | FetchError::Wrong { .. })) => {
                    Part::remove(&path).map_err(disk)?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            let fault = match check_part(&path, &sums, entry, file, pins) {
                Ok(checked) => return Ok(checked),
                Err(fault) => fault,
            };
            Part::remove(&path).map_err(disk)?;
            if !resumed {
                return Err(FetchError::Wrong { url: from, fault });
            }
            // Perhaps only the end that an earlier fetch left: a power cut leaves holes.
            news(News::Anew { file: &file.file });
        }
    }

    fn address(&self, entry: &Entry, file: &FileEntry) -> Result<String, FetchError> {
        let no_address = || FetchError::NoAddress { model: entry.name.clone(), file: file.file.clone() };
        match &self.mirror {
            None => file.url.clone().ok_or_else(no_address),
            Some(Mirror::Folder(folder)) => Ok(folder.join(&file.file).display().to_string()),
            Some(Mirror::Address(base)) => Ok(format!("{base}{}", file.file)),
        }
    }
}

/// The file in its place, where it is right.
fn kept(store: &Store, entry: &Entry, file: &FileEntry, pins: &Pins) -> Result<Option<Checked>, FetchError> {
    let place = store.place(&file.file);
    if !place.exists() {
        return Ok(None);
    }
    if check_kind(&place, entry, &file.file).is_err() {
        return Ok(None);
    }
    match check_file(&place, Some(file), "") {
        Ok(checked) => Ok(Some(checked)),
        // It is not the one that came first: what comes now will be compared with that one too.
        Err(_) if pins.get(file).is_some() || file.hashes().next().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_part(path: &Path, sums: &Sums, entry: &Entry, file: &FileEntry, pins: &Pins) -> Result<Checked, String> {
    let checked = compare(sums, file, pins)?;
    // Where nobody publishes a hash, a network's welcome page must not be pinned.
    check_kind(path, entry, &file.file)?;
    Ok(checked)
}

/// The pin that a file gets now: the first one of which its publisher gives no SHA-256.
fn pin_of(store: &Store, file: &FileEntry, checked: &Checked, did: Did) -> Result<Option<Pin>, FetchError> {
    if checked.pinned || file.sha256.is_some() {
        return Ok(None);
    }
    let Some(url) = &file.url else { return Ok(None) };
    let path = if did == Did::Fetched { store.part(&file.file) } else { store.place(&file.file) };
    let size = std::fs::metadata(&path).map_err(|error| FetchError::disk(&path, &error))?.len();
    Ok(Some(Pin { sha256: checked.sha256.clone(), size, url: url.clone() }))
}

/// Copies a file of a mirror's folder, from its beginning.
fn copy(wanted: &Wanted<'_>, part: &mut Part, store: &Store, news: &dyn Fn(News<'_>)) -> Result<(), FetchError> {
    let from = Path::new(wanted.url);
    let refused = |error: std::io::Error| FetchError::Refused { url: wanted.url.to_owned(), fault: error.to_string() };
    let path = store.part(wanted.file);
    let disk = |error| FetchError::disk(&path, &error);
    let mut source = File::open(from).map_err(refused)?;
    let size = source.metadata().map_err(refused)?.len();
    store.room_for(size)?;
    part.begin(None, Some(size)).map_err(disk)?;
    news(News::Begins { file: wanted.file, url: wanted.url, from: 0, size: Some(size) });
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer).map_err(refused)? {
            0 => return Ok(()),
            count => part.append(&buffer[..count]).map_err(disk)?,
        }
        news(News::Bytes(part.len()));
    }
}
