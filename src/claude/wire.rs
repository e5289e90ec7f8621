//! The wire format of the Messages API, as far as Elio speaks it: what the client writes and the simulated API reads,
//! and the other way round. Field names are the API's own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Value of the `anthropic-version` header.
pub const API_VERSION: &str = "2023-06-01";

/// Body of `POST /v1/messages`. The order of the fields is the order of the bytes; the frozen prefix depends on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessagesRequest {
    /// Model id.
    pub model: String,
    /// Bound of the answer in tokens; 0 only warms the cache.
    pub max_tokens: u32,
    /// Tool definitions, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// System prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "blocks")]
    pub system: Vec<ContentBlock>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Server-sent events instead of one document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// `{"type":"disabled"}` or `{"type":"adaptive"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Value>,
    /// `{"effort":"low"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<Value>,
    /// `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What: a string on the wire is read as one text block.
    #[serde(deserialize_with = "blocks")]
    pub content: Vec<ContentBlock>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// Claude.
    Assistant,
}

/// A block of content. Kinds that Elio does not know stay as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContentBlock {
    /// `{"type":"text","text":…}`
    Text(TextBlock),
    /// Anything else.
    Other(Value),
}

impl ContentBlock {
    /// A text block without a cache breakpoint.
    pub fn text(text: impl Into<String>) -> Self {
        ContentBlock::Text(TextBlock { kind: TextTag::Text, text: text.into(), cache_control: None })
    }

    /// A text block that ends a cached prefix; `ttl` is `5m` or `1h`.
    pub fn cached_text(text: impl Into<String>, ttl: &str) -> Self {
        let cache_control = Some(CacheControl { kind: EphemeralTag::Ephemeral, ttl: Some(ttl.to_owned()) });
        ContentBlock::Text(TextBlock { kind: TextTag::Text, text: text.into(), cache_control })
    }
}

/// A text block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// Always `text`.
    #[serde(rename = "type")]
    pub kind: TextTag,
    /// The text.
    pub text: String,
    /// A breakpoint of the prompt cache after this block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// The tag `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextTag {
    /// `text`
    Text,
}

/// The tag `ephemeral`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EphemeralTag {
    /// `ephemeral`
    Ephemeral,
}

/// A breakpoint of the prompt cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheControl {
    /// Always `ephemeral`.
    #[serde(rename = "type")]
    pub kind: EphemeralTag,
    /// `5m` (the default) or `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// Token counts. In a stream, `message_start` gives the input side and `message_delta` cumulative counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from the cache nor written to it.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// Tokens written to the cache.
    #[serde(default)]
    pub cache_creation_input_tokens: Option<u64>,
    /// Tokens read from the cache.
    #[serde(default)]
    pub cache_read_input_tokens: Option<u64>,
    /// Output tokens so far.
    #[serde(default)]
    pub output_tokens: Option<u64>,
}

/// One event of the stream. An event type that is not listed here is to be ignored, never a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// First event.
    MessageStart {
        /// The message without its content.
        message: MessageHead,
    },
    /// A block begins.
    ContentBlockStart {
        /// Index of the block.
        index: usize,
        /// The block, empty yet.
        content_block: Value,
    },
    /// A piece of a block.
    ContentBlockDelta {
        /// Index of the block.
        index: usize,
        /// The piece.
        delta: Delta,
    },
    /// A block ends.
    ContentBlockStop {
        /// Index of the block.
        index: usize,
    },
    /// Stop reason and cumulative usage; may come more than once.
    MessageDelta {
        /// What changed in the message.
        delta: MessageDelta,
        /// Cumulative usage.
        #[serde(default)]
        usage: Usage,
    },
    /// Last event.
    MessageStop,
    /// May come anywhere.
    Ping,
    /// May come after HTTP 200.
    Error {
        /// The error.
        error: ApiErrorBody,
    },
    /// Any other type.
    #[serde(other)]
    Unknown,
}

/// The message as `message_start` carries it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageHead {
    /// `msg_…`
    #[serde(default)]
    pub id: String,
    /// The model that answers.
    #[serde(default)]
    pub model: String,
    /// Usage of the input side.
    #[serde(default)]
    pub usage: Usage,
    /// Everything else (`type`, `role`, `content`, `stop_reason`, …).
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// A piece of a content block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// Text.
    TextDelta {
        /// The text, one to three tokens.
        text: String,
    },
    /// A fragment of a tool's input.
    InputJsonDelta {
        /// The fragment.
        partial_json: String,
    },
    /// Thinking, signatures, citations and whatever comes later.
    #[serde(other)]
    Other,
}

/// What `message_delta` changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageDelta {
    /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`, `model_context_window_exceeded`.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// The sequence, where the stop reason is `stop_sequence`.
    #[serde(default)]
    pub stop_sequence: Option<String>,
}

/// Body of a refused request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiErrorResponse {
    /// Always `error`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The error.
    pub error: ApiErrorBody,
    /// `req_…`
    #[serde(default)]
    pub request_id: Option<String>,
}

/// An error of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiErrorBody {
    /// `invalid_request_error`, `authentication_error`, `overloaded_error`, …
    #[serde(rename = "type", default)]
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// Content as the API takes it: a string or a list of blocks.
fn blocks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ContentBlock>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Blocks(Vec<ContentBlock>),
    }
    Ok(match Content::deserialize(deserializer)? {
        Content::Text(text) => vec![ContentBlock::text(text)],
        Content::Blocks(blocks) => blocks,
    })
}
