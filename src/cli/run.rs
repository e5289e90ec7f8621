//! `elio run`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio run`.
#[derive(Debug, Args)]
pub struct RunArgs {}

/// Runs `elio run`.
pub fn run(_args: RunArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
