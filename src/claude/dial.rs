//! How a connection comes into being: name, TCP, TLS, ALPN. Trust is the system's, and `claude.ca_file` besides.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::ClaudeError;
use super::error::chain;
use crate::config::ClaudeSettings;

/// Idle time after which TCP probes, and the time after which unacknowledged bytes mean a dead path: short enough for
/// a retry within a turn, long enough for a Wi-Fi roam.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(6);

/// Bytes to and from the server.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Knows how to reach `claude.base_url`.
pub(super) struct Dialer {
    scheme: Scheme,
    authority: Authority,
    /// `host:port`, for people.
    host: String,
    uri: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    tcp: HttpConnector,
    timeout: Duration,
}

impl Dialer {
    /// Reads the certificates; opens nothing.
    pub(super) fn new(settings: &ClaudeSettings) -> Result<Self, ClaudeError> {
        let wrong = |fault: &str| ClaudeError::Setting {
            key: "base_url",
            value: settings.base_url.clone(),
            fault: fault.into(),
        };
        let uri: Uri = settings.base_url.parse().map_err(|_| wrong("is no URL"))?;
        let parts = uri.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong("needs a scheme and a host, as in https://api.anthropic.com"));
        };
        if parts.path_and_query.is_some_and(|path| path.as_str() != "/") {
            return Err(wrong("must have no path"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("must have no user name: the key is all that is sent"));
        }
        let secure = scheme == Scheme::HTTPS;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let local = scheme == Scheme::HTTP && is_loopback(&name);
        if !secure && !local {
            return Err(wrong(
                "must begin with https:// (http:// only for this machine itself: the key is sent over it)",
            ));
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let server =
                ServerName::try_from(name.clone()).map_err(|_| wrong("has a host that no certificate can name"))?;
            Some((TlsConnector::from(tls_config(settings.ca_file.as_deref())?), server))
        } else {
            None
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE_INTERVAL));
        tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        Ok(Self {
            scheme,
            host: format!("{}:{port}", authority.host()),
            authority,
            uri,
            tls,
            tcp,
            timeout: settings.connect_timeout,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Completes a request that carries only its path: HTTP/2 wants the whole URI, HTTP/1.1 a `Host` header.
    pub(super) fn address<B>(&self, request: &mut Request<B>, h2: bool) {
        if h2 {
            let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
            let mut parts = hyper::http::uri::Parts::default();
            (parts.scheme, parts.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
            parts.path_and_query = Some(path);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
            request.headers_mut().remove(HOST);
        } else if let Ok(value) = HeaderValue::from_str(self.authority.as_str()) {
            request.headers_mut().insert(HOST, value);
        }
    }

    /// A new connection, and whether HTTP/2 was agreed on; TCP and TLS together within `claude.connect_timeout`.
    pub(super) async fn dial(&self) -> Result<(Stream, bool), ClaudeError> {
        match tokio::time::timeout(self.timeout, self.dial_in_time()).await {
            Ok(result) => result,
            Err(_) => {
                Err(self
                    .offline(format!("no connection within {} ms (claude.connect_timeout)", self.timeout.as_millis())))
            }
        }
    }

    async fn dial_in_time(&self) -> Result<(Stream, bool), ClaudeError> {
        let tcp =
            self.tcp.clone().call(self.uri.clone()).await.map_err(|error| self.offline(chain(&error)))?.into_inner();
        let Some((connector, name)) = &self.tls else { return Ok((Stream::Plain(tcp), false)) };
        let tls = connector.connect(name.clone(), tcp).await.map_err(|error| self.tls_failed(&error))?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::Tls(Box::new(tls)), h2))
    }

    /// What makes a TCP stream a TLS one; none for plain HTTP.
    pub(super) fn tls(&self) -> Option<&(TlsConnector, ServerName<'static>)> {
        self.tls.as_ref()
    }

    pub(super) fn offline(&self, fault: String) -> ClaudeError {
        ClaudeError::Offline { host: self.host.clone(), fault }
    }

    pub(super) fn tls_failed(&self, error: &io::Error) -> ClaudeError {
        let inner = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let Some(fault) = inner else {
            return self.offline(format!("the connection broke in the TLS handshake ({error})"));
        };
        let fault = match fault {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "its certificate is signed by nobody whom this machine trusts; if the server is yours, name the PEM \
                     file of its authority in claude.ca_file"
                        .to_owned()
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    format!("its certificate does not fit the time; check this machine's clock ({certificate})")
                }
                other => format!("its certificate is refused ({other}); claude.ca_file names an authority to trust"),
            },
            other => other.to_string(),
        };
        ClaudeError::Tls { host: self.host.clone(), fault: fault.replace(['\n', '\r'], " ") }
    }
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// TLS 1.2 and 1.3 by ring, ALPN `h2` then `http/1.1`. One configuration for all connections: its sessions resume.
fn tls_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, ClaudeError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (mut trusted, _) = roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let wrong = |fault: String| ClaudeError::Setting { key: "ca_file", value: path.display().to_string(), fault };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(format!("cannot be read as PEM: {error}")))?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(wrong("holds no certificate".to_owned()));
        }
        trusted += added;
    }
    if trusted == 0 {
        return Err(ClaudeError::Setting {
            key: "ca_file",
            value: String::new(),
            fault: "this system has no trusted authorities: install ca-certificates, or name a PEM file".to_owned(),
        });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClaudeError::Tls { host: "every server".to_owned(), fault: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
