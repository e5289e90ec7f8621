//! The thread that touches the speaker's PCM: keeps its queue at the target with sound or silence, recovers. Between
//! opening and losing the device it allocates nothing, takes no lock and logs nothing.

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use super::fill::Fill;
use super::mixer::Mixer;
use super::{PlaybackEvent, Shared};
use crate::audio::convert::encode;
use crate::audio::pcm::{Fault, Format, PlaybackPcm, Wake};
use crate::audio::recover::{BACK_OFF, Recovery, STALL};
use crate::audio::{AudioError, PlaybackHost, no_alloc, realtime};
use crate::clock::Mono;
use crate::config::PlaybackSettings;

/// The thread's state.
pub struct Device {
    host: Box<dyn PlaybackHost>,
    settings: PlaybackSettings,
    shared: Arc<Shared>,
    mixer: Mixer,
    events: UnboundedSender<PlaybackEvent>,
}

/// One opening of the device.
struct Stream {
    format: Format,
    /// A period of mono, and of native sound.
    mono: Box<[f32]>,
    bytes: Box<[u8]>,
    /// The part of `bytes` that the device has not taken yet.
    left: std::ops::Range<usize>,
    /// What is queued while there is no sound.
    fill: Fill,
    /// The last look at the device.
    seen: Mono,
    /// Frames in the device's queue after it was fed.
    queued: usize,
}

impl Stream {
    /// Tells the reporter where the level has changed; it logs.
    fn tell_fill(&self, shared: &Shared) {
        let fill = self.format.time(self.fill.idle()).as_nanos() as u64;
        if shared.fill.swap(fill, Relaxed) != fill {
            shared.reporter_bell.ring();
        }
    }
}

impl Device {
    pub fn new(
        host: Box<dyn PlaybackHost>,
        settings: PlaybackSettings,
        shared: Arc<Shared>,
        mixer: Mixer,
        events: UnboundedSender<PlaybackEvent>,
    ) -> Self {
        Self { host, settings, shared, mixer, events }
    }

    /// Opens the device, tells how that went, and serves it until the handle is dropped; a lost one is opened again,
    /// and where it is to `wait`, so is one that is not there at first.
    pub fn run(mut self, ready: SyncSender<Result<(), AudioError>>, wait: bool) {
        let mut opened = match self.host.open(&self.settings) {
            Ok(pcm) => {
                let stream = self.connect(&*pcm);
                let _ = ready.send(Ok(()));
                Some((stream, pcm))
            }
            Err(e) if wait => {
                let _ = self.events.send(PlaybackEvent::Lost(e.clone()));
                let _ = ready.send(Err(e));
                self.wait_for_return()
            }
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        while let Some((mut stream, mut pcm)) = opened {
            realtime::promote(&*pcm, &self.host.device());
            let left = no_alloc(|| serve(&mut *pcm, &mut stream, &mut self.mixer, &self.shared));
            self.shared.health.present.store(false, Relaxed);
            drop(pcm);
            let Err(fault) = left else { return };
            self.shared.health.losses.fetch_add(1, Relaxed);
            let error = AudioError::Gone { device: self.host.device(), why: fault.to_string() };
            log::warn!("{error}");
            let _ = self.events.send(PlaybackEvent::Lost(error));
            opened = self.wait_for_return();
        }
    }

    fn connect(&mut self, pcm: &dyn PlaybackPcm) -> Stream {
        let format = pcm.format();
        log::info!("speaker `{}`: {format}", self.host.device());
        self.mixer.set_rate(format.rate);
        let shared = &*self.shared;
        *shared.format.lock().unwrap_or_else(PoisonError::into_inner) = format.to_string();
        shared.period.store(format.time(format.period).as_nanos() as u64, Relaxed);
        shared.fill.store(format.time(format.idle()).as_nanos() as u64, Relaxed);
        shared.rate.store(format.rate, Release);
        shared.health.present.store(true, Relaxed);
        Stream {
            format,
            mono: vec![0.0; format.period].into(),
            bytes: vec![0; format.period * format.frame_bytes()].into(),
            left: 0..0,
            fill: Fill::new(format),
            seen: Mono::now(),
            queued: 0,
        }
    }

    /// Tries to open the device again, ever more seldom; none where the handle was dropped meanwhile. Turns go by
    /// unheard.
    fn wait_for_return(&mut self) -> Option<(Stream, Box<dyn PlaybackPcm>)> {
        let mut pause = BACK_OFF.0;
        let mut next = Mono::now() + pause;
        loop {
            self.mixer.discard(Mono::now());
            if self.mixer.noted() {
                self.shared.reporter_bell.ring();
            }
            // The bell also rings for turns that begin: they must not make the attempts more frequent.
            self.shared.device_bell.wait(next.since(Mono::now()));
            if self.shared.health.stop.load(Relaxed) {
                return None;
            }
            if Mono::now() < next {
                continue;
            }
            match self.host.open(&self.settings) {
                Ok(pcm) => {
                    self.mixer.discard(Mono::now());
                    self.shared.reporter_bell.ring();
                    let stream = self.connect(&*pcm);
                    let _ = self.events.send(PlaybackEvent::Returned);
                    return Some((stream, pcm));
                }
                Err(e) => log::debug!("{e}"),
            }
            pause = (pause * 2).min(BACK_OFF.1);
            next = Mono::now() + pause;
        }
    }
}

/// The loop. `Ok`: the handle was dropped; an error: the device is lost.
fn serve(pcm: &mut dyn PlaybackPcm, stream: &mut Stream, mixer: &mut Mixer, shared: &Shared) -> Result<(), Fault> {
    let mut recovery = Recovery::default();
    let mut wake = Wake::Ready;
    while !shared.health.stop.load(Relaxed) {
        let fault = match wake {
            // The bell rings for new sound: there may be room for it.
            Wake::Pending | Wake::Ready => {
                let fed = feed(pcm, stream, mixer, shared);
                if mixer.noted() {
                    shared.reporter_bell.ring();
                }
                if shared.anew.swap(false, Relaxed) {
                    stream.fill = Fill::new(stream.format);
                    shared.fill.store(stream.format.time(stream.fill.idle()).as_nanos() as u64, Relaxed);
                }
                if fed == Ok(true) {
                    recovery.well();
                    stream.fill.well(stream.seen);
                    stream.tell_fill(shared);
                }
                fed.err()
            }
            Wake::Late => Some(Fault::Os(rustix::io::Errno::TIMEDOUT.raw_os_error())),
            Wake::Recover(fault) => Some(fault),
        };
        if let Some(fault) = fault {
            if fault == Fault::Xrun {
                mixer.underrun();
                // Its pointer is too coarse, or its thread too often late, for so short a queue.
                stream.fill.ran_dry(stream.seen);
                stream.tell_fill(shared);
            }
            recovery.recover(pcm, fault, &shared.device_bell, &shared.health)?;
            if fault != Fault::Again {
                // It starts by itself when it is filled, and has little left where it resumed.
                wake = Wake::Ready;
                continue;
            }
        }
        // While there is only silence to queue, the queue falls to its low level before it is fed: the poll, which
        // wakes at a fixed level, would keep it full. A device whose queue is always empty (ALSA's null) polls.
        let excess = stream.queued.saturating_sub(stream.fill.low());
        wake = match mixer.quiet() && !stream.fill.is_full() && excess > 0 {
            true => pcm.nap(&shared.device_bell, stream.format.time(excess)),
            false => pcm.wait(&shared.device_bell, STALL),
        };
    }
    Ok(())
}

/// Fills the device's queue with sound up to its target, with silence to less; true where it took something.
fn feed(pcm: &mut dyn PlaybackPcm, stream: &mut Stream, mixer: &mut Mixer, shared: &Shared) -> Result<bool, Fault> {
    let format = stream.format;
    let size = format.frame_bytes();
    let status = pcm.status()?;
    stream.seen = status.at;
    shared.queued.store(format.time(status.delay).as_nanos() as u64, Relaxed);
    let mut leaves = status.at + format.time(status.delay);
    stream.queued = format.buffer.saturating_sub(status.avail);
    mixer.look(leaves, &shared.live);
    let wanted = if mixer.quiet() { stream.fill.idle() } else { format.target };
    let mut room = wanted.saturating_sub(stream.queued);
    let mut fed = false;
    while room > 0 {
        if stream.left.is_empty() {
            let mono = &mut stream.mono[..room.min(format.period)];
            let mut made = mixer.fill(mono, leaves, &shared.live);
            // Sound that the worker has not made yet is no gap while the queue lasts: the bell rings when it has.
            let lasts = !stream.fill.is_full() && stream.queued + made > stream.fill.low();
            if made < mono.len() && !(lasts && mixer.speaking()) {
                mixer.pad(&mut mono[made..]);
                made = mono.len();
            }
            if made == 0 {
                break;
            }
            let mono = &mono[..made];
            encode(&format, mono, &mut stream.bytes[..mono.len() * size]);
            stream.left = 0..mono.len() * size;
        }
        let most = stream.left.start + (room * size).min(stream.left.len());
        match pcm.write(&stream.bytes[stream.left.start..most]) {
            Ok(0) | Err(Fault::Again) => break,
            Ok(frames) => {
                stream.left.start += frames * size;
                leaves = leaves + format.time(frames);
                room -= frames.min(room);
                stream.queued += frames;
                fed = true;
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(fed)
}
