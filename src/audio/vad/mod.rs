//! Is this speech? Silero's network, or earshot's detector, which is built in, on 16 ms frames. Their state lives as long
//! as the microphone: one that is made anew for each turn hears its own warm-up as silence.

mod silero;

use std::path::{Path, PathBuf};

use earshot::Detector;

use self::silero::Silero;
use super::{AudioError, FRAME};

/// Below these scores earshot and Silero hear nothing: earshot's never come near 0 in a room.
const NOTHING: [f32; 2] = [0.4, 0.1];
/// After so many frames of nothing (1 s) Silero rests until earshot hears something: earshot is the faster one to begin, and
/// takes a sixth of the time, which is most of what an idle Elio computes.
const REST: u32 = 62;

/// The detector; by default earshot.
pub struct Vad {
    earshot: Box<Detector>,
    silero: Option<(Box<Silero>, PathBuf)>,
    /// Frames of nothing until now.
    nothing: u32,
}

impl Default for Vad {
    fn default() -> Self {
        Self { earshot: Detector::default_boxed(), silero: None, nothing: 0 }
    }
}

impl Vad {
    /// Silero's network, warm. `onnxruntime`: the library, see `tts.onnxruntime`. Blocking.
    ///
    /// # Errors
    /// [`AudioError::Detector`]
    pub fn silero(network: &Path, onnxruntime: Option<&Path>) -> Result<Self, AudioError> {
        let silero = Silero::load(network, onnxruntime).map_err(AudioError::Detector)?;
        Ok(Self { silero: Some((Box::new(silero), network.to_owned())), ..Self::default() })
    }

    /// Score of the next frame, 0 (no speech) to 1. Where Silero fails, earshot goes on for good.
    pub fn score(&mut self, samples: &[f32; FRAME]) -> f32 {
        // earshot asserts the range in a debug build, and a resampler overshoots it; a NaN would stay in the detector's
        // state for good.
        let samples = samples.map(|s| if s.is_nan() { 0.0 } else { s.clamp(-1.0, 1.0) });
        let score = self.earshot.predict_f32(&samples);
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        let Some((silero, network)) = &mut self.silero else { return score };
        let [below, and_below] = NOTHING;
        self.nothing = if score < below && silero.last() < and_below { self.nothing.saturating_add(1) } else { 0 };
        match silero.score(&samples, self.nothing > REST) {
            Ok(score) => score,
            Err(fault) => {
                let network = network.display();
                log::error!("endpoint.vad {network}: {fault}: earshot, which is built in, goes on; restart elio");
                self.silero = None;
                score
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::{Clip, noise::Noise};
    use crate::audio::{RATE, convert};

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn silero() -> Vad {
        Vad::silero(&repository("models/demo/silero_vad_16k_op15.onnx"), None).unwrap()
    }

    fn both() -> [(&'static str, Vad); 2] {
        [("earshot", Vad::default()), ("Silero", silero())]
    }

    fn scores(vad: &mut Vad, samples: &[f32]) -> Vec<f32> {
        samples.as_chunks::<FRAME>().0.iter().map(|frame| vad.score(frame)).collect()
    }

    fn share_over_half(scores: &[f32]) -> f32 {
        scores.iter().filter(|&&s| s > 0.5).count() as f32 / scores.len() as f32
    }

    #[test]
    fn silence_and_noise_are_no_speech() {
        for (name, mut vad) in both() {
            assert_eq!(share_over_half(&scores(&mut vad, &vec![0.0; RATE as usize * 3])), 0.0);
            for dbfs in [-75.0, -50.0, -30.0] {
                let mut noise = Noise::new(3, dbfs);
                let sound: Vec<f32> = (0..RATE * 3).map(|_| noise.next()).collect();
                let share = share_over_half(&scores(&mut vad, &sound)[20..]);
                assert!(share < 0.02, "{name}: noise at {dbfs} dBFS: {share}");
            }
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
            for (name, mut vad) in both() {
                let scores = scores(&mut vad, &sound);
                let (from, to) = (RATE as usize / 2 / FRAME, (RATE as usize / 2 + spoken.len()) / FRAME);
                assert!(share_over_half(&scores[from..to]) > 0.6, "{name}, {voice}: {:?}", &scores[from..to]);
                assert_eq!(share_over_half(&scores[..from - 1]), 0.0, "{name}, {voice}: before");
                assert_eq!(share_over_half(&scores[to + 20..]), 0.0, "{name}, {voice}: after");
            }
        }
    }

    #[test]
    fn samples_beyond_full_scale_and_no_numbers_do_no_harm() {
        let spoken = sentence("en", "Turn on the light in the kitchen.");
        let loud: Vec<f32> = spoken.iter().map(|s| s * 8.0).collect();
        assert!(loud.iter().any(|s| s.abs() > 2.0));
        for (name, mut vad) in both() {
            assert!(share_over_half(&scores(&mut vad, &loud)) > 0.5, "{name}");
            let mut sound = vec![f32::NAN; FRAME];
            sound.extend([f32::INFINITY; FRAME]);
            sound.extend([f32::NEG_INFINITY; FRAME]);
            sound.extend(vec![0.0; FRAME * 10]);
            sound.extend(&spoken);
            assert!(share_over_half(&scores(&mut vad, &sound)[13..]) > 0.6, "{name} is deaf after them");
        }
    }

    #[test]
    fn silero_scores_pairs_and_keeps_its_state() {
        let sound = sentence("en", "Turn on the light in the kitchen.");
        let mut vad = silero();
        let once = scores(&mut vad, &sound);
        for pair in once[1..].as_chunks::<2>().0 {
            assert_eq!(pair[0], pair[1], "the first frame of a pair repeats what the one before it got");
        }
        assert!(once.chunk_by(|a, b| a == b).count() > once.len() / 3, "each pair has a score of its own");
        let again = scores(&mut vad, &sound);
        assert_ne!(once, again, "it has forgotten what it heard before");
        assert_eq!(once, scores(&mut silero(), &sound), "a new one begins as the first did");
    }

    #[test]
    fn silero_rests_while_there_is_nothing_and_hears_the_next_word_as_well() {
        let spoken = sentence("en", "Turn on the light in the kitchen.");
        let mut vad = silero();
        let mut quiet = Noise::new(5, -75.0);
        let room: Vec<f32> = (0..RATE * 10).map(|_| quiet.next()).collect();
        scores(&mut vad, &room);
        assert!(vad.nothing > REST, "{} frames of nothing", vad.nothing);
        let rested = scores(&mut vad, &spoken);
        let (mut awake, _) = silero().silero.unwrap();
        let mut hear = |sound: &[f32]| -> Vec<f32> {
            sound.as_chunks::<FRAME>().0.iter().map(|frame| awake.score(frame, false).unwrap()).collect()
        };
        hear(&room);
        let awake = hear(&spoken);
        let begin = |scores: &[f32]| scores.iter().position(|score| *score > 0.5).unwrap();
        assert!(begin(&rested) <= begin(&awake) + 2, "begins at {} and {}", begin(&rested), begin(&awake));
        assert!((share_over_half(&rested) - share_over_half(&awake)).abs() < 0.05, "{rested:?} {awake:?}");
    }

    #[test]
    fn where_silero_fails_earshot_goes_on() {
        let spoken = sentence("en", "Turn on the light in the kitchen.");
        let mut vad = silero();
        let (network, _) = vad.silero.as_mut().unwrap();
        network.state = ort::value::Tensor::from_array(([2, 1, 3], vec![0.0; 6])).unwrap();
        let heard = scores(&mut vad, &spoken);
        assert!(vad.silero.is_none());
        // The first frame of a pair asks nothing of the network.
        assert_eq!(heard[1..], scores(&mut Vad::default(), &spoken)[1..]);
        assert!(share_over_half(&heard) > 0.6, "{heard:?}");
    }

    #[test]
    fn a_network_of_another_kind_is_refused_with_the_file_and_the_mend() {
        let refused = |path: &str| Vad::silero(&repository(path), None).err().unwrap().to_string();
        for path in ["models/demo/voice-demo.onnx", "models/manifest.toml"] {
            let fault = refused(path);
            assert!(fault.contains(path) && fault.contains("give a Silero VAD"), "{fault}");
            assert_eq!(fault.lines().count(), 1, "{fault}");
        }
    }
}
