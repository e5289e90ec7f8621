//! How long the next chunk of an answer may still wait for its sentence to end: as long as there is sound ahead of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::tts::Pace;

/// A chunk goes to the voice so much earlier than the reckoning says.
const SPARE: Duration = Duration::from_millis(40);

/// The sound that is on its way from the voice to the ear.
pub(super) struct Ahead {
    pace: Pace,
    /// Characters of the chunks that are with the voice, in order.
    with_voice: VecDeque<usize>,
    /// When the voice began the first of them.
    begun: Mono,
    /// When the sound that it has made will have been heard.
    heard: Mono,
}

impl Ahead {
    pub(super) fn new(pace: Pace, now: Mono) -> Self {
        Self { pace, with_voice: VecDeque::new(), begun: now, heard: now }
    }

    /// A chunk of so many characters goes to the voice.
    pub(super) fn given(&mut self, characters: usize, now: Mono) {
        if self.with_voice.is_empty() {
            self.begun = now;
        }
        self.with_voice.push_back(characters);
    }

    /// The voice has made the sound of the first chunk that it has; `pace` is what it is by now.
    pub(super) fn spoken(&mut self, sound: Duration, pace: Pace, now: Mono) {
        self.with_voice.pop_front();
        (self.pace, self.begun) = (pace, now);
        self.heard = self.heard.max(now) + sound;
    }

    /// The latest instant at which a chunk of so many characters can go to the voice without a gap before it; never
    /// before the voice is free.
    pub(super) fn due(&self, characters: usize) -> Mono {
        let (mut free, mut heard) = (self.begun, self.heard);
        for &characters in &self.with_voice {
            free = free + self.pace.compute(characters);
            heard = heard.max(free) + self.pace.sound(characters);
        }
        (heard - self.pace.compute(characters) - SPARE).max(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Mono = Mono::from_nanos(1_000_000_000_000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_more_sound_is_ahead_the_longer_a_chunk_may_grow() {
        // 10 ms and 2 % of real time, 60 ms of sound for a character.
        let pace = Pace::default();
        let mut ahead = Ahead::new(pace, T);
        ahead.given(5, T);
        // 16 ms until its sound is there, 300 ms of it, less 34 ms for the next 20 characters and what is spare.
        assert_eq!(ahead.due(20), T + ms(16 + 300 - 34 - 40));
        assert!(ahead.due(80) < ahead.due(20), "a longer chunk takes longer");
        ahead.spoken(ms(250), pace, T + ms(20));
        assert_eq!(ahead.due(20), T + ms(20 + 250 - 34 - 40));
        ahead.given(30, T + ms(100));
        ahead.spoken(ms(2_000), pace, T + ms(150));
        assert_eq!(ahead.due(20), T + ms(20 + 250 + 2_000 - 34 - 40));
    }

    #[test]
    fn a_chunk_waits_for_a_voice_that_is_busy_and_not_for_sound_that_ran_out() {
        let pace = Pace::default();
        let mut ahead = Ahead::new(pace, T);
        ahead.given(1, T);
        ahead.given(1, T + ms(1));
        // Two short chunks of 60 ms: the voice is free after 22 ms, and their sound has gone long before a third of
        // 200 characters could follow.
        assert_eq!(ahead.due(200).since(T), pace.compute(1) * 2);
        ahead.spoken(ms(60), pace, T + ms(11));
        ahead.spoken(ms(60), pace, T + ms(22));
        assert!(ahead.due(20) < T + ms(500));
        // Claude fell silent for a second: its next words are due at once.
        ahead.given(5, T + ms(1_500));
        ahead.spoken(ms(300), pace, T + ms(1_520));
        assert_eq!(ahead.due(20), T + ms(1_520 + 300 - 34 - 40));
    }
}
