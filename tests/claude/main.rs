//! The Claude client against a real HTTP server, at the level of bytes, and against the simulated API.

#![allow(clippy::disallowed_methods, reason = "a test bounds its waits")]
// Clippy takes only the functions marked #[test] for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod command;
mod faults;
mod frames;
mod keeper;
mod keeping;
mod server;
mod simulated;
mod streams;

use std::path::PathBuf;
use std::time::Duration;

use elio::claude::{Answer, AnswerEvent, ApiKey, Claude, ClaudeError, Prefix, Question, Timing};
use elio::config::{CacheTtl, ClaudeSettings, Effort, KeepWarm, Language, Thinking};
use server::{Piece, Reply, Seen, Server};
use tokio_util::sync::CancellationToken;

/// Words that no log, error or `Debug` may show.
pub const QUESTION: &str = "where did grandmother hide the marmalade";
pub const KEY: &str = "sk-test-0123456789";

pub fn settings(server: &Server) -> ClaudeSettings {
    settings_of(&server.base_url, server.ca_file.clone())
}

pub fn settings_of(base_url: &str, ca_file: Option<PathBuf>) -> ClaudeSettings {
    ClaudeSettings {
        base_url: base_url.to_owned(),
        ca_file,
        key_file: None,
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: 300,
        effort: Effort::Low,
        thinking: Thinking::Disabled,
        speed: None,
        cache_ttl: CacheTtl::FiveMinutes,
        keep_warm: KeepWarm::Wake,
        keep_warm_for: Duration::from_secs(900),
        instructions_file: None,
        history_exchanges: 4,
        history_idle: Duration::from_secs(60),
        // Long enough for a busy machine: no test waits for them but those that set them shorter.
        connect_timeout: Duration::from_secs(20),
        first_text_timeout: Duration::from_secs(20),
    }
}

pub fn client_of(settings: &ClaudeSettings) -> Claude {
    client_timed(settings, Timing::default())
}

pub fn client_timed(settings: &ClaudeSettings, timing: Timing) -> Claude {
    let prefix = Prefix::new(settings, &[Language::En]).unwrap();
    Claude::timed(settings, ApiKey::new(KEY, "ANTHROPIC_API_KEY".to_owned()).unwrap(), prefix, timing).unwrap()
}

/// A keeper beside the test, as `elio run` has it.
pub struct Keeper {
    cancel: CancellationToken,
    keeping: tokio::task::JoinHandle<()>,
}

impl Keeper {
    pub fn of(claude: &Claude) -> Keeper {
        let (claude, cancel) = (claude.clone(), CancellationToken::new());
        let until = cancel.clone();
        Keeper { cancel, keeping: tokio::spawn(async move { claude.keep(until).await }) }
    }

    /// It ends at once, whatever it is doing.
    pub async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.keeping).await.unwrap().unwrap();
    }
}

pub fn client(server: &Server) -> Claude {
    client_of(&settings(server))
}

pub fn question() -> Question {
    Question { text: QUESTION.to_owned(), ..Question::default() }
}

pub async fn ask(claude: &Claude) -> Result<Answer, ClaudeError> {
    claude.ask(question(), CancellationToken::new()).await
}

/// The text of an answer and how it ended.
pub async fn all(mut answer: Answer) -> (String, Option<AnswerEvent>) {
    let mut text = String::new();
    while let Some(event) = answer.next().await {
        match event {
            AnswerEvent::Text { text: piece, .. } => text.push_str(&piece),
            end => {
                assert!(answer.next().await.is_none(), "nothing follows the end");
                return (text, Some(end));
            }
        }
    }
    (text, None)
}

pub fn event(json: &str) -> Piece {
    let kind = serde_json::from_str::<serde_json::Value>(json).unwrap()["type"].as_str().unwrap().to_owned();
    Piece::Bytes(format!("event: {kind}\ndata: {json}\n\n").into_bytes())
}

pub fn start() -> Piece {
    event(
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":1200,"output_tokens":1}}}"#,
    )
}

pub fn delta(text: &str) -> Piece {
    event(
        &serde_json::json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
            .to_string(),
    )
}

pub fn stop(reason: &str) -> Vec<Piece> {
    vec![
        event(r#"{"type":"content_block_stop","index":0}"#),
        event(&format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":9}}}}"#
        )),
        event(r#"{"type":"message_stop"}"#),
    ]
}

/// An answer with these texts.
pub fn answer(texts: &[&str]) -> Reply {
    let mut body =
        vec![start(), event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#)];
    body.extend(texts.iter().map(|text| delta(text)));
    body.extend(stop("end_turn"));
    Reply::stream(body)
}

/// What a healthy server answers to a check, a pre-warm and a question.
pub fn healthy(seen: &Seen) -> Reply {
    match (seen.method.as_str(), seen.body["stream"].as_bool()) {
        ("GET", _) => Reply::json(200, r#"{"type":"model","id":"claude-haiku-5-5"}"#),
        (_, Some(true)) => answer(&["In ", "the ", "cellar."]),
        _ => Reply::json(
            200,
            r#"{"id":"msg_w","type":"message","role":"assistant","content":[],"usage":{"input_tokens":8,"cache_creation_input_tokens":1200,"cache_read_input_tokens":0,"output_tokens":0}}"#,
        ),
    }
}

/// Waits until `what` holds; a machine that is too slow for this many seconds fails.
pub async fn until(what: impl Fn() -> bool) {
    for _ in 0..4000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be");
}
