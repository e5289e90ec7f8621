//! `elio run`

use clap::Args;

use super::{CliError, Global, logging};
use crate::clock::Mono;
use crate::daemon::{ServiceOptions, serve};

/// Arguments of `elio run`.
#[derive(Debug, Args)]
pub struct RunArgs {}

/// Runs the speaker until a signal.
pub fn run(_args: RunArgs, global: &Global) -> Result<(), CliError> {
    // As near to the process's start as a program comes: before it is only the loader of shared libraries.
    let begun = Mono::now();
    let journal = logging::for_service(global);
    let config = global.load_config()?.config;
    let again = global.clone();
    let options = ServiceOptions {
        begun,
        journal,
        json: global.json,
        reload: Box::new(move || match again.load_config() {
            Ok(loaded) => Ok(loaded.config),
            Err(error) => Err(error.message),
        }),
    };
    Ok(super::runtime()?.block_on(serve(config, options))?)
}
