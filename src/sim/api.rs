//! The endpoints: who may come in, which path is asked, and the answer in the API's own shape.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::check::{self, Endpoint};
use super::connection::{Active, Connection};
use super::error::ApiError;
use super::fault::{Fault, Stage};
use super::messages;
use super::model;
use super::prompt;
use super::record::{Open, RequestRecord};
use super::reply_body::ReplyBody;
use super::server::Server;
use super::tokens;
use crate::clock::Mono;

/// Largest body of a request.
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// The organisation of every key.
const ORGANIZATION: &str = "00000000-0000-4000-8000-0000000e1105";
/// Values of `anthropic-version` that are known; the newest is the official SDK's.
const VERSIONS: [&str; 3] = ["2023-01-01", crate::claude::wire::API_VERSION, "2026-10-21"];

/// One request under way.
pub struct Exchange {
    pub(super) server: Arc<Server>,
    pub(super) connection: Arc<Connection>,
    pub(super) open: Open,
    pub(super) active: Active,
    /// When the whole request had been received.
    pub(super) received: Instant,
}

/// Why a request gets no ordinary reply.
pub enum Failure {
    /// It is refused.
    Refused(ApiError),
    /// The connection is dropped.
    Cut,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Refused(error)
    }
}

/// Serves one request of a connection.
pub async fn serve(
    server: Arc<Server>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (connection_request, active) = connection.request();
    let record = RequestRecord {
        id: server.identifier("req"),
        connection: connection.number,
        connection_request,
        connection_opened_ns: connection.opened.as_nanos(),
        handshake_started_ns: connection.handshake.0.as_nanos(),
        handshake_done_ns: connection.handshake.1.as_nanos(),
        protocol: connection.protocol.to_owned(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        received_ns: Mono::now().as_nanos(),
        ..RequestRecord::default()
    };
    let open = Open::new(server.log.clone(), record);
    let mut exchange = Exchange { server, connection, open, active, received: Instant::now() };
    match exchange.answer(request).await {
        Ok(Reply::Document(value)) => Ok(exchange.document(StatusCode::OK, &value, &[])),
        Ok(Reply::Stream(script)) => Ok(messages::stream(exchange, *script)),
        Err(Failure::Refused(error)) => {
            exchange.open.record.error = Some(error.kind.to_owned());
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = error.body(&exchange.open.record.id);
            Ok(exchange.document(status, &body, &error.headers))
        }
        Err(Failure::Cut) => {
            exchange.connection.cut();
            let server = exchange.server.clone();
            if exchange.open.record.fault.is_some() {
                exchange.open.finish();
            }
            // The connection is gone before anything could be sent.
            server.stop.cancelled().await;
            Ok(Response::new(ReplyBody::whole(String::new(), exchange.active)))
        }
    }
}

/// An ordinary reply.
pub enum Reply {
    /// One JSON document.
    Document(Value),
    /// Server-sent events.
    Stream(Box<messages::Script>),
}

impl Exchange {
    async fn answer(&mut self, request: Request<Incoming>) -> Result<Reply, Failure> {
        let (head, body) = request.into_parts();
        let known = Route::of(head.uri.path())?;
        if known.method() != head.method {
            let allow = known.method().as_str().to_owned();
            let error = ApiError::new(405, "invalid_request_error", format!("Method Not Allowed; use {allow}"));
            return Err(error.header("allow", known.allow()).into());
        }
        self.connection_faults();
        if let Some(fault) = self.strike(&[Stage::Key]) {
            return Err(fault.refusal().map_or(Failure::Cut, Failure::Refused));
        }
        self.admit(&head.headers)?;
        if head.method == Method::GET {
            return match known {
                Route::Model(id) => match model::find(&id) {
                    Some(model) => Ok(Reply::Document(model.info())),
                    None => Err(ApiError::not_found(format!("model: {id}")).into()),
                },
                _ => Ok(Reply::Document(model::list())),
            };
        }
        let body = self.body(body).await?;
        if matches!(known, Route::Messages)
            && let Some(fault) = self.strike(&[Stage::Refused])
        {
            return Err(fault.refusal().map_or(Failure::Cut, Failure::Refused));
        }
        let body: Value = serde_json::from_slice(&body)
            .map_err(|e| ApiError::invalid(format!("The request body is not valid JSON: {e}")))?;
        self.open.record.model = body["model"].as_str().map(str::to_owned);
        self.open.record.stream = body["stream"] == true;
        self.open.record.max_tokens = body["max_tokens"].as_u64();
        if matches!(known, Route::CountTokens) {
            let checked = check::body(&body, Endpoint::CountTokens)?;
            let pieces = prompt::read(&body, checked.model).pieces;
            return Ok(Reply::Document(json!({ "input_tokens": tokens::scaled(pieces, checked.model) })));
        }
        messages::answer(self, &body).await
    }

    /// The fault that strikes here, noted in the record.
    pub(super) fn strike(&mut self, stages: &[Stage]) -> Option<Fault> {
        let fault = self.server.take_fault(stages)?;
        self.open.record.fault = Some(fault.name().to_owned());
        Some(fault)
    }

    fn connection_faults(&mut self) {
        match self.strike(&[Stage::Connection]) {
            Some(Fault::Goaway) => self.active.then_close(),
            Some(Fault::GoawayEarly) => self.connection.close(),
            Some(Fault::IdleDrop) => self.active.then_hush(),
            _ => {}
        }
    }

    /// Key and version.
    fn admit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or_default());
        let bearer = text("authorization").and_then(|v| v.strip_prefix("Bearer "));
        let denied = |message| ApiError::new(401, "authentication_error", message).header("x-should-retry", "false");
        match (text("x-api-key").or(bearer), &self.server.options.key) {
            (None, _) => return Err(denied("x-api-key header is required")),
            (Some(""), _) => return Err(denied("invalid x-api-key")),
            (Some(given), Some(wanted)) if given != wanted => return Err(denied("invalid x-api-key")),
            _ => {}
        }
        match text("anthropic-version") {
            None => Err(ApiError::invalid("anthropic-version: header is required")),
            Some(version) if VERSIONS.contains(&version) => Ok(()),
            Some(version) => Err(ApiError::invalid(format!("anthropic-version: \"{version}\" is not a valid version"))),
        }
    }

    /// The whole body; from here on the request counts as received.
    async fn body(&mut self, body: Incoming) -> Result<Bytes, Failure> {
        let collected = Limited::new(body, BODY_LIMIT).collect().await;
        self.received = Instant::now();
        self.open.record.received_ns = Mono::now().as_nanos();
        match collected {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ApiError::new(413, "request_too_large", "Request exceeds the maximum size").into())
            }
            // The client broke off; there is nobody to answer.
            Err(_) => Err(Failure::Cut),
        }
    }

    /// A JSON reply, which ends the exchange.
    fn document(
        mut self,
        status: StatusCode,
        body: &Value,
        headers: &[(&'static str, &'static str)],
    ) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::whole(body.to_string(), self.active));
        *response.status_mut() = status;
        let usual = response.headers_mut();
        common_headers(usual, &self.open.record.id);
        usual.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            usual.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        self.open.record.status = status.as_u16();
        self.open.finish();
        response
    }
}

/// The headers of every response.
pub fn common_headers(headers: &mut HeaderMap, request_id: &str) {
    let mut text = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    text("request-id", request_id);
    text("anthropic-organization-id", ORGANIZATION);
    let reset = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    for (limit, remaining, reset_name, value) in [
        (
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "4000",
        ),
        (
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
            "4000000",
        ),
        (
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
            "800000",
        ),
    ] {
        text(limit, value);
        text(remaining, value);
        text(reset_name, &reset);
    }
}

/// The paths that there are.
enum Route {
    Messages,
    CountTokens,
    Models,
    Model(String),
}

impl Route {
    fn of(path: &str) -> Result<Self, ApiError> {
        match path.trim_end_matches('/') {
            "/v1/messages" => Ok(Route::Messages),
            "/v1/messages/count_tokens" => Ok(Route::CountTokens),
            "/v1/models" => Ok(Route::Models),
            other => match other.strip_prefix("/v1/models/") {
                Some(id) if !id.contains('/') => Ok(Route::Model(id.to_owned())),
                _ => Err(ApiError::not_found("Not Found")),
            },
        }
    }

    fn method(&self) -> Method {
        match self {
            Route::Messages | Route::CountTokens => Method::POST,
            Route::Models | Route::Model(_) => Method::GET,
        }
    }

    fn allow(&self) -> &'static str {
        if self.method() == Method::POST { "POST" } else { "GET" }
    }
}

/// Locks, whatever happened to another holder: every critical section here leaves its data whole.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
