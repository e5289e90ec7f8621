//! The speaker: its PCM stays open and is fed silence, so that no amplifier clips the first word.
//!
//! Sound comes with its turn's number. `feeder` converts it in the caller's thread and puts it into a ring;
//! `mixer`, in the thread of `device`, takes from the ring what belongs to the turn that is live, and nothing
//! else; `reporter` turns its notes into events and frees what was played.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::feeder::Feeder;
use super::capture::{Absent, join, spawn};
use super::recover::Health;
use super::{AudioError, Bell, PlaybackHost};
use crate::clock::Mono;
use crate::config::PlaybackSettings;

mod device;
mod feeder;
mod fill;
mod mixer;
#[cfg(test)]
mod mixer_tests;
mod reporter;
#[cfg(test)]
mod tests;

/// A long push goes through the converter in pieces of this part of a second.
const PIECES_PER_SECOND: u32 = 20;

/// What the speaker tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackEvent {
    /// The turn's first sample above −50 dBFS leaves the converter at `at`, at most the device's queue from now.
    FirstAudible {
        /// The turn.
        turn: u64,
        /// Time of the write, plus the PCM's delay read before it, plus the sample's place in the buffer.
        at: Mono,
    },
    /// The turn has played, or was cancelled. Each turn that was begun ends once.
    Ended {
        /// The turn.
        turn: u64,
        /// Its last sample leaves the converter then (at most the device's queue from now).
        at: Mono,
        /// How much of its sound is heard.
        heard: Duration,
        /// All of it: not cancelled, not overtaken by another turn, the device not lost.
        completed: bool,
        /// Gaps inside it because nothing was pushed in time.
        starved: u32,
        /// Underruns of the device inside it.
        underruns: u32,
    },
    /// The device is gone; it is tried again until [`PlaybackEvent::Returned`]. A turn in it ends unheard.
    Lost(AudioError),
    /// The device is back.
    Returned,
}

/// Counters since the start, and the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaybackStats {
    /// Underruns of the device.
    pub underruns: u64,
    /// Gaps inside turns because nothing was pushed in time.
    pub starved: u64,
    /// The system slept.
    pub suspends: u64,
    /// Times that the device went away.
    pub losses: u64,
    /// The device is open.
    pub present: bool,
    /// Its period.
    pub period: Duration,
    /// Silence that is kept queued while there is no sound, before sound that comes.
    pub fill: Duration,
    /// Sound between this program and the converter at the last look.
    pub queued: Duration,
    /// What it is open as: sample format, rate, channels, period, buffer.
    pub format: String,
}

/// What the threads and the handle share.
#[derive(Debug)]
struct Shared {
    health: Health,
    /// The epoch whose sound may play; 0: none. Every `begin` makes a new one, so a turn number that is used again
    /// does not wake old sound.
    live: AtomicU64,
    /// The device's rate, in Hz.
    rate: AtomicU32,
    starved: AtomicU64,
    /// The fill level begins anew.
    anew: AtomicBool,
    /// Nanoseconds.
    period: AtomicU64,
    fill: AtomicU64,
    queued: AtomicU64,
    format: Mutex<String>,
    device_bell: Bell,
    reporter_bell: Bell,
}

impl Shared {
    fn new() -> Result<Self, AudioError> {
        Ok(Self {
            health: Health::default(),
            live: AtomicU64::new(0),
            rate: AtomicU32::new(0),
            starved: AtomicU64::new(0),
            anew: AtomicBool::new(false),
            period: AtomicU64::new(0),
            fill: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            format: Mutex::new(String::new()),
            device_bell: Bell::new()?,
            reporter_bell: Bell::new()?,
        })
    }
}

/// The running speaker. Cheap to share; dropping it ends its threads and what still plays.
#[derive(Debug)]
pub struct Playback {
    shared: Arc<Shared>,
    feeder: Arc<Mutex<Feeder>>,
    threads: Vec<JoinHandle<()>>,
}

impl Playback {
    /// Opens the device and starts its threads. The error of the first open is returned; a later loss is an event.
    pub fn start(
        host: Box<dyn PlaybackHost>,
        settings: &PlaybackSettings,
    ) -> Result<(Playback, UnboundedReceiver<PlaybackEvent>), AudioError> {
        let (playback, events, absent) = Self::threads(host, settings, false)?;
        absent.map_or(Ok((playback, events)), Err)
    }

    /// As [`Playback::start`], for a device that may come later: where it cannot be opened, the first event is
    /// [`PlaybackEvent::Lost`] with the reason, which is also returned, and it is tried again like one that was there before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start_waiting(
        host: Box<dyn PlaybackHost>,
        settings: &PlaybackSettings,
    ) -> Result<Absent<Playback, PlaybackEvent>, AudioError> {
        Self::threads(host, settings, true)
    }

    /// The threads, and why the device could not be opened.
    fn threads(
        host: Box<dyn PlaybackHost>,
        settings: &PlaybackSettings,
        wait: bool,
    ) -> Result<Absent<Playback, PlaybackEvent>, AudioError> {
        let shared = Arc::new(Shared::new()?);
        let (events, receiver) = unbounded_channel();
        let (chunks, queue) = rtrb::RingBuffer::new(feeder::RING);
        let (notes, reports) = rtrb::RingBuffer::new(reporter::RING);
        let feeder = Arc::new(Mutex::new(Feeder::new(chunks, shared.clone())));
        let mixer = mixer::Mixer::new(queue, notes);
        let reporter = reporter::Reporter::new(shared.clone(), feeder.clone(), reports, events.clone());
        let reporter = spawn("elio-report", move || reporter.run())?;
        let mut playback = Playback { shared: shared.clone(), feeder, threads: vec![reporter] };
        let (ready, answer) = mpsc::sync_channel(1);
        let device = device::Device::new(host, settings.clone(), shared, mixer, events);
        playback.threads.push(spawn("elio-speaker", move || device.run(ready, wait))?);
        // The thread answers once; one that ended without an answer has panicked.
        let died = |_| AudioError::Thread { name: "elio-speaker", why: "it ended while it opened the device".into() };
        let absent = answer.recv().map_err(died)?.err();
        Ok((playback, receiver, absent))
    }

    /// The machine was busier than it will be: the silence that is kept queued begins anew at its least.
    pub fn settle(&self) {
        self.shared.anew.store(true, Relaxed);
    }

    /// Begins a turn: from now on only its sound can play. One that still plays fades out and ends uncompleted.
    pub fn begin(&self, turn: u64) {
        self.feeder().begin(turn);
    }

    /// Adds sound to the turn that was begun: mono of `rate` Hz, −1 to 1. Sound of any other turn is dropped.
    pub fn push(&self, turn: u64, rate: u32, samples: &[f32]) {
        // In pieces: the first is on its way while the rest is still being converted, and a cancel waits for no more
        // than one.
        for piece in samples.chunks((rate / PIECES_PER_SECOND).max(1) as usize) {
            self.feeder().push(turn, rate, piece);
        }
    }

    /// No more is coming: the turn ends when all of it has played.
    pub fn finish(&self, turn: u64) {
        self.feeder().finish(turn);
    }

    /// Ends the turn now: what the device has queued fades out within 5 ms more, the rest is dropped.
    pub fn cancel(&self, turn: u64) {
        self.feeder().cancel(turn);
    }

    /// Counters and state.
    pub fn stats(&self) -> PlaybackStats {
        let shared = &*self.shared;
        PlaybackStats {
            underruns: shared.health.xruns.load(Relaxed),
            starved: shared.starved.load(Relaxed),
            suspends: shared.health.suspends.load(Relaxed),
            losses: shared.health.losses.load(Relaxed),
            present: shared.health.present.load(Relaxed),
            period: Duration::from_nanos(shared.period.load(Relaxed)),
            fill: Duration::from_nanos(shared.fill.load(Relaxed)),
            queued: Duration::from_nanos(shared.queued.load(Relaxed)),
            format: shared.format.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn feeder(&self) -> MutexGuard<'_, Feeder> {
        self.feeder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        self.shared.health.stop.store(true, Relaxed);
        self.shared.device_bell.ring();
        self.shared.reporter_bell.ring();
        join(&mut self.threads);
    }
}
