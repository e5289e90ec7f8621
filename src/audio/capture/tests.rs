//! The microphone's threads, driven by the scripted device and by the paced one.

#![allow(clippy::disallowed_methods, reason = "a test waits for threads")]

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::*;
use crate::audio::fake::{FORMAT, FakeHost, Script, Step, capture_settings, eventually, instant, unmark};
use crate::audio::pcm::{Format, Sample};
use crate::audio::wav::{Pace, WavCaptureHost};
use crate::audio::{FRAME, RATE, convert};
use crate::clock::Mono;

/// Runs a script to its end and returns what came of it.
fn hear(steps: &[Step]) -> (Vec<Frame>, CaptureStats, std::sync::Arc<Script>) {
    let script = Script::new(steps.iter().copied());
    let (capture, mut events) =
        Capture::start(FakeHost::new([Some(script.clone())]), &capture_settings(), Vad::default()).unwrap();
    script.settle();
    let frames = frames(&capture, &mut events);
    (frames, capture.stats(), script)
}

/// All frames, once the worker has done what the device gave it.
fn frames(capture: &Capture, events: &mut UnboundedReceiver<CaptureEvent>) -> Vec<Frame> {
    let (mut frames, mut quiet) = (Vec::new(), 0);
    while quiet < 20 {
        let before = capture.progress();
        std::thread::sleep(Duration::from_millis(5));
        quiet = if capture.progress() == before { quiet + 1 } else { 0 };
        while let Ok(event) = events.try_recv() {
            if let CaptureEvent::Frame(frame) = event {
                frames.push(*frame);
            }
        }
    }
    frames
}

/// Each frame follows the one before, and each sample stands at the instant at which it was captured.
fn assert_in_time(frames: &[Frame]) {
    for pair in frames.windows(2) {
        let step = pair[1].start.ms_since(pair[0].start);
        assert!((step - 16.0).abs() < 0.01, "{step} ms between two frames");
    }
    let mut near = 0;
    for frame in frames {
        for (n, &sample) in frame.samples.iter().enumerate() {
            // The fill of a gap is silence.
            if sample != 0.0 {
                near = unmark(sample, near);
                let at = frame.start + Duration::from_nanos(n as u64 * 62_500);
                assert!(at.ms_since(instant(near)).abs() < 0.1, "{at:?} for {:?}", instant(near));
            }
        }
    }
}

const P: Step = Step::Period;

#[test]
fn frames_carry_the_devices_own_time() {
    let (frames, stats, script) = hear(&[P; 32]);
    assert_eq!(frames.len(), 20);
    assert_eq!(frames[0].start, instant(0));
    assert_in_time(&frames);
    assert_eq!((stats.overruns, stats.dropped, stats.present), (0, 0, true));
    assert_eq!(script.started.load(SeqCst), 1);
    assert_eq!(stats.format, FORMAT.to_string());
}

#[test]
fn short_reads_and_wakes_for_nothing_lose_nothing() {
    let steps = [P, Step::Short(37), Step::Spurious, Step::Short(1), Step::Spurious, Step::Spurious, P, P, P, P, P];
    let (frames, stats, _) = hear(&steps);
    assert_eq!(frames.len(), 8 * 160 / FRAME);
    assert_in_time(&frames);
    assert!(frames.iter().all(|f| f.samples.iter().all(|&s| s != 0.0)));
    assert_eq!(stats.overruns, 0);
}

#[test]
fn an_xrun_is_counted_and_time_goes_on_in_step() {
    for xrun in [Step::Xrun(1000), Step::XrunAtWait(1000)] {
        let (frames, stats, script) = hear(&[P, P, P, P, P, xrun, P, P, P, P, P, P, P]);
        assert_eq!((stats.overruns, stats.losses), (1, 0), "{xrun:?}");
        assert_eq!((script.prepared.load(SeqCst), script.started.load(SeqCst)), (1, 2));
        assert_in_time(&frames);
        // 12 periods and the gap, which is silence.
        assert_eq!(frames.len(), (12 * 160 + 1000) / FRAME);
        let silent = frames.iter().flat_map(|f| f.samples).filter(|&s| s == 0.0).count();
        assert_eq!(silent, 1000);
    }
}

#[test]
fn suspend_is_resumed_or_prepared_and_a_long_sleep_is_no_silence() {
    for (resumes, prepared) in [(true, 0), (false, 1)] {
        let sleep = Step::Suspend { frames: 16_000 * 60, sleepy: 3, resumes };
        let (frames, stats, script) = hear(&[P, P, P, P, sleep, P, P, P, P]);
        assert_eq!((stats.suspends, stats.overruns, stats.losses), (1, 0, 0));
        assert_eq!((script.resumed.load(SeqCst), script.prepared.load(SeqCst)), (4, prepared));
        // What was heard of a frame before the sleep does not go into one after it.
        assert_eq!(frames.len(), 4);
        assert_eq!(frames[2].start, instant(4 * 160 + 16_000 * 60));
        assert!(frames.iter().all(|f| f.samples.iter().all(|&s| s != 0.0)));
    }
}

#[test]
fn a_device_that_stops_without_a_word_is_started_again() {
    let (frames, stats, script) = hear(&[P, P, Step::Late, P, P]);
    assert_eq!((script.prepared.load(SeqCst), script.started.load(SeqCst)), (1, 2));
    assert_eq!((stats.overruns, stats.losses), (0, 0));
    assert_in_time(&frames);
    // One that stays silent is given up.
    let host = FakeHost::new([Some(Script::new([Step::Late; 20]))]);
    let (capture, _events) = Capture::start(host, &capture_settings(), Vad::default()).unwrap();
    eventually("the loss", || capture.stats().losses == 1 && !capture.stats().present);
}

#[test]
fn an_unplugged_device_is_told_and_heard_again_when_it_returns() {
    let (first, second) = (Script::new([P, P, P, P, Step::Gone]), Script::new([P, P, P, P]));
    let host = FakeHost::new([Some(first), None, Some(second.clone())]);
    let (capture, mut events) = Capture::start(host, &capture_settings(), Vad::default()).unwrap();
    let mut told = Vec::new();
    while told.len() < 6 {
        told.push(match events.blocking_recv().unwrap() {
            CaptureEvent::Frame(frame) => format!("frame {}", frame.start.since(instant(0)).as_millis()),
            CaptureEvent::Lost(error) => {
                assert!(error.to_string().contains("`fake` is gone"), "{error}");
                "lost".into()
            }
            CaptureEvent::Returned => "returned".into(),
        });
    }
    let mut words: Vec<_> = told.iter().filter(|t| !t.starts_with('f')).map(String::as_str).collect();
    assert_eq!(words, ["lost", "returned"]);
    // The worker may tell its frames a moment after the loss.
    words = told.iter().filter(|t| t.starts_with('f')).map(String::as_str).collect();
    assert_eq!(words, ["frame 0", "frame 16", "frame 0", "frame 16"]);
    assert_eq!(second.opened.load(SeqCst), 1);
    assert_eq!((capture.stats().losses, capture.stats().present), (1, true));
}

#[test]
fn waiting_for_an_absent_device_is_progress_and_ends_when_dropped() {
    let (capture, _events) =
        Capture::start(FakeHost::new([Some(Script::new([Step::Gone]))]), &capture_settings(), Vad::default()).unwrap();
    let before = capture.progress();
    eventually("progress", || capture.progress() > before + 2);
    assert!(!capture.stats().present);
    let shared = capture.shared.clone();
    drop(capture);
    eventually("the end of its threads", || Arc::strong_count(&shared) == 1);
}

#[test]
fn a_device_that_is_not_there_at_the_start_is_an_error() {
    let error = Capture::start(FakeHost::new([None]), &capture_settings(), Vad::default()).unwrap_err();
    assert!(error.to_string().contains("arecord -L"), "{error}");
}

#[test]
fn a_device_that_is_waited_for_is_heard_when_it_comes() {
    let host = FakeHost::new([None, Some(Script::new([P; 4]))]);
    let (_capture, mut events, absent) = Capture::start_waiting(host, &capture_settings(), Vad::default()).unwrap();
    assert!(absent.is_some());
    let told: Vec<CaptureEvent> = (0..3).filter_map(|_| events.blocking_recv()).collect();
    assert!(matches!(told[..], [CaptureEvent::Lost(_), CaptureEvent::Returned, CaptureEvent::Frame(_)]), "{told:?}");
}

#[test]
fn a_device_of_another_format_is_heard_at_sixteen_kilohertz_in_its_own_time() {
    let format =
        Format { rate: 48_000, channels: 2, sample: Sample::S24Packed, period: 480, buffer: 1440, target: 1440 };
    let script = Script::new([P; 100]);
    let (capture, mut events) =
        Capture::start(FakeHost::with(format, script.clone()), &capture_settings(), Vad::default()).unwrap();
    script.settle();
    // Its filter takes a moment to be made, a long one under an emulator.
    eventually("a frame", || capture.progress() > 0);
    let frames = frames(&capture, &mut events);
    // One second, less what the filter holds back.
    assert!((61..=62).contains(&frames.len()), "{}", frames.len());
    for (n, frame) in frames.iter().enumerate() {
        assert!(frame.start.ms_since(instant(n as u64 * FRAME as u64)).abs() < 0.1);
        // The fake captures a ramp: three of its frames go into each of these.
        let wanted = (n * FRAME + 100) as f32 * 3.0 % 30_000.0 / 32_768.0;
        let near_the_fold = !(500.0..29_000.0).contains(&(wanted * 32_768.0));
        assert!(near_the_fold || (frame.samples[100] - wanted).abs() < 0.001, "{n}: {} {wanted}", frame.samples[100]);
    }
}

#[test]
fn a_spoken_clip_is_heard_at_the_instant_that_say_returned() {
    let (host, feed) = WavCaptureHost::new(Pace::Times(10.0));
    let (capture, mut events) = Capture::start(Box::new(host), &capture_settings(), Vad::default()).unwrap();
    let clip: Vec<f32> = convert::tests::tone(300.0, 22_050, 0.5);
    let start = feed.say(clip, 22_050);
    let (mut heard, mut voiced) = (Vec::new(), None);
    loop {
        if let CaptureEvent::Frame(frame) = events.blocking_recv().unwrap() {
            voiced = frame.voiced_end.or(voiced);
            if frame.start > start + Duration::from_secs(1) {
                break;
            }
            heard.push(frame);
        }
    }
    let loud = |f: &Frame| f.samples.iter().position(|s| s.abs() > 0.05);
    let (n, place) = heard.iter().enumerate().find_map(|(n, f)| loud(f).map(|p| (n, p))).unwrap();
    let first = heard[n].start + Duration::from_nanos(place as u64 * 62_500);
    assert!((0.0..1.0).contains(&first.ms_since(start)), "{} ms", first.ms_since(start));
    let end = voiced.unwrap().ms_since(start + Duration::from_millis(500));
    assert!((-1.0..=20.0).contains(&end), "voiced end {end} ms after the truth");
    assert_eq!(capture.stats().overruns, 0);
}

#[test]
fn the_paced_microphone_gives_no_frame_before_its_time() {
    let (host, _feed) = WavCaptureHost::new(Pace::RealTime);
    let (_capture, mut events) = Capture::start(Box::new(host), &capture_settings(), Vad::default()).unwrap();
    for _ in 0..10 {
        let Some(CaptureEvent::Frame(frame)) = events.blocking_recv() else { panic!("no frame") };
        assert!(Mono::now() >= frame.end());
        let rms = (frame.samples.iter().map(|s| s * s).sum::<f32>() / FRAME as f32).sqrt();
        assert!((20.0 * rms.log10() + 75.0).abs() < 2.0, "{}", 20.0 * rms.log10());
        assert_eq!(frame.voiced_end, None);
    }
    assert_eq!(RATE, 16_000);
}
