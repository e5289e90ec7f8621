//! ALSA's own library, through the real host: its plugin PCMs need no sound card.
//!
//! The library reads its configuration once in a process, from `ALSA_CONFIG_PATH`; a test may not set a variable of
//! its own process (other threads read the environment), so each test runs itself again in a child that has it.

#![allow(clippy::disallowed_methods, reason = "a test bounds its waits")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use elio::audio::{
    AlsaCaptureHost, AlsaPlaybackHost, AudioError, Capture, CaptureEvent, CaptureHost, FRAME, Playback, PlaybackEvent,
    PlaybackTap, Recording, Vad,
};
use elio::clock::Mono;
use elio::config::{CaptureSettings, PlaybackSettings};

const FOLDER: &str = "ELIO_TEST_ALSA_FOLDER";

fn capture_settings(device: &str) -> CaptureSettings {
    CaptureSettings {
        device: device.into(),
        rate: None,
        channels: None,
        channel: None,
        period: Duration::from_millis(10),
        buffer: Duration::from_millis(200),
        preroll: Duration::from_millis(500),
    }
}

fn playback_settings(device: &str) -> PlaybackSettings {
    PlaybackSettings {
        device: device.into(),
        rate: None,
        channels: None,
        period: Duration::from_millis(10),
        buffer: Duration::from_millis(30),
    }
}

/// A tone of 1 kHz, amplitude 0.5.
fn tone(rate: u32, seconds: f32) -> Vec<f32> {
    let turn = std::f32::consts::TAU * 1000.0 / rate as f32;
    (0..(seconds * rate as f32) as usize).map(|n| 0.5 * (n as f32 * turn).sin()).collect()
}

/// Runs `body` in a child whose ALSA knows the PCMs of this file; `body` gets the folder of their files.
fn with_alsa(test: &str, body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let configuration = format!(
        "pcm.null {{ type null }}\n\
         pcm.speaker {{ type file slave.pcm null file \"{}\" format raw }}\n\
         pcm.microphone {{ type file slave.pcm null file /dev/null infile \"{}\" format raw }}\n\
         pcm.cd {{ type plug slave {{ pcm null rate 44100 channels 2 format S16_LE }} }}\n\
         pcm.broken {{ type nonsense }}\n",
        at("out.raw"),
        at("in.raw")
    );
    std::fs::write(folder.path().join("asound.conf"), configuration).unwrap();
    // A tone as the null PCM captures it: 16 kHz mono S32.
    let sound: Vec<u8> = tone(16_000, 20.0).iter().flat_map(|s| ((s * 2_147_483_000.0) as i32).to_le_bytes()).collect();
    std::fs::write(folder.path().join("in.raw"), sound).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder.path())
        .env("ALSA_CONFIG_PATH", folder.path().join("asound.conf"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{err}");
    assert!(!err.contains("ALSA lib"), "the library wrote to standard error: {err}");
}

#[test]
fn a_microphone_is_heard_through_alsa_at_the_pace_of_time() {
    with_alsa("a_microphone_is_heard_through_alsa_at_the_pace_of_time", |_| {
        let settings = capture_settings("microphone");
        let started = (Instant::now(), Mono::now());
        let (capture, mut events) =
            Capture::start(Box::new(AlsaCaptureHost::new(&settings)), &settings, Vad::default()).unwrap();
        let mut frames = Vec::new();
        while frames.len() < 100 {
            if let Some(CaptureEvent::Frame(frame)) = events.blocking_recv() {
                frames.push(frame);
            }
        }
        // The null PCM under it has no clock and would give everything at once; it may be ahead by two buffers.
        assert!(started.0.elapsed() >= Duration::from_millis(1600 * 98 / 100 - 400), "{:?}", started.0.elapsed());
        for frame in &frames {
            let level = frame.samples.iter().fold(0.0f32, |top, s| top.max(s.abs()));
            assert!((level - 0.5).abs() < 0.01, "{level}");
            let crossings = frame.samples.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
            assert!(crossings.abs_diff(2 * FRAME / 16) <= 1, "{crossings}");
            assert!(frame.start >= started.1 - Duration::from_millis(500) && frame.start <= Mono::now());
        }
        let stats = capture.stats();
        assert!(stats.present && stats.overruns == 0, "{stats:?}");
        assert!(stats.format.starts_with("S32_LE 16000 Hz, channels 1, period 10.0 ms"), "{}", stats.format);
    });
}

#[test]
fn a_turn_is_spoken_through_alsa_whole() {
    with_alsa("a_turn_is_spoken_through_alsa_whole", |folder| {
        let settings = playback_settings("speaker");
        let (tap, host) = PlaybackTap::new(Box::new(AlsaPlaybackHost::new(&settings)), Duration::from_secs(10));
        let (playback, mut events) = Playback::start(host, &settings).unwrap();
        let begun = Mono::now();
        playback.begin(1);
        playback.push(1, 22_050, &tone(22_050, 0.5));
        playback.finish(1);
        let Some(PlaybackEvent::FirstAudible { turn: 1, at }) = events.blocking_recv() else { panic!() };
        let Some(PlaybackEvent::Ended { at: end, completed, heard, underruns, .. }) = events.blocking_recv() else {
            panic!()
        };
        assert!(completed && heard.abs_diff(Duration::from_millis(500)) < Duration::from_millis(1));
        assert_eq!(underruns, 0);
        assert!(at >= begun && end > at);
        let Recording { rate, samples, .. } = tap.take(begun, end);
        let stats = playback.stats();
        assert!(stats.format.starts_with("S32_LE 48000 Hz, channels 1"), "{}", stats.format);
        drop(playback);
        // What ALSA wrote into its file is the tone, between silence.
        let bytes = std::fs::read(folder.join("out.raw")).unwrap();
        let file: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32 / 2_147_483_648.0).collect();
        // Two thirds of a sine are above half of its top. (A machine too busy to push in time makes gaps, no loss.)
        let loud = file.iter().filter(|s| s.abs() > 0.25).count() as f32 / 24_000.0;
        assert!((loud - 0.667).abs() < 0.01, "{loud}");
        assert_eq!(rate, 48_000);
        assert!(samples.iter().any(|s| s.abs() > 16_000));
    });
}

#[test]
fn the_null_pcm_takes_no_core_and_gives_no_hours_of_silence() {
    with_alsa("the_null_pcm_takes_no_core_and_gives_no_hours_of_silence", |_| {
        let (hear, speak) = (capture_settings("null"), playback_settings("null"));
        let (_capture, mut heard) =
            Capture::start(Box::new(AlsaCaptureHost::new(&hear)), &hear, Vad::default()).unwrap();
        let (_playback, _events) = Playback::start(Box::new(AlsaPlaybackHost::new(&speak)), &speak).unwrap();
        let (before, started) = (cpu(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        let (used, passed) = (cpu() - before, started.elapsed());
        let frames = std::iter::from_fn(|| heard.try_recv().ok()).count() as f64;
        // Two buffers and 1 % more than time.
        let most = (started.elapsed().as_secs_f64() * 1.02 + 0.6) * 62.5;
        assert!(frames > 20.0 && frames < most, "{frames} frames in {passed:?}");
        assert!(used < passed.mul_f64(0.4), "{used:?} of {passed:?}");
    });
}

/// The time that this process has computed.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn a_plug_is_opened_at_the_rate_of_the_hardware_behind_it() {
    with_alsa("a_plug_is_opened_at_the_rate_of_the_hardware_behind_it", |_| {
        let mut settings = capture_settings("cd");
        let rate = |settings: &CaptureSettings| AlsaCaptureHost::new(settings).open(settings).unwrap().format().rate;
        assert_eq!(rate(&settings), 44_100);
        // The library converts only where the owner asks for it.
        settings.rate = Some(16_000);
        assert_eq!(rate(&settings), 16_000);
    });
}

#[test]
fn what_the_device_does_not_offer_is_said_with_the_setting() {
    with_alsa("what_the_device_does_not_offer_is_said_with_the_setting", |_| {
        let mut settings = capture_settings("null");
        settings.channel = Some(1);
        settings.channels = Some(1);
        let error = AlsaCaptureHost::new(&settings).open(&settings).err().unwrap().to_string();
        assert!(error.contains("`null`") && error.contains("audio.capture.channel"), "{error}");
    });
}

#[test]
fn a_device_that_does_not_exist_is_named_with_the_mend() {
    with_alsa("a_device_that_does_not_exist_is_named_with_the_mend", |_| {
        let open = |device: &str| {
            let settings = capture_settings(device);
            Capture::start(Box::new(AlsaCaptureHost::new(&settings)), &settings, Vad::default()).unwrap_err()
        };
        let error = open("no_such_pcm");
        assert!(matches!(error, AudioError::NotFound { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("`no_such_pcm`") && text.contains("arecord -L") && !text.contains('\n'), "{text}");
        let text = open("broken").to_string();
        assert!(text.contains("`broken`") && !text.contains('\n'), "{text}");
    });
}

#[test]
fn a_card_that_does_not_exist_is_no_card_or_not_found() {
    // With the library's own configuration.
    let settings = playback_settings("hw:27,0");
    let error = Playback::start(Box::new(AlsaPlaybackHost::new(&settings)), &settings).unwrap_err();
    let text = error.to_string();
    let mend = if Path::new("/dev/snd").exists() { "aplay -L" } else { "/dev/snd does not exist" };
    assert!(text.contains("`hw:27,0`") && text.contains(mend) && !text.contains('\n'), "{text}");
}
