//! One connection made step by step, each step timed apart: where a connection that fails, fails. For `elio doctor`.

use std::future::Future;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::DATE;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use tokio::net::{TcpStream, lookup_host};

use super::dial::{Dialer, Stream};
use super::error::chain;
use super::wire::API_VERSION;
use super::{ApiKey, ClaudeError};
use crate::clock::Mono;
use crate::config::ClaudeSettings;

/// One step of a connection.
#[derive(Debug)]
pub struct Step {
    /// `DNS`, `TCP`, `TLS` or `HTTP`.
    pub name: &'static str,
    /// How long it took, until it failed where it failed.
    pub took: Duration,
    /// What came of it, in words.
    pub result: Result<String, ClaudeError>,
}

/// What a connection, made step by step, came to.
#[derive(Debug, Default)]
pub struct Probe {
    /// `host:port`
    pub host: String,
    /// The steps in order; where one failed, the last.
    pub steps: Vec<Step>,
    /// When the server's certificate ends.
    pub certificate_ends: Option<Timestamp>,
    /// The server's `Date`, and this machine's wall clock when it came.
    pub date: Option<(Timestamp, Timestamp)>,
}

impl Probe {
    /// The step that failed.
    pub fn failed(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.result.is_err())
    }

    /// Times a step and keeps what came of it.
    async fn step<T>(
        &mut self,
        name: &'static str,
        limit: Duration,
        late: impl FnOnce(String) -> ClaudeError,
        work: impl Future<Output = Result<(T, String), ClaudeError>>,
    ) -> Option<T> {
        let begun = Mono::now();
        let done = tokio::time::timeout(limit, work).await;
        let done = done.unwrap_or_else(|_| Err(late(format!("no answer within {} ms", limit.as_millis()))));
        let took = begun.elapsed();
        let (given, result) = match done {
            Ok((given, said)) => (Some(given), Ok(said)),
            Err(error) => (None, Err(error)),
        };
        self.steps.push(Step { name, took, result });
        given
    }
}

/// Makes one connection to `claude.base_url` and asks for the model's description on it, which costs no token; without a
/// key the API refuses that, in as much time.
///
/// # Errors
/// [`ClaudeError::Setting`]; whatever fails later is in the [`Probe`].
pub async fn probe(settings: &ClaudeSettings, key: Option<&ApiKey>) -> Result<Probe, ClaudeError> {
    let dialer = Dialer::new(settings)?;
    let mut probe = Probe { host: dialer.host().to_owned(), ..Probe::default() };
    let limit = settings.connect_timeout;
    let late = |fault| dialer.offline(fault);

    let names = async {
        let found: Vec<_> =
            lookup_host(dialer.host()).await.map_err(|error| dialer.offline(error.to_string()))?.collect();
        match found.as_slice() {
            [] => Err(dialer.offline("the name has no address".to_owned())),
            [first, ..] => {
                let said = format!("{} addresses, {} first", found.len(), first.ip());
                Ok((found, said))
            }
        }
    };
    let Some(addresses) = probe.step("DNS", limit, late, names).await else { return Ok(probe) };

    let connect = async {
        let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|error| dialer.offline(error.to_string()))?;
        tcp.set_nodelay(true).map_err(|error| dialer.offline(error.to_string()))?;
        let said = tcp.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
        Ok((tcp, said))
    };
    let Some(tcp) = probe.step("TCP", limit, late, connect).await else { return Ok(probe) };

    let (stream, h2) = match dialer.tls() {
        None => (Stream::Plain(tcp), false),
        Some((connector, name)) => {
            let handshake = async {
                let tls = connector.connect(name.clone(), tcp).await.map_err(|error| dialer.tls_failed(&error))?;
                let session = tls.get_ref().1;
                let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
                let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                let ends = session.peer_certificates().and_then(|all| not_after(all.first()?));
                let said =
                    format!("{}, {}", version.replace("TLSv1_", "TLS 1."), protocol.as_deref().unwrap_or("no ALPN"));
                Ok(((tls, protocol.as_deref() == Some("h2"), ends), said))
            };
            let Some((tls, h2, ends)) = probe.step("TLS", limit, late, handshake).await else { return Ok(probe) };
            probe.certificate_ends = ends;
            (Stream::Tls(Box::new(tls)), h2)
        }
    };

    let asked = async {
        let response = ask(&dialer, settings, key, stream, h2).await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        Ok((date.map(|date| (date, Timestamp::now())), format!("status {}", response.status().as_u16())))
    };
    probe.date = probe.step("HTTP", settings.first_text_timeout, late, asked).await.flatten();
    Ok(probe)
}

/// The response's head, that is its first byte.
async fn ask(
    dialer: &Dialer,
    settings: &ClaudeSettings,
    key: Option<&ApiKey>,
    stream: Stream,
    h2: bool,
) -> Result<Response<Incoming>, ClaudeError> {
    let failed = |error: hyper::Error| dialer.offline(format!("the HTTP exchange failed ({})", chain(&error)));
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = format!("/v1/models/{}", settings.model).parse().map_err(|_| ClaudeError::Setting {
        key: "model",
        value: settings.model.clone(),
        fault: "is no model id".to_owned(),
    })?;
    if let Some(key) = key {
        request.headers_mut().insert("x-api-key", key.header());
    }
    request.headers_mut().insert("anthropic-version", hyper::header::HeaderValue::from_static(API_VERSION));
    dialer.address(&mut request, h2);
    let io = TokioIo::new(stream);
    if h2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
        over(connection, async move { sender.send_request(request).await }).await.map_err(failed)
    } else {
        let (mut sender, connection) = http1::handshake(io).await.map_err(failed)?;
        over(connection, async move { sender.send_request(request).await }).await.map_err(failed)
    }
}

/// Moves the connection's bytes while the response is waited for, which tells itself where the connection ends.
async fn over<R>(
    connection: impl Future<Output = hyper::Result<()>>,
    response: impl Future<Output = hyper::Result<R>>,
) -> hyper::Result<R> {
    let driving = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        response = response => response,
        never = driving => never,
    }
}

/// `notAfter` of a certificate (RFC 5280, 4.1): the second time of the validity, which follows version, serial number,
/// signature algorithm and issuer.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // The version is [0], and absent in certificates of version 1.
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (tag, time, _) = element(element(validity)?.2)?;
    let text = std::str::from_utf8(time).ok()?;
    let (year, rest) = match tag {
        // UTCTime: two digits, of 1950 to 2049.
        0x17 => {
            let year: i16 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        0x18 => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let date = Date::new(year, two(0)?, two(2)?).ok()?;
    let time = Time::new(two(4)?, two(6)?, two(8)?, 0).ok()?;
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let bytes = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest.get(count..)?)
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::tests::settings;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (year, month, day) in [(2031, 7, 9), (2077, 12, 31)] {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let ends = not_after(certificate.der()).unwrap().to_string();
            assert_eq!(ends, format!("{year}-{month:02}-{day:02}T00:00:00Z"));
        }
        for broken in [&[][..], &[0x30, 0x82], &[0x30, 3, 0x30, 1, 2], &[0x30, 0xff, 1]] {
            assert_eq!(not_after(broken), None);
        }
    }

    #[tokio::test]
    async fn the_step_that_fails_is_the_last() {
        let mut settings = settings();
        settings.base_url = "https://127.0.0.1:1".to_owned();
        let refused = probe(&settings, None).await.unwrap();
        let names: Vec<&str> = refused.steps.iter().map(|step| step.name).collect();
        assert_eq!((names, refused.failed().map(|step| step.name)), (vec!["DNS", "TCP"], Some("TCP")));
        settings.base_url = "https://no-such-host.invalid".to_owned();
        assert_eq!(probe(&settings, None).await.unwrap().failed().map(|step| step.name), Some("DNS"));
    }
}
