//! The voice's first chunk: from its text to its first PCM, warm, by voice and threads. The length of its sound stands in
//! the name, for a longer one takes longer. Percentiles of the single chunks come after criterion's own figures.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says why and ends")]

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use elio::bench::figures::figure;
use elio::clock::Mono;
use elio::config::{Config, Language, ModelsSettings, TtsSettings};
use elio::models::{Models, VoiceModel};
use elio::tts::{Pause, Tts, Utterance};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Three words.
const TEXT: &str = "It is noon.";

/// The demo's voices, and one of the published size where `make bench-models` has made it.
fn voices() -> Vec<(&'static str, VoiceModel)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let medium = root.join("target/bench-models/bench-voice-medium.onnx");
    let settings = ModelsSettings { dirs: vec![root.join("models/demo")], manifest: None };
    let voice = |name, file: &str| (name, Models::open(&settings).unwrap().voice(file).unwrap());
    let mut voices: Vec<_> = ["voice-demo", "voice-demo-mms"].map(|name| voice(name, name)).into();
    if medium.exists() {
        voices.push(voice("voice-medium", &medium.display().to_string()));
    } else {
        println!("speaking: no voice of the published size; it is made by: make bench-models ARGS=voice-medium");
    }
    voices
}

/// The chunk's own time to its first PCM, and the length of its sound.
fn first_chunk(runtime: &Runtime, tts: &Tts) -> (Duration, Duration) {
    let cancel = CancellationToken::new();
    let text = TEXT.to_owned();
    let chunk = Utterance { text, language: Language::En, first: true, pause: Pause::None, cancel };
    let from = Mono::now();
    let spoken = runtime.block_on(tts.speak(chunk)).unwrap();
    assert!(!spoken.fallback && !spoken.cached);
    let sound = Duration::from_secs_f64(spoken.samples.len() as f64 / f64::from(spoken.rate));
    (spoken.first_pcm.since(from), sound)
}

fn speaking(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("speaking/first_chunk_of_3_words");
    // A chunk for each sample: a percentile is one of single chunks.
    group.sampling_mode(SamplingMode::Flat).sample_size(200).measurement_time(Duration::from_secs(2));
    for (name, model) in voices() {
        for threads in [1, 2] {
            let settings = TtsSettings { threads: Some(threads), ..Config::default().tts };
            let tts = Tts::start(&settings, vec![(Language::En, model.clone())]).unwrap();
            let (_, sound) = first_chunk(&runtime, &tts);
            let taken = RefCell::new(Vec::new());
            let id = BenchmarkId::new(format!("{name}_{}_ms", sound.as_millis()), format!("threads_{threads}"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|times| {
                    let chunks = (0..times).map(|_| first_chunk(&runtime, &tts).0);
                    let chunks: Vec<Duration> = chunks.collect();
                    taken.borrow_mut().extend(chunks.iter().map(|time| time.as_secs_f64() * 1e3));
                    chunks.iter().sum()
                });
            });
            if let Some(all) = figure(taken.into_inner()) {
                println!(
                    "{name}, {threads} threads, {:.2} s of sound: P50 {:.1} ms, P95 {:.1}, P99 {:.1}, max {:.1}, n {}",
                    sound.as_secs_f64(),
                    all.p50,
                    all.p95,
                    all.p99,
                    all.max,
                    all.n
                );
            }
        }
    }
    group.finish();
}

criterion_group!(benches, speaking);
criterion_main!(benches);
