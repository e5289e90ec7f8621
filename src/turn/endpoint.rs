//! When the person has finished: silence after speech, nothing said at all, or too long. How long a silence must be is
//! [`patience`]'s to say.
//!
//! The clock is the microphone's: a verdict depends on the frames that were captured and on what was heard in them, never
//! on when they were read.

use std::time::Duration;

use super::{Finished, Pauses, patience};
use crate::audio::Frame;
use crate::clock::Mono;
use crate::config::EndpointSettings;

/// Speech must last this long to count: a click or a cough is shorter. Three frames.
const MIN_SPEECH: Duration = Duration::from_millis(48);
/// Once a person speaks, a frame that scores this much below the threshold still belongs to the speech.
const HYSTERESIS: f32 = 0.15;
/// The VAD goes on scoring about this long after the acoustic end (Silero 80 to 120 ms in a quiet room: benches/peers). A
/// frame that only this hangover calls speech does not begin the silence anew. More would take soft last sounds for it.
const VAD_HANGOVER: Duration = Duration::from_millis(100);
/// A voiced slice this long after the last frame of speech is a noise, not a soft last consonant.
const VOICED_TAIL: Duration = Duration::from_millis(150);

/// What the frames so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on listening.
    Listening,
    /// The person spoke and then was silent for long enough.
    Ended,
    /// Nobody spoke.
    Nothing,
    /// The longest turn is reached.
    TooLong,
}

/// One frame, as the endpointer needs it.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    /// Capture time of the first sample.
    pub start: Mono,
    /// Capture time of the end of the last sample.
    pub end: Mono,
    /// VAD score from 0 to 1.
    pub speech: f32,
    /// End of the last voiced 10 ms slice in this frame.
    pub voiced_end: Option<Mono>,
}

impl From<&Frame> for Hearing {
    fn from(frame: &Frame) -> Self {
        Hearing { start: frame.start, end: frame.end(), speech: frame.speech, voiced_end: frame.voiced_end }
    }
}

/// Follows one turn's frames.
#[derive(Clone, Debug)]
pub struct Endpointer {
    settings: EndpointSettings,
    wake: Mono,
    run_start: Option<Mono>,
    speech_start: Option<Mono>,
    last_speech: Option<Mono>,
    last_voiced: Option<Mono>,
    newest: Mono,
    pauses: Pauses,
    finished: Option<Finished>,
}

impl Endpointer {
    /// A turn that began with a wake edge at `wake`, of a person who pauses so; frames from before it (the pre-roll) may
    /// follow.
    pub fn new(settings: EndpointSettings, wake: Mono, mut pauses: Pauses) -> Self {
        pauses.begin();
        Self {
            settings,
            wake,
            run_start: None,
            speech_start: None,
            last_speech: None,
            last_voiced: None,
            newest: wake,
            pauses,
            finished: None,
        }
    }

    /// Takes the next frame.
    pub fn push(&mut self, frame: Hearing) {
        self.newest = self.newest.max(frame.end);
        let inside = self.run_start.is_some();
        let threshold = self.settings.threshold - if inside { HYSTERESIS } else { 0.0 };
        if frame.speech >= threshold {
            let start = *self.run_start.get_or_insert(frame.start);
            if frame.end.since(start) >= MIN_SPEECH {
                self.speech_start.get_or_insert(start);
                if let Some(silent_from) = self.silent_from().filter(|_| self.last_speech < Some(start)) {
                    self.pauses.add(start.since(silent_from));
                }
                self.last_speech = Some(frame.end);
            }
        } else {
            self.run_start = None;
        }
        if let (Some(voiced), Some(speech)) = (frame.voiced_end, self.last_speech)
            && voiced <= speech + VOICED_TAIL
        {
            self.last_voiced = Some(voiced);
        }
    }

    /// How finished the words sound that were heard up to the last speech; none: they are not known.
    pub fn sounds(&mut self, finished: Option<Finished>) {
        self.finished = finished;
    }

    /// As [`Endpointer::sounds`] was told last.
    pub fn finished(&self) -> Option<Finished> {
        self.finished
    }

    /// What was said must go on.
    pub fn is_open(&self) -> bool {
        self.finished == Some(Finished::Open)
    }

    /// The person's pauses, those of this turn included.
    pub fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// What the frames say by now. `awaited`: an answer is prepared and its first sound is not there yet, so that who
    /// listens on keeps nobody waiting.
    pub fn verdict(&self, awaited: bool) -> Verdict {
        if self.newest.since(self.wake) >= self.settings.max_turn {
            return Verdict::TooLong;
        }
        match self.silence() {
            Some(silence) if silence >= patience(self.finished, awaited, &self.pauses, &self.settings) => {
                Verdict::Ended
            }
            None if self.newest.since(self.wake) >= self.settings.no_speech => Verdict::Nothing,
            _ => Verdict::Listening,
        }
    }

    /// Silence since the person spoke; none before that. Speech of the pre-roll alone is not an answer to the wake
    /// edge: the person gets time to begin.
    pub fn silence(&self) -> Option<Duration> {
        Some(self.newest.since(self.silent_from()?))
    }

    fn silent_from(&self) -> Option<Mono> {
        let last = self.last_speech.filter(|last| *last > self.wake)?;
        Some((last - VAD_HANGOVER).max(self.last_voiced.unwrap_or(last)))
    }

    /// Capture time up to which frames have come.
    pub fn newest(&self) -> Mono {
        self.newest
    }

    /// Capture time of the first sample of speech.
    pub fn speech_start(&self) -> Option<Mono> {
        self.speech_start
    }

    /// The acoustic end: capture time of the last voiced sample; none while nobody spoke.
    pub fn speech_end(&self) -> Option<Mono> {
        self.last_speech.map(|speech| self.last_voiced.unwrap_or(speech))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    struct Room {
        ears: Endpointer,
        now: Mono,
    }

    impl Room {
        fn new() -> Self {
            let settings = EndpointSettings {
                silence: Duration::from_millis(700),
                silence_min: Duration::from_millis(300),
                silence_max: Duration::from_millis(1_200),
                no_speech: Duration::from_secs(6),
                max_turn: Duration::from_secs(30),
                threshold: 0.5,
                vad: "earshot".into(),
                turn_model: None,
                turn_threshold: 0.5,
            };
            let now = Mono::from_nanos(10_000_000_000);
            Room { ears: Endpointer::new(settings, now, Pauses::default()), now }
        }

        fn hear(&mut self, ms: u64, score: f32) {
            for _ in 0..ms / 16 {
                let end = self.now + FRAME;
                let voiced_end = (score > 0.4).then_some(end);
                self.ears.push(Hearing { start: self.now, end, speech: score, voiced_end });
                self.now = end;
            }
        }
    }

    #[test]
    fn silence_after_speech_ends_the_turn_and_not_a_frame_sooner() {
        let mut room = Room::new();
        room.hear(320, 0.1);
        room.hear(960, 0.9);
        let end = room.now;
        room.hear(688, 0.1);
        assert_eq!(room.ears.verdict(false), Verdict::Listening);
        room.hear(16, 0.1);
        assert_eq!(room.ears.verdict(false), Verdict::Ended);
        assert_eq!(room.ears.speech_end(), Some(end));
        assert_eq!(room.ears.speech_start().unwrap().since(room.ears.wake), Duration::from_millis(320));
    }

    #[test]
    fn a_pause_shorter_than_the_silence_is_part_of_the_turn() {
        let mut room = Room::new();
        room.hear(640, 0.9);
        room.hear(640, 0.1);
        room.hear(640, 0.9);
        assert_eq!(room.ears.verdict(false), Verdict::Listening);
        assert_eq!(room.ears.speech_end(), Some(room.now));
    }

    #[test]
    fn the_words_say_how_long_the_silence_must_be() {
        let ended = |finished, awaited, ms| {
            let mut room = Room::new();
            room.hear(640, 0.9);
            room.hear(ms, 0.1);
            room.ears.sounds(Some(finished));
            room.ears.verdict(awaited) == Verdict::Ended
        };
        assert!(!ended(Finished::Sentence, false, 288) && ended(Finished::Sentence, false, 304));
        assert!(!ended(Finished::Open, false, 1_184) && ended(Finished::Open, false, 1_200));
        // Nothing to play yet: who has finished waits for that anyway, and who has not is not cut off.
        assert!(!ended(Finished::Sentence, true, 1_184) && ended(Finished::Sentence, true, 1_200));
    }

    #[test]
    fn a_pause_is_remembered_and_a_closure_inside_a_word_is_none() {
        let mut room = Room::new();
        room.hear(320, 0.9);
        room.hear(96, 0.1);
        room.hear(320, 0.9);
        room.hear(400, 0.1);
        room.hear(32, 0.9);
        assert_eq!(*room.ears.pauses(), Pauses::default(), "a click ends no pause");
        room.hear(320, 0.1);
        room.hear(320, 0.9);
        let mut once = Pauses::default();
        once.add(Duration::from_millis(400 + 32 + 320));
        assert_eq!(*room.ears.pauses(), once);
    }

    #[test]
    fn a_click_is_not_speech() {
        let mut room = Room::new();
        room.hear(32, 0.95);
        room.hear(5_952, 0.1);
        assert_eq!(room.ears.verdict(false), Verdict::Listening);
        room.hear(32, 0.1);
        assert_eq!(room.ears.verdict(false), Verdict::Nothing);
        assert_eq!(room.ears.speech_end(), None);
    }

    #[test]
    fn a_noise_long_after_the_speech_does_not_move_its_end() {
        let mut room = Room::new();
        room.hear(640, 0.9);
        let end = room.now;
        room.hear(320, 0.1);
        // A door: loud, but the VAD does not take it for speech.
        room.hear(64, 0.45);
        assert_eq!(room.ears.speech_end(), Some(end));
    }

    #[test]
    fn speech_of_the_pre_roll_alone_does_not_end_the_turn() {
        let mut room = Room::new();
        let wake = room.now;
        room.now = wake - Duration::from_millis(480);
        room.hear(320, 0.9);
        room.hear(160 + 2_000, 0.1);
        assert_eq!(room.ears.verdict(false), Verdict::Listening);
    }

    #[test]
    fn no_turn_is_longer_than_the_bound() {
        let mut room = Room::new();
        room.hear(30_016, 0.9);
        assert_eq!(room.ears.verdict(false), Verdict::TooLong);
    }
}
