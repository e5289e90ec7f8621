//! Where speech ends acoustically: the level of each 10 ms slice against a tracked noise floor.
//!
//! A slice is voiced where its level, above 80 Hz, is more than [`ABOVE_FLOOR_DB`] over the floor and over
//! [`MINIMUM_DBFS`]. The floor is the minimum statistic of the last 3.2 s: speech, with its gaps between words, does
//! not raise it, and it follows a fan that starts within that time. It begins low ([`FIRST_DBFS`]), so speech in the
//! very first slice is speech, not the noise.

use super::RATE;

/// Samples of a slice: 10 ms.
pub const SLICE: usize = RATE as usize / 100;
/// A voiced slice is this much over the floor, in dB.
pub const ABOVE_FLOOR_DB: f32 = 10.0;
/// No quieter slice is voiced, in dBFS. A MEMS microphone without gain hears a voice at one metre at about −58 dBFS.
pub const MINIMUM_DBFS: f32 = -70.0;
/// The floor before anything was heard, in dBFS: of a quiet room.
pub const FIRST_DBFS: f32 = -65.0;
/// Slices whose mean the minimum is taken of: 50 ms, shorter than the gaps between words, long enough to be steady.
const SMOOTH: usize = 5;
/// Slices in one part of the window (0.4 s) and parts in it (3.2 s).
const PART: (u32, usize) = (40, 8);
/// The minimum of a noise lies this much below its mean, in dB.
const BIAS_DB: f32 = 1.0;
/// Digital silence, in dBFS: a muted device or the fill of a gap, and no room; the floor does not learn from it.
const NOTHING_DBFS: f32 = -100.0;

/// The tracker; its state is never reset.
#[derive(Debug)]
pub struct Floor {
    /// One-pole high-pass at 80 Hz: the offset and the rumble of a microphone are not its noise floor.
    last_in: f32,
    last_out: f32,
    energy: f32,
    filled: usize,
    recent: [f32; SMOOTH],
    slices: u64,
    parts: [f32; PART.1],
    in_part: u32,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            last_in: 0.0,
            last_out: 0.0,
            energy: 0.0,
            filled: 0,
            recent: [0.0; SMOOTH],
            slices: 0,
            parts: [FIRST_DBFS; PART.1],
            in_part: 0,
        }
    }
}

impl Floor {
    /// Takes `samples` of 16 kHz; returns how many of them go up to the end of the last voiced slice that ends here.
    pub fn push(&mut self, samples: &[f32]) -> Option<usize> {
        let mut voiced = None;
        for (n, &sample) in samples.iter().enumerate() {
            // exp(−2π·80 / 16000)
            self.last_out = 0.969_07 * (self.last_out + sample - self.last_in);
            self.last_in = sample;
            self.energy += self.last_out * self.last_out;
            self.filled += 1;
            if self.filled == SLICE {
                let power = self.energy / SLICE as f32;
                (self.energy, self.filled) = (0.0, 0);
                if self.slice(power) {
                    voiced = Some(n + 1);
                }
            }
        }
        voiced
    }

    /// The noise floor, in dBFS.
    pub fn dbfs(&self) -> f32 {
        self.parts.iter().copied().fold(f32::INFINITY, f32::min) + BIAS_DB
    }

    fn slice(&mut self, power: f32) -> bool {
        let level = dbfs(power);
        if level > NOTHING_DBFS {
            self.recent[self.slices as usize % SMOOTH] = power;
            self.slices += 1;
            self.in_part += 1;
            if self.in_part == PART.0 {
                self.in_part = 0;
                self.parts.rotate_left(1);
                self.parts[PART.1 - 1] = f32::INFINITY;
            }
            if self.slices >= SMOOTH as u64 {
                let steady = dbfs(self.recent.iter().sum::<f32>() / SMOOTH as f32);
                let newest = &mut self.parts[PART.1 - 1];
                *newest = newest.min(steady);
            }
        }
        level > (self.dbfs() + ABOVE_FLOOR_DB).max(MINIMUM_DBFS)
    }
}

fn dbfs(power: f32) -> f32 {
    10.0 * power.max(1e-20).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::noise;

    /// `seconds` of noise at `dbfs`.
    fn room(dbfs: f32, seconds: f32) -> Vec<f32> {
        let mut noise = noise::Noise::new(7, dbfs);
        (0..(seconds * RATE as f32) as usize).map(|_| noise.next()).collect()
    }

    #[test]
    fn speech_from_the_first_sample_is_voiced_and_its_end_is_found() {
        let mut floor = Floor::default();
        let mut sound = room(-25.0, 0.505);
        sound.extend(room(-75.0, 0.5));
        let end = floor.push(&sound).unwrap();
        // The end of the slice in which the sound ends: 505 ms lies in the slice that ends at 510.
        assert_eq!(end, RATE as usize * 51 / 100);
    }

    #[test]
    fn a_noisy_room_is_learned_and_speech_over_it_is_found() {
        let mut floor = Floor::default();
        floor.push(&room(-45.0, 4.0));
        assert!((floor.dbfs() + 45.0).abs() < 1.5, "{}", floor.dbfs());
        assert_eq!(floor.push(&room(-45.0, 2.0)), None);
        assert!(floor.push(&room(-30.0, 0.1)).is_some());
    }

    #[test]
    fn a_long_sentence_with_gaps_does_not_raise_the_floor() {
        let mut floor = Floor::default();
        floor.push(&room(-70.0, 1.0));
        for _ in 0..30 {
            floor.push(&room(-25.0, 0.5));
            floor.push(&room(-70.0, 0.08));
        }
        assert!(floor.dbfs() < -66.0, "{}", floor.dbfs());
        assert!(floor.push(&room(-40.0, 0.02)).is_some());
    }

    #[test]
    fn digital_silence_teaches_nothing_and_offset_is_no_sound() {
        let mut floor = Floor::default();
        floor.push(&room(-50.0, 4.0));
        let before = floor.dbfs();
        floor.push(&vec![0.0; RATE as usize * 10]);
        // The filter's tail is heard for a slice or two.
        assert!((floor.dbfs() - before).abs() < 3.0);
        let mut quiet = Floor::default();
        quiet.push(&vec![0.3; RATE as usize]);
        assert_eq!(quiet.push(&vec![0.3; RATE as usize]), None);
    }
}
