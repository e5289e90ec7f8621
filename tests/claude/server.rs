//! An HTTP server that answers what the test tells it to, and counts what it saw: connections, requests, resets.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::sync::CancellationToken;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Number of the connection, from 1.
    pub connection: usize,
    /// Requests that it had carried before.
    pub before: usize,
    pub version: hyper::Version,
    pub method: String,
    pub path: String,
    pub headers: hyper::HeaderMap,
    pub body: serde_json::Value,
}

/// A piece of a response's body.
#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    Wait(Duration),
    /// The connection closes here.
    Die,
    /// Nothing more comes, and the response does not end.
    Hang,
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<Piece>,
    },
    /// The connection closes before the response headers.
    Die,
    /// No response ever comes.
    Hang,
}

impl Reply {
    pub fn json(status: u16, body: &str) -> Reply {
        let headers = vec![("content-type", "application/json".to_owned()), ("request-id", "req_test".to_owned())];
        Reply::Answer { status, headers, body: vec![Piece::Bytes(body.into())] }
    }

    pub fn error(status: u16, kind: &str, message: &str) -> Reply {
        let error = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
        Reply::json(status, &error.to_string())
    }

    pub fn stream(body: Vec<Piece>) -> Reply {
        let headers = vec![("content-type", "text/event-stream".to_owned()), ("request-id", "req_test".to_owned())];
        Reply::Answer { status: 200, headers, body }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// TLS for 127.0.0.1, and the PEM of the authority that vouches for it.
pub fn certified() -> (ServerConfig, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (config, authority.pem())
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

pub struct Server {
    pub base_url: String,
    pub ca_file: Option<PathBuf>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    resets: AtomicUsize,
}

impl Server {
    /// HTTP/1.1 in plain text.
    pub async fn plain(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        Self::start(None, script).await
    }

    /// TLS with an authority of its own, HTTP/2 by ALPN.
    pub async fn tls(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        Self::start(Some(certified()), script).await
    }

    async fn start(
        tls: Option<(ServerConfig, String)>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
        });
        let (scheme, ca_file, acceptor) = match tls {
            None => ("http", None, None),
            Some((config, pem)) => {
                let path = folder.path().join("ca.pem");
                std::fs::write(&path, pem).unwrap();
                ("https", Some(path), Some(TlsAcceptor::from(Arc::new(config))))
            }
        };
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, acceptor, Arc::clone(&shared))));
        Server { base_url: format!("{scheme}://{address}"), ca_file, shared, stop, _folder: folder }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bodies that the client gave up before their end.
    pub fn resets(&self) -> usize {
        self.shared.resets.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let carried = Arc::new(AtomicUsize::new(0));
            let die = CancellationToken::new();
            let service = service_fn({
                let die = die.clone();
                move |request| respond(request, Arc::clone(&shared), number, Arc::clone(&carried), die.clone())
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let work = async {
                match acceptor {
                    None => drop(builder.serve_connection(TokioIo::new(socket), service).await),
                    Some(acceptor) => {
                        if let Ok(tls) = acceptor.accept(socket).await {
                            drop(builder.serve_connection(TokioIo::new(tls), service).await);
                        }
                    }
                }
            };
            tokio::select! {
                () = die.cancelled() => {}
                () = work => {}
            }
        });
    }
}

/// Counts a body that is dropped before its end.
struct Rest(VecDeque<Piece>, Arc<Shared>, CancellationToken);

impl Drop for Rest {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.1.resets.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: usize,
    carried: Arc<AtomicUsize>,
    die: CancellationToken,
) -> Result<Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, body) = request.into_parts();
    let before = carried.fetch_add(1, Ordering::SeqCst);
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let seen = Seen {
        connection,
        before,
        version: parts.version,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let reply = (shared.script)(&seen);
    shared.seen.lock().unwrap().push(seen);
    let (status, headers, body) = match reply {
        Reply::Answer { status, headers, body } => (status, headers, body),
        Reply::Die => {
            die.cancel();
            std::future::pending().await
        }
        Reply::Hang => std::future::pending().await,
    };
    let rest = Rest(body.into(), shared, die);
    let stream = futures_util::stream::unfold(rest, |mut rest| async move {
        loop {
            // The piece stays until it is done with, so that a drop in the middle is counted.
            match rest.0.front()?.clone() {
                Piece::Bytes(bytes) => {
                    rest.0.pop_front();
                    return Some((Ok(Frame::data(Bytes::from(bytes))), rest));
                }
                Piece::Wait(time) => {
                    tokio::time::sleep(time).await;
                    rest.0.pop_front();
                }
                Piece::Hang => std::future::pending().await,
                Piece::Die => {
                    rest.0.clear();
                    rest.2.cancel();
                    std::future::pending().await
                }
            }
        }
    });
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(StreamBody::new(stream).boxed_unsync()).unwrap())
}
