//! The few calls of a PCM that Elio uses, as traits: the loops of the device threads know nothing else, so that the
//! ALSA device, the WAV one and the scripted fake are driven by the same code.

use std::fmt;
use std::time::Duration;

use super::{AudioError, Bell};
use crate::clock::Mono;
use crate::config::{CaptureSettings, PlaybackSettings};

/// How a sample is written in the device's buffer, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// 16-bit integer.
    S16,
    /// 24-bit integer in the low three bytes of four.
    S24,
    /// 24-bit integer in three bytes.
    S24Packed,
    /// 32-bit integer.
    S32,
    /// 32-bit float, −1 to 1.
    F32,
}

impl Sample {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Sample::S16 => 2,
            Sample::S24Packed => 3,
            Sample::S24 | Sample::S32 | Sample::F32 => 4,
        }
    }
}

/// What a PCM was opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Hz.
    pub rate: u32,
    /// Interleaved channels, at least 1.
    pub channels: u16,
    /// Sample format.
    pub sample: Sample,
    /// Frames in a period: the device wakes its thread about once for each.
    pub period: usize,
    /// Frames in the device's buffer.
    pub buffer: usize,
    /// Frames that playback keeps queued, at most `buffer`; the same as `buffer` for capture.
    pub target: usize,
}

impl Format {
    /// Bytes of one frame (a sample of each channel).
    pub fn frame_bytes(&self) -> usize {
        self.sample.bytes() * self.channels as usize
    }

    /// Frames of silence that playback keeps queued at least while there is no sound: two periods. A device that
    /// cannot hold that gets more, up to `target`.
    pub fn idle(&self) -> usize {
        (2 * self.period).min(self.target)
    }

    /// The time that `frames` take.
    pub fn time(&self, frames: usize) -> Duration {
        Duration::from_nanos(frames as u64 * 1_000_000_000 / self.rate as u64)
    }

    /// The frames of a time, rounded down.
    pub fn frames(&self, time: Duration) -> usize {
        (time.as_nanos() * self.rate as u128 / 1_000_000_000) as usize
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.sample {
            Sample::S16 => "S16_LE",
            Sample::S24 => "S24_LE",
            Sample::S24Packed => "S24_3LE",
            Sample::S32 => "S32_LE",
            Sample::F32 => "FLOAT_LE",
        };
        let ms = |frames| self.time(frames).as_secs_f64() * 1e3;
        let (period, buffer) = (ms(self.period), ms(self.buffer));
        write!(f, "{name} {} Hz, channels {}, period {period:.1} ms, buffer {buffer:.1} ms", self.rate, self.channels)
    }
}

/// Why a call gave nothing. A number and no text: these pass through loops that must not allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EAGAIN or EINTR: nothing is wrong; wait again.
    Again,
    /// EPIPE: the program came too late. Prepare again, count it.
    Xrun,
    /// ESTRPIPE: the system slept. Resume, else prepare; count it.
    Suspended,
    /// ENODEV: the device was unplugged. Close it, and open it again when it is back.
    Gone,
    /// Another errno. Prepare again; a device that goes on so is given up as gone.
    Os(i32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Again => f.write_str("it gives nothing"),
            Fault::Xrun => f.write_str("it cannot be started again after an overrun or underrun"),
            Fault::Suspended => f.write_str("it does not wake from suspend"),
            Fault::Gone => f.write_str("no such device"),
            Fault::Os(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The bell rang, or nothing happened (poll may wake for nothing): look around and wait again.
    Pending,
    /// The device has room for a period, or sound of one.
    Ready,
    /// The limit passed without a sign of the device.
    Late,
    /// The device reports a fault.
    Recover(Fault),
}

/// One look at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Frames that can be read, or written, without waiting.
    pub avail: usize,
    /// Frames between this program and the converter: for capture the age of the oldest unread sample, for playback
    /// what still sounds before a sample that is written now.
    pub delay: usize,
    /// The instant of this look.
    pub at: Mono,
}

/// What both directions have.
pub trait Pcm: Send {
    /// What it was opened as.
    fn format(&self) -> Format;
    /// Its thread may have realtime priority: false where the PCM's code can spin (plugins, a sound server).
    fn realtime(&self) -> bool {
        false
    }
    /// Waits for the device, the bell or the limit. The bell is silent again afterwards.
    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake;
    /// Looks at the device.
    fn status(&mut self) -> Result<Status, Fault>;
    /// Makes it ready to start, after a fault.
    fn prepare(&mut self) -> Result<(), Fault>;
    /// Wakes it after a suspend; [`Fault::Again`] while it still sleeps.
    fn resume(&mut self) -> Result<(), Fault>;
}

/// A microphone.
pub trait CapturePcm: Pcm {
    /// Starts it.
    fn start(&mut self) -> Result<(), Fault>;
    /// Reads whole frames into `bytes`, at most as many as fit; returns the number of frames, possibly fewer.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault>;
}

/// A speaker. It starts by itself when [`Format::idle`] frames are queued.
pub trait PlaybackPcm: Pcm {
    /// Waits by time alone, for the bell or the end of `pause`, whatever the device says meanwhile.
    fn nap(&mut self, bell: &Bell, pause: Duration) -> Wake {
        if bell.wait(pause) { Wake::Pending } else { Wake::Ready }
    }
    /// Writes whole frames; returns the number of frames that it took, possibly fewer.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault>;
}

/// Opens a microphone, and opens it again after a loss.
pub trait CaptureHost: Send {
    /// The device's name, for messages.
    fn device(&self) -> String;
    /// Opens it, prepared and not started.
    fn open(&mut self, settings: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError>;
}

/// Opens a speaker, and opens it again after a loss.
pub trait PlaybackHost: Send {
    /// The device's name, for messages.
    fn device(&self) -> String;
    /// Opens it, prepared and empty.
    fn open(&mut self, settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError>;
}
