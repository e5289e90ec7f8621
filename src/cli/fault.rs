//! `elio fault`

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, Exit, Global, logging};
use crate::config;
use crate::daemon::show_fault;

/// Arguments of `elio fault`.
#[derive(Debug, Args)]
pub struct FaultArgs {}

/// Shows that the service has given up, until a signal.
pub fn run(_args: FaultArgs, global: &Global) -> Result<(), CliError> {
    logging::for_service(global);
    // The configuration may be what is wrong: what can be read of it serves.
    let config = config::load_what_is_right(&global.load_options());
    let failed = |error| CliError::new(Exit::Failed, format!("signals cannot be received: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Failed, format!("the runtime cannot start: {error}")))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let until = CancellationToken::new();
        let mut shown = std::pin::pin!(show_fault(&config, until.clone()));
        tokio::select! {
            () = &mut shown => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        until.cancel();
        Ok(())
    })
}
