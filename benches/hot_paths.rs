//! The paths that run for every token of an answer, and for every frame of the microphone.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elio::audio::{RATE, Vad, convert};
use elio::claude::sse::SseParser;
use elio::claude::wire::StreamEvent;
use elio::config::Language;
use elio::tts::Splitter;

#[path = "common/inputs.rs"]
mod inputs;

fn sse(criterion: &mut Criterion) {
    let bytes = inputs::stream();
    let mut group = criterion.benchmark_group("sse");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    // One HTTP/2 frame for each delta is the usual case; 1,400 bytes are those of a TCP segment.
    for chunk in [130, 1400] {
        group.bench_function(format!("events_{chunk}"), |bencher| {
            bencher.iter(|| {
                let mut parser = SseParser::new(1 << 20);
                let mut events = 0;
                for chunk in bytes.chunks(chunk) {
                    let _ = parser.push(black_box(chunk), |event| events += event.data.len());
                }
                events
            });
        });
    }
    group.bench_function("events_and_json", |bencher| {
        bencher.iter(|| {
            let mut parser = SseParser::new(1 << 20);
            let mut texts = 0;
            for chunk in bytes.chunks(130) {
                let _ = parser.push(black_box(chunk), |event| {
                    texts += usize::from(serde_json::from_str::<StreamEvent>(&event.data).is_ok());
                });
            }
            texts
        });
    });
    group.finish();
}

/// The text of a whole answer, and of as much of it as the first chunk needs.
fn splitter(criterion: &mut Criterion) {
    let deltas = inputs::deltas();
    let mut group = criterion.benchmark_group("splitter");
    group.bench_function("answer", |bencher| {
        bencher.iter(|| {
            let mut splitter = Splitter::new(Language::En);
            let chunks: usize = deltas.iter().map(|delta| splitter.push(black_box(delta)).len()).sum();
            chunks + splitter.finish().len()
        });
    });
    // With the guess at the chunk that the voice begins with, made after each delta as in a turn.
    group.bench_function("first_chunk", |bencher| {
        bencher.iter(|| {
            let mut splitter = Splitter::new(Language::En);
            deltas.iter().find_map(|delta| {
                let chunk = splitter.push(black_box(delta)).pop();
                black_box(splitter.likely_first());
                chunk
            })
        });
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let frame = inputs::frame();
    let mut vad = Vad::default();
    criterion.bench_function("vad/frame_of_16_ms", |bencher| bencher.iter(|| vad.score(black_box(&frame))));
    let silero = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/silero_vad_16k_op15.onnx");
    match Vad::silero(&silero, None) {
        // Every second frame runs the network: a call is half a run.
        Ok(mut vad) => drop(criterion.bench_function("vad/silero_frame_of_16_ms", |bencher| {
            bencher.iter(|| vad.score(black_box(&frame)));
        })),
        Err(fault) => eprintln!("vad/silero_frame_of_16_ms is left out: {fault}"),
    }
    let second = inputs::tone(48_000);
    criterion.bench_function("resample/second_of_48_to_16_khz", |bencher| {
        bencher.iter(|| convert::resample(black_box(&second), 48_000, RATE));
    });
}

criterion_group!(benches, sse, splitter, frames);
criterion_main!(benches);
