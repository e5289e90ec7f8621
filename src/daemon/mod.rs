//! What `elio run` starts and stops.
//!
//! [`serve`] is the service, read from top to bottom; [`Engines`] are the warm models; [`Rig`] is a speaker without
//! hardware, for the demo and the tests; [`show_fault`] is what remains where the service has given up; [`Proof`] says where the models really run. [`control`] is the socket of `elio press`, `release` and `status`,
//! [`notify`] what systemd is told.

pub mod control;
mod engines;
mod fault;
mod late;
pub mod milestone;
mod moment;
pub mod notify;
mod proof;
mod publish;
mod reload;
mod rig;
mod service;
mod signals;
pub mod status;

pub use engines::{EngineError, Engines, lock_memory, start_vad, start_voices, start_whisper};
pub use fault::show_fault;
pub use proof::{Proof, SttProof};
pub use rig::{REACTION, Rig, RigError, RigOptions, Spoken};
pub use service::{ServiceError, ServiceOptions, run as serve};
