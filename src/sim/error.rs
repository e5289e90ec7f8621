//! A refusal in the API's own shape: status, error type, message, and the headers that say whether to come again.

use serde_json::{Value, json};

/// One refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`.
    pub message: String,
    /// `error.details.error_code`, where the cause has one.
    pub code: Option<&'static str>,
    /// Headers beyond the usual ones.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl ApiError {
    /// A refusal without a code and without extra headers.
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), code: None, headers: Vec::new() }
    }

    /// 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found_error", message)
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The `error` object.
    pub fn object(&self) -> Value {
        match self.code {
            Some(code) => json!({"type": self.kind, "message": self.message, "details": {"error_code": code}}),
            None => json!({"type": self.kind, "message": self.message}),
        }
    }

    /// The whole body.
    pub fn body(&self, request_id: &str) -> Value {
        json!({"type": "error", "error": self.object(), "request_id": request_id})
    }
}
