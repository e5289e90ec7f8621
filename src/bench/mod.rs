//! `elio bench`: recorded speech through the ordinary pipeline, many times over, and what each stage took.
//!
//! [`Clips`] are the recordings, [`pauses`] puts pauses into them, [`ears`] hears both as the speaker would, without
//! waiting; [`Bench`] runs whole turns on the rig ([`crate::daemon::Rig`]); [`figures`] makes percentiles of their records, [`Report`]
//! is what is printed and saved, [`Comparison`] and [`Goal`] hold it against an older one and against what is wanted,
//! [`plot`] draws the wait against the cut-offs.

use std::path::PathBuf;

use thiserror::Error;

use crate::audio::AudioError;
use crate::daemon::RigError;
use crate::sim::SimError;

mod clips;
mod compare;
pub mod ears;
pub mod figures;
mod goal;
mod machine;
pub mod pauses;
pub mod plot;
mod report;
mod table;
mod turns;

pub use clips::{Clips, Sentence};
pub use compare::Comparison;
pub use goal::Goal;
pub use report::{Conditions, Curve, Report};
pub use table::counts_help;
pub use turns::{Answers, Bench, Mode, PauseTurn, Run, Turn};

/// Why a bench cannot be run, saved or compared.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The folder of recordings cannot be used: the caller names another, or mends the list.
    #[error("{path}: {fault}", path = path.display())]
    Clips {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong and the mend.
        fault: String,
    },
    /// A recording cannot be read: the caller mends the file that the error names.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The speaker does not start, or is gone.
    #[error(transparent)]
    Rig(#[from] RigError),
    /// The simulated Claude does not start.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// An older report cannot be used: the caller names another.
    #[error("{path}: {fault}; name a file that `elio bench --out` wrote", path = path.display())]
    Old {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// A report or picture cannot be written: the caller names another place.
    #[error("{path}: {fault}; name a file that can be written", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// A goal cannot be read: the caller corrects it.
    #[error("--require {text}: {fault}")]
    Goal {
        /// What was given.
        text: String,
        /// What is wrong and the mend.
        fault: String,
    },
}
