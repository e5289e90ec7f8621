//! The button while Elio speaks: sound ends at once, none of it comes back, and the conversation remembers only what
//! was heard.

use std::time::Duration;

use elio::audio::Clip;
use elio::clock::Mono;
use elio::daemon::{Rig, Spoken};
use elio::latency::Outcome;
use elio::turn::Visible;

use super::rig::{self, AUDIBLE, JOKE, WEATHER};

/// The device's queue, a period of it, and the fade.
const QUEUE: Duration = Duration::from_millis(30 + 10 + 5);

/// Asks, waits until the speaker is in the middle of a long sentence, and presses the button.
async fn interrupted(rig: &mut Rig, clip: Clip) -> Spoken {
    rig.press();
    tokio::time::sleep(Duration::from_millis(250)).await;
    rig.say(clip).await;
    rig.shows(Visible::Speaking).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    rig.press();
    let spoken = rig.answer().await.unwrap();
    let (report, at) = (&spoken.report, &spoken.report.instants);
    assert_eq!(report.record.outcome, Outcome::Interrupted);
    assert!(!report.heard.is_empty() && report.reply.starts_with(&report.heard), "{}", report.heard);
    assert!(report.heard.len() < report.reply.len(), "it was cut: {}", report.heard);
    assert!(at.first_audible.unwrap() < at.playback_end.unwrap());
    ends_in_a_fade(&spoken);
    spoken
}

/// By the samples of the speaker: sound up to the end that the record names, the last of it fading, and then nothing.
fn ends_in_a_fade(spoken: &Spoken) {
    let recording = &spoken.recording;
    let samples = &recording.samples;
    let end = spoken.report.instants.playback_end.unwrap().since(recording.start);
    let end = (end.as_secs_f64() * f64::from(recording.rate)).round() as usize;
    // The recording keeps a sample's time to 5 ms.
    let slack = recording.rate as usize * 6 / 1000;
    let last = samples.iter().rposition(|sample| *sample != 0).unwrap();
    assert!(last <= end + slack && end + slack < samples.len(), "sound ends at {last}, the turn at {end}");
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    let fade = recording.rate as usize * 5 / 1000;
    for before in 0..fade / 4 {
        // The last samples of a fade may round to nothing: `last` is then a few before its end.
        let most = usize::from(peak) * (before + 8) / fade;
        let sample = samples[last - before].unsigned_abs();
        assert!(usize::from(sample) <= most, "{before} samples before the end: {sample}, a fade has at most {most}");
    }
}

/// Nothing of an old answer is in the speaker between two instants.
fn silent(rig: &Rig, from: Mono, to: Mono) {
    let recording = rig.heard(from, to);
    assert!(!recording.samples.is_empty());
    assert!(recording.samples.iter().all(|sample| sample.abs() < AUDIBLE), "old sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_press_mode_it_stops_the_answer_and_in_hold_mode_it_is_the_next_question() {
    tokio::join!(stops_the_answer(), is_the_next_question());
}

async fn stops_the_answer() {
    let (mut rig, _dir) = rig::start(&[]).await;
    let first = interrupted(&mut rig, rig::clip(JOKE)).await;
    rig::idle(&mut rig).await;
    let second = rig.ask(rig::clip(WEATHER)).await.unwrap();
    follows(&rig, &first, &second).await;
}

async fn is_the_next_question() {
    let (mut rig, _dir) = rig::start(&["wake.mode=hold"]).await;
    let first = interrupted(&mut rig, rig::clip(JOKE)).await;
    rig.shows(Visible::Listening).await.unwrap();
    rig.say(rig::clip(WEATHER)).await;
    let second = rig.answer().await.unwrap();
    follows(&rig, &first, &second).await;
}

async fn follows(rig: &Rig, first: &Spoken, second: &Spoken) {
    let report = &second.report;
    assert_eq!((report.transcript.as_str(), &report.record.outcome), (WEATHER.1, &Outcome::Answered));
    assert_eq!(report.heard, report.reply);
    let old = first.report.instants.playback_end.unwrap();
    silent(rig, old + QUEUE, report.instants.first_audible.unwrap() - Duration::from_millis(10));
    let asked = rig::questions(rig, 2).await;
    let words = [first.report.transcript.clone(), first.report.heard.clone()];
    assert_eq!(asked[1].history.as_deref(), Some(&words[..]), "what was not heard was not said");
    assert_eq!(asked[0].reply.as_ref().map(|reply| reply.starts_with(&words[1]) && *reply != words[1]), Some(true));
}
