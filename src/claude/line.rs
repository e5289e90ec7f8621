//! The one connection to the API: opened ahead of need, kept open, counted. It is held here rather than in an HTTP
//! client's pool, because the record wants the truth about it: opened when, by whom, and how many requests it carried.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ClaudeError;
use super::dial::{Dialer, Stream};
use crate::clock::Mono;

/// HTTP/2 pings keep the flow alive in a home router (some drop it after 60 s) and find a dead one.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// It had carried a request before.
    pub reused: bool,
    /// Its age when the request left.
    pub age: Duration,
    /// From the wish for a connection to having one: the handshake, where there was one.
    pub wait: Duration,
    /// Requests that it had carried before.
    pub requests_before: u64,
}

type Body = Full<Bytes>;

enum Sender {
    H2(http2::SendRequest<Body>),
    H1(http1::SendRequest<Body>),
}

/// What is known of a connection beyond its sender.
#[derive(Debug)]
struct Life {
    opened_at: Mono,
    requests: AtomicU64,
    closed: AtomicBool,
    /// Ends the connection under whatever is still under way on it.
    kill: CancellationToken,
}

/// A connection in hand. HTTP/1.1 carries one request at a time: it is out of the slot until it is put back.
pub(super) struct Held {
    sender: Sender,
    life: Arc<Life>,
}

impl Held {
    fn usable(&self) -> bool {
        let ready = match &self.sender {
            Sender::H2(sender) => sender.is_ready(),
            Sender::H1(sender) => sender.is_ready(),
        };
        ready && !self.life.closed.load(Ordering::Acquire)
    }
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
    /// The request may be sent once more, at once, on a new connection: it died before the response headers on a
    /// connection that had worked before, or it provably never left.
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
    slot: Mutex<Option<Held>>,
    last: Mutex<Option<Arc<Life>>>,
    opening: tokio::sync::Mutex<()>,
    opened_total: AtomicU64,
    used_at: AtomicU64,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// A connection has closed.
    lost: Arc<Notify>,
}

impl Line {
    pub(super) fn new(dialer: Dialer, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            dialer,
            slot: Mutex::new(None),
            last: Mutex::new(None),
            opening: tokio::sync::Mutex::new(()),
            opened_total: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            tasks,
            stop,
            lost: Arc::new(Notify::new()),
        }
    }

    pub(super) fn host(&self) -> &str {
        self.dialer.host()
    }

    pub(super) fn state(&self) -> ConnectionState {
        let last = locked(&self.last);
        ConnectionState {
            open: last.as_ref().is_some_and(|life| !life.closed.load(Ordering::Acquire)),
            opened_at: last.as_ref().map(|life| life.opened_at),
            opened_total: self.opened_total.load(Ordering::Relaxed),
            requests: last.as_ref().map_or(0, |life| life.requests.load(Ordering::Relaxed)),
        }
    }

    /// Bytes of a response came.
    pub(super) fn touch(&self) {
        self.used_at.store(Mono::now().as_nanos(), Ordering::Relaxed);
    }

    /// When bytes of a response came last: until then the path was known to be good.
    pub(super) fn used_at(&self) -> Mono {
        Mono::from_nanos(self.used_at.load(Ordering::Relaxed))
    }

    /// Resolves when a connection closes, for whatever reason.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Sends one request and waits, at most `patience`, for the response headers. A `check` that stays silent on a
    /// connection that worked before ends that connection: the path is dead, and a question that is waiting on it
    /// leaves at once on a new one.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
        check: bool,
    ) -> Result<Sent, Unsent> {
        let wanted = Mono::now();
        let mut held = self.take().await?;
        let before = held.life.requests.fetch_add(1, Ordering::AcqRel);
        let at = Mono::now();
        let connection = ConnectionUse {
            reused: before > 0,
            age: at.since(held.life.opened_at),
            wait: at.since(wanted),
            requests_before: before,
        };
        self.dialer.address(&mut request, matches!(held.sender, Sender::H2(_)));
        let result = match &mut held.sender {
            Sender::H2(sender) => tokio::time::timeout(patience, sender.try_send_request(request)).await,
            Sender::H1(sender) => tokio::time::timeout(patience, sender.try_send_request(request)).await,
        };
        match result {
            Ok(Ok(response)) => {
                self.touch();
                Ok(Sent { response, connection, at, held })
            }
            Ok(Err(failure)) => {
                self.discard(&held);
                Err(self.died(failure, connection.reused))
            }
            Err(_) => {
                // Nobody knows whether the path or the server is silent; the next request gets a path of its own.
                self.discard(&held);
                let dead = check && connection.reused;
                if dead {
                    held.life.kill.cancel();
                }
                let host = self.host().to_owned();
                let error = ClaudeError::Timeout { host, awaited: "response", after: patience, request_id: None };
                Err(Unsent { error, again: dead })
            }
        }
    }

    fn died(&self, mut failure: TrySendError<Request<Body>>, reused: bool) -> Unsent {
        let never_left = failure.take_message().is_some();
        let fault = chain(failure.error());
        let error = ClaudeError::Cut { host: self.host().to_owned(), fault, request_id: None };
        Unsent { error, again: reused || never_left }
    }

    /// A usable connection: the open one, or a new one. Two that want one at the same time open only one.
    async fn take(&self) -> Result<Held, ClaudeError> {
        if let Some(held) = self.take_open() {
            return Ok(held);
        }
        let _opening = self.opening.lock().await;
        if let Some(held) = self.take_open() {
            return Ok(held);
        }
        let held = self.open().await?;
        if let Sender::H2(sender) = &held.sender {
            *locked(&self.slot) = Some(Held { sender: Sender::H2(sender.clone()), life: Arc::clone(&held.life) });
        }
        Ok(held)
    }

    fn take_open(&self) -> Option<Held> {
        let mut slot = locked(&self.slot);
        let held = slot.take().filter(Held::usable)?;
        if let Sender::H2(sender) = &held.sender {
            *slot = Some(Held { sender: Sender::H2(sender.clone()), life: Arc::clone(&held.life) });
        }
        Some(held)
    }

    /// The response of a connection was read to its end: HTTP/1.1 may carry the next request.
    pub(super) async fn put_back(&self, mut held: Held) {
        if let Sender::H1(sender) = &mut held.sender
            && sender.ready().await.is_ok()
        {
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
        held.life.closed.store(true, Ordering::Release);
        self.lost.notify_one();
    }

    async fn open(&self) -> Result<Held, ClaudeError> {
        let (io, h2) = self.dialer.dial().await?;
        let failed = |error: hyper::Error| ClaudeError::Offline {
            host: self.host().to_owned(),
            fault: format!("the HTTP handshake failed ({})", chain(&error)),
        };
        let life = Arc::new(Life {
            opened_at: Mono::now(),
            requests: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            kill: self.stop.child_token(),
        });
        let io = TokioIo::new(io);
        let sender = if h2 {
            let (sender, connection) =
                http2::Builder::new(Tracked { tasks: self.tasks.clone(), kill: life.kill.clone() })
                    .timer(TokioTimer::new())
                    .keep_alive_interval(PING_INTERVAL)
                    .keep_alive_timeout(PING_TIMEOUT)
                    .keep_alive_while_idle(true)
                    .handshake::<TokioIo<Stream>, Body>(io)
                    .await
                    .map_err(failed)?;
            self.drive(connection, &life);
            Sender::H2(sender)
        } else {
            let (sender, connection) = http1::handshake::<TokioIo<Stream>, Body>(io).await.map_err(failed)?;
            self.drive(connection, &life);
            Sender::H1(sender)
        };
        let number = self.opened_total.fetch_add(1, Ordering::Relaxed) + 1;
        log::info!("claude: connection {number} to {} is open ({})", self.host(), if h2 { "h2" } else { "http/1.1" });
        *locked(&self.last) = Some(Arc::clone(&life));
        Ok(Held { sender, life })
    }

    /// Moves the connection's bytes until it closes, and says so then.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static, life: &Arc<Life>) {
        let (life, lost) = (Arc::clone(life), Arc::clone(&self.lost));
        self.tasks.spawn(async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = life.kill.cancelled() => Ok(()),
            };
            match ended {
                Ok(()) => log::debug!("claude: the connection closed"),
                Err(error) => log::debug!("claude: the connection closed: {}", chain(&error)),
            }
            life.closed.store(true, Ordering::Release);
            lost.notify_one();
        });
    }
}

/// Hyper's own tasks of an HTTP/2 connection, under the tracker like every other. They hold the socket: a connection
/// is ended by ending them, not by dropping hyper's `Connection`.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    kill: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.tasks.spawn(self.kill.clone().run_until_cancelled_owned(task));
    }
}

/// An error and its causes, on one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// A lock whose holder never panics in between; a poisoned one is as good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
