//! Pauses in the middle of a sentence, where people look for a word: a recording with word ends gives any number.

use std::time::Duration;

use super::Sentence;
use super::clips::length;
use crate::audio::Clip;
use crate::audio::wav::noise::Noise;
use crate::sim::{Rng, Spread};

/// How long a person looks for a word, in ms: drawn evenly.
pub const PAUSE_MS: (u32, u32) = (300, 900);
/// The sound fades out before a pause and in after it: a cut would be a click, which the VAD may take for speech.
const FADE: Duration = Duration::from_millis(10);
/// Below that a recording is digital silence between its words, and so is the pause, in dBFS.
const NOTHING_DBFS: f32 = -100.0;

/// A sentence with a pause in it.
#[derive(Clone, Debug)]
pub struct Paused {
    /// Its sound.
    pub sound: Clip,
    /// Length of the pause.
    pub pause: Duration,
    /// Where the speech goes on, after the sound's begin.
    pub resumes: Duration,
}

/// `count` pauses, one in each sentence in turn, the boundary and the length drawn by `seed`. None where no sentence
/// has an inner word end.
pub fn draw(sentences: &[Sentence], count: usize, seed: u64) -> impl Iterator<Item = Paused> {
    let mut rng = Rng::new(seed);
    let lengths = Spread::between(PAUSE_MS.0, PAUSE_MS.1);
    let with_words = sentences.iter().filter(|sentence| !sentence.boundaries().is_empty()).cycle();
    with_words.take(count).filter_map(move |sentence| {
        let boundaries = sentence.boundaries();
        let at = boundaries.get(rng.next_u64() as usize % boundaries.len().max(1))?;
        Some(insert(&sentence.sound, *at, lengths.draw(&mut rng), rng.next_u64() as u32))
    })
}

/// Puts a pause of the recording's own noise at `at`.
pub fn insert(sound: &Clip, at: Duration, pause: Duration, seed: u32) -> Paused {
    let samples = |time: Duration| (time.as_secs_f64() * f64::from(sound.rate)).round() as usize;
    let (before, after) = sound.samples.split_at(samples(at).min(sound.samples.len()));
    let fade = samples(FADE).max(1);
    let gain = |n: usize| (n as f32 / fade as f32).min(1.0);
    let floor = floor_dbfs(sound);
    let mut noise = Noise::new(seed, floor);
    let silence = || if floor > NOTHING_DBFS { noise.next() } else { 0.0 };
    let mut whole: Vec<f32> = before.iter().enumerate().map(|(n, s)| s * gain(before.len() - n)).collect();
    whole.extend(std::iter::repeat_with(silence).take(samples(pause)));
    let resumes = Duration::from_secs_f64(whole.len() as f64 / f64::from(sound.rate.max(1)));
    whole.extend(after.iter().enumerate().map(|(n, s)| s * gain(n)));
    Paused { sound: Clip { rate: sound.rate, samples: whole }, pause, resumes }
}

/// The level between the words: that of the quietest twentieth of all slices of 10 ms, RMS in dBFS.
fn floor_dbfs(sound: &Clip) -> f32 {
    let slice = (sound.rate as usize / 100).max(1);
    let power = |s: &[f32]| s.iter().map(|s| s * s).sum::<f32>() / s.len() as f32;
    let mut powers: Vec<f32> = sound.samples.chunks_exact(slice).map(power).collect();
    powers.sort_by(f32::total_cmp);
    let quiet = powers.get(powers.len() / 20).copied().unwrap_or(0.0);
    10.0 * quiet.max(1e-20).log10()
}

impl Paused {
    /// Length of the sound.
    pub fn length(&self) -> Duration {
        length(&self.sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Language;

    /// A second of tone with 200 ms of noise at −60 dBFS on both sides.
    fn recording() -> Clip {
        let mut noise = Noise::new(3, -60.0);
        let tone = (0..16_000).map(|n| (n as f32 * 0.2).sin() * 0.5);
        let mut samples: Vec<f32> = (0..3_200).map(|_| noise.next()).collect();
        samples.extend(tone);
        samples.extend((0..3_200).map(|_| noise.next()));
        Clip { rate: 16_000, samples }
    }

    fn level(samples: &[f32]) -> f32 {
        10.0 * (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).max(1e-20).log10()
    }

    #[test]
    fn a_pause_is_as_quiet_as_the_recording_and_nothing_of_the_speech_is_lost() {
        let sound = recording();
        let paused = insert(&sound, Duration::from_millis(700), Duration::from_millis(400), 9);
        assert_eq!(paused.sound.samples.len(), sound.samples.len() + 6_400);
        assert_eq!(paused.resumes, Duration::from_millis(1_100));
        let (begin, end) = (11_200, 17_600);
        assert!((level(&paused.sound.samples[begin..end]) + 60.0).abs() < 1.5);
        assert_eq!(paused.sound.samples[..begin - 160], sound.samples[..begin - 160]);
        assert_eq!(paused.sound.samples[end + 160..], sound.samples[begin + 160..]);
        // Without the fade the tone would end and begin at its full level.
        assert!(level(&paused.sound.samples[begin - 16..begin]) < -20.0);
        assert!(level(&paused.sound.samples[end..end + 16]) < -20.0);
    }

    #[test]
    fn a_recording_of_digital_silence_stays_one() {
        let mut sound = recording();
        sound.samples[..3_200].fill(0.0);
        let paused = insert(&sound, Duration::from_millis(700), Duration::from_millis(300), 9);
        assert!(paused.sound.samples[11_200..16_000].iter().all(|s| *s == 0.0));
    }

    #[test]
    fn the_seed_decides_where_and_how_long() {
        let sentence = |ends: &[u64]| Sentence {
            file: "a.wav".into(),
            sound: recording(),
            language: Language::En,
            text: String::new(),
            word_ends: ends.iter().map(|ms| Duration::from_millis(*ms)).collect(),
        };
        let sentences = [sentence(&[400, 800, 1_200]), sentence(&[]), sentence(&[1_200])];
        let places = |seed| draw(&sentences, 40, seed).map(|p| (p.resumes, p.pause)).collect::<Vec<_>>();
        assert_eq!(places(5), places(5));
        assert_ne!(places(5), places(6));
        let (shortest, longest) = (Duration::from_millis(300), Duration::from_millis(900));
        assert!(places(5).iter().all(|(_, pause)| (shortest..=longest).contains(pause)));
        let begins: Vec<_> = places(5).iter().map(|(at, pause)| (*at - *pause).as_millis() / 100).collect();
        assert!(begins.contains(&4) && begins.contains(&8) && !begins.contains(&12), "{begins:?}");
        assert_eq!(draw(&sentences[1..2], 5, 1).count(), 0, "no pause without an inner word end");
    }
}
