//! Plays a short, quiet tone through the ordinary playback threads: does the device take sound at its pace?

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::finding::rounded;
use super::listen::refused;
use super::{Finding, Patient};
use crate::audio::{AudioError, Playback, PlaybackEvent, Way};
use crate::clock::Mono;

/// Rate of the sounds that are made here, in Hz.
pub(super) const MADE_AT: u32 = 48_000;
/// Sound that has not ended so much later than it should does not end.
const LATE: Duration = Duration::from_secs(5);
/// From the program to the converter; more is heard as hesitation.
const SLOW: Duration = Duration::from_millis(150);

/// What became of a sound.
pub(super) struct Played {
    /// When it was given to the device's thread, and when it left the converter; none: it never did.
    pub given: Mono,
    pub first_audible: Option<Mono>,
    /// It was played whole, and the device ran dry so often in it; none: it never ended.
    pub ended: Option<(bool, u32)>,
}

/// Opens the configured speaker.
pub(super) async fn open(
    patient: &Arc<Patient>,
) -> Result<Result<(Playback, UnboundedReceiver<PlaybackEvent>), AudioError>, String> {
    let settings = patient.config().playback;
    let work = patient.clone();
    super::blocking(move || Playback::start((work.speaker)(&settings), &settings)).await
}

/// Plays `sound` and waits for its end.
pub(super) async fn play(playback: &Playback, events: &mut UnboundedReceiver<PlaybackEvent>, sound: &[f32]) -> Played {
    let mut played = Played { given: Mono::now(), first_audible: None, ended: None };
    playback.begin(1);
    playback.push(1, MADE_AT, sound);
    playback.finish(1);
    let length = Duration::from_secs_f64(sound.len() as f64 / f64::from(MADE_AT));
    let until = async {
        while let Some(event) = events.recv().await {
            match event {
                PlaybackEvent::FirstAudible { at, .. } => played.first_audible = Some(at),
                PlaybackEvent::Ended { completed, underruns, .. } => {
                    played.ended = Some((completed, underruns));
                    break;
                }
                PlaybackEvent::Lost(_) | PlaybackEvent::Returned => {}
            }
        }
    };
    let _ = tokio::time::timeout(length + LATE, until).await;
    played
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let (playback, mut events) = match open(&patient).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return vec![refused(&patient, &error, Way::Playback).await],
        Err(error) => return vec![Finding::fault(error, "report this")],
    };
    let played = play(&playback, &mut events, &tone()).await;
    let stats = playback.stats();
    // Its threads are joined.
    let _ = super::blocking(move || drop(playback)).await;

    let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3, 1);
    let Some(((completed, underruns), first)) = played.ended.zip(played.first_audible) else {
        let mend = "another audio.playback.device (`aplay -L`), or `dmesg` for what its driver says";
        return vec![Finding::fault(format!("{}: it opens, and takes no sound", stats.format), mend)];
    };
    let delay = first.since(played.given);
    let said = format!("{}: heard {} ms after it was given, {underruns} underruns", stats.format, ms(delay));
    let finding = if !completed || stats.losses > 0 {
        Finding::fault(format!("{said}; it went away meanwhile"), "check its plug and supply; `dmesg` says why")
    } else if underruns > 0 {
        let mend = "a longer audio.playback.buffer; see the check board for what slows this machine down";
        Finding::warning(format!("{said}: gaps in the speech"), mend)
    } else if delay > SLOW {
        let mend = "a shorter audio.playback.buffer; or a sound server is between: name the card itself, \"hw:…\"";
        Finding::warning(format!("{said}: every answer waits for that"), mend)
    } else {
        Finding::ok(said)
    };
    vec![
        finding
            .figure("delay_ms", ms(delay))
            .figure("period_ms", ms(stats.period))
            .figure("queued_silence_ms", ms(stats.fill))
            .figure("underruns", underruns),
    ]
}

/// 0.3 s of 440 Hz at −36 dBFS, faded in and out.
fn tone() -> Vec<f32> {
    let (length, fade) = (MADE_AT as usize * 3 / 10, MADE_AT as usize / 50);
    let turn = std::f32::consts::TAU * 440.0 / MADE_AT as f32;
    (0..length).map(|n| (n.min(length - n) as f32 / fade as f32).min(1.0) * 0.022 * (n as f32 * turn).sin()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::WavPlaybackHost;
    use crate::doctor::Verdict;
    use crate::doctor::tests::{demo, tree};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_speaker_that_plays_tells_its_delay() {
        let (_root, machine) = tree(&[]);
        let mut patient = demo(machine, &["audio.playback.buffer=\"1s\""]);
        patient.speaker = Box::new(|_| Box::new(WavPlaybackHost));
        let found = &check(Arc::new(patient)).await[0];
        // On a busy machine it may well be late; it is heard.
        assert_ne!(found.verdict, Verdict::Fault, "{found:?}");
        assert!(found.figures["delay_ms"].as_f64().unwrap() > 0.0 && found.figures["period_ms"] == 5.0, "{found:?}");
    }

    #[tokio::test]
    async fn one_that_does_not_exist_is_named() {
        let (_root, machine) = tree(&[]);
        let patient = demo(machine, &["audio.playback.device=\"no_such_pcm\""]);
        let found = &check(Arc::new(patient)).await[0];
        assert!(found.verdict == Verdict::Fault && found.finding.contains("`no_such_pcm`"), "{found:?}");
    }
}
