//! A scripted device for the tests of the loops: each wait takes one step of the script. It lives in its own time,
//! so no test depends on the speed of the machine, and what it captures tells where in that time it was.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::pcm::{CaptureHost, CapturePcm, Fault, Format, Pcm, PlaybackHost, PlaybackPcm, Sample, Status, Wake};
use super::{AudioError, Bell};
use crate::clock::Mono;
use crate::config::{CaptureSettings, PlaybackSettings};

/// The instant of the device's frame 0.
pub const BASE: Mono = Mono::from_nanos(1_000_000_000_000);

/// What happens at a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A period passes.
    Period,
    /// A period passes, and the next read or write moves only so many frames.
    Short(usize),
    /// The poll wakes for nothing.
    Spurious,
    /// The poll says ready, the next call says EPIPE; so many frames pass unheard.
    Xrun(usize),
    /// The poll itself reports the xrun.
    XrunAtWait(usize),
    /// The system slept for so many frames; resume says EAGAIN so often, then works, or is not implemented.
    Suspend { frames: usize, sleepy: u32, resumes: bool },
    /// Nothing comes for the whole limit.
    Late,
    /// Unplugged.
    Gone,
}

/// The test's side of a fake device.
#[derive(Debug, Default)]
pub struct Script {
    steps: Mutex<VecDeque<Step>>,
    pub prepared: AtomicU32,
    pub resumed: AtomicU32,
    pub started: AtomicU32,
    pub opened: AtomicU32,
    /// Steps that were taken and dealt with.
    taken: AtomicUsize,
    given: AtomicUsize,
    /// What was written to a speaker (the room for it is made in advance), and the frame of its first sample.
    pub written: Mutex<Vec<f32>>,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        let script = Self { written: Mutex::new(Vec::with_capacity(1 << 20)), ..Self::default() };
        script.then(steps);
        Arc::new(script)
    }

    /// Adds steps.
    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        let mut queue = self.steps.lock().unwrap();
        let before = queue.len();
        queue.extend(steps);
        self.given.fetch_add(queue.len() - before, SeqCst);
    }

    /// Waits until all steps are taken and the device waits again.
    pub fn settle(&self) {
        eventually("the script's end", || self.taken.load(SeqCst) == self.given.load(SeqCst) + 1);
    }
}

/// Waits for a condition, generously: the machine may be busy.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "no sign of {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A device: of 16 kHz mono floats where the format is not named.
pub struct Fake {
    script: Arc<Script>,
    format: Format,
    /// Frames that have passed the converter.
    head: u64,
    /// Frames that were read, or written.
    tail: u64,
    short: Option<usize>,
    fault: Option<Fault>,
    sleepy: u32,
    resumes: bool,
}

pub const FORMAT: Format =
    Format { rate: 16_000, channels: 1, sample: Sample::F32, period: 160, buffer: 480, target: 480 };

/// The sample that a fake microphone captures as its frame `n`; the next 30,000 all differ from it.
pub fn mark(n: u64) -> f32 {
    ((n % 30_000) + 1) as f32 / 32_768.0
}

/// The frame below `near` + 30,000 at which a sample was captured.
pub fn unmark(sample: f32, near: u64) -> u64 {
    let low = (sample * 32_768.0).round() as u64 - 1;
    near + (low + 30_000 - near % 30_000) % 30_000
}

/// The instant of the fake's frame `n`, at 16 kHz.
pub fn instant(n: u64) -> Mono {
    BASE + Duration::from_nanos(n * 62_500)
}

impl Pcm for Fake {
    fn format(&self) -> Format {
        self.format
    }

    fn wait(&mut self, bell: &Bell, _limit: Duration) -> Wake {
        let step = self.script.steps.lock().unwrap().pop_front();
        let period = self.format.period as u64;
        let Some(step) = step else {
            self.script.taken.store(self.script.given.load(SeqCst) + 1, SeqCst);
            bell.wait(Duration::from_millis(1));
            return Wake::Pending;
        };
        self.script.taken.fetch_add(1, SeqCst);
        let mut pass = |frames: usize, fault| {
            self.head += frames as u64;
            self.tail = self.head;
            self.fault = Some(fault);
        };
        match step {
            Step::Period => self.head += period,
            Step::Short(frames) => {
                self.head += period;
                self.short = Some(frames);
            }
            Step::Spurious => return Wake::Pending,
            Step::Late => return Wake::Late,
            Step::Xrun(frames) => pass(frames, Fault::Xrun),
            Step::XrunAtWait(frames) => {
                pass(frames, Fault::Xrun);
                return Wake::Recover(Fault::Xrun);
            }
            Step::Suspend { frames, sleepy, resumes } => {
                pass(frames, Fault::Suspended);
                (self.sleepy, self.resumes) = (sleepy, resumes);
                return Wake::Recover(Fault::Suspended);
            }
            Step::Gone => {
                self.fault = Some(Fault::Gone);
                return Wake::Recover(Fault::Gone);
            }
        }
        Wake::Ready
    }

    fn status(&mut self) -> Result<Status, Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => {
                let at = BASE + self.format.time(self.head as usize);
                let delay = self.head.abs_diff(self.tail) as usize;
                Ok(Status { avail: delay, delay, at })
            }
        }
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.script.prepared.fetch_add(1, SeqCst);
        if self.fault == Some(Fault::Gone) {
            return Err(Fault::Gone);
        }
        self.fault = None;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        self.script.resumed.fetch_add(1, SeqCst);
        if self.sleepy > 0 {
            self.sleepy -= 1;
            return Err(Fault::Again);
        }
        if !self.resumes {
            return Err(Fault::Os(rustix::io::Errno::NOSYS.raw_os_error()));
        }
        self.fault = None;
        Ok(())
    }
}

impl CapturePcm for Fake {
    fn start(&mut self) -> Result<(), Fault> {
        self.script.started.fetch_add(1, SeqCst);
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let size = self.format.frame_bytes();
        let frames = (bytes.len() / size).min((self.head - self.tail) as usize);
        let frames = frames.min(self.short.take().unwrap_or(usize::MAX));
        if frames == 0 {
            return Err(Fault::Again);
        }
        for (n, frame) in bytes.chunks_exact_mut(size).take(frames).enumerate() {
            super::convert::encode(&self.format, &[mark(self.tail + n as u64)], frame);
        }
        self.tail += frames as u64;
        Ok(frames)
    }
}

/// The same as a speaker: `tail` is what was written.
struct FakeSpeaker(Fake);

impl Pcm for FakeSpeaker {
    fn format(&self) -> Format {
        self.0.format
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        let wake = self.0.wait(bell, limit);
        if self.0.fault.is_none() && self.0.head > self.0.tail {
            (self.0.fault, self.0.tail) = (Some(Fault::Xrun), self.0.head);
        }
        wake
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let status = self.0.status()?;
        Ok(Status { avail: self.0.format.buffer - status.delay, ..status })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.0.prepare()
    }

    fn resume(&mut self) -> Result<(), Fault> {
        self.0.resume()
    }
}

impl PlaybackPcm for FakeSpeaker {
    /// Its time is the script's.
    fn nap(&mut self, bell: &Bell, pause: Duration) -> Wake {
        self.wait(bell, pause)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if let Some(fault) = self.0.fault {
            return Err(fault);
        }
        let size = self.0.format.frame_bytes();
        let room = self.0.format.buffer - (self.0.tail - self.0.head) as usize;
        let frames = (bytes.len() / size).min(room).min(self.0.short.take().unwrap_or(usize::MAX));
        if frames == 0 {
            return Err(Fault::Again);
        }
        let mut written = self.0.script.written.lock().unwrap();
        written.resize(self.0.tail as usize, 0.0);
        for frame in bytes.chunks_exact(size).take(frames) {
            written.push(super::convert::sample(self.0.format.sample, frame));
        }
        self.0.tail += frames as u64;
        Ok(frames)
    }
}

/// Opens fakes in order; after the last, nothing is there.
pub struct FakeHost {
    format: Format,
    scripts: VecDeque<Option<Arc<Script>>>,
}

impl FakeHost {
    /// `None` is an attempt that fails.
    pub fn new(scripts: impl IntoIterator<Item = Option<Arc<Script>>>) -> Box<Self> {
        Box::new(Self { format: FORMAT, scripts: scripts.into_iter().collect() })
    }

    /// With another format.
    pub fn with(format: Format, script: Arc<Script>) -> Box<Self> {
        Box::new(Self { format, scripts: [Some(script)].into() })
    }

    fn next(&mut self) -> Result<Fake, AudioError> {
        let way = super::Way::Capture;
        let script = self.scripts.pop_front().flatten();
        let script = script.ok_or(AudioError::NotFound { device: "fake".into(), way, detail: String::new() })?;
        script.opened.fetch_add(1, SeqCst);
        let format = self.format;
        Ok(Fake { script, format, head: 0, tail: 0, short: None, fault: None, sleepy: 0, resumes: false })
    }
}

impl CaptureHost for FakeHost {
    fn device(&self) -> String {
        "fake".into()
    }

    fn open(&mut self, _settings: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        Ok(Box::new(self.next()?))
    }
}

impl PlaybackHost for FakeHost {
    fn device(&self) -> String {
        "fake".into()
    }

    fn open(&mut self, _settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        Ok(Box::new(FakeSpeaker(self.next()?)))
    }
}

/// The defaults, as a test wants them.
pub fn capture_settings() -> CaptureSettings {
    CaptureSettings {
        device: "fake".into(),
        rate: None,
        channels: None,
        channel: None,
        period: Duration::from_millis(10),
        buffer: Duration::from_millis(200),
        preroll: Duration::from_millis(500),
    }
}

/// The defaults, as a test wants them.
pub fn playback_settings() -> PlaybackSettings {
    PlaybackSettings {
        device: "fake".into(),
        rate: None,
        channels: None,
        period: Duration::from_millis(10),
        buffer: Duration::from_millis(30),
    }
}
