//! What the API refuses, in the words it uses; a body that passes can be read without further doubt.

use serde_json::Value;

use super::error::ApiError;
use super::model::{self, Model};
use super::prompt::{self, list, text_blocks};

/// Fields of `POST /v1/messages`.
const FIELDS: [&str; 21] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "thinking",
    "output_config",
    "speed",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
];
/// Those of them that counting tokens does not take.
const NOT_COUNTED: [&str; 11] = [
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "container",
    "diagnostics",
    "inference_geo",
];
const BLOCKS: [&str; 9] = [
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
];
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Which endpoint asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Endpoint {
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
}

/// What a checked body asks for.
#[derive(Debug)]
pub struct Checked {
    /// Who answers.
    pub model: &'static Model,
    /// Bound of the answer; 0 where only tokens are counted.
    pub max_tokens: u64,
    /// Server-sent events.
    pub stream: bool,
    /// Whether the model thinks before it answers.
    pub thinking: bool,
    /// Where the answer stops.
    pub stop_sequences: Vec<String>,
}

type Outcome<T = ()> = Result<T, ApiError>;

/// Checks a body.
pub fn body(body: &Value, endpoint: Endpoint) -> Outcome<Checked> {
    let Some(fields) = body.as_object() else {
        return Err(ApiError::invalid("Input should be a valid dictionary or object to extract fields from"));
    };
    let counting = endpoint == Endpoint::CountTokens;
    for name in fields.keys() {
        if !FIELDS.contains(&name.as_str()) || (counting && NOT_COUNTED.contains(&name.as_str())) {
            return Err(ApiError::invalid(format!("{name}: Extra inputs are not permitted")));
        }
    }
    let Some(id) = required(body, "model")?.as_str() else {
        return Err(ApiError::invalid("model: Input should be a valid string"));
    };
    let max_tokens = if counting { 0 } else { max_tokens(body)? };
    required(body, "messages")?;
    let model = model::find(id).ok_or_else(|| ApiError::not_found(format!("model: {id}")))?;
    let stream = boolean(body, "stream")?;
    if max_tokens > model.max_output {
        return Err(ApiError::invalid(format!(
            "max_tokens: {max_tokens} > {}, which is the maximum allowed number of output tokens for {}",
            model.max_output, model.id
        )));
    }
    if !counting && max_tokens == 0 && stream {
        return Err(ApiError::invalid("max_tokens: 0 is not supported with `stream: true`"));
    }
    sampling(body, model)?;
    let thinking = thinking(body, model, max_tokens)?;
    speed(body)?;
    content(body, model)?;
    breakpoints(body)?;
    let stop_sequences = list(&body["stop_sequences"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Checked { model, max_tokens, stream, thinking, stop_sequences })
}

fn required<'a>(body: &'a Value, name: &str) -> Outcome<&'a Value> {
    body.get(name).ok_or_else(|| ApiError::invalid(format!("{name}: Field required")))
}

fn boolean(body: &Value, name: &str) -> Outcome<bool> {
    match body.get(name) {
        None => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        Some(_) => Err(ApiError::invalid(format!("{name}: Input should be a valid boolean"))),
    }
}

fn max_tokens(body: &Value) -> Outcome<u64> {
    let value = required(body, "max_tokens")?;
    match (value.as_u64(), value.as_i64()) {
        (Some(n), _) => Ok(n),
        (None, Some(_)) => Err(ApiError::invalid("max_tokens: Input should be greater than or equal to 0")),
        _ => Err(ApiError::invalid("max_tokens: Input should be a valid integer")),
    }
}

/// Sampling parameters: the 5.5 family takes none but the defaults, the older one takes one of temperature and top_p.
fn sampling(body: &Value, model: &Model) -> Outcome {
    let given = |name: &str| body.get(name).filter(|v| !v.is_null());
    for (name, top) in [("temperature", 1.0), ("top_p", 1.0), ("top_k", f64::MAX)] {
        let Some(value) = given(name) else { continue };
        let Some(number) = value.as_f64() else {
            return Err(ApiError::invalid(format!("{name}: Input should be a valid number")));
        };
        if number < 0.0 || number > top {
            return Err(ApiError::invalid(format!("{name}: Input should be less than or equal to {top}")));
        }
        let default = name != "top_k" && number == 1.0;
        if model.adaptive && !default {
            return Err(ApiError::invalid(format!("`{name}` is deprecated for this model.")));
        }
    }
    if !model.adaptive && given("temperature").is_some() && given("top_p").is_some() {
        let message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one.";
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

/// Effort and thinking; gives whether the model thinks.
fn thinking(body: &Value, model: &Model, max_tokens: u64) -> Outcome<bool> {
    let effort = match &body["output_config"]["effort"] {
        Value::Null => None,
        Value::String(effort) if EFFORTS.contains(&effort.as_str()) => Some(effort.as_str()),
        _ => {
            let message = "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'";
            return Err(ApiError::invalid(message));
        }
    };
    if effort.is_some() && !model.adaptive {
        return Err(ApiError::invalid("This model does not support the effort parameter."));
    }
    let Some(config) = body.get("thinking").filter(|t| !t.is_null()) else { return Ok(model.adaptive) };
    match config["type"].as_str() {
        Some("disabled") if matches!(effort, Some("xhigh" | "max")) => Err(ApiError::invalid(format!(
            "thinking: \"disabled\" is not supported at effort \"{}\" on this model; use \"low\", \"medium\" or \"high\"",
            effort.unwrap_or_default()
        ))),
        Some("disabled") => Ok(false),
        Some("adaptive") if model.adaptive => Ok(true),
        Some("adaptive") => Err(ApiError::invalid("adaptive thinking is not supported on this model")),
        Some("enabled") if model.adaptive => Err(ApiError::invalid(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior.",
        )),
        Some("enabled") => match config["budget_tokens"].as_u64() {
            None => Err(ApiError::invalid("thinking.enabled.budget_tokens: Field required")),
            Some(..1024) => {
                Err(ApiError::invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"))
            }
            Some(budget) if budget >= max_tokens && max_tokens > 0 => {
                Err(ApiError::invalid("`max_tokens` must be greater than `thinking.budget_tokens`."))
            }
            Some(_) => Ok(true),
        },
        _ => Err(ApiError::invalid(
            "thinking: Input tag found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'",
        )),
    }
}

fn speed(body: &Value) -> Outcome {
    match &body["speed"] {
        Value::Null => Ok(()),
        Value::String(speed) if speed == "standard" || speed == "fast" => Ok(()),
        _ => Err(ApiError::invalid("speed: Input should be 'standard' or 'fast'")),
    }
}

/// Roles and blocks.
fn content(body: &Value, model: &Model) -> Outcome {
    for (n, block) in text_blocks(&body["system"]).iter().enumerate() {
        text_block(block, &format!("system.{n}"), "system")?;
    }
    for (n, tool) in list(&body["tools"]).iter().enumerate() {
        if tool["name"].as_str().is_none_or(str::is_empty) {
            return Err(ApiError::invalid(format!("tools.{n}.custom.name: Field required")));
        }
        if tool["type"].as_str().is_none_or(|t| t == "custom") && !tool["input_schema"].is_object() {
            return Err(ApiError::invalid(format!("tools.{n}.custom.input_schema: Field required")));
        }
    }
    let Some(messages) = body["messages"].as_array() else {
        return Err(ApiError::invalid("messages: Input should be a valid list"));
    };
    let role = |message: &Value| message["role"].as_str().unwrap_or_default().to_owned();
    for (n, message) in messages.iter().enumerate() {
        if !["user", "assistant", "system"].contains(&role(message).as_str()) {
            let message = format!("messages.{n}.role: Input should be 'user' or 'assistant'");
            return Err(ApiError::invalid(message));
        }
        let content = &message["content"];
        if !content.is_string() && !content.is_array() {
            return Err(ApiError::invalid(format!("messages.{n}.content: Field required")));
        }
        let last = n + 1 == messages.len();
        let blocks = text_blocks(content);
        let empty = blocks.is_empty() || content.as_str() == Some("");
        if empty && !(last && role(message) == "assistant") {
            let message = format!(
                "messages.{n}: all messages must have non-empty content except for the optional final assistant message"
            );
            return Err(ApiError::invalid(message));
        }
        for (b, block) in blocks.iter().enumerate() {
            text_block(block, &format!("messages.{n}.content.{b}"), "messages")?;
        }
    }
    match (messages.first(), messages.last()) {
        (Some(first), _) if role(first) != "user" => {
            Err(ApiError::invalid("messages: first message must use the \"user\" role"))
        }
        (_, Some(last)) if role(last) == "assistant" && model.adaptive => Err(ApiError::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        )),
        (_, Some(last)) if role(last) == "assistant" && trails(last) => {
            Err(ApiError::invalid("messages: final assistant content cannot end with trailing whitespace"))
        }
        (None, _) => Err(ApiError::invalid("messages: at least one message is required")),
        _ => Ok(()),
    }
}

/// Whether the last text of a message ends in white space.
fn trails(message: &Value) -> bool {
    text_blocks(&message["content"])
        .last()
        .and_then(|b| b["text"].as_str())
        .is_some_and(|t| t.ends_with(char::is_whitespace))
}

fn text_block(block: &Value, path: &str, section: &str) -> Outcome {
    let kind = block["type"].as_str().unwrap_or_default();
    if !BLOCKS.contains(&kind) || (section == "system" && kind != "text") {
        return Err(ApiError::invalid(format!(
            "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )));
    }
    if kind != "text" {
        return Ok(());
    }
    let Some(text) = block["text"].as_str() else {
        return Err(ApiError::invalid(format!("{path}.text: Field required")));
    };
    if text.is_empty() && prompt::breakpoint(block).is_some() {
        return Err(ApiError::invalid(format!("{path}.text: cache_control cannot be set for empty text blocks")));
    }
    if text.is_empty() {
        return Err(ApiError::invalid(format!("{section}: text content blocks must be non-empty")));
    }
    if text.trim().is_empty() && section == "messages" {
        return Err(ApiError::invalid("messages: text content blocks must contain non-whitespace text"));
    }
    Ok(())
}

/// At most four breakpoints, each well formed, an hour never after five minutes.
fn breakpoints(body: &Value) -> Outcome {
    let mut marks: Vec<(String, Value)> = Vec::new();
    let mut mark = |path: String, block: &Value| {
        if prompt::breakpoint(block).is_some() {
            marks.push((format!("{path}cache_control"), block["cache_control"].clone()));
        }
    };
    for (n, tool) in list(&body["tools"]).iter().enumerate() {
        mark(format!("tools.{n}."), tool);
    }
    for (n, block) in list(&body["system"]).iter().enumerate() {
        mark(format!("system.{n}."), block);
    }
    for (n, message) in list(&body["messages"]).iter().enumerate() {
        for (b, block) in list(&message["content"]).iter().enumerate() {
            mark(format!("messages.{n}.content.{b}."), block);
        }
    }
    mark(String::new(), body);
    for (path, control) in &marks {
        if control["type"] != "ephemeral" {
            return Err(ApiError::invalid(format!("{path}.type: Input should be 'ephemeral'")));
        }
        if !(control["ttl"].is_null() || control["ttl"] == "5m" || control["ttl"] == "1h") {
            return Err(ApiError::invalid(format!("{path}.ephemeral.ttl: Input should be '5m' or '1h'")));
        }
    }
    if marks.len() > 4 {
        let message = format!("A maximum of 4 blocks with cache_control may be provided. Found {}.", marks.len());
        return Err(ApiError::invalid(message));
    }
    let late = marks.iter().skip_while(|(_, c)| c["ttl"] == "1h").find(|(_, c)| c["ttl"] == "1h");
    match late {
        Some((path, _)) => Err(ApiError::invalid(format!(
            "{path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that \
             blocks are processed in the following order: `tools`, `system`, `messages`."
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
