//! `elio ask`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio ask`.
#[derive(Debug, Args)]
pub struct AskArgs {}

/// Runs `elio ask`.
pub fn run(_args: AskArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
