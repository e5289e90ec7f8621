//! `elio say`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio say`.
#[derive(Debug, Args)]
pub struct SayArgs {}

/// Runs `elio say`.
pub fn run(_args: SayArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
