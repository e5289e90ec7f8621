//! `elio split`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio split`.
#[derive(Debug, Args)]
pub struct SplitArgs {}

/// Runs `elio split`.
pub fn run(_args: SplitArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
