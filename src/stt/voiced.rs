//! Where in a clip somebody speaks. What is silence, noise, hum or a click never reaches the model, which would make
//! words of it; and what reaches it is no longer than it must be.

use std::ops::Range;

use earshot::Detector;

use super::engine::RATE;

/// Samples of a level frame (10 ms).
const FRAME: usize = RATE / 100;

/// Samples of a frame of the detector (16 ms).
const DETECTOR_FRAME: usize = 256;

/// Below this level (RMS of 10 ms, dBFS) there is only the converter's own noise.
const INAUDIBLE: f32 = -70.0;

/// Score from which the detector's frame is voice. Speech clear or in noise passes it for most of its frames; of noise,
/// hums and clicks only a few odd frames come near.
const VOICE: f32 = 0.7;

/// The shortest word has this many voiced frames of the detector (64 ms).
const VOICE_FRAMES: usize = 4;

/// Speech rises and falls by far more than this (dB) from frame to frame; a hum or a fan does not.
const STEADY: f32 = 6.0;

/// Sound over the noise floor by this much (dB) is kept. Where the speech itself is little over the floor, less counts:
/// steady noise keeps within [`OVER_NOISE`].
const OVER_FLOOR: f32 = 10.0;
const OVER_NOISE: f32 = 4.0;

/// Sound kept before the first and after the last that is over the floor: soft consonants, and the silence that tells
/// Whisper where the speech ends.
const BEFORE: usize = RATE * 15 / 100;
const AFTER: usize = RATE * 25 / 100;

/// A pause between words that a long clip is cut in.
const QUIET: usize = RATE / 10;

/// The samples in which somebody speaks, with a margin; none where nobody does.
pub(super) fn speech(samples: &[f32]) -> Option<Range<usize>> {
    let sound = sound(samples)?;
    let mut detector = Detector::default();
    let voiced = samples.chunks_exact(DETECTOR_FRAME).filter(|frame| detector.predict_f32(frame) >= VOICE).count();
    if voiced < VOICE_FRAMES {
        return None;
    }
    Some(sound.start.saturating_sub(BEFORE)..(sound.end + AFTER).min(samples.len()))
}

/// End of the last sample that [`speech`] would call sound; 0 where nothing rises out of the noise.
pub(super) fn end(samples: &[f32]) -> usize {
    sound(samples).map_or(0, |sound| sound.end)
}

/// From the first to the last level frame that is over the noise floor.
fn sound(samples: &[f32]) -> Option<Range<usize>> {
    let levels: Vec<f32> = samples.chunks(FRAME).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let quantile = |q: f32| sorted.get(((sorted.len() as f32 - 1.0) * q) as usize).copied().unwrap_or(f32::MIN);
    let (floor, loud) = (quantile(0.1), quantile(0.95));
    if loud < INAUDIBLE || loud - floor < STEADY {
        return None;
    }
    // A clip cut close to its words has no silence to measure the floor by: the threshold stays well under the words.
    let threshold = (floor.max(INAUDIBLE) + OVER_FLOOR).min(loud - 25.0).max(floor + OVER_NOISE);
    let first = levels.iter().position(|level| *level > threshold)? * FRAME;
    let last = (levels.iter().rposition(|level| *level > threshold)? + 1) * FRAME;
    Some(first..last.min(samples.len()))
}

/// Cuts a clip into windows of at most `longest` samples, each in the quietest tenth of a second of its last third.
pub(super) fn windows(samples: &[f32], longest: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while samples.len() - start > longest {
        let (from, to) = (start + longest * 2 / 3, start + longest);
        let quietest = (from..to.saturating_sub(QUIET))
            .step_by(FRAME)
            .min_by(|a, b| level(&samples[*a..a + QUIET]).total_cmp(&level(&samples[*b..b + QUIET])));
        let cut = quietest.map_or(to, |at| at + QUIET / 2);
        windows.push(start..cut);
        start = cut;
    }
    windows.push(start..samples.len());
    windows
}

/// RMS of a frame in dBFS, without its mean (a converter's offset is no sound).
fn level(frame: &[f32]) -> f32 {
    let mean = frame.iter().sum::<f32>() / frame.len() as f32;
    let power = frame.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / frame.len() as f32;
    10.0 * power.max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of a linear congruential generator, -1 to 1.
    fn noise(length: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..length).map(|_| next()).collect()
    }

    fn tone(hertz: f32, length: usize) -> Vec<f32> {
        (0..length).map(|n| 0.3 * (n as f32 * hertz * std::f32::consts::TAU / RATE as f32).sin()).collect()
    }

    #[test]
    fn silence_noise_hum_and_clicks_are_no_speech() {
        assert_eq!(speech(&[]), None);
        assert_eq!(speech(&[0.0; 100]), None);
        assert_eq!(speech(&vec![0.0; 2 * RATE]), None);
        assert_eq!(speech(&vec![0.2; 2 * RATE]), None);
        for loudness in [0.9, 0.3, 0.1, 0.01, 0.001, 0.00003] {
            let clip: Vec<f32> = noise(2 * RATE).iter().map(|x| x * loudness).collect();
            assert_eq!(speech(&clip), None, "white noise of {loudness}");
        }
        for hertz in [50.0, 60.0, 100.0, 120.0, 440.0, 1000.0] {
            assert_eq!(speech(&tone(hertz, 2 * RATE)), None, "{hertz} Hz");
        }
        let mut click: Vec<f32> = noise(2 * RATE).iter().map(|x| x * 0.001).collect();
        for at in [8_000, 9_000, 20_000] {
            for (n, x) in noise(400).iter().enumerate() {
                click[at + n] += x * (-(n as f32) / 60.0).exp();
            }
        }
        assert_eq!(speech(&click), None, "clicks");
    }

    #[test]
    fn a_long_clip_is_cut_where_it_is_quiet() {
        assert_eq!(windows(&[0.1; 500], 1000), vec![0..500]);
        let mut clip = noise(50 * RATE);
        clip[25 * RATE..25 * RATE + QUIET].fill(0.0);
        let cuts = windows(&clip, 29 * RATE);
        assert_eq!(cuts.len(), 2);
        assert_eq!((cuts[0].start, cuts[1].end), (0, clip.len()));
        assert_eq!(cuts[0].end, cuts[1].start);
        assert!(cuts[0].end.abs_diff(25 * RATE + QUIET / 2) <= FRAME, "{cuts:?}");
    }
}
