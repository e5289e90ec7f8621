//! Samples made ready to be joined: one level for a voice, silence trimmed and set by punctuation, no click at a seam.

use std::time::Duration;

use super::Pause;

/// The first audible sample is louder than this: −50 dBFS, as the latency record defines it.
pub(super) const AUDIBLE: f32 = 0.003_162_277_7;
/// Silence left before the first audible sample of an answer: enough for an onset that begins below audible.
const LEAD: Duration = Duration::from_millis(15);
/// The same, and left after the last one, where chunks are joined.
const JOINT: Duration = Duration::from_millis(8);
const FADE: Duration = Duration::from_millis(4);
/// The limiter begins here, and never lets a sample past [`CEILING`].
const KNEE: f32 = 0.7;
const CEILING: f32 = 0.97;

impl Pause {
    /// The silence after the chunk.
    pub(super) fn length(self) -> Duration {
        Duration::from_millis(match self {
            Pause::None => 0,
            Pause::Clause => 120,
            Pause::Sentence => 280,
            Pause::Paragraph => 450,
        })
    }
}

/// A chunk ready to be queued.
pub(super) struct Joined {
    pub(super) samples: Vec<f32>,
    /// Silence left before the first audible sample.
    pub(super) lead: Duration,
}

/// Levels `samples` and cuts them so that the next chunk can follow; nothing audible leaves only the pause.
pub(super) fn join(mut samples: Vec<f32>, rate: u32, gain: f32, first: bool, pause: Pause) -> Joined {
    for sample in &mut samples {
        *sample = limited(*sample * gain);
    }
    let count = |length: Duration| (length.as_secs_f64() * f64::from(rate)).round() as usize;
    let audible = |sample: &f32| sample.abs() >= AUDIBLE;
    let pause = count(pause.length());
    let (Some(from), Some(to)) = (samples.iter().position(audible), samples.iter().rposition(audible)) else {
        return Joined { samples: vec![0.0; pause], lead: Duration::ZERO };
    };
    let start = from.saturating_sub(count(if first { LEAD } else { JOINT }));
    let end = (to + 1 + count(JOINT)).min(samples.len());
    samples.truncate(end);
    samples.drain(..start);
    let fade = count(FADE).min(samples.len() / 2);
    for i in 0..fade {
        // Half a cosine: its ends have no corner.
        let gain = 0.5 - 0.5 * (std::f32::consts::PI * (i as f32 + 0.5) / fade as f32).cos();
        samples[i] *= gain;
        let last = samples.len() - 1 - i;
        samples[last] *= gain;
    }
    // The joints' own silence is part of the pause.
    samples.resize(samples.len() + pause.saturating_sub(2 * count(JOINT)), 0.0);
    let lead = samples.iter().position(audible).unwrap_or(from - start);
    Joined { samples, lead: Duration::from_secs_f64(lead as f64 / f64::from(rate)) }
}

/// The gain that brings the speech in `samples` to `level_dbfs` RMS; 1 where there is no speech.
pub(super) fn gain(samples: &[f32], rate: u32, level_dbfs: f32) -> f32 {
    match speech_rms(samples, rate) {
        rms if rms > 1e-4 => 10f32.powf(level_dbfs / 20.0) / rms,
        _ => 1.0,
    }
}

/// The RMS of what is speech: the 20 ms frames no more than 25 dB below the loudest.
pub(super) fn speech_rms(samples: &[f32], rate: u32) -> f32 {
    let frames = samples.chunks((rate / 50).max(1) as usize);
    let powers: Vec<f32> =
        frames.map(|frame| frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32).collect();
    let loudest = powers.iter().fold(0.0f32, |loudest, &power| loudest.max(power));
    let speech: Vec<f32> = powers.into_iter().filter(|&power| power > loudest / 316.0).collect();
    if speech.is_empty() { 0.0 } else { (speech.iter().sum::<f32>() / speech.len() as f32).sqrt() }
}

/// Bends peaks instead of clipping them.
fn limited(sample: f32) -> f32 {
    let over = sample.abs() - KNEE;
    if over <= 0.0 {
        return sample;
    }
    let room = CEILING - KNEE;
    (KNEE + room * (over / room).tanh()).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    /// A tone of `ms` milliseconds between silences.
    fn tone(before: usize, ms: usize, after: usize, peak: f32) -> Vec<f32> {
        let silence = |ms: usize| vec![0.0f32; ms * 16];
        let tone = (0..ms * 16).map(|i| peak * (i as f32 * 0.2).sin());
        silence(before).into_iter().chain(tone).chain(silence(after)).collect()
    }

    #[test]
    fn silence_is_what_the_punctuation_says() {
        for (pause, ms) in [(Pause::None, 0), (Pause::Clause, 120), (Pause::Sentence, 280), (Pause::Paragraph, 450)] {
            let joined = join(tone(300, 200, 500, 0.5), RATE, 1.0, true, pause);
            let last = joined.samples.iter().rposition(|s| s.abs() >= AUDIBLE).unwrap();
            // The next chunk brings 8 ms of its own.
            let silence = (joined.samples.len() - last) / 16 + 8;
            assert!(silence.abs_diff(ms.max(16)) <= 2, "{pause:?}: {silence} ms");
        }
    }

    #[test]
    fn the_lead_is_cut_to_15_ms_and_told() {
        let joined = join(tone(300, 200, 100, 0.5), RATE, 1.0, true, Pause::None);
        let found = joined.samples.iter().position(|s| s.abs() >= AUDIBLE).unwrap();
        assert!((230..=250).contains(&found), "{found}");
        assert_eq!(joined.lead, Duration::from_secs_f64(found as f64 / 16_000.0));
        // Speech from the first sample on: there is nothing to trim, and the fade keeps it from clicking.
        let joined = join(vec![0.5; 1600], RATE, 1.0, true, Pause::None);
        assert!(joined.lead < Duration::from_millis(2) && joined.samples[0] < 0.01);
    }

    #[test]
    fn nothing_clips_and_nothing_audible_is_only_the_pause() {
        let joined = join(tone(10, 200, 10, 1.0), RATE, 8.0, false, Pause::None);
        let peak = joined.samples.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.9..=CEILING).contains(&peak), "{peak}");
        assert_eq!(join(vec![1e-4; 900], RATE, 1.0, true, Pause::Clause).samples, vec![0.0; 1920]);
        assert_eq!(join(Vec::new(), RATE, 1.0, true, Pause::None).samples, Vec::<f32>::new());
    }

    #[test]
    fn the_level_counts_speech_and_not_silence() {
        let short = gain(&tone(0, 400, 0, 0.1), RATE, -20.0);
        let padded = gain(&tone(900, 400, 900, 0.1), RATE, -20.0);
        assert!((short - padded).abs() < 0.03 && (short - 2f32.sqrt()).abs() < 0.05, "{short} {padded}");
        assert_eq!(gain(&[], RATE, -20.0), 1.0);
    }
}
