//! `elio check`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio check`.
#[derive(Debug, Args)]
pub struct CheckArgs {}

/// Runs `elio check`.
pub fn run(_args: CheckArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
