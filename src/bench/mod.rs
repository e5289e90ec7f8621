//! `elio bench`: recorded speech through the ordinary pipeline, many times over, and what each stage took.
//!
//! [`Clips`] are the recordings, [`pauses`] puts pauses into them, [`ears`] hears both as the speaker would, without
//! waiting; [`Bench`] runs whole turns on the rig ([`crate::daemon::Rig`]); [`figures`] makes percentiles of their records, [`Report`]
//! is what is printed and saved, [`Comparison`] and [`Goal`] hold it against an older one and against what is wanted,
//! [`plot`] draws the wait against the cut-offs. The presses that stop an answer, a long [`Rest`] and what an idle speaker takes have
//! files of their own; [`Program`] starts this program again for what needs a process of its own.

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
mod idle;
mod machine;
pub mod pauses;
pub mod plot;
mod process;
mod report;
mod rest;
mod stops;
mod table;
mod turns;

pub use clips::{Clips, Sentence};
pub use compare::Comparison;
pub use goal::Goal;
pub use idle::{Taken, hold};
pub use process::{Part, Program, squeeze};
pub use report::{Conditions, Curve, Report};
pub use rest::{Rest, Rested};
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
    /// A process that takes part in the measuring gives no figure: the caller mends what it says.
    #[error("the process that measures `{part}`: {fault}")]
    Part {
        /// Its name.
        part: &'static str,
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
