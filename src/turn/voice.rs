//! A turn's way to the playback queue: sound that is heard at once, or that waits until the person has finished.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::audio::Playback;
use crate::clock::Mono;
use crate::tts::Spoken;

/// Where sound goes: the playback queue, or a test's ear. Every call carries the turn's number.
pub trait Player: Send + Sync {
    /// A turn's sound begins.
    fn begin(&self, turn: u64);
    /// Mono samples at `rate` Hz.
    fn push(&self, turn: u64, rate: u32, samples: &[f32]);
    /// No more sound of this turn comes.
    fn finish(&self, turn: u64);
    /// Drop what is queued of this turn.
    fn cancel(&self, turn: u64);
}

impl Player for Playback {
    fn begin(&self, turn: u64) {
        Playback::begin(self, turn);
    }
    fn push(&self, turn: u64, rate: u32, samples: &[f32]) {
        Playback::push(self, turn, rate, samples);
    }
    fn finish(&self, turn: u64) {
        Playback::finish(self, turn);
    }
    fn cancel(&self, turn: u64) {
        Playback::cancel(self, turn);
    }
}

/// [`Spoken`] without its samples.
#[derive(Clone, Debug)]
pub(super) struct SpokenFacts {
    pub(super) audio: Duration,
    pub(super) lead_silence: Duration,
    pub(super) first_pcm: Mono,
    pub(super) done: Mono,
    pub(super) voice: String,
    pub(super) cached: bool,
}

/// One turn's way to the playback queue. The turn's task runs beside the runner that cancels it: once silenced, the
/// turn can begin no sound, however late its task notices.
pub(super) struct TurnVoice {
    turn: u64,
    state: Mutex<VoiceState>,
}

#[derive(Default)]
struct VoiceState {
    begun: bool,
    silenced: bool,
    /// Sound of a guess waits for the commit, and whether it is complete.
    held: Option<(Vec<Spoken>, bool)>,
}

impl TurnVoice {
    pub(super) fn new(turn: u64) -> Self {
        Self { turn, state: Mutex::default() }
    }

    /// The voice of a guess: its sound waits until [`TurnVoice::release`].
    pub(super) fn held(turn: u64) -> Self {
        let state = VoiceState { held: Some(Default::default()), ..VoiceState::default() };
        Self { turn, state: Mutex::new(state) }
    }

    /// The guess was right: what waits is queued, and what comes is queued as it comes.
    pub(super) fn release(&self, player: &dyn Player) {
        loop {
            let mut state = self.state();
            let Some((waiting, complete)) = &mut state.held else { return };
            let waiting = std::mem::take(waiting);
            if waiting.is_empty() {
                let complete = *complete;
                state.held = None;
                if complete {
                    player.finish(self.turn);
                }
                return;
            }
            let begins = !state.begun && !state.silenced;
            state.begun |= begins;
            // What the task adds meanwhile waits behind this: the order of the words holds.
            drop(state);
            if begins {
                player.begin(self.turn);
            }
            waiting.iter().for_each(|spoken| player.push(self.turn, spoken.rate, &spoken.samples));
        }
    }

    /// Sound waits again until [`TurnVoice::release`]; false where some was queued already, or none may be.
    pub(super) fn hold(&self) -> bool {
        let mut state = self.state();
        let waits = !state.begun && !state.silenced;
        if waits {
            state.held = Some(Default::default());
        }
        waits
    }

    /// No more sound of this turn comes.
    pub(super) fn finish(&self, player: &dyn Player) {
        match &mut self.state().held {
            Some((_, complete)) => *complete = true,
            None => player.finish(self.turn),
        }
    }

    /// Sound of this turn was queued.
    pub(super) fn begun(&self) -> bool {
        self.state().begun
    }

    /// Drops the turn's sound, and all that may still come of it.
    pub(super) fn silence(&self, player: &dyn Player) {
        let mut state = self.state();
        state.silenced = true;
        player.cancel(self.turn);
    }

    fn state(&self) -> MutexGuard<'_, VoiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, player: &dyn Player, spoken: Spoken) -> SpokenFacts {
        let facts = SpokenFacts {
            audio: Duration::from_secs_f64(spoken.samples.len() as f64 / f64::from(spoken.rate.max(1))),
            lead_silence: spoken.lead_silence,
            first_pcm: spoken.first_pcm,
            done: spoken.done,
            voice: spoken.voice.clone(),
            cached: spoken.cached,
        };
        let mut state = self.state();
        if let Some((waiting, _)) = &mut state.held {
            waiting.push(spoken);
            return facts;
        }
        if !state.begun && !state.silenced {
            state.begun = true;
            player.begin(self.turn);
        }
        // A long push must not make a cancel wait. The player itself refuses a turn that was cancelled.
        drop(state);
        player.push(self.turn, spoken.rate, &spoken.samples);
        facts
    }
}
