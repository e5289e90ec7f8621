//! Hearing with the demo's Whisper: what a run costs at each encoder context (mel, encoder and search), and what is left
//! to do at the end of a turn that was heard while it was spoken.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says why and ends")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use elio::audio::floor::Floor;
use elio::audio::wav::noise::Noise;
use elio::audio::{FRAME, RATE};
use elio::bench::figures::percentile;
use elio::bench::{Clips, Sentence};
use elio::clock::Mono;
use elio::config::{Language, ModelsSettings, SttSettings};
use elio::models::{Models, WhisperModel};
use elio::stt::{Clip, Listener, Whisper};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Samples of a millisecond.
const MS: usize = RATE as usize / 1_000;
/// Sound kept after the acoustic end, as a turn keeps it.
const TAIL: usize = 240 * MS;
/// The end of a turn that comes at the pace of a microphone; what is before it comes at once.
const PACED: usize = 600 * MS;
/// Turns that each recording is heard in, of each kind; its figures are medians of them.
const ROUNDS: usize = 3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")
}

/// The recordings of one of the demo's folders.
fn recordings(name: &str) -> Vec<Sentence> {
    Clips::read(&folder().join(name)).unwrap().sentences
}

fn model() -> WhisperModel {
    let settings = ModelsSettings { dirs: vec![folder()], manifest: None };
    Models::open(&settings).unwrap().whisper("whisper-demo").unwrap()
}

fn whisper(model: WhisperModel) -> Whisper {
    let settings = SttSettings { model: model.name.clone(), threads: None, gpu: false, incremental: true };
    Whisper::start(&settings, model, &[Language::En, Language::Fr]).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The same 0.7 s of speech at each context: what changes is the encoder's work.
fn contexts(criterion: &mut Criterion) {
    let (runtime, model) = (runtime(), model());
    let questions = recordings("questions");
    let speech = &questions[0].sound.samples[250 * MS..][..700 * MS];
    let mut group = criterion.benchmark_group("hearing/context");
    for context in (64..=512).step_by(64) {
        let mut model = model.clone();
        model.audio_ctx_min = context;
        let whisper = whisper(model);
        group.bench_with_input(BenchmarkId::from_parameter(context), speech, |bencher, speech| {
            let clip = || Clip { samples: speech.to_vec(), language: None };
            let hear = |clip| runtime.block_on(whisper.transcribe(clip, CancellationToken::new()));
            bencher.iter_batched(clip, hear, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A recording with quiet after it, and its acoustic end in samples.
struct Turn {
    name: String,
    sound: Vec<f32>,
    spoken: usize,
}

impl Turn {
    fn new(sentence: &Sentence) -> Self {
        let name = sentence.file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut noise = Noise::new(3, -70.0);
        let quiet = std::iter::repeat_n(0.0, 500 * MS);
        let sound: Vec<f32> = sentence.sound.samples.iter().copied().chain(quiet).map(|x| x + noise.next()).collect();
        let mut floor = Floor::default();
        let ends = sound.chunks(FRAME).zip(0..).filter_map(|(frame, n)| Some(n * FRAME + floor.push(frame)?));
        let spoken = ends.last().unwrap_or_default();
        Self { name, sound, spoken }
    }
}

/// How a turn comes to its end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// All of it is heard when it is over.
    Batch,
    /// Silence ends it: 150 ms after the acoustic end a guess asks for its words, at 300 ms it is the turn's.
    Endpoint,
    /// The finger goes up 10 ms after the acoustic end, and the words are asked for; the grace of 120 ms follows.
    Hold,
}

const ENDS: [(&str, End); 3] = [("batch", End::Batch), ("endpoint", End::Endpoint), ("hold", End::Hold)];

/// From the commit to the transcript that counts, and the words.
async fn hear(whisper: &Arc<Whisper>, turn: &Turn, end: End) -> (Duration, String) {
    let (asks, commit) = match end {
        End::Batch => {
            let clip = turn.sound[..turn.spoken + TAIL].to_vec();
            let from = Mono::now();
            let heard = whisper.transcribe(Clip { samples: clip, language: None }, CancellationToken::new()).await;
            return (from.elapsed(), heard.unwrap().text);
        }
        End::Endpoint => (turn.spoken + 150 * MS, turn.spoken + 300 * MS),
        End::Hold => (turn.spoken + 10 * MS, turn.spoken + 130 * MS),
    };
    let listener = Listener::start(whisper.clone(), &CancellationToken::new(), &TaskTracker::new());
    let (mut floor, mut spoken, mut answer) = (Floor::default(), 0, None);
    let begun = tokio::time::Instant::now();
    let paced = turn.spoken.saturating_sub(PACED);
    // A frame is there when its last sample is.
    for (end_of_frame, frame) in (FRAME..).step_by(FRAME).zip(turn.sound.chunks(FRAME)) {
        let time =
            |samples: usize| begun + Duration::from_micros(samples.saturating_sub(paced) as u64 * 1_000 / MS as u64);
        if answer.is_none() && end_of_frame > asks {
            sleep_until(time(asks)).await;
            if end == End::Hold {
                listener.hurry();
            }
            answer = Some(listener.hear(spoken, spoken + TAIL));
        }
        if end_of_frame > commit {
            sleep_until(time(commit)).await;
            break;
        }
        sleep_until(time(end_of_frame)).await;
        listener.push(frame);
        if let Some(voiced) = floor.push(frame) {
            spoken = end_of_frame - FRAME + voiced;
        }
        listener.spoken(spoken);
    }
    let from = Mono::now();
    // The quiet after the recording is longer than that: it was asked for.
    let heard = answer.unwrap().await;
    (from.elapsed(), heard.unwrap().text)
}

/// What each turn took, in ms, and what was heard in it last.
#[derive(Default)]
struct Taken {
    ms: Vec<f64>,
    words: String,
}

/// The transcript at the commit, of every recording of the demo, heard while it was spoken and only then.
fn commit(criterion: &mut Criterion) {
    let (runtime, whisper) = (runtime(), Arc::new(whisper(model())));
    let turns: Vec<Turn> =
        ["questions", "clips"].into_iter().flat_map(recordings).map(|sentence| Turn::new(&sentence)).collect();
    let mut group = criterion.benchmark_group("hearing/commit");
    // One turn for each sample, so many that each recording has its rounds.
    group.sampling_mode(SamplingMode::Flat).sample_size(ROUNDS * turns.len());
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(100));
    let mut columns = Vec::new();
    for (name, end) in ENDS {
        let taken: Vec<RefCell<Taken>> = turns.iter().map(|_| RefCell::default()).collect();
        let mut next = turns.iter().zip(&taken).cycle();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut sum = Duration::ZERO;
                for (turn, taken) in next.by_ref().take(times as usize) {
                    let (time, words) = runtime.block_on(hear(&whisper, turn, end));
                    let mut taken = taken.borrow_mut();
                    taken.ms.push(time.as_secs_f64() * 1e3);
                    taken.words = words;
                    sum += time;
                }
                sum
            });
        });
        columns.push(taken.into_iter().map(RefCell::into_inner).collect());
    }
    group.finish();
    table(&turns, columns);
}

/// Each recording's medians, and their ratio to that of the batch.
fn table(turns: &[Turn], columns: Vec<Vec<Taken>>) {
    let Ok([mut batch, mut endpoint, mut hold]) = <[Vec<Taken>; 3]>::try_from(columns) else { return };
    let of = |taken: &mut Taken| percentile(&mut taken.ms, 50.0);
    let mut ratios = [Vec::new(), Vec::new()];
    let mut same = [0, 0];
    println!("commit to transcript: batch in ms, then endpoint and hold as parts of it, each a median");
    for (n, turn) in turns.iter().enumerate() {
        // Criterion was told to run another bench.
        let Some(all) = of(&mut batch[n]) else { return };
        let mut line = format!("{:12} {all:7.1}", turn.name);
        for (column, (ratios, same)) in [&mut endpoint, &mut hold].into_iter().zip(ratios.iter_mut().zip(&mut same)) {
            let Some(ms) = of(&mut column[n]) else { return };
            let (words, whole) = (&column[n].words, &batch[n].words);
            ratios.push(ms / all);
            *same += usize::from(words == whole);
            line += &format!(" {:7.4}", ms / all);
            if words != whole {
                line += &format!(" (\"{words}\" instead of \"{whole}\")");
            }
        }
        println!("{line}");
    }
    for (name, (ratios, same)) in ["endpoint", "hold"].iter().zip(ratios.iter_mut().zip(same)) {
        let mut of = |percent| percentile(ratios, percent).unwrap_or_default();
        let (p50, p95, max) = (of(50.0), of(95.0), of(100.0));
        println!("{name}: P50 {p50:.4}, P95 {p95:.4}, max {max:.4}; the same words in {same} of {}", turns.len());
    }
}

criterion_group!(benches, contexts, commit);
criterion_main!(benches);
