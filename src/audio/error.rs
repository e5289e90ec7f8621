//! The room's errors: each names the device or file and the mend.

use std::path::PathBuf;

/// Which way sound goes: it picks the words of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Microphone.
    Capture,
    /// Speaker.
    Playback,
}

impl Way {
    /// Key path of the device's name in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Way::Capture => "audio.capture.device",
            Way::Playback => "audio.playback.device",
        }
    }

    /// The command that lists devices.
    pub fn list(self) -> &'static str {
        match self {
            Way::Capture => "arecord -L",
            Way::Playback => "aplay -L",
        }
    }
}

/// What can go wrong with sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// The machine has no sound card at all. At the start: report and end (exit 69); later: wait for it.
    #[error(
        "sound device `{device}`: /dev/snd does not exist, so there is no sound card here: load its driver, \
         or pass /dev/snd into the container ({} is the setting)", way.key()
    )]
    NoCard {
        /// ALSA name.
        device: String,
        /// Direction.
        way: Way,
    },
    /// No device has this name. At the start: report and end (exit 69); later: it was unplugged, wait for it.
    #[error(
        "sound device `{device}` does not exist{detail}: `{}` lists the names for {}", way.list(), way.key()
    )]
    NotFound {
        /// ALSA name.
        device: String,
        /// Direction.
        way: Way,
        /// What ALSA said, or nothing; begins with a space.
        detail: String,
    },
    /// The device is there, and this user may not open it. Report and end.
    #[error(
        "sound device `{device}`: permission denied on /dev/snd: add the user to the group audio \
         (usermod -aG audio USER; SupplementaryGroups=audio in the unit)"
    )]
    Permission {
        /// ALSA name.
        device: String,
    },
    /// Another program holds the device. Wait and try again, or report.
    #[error("sound device `{device}` is in use by another program: `fuser -v /dev/snd/*` shows which")]
    Busy {
        /// ALSA name.
        device: String,
    },
    /// The device does not do what the configuration asks for. Report and end.
    #[error("sound device `{device}`: {what}")]
    Unsupported {
        /// ALSA name.
        device: String,
        /// What is asked for, what it offers, and the setting.
        what: String,
    },
    /// The device went away while it was in use. It is tried again by itself; nothing to do but say so.
    #[error("sound device `{device}` is gone ({why}): it is tried again until it returns")]
    Gone {
        /// ALSA name.
        device: String,
        /// What it said last.
        why: String,
    },
    /// Any other refusal of the device. Report; it is tried again by itself after a loss.
    #[error("sound device `{device}`: {call} failed: {why}")]
    Device {
        /// ALSA name.
        device: String,
        /// ALSA's function.
        call: String,
        /// Why, in the system's words.
        why: String,
    },
    /// A WAV file cannot be read or written. Report it to whoever named the file.
    #[error("WAV file {}: {why}", path.display())]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The network of the voice detector cannot be used: go on with the detector that is built in, and say so.
    #[error("{0}")]
    Detector(String),
    /// The system gave no thread or descriptor. Report and end.
    #[error("sound thread `{name}` cannot start: {why}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// Why, in the system's words.
        why: String,
    },
}
