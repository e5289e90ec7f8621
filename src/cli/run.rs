//! `elio run`

use clap::Args;

use super::{CliError, Exit, Global, logging};
use crate::daemon::{EngineError, ServiceError, ServiceOptions, serve};
use crate::tts::TtsError;

/// Arguments of `elio run`.
#[derive(Debug, Args)]
pub struct RunArgs {}

/// Runs the speaker until a signal.
pub fn run(_args: RunArgs, global: &Global) -> Result<(), CliError> {
    let journal = logging::for_service(global);
    let config = global.load_config()?.config;
    let again = global.clone();
    let options = ServiceOptions {
        journal,
        json: global.json,
        reload: Box::new(move || match again.load_config() {
            Ok(loaded) => Ok(loaded.config),
            Err(error) => Err(error.message),
        }),
    };
    super::runtime()?.block_on(serve(config, options)).map_err(|error| CliError::new(exit_of(&error), error))
}

fn exit_of(error: &ServiceError) -> Exit {
    match error {
        ServiceError::Engine(error) => exit_of_engine(error),
        ServiceError::Claude(_) | ServiceError::Spool(_) => Exit::Config,
        ServiceError::Audio(_) | ServiceError::Wake(_) | ServiceError::Control(_) => Exit::Unavailable,
        ServiceError::Signals(_) => Exit::Failed,
    }
}

/// Exit code of an engine that cannot start.
pub(super) fn exit_of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Tts(TtsError::Cancelled) | EngineError::Thread(_) => Exit::Failed,
        EngineError::Model(_) | EngineError::Stt(_) | EngineError::Tts(_) | EngineError::Claude(_) => Exit::Config,
    }
}
