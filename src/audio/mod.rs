//! Sound: devices, the threads that serve them, rings, resampling, VAD.
//!
//! A device is a [`CapturePcm`] or a [`PlaybackPcm`]: ALSA's ([`alsa`]), one made of WAV files that keeps time as a
//! device does ([`wav`]), or a scripted one in tests. Each is served by two threads: one that touches only the device
//! and lock-free rings ([`capture`] and [`playback`], `device.rs`), and one that does the work. The microphone gives
//! 16 ms frames with the capture time of their first sample, a VAD score ([`vad`]) and the end of the last voiced
//! slice ([`floor`]); the speaker takes sound that carries its turn's number and tells when it can be heard.

use crate::clock::Mono;

pub mod alsa;
mod bell;
pub mod capture;
pub mod convert;
mod error;
#[cfg(test)]
mod fake;
pub mod floor;
pub mod pcm;
pub mod playback;
mod preroll;
mod realtime;
mod recover;
mod tap;
pub mod vad;
pub mod wav;

pub use self::alsa::{AlsaCaptureHost, AlsaPlaybackHost};
pub use self::bell::Bell;
pub use self::capture::{Capture, CaptureEvent, CaptureStats};
pub use self::error::{AudioError, Way};
pub use self::pcm::{CaptureHost, CapturePcm, Fault, Format, Pcm, PlaybackHost, PlaybackPcm, Sample, Status, Wake};
pub use self::playback::{Playback, PlaybackEvent, PlaybackStats};
pub use self::preroll::PreRoll;
pub use self::tap::{PlaybackTap, Recording};
pub use self::vad::Vad;
pub use self::wav::{Clip, Pace, WavCaptureHost, WavFeed, WavPlaybackHost};

/// Rate of the sound inside Elio, in Hz.
pub const RATE: u32 = 16_000;
/// Samples in a [`Frame`]: 16 ms.
pub const FRAME: usize = 256;

/// 16 ms of 16 kHz mono, with what was measured on it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Capture time of the first sample, from the device's own timestamps.
    pub start: Mono,
    /// −1 to 1.
    pub samples: [f32; FRAME],
    /// VAD score from 0 (no speech) to 1.
    pub speech: f32,
    /// Capture time of the end of the last voiced 10 ms slice that ends in this frame: see [`floor`].
    pub voiced_end: Option<Mono>,
}

impl Frame {
    /// Capture time of the instant after the last sample.
    pub fn end(&self) -> Mono {
        self.start + std::time::Duration::from_millis(1000 * FRAME as u64 / RATE as u64)
    }
}

/// Every unit test runs with an allocator that aborts where the loop of a device thread allocates.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Runs the loop of a device thread; in the unit tests an allocation inside it aborts.
fn no_alloc<T>(run: impl FnOnce() -> T) -> T {
    #[cfg(test)]
    return assert_no_alloc::assert_no_alloc(run);
    #[cfg(not(test))]
    run()
}
