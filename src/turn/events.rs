//! What the state machine is told and what it commands, and the rules that it goes by.

use std::time::Duration;

use super::{Finished, Hearing, Phrase};
use crate::clock::Mono;
use crate::config::{EndpointSettings, SpeculationSettings, WakeMode};
use crate::latency::Outcome;

/// By what a turn is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// `wake.mode`
    pub mode: WakeMode,
    /// `wake.grace`
    pub grace: Duration,
    /// `[endpoint]`
    pub endpoint: EndpointSettings,
    /// `[speculation]`
    pub speculation: SpeculationSettings,
}

/// What ended the person's turn, for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The button of the device.
    Button,
    /// The control socket.
    Socket,
    /// Endpointing.
    Endpoint,
}

impl EndedBy {
    /// As the record writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Button => "button",
            EndedBy::Socket => "socket",
            EndedBy::Endpoint => "endpoint",
        }
    }
}

/// What happens to a turn.
#[derive(Clone, Debug)]
pub enum Input {
    /// The button went down.
    Press { at: Mono },
    /// The button went up; `by` is the button or the socket.
    Release { at: Mono, by: EndedBy },
    /// The microphone heard a frame; how finished the words sound that were said before it, where they are known.
    Frame { heard: Hearing, finished: Option<Finished> },
    /// The first sound of the answer that is prepared waits for the commit, or none will come of it before that.
    Prepared,
    /// The mute switch moved.
    Mute(bool),
    /// The transcript is empty.
    Nothing,
    /// The turn went on (a transcript, a text, a chunk): it is not stuck.
    Progress,
    /// So much more sound, of the answer or of a ready line, is in the playback queue.
    SoundQueued(Duration),
    /// All of the turn's sound has left the speaker.
    Played,
    /// A stage failed; the phrase tells the person.
    Failed { kind: String, phrase: Phrase },
    /// The ready line could not be spoken either.
    Voiceless,
    /// The microphone is gone.
    MicrophoneLost,
    /// The microphone is back.
    MicrophoneReturned,
    /// The speaker is gone, or was gone when the turn's sound came.
    SpeakerLost,
    /// Stop whatever runs (shutdown, or its deadline).
    Stop,
}

/// What the runner must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin turn `turn`: collect frames from the pre-roll on.
    Listen { turn: u64, wake: Mono },
    /// The person may have finished: prepare the answer to what was collected, unheard.
    Guess { turn: u64 },
    /// The person goes on: the guess was wrong, drop its work.
    Retract { turn: u64 },
    /// The person has finished: answer what was collected, by the guess that stands or from the start.
    Commit { turn: u64, by: EndedBy },
    /// Say a ready line in turn `turn`, after what is already queued.
    Say { turn: u64, phrase: Phrase },
    /// Stop all work and all sound of turn `turn`.
    Cancel { turn: u64 },
    /// Turn `turn` is over: write its record.
    Finish { turn: u64, outcome: Outcome },
}
