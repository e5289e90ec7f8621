//! What the daemon says of itself: inside as instants, on the control socket as ages at the moment of the question.

use serde::{Deserialize, Serialize};

use crate::claude::Keeping;
use crate::clock::Mono;
use crate::config::WakeMode;
use crate::turn::Visible;

/// What the daemon publishes whenever it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Visible.
    pub state: Visible,
    /// In this state since.
    pub since: Mono,
    /// What the button does.
    pub mode: WakeMode,
    /// The mute switch is on.
    pub muted: bool,
    /// Turns since the start.
    pub turns: u64,
    /// The last turn's record.
    pub last_turn: Option<serde_json::Value>,
    /// The models in use.
    pub models: Models,
    /// The connection to Claude is open since; none: it is not.
    pub connected: Option<Mono>,
    /// The prompt cache and what it costs; none: not known yet.
    pub cache: Option<Keeping>,
    /// The microphone in words: device and format, or what is wrong with it.
    pub microphone: String,
    /// The speaker, likewise.
    pub speaker: String,
    /// From the process's start to the working wake button, in milliseconds; none: not yet.
    pub ready_ms: Option<u64>,
    /// From the process's start until everything was loaded; none: not yet.
    pub warm_ms: Option<u64>,
}

/// Names of the models in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Models {
    /// Whisper.
    pub stt: String,
    /// Voice or voices.
    pub voice: String,
}

/// The connection to Claude, at the moment of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// It is open.
    pub open: bool,
    /// For this long, in milliseconds.
    pub age_ms: Option<u64>,
}

/// A [`Status`] on the control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Visible.
    pub state: Visible,
    /// For this long, in milliseconds.
    pub since_ms: u64,
    /// What the button does.
    pub mode: WakeMode,
    /// The mute switch is on.
    pub muted: bool,
    /// Turns since the start.
    pub turns: u64,
    /// The last turn's record.
    pub last_turn: Option<serde_json::Value>,
    /// The models in use.
    pub models: Models,
    /// The connection to Claude.
    pub connection: Connection,
    /// The prompt cache and what it costs.
    pub cache: Option<Keeping>,
    /// The microphone in words.
    pub microphone: String,
    /// The speaker in words.
    pub speaker: String,
    /// From the process's start to the working wake button, in milliseconds; null: not yet.
    pub ready_ms: Option<u64>,
    /// From the process's start until everything was loaded; null: not yet.
    pub warm_ms: Option<u64>,
    /// Version of the running program.
    pub version: String,
}

impl Status {
    /// What a start looks like.
    pub fn starting(mode: WakeMode, now: Mono) -> Status {
        Status {
            state: Visible::Starting,
            since: now,
            mode,
            muted: false,
            turns: 0,
            last_turn: None,
            models: Models::default(),
            connected: None,
            cache: None,
            microphone: String::new(),
            speaker: String::new(),
            ready_ms: None,
            warm_ms: None,
        }
    }

    /// The report for somebody who asks at `now`.
    pub fn report(&self, now: Mono) -> Report {
        let ms = |since: Mono| now.since(since).as_millis() as u64;
        Report {
            state: self.state,
            since_ms: ms(self.since),
            mode: self.mode,
            muted: self.muted,
            turns: self.turns,
            last_turn: self.last_turn.clone(),
            models: self.models.clone(),
            connection: Connection { open: self.connected.is_some(), age_ms: self.connected.map(ms) },
            cache: self.cache.clone(),
            microphone: self.microphone.clone(),
            speaker: self.speaker.clone(),
            ready_ms: self.ready_ms,
            warm_ms: self.warm_ms,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
