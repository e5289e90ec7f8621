//! The states that a person can see: LED, `STATUS=`, `elio status`.

use serde::{Deserialize, Serialize};

/// What a person can see of the speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visible {
    /// Not ready yet.
    Starting,
    /// Waits for the button.
    Idle,
    /// Hears a person.
    Listening,
    /// Works on the answer.
    Thinking,
    /// Speaks.
    Speaking,
    /// The mute switch is on.
    Muted,
    /// Cannot reach Claude.
    Offline,
    /// A device is missing.
    Fault,
}

impl Visible {
    /// Its name, as the JSON writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Visible::Starting => "starting",
            Visible::Idle => "idle",
            Visible::Listening => "listening",
            Visible::Thinking => "thinking",
            Visible::Speaking => "speaking",
            Visible::Muted => "muted",
            Visible::Offline => "offline",
            Visible::Fault => "fault",
        }
    }
}
