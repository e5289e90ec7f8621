//! The microphone: always read, never in the way.
//!
//! `device` is the thread that touches the PCM; `worker` converts, measures and hands out frames; `timeline`
//! knows the capture time of each sample and what is missing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::recover::Health;
use super::{AudioError, Bell, CaptureHost, Frame, Vad};
use crate::clock::Mono;
use crate::config::CaptureSettings;

mod device;
#[cfg(test)]
mod tests;
mod timeline;
mod worker;

/// A thread that has not ended after this long is left behind when its handle is dropped.
pub(super) const JOIN: Duration = Duration::from_millis(500);

/// What the microphone tells.
#[derive(Debug)]
pub enum CaptureEvent {
    /// The next 16 ms.
    Frame(Box<Frame>),
    /// The device is gone; it is tried again until [`CaptureEvent::Returned`].
    Lost(AudioError),
    /// The device is back.
    Returned,
}

/// Counters since the start, and the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// The device's buffer ran over, and sound was lost.
    pub overruns: u64,
    /// Periods that the worker was too late for.
    pub dropped: u64,
    /// The system slept.
    pub suspends: u64,
    /// Times that the device went away.
    pub losses: u64,
    /// The device is open.
    pub present: bool,
    /// What it is open as: sample format, rate, channels, period, buffer.
    pub format: String,
}

/// What the threads and the handle share.
#[derive(Debug)]
struct Shared {
    health: Health,
    dropped: AtomicU64,
    progress: AtomicU64,
    format: Mutex<String>,
    /// Wakes the device thread, to end it.
    device_bell: Bell,
    /// Wakes the worker.
    worker_bell: Bell,
}

impl Shared {
    fn new() -> Result<Self, AudioError> {
        Ok(Self {
            health: Health::default(),
            dropped: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            format: Mutex::new(String::new()),
            device_bell: Bell::new()?,
            worker_bell: Bell::new()?,
        })
    }
}

/// A device that runs or is waited for, its events, and why it could not be opened yet.
pub type Absent<D, E> = (D, UnboundedReceiver<E>, Option<AudioError>);

/// The running microphone. Dropping it ends its threads.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    detectors: mpsc::Sender<Vad>,
    threads: Vec<JoinHandle<()>>,
}

impl Capture {
    /// Opens the device and starts its threads; `vad` scores what it hears. The error of the first open is returned; a later loss is an event.
    pub fn start(
        host: Box<dyn CaptureHost>,
        settings: &CaptureSettings,
        vad: Vad,
    ) -> Result<(Capture, UnboundedReceiver<CaptureEvent>), AudioError> {
        let (capture, events, absent) = Self::threads(host, settings, vad, false)?;
        absent.map_or(Ok((capture, events)), Err)
    }

    /// As [`Capture::start`], for a device that may come later: where it cannot be opened, the first event is
    /// [`CaptureEvent::Lost`] with the reason, which is also returned, and it is tried again like one that was there before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start_waiting(
        host: Box<dyn CaptureHost>,
        settings: &CaptureSettings,
        vad: Vad,
    ) -> Result<Absent<Capture, CaptureEvent>, AudioError> {
        Self::threads(host, settings, vad, true)
    }

    /// The threads, and why the device could not be opened.
    fn threads(
        host: Box<dyn CaptureHost>,
        settings: &CaptureSettings,
        vad: Vad,
        wait: bool,
    ) -> Result<Absent<Capture, CaptureEvent>, AudioError> {
        let shared = Arc::new(Shared::new()?);
        let (events, receiver) = unbounded_channel();
        let (setups, incoming) = mpsc::channel();
        let (detectors, better) = mpsc::channel();
        let worker = worker::Worker::new(shared.clone(), incoming, events.clone(), settings.channel, vad, better);
        let worker = spawn("elio-hear", move || worker.run())?;
        let mut capture = Capture { shared: shared.clone(), detectors, threads: vec![worker] };
        let (ready, answer) = mpsc::sync_channel(1);
        let device = device::Device::new(host, settings.clone(), shared, setups, events);
        capture.threads.push(spawn("elio-mic", move || device.run(ready, wait))?);
        // The thread answers once; one that ended without an answer has panicked.
        let died = |_| AudioError::Thread { name: "elio-mic", why: "it ended while it opened the device".into() };
        let absent = answer.recv().map_err(died)?.err();
        Ok((capture, receiver, absent))
    }

    /// From the next frame on this detector scores: one that took long to load takes the place of the first one.
    pub fn detect(&self, vad: Vad) {
        // A worker that has ended scores nothing more.
        let _ = self.detectors.send(vad);
    }

    /// Grows while frames advance, and while an absent device is waited for: what the watchdog is fed by.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Relaxed)
    }

    /// Counters and state.
    pub fn stats(&self) -> CaptureStats {
        let Shared { health, dropped, format, .. } = &*self.shared;
        CaptureStats {
            overruns: health.xruns.load(Relaxed),
            dropped: dropped.load(Relaxed),
            suspends: health.suspends.load(Relaxed),
            losses: health.losses.load(Relaxed),
            present: health.present.load(Relaxed),
            format: format.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.health.stop.store(true, Relaxed);
        self.shared.device_bell.ring();
        self.shared.worker_bell.ring();
        join(&mut self.threads);
    }
}

/// Starts a named thread.
pub(super) fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AudioError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|e| AudioError::Thread { name, why: e.to_string() })
}

/// Joins threads that were told to end, up to [`JOIN`]; a driver that hangs must not hang the program.
#[expect(clippy::disallowed_methods, reason = "std has no join with a deadline; this runs once, at the end")]
pub(super) fn join(threads: &mut Vec<JoinHandle<()>>) {
    let until = Mono::now() + JOIN;
    for thread in threads.drain(..) {
        while !thread.is_finished() && Mono::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        } else {
            log::warn!("sound thread {} hangs in its device and is left behind", thread.thread().name().unwrap_or("?"));
        }
    }
}
