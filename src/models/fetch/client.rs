//! The HTTP client of the downloads: trust, proxies, redirects, patience. It sends no key, no token and no cookie.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use reqwest::redirect::{Attempt, Policy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::{FetchError, Patience};

const REDIRECTS: usize = 10;

/// Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`); trust is the system's, and `ca_file` besides.
pub(super) fn client(ca_file: Option<&Path>, patience: &Patience) -> Result<reqwest::Client, FetchError> {
    reqwest::Client::builder()
        .user_agent(concat!("elio/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls(ca_file)?)
        .redirect(Policy::custom(follow))
        .connect_timeout(patience.stall)
        .read_timeout(patience.stall)
        .build()
        .map_err(|error| FetchError::Tls { url: "every server".to_owned(), fault: chain(&error) })
}

/// A model host sends one on to where its files lie; never out of TLS.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        return attempt.error("the server sends one on to an address without TLS");
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("the server sends one on in a circle");
    }
    attempt.follow()
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let wrong = |fault: String| FetchError::Authority { path: path.to_owned(), fault };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(format!("cannot be read as PEM: {error}")))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(wrong("holds no certificate".to_owned()));
        }
    }
    // Without any, each handshake fails and says so; a mirror without TLS needs none.
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Tls { url: "every server".to_owned(), fault: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Why TLS does not trust the server, where that is what went wrong: trying again changes nothing.
pub(super) fn distrust(error: &reqwest::Error) -> Option<String> {
    let refused = |error: &(dyn Error + 'static)| match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(certificate) => Some(certificate.clone()),
        _ => None,
    };
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        // An I/O error's source is not the error in it, but that one's source; and there may be one in another.
        let mut inner = Some(error);
        let mut certificate = None;
        while let Some(error) = inner.filter(|_| certificate.is_none()) {
            certificate = refused(error);
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner = wrapped.map(|error| error as &(dyn Error + 'static));
        }
        if let Some(certificate) = certificate {
            return Some(match certificate {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "its certificate is signed by nobody whom this machine trusts: install ca-certificates; if the \
                     server is yours, name the PEM file of its authority with --ca-file"
                        .to_owned()
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    format!("its certificate does not fit the time: check this machine's clock ({certificate})")
                }
                other => format!("its certificate is refused ({other}): somebody may stand between"),
            });
        }
        cause = error.source();
    }
    None
}

/// An error and its causes, on one line, without the address, which the caller has.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = if text.is_empty() { more } else { format!("{text}: {more}") };
        }
        cause = error.source();
    }
    text.replace(['\n', '\r'], " ")
}
