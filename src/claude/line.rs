//! The one connection to the API: opened ahead of need, kept open, counted. It is held here rather than in an HTTP
//! client's pool, because the record wants the truth about it: opened when, by whom, and how many requests it carried.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dial::Dialer;
use super::error::chain;
use super::held::{Body, Held, Life, Tasks, is_unprocessed};
use super::{ClaudeError, Timing};
use crate::clock::Mono;

/// The connection as it stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionState {
    /// A request could leave now without a handshake.
    pub open: bool,
    /// When the last one was opened.
    pub opened_at: Option<Mono>,
    /// Connections opened since the start.
    pub opened_total: u64,
    /// Requests that the last one has carried.
    pub requests: u64,
}

/// The connection under one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionUse {
    /// It was open before the request wanted one.
    pub reused: bool,
    /// Its age when the request left.
    pub age: Duration,
    /// From the wish for a connection to having one: the handshake, where there was one.
    pub wait: Duration,
    /// Requests that it had carried before.
    pub requests_before: u64,
}

/// A response, and the connection that it still comes over.
pub(super) struct Sent {
    pub response: Response<Incoming>,
    pub connection: ConnectionUse,
    /// Just before the request left.
    pub at: Mono,
    pub held: Held,
}

/// Why there is no response.
pub(super) struct Unsent {
    pub error: ClaudeError,
    /// It may be sent once more, at once, on a new connection: provably nobody began to work on it, or it is a check,
    /// which costs nothing.
    pub again: bool,
}

impl From<ClaudeError> for Unsent {
    fn from(error: ClaudeError) -> Self {
        Unsent { error, again: false }
    }
}

/// Opens, holds and renews the connection.
pub(super) struct Line {
    dialer: Dialer,
    timing: Timing,
    slot: Mutex<Option<Held>>,
    last: Mutex<Option<Arc<Life>>>,
    opening: tokio::sync::Mutex<()>,
    opened_total: AtomicU64,
    used_at: AtomicU64,
    tasks: Tasks,
}

impl Line {
    pub(super) fn new(dialer: Dialer, timing: Timing, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            dialer,
            timing,
            slot: Mutex::new(None),
            last: Mutex::new(None),
            opening: tokio::sync::Mutex::new(()),
            opened_total: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            tasks: Tasks::new(tasks, stop),
        }
    }

    pub(super) fn host(&self) -> &str {
        self.dialer.host()
    }

    fn now(&self) -> Mono {
        self.timing.clock.now()
    }

    pub(super) fn state(&self) -> ConnectionState {
        let last = locked(&self.last);
        ConnectionState {
            open: last.as_ref().is_some_and(|life| life.is_open()),
            opened_at: last.as_ref().map(|life| life.opened_at),
            opened_total: self.opened_total.load(Ordering::Relaxed),
            requests: last.as_ref().map_or(0, |life| life.requests.load(Ordering::Relaxed)),
        }
    }

    /// Bytes of a response came.
    pub(super) fn touch(&self) {
        self.used_at.store(self.now().as_nanos(), Ordering::Relaxed);
    }

    /// When bytes of a response came last: until then the path was known to be good.
    pub(super) fn used_at(&self) -> Mono {
        Mono::from_nanos(self.used_at.load(Ordering::Relaxed))
    }

    /// Resolves when a connection closes or takes no more requests, for whatever reason.
    pub(super) async fn lost(&self) {
        self.tasks.lost().await;
    }

    /// Sends one request and waits, at most `patience`, for the response headers. A connection on which they do not come
    /// takes no new request; what waits on it may still be answered.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
        check: bool,
    ) -> Result<Sent, Unsent> {
        let wanted = self.now();
        let (mut held, reused) = self.take().await?;
        let before = held.life.requests.fetch_add(1, Ordering::AcqRel);
        let at = self.now();
        let connection = ConnectionUse {
            reused,
            age: at.since(held.life.opened_at),
            wait: at.since(wanted),
            requests_before: before,
        };
        self.dialer.address(&mut request, held.is_h2());
        match tokio::time::timeout(patience, held.send(request)).await {
            Ok(Ok(response)) => {
                self.touch();
                Ok(Sent { response, connection, at, held })
            }
            Ok(Err(mut failure)) => {
                self.discard(&held);
                let again = is_unprocessed(&mut failure) || check && before > 0;
                let (host, fault) = (self.host().to_owned(), chain(failure.error()));
                let error = ClaudeError::Cut { host, fault, request_id: None, connection: None };
                Err(Unsent { error: error.over(connection), again })
            }
            Err(_) => {
                // Nobody knows whether the path or the server is silent; the next request gets a path of its own.
                self.discard(&held);
                let error = ClaudeError::Timeout {
                    host: self.host().to_owned(),
                    awaited: "response",
                    after: patience,
                    request_id: None,
                    connection: None,
                };
                Err(Unsent { error: error.over(connection), again: check && before > 0 })
            }
        }
    }

    /// A usable connection, and whether it was open already. Two that want one at the same time open only one.
    async fn take(&self) -> Result<(Held, bool), ClaudeError> {
        if let Some(held) = self.take_open() {
            return Ok((held, true));
        }
        let _opening = self.opening.lock().await;
        if let Some(held) = self.take_open() {
            return Ok((held, false));
        }
        let held = self.open().await?;
        *locked(&self.slot) = held.share();
        self.opened(&held.life);
        Ok((held, false))
    }

    /// Opens a connection beside the one that is there and then puts it in its place: the next request takes the new one
    /// without a wait, and what is under way on the old one ends there.
    pub(super) async fn renew(&self) -> Result<(), ClaudeError> {
        let known = self.opened_total.load(Ordering::Relaxed);
        let _opening = self.opening.lock().await;
        if self.opened_total.load(Ordering::Relaxed) == known {
            let new = self.open().await?;
            let life = Arc::clone(&new.life);
            *locked(&self.slot) = Some(new);
            self.opened(&life);
        }
        Ok(())
    }

    fn take_open(&self) -> Option<Held> {
        let mut slot = locked(&self.slot);
        let held = slot.take().filter(Held::usable)?;
        *slot = held.share();
        Some(held)
    }

    /// The response of a connection was read to its end: HTTP/1.1 may carry the next request.
    pub(super) async fn put_back(&self, mut held: Held) {
        if held.comes_back().await {
            let mut slot = locked(&self.slot);
            if slot.as_ref().is_none_or(|other| !other.usable()) {
                *slot = Some(held);
            }
        }
    }

    /// No new request goes over this connection; those that are under way end in peace.
    pub(super) fn discard(&self, held: &Held) {
        let mut slot = locked(&self.slot);
        if slot.as_ref().is_some_and(|open| Arc::ptr_eq(&open.life, &held.life)) {
            *slot = None;
        }
        self.tasks.close(&held.life);
    }

    async fn open(&self) -> Result<Held, ClaudeError> {
        let (io, h2) = self.dialer.dial().await?;
        Held::open(io, h2, &self.timing, &self.tasks).await.map_err(|error| ClaudeError::Offline {
            host: self.host().to_owned(),
            fault: format!("the HTTP handshake failed ({})", chain(&error)),
        })
    }

    /// A new connection is in its place: it may be told of.
    fn opened(&self, life: &Arc<Life>) {
        self.touch();
        *locked(&self.last) = Some(Arc::clone(life));
        let number = self.opened_total.fetch_add(1, Ordering::Relaxed) + 1;
        // A server that closes idle connections must not fill the journal.
        let level = if number == 1 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "claude: connection {number} to {} is open ({})", self.host(), life.protocol);
    }
}

/// A lock whose holder never panics in between; a poisoned one is as good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
