//! Real inference through the whole way of speaking: splitter, phonemes, voice, level and joints.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use elio::clock::Mono;
use elio::config::{Config, Language, ModelsSettings, TtsSettings};
use elio::models::{Models, VoiceModel};
use elio::tts::{Pause, Splitter, Spoken, Tts, TtsError, Utterance};
use tokio_util::sync::CancellationToken;

/// −50 dBFS, the record's bound of what is audible.
const AUDIBLE: f32 = 0.003_162_277_7;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn settings() -> TtsSettings {
    Config::default().tts
}

fn voice(name: &str) -> VoiceModel {
    let models = ModelsSettings { dirs: vec![repository("models/demo")], manifest: None };
    Models::open(&models).unwrap().voice(name).unwrap()
}

fn demo() -> Tts {
    let both = [Language::En, Language::Fr].map(|language| (language, voice("voice-demo")));
    Tts::start(&settings(), both.into()).unwrap()
}

fn utterance(text: &str, language: Language) -> Utterance {
    let cancel = CancellationToken::new();
    Utterance { text: text.into(), language, first: true, pause: Pause::Sentence, cancel }
}

/// Every chunk of an answer.
async fn answer(tts: &Tts, text: &str, language: Language) -> Vec<Spoken> {
    let mut splitter = Splitter::new(language);
    let mut chunks = splitter.push(text);
    chunks.extend(splitter.finish());
    let mut spoken = Vec::new();
    for (index, chunk) in chunks.into_iter().enumerate() {
        let cancel = CancellationToken::new();
        let first = index == 0;
        spoken.push(
            tts.speak(Utterance { text: chunk.text, language, first, pause: chunk.pause, cancel }).await.unwrap(),
        );
    }
    spoken
}

/// RMS of the 20 ms frames no more than 25 dB below the loudest, in dBFS.
fn speech_level(samples: &[f32], rate: u32) -> f32 {
    let power = |frame: &[f32]| frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
    let powers: Vec<f32> = samples.chunks(rate as usize / 50).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let speech: Vec<f32> = powers.into_iter().filter(|&power| power > loudest / 316.0).collect();
    10.0 * (speech.iter().sum::<f32>() / speech.len() as f32).log10()
}

const ENGLISH: &str = "It is half past three, and the weather in Paris is sunny, with a high of twenty two degrees. \
                       Your timer for ten minutes is set. What else can I do for you?\n\nI turned on the kitchen light.";
const FRENCH: &str =
    "Bonjour ! Il est 15h30, et il fait beau à Paris, avec vingt-deux degrés. Que puis-je faire d'autre ?";

#[tokio::test]
async fn an_answer_is_level_and_has_no_clicks() {
    let tts = demo();
    for (text, language) in [(ENGLISH, Language::En), (FRENCH, Language::Fr)] {
        let spoken = answer(&tts, text, language).await;
        assert!(spoken.len() >= 3, "{} chunks", spoken.len());
        assert!(spoken.iter().all(|chunk| !chunk.fallback && chunk.rate == 16_000 && chunk.voice == "voice-demo"));

        let levels: Vec<f32> = spoken.iter().map(|chunk| speech_level(&chunk.samples, chunk.rate)).collect();
        // One gain leaves what the speaker's own sentences differ by: 2 dB with this voice.
        assert!(levels.iter().all(|level| (level - settings().level_dbfs).abs() < 3.0), "{levels:?}");

        for pair in spoken.windows(2) {
            let [before, after] = pair else { unreachable!() };
            let last = *before.samples.last().unwrap();
            assert!((last - after.samples[0]).abs() < 0.001, "a step of {last} to {} at a joint", after.samples[0]);
        }
        let all: Vec<f32> = spoken.iter().flat_map(|chunk| chunk.samples.iter().copied()).collect();
        assert!(all.iter().all(|sample| sample.abs() < 0.98), "it clips");
    }
}

#[tokio::test]
async fn one_gain_serves_every_chunk() {
    let tts = demo();
    let level = async |text| {
        let spoken = tts.speak(utterance(text, Language::En)).await.unwrap();
        speech_level(&spoken.samples, spoken.rate)
    };
    let before = level("Your timer for ten minutes is set.").await;
    let loud = level("Two plus two is four, of course.").await;
    let after = level("Your timer for ten minutes is set.").await;
    assert!((before - after).abs() < 0.3, "{before} {after}");
    assert!((loud - before).abs() > 0.3, "each chunk has a level of its own: {before} {loud}");
}

#[tokio::test]
async fn the_lead_is_15_ms_and_the_pause_the_punctuations() {
    let tts = demo();
    for text in ["Hello.", "Yes.", "What else can I do for you?"] {
        let spoken = tts.speak(utterance(text, Language::En)).await.unwrap();
        let lead = spoken.samples.iter().position(|s| s.abs() >= AUDIBLE).unwrap() as f64 / 16.0;
        assert!(lead <= 18.0, "{text}: {lead} ms");
        assert!((spoken.lead_silence.as_secs_f64() * 1e3 - lead).abs() < 0.1, "{text}: {:?}", spoken.lead_silence);
        let last = spoken.samples.iter().rposition(|s| s.abs() >= AUDIBLE).unwrap();
        let silence = (spoken.samples.len() - last) as f64 / 16.0;
        assert!((260.0..300.0).contains(&silence), "{text}: {silence} ms");
        assert!(spoken.first_pcm <= spoken.done);
    }
}

#[tokio::test]
async fn words_make_sound_in_proportion_and_nothing_makes_none() {
    let tts = demo();
    let length = async |text| tts.speak(utterance(text, Language::Fr)).await.unwrap().samples.len();
    let (short, long) =
        (length("Bonjour.").await, length("Bonjour, il fait beau à Paris aujourd'hui, très beau.").await);
    assert!(long > 3 * short, "{short} {long}");
    assert_eq!(length("…").await, 280 * 16);
}

#[tokio::test]
async fn a_cancelled_utterance_ends_at_once_and_the_next_is_whole() {
    let tts = demo();
    let whole = tts.speak(utterance("Two plus two is four.", Language::En)).await.unwrap();
    let mut cancelled = utterance(&"the weather in Paris is sunny today and tomorrow ".repeat(40), Language::En);
    cancelled.cancel.cancel();
    assert!(matches!(tts.speak(cancelled.clone()).await, Err(TtsError::Cancelled)));
    cancelled.cancel = CancellationToken::new();
    let cancel = cancelled.cancel.clone();
    let speaking = tokio::spawn(tts.speak(cancelled));
    tokio::time::sleep(Duration::from_millis(30)).await;
    cancel.cancel();
    assert!(matches!(speaking.await.unwrap(), Err(TtsError::Cancelled)));
    let again = tts.speak(utterance("Two plus two is four.", Language::En)).await.unwrap();
    // The voice has noise in it: its end is not audible to the sample.
    assert!(again.samples.len().abs_diff(whole.samples.len()) < 160);
}

#[tokio::test]
async fn lines_are_spoken_in_the_background_and_there_at_once_from_then_on() {
    let tts = demo();
    let line = |language| Utterance { pause: Pause::None, ..utterance("Sorry.", language) };
    tts.keep([Language::En, Language::Fr].map(|language| (language, "Sorry.".to_owned())).into());
    let before = tts.speak(Utterance { pause: Pause::None, ..utterance("Hello there.", Language::En) }).await.unwrap();
    assert!(!before.cached, "only lines are kept");
    for language in [Language::En, Language::Fr] {
        // Whoever asks ends what is made in the background: ever more time is left to it.
        let mut pause = Duration::from_millis(50);
        let kept = loop {
            let spoken = tts.speak(line(language)).await.unwrap();
            if spoken.cached {
                break spoken;
            }
            assert!(pause < Duration::from_secs(60), "the line was never kept");
            tokio::time::sleep(pause).await;
            pause *= 2;
        };
        assert!(
            kept.samples.len() > 2_000 && kept.lead_silence <= Duration::from_millis(18),
            "{:?}",
            kept.lead_silence
        );
        // It is the very same sound, now.
        let asked = Mono::now();
        let again = tts.speak(line(language)).await.unwrap();
        assert!(again.cached && again.samples == kept.samples && again.first_pcm >= asked);
        assert!(!tts.speak(utterance("Sorry.", language)).await.unwrap().cached, "a chunk has its pause");
    }
    let cancelled = line(Language::En);
    cancelled.cancel.cancel();
    assert!(matches!(tts.speak(cancelled).await, Err(TtsError::Cancelled)));
}

#[tokio::test]
async fn what_was_prepared_is_there_when_it_is_asked_for_and_other_words_are_spoken_all_the_same() {
    let tts = demo();
    let text = "The weather in Paris is sunny today, with a light breeze from the south in the evening.";
    let other = "Your timer for ten minutes is set.";
    let whole = tts.speak(utterance(other, Language::En)).await.unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..10 {
        let prepared = n % 2;
        if prepared == 1 {
            tts.prepare(text.into(), Language::En);
            // More than it takes on any machine that runs these tests.
            tokio::time::sleep(Duration::from_millis(1_000)).await;
        }
        let asked = Mono::now();
        let spoken = tts.speak(utterance(text, Language::En)).await.unwrap();
        assert!(spoken.first_pcm >= asked && !spoken.cached && spoken.samples.len() > 32_000);
        times[prepared].push(asked.elapsed());
    }
    let best = times.map(|times| times.into_iter().min().unwrap());
    assert!(best[1] * 3 < best[0], "not prepared and prepared: {best:?}");
    // A wrong guess.
    tts.prepare(text.into(), Language::En);
    let spoken = tts.speak(utterance(other, Language::En)).await.unwrap();
    assert!(spoken.samples.len().abs_diff(whole.samples.len()) < 160);
}

#[tokio::test]
async fn the_pace_is_the_voices_own() {
    let tts = demo();
    let pace = tts.pace(Language::Fr);
    let text = "Le temps restera plutôt sec et assez doux cet après-midi.";
    let spoken = tts.speak(utterance(text, Language::Fr)).await.unwrap();
    let sound = spoken.samples.len() as f64 / 16_000.0 - 0.28;
    let reckoned = pace.sound(text.chars().count()).as_secs_f64();
    assert!((0.6..1.6).contains(&(reckoned / sound)), "{reckoned} s reckoned, {sound} s spoken");
    assert!(pace.compute(10) < pace.compute(200) && pace.compute(10) > Duration::ZERO, "{pace:?}");
    assert_ne!(tts.pace(Language::Fr), pace, "each chunk is measured");
}

#[tokio::test]
async fn espeak_ng_is_a_voice_of_its_own() {
    let mut settings = settings();
    settings.voice_fr = "espeak-ng".into();
    let tts = Tts::start(&settings, vec![(Language::En, voice("voice-demo"))]).unwrap();
    assert_eq!((tts.voice(Language::Fr), tts.voice(Language::En)), ("espeak-ng", "voice-demo"));
    let spoken = tts.speak(utterance("Bonjour, il fait beau.", Language::Fr)).await.unwrap();
    assert!(!spoken.fallback && spoken.voice == "espeak-ng" && spoken.rate == tts.rate(Language::Fr));
    let level = speech_level(&spoken.samples, spoken.rate);
    assert!((level - settings.level_dbfs).abs() < 2.0, "{level}");
}

#[tokio::test]
async fn voices_of_characters_speak_through_both_interfaces() {
    for name in ["exported", "sherpa"] {
        let model = voice(repository(&format!("tests/data/mms/{name}.onnx")).to_str().unwrap());
        let mut settings = settings();
        let length = async |settings: &TtsSettings| {
            let tts = Tts::start(settings, vec![(Language::Fr, model.clone())]).unwrap();
            let spoken = tts.speak(utterance("Il y a 21 chats.", Language::Fr)).await.unwrap();
            assert!(!spoken.fallback && spoken.rate == 16_000);
            spoken.samples.len() as i64 - 280 * 16
        };
        // "il y a vingt et un chats", each character and the blanks between them 50 ms.
        let usual = length(&settings).await;
        assert!((usual - 800 * (2 * 24 - 1)).abs() < 800, "{name}: {usual}");
        settings.speed = 2.0;
        let fast = length(&settings).await;
        // A network as exported has its pace built in.
        assert!(if name == "sherpa" { fast * 2 - usual < 1600 } else { fast == usual }, "{name}: {usual} {fast}");
    }
}

#[tokio::test]
async fn espeak_ng_speaks_what_a_voice_fails_to() {
    let model = voice(repository("tests/data/mms/fragile.onnx").to_str().unwrap());
    let tts = Tts::start(&settings(), vec![(Language::Fr, model)]).unwrap();
    let fallbacks = async |text| tts.speak(utterance(text, Language::Fr)).await.unwrap();
    assert!(!fallbacks("Oui.").await.fallback);
    let spoken = fallbacks("Ah.").await;
    assert!(spoken.fallback && spoken.voice == "espeak-ng");
    let level = speech_level(&spoken.samples, spoken.rate);
    assert!((level - settings().level_dbfs).abs() < 4.0, "{level}");
    assert!(!fallbacks("Oui.").await.fallback);
}

/// A voice made of the demo's network and its JSON, changed.
fn changed(change: impl Fn(&mut serde_json::Value)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let onnx = folder.path().join("voice.onnx");
    fs::copy(repository("models/demo/voice-demo.onnx"), &onnx).unwrap();
    let json = fs::read_to_string(repository("models/demo/voice-demo.onnx.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    change(&mut json);
    fs::write(folder.path().join("voice.onnx.json"), json.to_string()).unwrap();
    let model = voice(onnx.to_str().unwrap());
    let fault = Tts::start(&settings(), vec![(Language::En, model)]).err().unwrap().to_string();
    assert!(fault.contains("voice.onnx ") && fault.contains("voice.onnx.json"), "{fault}");
    assert_eq!(fault.lines().count(), 1, "{fault}");
    fault
}

#[test]
fn a_json_that_does_not_fit_its_network_is_told_at_the_start() {
    let ids = |json: &mut serde_json::Value, name: &str, id: i64| json["phoneme_id_map"][name] = [id].into();
    let fault = changed(|json| ids(json, "a", 9_999));
    assert!(fault.contains("9999"), "{fault}");
    let fault = changed(|json| {
        ids(json, "a", 9_999);
        json.as_object_mut().unwrap().remove("num_symbols");
    });
    assert!(fault.contains("every id"), "{fault}");
    let fault = changed(|json| drop(json["audio"].as_object_mut().unwrap().remove("sample_rate")));
    assert!(fault.contains("sample_rate"), "{fault}");
    let fault = changed(|json| json["num_speakers"] = 4.into());
    assert!(fault.contains("4 speakers"), "{fault}");
    let fault = changed(|json| drop(json["phoneme_id_map"].as_object_mut().unwrap().remove("^")));
    assert!(fault.contains('^'), "{fault}");
    let fault = changed(|json| json["phoneme_id_map"].as_object_mut().unwrap().retain(|name, _| name.is_ascii()));
    assert!(fault.contains("phonemes"), "{fault}");
}

#[test]
fn a_network_that_is_no_voice_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = folder.path().join("voice.onnx");
    fs::copy(repository("tests/data/mms/exported.onnx"), &onnx).unwrap();
    fs::copy(repository("models/demo/voice-demo.onnx.json"), folder.path().join("voice.onnx.json")).unwrap();
    let fault = Tts::start(&settings(), vec![(Language::En, voice(onnx.to_str().unwrap()))]).err().unwrap().to_string();
    assert!(fault.contains("input_lengths"), "{fault}");

    let network = fs::read(repository("models/demo/voice-demo.onnx")).unwrap();
    fs::write(&onnx, &network[..network.len() / 2]).unwrap();
    let fault = Tts::start(&settings(), vec![(Language::En, voice(onnx.to_str().unwrap()))]).err().unwrap().to_string();
    assert!(fault.contains("voice.onnx") && fault.lines().count() == 1, "{fault}");
}

#[test]
fn a_missing_espeak_is_told_with_the_mend() {
    let mut settings = settings();
    settings.espeak = "/nowhere/espeak-ng".into();
    let fault = Tts::start(&settings, vec![(Language::En, voice("voice-demo"))]).err().unwrap().to_string();
    assert!(fault.contains("tts.espeak") && fault.contains("package espeak-ng"), "{fault}");
}

/// A GPU is asked for on a machine that may have none: it speaks all the same, and says where.
#[test]
fn a_provider_that_is_not_there_is_no_fault() {
    let mut settings = settings();
    settings.provider = elio::config::Provider::Cuda;
    let tts = Tts::start(&settings, vec![(Language::En, voice("voice-demo"))]).unwrap();
    let warm = tts.warm();
    assert_eq!(warm.voices.len(), 1);
    assert!(warm.voices[0].longest_audio > Duration::from_secs(4), "{warm:?}");
    println!("{warm:?}");
}
