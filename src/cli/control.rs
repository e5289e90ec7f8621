//! `elio press`, `elio release`, `elio status`

use clap::Args;

use super::{CliError, Exit, Global};

/// What to ask of the running speaker.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    /// Button down.
    Press,
    /// Button up.
    Release,
    /// Report.
    Status,
}

/// Arguments of the control commands.
#[derive(Debug, Args)]
pub struct ControlArgs {}

/// Sends the verb over the control socket.
pub fn run(_verb: Verb, _args: ControlArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
