//! Prosody: does the sound of a pause say that the speaker has finished? Smart Turn, warm on its own thread.
//!
//! It knows no words. [`crate::turn`] asks it where the words seem to be all, and waits longer where it hears that the
//! speaker goes on; the turn never waits for its answer.

mod mel;
mod smart_turn;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use smart_turn::SmartTurn;

/// Silence after speech at which it is asked: that much its publisher's own program hears, too.
pub const AFTER: Duration = Duration::from_millis(200);
/// Samples that it hears, the newest: 8 s.
pub const REACH: usize = mel::SAMPLES;

/// Whatever tells from the sound whether somebody has finished: Smart Turn, or a test's fake.
pub trait Prosody: Send + Sync {
    /// Probability from 0 to 1 that who spoke has finished. `sound` ends with [`AFTER`] of silence; mono, 16 kHz, full
    /// scale 1. The call begins the work, dropping the future ends it.
    fn finished(&self, sound: Vec<f32>) -> BoxFuture<'static, Result<f32, ProsodyError>>;
}

/// Why there is no turn model, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum ProsodyError {
    /// No libonnxruntime was found, or it cannot be used: the caller stops, the configuration or the installation has
    /// to change.
    #[error("{0}")]
    Runtime(String),
    /// The file is no turn model that runs: the caller stops, the file or the configuration has to change.
    #[error("endpoint.turn_model {path}: {fault}: give a Smart Turn v3 model, or leave the key out", path = path.display())]
    Model {
        /// The network.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// This run failed: the caller goes by the words alone.
    #[error("the turn model failed on this pause: {0}")]
    Inference(String),
    /// Its thread has ended: the caller goes by the words alone.
    #[error("the turn model's thread has ended: restart elio")]
    Gone,
}
