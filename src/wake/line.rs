//! What the wake room needs of a GPIO line: small enough that a test drives it with a channel and a flag.

use std::fmt;
use std::future::Future;

use super::WakeError;
use crate::clock::Mono;
use crate::config::{LineName, LineSettings};

/// What a line is for. It is shown as its key in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `wake.button`
    Button,
    /// `wake.led`
    Led,
    /// `wake.mute`
    Mute,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Button => "wake.button",
            Role::Led => "wake.led",
            Role::Mute => "wake.mute",
        })
    }
}

/// A line as a message names it.
pub(super) fn shown(line: &LineName) -> String {
    match line {
        LineName::Name(name) => format!("GPIO line `{name}`"),
        LineName::Offset { chip, offset } => format!("{chip} line {offset}"),
    }
}

/// One raw edge, before any debounce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    /// The line became active (polarity already applied).
    pub active: bool,
    /// The kernel's stamp.
    pub at: Mono,
}

/// A machine's lines.
pub(super) trait Lines {
    /// An input whose edges are reported, both ways.
    type Input: InputLine;
    /// An output.
    type Output: OutputLine + 'static;

    /// Requests an input. A pull resistor that the chip refuses is a warning, not an error.
    fn input(&self, role: Role, line: &LineSettings) -> Result<Self::Input, WakeError>;

    /// Requests an output, inactive.
    fn output(&self, role: Role, line: &LineSettings) -> Result<Self::Output, WakeError>;
}

/// An input line.
pub(super) trait InputLine: Send + 'static {
    /// The level now: is it active?
    fn active(&mut self) -> Result<bool, WakeError>;

    /// The next edge, in order; edges wait in a queue until they are asked for. Dropping the future loses none.
    fn edge(&mut self) -> impl Future<Output = Result<Edge, WakeError>> + Send;
}

/// An output line.
pub(super) trait OutputLine: Send + Sync {
    /// Sets it active or not.
    fn set(&self, active: bool) -> Result<(), WakeError>;
}
