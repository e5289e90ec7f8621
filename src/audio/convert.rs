//! Native sound to mono floats and back, and from one rate to another. Nothing here runs in the microphone's device
//! thread; the speaker's writes its bytes with [`encode`], which only computes.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use super::pcm::{Format, Sample};

/// Reads interleaved frames into mono, appended to `out`: `channel` alone, or the mean of all. A float that is not a
/// number becomes silence.
pub fn decode(format: &Format, channel: Option<u16>, bytes: &[u8], out: &mut Vec<f32>) {
    let size = format.sample.bytes();
    let channels = format.channels as usize;
    out.extend(bytes.chunks_exact(size * channels).map(|frame| match channel {
        Some(channel) => {
            let at = channel as usize * size;
            frame.get(at..at + size).map_or(0.0, |bytes| sample(format.sample, bytes))
        }
        None => {
            frame.chunks_exact(size).map(|bytes| sample(format.sample, bytes)).sum::<f32>() / channels.max(1) as f32
        }
    }));
}

/// One little-endian sample, −1 to 1; bytes of the wrong number are silence.
pub fn sample(kind: Sample, bytes: &[u8]) -> f32 {
    match (kind, bytes) {
        (Sample::S16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32768.0,
        // The fourth byte of S24 is not defined: shift it out.
        (Sample::S24, &[a, b, c, _]) | (Sample::S24Packed, &[a, b, c]) => {
            (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0
        }
        (Sample::S32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
        (Sample::F32, &[a, b, c, d]) => {
            let value = f32::from_le_bytes([a, b, c, d]);
            if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
        }
        _ => 0.0,
    }
}

/// Writes mono as interleaved frames, the same in every channel; `bytes` holds the frames exactly. Allocates nothing.
pub fn encode(format: &Format, mono: &[f32], bytes: &mut [u8]) {
    let size = format.sample.bytes();
    for (frame, &value) in bytes.chunks_exact_mut(format.frame_bytes()).zip(mono) {
        let value = if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 };
        let wide = match format.sample {
            Sample::S16 => i32::from((value * 32767.0).round() as i16).to_le_bytes(),
            Sample::S24 | Sample::S24Packed => ((value * 8_388_607.0).round() as i32).to_le_bytes(),
            // The cast saturates: 1.0 is the largest integer.
            Sample::S32 => ((f64::from(value) * 2_147_483_648.0) as i32).to_le_bytes(),
            Sample::F32 => value.to_le_bytes(),
        };
        for slot in frame.chunks_exact_mut(size) {
            slot.copy_from_slice(&wide[..size]);
        }
    }
}

/// Input frames that the resampler takes at a time: what may wait inside it until more comes.
const CHUNK: usize = 32;

/// A rate converter for mono. Its delay is cut from the beginning, so that output sample `k` belongs to the instant
/// `k / to` after the first input sample.
pub struct Resampler {
    from: u32,
    to: u32,
    /// None: the rates are equal, or the converter cannot be made (which the rates of settings exclude).
    inner: Option<Async<f32>>,
    waiting: Vec<f32>,
    scratch: Vec<f32>,
    skip: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// From one rate in Hz to another.
    pub fn new(from: u32, to: u32) -> Self {
        let ratio = f64::from(to) / f64::from(from);
        // 128 points pass 90 % of the band with images and aliases below −100 dB; going down, the filter grows with the ratio.
        let length = (128.0 / ratio.min(1.0)).ceil() as usize;
        let parameters = SincInterpolationParameters::new(length, WindowFunction::BlackmanHarris2)
            .oversampling_factor(256)
            .interpolation(SincInterpolationType::Linear);
        let inner = if from == to {
            None
        } else {
            Async::new_sinc(ratio, 1.0, &parameters, CHUNK, 1, FixedAsync::Input)
                .map_err(|e| log::error!("resampling from {from} to {to} Hz: {e}"))
                .ok()
        };
        let scratch = vec![0.0; inner.as_ref().map_or(0, |r| r.output_frames_max())];
        let skip = inner.as_ref().map_or(0, |r| r.output_delay());
        Self { from, to, inner, waiting: Vec::with_capacity(2 * CHUNK), scratch, skip, taken: 0, given: 0 }
    }

    /// The rates it was made for.
    pub fn rates(&self) -> (u32, u32) {
        (self.from, self.to)
    }

    /// Forgets what went before.
    pub fn reset(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.reset();
            self.skip = inner.output_delay();
        }
        self.waiting.clear();
        (self.taken, self.given) = (0, 0);
    }

    /// Converts `input`, appending what is ready to `out`; less than 32 samples and the filter's length stay inside.
    pub fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.taken += input.len() as u64;
        if self.inner.is_none() {
            self.given += input.len() as u64;
            out.extend_from_slice(input);
            return;
        }
        let mut rest = input;
        while self.waiting.len() + rest.len() >= CHUNK {
            let (head, tail) = rest.split_at(CHUNK - self.waiting.len());
            self.waiting.extend_from_slice(head);
            rest = tail;
            self.convert(out);
            self.waiting.clear();
        }
        self.waiting.extend_from_slice(rest);
    }

    /// Appends all that is still inside. [`Resampler::reset`] comes before the next input.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        let whole = (self.taken as f64 * f64::from(self.to) / f64::from(self.from)).round() as u64;
        while self.inner.is_some() && self.given < whole {
            let (before, length) = (self.given, out.len());
            self.waiting.resize(CHUNK, 0.0);
            self.convert(out);
            self.waiting.clear();
            if self.given > whole {
                out.truncate(length + (whole - before) as usize);
                self.given = whole;
            }
        }
    }

    fn convert(&mut self, out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else { return };
        let capacity = self.scratch.len();
        let buffers = (
            InterleavedSlice::new(&self.waiting[..], 1, CHUNK),
            InterleavedSlice::new_mut(&mut self.scratch[..], 1, capacity),
        );
        let (Ok(input), Ok(mut output)) = buffers else { return };
        if let Ok((_, made)) = inner.process_into_buffer(&input, &mut output, None) {
            let skip = self.skip.min(made);
            self.skip -= skip;
            out.extend_from_slice(&self.scratch[skip..made]);
            self.given += (made - skip) as u64;
        }
    }
}

/// A whole clip at another rate.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut out = Vec::with_capacity((samples.len() as u64 * u64::from(to) / u64::from(from.max(1))) as usize + 64);
    let mut resampler = Resampler::new(from, to);
    resampler.push(samples, &mut out);
    resampler.flush(&mut out);
    out
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A sine of amplitude 0.5.
    pub fn tone(hz: f32, rate: u32, seconds: f32) -> Vec<f32> {
        (0..(seconds * rate as f32) as usize)
            .map(|n| 0.5 * (std::f64::consts::TAU * f64::from(hz) * n as f64 / f64::from(rate)).sin() as f32)
            .collect()
    }

    /// Amplitude of `hz` in `samples`, and the RMS of all that is not this tone.
    pub fn measure(samples: &[f32], hz: f32, rate: u32) -> (f32, f32) {
        let (mut re, mut im) = (0.0f64, 0.0f64);
        let turn = |n: usize| std::f64::consts::TAU * f64::from(hz) * n as f64 / f64::from(rate);
        for (n, &value) in samples.iter().enumerate() {
            re += f64::from(value) * turn(n).cos();
            im += f64::from(value) * turn(n).sin();
        }
        let scale = 2.0 / samples.len() as f64;
        let (re, im) = (re * scale, im * scale);
        let rest = samples
            .iter()
            .enumerate()
            .map(|(n, &value)| (f64::from(value) - re * turn(n).cos() - im * turn(n).sin()).powi(2))
            .sum::<f64>()
            / samples.len() as f64;
        (re.hypot(im) as f32, rest.sqrt() as f32)
    }

    fn format(sample: Sample, channels: u16) -> Format {
        Format { rate: 48_000, channels, sample, period: 480, buffer: 1440, target: 1440 }
    }

    #[test]
    fn every_native_format_keeps_a_tones_level_in_one_and_more_channels() {
        let tone = tone(1000.0, 48_000, 0.1);
        for (sample, floor) in [
            (Sample::S16, 2e-5),
            (Sample::S24, 1e-6),
            (Sample::S24Packed, 1e-6),
            (Sample::S32, 1e-6),
            (Sample::F32, 1e-6),
        ] {
            for (channels, heard) in [(1, None), (2, None), (2, Some(1)), (6, Some(5))] {
                let format = format(sample, channels);
                let mut bytes = vec![0; tone.len() * format.frame_bytes()];
                encode(&format, &tone, &mut bytes);
                let mut back = Vec::new();
                decode(&format, heard, &bytes, &mut back);
                let (level, rest) = measure(&back, 1000.0, 48_000);
                assert!((level - 0.5).abs() < 1e-4 && rest < floor, "{sample:?} {channels}: {level} {rest}");
            }
        }
    }

    #[test]
    fn the_mean_and_one_channel_differ() {
        let format = format(Sample::S16, 2);
        let bytes: Vec<u8> = [16384i16, -16384].iter().flat_map(|v| v.to_le_bytes()).collect();
        let (mut mean, mut left) = (Vec::new(), Vec::new());
        decode(&format, None, &bytes, &mut mean);
        decode(&format, Some(0), &bytes, &mut left);
        assert_eq!((mean, left), (vec![0.0], vec![0.5]));
    }

    #[test]
    fn full_scale_and_nonsense_stay_in_bounds() {
        for kind in [Sample::S16, Sample::S24, Sample::S24Packed, Sample::S32, Sample::F32] {
            let format = format(kind, 1);
            let mut bytes = vec![0; 4 * format.frame_bytes()];
            encode(&format, &[2.0, -2.0, f32::NAN, 1.0], &mut bytes);
            let mut back = Vec::new();
            decode(&format, None, &bytes, &mut back);
            assert!(
                (back[0] - 1.0).abs() < 1e-4 && (back[1] + 1.0).abs() < 1e-4 && back[2] == 0.0,
                "{kind:?} {back:?}"
            );
        }
        assert_eq!(sample(Sample::F32, &f32::INFINITY.to_le_bytes()), 0.0);
        assert_eq!(sample(Sample::S24, &[0xff, 0xff, 0xff, 0x00]), -1.0 / 8_388_608.0);
    }

    #[test]
    fn any_rate_keeps_frequency_level_length_and_place() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (22_050, 48_000), (16_000, 44_100)] {
            let out = resample(&tone(1000.0, from, 1.0), from, to);
            assert_eq!(out.len(), to as usize, "{from} to {to}");
            let middle = &out[to as usize / 10..to as usize * 9 / 10];
            let (level, rest) = measure(middle, 1000.0, to);
            assert!((level - 0.5).abs() < 0.003 && rest < 1e-3, "{from} to {to}: {level} {rest}");
            // A click comes out where it went in, to a sample.
            let mut click = vec![0.0; from as usize / 5];
            click[from as usize / 10] = 1.0;
            let out = resample(&click, from, to);
            let top = (0..out.len()).max_by(|&a, &b| out[a].total_cmp(&out[b])).unwrap();
            assert!(top.abs_diff(to as usize / 10) <= 2, "{from} to {to}: {top}");
        }
    }

    #[test]
    fn what_lies_above_the_new_band_does_not_fold_back() {
        let out = resample(&tone(12_000.0, 48_000, 0.5), 48_000, 16_000);
        let out = &out[800..7200];
        let rms = (out.iter().map(|v| v * v).sum::<f32>() / out.len() as f32).sqrt();
        assert!(rms < 1e-4, "{rms}");
    }

    #[test]
    fn pieces_of_any_length_give_the_same_sound() {
        let input = tone(440.0, 22_050, 0.3);
        let whole = resample(&input, 22_050, 48_000);
        let (mut resampler, mut out) = (Resampler::new(22_050, 48_000), Vec::new());
        for round in 0..2 {
            out.clear();
            let mut rest = &input[..];
            for size in (1..).map(|n| (n * 7919) % 613 + round) {
                let (head, tail) = rest.split_at(size.min(rest.len()));
                resampler.push(head, &mut out);
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            resampler.flush(&mut out);
            resampler.reset();
            assert_eq!(out.len(), whole.len());
            assert!(out.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
