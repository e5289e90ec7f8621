//! What may go wrong between a question and its answer: one kind for the record, one line for the person, and whether
//! one quick retry is right. No variant holds a word of the conversation or of the key.

use std::time::Duration;

use super::ConnectionUse;

/// The longest wait that a person who has just spoken bears before a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The wait before a retry where the API names none.
const QUICK: Duration = Duration::from_millis(200);

/// A fault of the Claude room. Every message is one line.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClaudeError {
    /// No key in any of the places: the configuration is at fault, nothing was sent.
    #[error(
        "no API key: put it into systemd's credential `anthropic-api-key` (LoadCredential=), into the file that \
         claude.key_file names{key_file}, or into ANTHROPIC_API_KEY"
    )]
    NoKey {
        /// ` (…)` about the configured file, or nothing.
        key_file: String,
    },
    /// A place holds something that is no key: the configuration is at fault.
    #[error("the API key in {place} {fault}")]
    BadKey {
        /// Which place.
        place: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A value of the configuration cannot be used.
    #[error("claude.{key} = {value:?}: {fault}")]
    Setting {
        /// Key in `[claude]`.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it, and the mend.
        fault: String,
    },
    /// The host cannot be reached: say that there is no connection; the same may work later.
    #[error("{host} cannot be reached: {fault}")]
    Offline {
        /// `host:port`.
        host: String,
        /// DNS or TCP.
        fault: String,
    },
    /// The TLS handshake failed: the clock or the trust is at fault.
    #[error("TLS with {host} failed: {fault}")]
    Tls {
        /// `host:port`.
        host: String,
        /// What, and the mend.
        fault: String,
    },
    /// Nothing came for too long: apologize; the connection is not used again.
    #[error("{host} sent no {awaited} within {} ms (claude.first_text_timeout)", after.as_millis())]
    Timeout {
        /// `host:port`.
        host: String,
        /// What did not come.
        awaited: &'static str,
        /// The bound.
        after: Duration,
        /// `req_…`, where a response had begun.
        request_id: Option<String>,
        /// The connection under the request, where there was one.
        connection: Option<Box<ConnectionUse>>,
    },
    /// The connection died under the request or under its answer: what was spoken stands, nothing is sent again.
    #[error("the answer of {host} was cut off: {fault}")]
    Cut {
        /// `host:port`.
        host: String,
        /// How.
        fault: String,
        /// `req_…`, where a response had begun.
        request_id: Option<String>,
        /// The connection under the request, where there was one.
        connection: Option<Box<ConnectionUse>>,
    },
    /// The server spoke, but not this API: `claude.base_url` probably names something else.
    #[error("{host} does not answer like the Messages API ({fault}): check claude.base_url")]
    Protocol {
        /// `host:port`.
        host: String,
        /// What was odd.
        fault: String,
        /// `req_…`
        request_id: Option<String>,
        /// The connection under the request, where there was one.
        connection: Option<Box<ConnectionUse>>,
    },
    /// The API refused the request, or broke off its answer with an `error` event.
    #[error("{0}")]
    Api(Box<ApiFault>),
    /// There was nothing to ask: the turn is silent.
    #[error("the question is empty")]
    Empty,
    /// The caller cancelled: nothing to say.
    #[error("the request was cancelled")]
    Cancelled,
}

/// An error that the API itself named.
#[derive(Clone, Debug)]
pub struct ApiFault {
    /// What it means to Elio.
    pub kind: ApiKind,
    /// HTTP status; none for an `error` event after HTTP 200.
    pub status: Option<u16>,
    /// The API's own words, on one line, bounded, without an echo of the request.
    pub message: String,
    /// `req_…`
    pub request_id: Option<String>,
    /// The wait that the API asks for.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// The thing to look at: where the key came from, the model, the host.
    pub subject: String,
    /// The connection under the request.
    pub connection: Option<ConnectionUse>,
}

/// What an error of the API means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKind {
    /// 400
    InvalidRequest,
    /// 401
    Key,
    /// 402
    Billing,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 413
    TooLarge,
    /// 429 with a wait
    RateLimited,
    /// 429 without one
    SpendCap,
    /// 408, 504
    Timeout,
    /// 500, 503 and every other 5xx
    Server,
    /// 529
    Overloaded,
    /// Any other status
    Other,
}

impl ApiKind {
    /// By the HTTP status. `waits`: the response names a time to wait.
    pub fn of_status(status: u16, waits: bool) -> Self {
        match status {
            401 => ApiKind::Key,
            402 => ApiKind::Billing,
            403 => ApiKind::Forbidden,
            404 => ApiKind::NotFound,
            408 | 504 => ApiKind::Timeout,
            409 => ApiKind::Conflict,
            413 => ApiKind::TooLarge,
            429 if waits => ApiKind::RateLimited,
            429 => ApiKind::SpendCap,
            529 => ApiKind::Overloaded,
            400 | 422 => ApiKind::InvalidRequest,
            500..=599 => ApiKind::Server,
            _ => ApiKind::Other,
        }
    }

    /// By the `type` of an error body, where there is no status.
    pub fn of_type(kind: &str) -> Self {
        match kind {
            "invalid_request_error" => ApiKind::InvalidRequest,
            "authentication_error" => ApiKind::Key,
            "billing_error" => ApiKind::Billing,
            "permission_error" => ApiKind::Forbidden,
            "not_found_error" => ApiKind::NotFound,
            "conflict_error" => ApiKind::Conflict,
            "request_too_large" => ApiKind::TooLarge,
            "rate_limit_error" => ApiKind::RateLimited,
            "timeout_error" => ApiKind::Timeout,
            "overloaded_error" => ApiKind::Overloaded,
            "api_error" => ApiKind::Server,
            _ => ApiKind::Other,
        }
    }

    /// The word in `outcome = failed:…`.
    pub fn as_str(self) -> &'static str {
        match self {
            ApiKind::InvalidRequest => "invalid_request",
            ApiKind::Key => "key",
            ApiKind::Billing => "billing",
            ApiKind::Forbidden => "forbidden",
            ApiKind::NotFound => "not_found",
            ApiKind::Conflict => "conflict",
            ApiKind::TooLarge => "too_large",
            ApiKind::RateLimited => "rate_limited",
            ApiKind::SpendCap => "spend_cap",
            ApiKind::Timeout => "timeout",
            ApiKind::Server => "server",
            ApiKind::Overloaded => "overloaded",
            ApiKind::Other => "api",
        }
    }

    fn says(self) -> &'static str {
        match self {
            ApiKind::InvalidRequest => "the API refuses the request as invalid; check the keys of [claude]",
            ApiKind::Key => "the API refuses the key; replace it",
            ApiKind::Billing => "the account cannot pay; check its billing",
            ApiKind::Forbidden => "the key may not do this; check its workspace and permissions",
            ApiKind::NotFound => "the API does not know this; check claude.model and claude.base_url",
            ApiKind::Conflict => "the API reports a conflict; try again",
            ApiKind::TooLarge => "the request is too large; shorten claude.instructions_file",
            ApiKind::RateLimited => "the rate limit is reached; try again later",
            ApiKind::SpendCap => "the spend limit is reached; raise it in the account's limits",
            ApiKind::Timeout => "the API timed out; try again",
            ApiKind::Server => "the API has an internal fault; try again",
            ApiKind::Overloaded => "the API is overloaded; try again",
            ApiKind::Other => "the API gave an unexpected answer; check claude.base_url",
        }
    }
}

impl std::fmt::Display for ApiFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.subject, self.kind.says())?;
        match self.status {
            Some(status) => write!(f, " (status {status}")?,
            None => write!(f, " (while it answered")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; wait {} s", wait.as_secs_f64())?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "; request {id}")?;
        }
        f.write_str(")")
    }
}

impl ClaudeError {
    /// The word in `outcome = failed:…` and in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            ClaudeError::NoKey { .. } | ClaudeError::BadKey { .. } => "key",
            ClaudeError::Setting { .. } => "config",
            ClaudeError::Offline { .. } => "offline",
            ClaudeError::Tls { .. } => "tls",
            ClaudeError::Timeout { .. } => "timeout",
            ClaudeError::Cut { .. } => "cut",
            ClaudeError::Protocol { .. } => "protocol",
            ClaudeError::Api(fault) => fault.kind.as_str(),
            ClaudeError::Empty => "empty",
            ClaudeError::Cancelled => "cancelled",
        }
    }

    /// The wait before the one quick retry that is right while nothing has been given out; none: do not retry. A
    /// connection that died before the response headers is another matter, which the client decides itself.
    pub fn retry(&self) -> Option<Duration> {
        let ClaudeError::Api(fault) = self else { return None };
        if fault.status.is_none() || fault.kind == ApiKind::SpendCap {
            return None;
        }
        let by_kind = matches!(
            fault.kind,
            ApiKind::Conflict | ApiKind::RateLimited | ApiKind::Timeout | ApiKind::Server | ApiKind::Overloaded
        );
        let wait = fault.retry_after.unwrap_or(QUICK);
        (fault.should_retry.unwrap_or(by_kind) && wait <= LONGEST_WAIT).then_some(wait)
    }

    /// The connection under the request that failed, where there was one.
    pub fn connection(&self) -> Option<ConnectionUse> {
        match self {
            ClaudeError::Timeout { connection, .. }
            | ClaudeError::Cut { connection, .. }
            | ClaudeError::Protocol { connection, .. } => connection.as_deref().copied(),
            ClaudeError::Api(fault) => fault.connection,
            _ => None,
        }
    }

    /// The error of a request that went over this connection.
    pub(super) fn over(mut self, used: ConnectionUse) -> Self {
        match &mut self {
            ClaudeError::Timeout { connection, .. }
            | ClaudeError::Cut { connection, .. }
            | ClaudeError::Protocol { connection, .. } => *connection = Some(Box::new(used)),
            ClaudeError::Api(fault) => fault.connection = Some(used),
            _ => {}
        }
        self
    }

    /// `req_…`, where the API gave one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            ClaudeError::Timeout { request_id, .. }
            | ClaudeError::Cut { request_id, .. }
            | ClaudeError::Protocol { request_id, .. } => request_id.as_deref(),
            ClaudeError::Api(fault) => fault.request_id.as_deref(),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16, retry_after: Option<u64>, should_retry: Option<bool>) -> ClaudeError {
        ClaudeError::Api(Box::new(ApiFault {
            kind: ApiKind::of_status(status, retry_after.is_some()),
            status: Some(status),
            message: "m".to_owned(),
            request_id: Some("req_1".to_owned()),
            retry_after: retry_after.map(Duration::from_millis),
            should_retry,
            subject: "h:1".to_owned(),
            connection: None,
        }))
    }

    #[test]
    fn one_quick_retry_where_the_status_may_pass() {
        for status in [408, 409, 500, 503, 504, 529] {
            assert_eq!(api(status, None, None).retry(), Some(QUICK), "{status}");
            assert_eq!(api(status, None, Some(false)).retry(), None, "{status}");
            assert_eq!(api(status, Some(5000), None).retry(), None, "{status}");
        }
        for status in [400, 401, 402, 403, 404, 413, 429] {
            assert_eq!(api(status, None, None).retry(), None, "{status}");
        }
    }

    #[test]
    fn the_servers_headers_are_obeyed_when_short() {
        assert_eq!(api(429, Some(40), None).retry(), Some(Duration::from_millis(40)));
        assert_eq!(api(429, Some(1001), None).retry(), None);
        assert_eq!(api(400, None, Some(true)).retry(), Some(QUICK));
        // A spend cap passes with no retry, whatever else is said.
        assert_eq!(api(429, None, Some(true)).retry(), None);
    }

    #[test]
    fn a_message_is_one_line_that_names_the_thing_and_the_mend() {
        let text = api(529, Some(2000), None).to_string();
        assert_eq!(text, "h:1: the API is overloaded; try again (status 529: m; wait 2 s; request req_1)");
    }
}
