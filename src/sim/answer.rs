//! One answer: the reply's words cut to what the request allows, and what they cost.

use serde_json::{Value, json};

use super::cache::InputUse;
use super::check::Checked;
use super::fault::Fault;
use super::tokens;

/// An answer before it is sent.
#[derive(Debug)]
pub struct Answer {
    /// Text of the thinking block; none where the model does not think.
    pub thinking: Option<String>,
    /// Text of the text block.
    pub text: String,
    /// `stop_reason`.
    pub stop_reason: &'static str,
    /// `stop_sequence`.
    pub stop_sequence: Option<String>,
    thinking_pieces: u64,
    text_pieces: u64,
}

impl Answer {
    /// The answer of `reply` to a checked request, as a fault may have it.
    pub fn new(reply: &str, checked: &Checked, fault: Option<Fault>) -> Self {
        let thought =
            "A person speaks to the speaker and waits. One short sentence first, then what helps, in plain words.";
        let budget = (checked.max_tokens * 100 / checked.model.token_percent) as usize;
        let thinking = (checked.thinking && checked.max_tokens > 0).then(|| head(thought, budget));
        let thinking_pieces = thinking.as_deref().map_or(0, tokens::count);

        let (mut text, mut stop_reason, mut stop_sequence) = (reply.to_owned(), "end_turn", None);
        let mut sequences = checked.stop_sequences.iter();
        let found = sequences.by_ref().filter_map(|s| text.find(s.as_str()).map(|at| (at, s))).min();
        if let Some((at, sequence)) = found {
            text.truncate(at);
            (stop_reason, stop_sequence) = ("stop_sequence", Some(sequence.clone()));
        }
        let whole = tokens::pieces(reply).len();
        let (short, reason) = match fault {
            Some(Fault::Refusal) => (4, "refusal"),
            Some(Fault::MaxTokens) => (whole / 2, "max_tokens"),
            _ => (usize::MAX, "max_tokens"),
        };
        let room = short.min(budget.saturating_sub(thinking_pieces as usize));
        if tokens::pieces(&text).len() > room || checked.max_tokens == 0 {
            text = head(&text, room);
            (stop_reason, stop_sequence) = (reason, None);
        }
        let text_pieces = tokens::count(&text);
        Self { thinking, text, stop_reason, stop_sequence, thinking_pieces, text_pieces }
    }

    /// Tokens of the thinking block.
    pub fn thinking_tokens(&self, checked: &Checked) -> u64 {
        tokens::scaled(self.thinking_pieces, checked.model)
    }

    /// All tokens of the output.
    pub fn output_tokens(&self, checked: &Checked) -> u64 {
        tokens::scaled(self.thinking_pieces + self.text_pieces, checked.model)
    }

    /// `stop_details`.
    pub fn stop_details(&self) -> Value {
        match self.stop_reason {
            "refusal" => json!({"type": "refusal", "category": null, "explanation": null}),
            _ => Value::Null,
        }
    }

    /// The content blocks of a reply that is not streamed.
    pub fn content(&self) -> Value {
        let thinking =
            self.thinking.iter().map(|t| json!({"type": "thinking", "thinking": t, "signature": signature(t)}));
        let text = (!self.text.is_empty()).then(|| json!({"type": "text", "text": self.text}));
        thinking.chain(text).collect()
    }
}

/// The first `pieces` pieces of a text.
fn head(text: &str, pieces: usize) -> String {
    tokens::pieces(text).into_iter().take(pieces).collect()
}

/// A signature that looks like one and depends on the text.
pub fn signature(thinking: &str) -> String {
    format!("ErUBCkYI{:016X}GgwSimulated==", thinking.bytes().fold(7u64, |h, b| h.wrapping_mul(31) + u64::from(b)))
}

/// The `usage` object of a whole reply or of `message_start`.
pub fn usage(input: &InputUse, checked: &Checked, output_tokens: u64, speed: &Value) -> Value {
    json!({
        "input_tokens": input.uncached,
        "cache_creation_input_tokens": input.written_5m + input.written_1h,
        "cache_read_input_tokens": input.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": input.written_5m,
            "ephemeral_1h_input_tokens": input.written_1h,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
        "inference_geo": "not_available",
        "speed": if checked.model.adaptive { speed.as_str() } else { None },
    })
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;

    fn checked(id: &str, max_tokens: u64, thinking: bool, stop: &[&str]) -> Checked {
        let stop_sequences = stop.iter().map(|s| s.to_string()).collect();
        Checked { model: model::find(id).unwrap(), max_tokens, stream: true, thinking, stop_sequences }
    }

    const REPLY: &str = "Yes. One two three four, five six seven eight nine ten.";

    #[test]
    fn an_answer_is_cut_to_max_tokens_and_says_so() {
        let request = checked("claude-haiku-5-5", 6, false, &[]);
        let answer = Answer::new(REPLY, &request, None);
        assert_eq!((answer.text.as_str(), answer.stop_reason), ("Yes. One two", "max_tokens"));
        assert_eq!(answer.output_tokens(&request), 6);
        let nothing = Answer::new(REPLY, &checked("claude-haiku-5-5", 0, true, &[]), None);
        assert_eq!((nothing.content(), nothing.stop_reason), (json!([]), "max_tokens"));
    }

    #[test]
    fn the_earliest_stop_sequence_ends_the_text() {
        let answer = Answer::new(REPLY, &checked("claude-haiku-4-5", 99, false, &["seven", "four"]), None);
        assert_eq!(answer.text, "Yes. One two three ");
        assert_eq!((answer.stop_reason, answer.stop_sequence.as_deref()), ("stop_sequence", Some("four")));
    }

    #[test]
    fn thinking_is_paid_for_and_shares_the_bound() {
        let request = checked("claude-haiku-5-5", 200, true, &[]);
        let answer = Answer::new(REPLY, &request, None);
        assert!(answer.thinking_tokens(&request) > 20);
        assert_eq!(answer.stop_reason, "end_turn");
        assert_eq!(answer.content()[0]["type"], "thinking");
        let starved = Answer::new(REPLY, &checked("claude-haiku-5-5", 20, true, &[]), None);
        assert_eq!((starved.text.as_str(), starved.stop_reason), ("", "max_tokens"));
    }

    #[test]
    fn a_refusal_stops_early_with_details() {
        let answer = Answer::new(REPLY, &checked("claude-haiku-5-5", 200, false, &[]), Some(Fault::Refusal));
        assert_eq!(answer.stop_reason, "refusal");
        assert!(answer.text.len() < REPLY.len() && answer.stop_details()["type"] == "refusal");
    }
}
