//! Why a model cannot be used.

use std::path::{Path, PathBuf};

/// Why a model cannot be used. Each is a fault of the configuration or of a file that it names: the caller shows the
/// line and exits with 78; trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest named in `models.manifest` cannot be used: the caller stops.
    #[error("models.manifest {path}: {fault}", path = path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// Neither a name of the manifest nor a file: the caller shows the names that exist.
    #[error("model {name}: no such name in the manifest and no such file; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of that kind, separated by commas.
        known: String,
    },
    /// A file is not there: the caller shows where it was looked for, and the command that gets it.
    #[error("model {model}: {file} is not in {dirs}: {mend}")]
    Missing {
        /// The model.
        model: String,
        /// Its file.
        file: String,
        /// The folders, joined by `or`.
        dirs: String,
        /// The command and the address that it comes from, or that it comes with Elio.
        mend: String,
    },
    /// The file is not what it should be: the caller has it replaced.
    #[error("model file {path} {fault}", path = path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the mend.
        fault: String,
    },
}

/// A bad file, in words that complete "model file PATH ...".
pub(super) fn bad(path: &Path, fault: impl Into<String>) -> ModelError {
    ModelError::Bad { path: path.into(), fault: fault.into() }
}
