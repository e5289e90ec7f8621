//! What left the speaker, with its instants: a tap in front of any playback PCM.
//!
//! The device thread writes each sample into a ring of atomics at the place of the instant at which it leaves the
//! converter, so a recording keeps its time through underruns, and neither side waits for the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI16, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::pcm::{Fault, Format, Pcm, PlaybackHost, PlaybackPcm, Status, Wake};
use super::{AudioError, Bell, convert};
use crate::clock::Mono;
use crate::config::PlaybackSettings;

/// A sample whose instant is this far from the end of the recording stands apart from it: an underrun, or the drift
/// of the converter's clock.
const APART: Duration = Duration::from_millis(5);

/// The memory: sample `n` left the converter at `origin + n / rate`.
#[derive(Debug)]
struct Memory {
    ring: Box<[AtomicI16]>,
    rate: AtomicU32,
    origin: AtomicU64,
    /// The samples `first..end` are in the ring.
    first: AtomicU64,
    end: AtomicU64,
}

/// The listening end.
#[derive(Clone, Debug)]
pub struct PlaybackTap(Arc<Memory>);

/// What left the speaker between two instants.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Hz.
    pub rate: u32,
    /// Instant of the first sample.
    pub start: Mono,
    /// Mono: the first channel.
    pub samples: Vec<i16>,
}

impl PlaybackTap {
    /// A tap on whatever `host` opens, which keeps at least the last `keep` of sound (at 48 kHz).
    pub fn new(host: Box<dyn PlaybackHost>, keep: Duration) -> (Self, Box<dyn PlaybackHost>) {
        let length = (keep.as_secs_f64() * 48_000.0) as usize + 48_000;
        let memory = Arc::new(Memory {
            ring: (0..length).map(|_| AtomicI16::new(0)).collect(),
            rate: AtomicU32::new(48_000),
            origin: AtomicU64::new(0),
            first: AtomicU64::new(0),
            end: AtomicU64::new(0),
        });
        (Self(memory.clone()), Box::new(TapHost { host, memory }))
    }

    /// What left the speaker from `from` to `to`, as far as it was written and is still kept. The device is written
    /// ahead by its queue, so at [`Ended`](super::PlaybackEvent::Ended) all of a turn is here.
    pub fn take(&self, from: Mono, to: Mono) -> Recording {
        let memory = &*self.0;
        let rate = memory.rate.load(Ordering::Acquire);
        let end = memory.end.load(Ordering::Acquire);
        let origin = Mono::from_nanos(memory.origin.load(Ordering::Acquire));
        let place = |at: Mono| (at.since(origin).as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        // The oldest part may be overwritten while it is read: keep clear of it.
        let clear = (memory.ring.len() as u64).saturating_sub(u64::from(rate) / 10);
        let oldest = memory.first.load(Ordering::Acquire).max(end.saturating_sub(clear));
        let first = place(from).clamp(oldest, end);
        let last = place(to).clamp(first, end);
        let samples = (first..last).map(|n| memory.slot(n).load(Ordering::Relaxed)).collect();
        Recording { rate, start: origin + nanos(first, rate), samples }
    }
}

impl Recording {
    /// Writes it as a 16-bit WAV file.
    pub fn write(&self, path: &Path) -> Result<(), AudioError> {
        let fault = |e: hound::Error| AudioError::Wav { path: path.to_owned(), why: format!("cannot be written: {e}") };
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).map_err(fault)?;
        for &sample in &self.samples {
            writer.write_sample(sample).map_err(fault)?;
        }
        writer.finalize().map_err(fault)
    }
}

fn nanos(samples: u64, rate: u32) -> Duration {
    Duration::from_nanos((u128::from(samples) * 1_000_000_000 / u128::from(rate.max(1))) as u64)
}

impl Memory {
    fn slot(&self, n: u64) -> &AtomicI16 {
        &self.ring[(n % self.ring.len() as u64) as usize]
    }

    /// Begins anew at `origin`, for a device that was opened at `rate`.
    fn restart(&self, origin: Mono, rate: u32) {
        self.end.store(0, Ordering::Release);
        self.first.store(0, Ordering::Release);
        self.rate.store(rate, Ordering::Release);
        self.origin.store(origin.as_nanos(), Ordering::Release);
    }

    /// Where a sample that leaves at `at` goes: on from the end where it belongs there, else at its own place, with
    /// silence between.
    fn place(&self, at: Mono) -> u64 {
        let rate = self.rate.load(Ordering::Relaxed);
        let origin = Mono::from_nanos(self.origin.load(Ordering::Relaxed));
        let wanted = (at.since(origin).as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        let end = self.end.load(Ordering::Relaxed);
        if nanos(wanted.abs_diff(end), rate) < APART {
            return end;
        }
        for n in end.max(wanted.saturating_sub(self.ring.len() as u64))..wanted {
            self.slot(n).store(0, Ordering::Relaxed);
        }
        wanted
    }
}

struct TapHost {
    host: Box<dyn PlaybackHost>,
    memory: Arc<Memory>,
}

impl PlaybackHost for TapHost {
    fn device(&self) -> String {
        self.host.device()
    }

    fn open(&mut self, settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        let pcm = self.host.open(settings)?;
        self.memory.restart(Mono::now(), pcm.format().rate);
        let at = Mono::now();
        Ok(Box::new(TapPcm { pcm, memory: self.memory.clone(), next: at }))
    }
}

struct TapPcm {
    pcm: Box<dyn PlaybackPcm>,
    memory: Arc<Memory>,
    /// When a sample that is written now leaves the converter.
    next: Mono,
}

impl Pcm for TapPcm {
    fn format(&self) -> Format {
        self.pcm.format()
    }

    fn realtime(&self) -> bool {
        self.pcm.realtime()
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        self.pcm.wait(bell, limit)
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let status = self.pcm.status()?;
        self.next = status.at + self.pcm.format().time(status.delay);
        Ok(status)
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.pcm.prepare()
    }

    fn resume(&mut self) -> Result<(), Fault> {
        self.pcm.resume()
    }
}

impl PlaybackPcm for TapPcm {
    fn nap(&mut self, bell: &Bell, pause: Duration) -> Wake {
        self.pcm.nap(bell, pause)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let format = self.pcm.format();
        let frames = self.pcm.write(bytes)?;
        let place = self.memory.place(self.next);
        for (n, frame) in bytes.chunks_exact(format.frame_bytes()).take(frames).enumerate() {
            let value = frame.get(..format.sample.bytes()).map_or(0.0, |first| convert::sample(format.sample, first));
            self.memory.slot(place + n as u64).store((value * 32767.0).round() as i16, Ordering::Relaxed);
        }
        self.memory.end.store(place + frames as u64, Ordering::Release);
        self.next = self.next + format.time(frames);
        Ok(frames)
    }
}
