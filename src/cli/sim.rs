//! `elio sim`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio sim`.
#[derive(Debug, Args)]
pub struct SimArgs {}

/// Runs `elio sim`.
pub fn run(_args: SimArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
