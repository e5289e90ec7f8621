//! One connection: delay, TLS, HTTP by ALPN, and its end: in order, at its idle limit, cut, or silent.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api;
use super::pipe::Pipe;
use super::server::Server;
use super::spread::Rng;
use crate::clock::{Clock, Mono};

/// A handshake that takes longer is given up, and so is a client that does not answer an orderly end.
const PATIENCE: Duration = Duration::from_secs(10);
/// From the end of the response to silence: its last bytes must have left.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What the requests of a connection know of it and ask of it.
pub struct Connection {
    /// From 1.
    pub number: u64,
    /// Accepted.
    pub opened: Mono,
    /// TLS handshake.
    pub handshake: (Mono, Mono),
    /// `h2` or `http/1.1`.
    pub protocol: &'static str,
    requests: AtomicU64,
    /// Of the idle limit.
    clock: Arc<dyn Clock>,
    activity: watch::Sender<Activity>,
    cut: CancellationToken,
    close: CancellationToken,
    hush: CancellationToken,
}

/// Requests under way, and since when that has been so.
#[derive(Clone, Copy, Debug)]
struct Activity {
    active: usize,
    since: Mono,
}

impl Connection {
    /// Counts a request in; its number on this connection, and the guard that counts it out.
    pub fn request(self: &Arc<Self>) -> (u64, Active) {
        self.activity.send_modify(|a| *a = Activity { active: a.active + 1, since: self.clock.now() });
        (self.requests.fetch_add(1, Ordering::Relaxed) + 1, Active { connection: self.clone(), then: None })
    }

    /// Ends the connection in order, at once: what is under way is still answered.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Drops the connection at once, without a word.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Resolves when no request has been under way for `rest`; where that is `None`, never.
    async fn idle_for(&self, rest: Option<Duration>) {
        let Some(rest) = rest else { return std::future::pending().await };
        let mut activity = self.activity.subscribe();
        loop {
            let Activity { active, since } = *activity.borrow_and_update();
            let over = async {
                match active {
                    0 => self.clock.sleep_until(since + rest).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender is in `self`, so it lives as long as this.
                _ = activity.changed() => {}
            }
        }
    }
}

/// A request under way: counted out when dropped, and then the connection may have to end.
pub struct Active {
    connection: Arc<Connection>,
    then: Option<CancellationToken>,
}

impl Active {
    /// Afterwards the connection is ended in order; other requests under way are still answered.
    pub fn then_close(&mut self) {
        self.then = Some(self.connection.close.clone());
    }

    /// Afterwards the connection goes silent, and stays open.
    pub fn then_hush(&mut self) {
        self.then = Some(self.connection.hush.clone());
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let Connection { activity, clock, .. } = &*self.connection;
        activity.send_modify(|a| *a = Activity { active: a.active.saturating_sub(1), since: clock.now() });
        if let Some(token) = &self.then {
            token.cancel();
        }
    }
}

/// Serves one accepted socket to its end.
pub async fn serve(server: Arc<Server>, socket: TcpStream, opened: Mono) {
    let stop = server.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = serve_unstopped(server, socket, opened) => {}
    }
}

async fn serve_unstopped(server: Arc<Server>, socket: TcpStream, opened: Mono) {
    let number = server.log.connection();
    // Without it the kernel would hold back small events; a socket that refuses is only slower.
    let _ = socket.set_nodelay(true);
    let silent = Arc::new(AtomicBool::new(false));
    let rng = Rng::new(server.options.seed ^ number.rotate_left(32));
    let pipe = Pipe::new(socket, server.options.net_delay, rng, silent.clone(), &server.tasks);

    let began = Mono::now();
    let tls = match timeout(PATIENCE, TlsAcceptor::from(server.tls.clone()).accept(pipe)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return log::debug!("connection {number}: no TLS: {error}"),
        Err(_) => return log::debug!("connection {number}: no TLS within {PATIENCE:?}"),
    };
    let protocol = if tls.get_ref().1.alpn_protocol() == Some(b"h2") { "h2" } else { "http/1.1" };
    let connection = Arc::new(Connection {
        number,
        opened,
        handshake: (began, Mono::now()),
        protocol,
        requests: AtomicU64::new(0),
        activity: watch::channel(Activity { active: 0, since: server.options.clock.now() }).0,
        clock: server.options.clock.clone(),
        cut: CancellationToken::new(),
        close: CancellationToken::new(),
        hush: CancellationToken::new(),
    });

    let service = service_fn({
        let connection = connection.clone();
        let server = server.clone();
        move |request| api::serve(server.clone(), connection.clone(), request)
    });
    let mut builder = auto::Builder::new(Tracked(server.tasks.clone()));
    // The idle limit is ours, for both protocols.
    builder.http1().header_read_timeout(None);
    let mut http = pin!(builder.serve_connection(TokioIo::new(tls), service));
    let mut closing = None;
    loop {
        let patience = async {
            match closing {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A cut before anything more is written.
            biased;
            () = connection.cut.cancelled() => return,
            result = http.as_mut() => {
                if let Err(error) = result {
                    log::debug!("connection {number}: {error}");
                }
                return;
            }
            () = patience => return,
            () = closes(&connection, server.options.idle_timeout), if closing.is_none() => {
                http.as_mut().graceful_shutdown();
                closing = Some(Instant::now() + PATIENCE);
            }
            () = hushes(&connection), if !silent.load(Ordering::Relaxed) => silent.store(true, Ordering::Relaxed),
        }
    }
}

async fn closes(connection: &Connection, idle_timeout: Option<Duration>) {
    tokio::select! {
        () = connection.idle_for(idle_timeout) => {}
        () = connection.close.cancelled() => {}
    }
}

async fn hushes(connection: &Connection) {
    connection.hush.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// Runs HTTP/2's own tasks under the server's tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
