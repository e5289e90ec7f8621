//! Instructions of the hot paths, counted by callgrind: the same in every run, so that a change of a few per cent shows on
//! a busy machine too. `make bench-instructions` runs it; docs/performance.md tells how two commits are compared.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says why and ends")]
#![allow(clippy::disallowed_methods, reason = "gungraun's `main` ends with process::exit")]

use std::hint::black_box;
use std::time::Duration;

use elio::audio::convert::Resampler;
use elio::audio::{Frame, PreRoll, RATE, Vad};
use elio::claude::sse::SseParser;
use elio::claude::wire::StreamEvent;
use elio::clock::Mono;
use elio::config::Language;
use elio::tts::Splitter;
use gungraun::prelude::*;
use rtrb::{Consumer, Producer, RingBuffer};

#[path = "common/inputs.rs"]
mod inputs;

#[library_benchmark]
#[bench::of_130_bytes(args = (130), setup = stream)]
#[bench::of_1400_bytes(args = (1400), setup = stream)]
fn sse((bytes, size): (Vec<u8>, usize)) -> (usize, Vec<u8>) {
    let mut parser = SseParser::new(1 << 20);
    let mut texts = 0;
    for chunk in bytes.chunks(size) {
        let _ = parser.push(black_box(chunk), |event| {
            texts += usize::from(serde_json::from_str::<StreamEvent>(&event.data).is_ok());
        });
    }
    (texts, bytes)
}

fn stream(size: usize) -> (Vec<u8>, usize) {
    (inputs::stream(), size)
}

#[library_benchmark(setup = inputs::deltas)]
#[bench::answer()]
fn splitter(deltas: Vec<String>) -> (usize, Vec<String>) {
    let mut splitter = Splitter::new(Language::En);
    let chunks: usize = deltas.iter().map(|delta| splitter.push(black_box(delta)).len()).sum();
    (chunks + splitter.finish().len(), deltas)
}

// Up to the first chunk, with the guess at it that the voice begins with.
#[library_benchmark(setup = inputs::deltas)]
#[bench::first_chunk()]
fn splitter_to_first_chunk(deltas: Vec<String>) -> (bool, Vec<String>) {
    let mut splitter = Splitter::new(Language::En);
    let chunk = deltas.iter().find_map(|delta| {
        let chunk = splitter.push(black_box(delta)).pop();
        black_box(splitter.likely_first());
        chunk
    });
    (chunk.is_some(), deltas)
}

#[library_benchmark(setup = Vad::default)]
#[bench::frame_of_16_ms()]
fn vad(mut vad: Vad) -> (f32, Vad) {
    let frame = inputs::frame();
    (vad.score(black_box(&frame)), vad)
}

// A tenth of a second through a converter that is there already.
#[library_benchmark]
#[bench::from_48_to_16_khz(args = (48_000, RATE), setup = converter)]
#[bench::from_22_05_to_48_khz(args = (22_050, 48_000), setup = converter)]
fn resample((mut converter, sound): (Resampler, Vec<f32>)) -> (Resampler, Vec<f32>) {
    let mut out = Vec::with_capacity(2 * sound.len());
    converter.push(black_box(&sound[..sound.len() / 10]), &mut out);
    (converter, out)
}

fn converter(from: u32, to: u32) -> (Resampler, Vec<f32>) {
    (Resampler::new(from, to), inputs::tone(from))
}

// A block there and back between the microphone's two threads, in one thread. What reads the clock cannot be counted: rustix
// calls the kernel's vDSO, which valgrind does not map.
#[library_benchmark(setup = blocks)]
#[bench::there_and_back()]
fn ring((mut there, mut back): (Ring, Ring)) -> (Ring, Ring) {
    let full = back.1.pop().is_ok_and(|block| there.0.push(block).is_ok());
    let empty = there.1.pop().is_ok_and(|block| back.0.push(block).is_ok());
    assert!(full && empty);
    (there, back)
}

type Ring = (Producer<Box<[u8]>>, Consumer<Box<[u8]>>);

fn blocks() -> (Ring, Ring) {
    let mut back = RingBuffer::new(8);
    back.0.push(vec![0; 512].into_boxed_slice()).unwrap();
    (RingBuffer::new(8), back)
}

// A frame into the pre-roll ring that is full.
#[library_benchmark(setup = preroll)]
#[bench::push_of_16_ms()]
fn preroll_ring((mut ring, frame): (PreRoll, Frame)) -> PreRoll {
    ring.push(black_box(frame));
    ring
}

fn preroll() -> (PreRoll, Frame) {
    let frame = Frame { start: Mono::from_nanos(0), samples: inputs::frame(), speech: 1.0, voiced_end: None };
    let mut ring = PreRoll::new(Duration::from_millis(500));
    (0..40).for_each(|_| ring.push(frame.clone()));
    (ring, frame)
}

library_benchmark_group!(
    name = hot_paths,
    benchmarks = [sse, splitter, splitter_to_first_chunk, vad, resample, ring, preroll_ring]
);
main!(library_benchmark_groups = hot_paths);
