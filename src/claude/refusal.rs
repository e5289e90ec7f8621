//! From a refusal of the API to an error: what it means, whether to retry, and nothing of what the person said.

use std::time::Duration;

use super::client::{Call, Inner, request_id};
use super::line::Sent;
use super::wire::{ApiErrorBody, ApiErrorResponse};
use super::{ApiFault, ApiKind, ClaudeError};

/// Longest message of the API that is passed on, in characters.
const MOST_MESSAGE: usize = 200;

impl Inner {
    /// The error that a response of another status means.
    pub(super) async fn refusal(&self, sent: Sent, call: &Call) -> ClaudeError {
        let connection = sent.connection;
        let status = sent.response.status().as_u16();
        let headers = sent.response.headers();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, waits) = retry_after(header("retry-after-ms").as_deref(), header("retry-after").as_deref());
        let should_retry = header("x-should-retry").and_then(|value| value.parse().ok());
        let id = request_id(headers);
        // A status says enough where its body does not come or is no error of the API.
        let body = self.document(sent).await.unwrap_or_default();
        let body: Option<ApiErrorResponse> = serde_json::from_slice(&body).ok();
        let (message, id) = match body {
            Some(body) => (body.error.message, id.or(body.request_id)),
            None => (String::new(), id),
        };
        let kind = ApiKind::of_status(status, waits);
        ClaudeError::Api(Box::new(ApiFault {
            kind,
            status: Some(status),
            message: self.harmless(&message, &call.private),
            request_id: id,
            retry_after,
            should_retry,
            subject: self.subject(kind),
            connection: Some(connection),
        }))
    }

    /// The error that an `error` event in a stream means.
    pub(super) fn broken_off(&self, error: &ApiErrorBody, private: &[String], id: Option<String>) -> ClaudeError {
        let kind = ApiKind::of_type(&error.kind);
        ClaudeError::Api(Box::new(ApiFault {
            kind,
            status: None,
            message: self.harmless(&error.message, private),
            request_id: id,
            retry_after: None,
            should_retry: None,
            subject: self.subject(kind),
            connection: None,
        }))
    }

    fn subject(&self, kind: ApiKind) -> String {
        let host = self.line.host();
        match kind {
            ApiKind::Key | ApiKind::Forbidden => self.key.to_string(),
            ApiKind::NotFound => format!("model {} at {host}", self.settings.model),
            _ => host.to_owned(),
        }
    }

    /// A message of the server on one short line; nothing of it where it repeats the key or words of the person.
    fn harmless(&self, message: &str, private: &[String]) -> String {
        if self.key.is_in(message) || private.iter().any(|text| echoes(message, text)) {
            return "its message repeats what was sent and is not shown".to_owned();
        }
        message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_MESSAGE).collect()
    }
}

/// Three words of `text` in a row, or all of it where it has fewer, stand in `message`.
fn echoes(message: &str, text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    words.windows(words.len().clamp(1, 3)).any(|run| message.contains(&run.join(" ")))
}

/// The wait of `retry-after-ms`, else of `retry-after`, and whether there is either. A date counts as a wait too long
/// for a person: nobody plans a retry within a second by the calendar.
fn retry_after(ms: Option<&str>, seconds: Option<&str>) -> (Option<Duration>, bool) {
    let wait = |value: Option<&str>, unit: f64| {
        let value: f64 = value?.trim().parse().ok()?;
        Duration::try_from_secs_f64(value * unit).ok()
    };
    match wait(ms, 1e-3).or_else(|| wait(seconds, 1.0)) {
        Some(wait) => (Some(wait), true),
        None => (seconds.map(|_| Duration::from_secs(60)), seconds.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::client::tests::claude;

    #[test]
    fn the_wait_comes_from_either_header() {
        assert_eq!(retry_after(Some("250"), Some("9")), (Some(Duration::from_millis(250)), true));
        assert_eq!(retry_after(Some("soon"), Some("0.5")), (Some(Duration::from_millis(500)), true));
        assert_eq!(retry_after(None, Some("Fri, 31 Dec 1999 23:59:59 GMT")), (Some(Duration::from_secs(60)), true));
        assert_eq!(retry_after(None, Some("-3")), (Some(Duration::from_secs(60)), true));
        assert_eq!(retry_after(None, None), (None, false));
    }

    #[test]
    fn an_error_does_not_repeat_what_was_said() {
        let inner = claude().inner;
        let private = vec!["where did I hide the gold".to_owned()];
        let message = |text: &str| inner.harmless(text, &private);
        assert!(message("bad text: 'did I  hide'").contains("not shown"));
        assert!(message("key sk-secret is odd").contains("not shown"));
        assert_eq!(message("max_tokens:\n too  large"), "max_tokens: too large");
        assert_eq!(message(&"x".repeat(900)).len(), MOST_MESSAGE);
    }
}
