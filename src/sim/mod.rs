//! The simulated Claude API: the same events, usage, cache rules and refusals as the real one, replies that answer the
//! text they get, times from distributions, and faults on demand.
//!
//! It serves `elio sim`, the demo, the benches and the tests; a client cannot tell it from the real API except by the
//! wit of the answers. Tokens are counted by an approximation that the tokens file describes.

mod answer;
mod api;
mod authority;
mod cache;
mod check;
mod connection;
mod error;
mod fault;
mod fold;
mod messages;
mod model;
mod numbers;
mod pattern;
mod pipe;
mod prompt;
mod record;
mod replies;
mod reply_body;
mod script;
mod server;
mod spread;
mod tokens;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;

pub use fault::{Fault, FaultPlan, Stage};
pub use record::{RequestRecord, UsageRecord};
pub use replies::{Replies, RepliesError};
pub use spread::{Rng, Spread};

use crate::clock::{Clock, SystemClock};
use server::Server;

/// How the API is to behave.
#[derive(Clone)]
pub struct SimOptions {
    /// Address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder for the authority (`ca.pem`, `authority.json`) and for `requests.jsonl`; made where it is missing.
    pub dir: PathBuf,
    /// From a received request to its first token.
    pub ttft: Spread,
    /// Pace of the answer, above 0.
    pub tokens_per_second: f64,
    /// Delay of the network, each way.
    pub net_delay: Spread,
    /// Idle connections are closed after this long, as the real edge does at 400 s.
    pub idle_timeout: Option<Duration>,
    /// A fault from the start.
    pub fault: Option<FaultPlan>,
    /// The only key that is let in; any non-empty one otherwise.
    pub key: Option<String>,
    /// Of the times and of the cut into deltas.
    pub seed: u64,
    /// Rules of the replies, instead of the built-in ones.
    pub replies: Option<PathBuf>,
    /// Writes questions, what came before them, and replies into `requests.jsonl`.
    pub log_words: bool,
    /// Clock of the prompt cache's TTL and of `idle_timeout`, so that a test need not wait for minutes. Pace and records
    /// are real time.
    pub clock: Arc<dyn Clock>,
}

impl SimOptions {
    /// The defaults of `elio sim`, on a free port of the loopback.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dir: dir.into(),
            ttft: Spread::always(400),
            tokens_per_second: 120.0,
            net_delay: Spread::always(0),
            idle_timeout: None,
            fault: None,
            key: None,
            seed: 0,
            replies: None,
            log_words: false,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why the simulated API cannot start.
#[derive(Debug, Error)]
pub enum SimError {
    /// The address is taken or not this machine's: choose another.
    #[error("cannot listen on {listen}: {source}; choose another address, or port 0 for a free one")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The folder cannot be written: choose another.
    #[error("cannot write {path}: {source}; choose a folder that can be written with --dir")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The reply rules cannot be used: correct the file.
    #[error(transparent)]
    Replies(#[from] RepliesError),
    /// The test certificates cannot be made: a fault of this program or of `authority.json`, which may be deleted.
    #[error("cannot make the test certificates: {0}; delete authority.json in the sim's folder and start again")]
    Certificate(String),
}

/// The simulated API.
#[derive(Debug)]
pub struct Sim;

impl Sim {
    /// Starts it in the background of this tokio runtime. It stops when the handle is dropped.
    pub async fn start(options: SimOptions) -> Result<SimHandle, SimError> {
        let replies = Replies::load(options.replies.as_deref())?;
        let dir = writable(&options.dir)?;
        let (ca, tls) = authority::prepare(&dir, options.listen.ip())?;
        let listen = options.listen;
        let failed = |source| SimError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let log = Arc::new(record::Log::create(&dir)?);
        let server = Arc::new(Server::new(options, log, replies, tls));
        server.tasks.spawn(server::accept(server.clone(), listener));
        Ok(SimHandle { base_url: format!("https://{}", reachable(addr)), addr, ca, server })
    }
}

/// The address at which a client of this machine reaches `addr`.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// A running simulated API; dropping it stops it at once.
pub struct SimHandle {
    base_url: String,
    addr: SocketAddr,
    ca: PathBuf,
    server: Arc<Server>,
}

impl SimHandle {
    /// `https://127.0.0.1:PORT`, for `[claude] base_url`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The PEM file to trust, an absolute path, for `[claude] ca_file`.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// `requests.jsonl`.
    pub fn log_path(&self) -> &Path {
        self.server.log.path()
    }

    /// The requests that have ended, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.server.log.records()
    }

    /// Connections accepted so far (each is one TLS handshake).
    pub fn connections(&self) -> u64 {
        self.server.log.connections()
    }

    /// From now on this fault, or none.
    pub fn set_fault(&self, fault: Option<FaultPlan>) {
        *api::lock(&self.server.fault) = fault;
    }

    /// Stops it and waits, at most two seconds, until every connection is gone and every record written.
    pub async fn shutdown(self) {
        self.server.stop.cancel();
        self.server.tasks.close();
        if tokio::time::timeout(Duration::from_secs(2), self.server.tasks.wait()).await.is_err() {
            log::warn!("simulated API: {} tasks did not end in two seconds", self.server.tasks.len());
        }
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.server.stop.cancel();
    }
}

/// The folder as an absolute path, made where it is missing.
fn writable(dir: &Path) -> Result<PathBuf, SimError> {
    let failed = |source| SimError::Write { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    dir.canonicalize().map_err(failed)
}

/// Writes a file whole or not at all.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SimError> {
    let failed = |source| SimError::Write { path: path.to_owned(), source };
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new).map_err(failed)?;
    // The file may have been there, with another mode.
    file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
