//! The way through the threads of microphone and speaker: a period goes in at one end, and what comes out at the other
//! end is waited for. Most of it is two threads that wake one another; the ring between them is measured alone as well.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says why and ends")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use elio::audio::{
    AudioError, Bell, Capture, CaptureEvent, CaptureHost, CapturePcm, FRAME, Fault, Format, Pcm, Playback, RATE,
    Sample, Status, Vad, Wake,
};
use elio::clock::Mono;
use elio::config::{CaptureSettings, Config};
use rtrb::RingBuffer;

#[path = "rings/speaker.rs"]
mod speaker;

use speaker::Speaker;

/// Periods as long as a frame, so that each gives one.
const FORMAT: Format =
    Format { rate: RATE, channels: 1, sample: Sample::S16, period: FRAME, buffer: 4 * FRAME, target: 4 * FRAME };

/// How soon a microphone that hears nothing looks whether the bench is over.
const LOOK: Duration = Duration::from_millis(50);

/// A microphone that hears a period whenever it is told to, in a time of its own.
struct Mic {
    told: Receiver<()>,
    sound: Vec<u8>,
    /// Periods that have passed, and that were read.
    heard: u64,
    read: u64,
}

struct MicHost(Option<Receiver<()>>);

impl CaptureHost for MicHost {
    fn device(&self) -> String {
        "bench".into()
    }

    fn open(&mut self, _settings: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        let gone = AudioError::Gone { device: self.device(), why: "it is opened once".into() };
        let told = self.0.take().ok_or(gone)?;
        let sound = (0..FRAME as i16).flat_map(|n| (n * 50).to_le_bytes()).collect();
        Ok(Box::new(Mic { told, sound, heard: 0, read: 0 }))
    }
}

impl Pcm for Mic {
    fn format(&self) -> Format {
        FORMAT
    }

    fn wait(&mut self, _bell: &Bell, _limit: Duration) -> Wake {
        match self.told.recv_timeout(LOOK) {
            Ok(()) => {
                self.heard += 1;
                Wake::Ready
            }
            Err(_) => Wake::Pending,
        }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let unread = (self.heard - self.read) as usize * FRAME;
        let at = Mono::from_nanos(1_000_000_000) + FORMAT.time(FRAME) * self.heard as u32;
        Ok(Status { avail: unread, delay: unread, at })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl CapturePcm for Mic {
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        bytes.copy_from_slice(&self.sound);
        self.read += 1;
        Ok(FRAME)
    }
}

/// From a period of the device to the frame with its VAD score and its acoustic end.
fn capture(criterion: &mut Criterion) {
    let (tell, told): (Sender<()>, _) = channel();
    let (_capture, mut events) =
        Capture::start(Box::new(MicHost(Some(told))), &Config::default().capture, Vad::default()).unwrap();
    criterion.bench_function("rings/period_to_frame", |bencher| {
        bencher.iter(|| {
            let _ = tell.send(());
            let event = events.blocking_recv();
            assert!(matches!(event, Some(CaptureEvent::Frame(_))), "{event:?}");
        });
    });
}

/// From a period of a turn's sound to the device's write of it.
fn playback(criterion: &mut Criterion) {
    let (written, writes) = channel();
    let (playback, _events) = Playback::start(Box::new(Speaker(written)), &Config::default().playback).unwrap();
    let period = vec![0.1; speaker::FORMAT.period];
    playback.begin(1);
    criterion.bench_function("rings/push_to_write", |bencher| {
        bencher.iter(|| {
            playback.push(1, RATE, &period);
            assert_eq!(writes.recv(), Ok(period.len() * speaker::FORMAT.frame_bytes()));
        });
    });
}

/// A block there and back, as between the microphone's two threads, in one thread.
fn ring(criterion: &mut Criterion) {
    let (mut full, mut filled) = RingBuffer::new(8);
    let (mut free, mut empty) = RingBuffer::new(8);
    let _ = free.push(vec![0_u8; FRAME * FORMAT.frame_bytes()].into_boxed_slice());
    criterion.bench_function("rings/block_there_and_back", |bencher| {
        bencher.iter(|| {
            let there = empty.pop().is_ok_and(|block| full.push(block).is_ok());
            let back = filled.pop().is_ok_and(|block| free.push(block).is_ok());
            assert!(there && back);
        });
    });
}

criterion_group!(benches, capture, playback, ring);
criterion_main!(benches);
