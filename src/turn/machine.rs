//! The state machine of a turn: inputs and instants in, commands out. Pure: it reads no clock, holds no device.
//!
//! Whatever happens, a turn that began ends in exactly one [`Command::Finish`], and a failure is first said aloud
//! ([`Command::Say`]) wherever a voice is left to say it.

use std::time::Duration;

use super::{Command, EndedBy, Endpointer, Finished, Hearing, Input, Pauses, Phrase, Rules, Verdict, Visible};
use crate::clock::Mono;
use crate::config::{SpeculationSettings, WakeMode};
use crate::latency::Outcome;

/// Frames of the grace may come this late before the commit stops waiting for them.
const LATE_FRAMES: Duration = Duration::from_millis(200);
/// A turn that makes no progress for this long has failed. Each stage has shorter limits of its own; this one is for
/// what they do not foresee.
const STUCK: Duration = Duration::from_secs(60);
/// A microphone that is there gives a frame every 16 ms: after this long without one it is as good as gone.
const DEAF: Duration = Duration::from_secs(5);
/// A ready line that has not been spoken by then never will be.
const CLOSING: Duration = Duration::from_secs(20);

/// A soft last consonant may still be voiced by so much after a guess: the person has not gone on speaking.
const SOFT_TAIL: Duration = Duration::from_millis(32);

#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Listening {
        ears: Endpointer,
    },
    /// Released; what is still said until `until` belongs to the turn.
    Grace {
        ears: Endpointer,
        until: Mono,
        by: EndedBy,
    },
    Thinking {
        since: Mono,
    },
    Speaking {
        since: Mono,
    },
    /// A ready line is on its way; then the turn ends with `outcome`.
    Closing {
        since: Mono,
        outcome: Outcome,
    },
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    phase: Phase,
    turn: u64,
    /// The acoustic end at which the guess that stands was made.
    guess: Option<Mono>,
    /// The guess that stands has no sound to play yet.
    awaited: bool,
    /// Guesses of this turn.
    guesses: u32,
    /// The person's pauses in the turns so far.
    pauses: Pauses,
    muted: bool,
    deaf: bool,
    /// When the sound that is queued will have been played at the latest: waiting for it is not being stuck.
    sound_until: Mono,
    committed: Option<Endpointer>,
    /// New rules that wait for the end of the turn.
    next_rules: Option<Rules>,
}

impl Machine {
    /// An idle speaker. The first turn is number 1.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Idle,
            turn: 0,
            guess: None,
            awaited: false,
            guesses: 0,
            pauses: Pauses::default(),
            muted: false,
            deaf: false,
            sound_until: Mono::from_nanos(0),
            committed: None,
            next_rules: None,
        }
    }

    /// Takes new rules; a turn that runs ends by the ones it began with.
    pub fn configure(&mut self, rules: Rules) {
        if self.is_idle() {
            self.rules = rules;
        } else {
            self.next_rules = Some(rules);
        }
    }

    /// The running turn, or the last one.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// No turn runs.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// What a person sees.
    pub fn visible(&self) -> Visible {
        match &self.phase {
            Phase::Idle if self.muted => Visible::Muted,
            Phase::Idle => Visible::Idle,
            Phase::Listening { .. } | Phase::Grace { .. } => Visible::Listening,
            Phase::Thinking { .. } => Visible::Thinking,
            Phase::Speaking { .. } | Phase::Closing { .. } => Visible::Speaking,
        }
    }

    /// What was heard of the turn that was committed last.
    pub fn committed(&self) -> Option<&Endpointer> {
        self.committed.as_ref()
    }

    /// The frames of the turn that is being heard.
    pub fn ears(&self) -> Option<&Endpointer> {
        match &self.phase {
            Phase::Listening { ears } | Phase::Grace { ears, .. } => Some(ears),
            _ => None,
        }
    }

    /// When [`Machine::tick`] must be called at the latest.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Idle => None,
            // Without frames (a dead microphone) the endpointer's clock stands still: this is the bound that holds.
            Phase::Listening { ears } => Some(ears.newest() + DEAF),
            Phase::Grace { until, .. } => Some(*until + LATE_FRAMES),
            Phase::Thinking { since } | Phase::Speaking { since } => Some(self.sound_until.max(*since) + STUCK),
            Phase::Closing { since, .. } => Some(self.sound_until.max(*since) + CLOSING),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Mono) -> Vec<Command> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match &self.phase {
            Phase::Grace { by, .. } => {
                let by = *by;
                self.commit(now, by)
            }
            Phase::Listening { .. } => self.apologize(now, "microphone", Phrase::MicrophoneLost),
            Phase::Thinking { .. } | Phase::Speaking { .. } => self.apologize(now, "stuck", Phrase::Failed),
            Phase::Closing { outcome, .. } => {
                let outcome = outcome.clone();
                self.abandon(outcome)
            }
            Phase::Idle => Vec::new(),
        }
    }

    /// Something happened at `now`.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Command> {
        match input {
            Input::Press { at } => self.press(now, at),
            Input::Release { at, by } => self.release(at, by),
            Input::Frame { heard, finished } => self.frame(now, heard, finished),
            Input::Prepared => {
                self.awaited = false;
                self.judge(now)
            }
            Input::Mute(muted) => self.mute(muted),
            Input::Nothing => match self.phase {
                Phase::Thinking { .. } => self.close(now, Outcome::Silent, Phrase::NothingHeard),
                _ => Vec::new(),
            },
            Input::Progress => {
                if let Phase::Thinking { since } | Phase::Speaking { since } = &mut self.phase {
                    *since = now;
                }
                Vec::new()
            }
            Input::SoundQueued(length) => {
                self.sound_until = self.sound_until.max(now) + length;
                if let Phase::Thinking { .. } | Phase::Speaking { .. } = self.phase {
                    self.phase = Phase::Speaking { since: now };
                }
                Vec::new()
            }
            Input::Played => match &self.phase {
                Phase::Thinking { .. } | Phase::Speaking { .. } => self.finish(Outcome::Answered),
                Phase::Closing { outcome, .. } => {
                    let outcome = outcome.clone();
                    self.finish(outcome)
                }
                _ => Vec::new(),
            },
            Input::Failed { kind, phrase } => match self.phase {
                Phase::Thinking { .. } | Phase::Speaking { .. } => self.apologize(now, &kind, phrase),
                _ => Vec::new(),
            },
            Input::Voiceless => match &self.phase {
                Phase::Closing { outcome, .. } => {
                    let outcome = outcome.clone();
                    self.abandon(outcome)
                }
                _ => Vec::new(),
            },
            Input::MicrophoneLost => {
                self.deaf = true;
                match self.phase {
                    Phase::Listening { .. } | Phase::Grace { .. } => {
                        self.apologize(now, "microphone", Phrase::MicrophoneLost)
                    }
                    _ => Vec::new(),
                }
            }
            Input::MicrophoneReturned => {
                self.deaf = false;
                Vec::new()
            }
            Input::SpeakerLost => match self.phase {
                // Nothing can be said aloud without a speaker: the fault is seen, and the record has it.
                Phase::Thinking { .. } | Phase::Speaking { .. } | Phase::Closing { .. } => {
                    self.abandon(Outcome::Failed("speaker".into()))
                }
                _ => Vec::new(),
            },
            Input::Stop => match self.phase {
                Phase::Idle => Vec::new(),
                _ => self.abandon(Outcome::Interrupted),
            },
        }
    }

    fn press(&mut self, now: Mono, at: Mono) -> Vec<Command> {
        match (&self.phase, self.rules.mode) {
            (Phase::Idle, _) if self.muted => {
                self.begin(now);
                self.apologize(now, "muted", Phrase::Muted)
            }
            (Phase::Idle, _) if self.deaf => {
                self.begin(now);
                self.apologize(now, "microphone", Phrase::MicrophoneLost)
            }
            (Phase::Idle, _) => self.listen(now, at),
            // In hold mode a press that comes while Elio works or speaks is the next question (barge-in).
            (Phase::Thinking { .. } | Phase::Speaking { .. } | Phase::Closing { .. }, WakeMode::Hold) => {
                let mut commands = self.abandon(Outcome::Interrupted);
                commands.extend(self.press(now, at));
                commands
            }
            // The finger bounced or came back within the grace: the turn goes on.
            (Phase::Grace { ears, .. }, WakeMode::Hold) => {
                self.phase = Phase::Listening { ears: ears.clone() };
                Vec::new()
            }
            (Phase::Listening { .. }, WakeMode::Hold) => Vec::new(),
            (_, WakeMode::Press) => self.abandon(Outcome::Interrupted),
        }
    }

    fn release(&mut self, at: Mono, by: EndedBy) -> Vec<Command> {
        let (Phase::Listening { ears }, WakeMode::Hold) = (&self.phase, self.rules.mode) else { return Vec::new() };
        self.phase = Phase::Grace { ears: ears.clone(), until: at + self.rules.grace, by };
        // Who lets go has finished, but for a last word that the grace may still bring.
        self.guess(Duration::ZERO)
    }

    fn frame(&mut self, now: Mono, frame: Hearing, finished: Option<Finished>) -> Vec<Command> {
        let SpeculationSettings { after, .. } = self.rules.speculation;
        match &mut self.phase {
            Phase::Listening { ears } => {
                ears.push(frame);
                ears.sounds(finished);
                // Who is in the middle of a sentence gets an answer prepared only where it seems to stay without its end.
                let after = if ears.is_open() { after.max(self.rules.endpoint.silence) } else { after };
                let mut commands = self.guess(after);
                commands.extend(self.judge(now));
                commands
            }
            Phase::Grace { ears, until, by } => {
                let (until, by) = (*until, *by);
                if frame.start < until {
                    ears.push(frame);
                }
                let mut commands = self.guess(after);
                if frame.end >= until {
                    commands.extend(self.commit(now, by));
                }
                commands
            }
            _ => Vec::new(),
        }
    }

    /// Has the person finished?
    fn judge(&mut self, now: Mono) -> Vec<Command> {
        let Phase::Listening { ears } = &self.phase else { return Vec::new() };
        match (ears.verdict(self.awaited), self.rules.mode) {
            (Verdict::TooLong, _) | (Verdict::Ended, WakeMode::Press) => self.commit(now, EndedBy::Endpoint),
            (Verdict::Nothing, WakeMode::Press) => self.close(now, Outcome::Silent, Phrase::NothingHeard),
            _ => Vec::new(),
        }
    }

    /// Begins a guess after `silence`, and takes back the one that stands where the person went on speaking.
    fn guess(&mut self, silence: Duration) -> Vec<Command> {
        let Some((ears, end)) = self.ears().and_then(|ears| Some((ears, ears.speech_end()?))) else {
            return Vec::new();
        };
        let turn = self.turn;
        match self.guess {
            Some(guessed) if end > guessed + SOFT_TAIL => {
                (self.guess, self.awaited) = (None, false);
                vec![Command::Retract { turn }]
            }
            None if self.guesses < self.rules.speculation.tries
                && ears.silence().is_some_and(|so_far| so_far >= silence) =>
            {
                (self.guess, self.awaited) = (Some(end), true);
                self.guesses += 1;
                vec![Command::Guess { turn }]
            }
            _ => Vec::new(),
        }
    }

    fn mute(&mut self, muted: bool) -> Vec<Command> {
        self.muted = muted;
        match self.phase {
            Phase::Listening { .. } | Phase::Grace { .. } if muted => self.abandon(Outcome::Interrupted),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, now: Mono) {
        self.turn += 1;
        (self.guess, self.awaited, self.guesses) = (None, false, 0);
        self.sound_until = now;
    }

    fn listen(&mut self, now: Mono, wake: Mono) -> Vec<Command> {
        self.begin(now);
        let ears = Endpointer::new(self.rules.endpoint.clone(), wake, self.pauses.clone());
        self.phase = Phase::Listening { ears };
        vec![Command::Listen { turn: self.turn, wake }]
    }

    fn commit(&mut self, now: Mono, by: EndedBy) -> Vec<Command> {
        self.committed = self.ears().cloned();
        if let Some(ears) = &self.committed {
            self.pauses = ears.pauses().clone();
        }
        self.phase = Phase::Thinking { since: now };
        vec![Command::Commit { turn: self.turn, by }]
    }

    fn apologize(&mut self, now: Mono, kind: &str, phrase: Phrase) -> Vec<Command> {
        self.close(now, Outcome::Failed(kind.to_owned()), phrase)
    }

    fn close(&mut self, now: Mono, outcome: Outcome, phrase: Phrase) -> Vec<Command> {
        self.phase = Phase::Closing { since: now, outcome };
        vec![Command::Say { turn: self.turn, phrase }]
    }

    fn abandon(&mut self, outcome: Outcome) -> Vec<Command> {
        let mut commands = vec![Command::Cancel { turn: self.turn }];
        commands.extend(self.finish(outcome));
        commands
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Command> {
        self.phase = Phase::Idle;
        if let Some(rules) = self.next_rules.take() {
            self.rules = rules;
        }
        vec![Command::Finish { turn: self.turn, outcome }]
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
