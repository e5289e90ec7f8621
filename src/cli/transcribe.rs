//! `elio transcribe`

use clap::Args;

use super::{CliError, Exit, Global};

/// Arguments of `elio transcribe`.
#[derive(Debug, Args)]
pub struct TranscribeArgs {}

/// Runs `elio transcribe`.
pub fn run(_args: TranscribeArgs, _global: &Global) -> Result<(), CliError> {
    Err(CliError::new(Exit::Failed, "not built yet"))
}
