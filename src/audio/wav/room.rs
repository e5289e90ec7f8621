//! A microphone in a quiet room, into which clips are spoken.
//!
//! It keeps time as a device does: a sample cannot be read before its time. It differs in one thing: a reader that
//! comes late finds everything still there, so that a busy machine cannot cut words out of a demo.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Pace;
use super::noise::Noise;
use crate::audio::convert;
use crate::audio::pcm::{CaptureHost, CapturePcm, Fault, Format, Pcm, Sample, Status, Wake};
use crate::audio::{AudioError, Bell, FRAME, RATE};
use crate::clock::Mono;
use crate::config::CaptureSettings;

/// Level of the room's noise, RMS in dBFS.
pub const ROOM_DBFS: f32 = -75.0;

/// What the room and its feeds share. A lock, in a device that is no device: it is held for the mixing of one period.
#[derive(Debug)]
struct Room {
    /// Capture time of sample 0.
    origin: Mono,
    pace: f64,
    rate: u32,
    /// The next sample to be read.
    position: u64,
    /// First sample and sound.
    clips: Vec<(u64, Vec<f32>)>,
}

impl Room {
    /// Samples whose time has come.
    fn passed(&self) -> u64 {
        (Mono::now().since(self.origin).as_secs_f64() * self.pace * f64::from(self.rate)) as u64
    }

    /// Capture time of a sample.
    fn instant(&self, sample: u64) -> Mono {
        self.origin + Duration::from_nanos((sample as u128 * 1_000_000_000 / u128::from(self.rate)) as u64)
    }
}

fn lock(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Speaks into the room; clones speak into the same.
#[derive(Clone, Debug)]
pub struct WavFeed(Arc<Mutex<Room>>);

impl WavFeed {
    /// Speaks `samples` (−1 to 1, mono, of `rate` Hz), beginning with the next 16 ms frame: over what is being said
    /// already, where something is. Returns the capture time of the first sample.
    pub fn say(&self, samples: Vec<f32>, rate: u32) -> Mono {
        let to = lock(&self.0).rate;
        let samples = if rate == to { samples } else { convert::resample(&samples, rate, to) };
        let mut room = lock(&self.0);
        let position = room.position;
        room.clips.retain(|(start, samples)| start + samples.len() as u64 > position);
        let frame = FRAME as u64 * u64::from(to) / u64::from(RATE);
        let start = room.passed().max(position).next_multiple_of(frame);
        let instant = room.instant(start);
        room.clips.push((start, samples));
        instant
    }
}

/// Opens the room as a microphone.
#[derive(Debug)]
pub struct WavCaptureHost {
    room: Arc<Mutex<Room>>,
}

impl WavCaptureHost {
    /// A room whose time begins now, and its feed. It opens with the settings' rate (16 kHz where they name none)
    /// and channels (1).
    pub fn new(pace: Pace) -> (Self, WavFeed) {
        let origin = Mono::now();
        let room = Room { origin, pace: pace.factor(), rate: RATE, position: 0, clips: Vec::new() };
        let room = Arc::new(Mutex::new(room));
        (Self { room: room.clone() }, WavFeed(room))
    }
}

impl CaptureHost for WavCaptureHost {
    fn device(&self) -> String {
        "wav".into()
    }

    fn open(&mut self, settings: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        let rate = settings.rate.unwrap_or(RATE).max(1000);
        let frames = |time: Duration| ((time.as_secs_f64() * f64::from(rate)) as usize).max(1);
        let (period, buffer) = (frames(settings.period), frames(settings.buffer));
        let channels = settings.channels.unwrap_or(1).max(1);
        let format = Format { rate, channels, sample: Sample::F32, period, buffer, target: buffer };
        let mut room = lock(&self.room);
        room.rate = rate;
        // What nobody listened to before the microphone was open is gone.
        room.position = room.passed();
        drop(room);
        let room = self.room.clone();
        Ok(Box::new(Microphone { room, format, noise: Noise::new(1, ROOM_DBFS), mono: vec![0.0; period] }))
    }
}

struct Microphone {
    room: Arc<Mutex<Room>>,
    format: Format,
    noise: Noise,
    mono: Vec<f32>,
}

impl Pcm for Microphone {
    fn format(&self) -> Format {
        self.format
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        let room = lock(&self.room);
        let (ready, passed) = (room.position + self.format.period as u64, room.passed());
        let pause = ready.saturating_sub(passed) as f64 / (f64::from(room.rate) * room.pace);
        drop(room);
        if passed >= ready {
            return Wake::Ready;
        }
        // A microsecond more, for the rounding: a wait that ends early would only come again.
        let pause = Duration::from_secs_f64(pause) + Duration::from_micros(1);
        match bell.wait(pause.min(limit)) {
            true => Wake::Pending,
            false if pause > limit => Wake::Late,
            false => Wake::Ready,
        }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let room = lock(&self.room);
        let passed = room.passed().max(room.position);
        let avail = (passed - room.position) as usize;
        Ok(Status { avail, delay: avail, at: room.instant(passed) })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl CapturePcm for Microphone {
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let mut room = lock(&self.room);
        let passed = room.passed().saturating_sub(room.position) as usize;
        let frames = (bytes.len() / self.format.frame_bytes()).min(passed).min(self.mono.len());
        if frames == 0 {
            return Err(Fault::Again);
        }
        let first = room.position;
        room.position += frames as u64;
        let mono = &mut self.mono[..frames];
        mono.fill_with(|| self.noise.next());
        for (start, samples) in &room.clips {
            for (n, value) in mono.iter_mut().enumerate() {
                let at = (first + n as u64).checked_sub(*start);
                *value += at.and_then(|at| samples.get(at as usize)).copied().unwrap_or(0.0);
            }
        }
        drop(room);
        convert::encode(&self.format, &self.mono[..frames], &mut bytes[..frames * self.format.frame_bytes()]);
        Ok(frames)
    }
}
