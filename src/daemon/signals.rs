//! What a service is told by signals: to stop, to stop at once, to read its configuration again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::notify::Notifier;

/// SIGTERM, SIGINT and SIGHUP.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads at each SIGHUP; returns at the first signal that asks to stop.
    pub(super) async fn serve(&mut self, notifier: &Notifier, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    notifier.reloading();
                    reload();
                    notifier.ready();
                }
            }
        }
    }

    /// Returns at the next signal that asks to stop.
    pub(super) async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
