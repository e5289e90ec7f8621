//! Log-mel features as Whisper's feature extractor makes them of eight seconds of sound, which is what Smart Turn reads.

use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

const RATE: f64 = 16_000.0;
/// Sound that the features are made of: 8 s.
pub(super) const SAMPLES: usize = 128_000;
/// Bands.
pub(super) const MELS: usize = 80;
const HOP: usize = 160;
/// Columns.
pub(super) const FRAMES: usize = SAMPLES / HOP;
const WINDOW: usize = 400;
const BINS: usize = WINDOW / 2 + 1;
/// Power below which a band is silent.
const FLOOR: f32 = 1e-10;
/// What lies further below the loudest band is raised to there, in powers of ten.
const DEPTH: f32 = 8.0;
/// Keeps silence from being divided by nothing.
const EPSILON: f64 = 1e-7;

/// Makes features.
pub(super) struct Mel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: Vec<Filter>,
}

/// One band: its weights, and the bins that they belong to.
struct Filter {
    bins: Range<usize>,
    weights: Vec<f32>,
}

impl Mel {
    pub(super) fn new() -> Self {
        let hann = |n| (0.5 - 0.5 * (2.0 * PI * n as f64 / WINDOW as f64).cos()) as f32;
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window: (0..WINDOW).map(hann).collect(),
            filters: filters(),
        }
    }

    /// Features of the last eight seconds of `sound` (mono, 16 kHz), [`MELS`] rows of [`FRAMES`]; what is shorter stands
    /// at the end, after silence.
    ///
    /// # Errors
    /// None for the lengths used here; what realfft would say of others.
    pub(super) fn features(&self, sound: &[f32]) -> Result<Vec<f32>, realfft::FftError> {
        let padded = reflected(&normalized(sound));
        let mut features = vec![0.0; MELS * FRAMES];
        let (mut slice, mut scratch) = (self.fft.make_input_vec(), self.fft.make_scratch_vec());
        let mut spectrum = self.fft.make_output_vec();
        for (frame, samples) in padded.windows(WINDOW).step_by(HOP).take(FRAMES).enumerate() {
            for ((out, sample), gain) in slice.iter_mut().zip(samples).zip(&self.window) {
                *out = sample * gain;
            }
            self.fft.process_with_scratch(&mut slice, &mut spectrum, &mut scratch)?;
            let power: Vec<f32> = spectrum.iter().map(Complex::norm_sqr).collect();
            for (feature, filter) in features.iter_mut().skip(frame).step_by(FRAMES).zip(&self.filters) {
                let bins = power.get(filter.bins.clone()).unwrap_or_default();
                let band: f32 = bins.iter().zip(&filter.weights).map(|(power, weight)| power * weight).sum();
                *feature = band.max(FLOOR).log10();
            }
        }
        let loudest = features.iter().copied().fold(f32::MIN, f32::max);
        for feature in &mut features {
            *feature = (feature.max(loudest - DEPTH) + 4.0) / 4.0;
        }
        Ok(features)
    }
}

/// The last eight seconds, silence before what is shorter, then all of it brought to mean 0 and variance 1: in this order,
/// as the model's training did.
fn normalized(sound: &[f32]) -> Vec<f32> {
    let last = &sound[sound.len().saturating_sub(SAMPLES)..];
    let mut padded = vec![0.0; SAMPLES - last.len()];
    padded.extend_from_slice(last);
    let mean = padded.iter().map(|s| f64::from(*s)).sum::<f64>() / SAMPLES as f64;
    let variance = padded.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / SAMPLES as f64;
    let gain = 1.0 / (variance + EPSILON).sqrt();
    padded.iter().map(|s| ((f64::from(*s) - mean) * gain) as f32).collect()
}

/// Half a window more at both ends, mirrored, so that a column's middle is its place in time.
fn reflected(sound: &[f32]) -> Vec<f32> {
    let half = WINDOW / 2;
    let before = sound.iter().skip(1).take(half).rev();
    let after = sound.iter().rev().skip(1).take(half);
    before.chain(sound).chain(after).copied().collect()
}

/// Triangles of equal area on Slaney's mel scale, from 0 to 8 kHz.
fn filters() -> Vec<Filter> {
    let top = mel(RATE / 2.0);
    let corners: Vec<f64> = (0..MELS + 2).map(|n| hertz(top * n as f64 / (MELS + 1) as f64)).collect();
    let triangle = |corners: &[f64]| {
        let &[low, middle, high] = corners else { return Filter { bins: 0..0, weights: Vec::new() } };
        let weight = |bin: usize| {
            let frequency = RATE / 2.0 * bin as f64 / (BINS - 1) as f64;
            let slope = ((frequency - low) / (middle - low)).min((high - frequency) / (high - middle));
            (slope.max(0.0) * 2.0 / (high - low)) as f32
        };
        let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(BINS);
        let weights: Vec<f32> = (first..BINS).map(weight).take_while(|weight| *weight > 0.0).collect();
        Filter { bins: first..first + weights.len(), weights }
    };
    corners.windows(3).map(triangle).collect()
}

/// Slaney's scale: even up to 1 kHz, logarithmic above it.
fn mel(hertz: f64) -> f64 {
    if hertz < 1_000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1_000.0).ln() * 27.0 / 6.4_f64.ln() }
}

fn hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1_000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three seconds: a falling tone with a pulse and a thin one above it, the last 200 ms silent.
    fn sound() -> Vec<f32> {
        let mut sound: Vec<f32> = (0..48_000)
            .map(|n| {
                let t = f64::from(n) / RATE;
                let low = 0.3 * (2.0 * PI * (400.0 * t - 40.0 * t * t)).sin() * (2.0 * PI * 2.0 * t).sin().abs();
                (low + 0.05 * (2.0 * PI * 2_900.0 * t).sin()) as f32
            })
            .collect();
        sound[44_800..].fill(0.0);
        sound
    }

    fn near(features: &[f32], golden: &[(usize, usize, f32)]) {
        for &(row, column, want) in golden {
            let got = features[row * FRAMES + column];
            assert!((got - want).abs() < 2e-4, "row {row}, column {column}: {got}, not {want}");
        }
    }

    fn mean(features: &[f32]) -> f64 {
        features.iter().map(|f| f64::from(*f)).sum::<f64>() / features.len() as f64
    }

    /// The numbers are those of `WhisperFeatureExtractor(chunk_length=8)` with `do_normalize=True`, as pipecat-ai 1.14.0
    /// has it for this model, on the same samples with zeros before them.
    #[test]
    fn the_features_are_whispers_own() {
        let features = Mel::new().features(&sound()).unwrap();
        assert_eq!(features.len(), 64_000);
        let golden = [
            (0, 500, 0.397_925_3),
            (5, 499, -0.029_674_04),
            (5, 510, 0.590_397_4),
            (10, 600, 0.958_146_3),
            (12, 650, 0.394_138_1),
            (40, 700, -0.166_393_06),
            (79, 779, -0.090_644_41),
            (3, 799, -0.166_393_06),
        ];
        near(&features, &golden);
        assert!((mean(&features) - -0.075_152_394).abs() < 1e-4, "{}", mean(&features));
    }

    #[test]
    fn of_a_longer_sound_the_end_counts() {
        let sound: Vec<f32> = sound().repeat(4)[192_000 - 140_000..].to_vec();
        let features = Mel::new().features(&sound).unwrap();
        near(&features, &[(20, 100, -0.194_934_96), (79, 799, -0.271_721_5)]);
        assert!((mean(&features) - -0.030_213_435).abs() < 1e-4, "{}", mean(&features));
    }

    #[test]
    fn silence_and_nothing_are_features_too() {
        for sound in [vec![], vec![0.0; SAMPLES]] {
            let features = Mel::new().features(&sound).unwrap();
            assert!(features.iter().all(|f| *f == -1.5), "{:?}", features.first());
        }
    }
}
