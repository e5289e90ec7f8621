//! The paths that run for every token of an answer, and for every frame of the microphone.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elio::audio::{FRAME, RATE, Vad, convert};
use elio::claude::sse::SseParser;
use elio::claude::wire::StreamEvent;
use elio::config::Language;
use elio::tts::Splitter;

/// An answer of 300 deltas, as the API frames it.
fn stream() -> Vec<u8> {
    (0..300)
        .map(|token| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
                 {{\"type\":\"text_delta\",\"text\":\" token{token}\"}}}}\n\n"
            )
        })
        .collect::<String>()
        .into_bytes()
}

fn sse(criterion: &mut Criterion) {
    let bytes = stream();
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

/// An answer of 30 sentences, two characters at a time.
fn splitter(criterion: &mut Criterion) {
    let text = "It is half past three, and the weather in Paris is sunny: 21.5 degrees. ".repeat(30);
    let deltas: Vec<&str> = text.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    let mut group = criterion.benchmark_group("splitter");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("answer", |bencher| {
        bencher.iter(|| {
            let mut splitter = Splitter::new(Language::En);
            let chunks: usize = deltas.iter().map(|delta| splitter.push(black_box(delta)).len()).sum();
            chunks + splitter.finish().len()
        });
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let tone = |rate: u32| -> Vec<f32> {
        (0..rate).map(|n| (n as f32 / rate as f32 * 440.0 * std::f32::consts::TAU).sin() * 0.3).collect()
    };
    let second = tone(RATE);
    let frame: [f32; FRAME] = std::array::from_fn(|n| second[n]);
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
    let second = tone(48_000);
    criterion.bench_function("resample/second_of_48_to_16_khz", |bencher| {
        bencher.iter(|| convert::resample(black_box(&second), 48_000, RATE));
    });
}

criterion_group!(benches, sse, splitter, frames);
criterion_main!(benches);
