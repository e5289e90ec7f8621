//! How a command ends: one line for the person, one exit code for the script.

use std::fmt;

/// Exit codes, fixed for scripts (those above 2 are `sysexits.h`'s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed for a reason that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A service or a device is not available.
    Unavailable = 69,
    /// A passing fault: the same command may work later.
    TryAgain = 75,
    /// The configuration (or a model that it names) is wrong.
    Config = 78,
}

/// Why a command failed: the message is one line that names the thing and the mend.
#[derive(Debug)]
pub struct CliError {
    /// Exit code.
    pub exit: Exit,
    /// What went wrong and what to do, without a final full stop.
    pub message: String,
}

impl CliError {
    /// A failure with its code; `message` is any error that displays in one line.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}
