//! `elio demo`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {}

/// Runs `elio demo`.
pub fn run(_args: DemoArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
