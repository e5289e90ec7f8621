//! The loop: plays a chirp and hears it, which proves microphone, amplifier, loudspeaker and clock in one go.
//!
//! The delay is that of the path of the sound alone: from the instant at which the chirp leaves the converter to the
//! capture time at which it is found, both by the devices' own timestamps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::chirp::{Match, chirp, find};
use super::finding::rounded;
use super::listen::{Heard, listen, refused};
use super::speaker::{MADE_AT, open, play};
use super::{Finding, Patient};
use crate::audio::Way;
use crate::clock::Mono;

/// Long enough for the chirp, and for a sound server before and behind it.
const LENGTH: Duration = Duration::from_millis(2500);
/// A chirp that stands out less was not heard, in dB.
const SURE: f64 = 6.0;
/// Sound that takes longer comes through Bluetooth or a sound server.
const LONG_MS: f64 = 200.0;
/// What playback takes for the first audible sample: −50 dBFS.
const AUDIBLE: f32 = 0.003_162_3;

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    // Opened first: some take a second, and the microphone listens no longer than it must.
    let (playback, mut events) = match open(&patient).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return vec![without("speaker", refused(&patient, &error, Way::Playback).await)],
        Err(error) => return vec![Finding::fault(error, "report this")],
    };
    let settings = patient.config().capture;
    let (begun, begins) = oneshot::channel();
    let work = patient.clone();
    let listening = super::blocking(move || {
        listen(&mut *(work.microphone)(&settings), &settings, LENGTH, || {
            // Its deadline may have passed.
            let _ = begun.send(());
        })
    });
    let playing = async {
        // An error: the microphone gave nothing, and its own error says why.
        begins.await.ok()?;
        play(&playback, &mut events, &chirp(MADE_AT)).await.first_audible
    };
    let (heard, audible) = tokio::join!(listening, playing);
    // Its threads are joined.
    let _ = super::blocking(move || drop(playback)).await;
    vec![match (heard, audible) {
        (Ok(Ok(heard)), Some(at)) => judge(&heard, at),
        (Ok(Ok(_)), None) => Finding::skipped("the speaker takes no sound").mend("look at the check speaker"),
        (Ok(Err(error)), _) => without("microphone", refused(&patient, &error, Way::Capture).await),
        (Err(error), _) => Finding::fault(error, "report this"),
    }]
}

/// One of the two devices did not open: its own check tells that too.
fn without(what: &str, why: Finding) -> Finding {
    let skipped = Finding::skipped(format!("without the {what}: {}", why.finding));
    why.mend.into_iter().fold(skipped, Finding::mend)
}

/// `audible`: the chirp's first audible sample left the converter then.
fn judge(heard: &Heard, audible: Mono) -> Finding {
    let rate = heard.format.rate;
    let unheard = |said: String| {
        Finding::warning(
            said,
            "is the loudspeaker connected, and neither muted nor turned down (`alsamixer`)? does the microphone hear (check \
             microphone)? is this very card the one that the loudspeaker hangs on (audio.playback.device)?",
        )
    };
    let Some(Match { at, gain_db, confidence_db }) = find(&chirp(rate), &heard.samples, rate) else {
        return unheard("the chirp was not heard: the microphone was silent".to_owned());
    };
    if confidence_db < SURE {
        return unheard(format!(
            "the chirp was not heard: nothing stands out ({confidence_db:.1} dB, {SURE:.0} would)"
        ))
        .figure("confidence_db", rounded(confidence_db, 1));
    }
    let before = chirp(MADE_AT).iter().position(|sample| sample.abs() >= AUDIBLE).unwrap_or(0);
    let left = audible - Duration::from_secs_f64(before as f64 / f64::from(MADE_AT));
    let delay = heard.instant(at).map_or(f64::NAN, |came| came.ms_since(left));
    // The RMS of the chirp is 17 dB below full scale.
    let level = gain_db - 17.0;
    let said =
        format!("the chirp came back after {delay:.1} ms at {level:.1} dBFS, {confidence_db:.1} dB over the rest");
    let finding = if delay < -5.0 {
        Finding::warning(
            format!("{said}: before it was played, so a device's timestamps are wrong"),
            "name the card itself (\"hw:…\") in audio.capture.device and audio.playback.device",
        )
    } else if delay > LONG_MS {
        let mend = "a sound server or Bluetooth is between: name the card itself (\"hw:…\") on both sides";
        Finding::warning(said, mend)
    } else {
        Finding::ok(said)
    };
    finding
        .figure("delay_ms", rounded(delay, 2))
        .figure("echo_dbfs", rounded(level, 1))
        .figure("confidence_db", rounded(confidence_db, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::{Air, demo, tree};

    async fn of(air: Air) -> Finding {
        let (_root, machine) = tree(&[]);
        // So much queued that a busy machine tears no hole into the chirp.
        let mut patient = demo(machine, &["audio.playback.buffer=\"1s\"", "audio.playback.period=\"20ms\""]);
        let (ear, mouth) = (air.clone(), air);
        patient.microphone = Box::new(move |_| Box::new(ear.clone()));
        patient.speaker = Box::new(move |_| Box::new(mouth.clone()));
        check(Arc::new(patient)).await.remove(0)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_delay_of_a_room_is_measured() {
        let found = of(Air::new(Duration::from_millis(23), 0.1)).await;
        assert_eq!(found.verdict, Verdict::Ok, "{found:?}");
        let figure = |name: &str| found.figures[name].as_f64().unwrap();
        assert!((figure("delay_ms") - 23.0).abs() < 1.0, "{found:?}");
        assert!((figure("echo_dbfs") + 37.0).abs() < 1.5 && figure("confidence_db") > 10.0, "{found:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_loudspeaker_that_is_not_heard_is_a_warning() {
        let found = of(Air::new(Duration::from_millis(23), 0.0)).await;
        assert!(found.verdict == Verdict::Warning && found.finding.contains("was not heard"), "{found:?}");
        assert!(found.mend.unwrap().contains("alsamixer"));
    }
}
