//! The instants of a turn, as `docs/design.md` defines each.

use serde::{Deserialize, Serialize};

use crate::clock::Mono;

/// When each thing of a turn happened, in nanoseconds of CLOCK_MONOTONIC; absent where it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instants {
    /// The wake edge.
    pub wake: Option<Mono>,
    /// Capture time of the first voiced sample.
    pub speech_start: Option<Mono>,
    /// Capture time of the last voiced sample before the commit: the acoustic end, not the VAD's decision.
    pub speech_end: Option<Mono>,
    /// Elio decides that the turn is the person's whole turn.
    pub commit: Option<Mono>,
    /// The transcript that is used is ready.
    pub stt_final: Option<Mono>,
    /// The request whose answer is spoken leaves.
    pub llm_sent: Option<Mono>,
    /// Its first text arrives.
    pub llm_first_text: Option<Mono>,
    /// Its last event arrives.
    pub llm_done: Option<Mono>,
    /// The first text chunk goes to the TTS.
    pub chunk_ready: Option<Mono>,
    /// The first chunk's first sample is there.
    pub tts_first_pcm: Option<Mono>,
    /// The last chunk's last sample is there.
    pub tts_done: Option<Mono>,
    /// The first sample above −50 dBFS leaves the converter.
    pub first_audible: Option<Mono>,
    /// The last sample leaves the converter.
    pub playback_end: Option<Mono>,
}
