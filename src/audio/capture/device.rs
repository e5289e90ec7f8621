//! The thread that touches the microphone's PCM: waits, stamps, reads into blocks, recovers. Between opening and
//! losing the device it allocates nothing, takes no lock and logs nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc::UnboundedSender;

use super::worker::Setup;
use super::{CaptureEvent, Shared};
use crate::audio::pcm::{CapturePcm, Fault, Wake};
use crate::audio::recover::{BACK_OFF, Recovery, STALL};
use crate::audio::{AudioError, CaptureHost, no_alloc, realtime};
use crate::clock::Mono;
use crate::config::CaptureSettings;

/// How late the worker may come before sound is dropped.
const SLACK: Duration = Duration::from_secs(2);

/// Native sound of up to a period, on its way to the worker; the bytes go to and fro and are never freed in between.
pub struct Block {
    /// Capture time of the first frame.
    pub start: Mono,
    /// Frames that are filled.
    pub frames: usize,
    /// Sound was lost between the block before and this one.
    pub gap: bool,
    /// Room for a period.
    pub bytes: Box<[u8]>,
}

/// The device's side of the rings.
struct Rings {
    full: Producer<Block>,
    empty: Consumer<Block>,
    /// Where sound goes that no block is free for.
    scratch: Box<[u8]>,
    gap: bool,
}

/// The thread's state.
pub struct Device {
    host: Box<dyn CaptureHost>,
    settings: CaptureSettings,
    shared: Arc<Shared>,
    setups: Sender<Setup>,
    events: UnboundedSender<CaptureEvent>,
}

impl Device {
    pub fn new(
        host: Box<dyn CaptureHost>,
        settings: CaptureSettings,
        shared: Arc<Shared>,
        setups: Sender<Setup>,
        events: UnboundedSender<CaptureEvent>,
    ) -> Self {
        Self { host, settings, shared, setups, events }
    }

    /// Opens the device, tells how that went, and serves it until the handle is dropped; a lost one is opened again,
    /// and where it is to `wait`, so is one that is not there at first.
    pub fn run(mut self, ready: SyncSender<Result<(), AudioError>>, wait: bool) {
        let mut opened = match self.host.open(&self.settings) {
            Ok(pcm) => {
                let _ = ready.send(Ok(()));
                Some(pcm)
            }
            Err(e) if wait => {
                let _ = self.events.send(CaptureEvent::Lost(e.clone()));
                let _ = ready.send(Err(e));
                self.wait_for_return()
            }
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        while let Some(mut pcm) = opened {
            let mut rings = self.connect(&*pcm);
            realtime::promote(&*pcm, &self.host.device());
            self.shared.health.present.store(true, Relaxed);
            let left = no_alloc(|| serve(&mut *pcm, &mut rings, &self.shared));
            self.shared.health.present.store(false, Relaxed);
            drop(pcm);
            let Err(fault) = left else { return };
            self.shared.health.losses.fetch_add(1, Relaxed);
            let error = AudioError::Gone { device: self.host.device(), why: fault.to_string() };
            log::warn!("{error}");
            let _ = self.events.send(CaptureEvent::Lost(error));
            opened = self.wait_for_return();
        }
    }

    /// New rings for a device that was just opened: its format may differ from the one before.
    fn connect(&self, pcm: &dyn CapturePcm) -> Rings {
        let format = pcm.format();
        log::info!("microphone `{}`: {format}", self.host.device());
        *self.shared.format.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = format.to_string();
        let blocks = format.frames(SLACK).div_ceil(format.period).max(8);
        let size = format.period * format.frame_bytes();
        let (full, filled) = RingBuffer::new(blocks);
        let (mut free, empty) = RingBuffer::new(blocks);
        for _ in 0..blocks {
            let bytes = vec![0; size].into_boxed_slice();
            // The ring holds exactly so many.
            let _ = free.push(Block { start: Mono::from_nanos(0), frames: 0, gap: false, bytes });
        }
        let _ = self.setups.send(Setup { filled, free, format });
        Rings { full, empty, scratch: vec![0; size].into_boxed_slice(), gap: false }
    }

    /// Tries to open the device again, ever more seldom; none where the handle was dropped meanwhile.
    fn wait_for_return(&mut self) -> Option<Box<dyn CapturePcm>> {
        let mut pause = BACK_OFF.0;
        loop {
            self.shared.device_bell.wait(pause);
            if self.shared.health.stop.load(Relaxed) {
                return None;
            }
            self.shared.progress.fetch_add(1, Relaxed);
            match self.host.open(&self.settings) {
                Ok(pcm) => {
                    let _ = self.events.send(CaptureEvent::Returned);
                    return Some(pcm);
                }
                Err(e) => log::debug!("{e}"),
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }
}

/// The loop. `Ok`: the handle was dropped; an error: the device is lost.
fn serve(pcm: &mut dyn CapturePcm, rings: &mut Rings, shared: &Shared) -> Result<(), Fault> {
    let mut recovery = Recovery::default();
    let mut wake = pcm.start().map_or_else(Wake::Recover, |()| Wake::Pending);
    while !shared.health.stop.load(Relaxed) {
        let fault = match wake {
            Wake::Pending => None,
            Wake::Ready => {
                let any = read(pcm, rings, shared);
                if any == Ok(true) {
                    recovery.well();
                }
                any.err()
            }
            Wake::Late => Some(Fault::Os(rustix::io::Errno::TIMEDOUT.raw_os_error())),
            Wake::Recover(fault) => Some(fault),
        };
        if let Some(fault) = fault {
            rings.gap |= fault != Fault::Again;
            let restart = recovery.recover(pcm, fault, &shared.device_bell, &shared.health)?;
            if restart && let Err(fault) = pcm.start() {
                wake = Wake::Recover(fault);
                continue;
            }
        }
        wake = pcm.wait(&shared.device_bell, STALL);
    }
    Ok(())
}

/// Reads all that is there, each block with the capture time of its first frame; true where there was something.
fn read(pcm: &mut dyn CapturePcm, rings: &mut Rings, shared: &Shared) -> Result<bool, Fault> {
    let format = pcm.format();
    let status = pcm.status()?;
    let oldest = status.at - format.time(status.delay.max(status.avail));
    let mut done = 0;
    while done < status.avail {
        let most = (status.avail - done).min(format.period) * format.frame_bytes();
        let Ok(mut block) = rings.empty.pop() else {
            // The worker sleeps: the device must not run over as well.
            done += pcm.read(&mut rings.scratch[..most])?;
            shared.dropped.fetch_add(1, Relaxed);
            rings.gap = true;
            continue;
        };
        let read = pcm.read(&mut block.bytes[..most]);
        block.frames = *read.as_ref().unwrap_or(&0);
        block.start = oldest + format.time(done);
        block.gap = block.frames > 0 && std::mem::take(&mut rings.gap);
        // Every block has its place in the ring; one without frames only goes back through the worker.
        let _ = rings.full.push(block);
        match read {
            Ok(0) | Err(Fault::Again) => break,
            Ok(frames) => done += frames,
            Err(fault) => {
                shared.worker_bell.ring();
                return Err(fault);
            }
        }
    }
    shared.worker_bell.ring();
    Ok(done > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Bell;
    use crate::audio::fake::{FakeHost, Script, Step, capture_settings, instant};

    #[test]
    fn a_ring_without_room_costs_counted_sound_and_the_next_block_says_so() {
        let mut pcm =
            CaptureHost::open(&mut *FakeHost::new([Some(Script::new([Step::Period; 5]))]), &capture_settings())
                .unwrap();
        let (full, mut filled) = RingBuffer::new(3);
        let (mut free, empty) = RingBuffer::new(3);
        for _ in 0..3 {
            free.push(Block { start: instant(0), frames: 0, gap: false, bytes: vec![0; 640].into() }).unwrap();
        }
        let mut rings = Rings { full, empty, scratch: vec![0; 640].into(), gap: false };
        let (shared, bell) = (Shared::new().unwrap(), Bell::new().unwrap());
        for _ in 0..4 {
            assert_eq!(pcm.wait(&bell, STALL), Wake::Ready);
            assert!(read(&mut *pcm, &mut rings, &shared).unwrap());
        }
        assert_eq!(shared.dropped.load(Relaxed), 1);
        let first = filled.pop().unwrap();
        assert_eq!((first.start, first.frames, first.gap), (instant(0), 160, false));
        free.push(first).unwrap();
        pcm.wait(&bell, STALL);
        read(&mut *pcm, &mut rings, &shared).unwrap();
        let last = std::iter::from_fn(|| filled.pop().ok()).last().unwrap();
        assert_eq!((last.start, last.gap), (instant(4 * 160), true));
    }
}
