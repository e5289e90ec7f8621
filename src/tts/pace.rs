//! How fast a voice is: measured at warm-up, and again at every chunk that it speaks.

use std::time::Duration;

/// A second chunk is reckoned with so many characters, about four words…
const SECOND: usize = 20;
/// … that Claude writes in this time, at half of its usual 120 tokens a second.
const WRITTEN: Duration = Duration::from_millis(80);
/// What may come between: the timer, the queue's hand-overs.
const SPARE: Duration = Duration::from_millis(30);
/// A voice that was this much slower than at warm-up was stopped, not slow.
const LOAD_MOST: f64 = 8.0;

/// What a voice needs for a text, and how long the sound of it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Seconds of computing that any chunk takes.
    fixed: f64,
    /// Seconds of computing for a second of sound, on top.
    rate: f64,
    /// How many times slower than at warm-up it is now: a slower chunk is believed at once, a faster one by degrees.
    load: f64,
    /// Seconds of sound for a character of text.
    character: f64,
}

/// One chunk, as it was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Its length in characters.
    pub(super) characters: usize,
    /// The length of its sound, without the pause.
    pub(super) sound: Duration,
    /// Phonemes and inference.
    pub(super) compute: Duration,
}

impl Default for Pace {
    /// A quick voice, for one that was never measured.
    fn default() -> Self {
        Self { fixed: 0.01, rate: 0.02, load: 1.0, character: 0.06 }
    }
}

impl Pace {
    /// The line through a short and a long chunk.
    pub(super) fn through(short: Measured, long: Measured) -> Self {
        let more = |of: fn(&Measured) -> Duration| (of(&long).as_secs_f64() - of(&short).as_secs_f64()).max(0.0);
        let rate = more(|m| m.compute) / more(|m| m.sound).max(1e-3);
        let fixed = (short.compute.as_secs_f64() - rate * short.sound.as_secs_f64()).max(1e-3);
        let character = long.sound.as_secs_f64() / long.characters.max(1) as f64;
        Self { fixed, rate, load: 1.0, character: character.max(1e-3) }
    }

    /// Takes in a chunk that was spoken.
    pub(super) fn observe(&mut self, chunk: Measured) {
        let sound = chunk.sound.as_secs_f64();
        let load = chunk.compute.as_secs_f64() / (self.fixed + self.rate * sound);
        self.load = if load > self.load { load.min(LOAD_MOST) } else { self.load + (load - self.load) * 0.2 };
        if chunk.characters > 0 && sound > 0.0 {
            self.character += (sound / chunk.characters as f64 - self.character) * 0.1;
        }
    }

    /// The length of the sound of a text.
    pub fn sound(&self, characters: usize) -> Duration {
        Duration::from_secs_f64(self.character * characters as f64)
    }

    /// The time from a text to its sound, on a voice that has nothing else to do.
    pub fn compute(&self, characters: usize) -> Duration {
        Duration::from_secs_f64((self.fixed + self.rate * self.character * characters as f64) * self.load)
    }

    /// The least characters of a first chunk: its sound lasts until that of a second one can be there.
    pub fn least_first(&self) -> usize {
        let second = WRITTEN + self.compute(SECOND) + SPARE;
        (second.as_secs_f64() / self.character).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(characters: usize, sound: u64, compute: u64) -> Measured {
        let ms = Duration::from_millis;
        Measured { characters, sound: ms(sound), compute: ms(compute) }
    }

    /// A voice that needs 20 ms and then 5 % of real time.
    fn quick() -> Pace {
        Pace::through(measured(10, 600, 50), measured(150, 9_000, 470))
    }

    #[test]
    fn warm_up_gives_the_line_and_chunks_the_load() {
        let mut pace = quick();
        assert_eq!(pace.sound(50), Duration::from_secs(3));
        assert!(pace.compute(50).abs_diff(Duration::from_millis(170)) < Duration::from_millis(1));
        // Somebody else takes the cores: the next chunk takes three times as long, at once.
        pace.observe(measured(50, 3_000, 510));
        assert!(pace.compute(50).abs_diff(Duration::from_millis(510)) < Duration::from_millis(1));
        for _ in 0..20 {
            pace.observe(measured(50, 3_000, 170));
        }
        assert!(pace.compute(50) < Duration::from_millis(180), "{:?}", pace.compute(50));
        // A process that was stopped for a minute is no measure.
        pace.observe(measured(50, 3_000, 60_000));
        assert!(pace.compute(50) < Duration::from_millis(170 * 9));
    }

    #[test]
    fn a_voice_that_talks_slower_is_believed() {
        let mut pace = quick();
        for _ in 0..40 {
            pace.observe(measured(20, 2_000, 120));
        }
        assert!(pace.sound(10) > Duration::from_millis(950), "{:?}", pace.sound(10));
    }

    #[test]
    fn a_slow_voice_needs_a_longer_first_chunk() {
        assert!(quick().least_first() <= 4, "{}", quick().least_first());
        // Half of real time: the first chunk has to last for the 600 ms of the second one.
        let slow = Pace::through(measured(10, 600, 300), measured(150, 9_000, 4_500));
        assert!((12..=14).contains(&slow.least_first()), "{}", slow.least_first());
        assert!(slow.sound(slow.least_first()) >= slow.compute(SECOND) + WRITTEN);
    }

    #[test]
    fn odd_measures_do_no_harm() {
        let same = measured(10, 600, 50);
        for mut pace in
            [Pace::through(same, same), Pace::through(measured(0, 0, 0), measured(0, 0, 0)), Pace::default()]
        {
            pace.observe(measured(0, 0, 0));
            pace.observe(same);
            assert!(pace.compute(100) < Duration::from_secs(60) && pace.least_first() < 1_000_000, "{pace:?}");
        }
    }
}
