//! From the body of a request to what the cache and the replies need: the row of blocks with their prefix hashes, and
//! the question.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::cache::{Block, PrefixHash, Ttl};
use super::model::Model;
use super::tokens;

/// Pieces that a message costs beyond its text, and that the start of the answer costs.
const MESSAGE_OVERHEAD: u64 = 3;
/// Pieces of an image or a document, whatever its size: no voice turn sends one.
const BINARY_PIECES: u64 = 1500;

/// The input side of one request.
#[derive(Debug)]
pub struct Prompt {
    /// Tools, then system, then messages.
    pub blocks: Vec<Block>,
    /// Pieces of the whole input, before the model's factor.
    pub pieces: u64,
    /// The last text block of the last user message: what the reply answers.
    pub question: String,
    /// The other text blocks of that message: the hour, the room, the language.
    pub context: String,
    /// The texts of the messages before the last one.
    pub history: Vec<String>,
}

/// Reads a body that has been checked.
pub fn read(body: &Value, model: &Model) -> Prompt {
    let mut row = Row::new(model, body);
    for tool in list(&body["tools"]) {
        row.push("tool", tool, 0);
    }
    for block in text_blocks(&body["system"]) {
        row.push("system", &block, 0);
    }
    // The thinking mode and the tool choice are part of what a message's prefix depends on, not of the system's.
    row.mix("mode", &[&body["thinking"], &body["tool_choice"]]);
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    for message in list(&body["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        let content = text_blocks(&message["content"]);
        for (n, block) in content.iter().enumerate() {
            row.push(role, block, if n == 0 { MESSAGE_OVERHEAD } else { 0 });
        }
        let texts: Vec<_> = content.iter().filter_map(|b| b["text"].as_str().map(str::to_owned)).collect();
        said.push(texts.join("\n"));
        if role == "user" {
            asked = texts;
        }
    }
    if let (Some(ttl), Some(last)) = (breakpoint(body), row.blocks.last_mut()) {
        last.breakpoint = last.breakpoint.or(Some(ttl));
    }
    let question = asked.pop().unwrap_or_default();
    said.pop();
    let (context, history) = (asked.join("\n"), said);
    Prompt { blocks: row.blocks, pieces: row.pieces + MESSAGE_OVERHEAD, question, context, history }
}

/// The breakpoint of a block (or of the whole request).
pub fn breakpoint(block: &Value) -> Option<Ttl> {
    let control = block.get("cache_control").filter(|c| !c.is_null())?;
    Some(if control["ttl"] == "1h" { Ttl::OneHour } else { Ttl::FiveMinutes })
}

/// The items of an array; none where the value is something else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Content as blocks: a string is one text block.
pub fn text_blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![serde_json::json!({"type": "text", "text": text})],
        other => list(other).to_vec(),
    }
}

/// The row under construction: every block's hash covers all that came before.
struct Row {
    hash: PrefixHash,
    pieces: u64,
    blocks: Vec<Block>,
}

impl Row {
    fn new(model: &Model, body: &Value) -> Self {
        let mut row = Self { hash: [0; 32], pieces: 0, blocks: Vec::new() };
        row.mix("model", &[&Value::from(model.id), &body["speed"]]);
        row
    }

    fn mix(&mut self, section: &str, parts: &[&Value]) {
        let mut hasher = Sha256::new();
        hasher.update(self.hash);
        hasher.update(section);
        for part in parts {
            hasher.update([0]);
            hasher.update(part.to_string());
        }
        self.hash = hasher.finalize().into();
    }

    fn push(&mut self, section: &str, block: &Value, overhead: u64) {
        // The bytes as they came, in their order; only the mark itself is not part of the prefix.
        let bare = match block {
            Value::Object(map) => {
                Value::Object(map.iter().filter(|(k, _)| *k != "cache_control").map(pair).collect::<Map<_, _>>())
            }
            other => other.clone(),
        };
        self.mix(section, &[&bare]);
        self.pieces += overhead + cost(&bare);
        self.blocks.push(Block { prefix: self.hash, pieces: self.pieces, breakpoint: breakpoint(block) });
    }
}

fn pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// Pieces of one block.
fn cost(block: &Value) -> u64 {
    match (block["type"].as_str(), block["text"].as_str()) {
        (Some("text"), Some(text)) => tokens::count(text),
        (Some("image" | "document"), _) => BINARY_PIECES,
        _ => tokens::count(&block.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use serde_json::json;

    fn prompt(body: Value) -> Prompt {
        read(&body, model::find("claude-haiku-5-5").unwrap())
    }

    #[test]
    fn the_question_is_the_last_text_block_of_the_last_user_message() {
        let p = prompt(json!({"messages": [
            {"role": "user", "content": "first"}, {"role": "assistant", "content": "answer"},
            {"role": "user", "content": [{"type": "text", "text": "It is noon."}, {"type": "text", "text": "bonjour"}]}]}));
        assert_eq!((p.question.as_str(), p.context.as_str()), ("bonjour", "It is noon."));
        assert_eq!(p.history, ["first", "answer"]);
    }

    #[test]
    fn the_prefix_is_the_exact_bytes_and_not_the_marks() {
        let with = |system: Value| {
            prompt(json!({"system": system, "messages": [{"role": "user", "content": "q"}]})).blocks[0].prefix
        };
        let text = |t: &str| json!([{"type": "text", "text": t}]);
        let marked = json!([{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]);
        assert_eq!(with(text("be brief")), with(marked));
        assert_eq!(with(text("be brief")), with(json!("be brief")));
        assert_ne!(with(text("be brief")), with(text("be brief ")));
    }

    #[test]
    fn model_speed_and_section_change_the_prefix_and_thinking_only_the_messages() {
        let base = json!({"system": "s", "messages": [{"role": "user", "content": "q"}]});
        let mut fast = base.clone();
        fast["speed"] = json!("fast");
        let mut thinking = base.clone();
        thinking["thinking"] = json!({"type": "disabled"});
        let hashes = |body: &Value| prompt(body.clone()).blocks.iter().map(|b| b.prefix).collect::<Vec<_>>();
        assert_ne!(hashes(&base)[0], hashes(&fast)[0]);
        assert_eq!(hashes(&base)[0], hashes(&thinking)[0]);
        assert_ne!(hashes(&base)[1], hashes(&thinking)[1]);
        let old = read(&base, model::find("claude-haiku-4-5").unwrap());
        assert_ne!(old.blocks[0].prefix, hashes(&base)[0]);
    }
}
