//! What leaves the speaker when the demo's questions are answered: speech of one level, whole, without clicks.

use std::time::Duration;

use elio::audio::{Playback, PlaybackEvent, PlaybackTap, Recording, WavPlaybackHost};
use elio::config::{Config, Language};
use elio::models::Models;
use elio::sim::Replies;
use elio::tts::{Splitter, Tts, Utterance, voice_name};
use tokio_util::sync::CancellationToken;

use super::rig::{self, AUDIBLE};

const QUESTIONS: [(&str, Language); 4] = [
    ("Tell me a joke.", Language::En),
    ("Quel temps fait-il aujourd'hui ?", Language::Fr),
    ("Turn on the kitchen lights.", Language::En),
    ("Mets de la musique classique.", Language::Fr),
];
/// The lead that the voice leaves before an answer, and what the speaker may add.
const LEAD: Duration = Duration::from_millis(15 + 5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_answers_are_level_whole_and_without_clicks() {
    // A queue that no busy machine lets run dry, and that asks for sound faster than the worker converts it: a gap
    // inside the answer would be a click. Two periods of silence are its head start.
    let config = rig::config(&["audio.playback.buffer=2s", "audio.playback.period=100ms"]);
    let models = Models::open(&config.models).unwrap();
    let voices = [Language::En, Language::Fr]
        .map(|language| (language, models.voice(voice_name(&config.tts, language).unwrap()).unwrap()));
    let tts = Tts::start(&config.tts, voices.into()).unwrap();
    let replies = Replies::load(None).unwrap();
    let speakers: Vec<_> = QUESTIONS
        .iter()
        .map(|(question, language)| {
            let reply = replies.reply(question, "");
            tokio::spawn(play(config.clone(), tts.clone(), reply, *language))
        })
        .collect();
    for (speaker, (question, _)) in speakers.into_iter().zip(QUESTIONS) {
        let heard = speaker.await.unwrap();
        let level = speech_level(&heard.recording);
        assert!((level - config.tts.level_dbfs).abs() < 3.0, "{question}: {level} dBFS");
        let peak = heard.recording.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!(peak < 32_500, "{question}: a peak of {peak}");
        assert!(heard.lead <= LEAD, "{question}: {:?} of silence before the first sound", heard.lead);
        assert!(heard.recording.samples.len() > 3 * heard.recording.rate as usize, "{question}");
        let late = heard.lead.abs_diff(heard.voice_lead);
        assert!(late < Duration::from_millis(10), "{question}: the speaker's lead is {late:?} off the voice's");
        let step = worst_step_at_silence(&heard.recording);
        assert!(step < 1_000, "{question}: a step of {step} beside a silence: a click");
    }
}

struct Heard {
    recording: Recording,
    /// Silence before the first audible sample, in the speaker and by the voice's own word.
    lead: Duration,
    voice_lead: Duration,
}

/// Speaks a reply through the splitter, the voice and a speaker of its own.
async fn play(config: Config, tts: Tts, reply: String, language: Language) -> Heard {
    let (tap, speaker) = PlaybackTap::new(Box::new(WavPlaybackHost), Duration::from_secs(60));
    let (playback, mut events) = Playback::start(speaker, &config.playback).unwrap();
    let mut splitter = Splitter::new(language);
    let mut chunks = splitter.push(&reply);
    chunks.extend(splitter.finish());
    assert!(chunks.len() >= 3, "{reply}");
    let mut sounds = Vec::new();
    for (index, chunk) in chunks.into_iter().enumerate() {
        let cancel = CancellationToken::new();
        let first = index == 0;
        let utterance = Utterance { text: chunk.text, language, first, pause: chunk.pause, cancel };
        sounds.push(tts.speak(utterance).await.unwrap());
    }
    playback.begin(1);
    sounds.iter().for_each(|sound| playback.push(1, sound.rate, &sound.samples));
    playback.finish(1);
    let mut first_audible = None;
    loop {
        match events.recv().await.unwrap() {
            PlaybackEvent::FirstAudible { at, .. } => first_audible = Some(at),
            PlaybackEvent::Ended { at, heard, completed, .. } => {
                assert!(completed);
                let (start, first) = (at - heard, first_audible.unwrap());
                let recording = tap.take(start - Duration::from_millis(50), at);
                return Heard { recording, lead: first.since(start), voice_lead: sounds[0].lead_silence };
            }
            event => panic!("{event:?}"),
        }
    }
}

/// RMS of the 20 ms frames no more than 25 dB below the loudest, in dBFS.
fn speech_level(recording: &Recording) -> f32 {
    let power =
        |frame: &[i16]| frame.iter().map(|s| (f32::from(*s) / 32768.0).powi(2)).sum::<f32>() / frame.len() as f32;
    let powers: Vec<f32> = recording.samples.chunks(recording.rate as usize / 50).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let speech: Vec<f32> = powers.into_iter().filter(|&power| power > loudest / 316.0).collect();
    10.0 * (speech.iter().sum::<f32>() / speech.len() as f32).log10()
}

/// The largest step between two samples within a millisecond of a silence that lasts 5 ms or more: where chunks join
/// and where an answer begins and ends.
fn worst_step_at_silence(recording: &Recording) -> u16 {
    let (samples, near) = (&recording.samples, recording.rate as usize / 1000);
    let mut worst = 0;
    let mut quiet = 0;
    for at in 0..samples.len() {
        let is_quiet = samples[at].abs() < AUDIBLE;
        if !is_quiet && quiet >= 5 * near {
            let end = (at + near).min(samples.len() - 1);
            worst = samples[at.saturating_sub(1)..=end].windows(2).map(|p| p[0].abs_diff(p[1])).fold(worst, u16::max);
        }
        quiet = if is_quiet { quiet + 1 } else { 0 };
        if quiet == 5 * near {
            let from = (at + 1).saturating_sub(6 * near);
            worst = samples[from..=at].windows(2).map(|p| p[0].abs_diff(p[1])).fold(worst, u16::max);
        }
    }
    worst
}
