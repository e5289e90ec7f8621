//! What `elio run` starts and stops.

pub mod control;
pub mod notify;
pub mod status;
