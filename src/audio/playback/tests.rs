//! The speaker's threads on the scripted and the paced device.

#![allow(clippy::disallowed_methods, reason = "a test waits for threads")]

use std::sync::atomic::Ordering::SeqCst;

use super::mixer::AUDIBLE;
use super::*;
use crate::audio::Format;
use crate::audio::PlaybackTap;
use crate::audio::convert::tests::tone;
use crate::audio::fake::{BASE, FORMAT, FakeHost, Script, Step, eventually, playback_settings};
use crate::audio::wav::WavPlaybackHost;

/// Begins turn 1 with `sound` on a script and lets it play.
fn speak(steps: &[Step], sound: &[f32]) -> (Playback, UnboundedReceiver<PlaybackEvent>, Arc<Script>) {
    let script = Script::new([]);
    let (playback, events) = Playback::start(FakeHost::new([Some(script.clone())]), &playback_settings()).unwrap();
    script.settle();
    // A turn that begins does not yet fill the queue with its silence.
    playback.begin(1);
    std::thread::sleep(Duration::from_millis(5));
    playback.push(1, 16_000, sound);
    playback.finish(1);
    // It fills what an idle queue leaves free; then time goes on.
    eventually("the first sound", || script.written.lock().unwrap().len() == FORMAT.target);
    script.then(steps.iter().copied());
    script.settle();
    (playback, events, script)
}

fn ended(events: &mut UnboundedReceiver<PlaybackEvent>) -> PlaybackEvent {
    loop {
        let event = events.blocking_recv().unwrap();
        if matches!(event, PlaybackEvent::Ended { .. }) {
            return event;
        }
    }
}

const P: Step = Step::Period;

#[test]
fn the_device_is_fed_silence_then_the_turn_and_every_instant_is_the_converters() {
    let sound: Vec<f32> = (0..800).map(|n| if n < 50 { 0.001 } else { 0.5 + n as f32 / 4096.0 }).collect();
    let (playback, mut events, script) = speak(&[P; 20], &sound);
    let written = script.written.lock().unwrap().clone();
    let first = written.iter().position(|&s| s != 0.0).unwrap();
    // The silence of an idle queue is before it, and no more.
    assert_eq!(first, FORMAT.idle());
    assert_eq!(written[first..first + 800], sound);
    assert!(written[first + 800..].iter().all(|&s| s == 0.0) && written.len() == 20 * 160 + FORMAT.idle());
    let at = |frame: usize| BASE + Duration::from_nanos(frame as u64 * 62_500);
    assert_eq!(events.blocking_recv().unwrap(), PlaybackEvent::FirstAudible { turn: 1, at: at(first + 50) });
    let heard = Duration::from_millis(50);
    let end = PlaybackEvent::Ended { turn: 1, at: at(first + 800), heard, completed: true, starved: 0, underruns: 0 };
    assert_eq!(events.blocking_recv().unwrap(), end);
    let stats = playback.stats();
    assert_eq!(stats.fill, Duration::from_millis(20));
    assert_eq!((stats.underruns, stats.starved, stats.present), (0, 0, true));
    assert_eq!((stats.period, stats.format), (Duration::from_millis(10), FORMAT.to_string()));
}

#[test]
fn short_writes_lose_nothing() {
    let sound: Vec<f32> = (0..1500).map(|n| 0.1 + n as f32 / 4096.0).collect();
    let (_playback, mut events, script) =
        speak(&[P, Step::Short(7), P, Step::Spurious, Step::Short(1), P, P, P, P, P, P, P], &sound);
    let written = script.written.lock().unwrap().clone();
    assert_eq!(written[FORMAT.idle()..FORMAT.idle() + 1500], sound);
    assert!(matches!(ended(&mut events), PlaybackEvent::Ended { completed: true, .. }));
}

#[test]
fn an_underrun_is_counted_in_the_turn_and_sound_goes_on() {
    for xrun in [Step::Xrun(700), Step::XrunAtWait(700)] {
        let (playback, mut events, script) = speak(&[P, P, P, P, xrun, P, P, P, P, P, P, P, P, P, P], &[0.5; 1600]);
        assert!(
            matches!(ended(&mut events), PlaybackEvent::Ended { completed: true, underruns: 1, starved: 0, heard, .. }
                if heard == Duration::from_millis(100))
        );
        assert_eq!((playback.stats().underruns, script.prepared.load(SeqCst)), (1, 1));
    }
}

#[test]
fn a_device_that_runs_dry_keeps_a_period_more_queued_from_then_on() {
    let format = Format { buffer: 640, target: 640, ..FORMAT };
    let script = Script::new([P, P, Step::XrunAtWait(0), P]);
    let (playback, _events) = Playback::start(FakeHost::with(format, script.clone()), &playback_settings()).unwrap();
    script.settle();
    assert_eq!(playback.stats().underruns, 1);
    // Two periods went by before the underrun took the idle queue with it, one after it.
    assert_eq!(script.written.lock().unwrap().len(), 2 * 160 + 3 * 160 + 160);
    assert_eq!(playback.stats().fill, Duration::from_millis(30));
    // It may come to the whole target, and no further.
    script.then([Step::XrunAtWait(0), Step::XrunAtWait(0), P]);
    script.settle();
    assert_eq!(playback.stats().fill, Duration::from_millis(40));
    // All that was while the models were loaded.
    playback.settle();
    script.then([P, P]);
    script.settle();
    assert_eq!(playback.stats().fill, Duration::from_millis(20));
}

#[test]
fn sound_waits_behind_no_more_than_the_silence_that_this_machine_needs() {
    // A queue of 12 periods for sound: silence takes two of them.
    let format = Format { buffer: 1920, target: 1920, ..FORMAT };
    let script = Script::new([P; 3]);
    let (playback, mut events) = Playback::start(FakeHost::with(format, script.clone()), &playback_settings()).unwrap();
    script.settle();
    playback.begin(1);
    // A piece that is no whole number of periods; the rest is still being converted.
    playback.push(1, 16_000, &[0.5; 250]);
    let before = 3 * 160 + format.idle();
    eventually("the first piece", || script.written.lock().unwrap().len() == before + 250);
    playback.push(1, 16_000, &[0.5; 3200]);
    eventually("a full queue", || script.written.lock().unwrap().len() == 3 * 160 + format.target);
    let written = script.written.lock().unwrap().clone();
    let first = written.iter().position(|s| *s != 0.0).unwrap();
    assert_eq!(first, before);
    assert!(written[first..].iter().all(|s| *s == 0.5), "silence inside the sound");
    let Some(PlaybackEvent::FirstAudible { at, .. }) = events.blocking_recv() else { panic!("no sound") };
    assert_eq!(at, BASE + format.time(first));
}

#[test]
fn the_first_audible_sample_is_placed_behind_all_that_is_written_with_it() {
    // After an underrun the whole queue is filled at once, in periods.
    let sound: Vec<f32> = (0..1600).map(|n| if n < 400 { 0.001 } else { 0.5 }).collect();
    let (_playback, mut events, script) = speak(&[Step::Xrun(700), P, P], &sound);
    let Some(PlaybackEvent::FirstAudible { at, .. }) = events.blocking_recv() else { panic!("no sound") };
    let first = script.written.lock().unwrap().iter().position(|s| *s > AUDIBLE).unwrap();
    assert_eq!(first, 700 + 400 - (FORMAT.target - FORMAT.idle()));
    assert_eq!(at, BASE + Duration::from_nanos(first as u64 * 62_500));
}

#[test]
fn suspend_is_resumed_or_prepared() {
    for (resumes, prepared) in [(true, 0), (false, 1)] {
        let sleep = Step::Suspend { frames: 16_000, sleepy: 2, resumes };
        let (playback, mut events, script) = speak(&[P, P, sleep, P, P, P, P, P, P, P, P], &[0.5; 800]);
        assert!(matches!(ended(&mut events), PlaybackEvent::Ended { completed: true, underruns: 0, .. }));
        assert_eq!((playback.stats().suspends, script.prepared.load(SeqCst)), (1, prepared));
    }
}

#[test]
fn an_unplugged_speaker_ends_its_turns_and_speaks_again_when_it_returns() {
    let (first, second) = (Script::new([]), Script::new([]));
    let host = FakeHost::new([Some(first.clone()), None, Some(second.clone())]);
    let (playback, mut events) = Playback::start(host, &playback_settings()).unwrap();
    playback.begin(1);
    playback.push(1, 16_000, &[0.5; 16_000]);
    first.then([P, P, P, Step::Gone]);
    let mut told = Vec::new();
    while told.last().is_none_or(|t| t != "returned") {
        told.push(match events.blocking_recv().unwrap() {
            PlaybackEvent::FirstAudible { turn, .. } => format!("audible {turn}"),
            PlaybackEvent::Ended { turn, completed, .. } => format!("ended {turn} {completed}"),
            PlaybackEvent::Lost(_) => {
                // Turns that begin while the speaker is away end as well.
                playback.begin(2);
                playback.push(2, 16_000, &[0.5; 160]);
                "lost".into()
            }
            PlaybackEvent::Returned => "returned".into(),
        });
    }
    playback.push(2, 16_000, &[0.5; 160]);
    playback.finish(2);
    playback.begin(3);
    playback.push(3, 16_000, &[0.25; 160]);
    playback.finish(3);
    second.then([P; 8]);
    loop {
        match events.blocking_recv().unwrap() {
            PlaybackEvent::Ended { turn: 3, completed, heard, .. } => {
                assert!(completed && heard == Duration::from_millis(10));
                break;
            }
            PlaybackEvent::Ended { turn, completed, .. } => told.push(format!("ended {turn} {completed}")),
            _ => {}
        }
    }
    told.sort();
    assert_eq!(told, ["audible 1", "ended 1 false", "ended 2 false", "lost", "returned"]);
    assert!(second.written.lock().unwrap().iter().all(|&s| s == 0.0 || s == 0.25), "no sound from before the loss");
    assert_eq!((playback.stats().losses, playback.stats().present), (1, true));
}

#[test]
fn a_speaker_that_is_not_there_at_the_start_is_an_error() {
    let error = Playback::start(FakeHost::new([None]), &playback_settings()).unwrap_err();
    assert!(error.to_string().contains("`fake`"), "{error}");
}

#[test]
fn a_speaker_that_is_waited_for_is_used_when_it_comes() {
    let host = FakeHost::new([None, Some(Script::new([P]))]);
    let (playback, mut events, absent) = Playback::start_waiting(host, &playback_settings()).unwrap();
    assert!(absent.is_some() && !playback.stats().present);
    let told: Vec<PlaybackEvent> = (0..2).filter_map(|_| events.blocking_recv()).collect();
    assert!(matches!(told[..], [PlaybackEvent::Lost(_), PlaybackEvent::Returned]), "{told:?}");
    assert!(playback.stats().present);
}

/// What the record says is checked against what left the speaker.
#[test]
fn first_audible_is_where_the_taps_own_wav_has_it() {
    let (tap, host) = PlaybackTap::new(Box::new(WavPlaybackHost), Duration::from_secs(20));
    let (playback, mut events) = Playback::start(host, &playback_settings()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for turn in 1..=3u64 {
        playback.begin(turn);
        let begun = Mono::now();
        let mut sound = vec![0.0; 22_050 * turn as usize / 40];
        sound.extend(tone(440.0, 22_050, 0.3));
        playback.push(turn, 22_050, &sound);
        playback.finish(turn);
        let Some(PlaybackEvent::FirstAudible { turn: told, at }) = events.blocking_recv() else { panic!("no sound") };
        let PlaybackEvent::Ended { at: end, completed, heard, underruns, .. } = ended(&mut events) else { panic!() };
        assert!(told == turn && completed && heard.abs_diff(Duration::from_millis(300 + 25 * turn)).as_millis() < 2);
        let recording = tap.take(begun, end);
        let path = dir.path().join("answer.wav");
        recording.write(&path).unwrap();
        let wav = crate::audio::Clip::read(&path).unwrap();
        assert_eq!(wav.rate, recording.rate);
        let first = wav.samples.iter().position(|s| s.abs() > AUDIBLE).unwrap();
        let in_wav = recording.start + Duration::from_nanos(first as u64 * 1_000_000_000 / u64::from(wav.rate));
        assert!(at.ms_since(in_wav).abs() < 10.0, "turn {turn}: {} ms", at.ms_since(in_wav));
        // The tone is there whole, unless this machine was too busy for a speaker.
        let loud = wav.samples[first..].iter().filter(|s| s.abs() > 0.01).count();
        assert!(underruns > 0 || (loud as f64 / f64::from(wav.rate) - 0.29).abs() < 0.02, "{loud}");
        eventually("the end of the sound", || Mono::now() >= end);
    }
}

#[test]
fn a_tap_keeps_only_its_last_seconds() {
    let (tap, host) = PlaybackTap::new(Box::new(WavPlaybackHost), Duration::from_millis(100));
    let (_playback, _events) = Playback::start(host, &playback_settings()).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let all = tap.take(Mono::from_nanos(0), Mono::now());
    let length = all.samples.len() as f64 / f64::from(all.rate);
    assert!((0.1..=1.1).contains(&length), "{length} s");
    assert!(tap.take(Mono::from_nanos(0), Mono::from_nanos(1)).samples.is_empty());
}
