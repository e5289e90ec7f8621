//! How long a silence ends a turn: as the words so far sound, and as long as this person's own pauses are.

use std::collections::VecDeque;
use std::time::Duration;

use super::Finished;
use crate::config::EndpointSettings;

/// A shorter silence is a closure inside a word, and no pause.
const SHORTEST: Duration = Duration::from_millis(120);
/// Pauses that are remembered: of some ten turns.
const REMEMBERED: usize = 32;
/// A person's next pause may be this much longer than those before.
const MARGIN: f64 = 1.25;

/// A person's pauses inside sentences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pauses {
    /// The longest of this turn.
    longest: Duration,
    /// Of this turn and those before it, newest last.
    remembered: VecDeque<Duration>,
}

impl Pauses {
    /// A turn begins.
    pub fn begin(&mut self) {
        self.longest = Duration::ZERO;
    }

    /// The person went on after a silence of this length.
    pub fn add(&mut self, pause: Duration) {
        if pause < SHORTEST {
            return;
        }
        self.longest = self.longest.max(pause);
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(pause);
    }

    fn median(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.remembered.iter().copied().collect();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// The silence after which the turn is over. After a sentence `silence_min`, or somewhat more than the person's usual
/// pause, up to `silence`; where nothing is sure (no words, or words that do not tell) `silence`, or somewhat more than
/// this turn's longest pause, up to `silence_max`; where something is missing `silence_max`.
///
/// `awaited`: the answer is prepared and its first sound is not there yet. A commit could play nothing then, so the
/// person has until `silence_max` to go on.
pub fn patience(finished: Option<Finished>, awaited: bool, pauses: &Pauses, settings: &EndpointSettings) -> Duration {
    let EndpointSettings { silence, silence_min, silence_max, .. } = *settings;
    match finished {
        _ if awaited => silence_max,
        Some(Finished::Sentence) => pauses.median().mul_f64(MARGIN).max(silence_min).min(silence),
        Some(Finished::Unsure) | None => pauses.longest.mul_f64(MARGIN).max(silence).min(silence_max),
        Some(Finished::Open) => silence_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> EndpointSettings {
        let [silence, silence_min, silence_max] = [700, 300, 1_200].map(Duration::from_millis);
        EndpointSettings { silence, silence_min, silence_max, ..crate::config::Config::default().endpoint }
    }

    fn wait(finished: Finished, pauses: &Pauses) -> u128 {
        patience(Some(finished), false, pauses, &settings()).as_millis()
    }

    #[test]
    fn the_words_decide_where_nothing_is_known_of_the_person() {
        let unknown = Pauses::default();
        assert_eq!(wait(Finished::Sentence, &unknown), 300);
        assert_eq!(wait(Finished::Unsure, &unknown), 700);
        assert_eq!(wait(Finished::Open, &unknown), 1_200);
    }

    #[test]
    fn who_has_nothing_to_play_yet_listens_on() {
        let wait = |finished| patience(finished, true, &Pauses::default(), &settings()).as_millis();
        assert_eq!([Some(Finished::Sentence), Some(Finished::Open), None].map(wait), [1_200; 3]);
    }

    #[test]
    fn a_person_who_pauses_long_is_given_longer_and_never_for_ever() {
        let mut slow = Pauses::default();
        for ms in [400, 90, 600, 400, 20] {
            slow.add(Duration::from_millis(ms));
        }
        assert_eq!(wait(Finished::Sentence, &slow), 500);
        assert_eq!(wait(Finished::Unsure, &slow), 750);
        slow.add(Duration::from_secs(2));
        slow.add(Duration::from_secs(2));
        slow.add(Duration::from_secs(2));
        assert_eq!([Finished::Sentence, Finished::Unsure, Finished::Open].map(|f| wait(f, &slow)), [700, 1_200, 1_200]);
    }

    #[test]
    fn the_longest_pause_is_of_this_turn_the_usual_one_of_the_last_ones() {
        let mut pauses = Pauses::default();
        pauses.add(Duration::from_millis(800));
        assert_eq!(wait(Finished::Unsure, &pauses), 1_000);
        pauses.begin();
        assert_eq!(wait(Finished::Unsure, &pauses), 700);
        assert_eq!(wait(Finished::Sentence, &pauses), 700);
        (0..REMEMBERED).for_each(|_| pauses.add(Duration::from_millis(200)));
        assert_eq!(wait(Finished::Sentence, &pauses), 300);
    }
}
