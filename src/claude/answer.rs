//! The stream of one answer: bytes of the response in, text with its instants out.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Inner, request_id};
use super::error::chain;
use super::held::Held;
use super::line::Sent;
use super::sse::{SseEvent, SseParser};
use super::wire::{Delta, StreamEvent, Usage};
use super::{ClaudeError, ConnectionUse};
use crate::clock::Mono;

/// No event of a spoken answer comes near this size.
const MOST_EVENT: usize = 1 << 20;
/// After the last event, the end of the response is waited for this long, so that the connection stays clean.
const TAIL: Duration = Duration::from_secs(1);

/// What is known of an answer before its first word.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerHead {
    /// Just before the request left, of the try that is answered.
    pub sent: Mono,
    /// `req_…`
    pub request_id: Option<String>,
    /// The connection under it.
    pub connection: ConnectionUse,
    /// The model that was asked.
    pub model: String,
}

/// What comes of an answer. Its `Debug` shows no word.
#[derive(Clone)]
pub enum AnswerEvent {
    /// One to three tokens, never empty.
    Text {
        /// When its bytes were read.
        at: Mono,
        /// The text.
        text: String,
    },
    /// The answer is complete; nothing follows.
    Done {
        /// When the last event was read.
        at: Mono,
        /// Why it ended. After a refusal, a ready line is spoken and nothing is sent again.
        stop: StopReason,
        /// The counts of the whole request.
        usage: Usage,
        /// `msg_…`
        message_id: String,
    },
    /// The answer broke off; nothing follows. What was given out stands.
    Failed(ClaudeError),
}

impl std::fmt::Debug for AnswerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AnswerEvent::Text { at, text } => write!(f, "Text({at:?}, {} bytes)", text.len()),
            AnswerEvent::Done { at, stop, .. } => write!(f, "Done({at:?}, {stop:?})"),
            AnswerEvent::Failed(error) => write!(f, "Failed({error})"),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its natural end.
    EndTurn,
    /// `claude.max_tokens`: it stops in the middle of a sentence.
    MaxTokens,
    /// The model declined.
    Refusal,
    /// Any other, as the API names it; empty where it named none.
    Other(String),
}

impl From<Option<String>> for StopReason {
    fn from(reason: Option<String>) -> Self {
        match reason.as_deref() {
            Some("end_turn") => StopReason::EndTurn,
            Some("max_tokens") => StopReason::MaxTokens,
            Some("refusal") => StopReason::Refusal,
            _ => StopReason::Other(reason.unwrap_or_default()),
        }
    }
}

impl StopReason {
    /// As the API names it.
    pub fn as_str(&self) -> &str {
        match self {
            StopReason::EndTurn => "end_turn",
            StopReason::MaxTokens => "max_tokens",
            StopReason::Refusal => "refusal",
            StopReason::Other(reason) => reason,
        }
    }
}

/// One answer while it comes. Dropping it resets its HTTP/2 stream; the connection lives.
pub struct Answer {
    head: AnswerHead,
    inner: Arc<Inner>,
    private: Vec<String>,
    cancel: CancellationToken,
    /// None once the answer is over.
    source: Option<(Incoming, Held)>,
    parser: SseParser,
    ready: VecDeque<AnswerEvent>,
    deadline: Instant,
    seen_text: bool,
    usage: Usage,
    message_id: String,
    stop: Option<String>,
}

impl Deref for Answer {
    type Target = AnswerHead;

    fn deref(&self) -> &AnswerHead {
        &self.head
    }
}

impl Answer {
    pub(super) fn begin(
        inner: Arc<Inner>,
        sent: Sent,
        private: Vec<String>,
        cancel: CancellationToken,
    ) -> Result<Answer, ClaudeError> {
        let Sent { response, connection, at, held } = sent;
        let request_id = request_id(response.headers());
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        if !kind.starts_with("text/event-stream") {
            let error = inner.protocol(format!("{kind:?} instead of a stream of events"), request_id);
            return Err(error.over(connection));
        }
        let left = inner.settings.first_text_timeout.saturating_sub(inner.now().since(at));
        Ok(Answer {
            head: AnswerHead { sent: at, request_id, connection, model: inner.settings.model.clone() },
            inner,
            private,
            cancel,
            source: Some((response.into_body(), held)),
            parser: SseParser::new(MOST_EVENT),
            ready: VecDeque::new(),
            deadline: Instant::now() + left,
            seen_text: false,
            usage: Usage::default(),
            message_id: String::new(),
            stop: None,
        })
    }

    /// The next event; none after `Done`, after `Failed` and after a cancel. Dropping the future loses nothing. The
    /// instants are those of the reading: poll it as soon as it wakes.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        loop {
            if self.cancel.is_cancelled() {
                self.source = None;
                self.ready.clear();
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let (body, _) = self.source.as_mut()?;
            let frame = tokio::select! {
                biased;
                () = self.cancel.cancelled() => continue,
                frame = tokio::time::timeout_at(self.deadline, body.frame()) => frame,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.inner.line.touch();
                        self.take_bytes(bytes);
                    }
                }
                Ok(Some(Err(error))) => self.cut(chain(&error)),
                Ok(None) => self.cut("it ended before its last event".to_owned()),
                Err(_) => self.silent(),
            }
        }
    }

    /// The counts so far: those of the input are there from the first text on, that of the output with `Done`.
    pub fn usage(&self) -> Usage {
        self.usage.clone()
    }

    fn take_bytes(&mut self, bytes: &[u8]) {
        let at = self.inner.now();
        let mut events = Vec::new();
        let pushed = self.parser.push(bytes, |event| events.push(event));
        for event in events {
            self.take_event(at, &event);
            if self.source.is_none() {
                return;
            }
        }
        if let Err(too_large) = pushed {
            self.fail(self.inner.protocol(too_large.to_string(), self.head.request_id.clone()));
        }
    }

    fn take_event(&mut self, at: Mono, event: &SseEvent) {
        let event: StreamEvent = match serde_json::from_str(&event.data) {
            Ok(event) => event,
            Err(error) => {
                // The words of a serde error may quote the text; its place cannot.
                let fault = format!("an event that is no event, at column {}", error.column());
                return self.fail(self.inner.protocol(fault, self.head.request_id.clone()));
            }
        };
        // Pings show that the server lives, not that the answer comes.
        if self.seen_text && !matches!(event, StreamEvent::Ping) {
            self.deadline = Instant::now() + self.inner.settings.first_text_timeout;
        }
        match event {
            StreamEvent::MessageStart { message } => {
                self.usage.merge(&message.usage);
                self.message_id = message.id;
                self.inner.note_usage(&self.usage, self.head.sent);
            }
            StreamEvent::ContentBlockStart { content_block, .. } => {
                if content_block["type"] == "text"
                    && let Some(text) = content_block["text"].as_str()
                {
                    self.take_text(at, text.to_owned());
                }
            }
            StreamEvent::ContentBlockDelta { delta: Delta::TextDelta { text }, .. } => self.take_text(at, text),
            StreamEvent::MessageDelta { delta, usage } => {
                self.usage.merge(&usage);
                self.stop = delta.stop_reason.or(self.stop.take());
            }
            StreamEvent::MessageStop => {
                self.ready.push_back(AnswerEvent::Done {
                    at,
                    stop: self.stop.take().into(),
                    usage: self.usage.clone(),
                    message_id: std::mem::take(&mut self.message_id),
                });
                self.release();
            }
            StreamEvent::Error { error } => {
                let id = self.head.request_id.clone();
                self.fail(self.inner.broken_off(&error, &self.private, id));
            }
            StreamEvent::ContentBlockDelta { .. }
            | StreamEvent::ContentBlockStop { .. }
            | StreamEvent::Ping
            | StreamEvent::Unknown => {}
        }
    }

    fn take_text(&mut self, at: Mono, text: String) {
        if text.is_empty() {
            return;
        }
        if !self.seen_text {
            self.seen_text = true;
            self.deadline = Instant::now() + self.inner.settings.first_text_timeout;
        }
        self.ready.push_back(AnswerEvent::Text { at, text });
    }

    fn fail(&mut self, error: ClaudeError) {
        self.source = None;
        self.ready.push_back(AnswerEvent::Failed(error.over(self.head.connection)));
    }

    fn cut(&mut self, fault: String) {
        let host = self.inner.line.host().to_owned();
        self.fail(ClaudeError::Cut { host, fault, request_id: self.head.request_id.clone(), connection: None });
    }

    fn silent(&mut self) {
        if let Some((_, held)) = &self.source {
            self.inner.line.discard(held);
        }
        self.fail(ClaudeError::Timeout {
            host: self.inner.line.host().to_owned(),
            awaited: if self.seen_text { "further word" } else { "first word" },
            after: self.inner.settings.first_text_timeout,
            request_id: self.head.request_id.clone(),
            connection: None,
        });
    }

    /// Reads the end of the response beside the turn: a body dropped before it would be reset as if cancelled, and an
    /// HTTP/1.1 connection closed.
    fn release(&mut self) {
        let Some((mut body, held)) = self.source.take() else { return };
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let end = async { while let Some(Ok(_)) = body.frame().await {} };
            if tokio::time::timeout(TAIL, end).await.is_ok() {
                inner.line.put_back(held).await;
            }
        });
    }
}
