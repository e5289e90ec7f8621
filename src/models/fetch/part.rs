//! A file that is not whole yet: `FILE.part`, and beside it `FILE.part.toml`, which says what it is a part of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::store::readable;
use crate::models::hash::{Hashes, Sums};

/// What a part is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Origin {
    /// The address.
    pub(super) url: String,
    /// The server's mark of this very content, for `If-Range`: a strong ETag, or the date of its last change.
    pub(super) mark: Option<String>,
    /// Bytes of the whole, where the server said it.
    pub(super) size: Option<u64>,
}

/// A part, hashed as far as it goes.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    len: u64,
    hashes: Hashes,
    origin: Origin,
}

impl Part {
    /// Takes up the part that an earlier fetch of `url` left, or begins one.
    pub(super) fn open(path: &Path, url: &str) -> io::Result<Part> {
        let known = fs::read_to_string(beside(path)).ok().and_then(|text| toml::from_str::<Origin>(&text).ok());
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut file = match open.open(path) {
            // Somebody else's leftover in our folder.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && fs::remove_file(path).is_ok() => {
                open.open(path)
            }
            opened => opened,
        }?;
        let mut hashes = Hashes::default();
        let (len, origin) = match known.filter(|origin| origin.url == url && origin.mark.is_some()) {
            Some(origin) => (hashes.read(&mut file)?, origin),
            None => (0, Origin { url: url.to_owned(), ..Origin::default() }),
        };
        file.set_len(len)?;
        Ok(Part { path: path.to_owned(), file, len, hashes, origin })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Begins anew, with what the server says of the content that comes now.
    pub(super) fn begin(&mut self, mark: Option<String>, size: Option<u64>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.len, self.hashes) = (0, Hashes::default());
        (self.origin.mark, self.origin.size) = (mark, size);
        fs::write(beside(&self.path), toml::to_string(&self.origin).map_err(io::Error::other)?)
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hashes.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// All of it is on the disk, and anybody may read it.
    pub(super) fn finish(&mut self) -> io::Result<Sums> {
        readable(&self.file)?;
        self.file.sync_all()?;
        Ok(self.hashes.sums(self.len))
    }

    /// Forgets what it was a part of: it is in its place now.
    pub(super) fn forget(path: &Path) {
        // A leftover is harmless: it belongs to no part.
        let _ = fs::remove_file(beside(path));
    }

    /// Removes what came.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        Self::forget(path);
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

fn beside(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".toml");
    name.into()
}
