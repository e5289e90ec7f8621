//! A sound that is found again in a noisy room: a sweep from 300 to 6000 Hz, and the correlation that finds it.

use realfft::RealFftPlanner;

/// Length, in seconds, and the frequencies between which it sweeps, in Hz.
const SECONDS: f64 = 0.5;
const SWEEP: (f64, f64) = (300.0, 6000.0);
/// Its peak: about as loud as speech.
const PEAK: f64 = 0.2;
/// It is faded in and out for this part of it, so that no loudspeaker clicks.
const FADE: f64 = 0.03;
/// A room answers within this, in seconds: what is nearer to the peak is no side lobe.
const NEAR: f64 = 0.05;

/// The sweep at a rate: the frequency grows by the same factor in each moment, as ears and rooms have it.
pub(super) fn chirp(rate: u32) -> Vec<f32> {
    let rate = f64::from(rate);
    let (low, high) = (SWEEP.0, SWEEP.1.min(0.45 * rate));
    let growth = (high / low).ln();
    let length = (SECONDS * rate) as usize;
    (0..length)
        .map(|n| {
            let part = n as f64 / length as f64;
            let phase = std::f64::consts::TAU * low * SECONDS / growth * ((part * growth).exp() - 1.0);
            let edge = (part.min(1.0 - part) / FADE).min(1.0);
            let fade = 0.5 - 0.5 * (std::f64::consts::PI * edge).cos();
            (PEAK * fade * phase.sin()) as f32
        })
        .collect()
}

/// Where a sound was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// The sample at which it begins.
    pub at: usize,
    /// Its level against that of the original, in dB.
    pub gain_db: f64,
    /// The peak of the correlation over everything that is not near it, in dB: some 0 to 3 where there is only noise.
    pub confidence_db: f64,
}

/// Finds `sound` in `heard`, both of the same rate; none where `heard` is the shorter one or silent.
pub(super) fn find(sound: &[f32], heard: &[f32], rate: u32) -> Option<Match> {
    let places = heard.len().checked_sub(sound.len())? + 1;
    let energy: f64 = sound.iter().map(|s| f64::from(*s).powi(2)).sum();
    let correlation = correlate(sound, heard)?;
    let level = |at: usize| correlation.get(at).map_or(0.0, |value| f64::from(value.abs()));
    let at = (0..places).max_by(|a, b| level(*a).total_cmp(&level(*b)))?;
    let near = (NEAR * f64::from(rate)) as usize;
    let lobe = (0..places).filter(|place| place.abs_diff(at) > near).map(level).fold(0.0, f64::max);
    let db = |ratio: f64| 20.0 * ratio.max(1e-9).log10();
    let peak = level(at);
    (peak > 0.0 && energy > 0.0).then(|| Match {
        at,
        gain_db: db(peak / energy),
        confidence_db: db(peak / lobe.max(peak * 1e-6)),
    })
}

/// For each place in `heard`: the sum of its products with `sound` from there on.
fn correlate(sound: &[f32], heard: &[f32]) -> Option<Vec<f32>> {
    let length = (sound.len() + heard.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, back) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let spectrum = |samples: &[f32]| {
        let mut input = forward.make_input_vec();
        let part = input.get_mut(..samples.len())?;
        part.copy_from_slice(samples);
        let mut output = forward.make_output_vec();
        forward.process(&mut input, &mut output).ok()?;
        Some(output)
    };
    let (of_sound, mut of_heard) = (spectrum(sound)?, spectrum(heard)?);
    for (heard, sound) in of_heard.iter_mut().zip(&of_sound) {
        *heard *= sound.conj();
    }
    // Rounding may leave the two that have none an imaginary part, which the transform refuses.
    let last = of_heard.len() - 1;
    for edge in [0, last] {
        if let Some(value) = of_heard.get_mut(edge) {
            value.im = 0.0;
        }
    }
    let mut output = back.make_output_vec();
    back.process(&mut of_heard, &mut output).ok()?;
    output.iter_mut().for_each(|value| *value /= length as f32);
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::noise::Noise;

    /// Two seconds of a room in which the chirp is heard so much later and quieter, with one reflection.
    fn room(rate: u32, at: usize, gain: f32, noise_dbfs: f32) -> Vec<f32> {
        let mut noise = Noise::new(5, noise_dbfs);
        let mut room: Vec<f32> = (0..rate as usize * 2).map(|_| noise.next()).collect();
        for (later, part) in [(0, 1.0), (rate as usize / 90, 0.5)] {
            for (n, sample) in chirp(rate).iter().enumerate() {
                room[at + later + n] += sample * gain * part;
            }
        }
        room
    }

    #[test]
    fn it_is_found_to_the_sample_under_noise_and_behind_reflections() {
        for rate in [16_000, 44_100, 48_000] {
            for (gain, noise) in [(0.5f32, -70.0), (0.02, -60.0), (0.01, -45.0)] {
                let at = rate as usize / 3 + 7;
                let found = find(&chirp(rate), &room(rate, at, gain, noise), rate).unwrap();
                assert!(found.at.abs_diff(at) <= 1, "{found:?}, not {at}");
                assert!((found.gain_db - 20.0 * f64::from(gain).log10()).abs() < 2.0, "{found:?}");
                assert!(found.confidence_db > 9.0, "{gain} {noise} {found:?}");
            }
        }
    }

    #[test]
    fn where_there_is_only_noise_nothing_is_sure() {
        let found = find(&chirp(16_000), &room(16_000, 0, 0.0, -40.0), 16_000).unwrap();
        assert!(found.confidence_db < 3.0, "{found:?}");
        assert_eq!(find(&chirp(16_000), &vec![0.0; 32_000], 16_000), None);
        assert_eq!(find(&chirp(16_000), &[0.1; 100], 16_000), None);
    }

    #[test]
    fn it_is_moderate_and_begins_and_ends_softly() {
        let sound = chirp(48_000);
        let top = sound.iter().fold(0.0f32, |top, s| top.max(s.abs()));
        assert!(sound.len() == 24_000 && (0.19..=0.2).contains(&top), "{top}");
        assert!(sound[..20].iter().chain(&sound[23_980..]).all(|s| s.abs() < 0.005));
    }
}
