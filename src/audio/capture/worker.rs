//! The worker behind the microphone: native blocks in, measured 16 ms frames out.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rtrb::{Consumer, Producer};
use tokio::sync::mpsc::UnboundedSender;

use super::device::Block;
use super::timeline::{Join, Timeline};
use super::{CaptureEvent, Shared};
use crate::audio::convert::{Resampler, decode};
use crate::audio::floor::Floor;
use crate::audio::pcm::Format;
use crate::audio::{FRAME, Frame, RATE, Vad};
use crate::clock::Mono;

/// A device that was just opened.
pub struct Setup {
    pub filled: Consumer<Block>,
    pub free: Producer<Block>,
    pub format: Format,
}

/// The thread's state. VAD and noise floor outlive a device.
pub struct Worker {
    shared: Arc<Shared>,
    setups: Receiver<Setup>,
    events: UnboundedSender<CaptureEvent>,
    channel: Option<u16>,
    vad: Vad,
    /// Detectors that take its place.
    better: Receiver<Vad>,
    floor: Floor,
}

/// What belongs to one opening of the device.
struct Stream {
    setup: Setup,
    timeline: Timeline,
    resampler: Resampler,
    mono: Vec<f32>,
    /// Samples of 16 kHz that are no whole frame yet.
    sound: Vec<f32>,
    /// Capture time of `sound[0]`.
    start: Mono,
    /// Native frames that went in, and samples of 16 kHz that came out as frames.
    taken: u64,
    given: u64,
}

impl Stream {
    fn new(setup: Setup) -> Self {
        let rate = setup.format.rate;
        Self {
            setup,
            timeline: Timeline::new(rate),
            resampler: Resampler::new(rate, RATE),
            mono: Vec::new(),
            sound: Vec::new(),
            start: Mono::from_nanos(0),
            taken: 0,
            given: 0,
        }
    }
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        setups: Receiver<Setup>,
        events: UnboundedSender<CaptureEvent>,
        channel: Option<u16>,
        vad: Vad,
        better: Receiver<Vad>,
    ) -> Self {
        Self { shared, setups, events, channel, vad, better, floor: Floor::default() }
    }

    /// Works until the handle is dropped.
    pub fn run(mut self) {
        let mut stream: Option<Stream> = None;
        while !self.shared.health.stop.load(Relaxed) {
            self.shared.worker_bell.wait(Duration::from_secs(1));
            if let Ok(vad) = self.better.try_recv() {
                self.vad = vad;
            }
            loop {
                if let Some(stream) = &mut stream {
                    while let Ok(block) = stream.setup.filled.pop() {
                        self.block(stream, block);
                    }
                }
                // What the device before still had is heard first.
                match self.setups.try_recv() {
                    Ok(setup) => stream = Some(Stream::new(setup)),
                    Err(_) => break,
                }
            }
        }
    }

    fn block(&mut self, stream: &mut Stream, block: Block) {
        if block.frames > 0 {
            let format = stream.setup.format;
            let (join, first) = stream.timeline.block(block.start, block.frames, block.gap);
            stream.mono.clear();
            match join {
                Join::On => {}
                Join::Fill(missing) => stream.mono.resize(missing, 0.0),
                Join::Anew => {
                    stream.resampler.reset();
                    stream.sound.clear();
                    (stream.taken, stream.given) = (0, 0);
                }
            }
            stream.taken += stream.mono.len() as u64;
            // Frame and resampler still hold sound from before this block: it came so much earlier.
            let ahead = nanos(stream.taken, format.rate).saturating_sub(nanos(stream.given, RATE));
            stream.start = first - ahead;
            decode(&format, self.channel, &block.bytes[..block.frames * format.frame_bytes()], &mut stream.mono);
            stream.taken += block.frames as u64;
            stream.resampler.push(&stream.mono, &mut stream.sound);
            self.frames(stream);
        }
        // The ring holds every block there is.
        let _ = stream.setup.free.push(block);
    }

    fn frames(&mut self, stream: &mut Stream) {
        let mut done = 0;
        for samples in stream.sound.as_chunks::<FRAME>().0 {
            let start = stream.start + nanos(done as u64, RATE);
            let voiced = self.floor.push(samples);
            let frame = Frame {
                start,
                samples: *samples,
                speech: self.vad.score(samples),
                voiced_end: voiced.map(|samples| start + nanos(samples as u64, RATE)),
            };
            self.shared.progress.fetch_add(1, Relaxed);
            // Nobody listens any more: the handle is about to be dropped.
            let _ = self.events.send(CaptureEvent::Frame(Box::new(frame)));
            done += FRAME;
        }
        stream.given += done as u64;
        stream.sound.drain(..done);
    }
}

/// The time that samples take.
fn nanos(samples: u64, rate: u32) -> Duration {
    Duration::from_nanos((u128::from(samples) * 1_000_000_000 / u128::from(rate)) as u64)
}
