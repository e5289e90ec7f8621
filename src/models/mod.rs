//! The manifest of models, and what is done with their files: found, opened, verified, fetched.
//!
//! Opening a model ([`open`](mod@open)) looks at what is cheap: it is there, its size is the manifest's, it begins like
//! what it should be. Verifying ([`Models::verify`]) reads every byte, and so does fetching ([`Fetcher`]) before a file
//! takes its place. Where a publisher has no SHA-256, the first download is pinned on the device ([`Pins`]).

mod error;
mod fetch;
mod find;
mod ggml;
mod hash;
mod manifest;
mod open;
mod pins;
mod verify;

use std::fs;
use std::path::PathBuf;

use crate::config::ModelsSettings;
pub use error::ModelError;
pub use fetch::{Did, FetchError, Fetched, Fetcher, Mirror, News, Patience, Store, become_owner};
pub use hash::Algorithm;
pub use manifest::{Entry, FileEntry, Kind, Manifest, VoiceKind};
pub use open::{TurnModel, VoiceModel, WhisperModel};
pub use pins::{PIN_FILE, Pin, Pins};
pub use verify::{Checked, FileReport, Verified};

/// The manifest of the repository, built in.
const BUILT_IN: &str = include_str!("../../models/manifest.toml");

/// The models that can be opened by name or path.
#[derive(Debug)]
pub struct Models {
    manifest: Manifest,
    dirs: Vec<PathBuf>,
}

impl Models {
    /// Reads the manifest that the settings name, or the one built in.
    pub fn open(settings: &ModelsSettings) -> Result<Models, ModelError> {
        let fault = |fault| ModelError::Manifest {
            path: settings.manifest.clone().unwrap_or_else(|| "models/manifest.toml".into()),
            fault,
        };
        let manifest = match &settings.manifest {
            None => Manifest::parse(BUILT_IN),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
                Manifest::parse(&text)
            }
        };
        Ok(Models { manifest: manifest.map_err(fault)?, dirs: settings.dirs.clone() })
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
