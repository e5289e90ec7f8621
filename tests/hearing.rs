//! Hearing with the demo's Whisper: the questions of the demo, what is no speech, cancelling, models that cannot be
//! used, and `elio transcribe`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use elio::audio::{RATE, convert, floor, wav};
use elio::clock::Mono;
use elio::config::{Language, ModelsSettings, SttSettings};
use elio::models::{Models, WhisperModel};
use elio::stt::{Clip, Listener, Partials, SttError, Transcribe, Transcript, Whisper};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Questions {
    question: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    file: String,
    language: Language,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("models/demo/questions")
}

fn questions() -> Vec<Question> {
    let text = fs::read_to_string(folder().join("questions.toml")).unwrap();
    toml::from_str::<Questions>(&text).unwrap().question
}

fn samples(question: &Question) -> Vec<f32> {
    let clip = wav::Clip::read(&folder().join(&question.file)).unwrap();
    assert_eq!(clip.rate, RATE);
    clip.samples
}

fn clip(question: &Question) -> Clip {
    Clip { samples: samples(question), language: None }
}

fn model(name: &str) -> WhisperModel {
    let settings = ModelsSettings { dirs: vec![root().join("models/demo")], manifest: None };
    Models::open(&settings).unwrap().whisper(name).unwrap()
}

fn start(name: &str, listen: &[Language]) -> Result<Whisper, SttError> {
    let settings = SttSettings { model: name.into(), threads: Some(1), gpu: false, incremental: true };
    Whisper::start(&settings, model(name), listen)
}

/// One model for every test that asks for nothing special.
static BOTH: LazyLock<Whisper> = LazyLock::new(|| start("whisper-demo", &[Language::Fr, Language::En]).unwrap());

async fn hear(samples: Vec<f32>) -> Transcript {
    BOTH.transcribe(Clip { samples, language: None }, CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn each_question_is_heard_word_for_word_in_its_language() {
    for question in questions() {
        let samples = samples(&question);
        let before = Mono::now();
        let heard = hear(samples.clone()).await;
        assert_eq!((heard.text.as_str(), heard.language), (question.text.as_str(), question.language));
        assert_eq!(heard.audio, Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE)));
        // Fitted: no more than the clip and its margins, and the end of speech is trimmed to.
        let positions = samples.len() as u32 / 320;
        assert!((64..=positions + 40).contains(&heard.audio_ctx), "{} of {positions}", heard.audio_ctx);
        assert!(heard.finished > before && heard.compute <= heard.finished.since(before), "{heard:?}");
    }
}

#[tokio::test]
async fn a_sentence_that_is_not_over_yet_looks_unfinished() {
    for question in questions() {
        let samples = samples(&question);
        let heard = hear(samples[..samples.len() * 45 / 100].to_vec()).await.text;
        assert!(heard.len() > 4 && question.text.starts_with(&heard), "{} heard as {heard}", question.text);
        assert!(!heard.ends_with(['.', '?', '!']), "half of it ends like a sentence: {heard}");
    }
}

#[test]
fn the_questions_are_two_in_each_language_and_recorded_as_the_room_wants_them() {
    let questions = questions();
    for language in [Language::En, Language::Fr] {
        assert_eq!(questions.iter().filter(|question| question.language == language).count(), 2);
    }
    for question in &questions {
        let spec = hound::WavReader::open(folder().join(&question.file)).unwrap().spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, RATE, 16), "{}", question.file);
        let samples = samples(question);
        let silent = |part: &[f32]| part.iter().all(|x| x.abs() < 0.003);
        assert!(silent(&samples[..RATE as usize / 5]), "{} begins at once", question.file);
        assert!(silent(&samples[samples.len() - RATE as usize / 5..]), "{} ends at once", question.file);
    }
    let recordings = fs::read_dir(folder())
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "wav"));
    assert_eq!(recordings.count(), questions.len(), "a recording without its line in questions.toml");
}

#[tokio::test]
async fn silence_around_faint_speech_and_noise_under_it_change_nothing() {
    for question in questions() {
        let mut noise = wav::noise::Noise::new(7, -60.0);
        let mut clip = vec![0.0; RATE as usize];
        clip.extend(samples(&question).iter().map(|x| x * 0.1));
        clip.extend(vec![0.0; RATE as usize]);
        clip.iter_mut().for_each(|x| *x += noise.next());
        let length = clip.len() as u32 / 320;
        let heard = hear(clip).await;
        assert_eq!((heard.text.as_str(), heard.language), (question.text.as_str(), question.language));
        assert!(heard.audio_ctx + 70 < length, "the silence was not trimmed: {} of {length}", heard.audio_ctx);
    }
}

#[tokio::test]
async fn a_loud_clip_over_full_scale_is_heard_too() {
    for question in questions() {
        let mut clip: Vec<f32> = samples(&question).iter().map(|x| x * 2.2).collect();
        clip[100] = f32::NAN;
        assert!(clip.iter().any(|x| *x > 1.0), "the test needs an overshoot");
        assert_eq!(hear(clip).await.text, question.text);
    }
}

#[tokio::test]
async fn what_is_no_speech_is_nothing_and_never_reaches_the_model() {
    let seconds = |n: u32| (0..n * RATE).map(|i| i as f32 / RATE as f32);
    let mut noise = wav::noise::Noise::new(1, -30.0);
    let mut click = vec![0.0; 2 * RATE as usize];
    click[20_000..20_040].iter_mut().enumerate().for_each(|(n, x)| *x = 0.9 * (-(n as f32) / 8.0).exp());
    for (what, clip) in [
        ("no sample", vec![]),
        ("one sample", vec![0.5]),
        ("silence", vec![0.0; 2 * RATE as usize]),
        ("noise", seconds(2).map(|_| noise.next()).collect()),
        ("hum", seconds(2).map(|t| 0.3 * (t * 50.0 * std::f32::consts::TAU).sin()).collect()),
        ("tone", seconds(2).map(|t| 0.3 * (t * 440.0 * std::f32::consts::TAU).sin()).collect()),
        ("click", click),
    ] {
        let heard = hear(clip).await;
        assert_eq!((heard.text.as_str(), heard.audio_ctx, heard.language), ("", 0, Language::Fr), "{what}");
    }
}

#[tokio::test]
async fn only_a_language_that_is_listened_for_is_heard() {
    let french = start("whisper-demo", &[Language::Fr]).unwrap();
    for question in questions() {
        let clip = clip(&question);
        let heard = french.transcribe(clip, CancellationToken::new()).await.unwrap();
        assert_eq!(heard.language, Language::Fr, "{}", question.file);
        // What it makes of English words is its own affair.
        assert!(heard.text == question.text || question.language == Language::En, "{}: {}", question.file, heard.text);
    }
}

#[tokio::test]
async fn a_clip_longer_than_whispers_window_is_heard_in_pieces() {
    let mut clip = Vec::new();
    while clip.len() < 40 * RATE as usize {
        clip.extend(samples(&questions()[0]));
    }
    let length = clip.len();
    let heard = hear(clip).await;
    assert_eq!(heard.audio, Duration::from_secs_f64(length as f64 / f64::from(RATE)));
    assert!((900..=1500).contains(&heard.audio_ctx), "{}", heard.audio_ctx);
}

#[tokio::test]
async fn cancelling_ends_the_wait_and_leaves_the_model_in_order() {
    let question = &questions()[0];
    let gone = CancellationToken::new();
    gone.cancel();
    let answer = BOTH.transcribe(clip(question), gone).await;
    assert!(matches!(answer, Err(SttError::Cancelled)), "{answer:?}");

    // A minute of sound keeps the thread busy; it and the clip queued behind it are given up, one by its token, one by
    // its future.
    let long: Vec<f32> = samples(question).into_iter().cycle().take(60 * RATE as usize).collect();
    let cancel = CancellationToken::new();
    let busy = BOTH.transcribe(Clip { samples: long, language: None }, cancel.clone());
    drop(BOTH.transcribe(clip(question), CancellationToken::new()));
    cancel.cancel();
    assert!(matches!(busy.await, Err(SttError::Cancelled)));
    assert_eq!(hear(samples(question)).await.text, question.text);
}

#[tokio::test]
async fn clips_of_several_callers_are_all_heard() {
    let whisper: &dyn Transcribe = &*BOTH;
    assert_eq!(whisper.name(), "whisper-demo");
    let questions = questions();
    let asked: Vec<_> =
        questions.iter().map(|question| whisper.transcribe(clip(question), CancellationToken::new())).collect();
    for (question, answer) in questions.iter().zip(asked) {
        assert_eq!(answer.await.unwrap().text, question.text);
    }
}

/// Silence that the turn keeps after its acoustic end.
const TAIL: usize = RATE as usize * 240 / 1_000;

/// The demo's Whisper as a quick machine has it: heard while somebody speaks and in each short silence, however slow the
/// machine of the test is. By itself a slow one waits for longer silences than the recordings have, or for the end.
struct Quick(Whisper);

impl Transcribe for Quick {
    fn transcribe(&self, clip: Clip, cancel: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>> {
        Box::pin(self.0.transcribe(clip, cancel))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn partials(&self) -> Partials {
        Partials::Steady(Duration::from_millis(200))
    }
}

/// One turn as the runner feeds it: frames of 20 ms, each followed by the acoustic end as the capture tells it.
struct Turn {
    listener: Listener,
    floor: floor::Floor,
    fed: usize,
    spoken: usize,
    cancel: CancellationToken,
}

impl Turn {
    fn begin() -> Self {
        let cancel = CancellationToken::new();
        let listener = Listener::start(Arc::new(Quick(BOTH.clone())), &cancel, &TaskTracker::new());
        Turn { listener, floor: floor::Floor::default(), fed: 0, spoken: 0, cancel }
    }

    fn hear(&mut self, frame: &[f32]) {
        self.listener.push(frame);
        if let Some(voiced) = self.floor.push(frame) {
            self.spoken = self.fed + voiced;
        }
        self.fed += frame.len();
        self.listener.spoken(self.spoken);
    }

    /// The clip that a turn without partials would be heard by.
    fn clip(&self, samples: &[f32]) -> Clip {
        Clip { samples: samples[..(self.spoken + TAIL).min(samples.len())].to_vec(), language: None }
    }

    async fn finish(self) -> Result<Transcript, SttError> {
        self.listener.finish(self.spoken, self.spoken + TAIL).await
    }
}

/// A question with half a second of quiet after it.
fn asked(question: &Question) -> Vec<f32> {
    let mut noise = wav::noise::Noise::new(3, -70.0);
    let quiet = vec![0.0; RATE as usize / 2];
    samples(question).into_iter().chain(quiet).map(|x| x + noise.next()).collect()
}

#[tokio::test]
async fn what_is_heard_while_somebody_speaks_is_what_the_whole_clip_gives() {
    // Two rounds: turn after turn on one model.
    for question in questions().iter().chain(&questions()) {
        let sound = asked(question);
        let mut turn = Turn::begin();
        let mut partials = turn.listener.partials();
        let mut heard = Vec::new();
        for frame in sound.chunks(320) {
            turn.hear(frame);
            tokio::task::yield_now().await;
            // As slow as the model: each partial is waited for as soon as the beat or the silence asks for it.
            let lull = turn.spoken > 0 && turn.fed - turn.spoken >= RATE as usize / 10;
            while lull && turn.listener.settled().is_none() {
                partials.changed().await.unwrap();
                heard.extend(partials.borrow_and_update().clone());
            }
        }
        let settled = turn.listener.settled().unwrap();
        assert!(settled.covers <= turn.spoken + RATE as usize / 5, "heard in the silence's first moments");
        let whole = turn.clip(&sound);
        let length = whole.samples.len();
        let batch = BOTH.transcribe(whole, CancellationToken::new()).await.unwrap();
        let last = turn.finish().await.unwrap();
        assert_eq!((&last.text, last.language), (&batch.text, batch.language));
        assert_eq!((last.text.as_str(), last.language), (question.text.as_str(), question.language));
        assert_eq!(last.audio, Duration::from_secs_f64(length as f64 / f64::from(RATE)));
        assert_eq!(last.finished, settled.transcript.finished, "no run was made after the end");
        assert!(heard.iter().all(|partial| partial.stable_words <= partial.transcript.text.split(' ').count()));
    }
}

#[tokio::test]
async fn a_turn_that_is_fed_faster_than_it_can_be_heard_is_heard_as_a_whole() {
    for question in questions() {
        let sound = asked(&question);
        let mut turn = Turn::begin();
        sound.chunks(320).for_each(|frame| turn.hear(frame));
        assert_eq!(turn.finish().await.unwrap().text, question.text);
    }
}

#[tokio::test]
async fn a_button_let_go_early_brings_the_words_early() {
    for question in questions() {
        let sound = asked(&question);
        let mut turn = Turn::begin();
        let mut partials = turn.listener.partials();
        turn.listener.hurry();
        for frame in sound.chunks(320) {
            turn.hear(frame);
        }
        // What was said last was followed by silence: that run is on its way, or its text is there.
        while turn.listener.settled().is_none() {
            partials.changed().await.unwrap();
        }
        assert_eq!(turn.finish().await.unwrap().text, question.text);
    }
}

#[tokio::test]
async fn a_turn_in_which_nobody_speaks_asks_the_model_nothing() {
    let mut turn = Turn::begin();
    vec![0.0; 2 * RATE as usize].chunks(320).for_each(|frame| turn.hear(frame));
    assert_eq!(turn.spoken, 0);
    let heard = turn.finish().await.unwrap();
    assert_eq!((heard.text.as_str(), heard.audio_ctx), ("", 0));
}

#[tokio::test]
async fn a_turn_that_is_cancelled_leaves_the_model_to_the_next_one() {
    let questions = questions();
    let sound = asked(&questions[0]);
    let mut given_up = Turn::begin();
    sound.chunks(320).for_each(|frame| given_up.hear(frame));
    given_up.cancel.cancel();
    assert!(matches!(given_up.finish().await, Err(SttError::Cancelled)));

    let mut forgotten = Turn::begin();
    sound.chunks(320).for_each(|frame| forgotten.hear(frame));
    drop(forgotten);
    let mut next = Turn::begin();
    asked(&questions[1]).chunks(320).for_each(|frame| next.hear(frame));
    assert_eq!(next.finish().await.unwrap().text, questions[1].text);
}

#[test]
fn the_start_is_measured() {
    let warm = BOTH.warm();
    assert!(warm.load > Duration::ZERO && warm.first > Duration::ZERO && warm.second > Duration::ZERO, "{warm:?}");
}

#[test]
fn a_language_that_the_model_does_not_know_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("manifest.toml");
    let text = "[[model]]\nname='frenchman'\nkind='whisper'\nuse='u'\nlicence='MIT'\nsource='s'\nlanguages=['fr']\n\
                audio_ctx_min=112\n[[model.file]]\nfile='whisper-demo-q5_1.bin'\nverify='none'\n";
    fs::write(&manifest, text).unwrap();
    let settings = ModelsSettings { dirs: vec![root().join("models/demo")], manifest: Some(manifest) };
    let model = Models::open(&settings).unwrap().whisper("frenchman").unwrap();
    let settings = SttSettings { model: "frenchman".into(), threads: None, gpu: false, incremental: true };
    let fault = Whisper::start(&settings, model, &[Language::Fr, Language::En]).unwrap_err().to_string();
    assert!(fault.contains("frenchman does not know en") && fault.contains("language.listen"), "{fault}");
}

#[test]
fn weights_that_are_no_numbers_are_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("worn.bin");
    let mut file = fs::read(root().join("models/demo/whisper-demo-q5_1.bin")).unwrap();
    // The encoder's 1,500 positions of 96 numbers end the file: the first ones become NaN, the outline stays.
    let positions = file.len() - 1_500 * 96 * 4;
    file[positions..positions + 64].fill(0xff);
    fs::write(&path, file).unwrap();
    let fault = start(path.to_str().unwrap(), &[Language::En]).unwrap_err().to_string();
    assert!(fault.contains("worn.bin cannot be loaded") && fault.contains("weights are damaged"), "{fault}");
}

fn elio(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_elio"))
        .current_dir(root())
        .env_remove("ELIO_CONFIG")
        .args(["--config", "configs/demo.toml", "transcribe"])
        .args(arguments)
        .output()
        .unwrap()
}

/// A command that must fail: its exit code, and its one line on standard error.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = elio(arguments);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "more than one line: {line}");
    assert!(output.stdout.is_empty());
    line
}

#[test]
fn the_command_writes_what_it_hears_and_nothing_else() {
    for question in questions() {
        let file = folder().join(&question.file);
        let output = elio(&[file.to_str().unwrap()]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", question.text));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(0));

        let output = elio(&[file.to_str().unwrap(), "--json", "--language", question.language.code()]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["text"], question.text);
        assert_eq!(document["language"], question.language.code());
        assert!(document["stt_compute_ms"].as_f64().unwrap() > 0.0);
        let length = samples(&question).len() as f64 / 16.0;
        assert!((document["audio_ms"].as_f64().unwrap() - length).abs() < 0.01, "{document}");
    }
}

#[test]
fn the_command_takes_wav_files_of_any_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.wav");
    let question = &questions()[0];
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for sample in convert::resample(&samples(question), RATE, 44_100) {
        writer.write_sample(sample).unwrap();
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    let output = elio(&[path.to_str().unwrap()]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), question.text);
}

#[test]
fn the_command_says_in_one_line_what_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let question = folder().join(&questions()[0].file);
    let question = question.to_str().unwrap();

    assert!(fails(&[&path("none.wav")], 1).contains("none.wav"));
    fs::write(path("letter.wav"), "dear reader").unwrap();
    assert!(fails(&[&path("letter.wav")], 1).contains("letter.wav"));
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    hound::WavWriter::create(path("empty.wav"), spec).unwrap().finalize().unwrap();
    assert!(fails(&[&path("empty.wav")], 1).contains("holds no sound"));

    assert!(fails(&[question, "--model", "whisper-base-q5_1"], 78).contains("ggml-base-q5_1.bin"));
    assert!(fails(&[question, "--model", &path("none.bin")], 78).contains("none.bin does not exist"));
    fs::write(path("text.bin"), "this is no model at all").unwrap();
    assert!(fails(&[question, "--model", &path("text.bin")], 78).contains("like a text file"));
    let good = fs::read(root().join("models/demo/whisper-demo-q5_1.bin")).unwrap();
    fs::write(path("half.bin"), &good[..good.len() / 2]).unwrap();
    assert!(fails(&[question, "--model", &path("half.bin")], 78).contains("is truncated"));
}
