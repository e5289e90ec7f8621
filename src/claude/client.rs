//! The client: builds requests on the frozen prefix, sends them over the line, and retries once where that is right.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::cache::Cache;
use super::dial::Dialer;
use super::line::{Line, Sent, locked};
use super::wire::{API_VERSION, ContentBlock, Message, MessagesRequest, Role};
use super::{ApiKey, ClaudeError, ConnectionState, Prefix, Timing};
use crate::clock::Mono;
use crate::config::{ClaudeSettings, Effort, Thinking};

/// A check of an open connection that takes longer means that the path is dead. It runs while the person speaks.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);
/// Bounds of a document that is no stream.
const MOST_DOCUMENT: usize = 1 << 20;
const DOCUMENT_PATIENCE: Duration = Duration::from_secs(5);

/// One question with what belongs to it. Its `Debug` shows no word.
#[derive(Clone, Default)]
pub struct Question {
    /// What the person said.
    pub text: String,
    /// What was said before, from [`super::Memory::messages`].
    pub history: Vec<Message>,
    /// Facts of this moment (date, time, room); empty: none. They stand behind the last cache breakpoint.
    pub context: String,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({} characters, {} messages before)", self.text.chars().count(), self.history.len())
    }
}

/// The client of the Messages API; clones share the connection, the cache's clock and the tasks.
#[derive(Clone)]
pub struct Claude {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) settings: ClaudeSettings,
    pub(super) key: ApiKey,
    pub(super) prefix: Prefix,
    pub(super) timing: Timing,
    pub(super) line: Line,
    pub(super) cache: Mutex<Cache>,
    /// The API refused `max_tokens: 0` and took 1.
    pub(super) one_token: AtomicBool,
    /// One pre-warm at a time; one wake at a time.
    pub(super) prewarming: tokio::sync::Mutex<()>,
    pub(super) waking: tokio::sync::Mutex<()>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// What is sent, and how patiently.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Bytes,
    /// Texts of the person, which no error may repeat.
    pub(super) private: Vec<String>,
    /// Only asks whether the connection lives: an open one gets little time, and a silent one is replaced.
    check: bool,
}

impl Claude {
    /// Checks what can be checked without the network; opens nothing.
    ///
    /// # Errors
    ///
    /// [`ClaudeError::Setting`] for `base_url` and `ca_file`.
    pub fn new(settings: &ClaudeSettings, key: ApiKey, prefix: Prefix) -> Result<Claude, ClaudeError> {
        Claude::timed(settings, key, prefix, Timing::default())
    }

    /// As [`Claude::new`], by another clock.
    ///
    /// # Errors
    ///
    /// As [`Claude::new`].
    pub fn timed(
        settings: &ClaudeSettings,
        key: ApiKey,
        prefix: Prefix,
        timing: Timing,
    ) -> Result<Claude, ClaudeError> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let line = Line::new(Dialer::new(settings)?, timing.clone(), tasks.clone(), stop.clone());
        Ok(Claude {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                key,
                prefix,
                timing,
                line,
                cache: Mutex::new(Cache::default()),
                one_token: AtomicBool::new(false),
                prewarming: tokio::sync::Mutex::new(()),
                waking: tokio::sync::Mutex::new(()),
                tasks,
                stop,
            }),
        })
    }

    /// Opens the connection where there is none, and checks it, the key and the model by a request that costs no
    /// token. An open connection that stays silent is replaced by a new one.
    ///
    /// # Errors
    ///
    /// Whatever keeps a question from being answered.
    pub async fn connect(&self) -> Result<(), ClaudeError> {
        let call = Call {
            method: Method::GET,
            path: format!("/v1/models/{}", self.inner.settings.model),
            body: Bytes::new(),
            private: Vec::new(),
            check: true,
        };
        let sent = self.inner.exchange(&call).await?;
        self.inner.document(sent).await.map(drop)
    }

    /// Counts the prefix by the API's own counter, in tokens, with some few of a message of one letter: it costs nothing.
    ///
    /// # Errors
    ///
    /// As [`Claude::connect`]; [`ClaudeError::Protocol`] where the answer has no count.
    pub async fn count_prefix(&self) -> Result<u64, ClaudeError> {
        let inner = &self.inner;
        let messages = [Message { role: Role::User, content: vec![ContentBlock::text("a")] }];
        let body = json!({"model": inner.settings.model, "system": inner.prefix.system(), "messages": messages});
        let call = Call {
            method: Method::POST,
            path: "/v1/messages/count_tokens".to_owned(),
            body: body.to_string().into(),
            private: Vec::new(),
            check: true,
        };
        let sent = inner.exchange(&call).await?;
        let answer: serde_json::Value = serde_json::from_slice(&inner.document(sent).await?).unwrap_or_default();
        let tokens = answer.get("input_tokens").and_then(serde_json::Value::as_u64);
        tokens.ok_or_else(|| inner.protocol("it counts no tokens".to_owned(), None))
    }

    /// Sends a question; the future resolves when the answer begins to come. Cancelling (or dropping the future or the
    /// answer) ends the request on its HTTP/2 stream, and the connection lives.
    ///
    /// # Errors
    ///
    /// Every variant but those of the configuration; [`ClaudeError::Cancelled`] after a cancel.
    pub fn ask(
        &self,
        question: Question,
        cancel: CancellationToken,
    ) -> impl Future<Output = Result<Answer, ClaudeError>> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        async move {
            let call = inner.question(question)?;
            locked(&inner.cache).asked(inner.now());
            let sent = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ClaudeError::Cancelled),
                sent = inner.exchange(&call) => sent?,
            };
            Answer::begin(inner, sent, call.private, cancel)
        }
    }

    /// The connection as it stands now.
    pub fn connection(&self) -> ConnectionState {
        self.inner.line.state()
    }

    /// Ends every task and connection, and waits for them.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Inner {
    pub(super) fn now(&self) -> Mono {
        self.timing.clock.now()
    }

    fn question(&self, question: Question) -> Result<Call, ClaudeError> {
        let text = question.text.trim();
        if text.is_empty() {
            return Err(ClaudeError::Empty);
        }
        let mut content = Vec::new();
        if !question.context.trim().is_empty() {
            content.push(ContentBlock::text(question.context.trim()));
        }
        content.push(ContentBlock::text(text));
        let mut messages = question.history;
        messages.push(Message { role: Role::User, content });
        let private = messages.iter().flat_map(|message| &message.content).filter_map(text_of).collect();
        self.messages(messages, self.settings.max_tokens, true, private)
    }

    /// A call of `/v1/messages`. Everything before the messages is the same in every request of this run.
    pub(super) fn messages(
        &self,
        messages: Vec<Message>,
        max_tokens: u32,
        stream: bool,
        private: Vec<String>,
    ) -> Result<Call, ClaudeError> {
        let settings = &self.settings;
        let request = MessagesRequest {
            model: settings.model.clone(),
            max_tokens,
            tools: Vec::new(),
            system: self.prefix.system(),
            messages,
            stream,
            thinking: match settings.thinking {
                Thinking::Default => None,
                Thinking::Disabled => Some(json!({"type": "disabled"})),
                Thinking::Adaptive => Some(json!({"type": "adaptive"})),
            },
            output_config: (settings.effort != Effort::None).then(|| json!({"effort": settings.effort})),
            speed: settings.speed.clone(),
        };
        // Only a map with keys that are no strings could fail here, and there is none.
        let body = serde_json::to_vec(&request).map_err(|error| self.protocol(error.to_string(), None))?;
        Ok(Call { method: Method::POST, path: "/v1/messages".to_owned(), body: body.into(), private, check: false })
    }

    /// Sends a call and gives out a response of status 200. At most one retry: where the status may pass, after the
    /// wait that the API asks for; or at once, on a new connection, where provably nobody began to work on it.
    pub(super) async fn exchange(&self, call: &Call) -> Result<Sent, ClaudeError> {
        let mut retried = false;
        loop {
            let quick = call.check && self.line.state().open;
            let patience = if quick { CHECK_PATIENCE } else { self.settings.first_text_timeout };
            let error = match self.line.send(self.request(call)?, patience, call.check).await {
                Ok(sent) if sent.response.status().is_success() => {
                    let id = request_id(sent.response.headers()).unwrap_or_default();
                    let level = if call.check { log::Level::Debug } else { log::Level::Info };
                    log::log!(level, "claude: {} answered, request {id}", call.path);
                    return Ok(sent);
                }
                Ok(sent) => {
                    let error = self.refusal(sent, call).await;
                    let Some(wait) = error.retry().filter(|_| !retried) else { return Err(error) };
                    tokio::time::sleep(wait).await;
                    error
                }
                Err(unsent) if retried || !unsent.again => return Err(unsent.error),
                Err(unsent) => unsent.error,
            };
            log::info!("claude: one retry, because {error}");
            retried = true;
        }
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, ClaudeError> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.path.parse().map_err(|_| ClaudeError::Setting {
            key: "model",
            value: self.settings.model.clone(),
            fault: "is no model id".to_owned(),
        })?;
        let headers = request.headers_mut();
        headers.insert("x-api-key", self.key.header());
        headers.insert("anthropic-version", HeaderValue::from_static(API_VERSION));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("elio/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if call.method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    /// Reads a document to its end, and gives the connection back.
    pub(super) async fn document(&self, sent: Sent) -> Result<Bytes, ClaudeError> {
        let id = request_id(sent.response.headers());
        let body = self.collect(sent.response, id).await.map_err(|error| error.over(sent.connection))?;
        self.line.put_back(sent.held).await;
        Ok(body)
    }

    async fn collect(&self, response: Response<Incoming>, id: Option<String>) -> Result<Bytes, ClaudeError> {
        let body = Limited::new(response.into_body(), MOST_DOCUMENT).collect();
        let host = self.line.host().to_owned();
        match tokio::time::timeout(DOCUMENT_PATIENCE, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => {
                Err(ClaudeError::Cut { host, fault: error.to_string(), request_id: id, connection: None })
            }
            Err(_) => Err(ClaudeError::Timeout {
                host,
                awaited: "document",
                after: DOCUMENT_PATIENCE,
                request_id: id,
                connection: None,
            }),
        }
    }

    pub(super) fn protocol(&self, fault: String, request_id: Option<String>) -> ClaudeError {
        ClaudeError::Protocol { host: self.line.host().to_owned(), fault, request_id, connection: None }
    }
}

fn text_of(block: &ContentBlock) -> Option<String> {
    match block {
        ContentBlock::Text(block) => Some(block.text.clone()),
        ContentBlock::Other(_) => None,
    }
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("request-id").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::claude::tests::settings;
    use crate::config::Language;

    pub(in crate::claude) fn claude() -> Claude {
        let mut settings = settings();
        settings.base_url = "http://127.0.0.1:9".to_owned();
        let prefix = Prefix::new(&settings, &[Language::En]).unwrap();
        Claude::new(&settings, ApiKey::new("sk-secret", "a test".to_owned()).unwrap(), prefix).unwrap()
    }

    #[test]
    fn what_changes_stands_behind_what_is_cached() {
        let inner = claude().inner;
        let question = |text: &str, context: &str| Question {
            text: text.to_owned(),
            history: vec![],
            context: context.to_owned(),
        };
        let body = |question| String::from_utf8(inner.question(question).unwrap().body.to_vec()).unwrap();
        let (first, second) = (body(question("One?", "It is noon.")), body(question("Two?", "It is one.")));
        let cut = first.find("\"messages\"").unwrap();
        assert_eq!(first[..cut], second[..cut]);
        assert!(first[..cut].contains("cache_control") && !first[cut..].contains("cache_control"));
        assert!(first.find("It is noon.").unwrap() < first.find("One?").unwrap());
        assert!(first.ends_with(r#""stream":true,"thinking":{"type":"disabled"},"output_config":{"effort":"low"}}"#));
        let warm = inner.messages(vec![], 0, false, vec![]).unwrap().body;
        // `max_tokens` stands before the system prompt in the bytes, yet is no part of the prefix.
        let system = |text: &str| text[text.find("\"system\"").unwrap()..text.find("\"messages\"").unwrap()].to_owned();
        assert_eq!(system(&first), system(std::str::from_utf8(&warm).unwrap()));
    }

    #[test]
    fn an_empty_question_is_not_sent() {
        let question = Question { text: " \n".to_owned(), ..Question::default() };
        assert!(matches!(claude().inner.question(question), Err(ClaudeError::Empty)));
    }

    #[test]
    fn a_base_url_that_cannot_work_is_named() {
        for (url, part) in [
            ("api.anthropic.com", "scheme"),
            ("https://api.anthropic.com/v1", "no path"),
            ("http://192.168.1.9:8080", "https://"),
            ("ftp://localhost", "https://"),
            ("https://me:pw@localhost", "user name"),
        ] {
            let mut settings = settings();
            settings.base_url = url.to_owned();
            let error = Dialer::new(&settings).err().unwrap().to_string();
            assert!(error.contains("claude.base_url") && error.contains(url) && error.contains(part), "{error}");
        }
    }
}
