//! Ends an inference that runs.

use std::sync::{Arc, Mutex, PoisonError};

use ort::session::{NoSelectedOutputs, RunOptions};
use tokio_util::sync::CancellationToken;

use super::one_line;

/// Ends the inference of an utterance that is cancelled.
#[derive(Default)]
pub(crate) struct Stop {
    cancel: CancellationToken,
    running: Mutex<Option<Arc<RunOptions<NoSelectedOutputs>>>>,
}

impl Stop {
    pub(crate) fn on(cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self { cancel, running: Mutex::default() })
    }

    /// Options for a run that [`Stop::end`] ends.
    pub(crate) fn begin(&self) -> Result<Arc<RunOptions<NoSelectedOutputs>>, ort::Error> {
        let options = Arc::new(RunOptions::new()?);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(options.clone());
        // The cancelling one may have looked before there was something to end.
        if self.cancel.is_cancelled() {
            options.terminate()?;
        }
        Ok(options)
    }

    /// Cancels it, and ends the run.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
        self.end();
    }

    /// What cancels it.
    pub(crate) fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Ends the run, if one runs. Call it once the token is cancelled.
    pub(crate) fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = running.map(|options| options.terminate()) {
            log::debug!("the inference cannot be ended: {}", one_line(error));
        }
    }
}
