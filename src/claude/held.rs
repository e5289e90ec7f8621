//! One connection in hand, HTTP/2 or HTTP/1.1: opened, driven until it closes, asked whether it takes one more request.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Timing;
use super::dial::Stream;
use super::error::chain;
use super::goaway::Watched;
use crate::clock::Mono;

pub(super) type Body = Full<Bytes>;

enum Sender {
    H2(http2::SendRequest<Body>),
    H1(http1::SendRequest<Body>),
}

/// What is known of a connection beyond its sender.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) opened_at: Mono,
    /// For people.
    pub(super) protocol: &'static str,
    pub(super) requests: AtomicU64,
    /// It takes no new request; what is under way may still end.
    closed: AtomicBool,
}

impl Life {
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }
}

/// A connection in hand. HTTP/1.1 carries one request at a time: it is out of the slot until it is put back.
pub(super) struct Held {
    sender: Sender,
    pub(super) life: Arc<Life>,
}

/// What connections live by.
#[derive(Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// A connection has closed, or will.
    lost: Arc<Notify>,
}

impl Held {
    /// The HTTP handshake over an open stream.
    pub(super) async fn open(io: Stream, h2: bool, timing: &Timing, tasks: &Tasks) -> hyper::Result<Held> {
        let life = Arc::new(Life {
            opened_at: timing.clock.now(),
            protocol: if h2 { "h2" } else { "http/1.1" },
            requests: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let sender = if h2 {
            let (goes, of) = (Arc::clone(&life), tasks.clone());
            let io = Watched::new(io, move || {
                log::debug!("claude: the server leaves the connection (GOAWAY)");
                of.close(&goes);
            });
            let (sender, connection) = http2::Builder::new(tasks.clone())
                .timer(TokioTimer::new())
                .keep_alive_interval(timing.ping_interval)
                .keep_alive_timeout(timing.ping_timeout)
                .keep_alive_while_idle(true)
                .handshake::<_, Body>(TokioIo::new(io))
                .await?;
            tasks.drive(connection, &life);
            Sender::H2(sender)
        } else {
            let (sender, connection) = http1::handshake::<TokioIo<Stream>, Body>(TokioIo::new(io)).await?;
            tasks.drive(connection, &life);
            Sender::H1(sender)
        };
        Ok(Held { sender, life })
    }

    pub(super) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    pub(super) fn usable(&self) -> bool {
        let ready = match &self.sender {
            Sender::H2(sender) => sender.is_ready(),
            Sender::H1(sender) => sender.is_ready(),
        };
        ready && self.life.is_open()
    }

    /// The same connection once more, where it carries several requests at a time.
    pub(super) fn share(&self) -> Option<Held> {
        match &self.sender {
            Sender::H2(sender) => Some(Held { sender: Sender::H2(sender.clone()), life: Arc::clone(&self.life) }),
            Sender::H1(_) => None,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match &mut self.sender {
            Sender::H2(sender) => sender.try_send_request(request).await,
            Sender::H1(sender) => sender.try_send_request(request).await,
        }
    }

    /// An HTTP/1.1 connection whose response was read to its end and that carries the next request; HTTP/2 never left.
    pub(super) async fn comes_back(&mut self) -> bool {
        match &mut self.sender {
            Sender::H1(sender) => sender.ready().await.is_ok(),
            Sender::H2(_) => false,
        }
    }
}

impl Tasks {
    pub(super) fn new(tracker: TaskTracker, stop: CancellationToken) -> Tasks {
        Tasks { tracker, stop, lost: Arc::new(Notify::new()) }
    }

    /// Resolves when a connection closes or takes no more requests, for whatever reason.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// No new request goes over this connection.
    pub(super) fn close(&self, life: &Life) {
        life.closed.store(true, Ordering::Release);
        self.lost.notify_one();
    }

    /// Moves the connection's bytes until it closes, and says so then.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static, life: &Arc<Life>) {
        let (life, of) = (Arc::clone(life), self.clone());
        self.tracker.spawn(async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = of.stop.cancelled() => Ok(()),
            };
            match ended {
                Ok(()) => log::debug!("claude: the connection closed"),
                Err(error) => log::debug!("claude: the connection closed: {}", chain(&error)),
            }
            of.close(&life);
        });
    }
}

/// Hyper's own tasks of an HTTP/2 connection, under the tracker like every other. They hold the socket: a connection
/// is ended by ending them, not by dropping hyper's `Connection`.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.tracker.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }
}

/// Nobody began to work on the request: it never left, its stream was refused (RFC 9113, 8.7), or the server's GOAWAY
/// said that its stream lies beyond the last one that it looks at (h2 gives that error to no other stream).
pub(super) fn is_unprocessed(failure: &mut TrySendError<Request<Body>>) -> bool {
    if failure.take_message().is_some() {
        return true;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(failure.error());
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (refused || error.is_go_away());
        }
        cause = error.source();
    }
    false
}
