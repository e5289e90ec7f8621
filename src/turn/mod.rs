//! One turn: the state machine, and the runner that moves sound and words for it.
//!
//! [`Machine`] decides (pure, time injected), [`Endpointer`] tells when the person has finished, [`run`] carries out:
//! it feeds frames and news to the machine, starts each turn's task ([`Stages`]) and reports each turn
//! ([`TurnReport`]).

mod ahead;
mod answer;
mod complete;
mod endpoint;
mod events;
mod guess;
mod heard;
mod hearing;
mod ledger;
mod machine;
mod patience;
mod phrases;
mod runner;
mod veto;
mod visible;
mod voice;

pub use answer::Stages;
pub use complete::{Finished, how_finished};
pub use endpoint::{Endpointer, Hearing, Verdict};
pub use events::{Command, EndedBy, Input, Rules};
pub use ledger::TurnReport;
pub use machine::Machine;
pub use patience::{Pauses, patience};
pub use phrases::Phrase;
pub use runner::{Feeds, Outlets, RunnerSettings, run};
pub use visible::Visible;
pub use voice::Player;
