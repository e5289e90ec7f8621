//! Configuration: raw TOML in, checked [`Config`] out, every fault at once.

mod settings;

pub use settings::*;
