//! The paths that run for every token of an answer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elio::claude::sse::SseParser;
use elio::claude::wire::StreamEvent;

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

criterion_group!(benches, sse);
criterion_main!(benches);
