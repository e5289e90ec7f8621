//! The latency record: what is stamped in a turn, what is derived from it, and where it goes.
//!
//! A turn is stamped as [`Instants`] and [`Facts`]; [`Record::derive`] makes the one flat object from them that users
//! read; a [`RecordSink`] takes it out of the process: the journal (or JSON on standard error where there is none), and
//! a synced spool that outlives a power cut. [`history`] reads many of them back.

mod failure;
pub mod history;
mod instants;
mod journal;
mod record;
mod sink;
mod spool;
pub mod waterfall;

pub use instants::Instants;
pub use journal::{MESSAGE_ID, RECORD_TARGET};
pub use record::{Facts, Outcome, Record};
pub use sink::RecordSink;
pub use spool::{Spool, SpoolError};
