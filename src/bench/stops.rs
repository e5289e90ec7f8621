//! The button while the answer is spoken: how long sound still leaves the speaker.

use std::time::Duration;

use super::{BenchError, Mode};
use crate::audio::{Clip, Recording};
use crate::clock::Mono;
use crate::daemon::{REACTION, Rig};
use crate::sim::{Rng, Spread};
use crate::turn::Visible;

/// The press comes so long after the first sound, in ms, drawn evenly; then as soon as sound leaves: in a pause between two
/// words nothing would have to stop.
const PRESS_MS: (u32, u32) = (200, 900);
/// Sound that leaves at this instant: it is looked for so far ahead.
const NOW: Duration = Duration::from_millis(5);
/// What still leaves the speaker is looked for so long. The line that an empty turn is answered with comes after it.
const AFTER: Duration = Duration::from_millis(400);
/// An answer that does not begin is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// −50 dBFS.
const AUDIBLE: u16 = 104;

/// Asks, presses while the answer is heard, and gives the time from the press's stamp to the last sample that is not
/// silence, in ms; none where no answer was heard.
pub(super) async fn stop(rig: &mut Rig, mode: Mode, clip: Clip, rng: &mut Rng) -> Result<Option<f64>, BenchError> {
    rig.press();
    rig.shows(Visible::Listening).await?;
    tokio::time::sleep(REACTION).await;
    rig.say(clip).await;
    let spoken = match tokio::time::timeout(PATIENCE, rig.shows(Visible::Speaking)).await {
        Ok(shown) => shown.map(|()| true)?,
        Err(_) => false,
    };
    if spoken {
        tokio::time::sleep(Spread::between(PRESS_MS.0, PRESS_MS.1).draw(rng)).await;
        while rig.visible() == Visible::Speaking && !sounds(rig) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    if rig.visible() != Visible::Speaking {
        // A turn that ended by itself has no sound to stop.
        rig.answer().await?;
        return Ok(None);
    }
    let pressed = rig.press();
    rig.answer().await?;
    tokio::time::sleep((pressed + AFTER).since(Mono::now())).await;
    let left = last_sound(&rig.heard(pressed, pressed + AFTER), pressed);
    if mode == Mode::Hold {
        // There the press was the next question: nobody asks it.
        rig.say(Clip { rate: 16_000, samples: Vec::new() }).await;
        rig.answer().await?;
    }
    Ok(Some(left))
}

fn sounds(rig: &Rig) -> bool {
    let now = Mono::now();
    rig.heard(now, now + NOW).samples.iter().any(|sample| sample.unsigned_abs() >= AUDIBLE)
}

/// When the last sample that is not silence left, in ms after `from`.
fn last_sound(heard: &Recording, from: Mono) -> f64 {
    let count = heard.samples.iter().rposition(|sample| *sample != 0).map_or(0, |last| last + 1);
    let end = heard.start + Duration::from_secs_f64(count as f64 / f64::from(heard.rate.max(1)));
    end.ms_since(from).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sample_that_is_not_silence_counts_however_quiet() {
        let start = Mono::from_nanos(1_000_000_000);
        let mut samples = vec![900; 100];
        samples.extend([0; 100]);
        samples.extend([0, 1]);
        samples.extend([0; 500]);
        let heard = Recording { rate: 1000, start, samples };
        assert_eq!(last_sound(&heard, start), 202.0);
        let silent = Recording { samples: vec![0; 300], ..heard };
        assert_eq!(last_sound(&silent, start), 0.0);
    }
}
