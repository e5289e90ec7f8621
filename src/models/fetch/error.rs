//! Why a model was not fetched.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::models::ModelError;

/// Why a model was not fetched. Whatever it is, the files that were there before are there still.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The manifest, a name, the list of pins: the caller exits with 78.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It has no address, and no mirror was named: the caller says so.
    #[error(
        "model {model}: {file} comes with Elio and has no address: install Elio anew, or name a mirror that has it"
    )]
    NoAddress {
        /// The model.
        model: String,
        /// Its file.
        file: String,
    },
    /// The mirror is neither a folder nor an address: the caller's command line is wrong.
    #[error("mirror {mirror}: {fault}")]
    Mirror {
        /// What was given.
        mirror: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The authority's certificate cannot be read: the caller's command line is wrong.
    #[error("authority {path}: {fault}", path = path.display())]
    Authority {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// This user may not write there: the caller is started as another.
    #[error("{path}: {fault}: run it with sudo (or as the user elio), or name a folder of your own with --dir", path = path.display())]
    Denied {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        fault: String,
    },
    /// The disk is full, or will be: room has to be made.
    #[error("{path}: no room: {fault}: make room there, or name another disk's folder with --dir", path = path.display())]
    Full {
        /// The folder or file.
        path: PathBuf,
        /// How much is wanted and free, or what the system says.
        fault: String,
    },
    /// There is no place for them: the caller exits with 78.
    #[error("models.dirs names no folder: name one there, or with --dir")]
    NoFolder,
    /// Another fault of the disk: the caller shows it.
    #[error("{path}: {fault}: look at the disk (`dmesg`), or name another folder with --dir", path = path.display())]
    Disk {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        fault: String,
    },
    /// The server answers, and has not the file for us: trying again changes nothing.
    #[error("{url}: {fault}")]
    Refused {
        /// The address.
        url: String,
        /// The answer, and the mend.
        fault: String,
    },
    /// No trust in the server: a certificate, the clock, or somebody between.
    #[error("{url}: {fault}")]
    Tls {
        /// The address.
        url: String,
        /// Why, and the mend.
        fault: String,
    },
    /// The connection could not be had or broke again and again: what has come stays, and the next try goes on there.
    #[error(
        "{url}: {fault}; given up after {tries} tries: check the network and run it again, it goes on where it stopped"
    )]
    Cut {
        /// The address.
        url: String,
        /// What happened at the last try.
        fault: String,
        /// Tries that brought nothing new.
        tries: u32,
    },
    /// What came is not the file: it was removed.
    #[error(
        "{url}: what came {fault}; it was removed: fetch it again, and if it comes so again, the publisher or the mirror has another \
         file: name a mirror that has this one"
    )]
    Wrong {
        /// The address.
        url: String,
        /// The difference, with the source of what was expected.
        fault: String,
    },
}

impl FetchError {
    /// A fault of the disk.
    pub(super) fn disk(path: &Path, error: &io::Error) -> FetchError {
        let (path, fault) = (path.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FetchError::Denied { path, fault },
            // FileTooLarge: the limit on the size of a process's files.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                FetchError::Full { path, fault }
            }
            _ => FetchError::Disk { path, fault },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disks_faults_name_their_mend() {
        let fault = |kind: ErrorKind| FetchError::disk(Path::new("/var/lib/elio/models"), &kind.into()).to_string();
        assert!(
            fault(ErrorKind::PermissionDenied).contains("/var/lib/elio/models: permission denied: run it with sudo")
        );
        assert!(fault(ErrorKind::ReadOnlyFilesystem).contains("--dir"));
        assert!(fault(ErrorKind::StorageFull).contains("make room"));
        assert!(!fault(ErrorKind::NotADirectory).contains("sudo"));
    }
}
