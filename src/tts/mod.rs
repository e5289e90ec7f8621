//! Speaking: splitter, voices, levelling and joints.

mod splitter;

pub use splitter::{Chunk, Pause, Splitter};
