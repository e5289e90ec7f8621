//! Is this speech? earshot's detector on 16 ms frames. Its state lives as long as the microphone: one that is made
//! anew for each turn hears its own warm-up as silence.

use earshot::Detector;

use super::FRAME;

/// The detector.
pub struct Vad(Box<Detector>);

impl Default for Vad {
    fn default() -> Self {
        Self(Detector::default_boxed())
    }
}

impl Vad {
    /// Score of the next frame, 0 (no speech) to 1.
    pub fn score(&mut self, samples: &[f32; FRAME]) -> f32 {
        // earshot asserts the range in a debug build, and a resampler overshoots it; a NaN would stay in the detector's
        // state for good.
        let samples = samples.map(|s| if s.is_nan() { 0.0 } else { s.clamp(-1.0, 1.0) });
        let score = self.0.predict_f32(&samples);
        if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::{Clip, noise::Noise};
    use crate::audio::{RATE, convert};

    fn scores(samples: &[f32]) -> Vec<f32> {
        let mut vad = Vad::default();
        samples.as_chunks::<FRAME>().0.iter().map(|frame| vad.score(frame)).collect()
    }

    fn share_over_half(scores: &[f32]) -> f32 {
        scores.iter().filter(|&&s| s > 0.5).count() as f32 / scores.len() as f32
    }

    #[test]
    fn silence_and_noise_are_no_speech() {
        assert_eq!(share_over_half(&scores(&vec![0.0; RATE as usize * 3])), 0.0);
        for dbfs in [-75.0, -50.0, -30.0] {
            let mut noise = Noise::new(3, dbfs);
            let sound: Vec<f32> = (0..RATE * 3).map(|_| noise.next()).collect();
            let share = share_over_half(&scores(&sound)[20..]);
            assert!(share < 0.02, "noise at {dbfs} dBFS: {share}");
        }
    }

    /// espeak-ng is one of Elio's own requirements.
    fn sentence(voice: &str, words: &str) -> Vec<f32> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let status =
            std::process::Command::new("espeak-ng").args(["-v", voice, "-w"]).arg(file.path()).arg(words).status();
        assert!(status.unwrap().success());
        let clip = Clip::read(file.path()).unwrap();
        convert::resample(&clip.samples, clip.rate, RATE)
    }

    #[test]
    fn a_spoken_sentence_is_speech() {
        for (voice, words) in [("en", "Turn on the light in the kitchen."), ("fr", "Allume la lampe de la cuisine.")] {
            let mut sound: Vec<f32> = vec![0.0; RATE as usize / 2];
            let spoken = sentence(voice, words);
            sound.extend(&spoken);
            sound.extend(vec![0.0; RATE as usize]);
            let scores = scores(&sound);
            let (from, to) = (RATE as usize / 2 / FRAME, (RATE as usize / 2 + spoken.len()) / FRAME);
            assert!(share_over_half(&scores[from..to]) > 0.6, "{voice}: {:?}", &scores[from..to]);
            assert_eq!(share_over_half(&scores[..from - 1]), 0.0, "{voice}: before");
            assert_eq!(share_over_half(&scores[to + 20..]), 0.0, "{voice}: after");
        }
    }

    #[test]
    fn samples_beyond_full_scale_and_no_numbers_do_no_harm() {
        let spoken = sentence("en", "Turn on the light in the kitchen.");
        let loud: Vec<f32> = spoken.iter().map(|s| s * 8.0).collect();
        assert!(loud.iter().any(|s| s.abs() > 2.0));
        assert!(share_over_half(&scores(&loud)) > 0.5);
        let mut sound = vec![f32::NAN; FRAME];
        sound.extend([f32::INFINITY; FRAME]);
        sound.extend([f32::NEG_INFINITY; FRAME]);
        sound.extend(vec![0.0; FRAME * 10]);
        sound.extend(&spoken);
        assert!(share_over_half(&scores(&sound)[13..]) > 0.6, "the detector is deaf after them");
    }
}
