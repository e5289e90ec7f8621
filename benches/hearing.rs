//! Hearing with the demo's Whisper: what a run costs at each encoder context, and what is left to do at the end of a turn
//! that was heard while it was spoken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use elio::audio::{RATE, wav};
use elio::config::{Language, ModelsSettings, SttSettings};
use elio::models::{Models, WhisperModel};
use elio::stt::{Clip, Listener, Whisper};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One of the demo's questions, and the model that knows it.
fn demo() -> Option<(Vec<f32>, WhisperModel)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let clip = wav::Clip::read(&folder.join("questions/en-lights.wav")).ok()?;
    let settings = ModelsSettings { dirs: vec![folder], manifest: None };
    Some((clip.samples, Models::open(&settings).ok()?.whisper("whisper-demo").ok()?))
}

fn whisper(model: WhisperModel) -> Option<Whisper> {
    let settings = SttSettings { model: model.name.clone(), threads: None, gpu: false, incremental: true };
    Whisper::start(&settings, model, &[Language::En]).ok()
}

fn runtime() -> Option<Runtime> {
    Builder::new_current_thread().enable_all().build().ok()
}

/// The same 0.7 s of speech at each context: what changes is the encoder's work.
fn contexts(criterion: &mut Criterion) {
    let Some(((samples, model), runtime)) = demo().zip(runtime()) else { return };
    let speech = &samples[RATE as usize / 4..][..RATE as usize * 7 / 10];
    let mut group = criterion.benchmark_group("hearing/context");
    for context in (64..=512).step_by(64) {
        let mut model = model.clone();
        model.audio_ctx_min = context;
        let Some(whisper) = whisper(model) else { return };
        group.bench_with_input(BenchmarkId::from_parameter(context), speech, |bencher, speech| {
            let clip = || Clip { samples: speech.to_vec(), language: None };
            let hear = |clip| runtime.block_on(whisper.transcribe(clip, CancellationToken::new()));
            bencher.iter_batched(clip, hear, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// The transcript at the commit: of a turn that was heard in the silence before it, and of one that was not.
fn commit(criterion: &mut Criterion) {
    let Some(((mut samples, model), runtime)) = demo().zip(runtime()) else { return };
    let Some(whisper) = whisper(model).map(Arc::new) else { return };
    // The recording ends with a quarter of a second of silence.
    let spoken = samples.len() - RATE as usize / 4;
    samples.truncate(spoken + RATE as usize / 10);
    let mut group = criterion.benchmark_group("hearing/commit");
    group.measurement_time(Duration::from_secs(10));
    group.bench_function("after_a_partial", |bencher| {
        let heard = || {
            let listener = runtime.block_on(async {
                let listener = Listener::start(whisper.clone(), &CancellationToken::new(), &TaskTracker::new());
                let mut partials = listener.partials();
                listener.push(&samples);
                listener.spoken(spoken);
                let _ = partials.changed().await;
                listener
            });
            assert!(listener.settled().is_some());
            listener
        };
        let finish = |listener: Listener| runtime.block_on(listener.finish(spoken, samples.len()));
        bencher.iter_batched(heard, finish, BatchSize::PerIteration);
    });
    group.bench_function("batch", |bencher| {
        let clip = || Clip { samples: samples.clone(), language: None };
        let hear = |clip| runtime.block_on(whisper.transcribe(clip, CancellationToken::new()));
        bencher.iter_batched(clip, hear, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, contexts, commit);
criterion_main!(benches);
