//! Why the voice does not speak.

use std::path::PathBuf;

/// Why the voice cannot be made ready, or a text was not spoken.
#[derive(Debug, thiserror::Error)]
pub enum TtsError {
    /// No libonnxruntime was found, or it cannot be used: the caller stops, the configuration or the installation has
    /// to change.
    #[error("{0}")]
    Runtime(String),
    /// A voice cannot be used: the caller stops, its files or the configuration have to change.
    #[error("voice {onnx} with {json}: {fault}", onnx = onnx.display(), json = json.display())]
    Voice {
        /// Its network.
        onnx: PathBuf,
        /// What goes with it.
        json: PathBuf,
        /// What is wrong, and the mend.
        fault: String,
    },
    /// espeak-ng cannot be started or does not answer: at the start the caller stops; later the chunk is lost.
    #[error("espeak-ng {program}: {fault}", program = program.display())]
    Espeak {
        /// The program.
        program: PathBuf,
        /// What is wrong, and the mend.
        fault: String,
    },
    /// The utterance was cancelled: the caller forgets it.
    #[error("the utterance was cancelled")]
    Cancelled,
    /// The voice's thread has ended: the caller stops.
    #[error("the voice's thread has ended: restart elio")]
    Gone,
}
