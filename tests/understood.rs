//! The demo's voices are understood: what they say is written down by the demo's Whisper, which was never taught by them.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use elio::audio::{RATE, convert};
use elio::config::{Config, Language, ModelsSettings, SttSettings};
use elio::models::Models;
use elio::stt::{Clip, Whisper};
use elio::tts::{Pause, Tts, Utterance};
use tokio_util::sync::CancellationToken;

/// Sentences that the Whisper knows. Of what is not in its few hundred words nobody could tell who failed.
const SENTENCES: [(Language, &str); 12] = [
    (Language::En, "Turn on the kitchen lights."),
    (Language::En, "What is the weather like today?"),
    (Language::En, "Tell me a joke."),
    (Language::En, "How is the weather in London tomorrow?"),
    (Language::En, "Add milk and bread to my shopping list."),
    (Language::En, "Play some jazz music in the bedroom."),
    (Language::Fr, "Quel temps fait-il aujourd'hui ?"),
    (Language::Fr, "Allume la lumière du salon."),
    (Language::Fr, "Mets de la musique classique."),
    (Language::Fr, "Raconte-moi une histoire."),
    (Language::Fr, "Ajoute du lait et du pain à ma liste de courses."),
    (Language::Fr, "Ferme les volets de la chambre."),
];

/// Words without case and punctuation.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.to_lowercase().trim_matches(['.', ',', '?', '!']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Words that must be changed to make one of the other.
fn distance(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let before = row.clone();
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            row[j + 1] = (before[j + 1] + 1).min(row[j] + 1).min(before[j] + usize::from(word != other));
        }
    }
    row[heard.len()]
}

/// Share of the words that the Whisper understands.
async fn understood(voice: &str) -> f64 {
    let settings =
        ModelsSettings { dirs: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")], manifest: None };
    let models = Models::open(&settings).unwrap();
    let both = [Language::En, Language::Fr].map(|language| (language, models.voice(voice).unwrap()));
    let tts = Tts::start(&Config::default().tts, both.into()).unwrap();
    let stt = SttSettings { model: "whisper-demo".into(), threads: Some(1), gpu: false, incremental: false };
    let whisper = Whisper::start(&stt, models.whisper("whisper-demo").unwrap(), &[Language::En, Language::Fr]).unwrap();
    let (mut all, mut wrong) = (0, 0);
    for (language, text) in SENTENCES {
        let cancel = CancellationToken::new();
        let said =
            Utterance { text: text.into(), language, first: true, pause: Pause::Sentence, cancel: cancel.clone() };
        let spoken = tts.speak(said).await.unwrap();
        assert!(!spoken.fallback, "{voice} could not say {text}");
        let samples = convert::resample(&spoken.samples, spoken.rate, RATE);
        let heard = whisper.transcribe(Clip { samples, language: None }, cancel).await.unwrap();
        let (said, heard) = (words(text), words(&heard.text));
        let changed = distance(&said, &heard);
        if changed > 0 {
            eprintln!("{voice}: {said:?} heard as {heard:?}");
        }
        all += said.len();
        wrong += changed;
    }
    1.0 - f64::from(u32::try_from(wrong).unwrap()) / f64::from(u32::try_from(all).unwrap())
}

#[tokio::test]
async fn nine_words_in_ten_of_the_demo_voice() {
    let share = understood("voice-demo").await;
    assert!(share >= 0.9, "{share}");
}

#[tokio::test]
async fn most_words_of_the_voice_that_reads_letters() {
    let share = understood("voice-demo-mms").await;
    eprintln!("letters: {share}");
    assert!(share >= 0.7, "{share}");
}
