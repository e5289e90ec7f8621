//! WAV files, and devices made of sound in memory that keep time as real ones do: a quiet room into which clips are
//! spoken (`room`), and a loudspeaker without a membrane (`sink`). They serve the demo, the benches and the tests
//! through the same loops as ALSA's devices.

use std::io::ErrorKind;
use std::path::Path;

use super::AudioError;

pub mod noise;
mod room;
mod sink;

pub use self::room::{ROOM_DBFS, WavCaptureHost, WavFeed};
pub use self::sink::WavPlaybackHost;

/// How fast a paced microphone's time goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// A frame cannot be read before its last sample's time.
    RealTime,
    /// So many times faster than real time, above 0. Instants stay those of the device's own time: its sound lasts
    /// as long as it says.
    Times(f64),
}

impl Pace {
    fn factor(self) -> f64 {
        match self {
            Pace::RealTime => 1.0,
            Pace::Times(factor) => factor.max(1e-3),
        }
    }
}

/// A recorded clip, mixed to mono.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Hz.
    pub rate: u32,
    /// −1 to 1.
    pub samples: Vec<f32>,
}

impl Clip {
    /// Reads a WAV file of any rate, channel count and PCM or float format. The error names the file.
    pub fn read(path: &Path) -> Result<Self, AudioError> {
        let fault = |why: String| AudioError::Wav { path: path.to_owned(), why };
        let words = |e: hound::Error| match e {
            // So hound says that a read came short.
            hound::Error::IoError(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::Other) => {
                fault("is cut off: there is less in it than a WAV file of its header has".into())
            }
            hound::Error::IoError(e) => {
                fault(format!("cannot be read: {e}; name a recording that is there and may be read"))
            }
            hound::Error::FormatError(what) => fault(format!("is not a WAV file that can be read: {what}")),
            other => fault(format!("cannot be read: {other}; PCM of 8 to 32 bits and 32-bit float can")),
        };
        let mut reader = hound::WavReader::open(path).map_err(words)?;
        let spec = reader.spec();
        if spec.channels == 0 || spec.sample_rate == 0 {
            return Err(fault("has no channel or no rate".into()));
        }
        let interleaved: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>().map_err(words)?,
            hound::SampleFormat::Int => {
                let full = (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
                reader.samples::<i32>().map(|s| s.map(|s| s as f32 / full)).collect::<Result<_, _>>().map_err(words)?
            }
        };
        let samples = interleaved
            .chunks_exact(spec.channels as usize)
            .map(|frame| frame.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).sum::<f32>() / frame.len() as f32)
            .collect();
        Ok(Self { rate: spec.sample_rate, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::convert::tests::{measure, tone};

    #[test]
    fn integer_and_float_files_with_more_channels_are_read_as_mono() {
        let dir = tempfile::tempdir().unwrap();
        for (bits, format, channels) in [
            (8, hound::SampleFormat::Int, 1u16),
            (16, hound::SampleFormat::Int, 2),
            (24, hound::SampleFormat::Int, 3),
            (32, hound::SampleFormat::Int, 1),
            (32, hound::SampleFormat::Float, 2),
        ] {
            let path = dir.path().join(format!("{bits}{channels}.wav"));
            let spec = hound::WavSpec { channels, sample_rate: 22_050, bits_per_sample: bits, sample_format: format };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for value in tone(500.0, 22_050, 0.2) {
                for _ in 0..channels {
                    match format {
                        hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                        hound::SampleFormat::Int => {
                            let full = ((1u64 << (bits - 1)) - 1) as f64;
                            writer.write_sample((f64::from(value) * full) as i32).unwrap()
                        }
                    }
                }
            }
            writer.finalize().unwrap();
            let clip = Clip::read(&path).unwrap();
            let (level, rest) = measure(&clip.samples, 500.0, clip.rate);
            assert_eq!((clip.rate, clip.samples.len()), (22_050, 4410));
            assert!((level - 0.5).abs() < 0.01 && rest < 0.01, "{bits} bits: {level} {rest}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_not_taken_for_a_short_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("half.wav");
        let recording =
            crate::audio::Recording { rate: 16_000, start: crate::clock::Mono::now(), samples: vec![1; 16_000] };
        recording.write(&path).unwrap();
        assert_eq!(Clip::read(&path).unwrap().samples.len(), 16_000);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let text = Clip::read(&path).unwrap_err().to_string();
        assert!(text.contains("half.wav") && text.contains("cut off"), "{text}");
    }

    #[test]
    fn what_is_no_wav_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("letter.wav");
        for content in [&b"dear reader, this is no sound"[..], b"RIFF", b""] {
            std::fs::write(&path, content).unwrap();
            let text = Clip::read(&path).unwrap_err().to_string();
            assert!(text.contains("letter.wav") && !text.contains('\n'), "{text}");
        }
        let text = Clip::read(&dir.path().join("none.wav")).unwrap_err().to_string();
        assert!(text.contains("none.wav") && text.contains("No such file"), "{text}");
    }
}
