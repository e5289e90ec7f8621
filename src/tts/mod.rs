//! Speaking: splitter, voices, levelling and joints.

mod error;
mod phonemes;
mod pronounce;
mod splitter;

pub use error::TtsError;
pub use splitter::{Chunk, Pause, Splitter};
