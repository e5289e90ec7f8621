//! The stream of one answer as a script: what is sent, and when after the request was received. Made before the first
//! byte leaves, so that the pace is absolute and cannot drift, and so that a fault is an edit of the script.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::check::Checked;
use super::fault::Fault;
use super::spread::Rng;
use super::tokens;

/// One step of a stream.
#[derive(Debug)]
pub struct Step {
    /// Not before this long after the request.
    pub at: Duration,
    /// What to do.
    pub act: Act,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Send these bytes, flushed.
    Send(Bytes),
    /// The same, and they carry the first text.
    SendFirstText(Bytes),
    /// Drop the connection.
    Cut,
    /// Never send anything again.
    Stall,
}

/// When tokens come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the request to the first token (of thinking, where there is thinking).
    pub first: Duration,
    /// Output tokens in a second after it.
    pub tokens_per_second: f64,
}

/// Share of the time to the first token after which the response begins: headers and `message_start` come when the
/// prompt has been read, shortly before the first token.
const HEAD_SHARE: f64 = 0.9;

/// The steps of `answer`. `message` is the message of `message_start`; `cumulative` the input side of the last usage.
pub fn stream(
    message: &Value,
    cumulative: &Value,
    answer: &Answer,
    checked: &Checked,
    pace: Pace,
    fault: Option<Fault>,
    rng: &mut Rng,
) -> Vec<Step> {
    let mut script = Script { pace, checked, sent: 0, anchor: None, steps: Vec::new() };
    script.steps.push(step(pace.first.mul_f64(HEAD_SHARE), json!({"type": "message_start", "message": message})));
    script.event(json!({"type": "ping"}));
    let mut index = 0;
    if let Some(thinking) = &answer.thinking {
        script.event(json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""}}));
        script.deltas(index, thinking, rng, |piece| json!({"type": "thinking_delta", "thinking": piece}));
        script.event(json!({"type": "content_block_delta", "index": index,
            "delta": {"type": "signature_delta", "signature": answer::signature(thinking)}}));
        script.event(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    let mut text_from = script.steps.len();
    if !answer.text.is_empty() {
        script.event(json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "text", "text": ""}}));
        text_from = script.steps.len();
        script.deltas(index, &answer.text, rng, |piece| json!({"type": "text_delta", "text": piece}));
        script.event(json!({"type": "content_block_stop", "index": index}));
    }
    let mut usage = cumulative.clone();
    usage["output_tokens"] = json!(answer.output_tokens(checked));
    if answer.thinking.is_some() {
        usage["output_tokens_details"] = json!({"thinking_tokens": answer.thinking_tokens(checked)});
    }
    let delta = json!({"stop_reason": answer.stop_reason, "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details()});
    let text_to = script.steps.len();
    script.event(json!({"type": "message_delta", "delta": delta, "usage": usage}));
    script.event(json!({"type": "message_stop"}));
    let mut steps = script.steps;
    if let Some(first) = steps.get_mut(text_from).filter(|_| text_from < text_to)
        && let Act::Send(bytes) = &first.act
    {
        first.act = Act::SendFirstText(bytes.clone());
    }
    // Half of the text, but never less than its first piece.
    let middle = (text_from + text_to).div_ceil(2);
    match fault {
        Some(fault) => spoil(steps, fault, middle, rng),
        None => steps,
    }
}

/// The script while it is written.
struct Script<'a> {
    pace: Pace,
    checked: &'a Checked,
    /// Pieces sent so far, and their tokens when the first delta left.
    sent: u64,
    anchor: Option<u64>,
    steps: Vec<Step>,
}

impl Script<'_> {
    /// An event that costs nothing: it leaves with what came before it.
    fn event(&mut self, event: Value) {
        let at = self.steps.last().map_or(Duration::ZERO, |s| s.at);
        self.steps.push(step(at, event));
    }

    /// Deltas of one to three tokens, each when its last token has been made.
    fn deltas(&mut self, index: usize, text: &str, rng: &mut Rng, delta: impl Fn(String) -> Value) {
        let pieces = tokens::pieces(text);
        let most = 300 / self.checked.model.token_percent;
        let mut rest = pieces.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + rng.next_u64() % most).min(rest.len() as u64) as usize);
            self.sent += now.len() as u64;
            let tokens = tokens::scaled(self.sent, self.checked.model);
            let since = tokens - *self.anchor.get_or_insert(tokens);
            let at = self.pace.first + Duration::from_secs_f64(since as f64 / self.pace.tokens_per_second);
            let event = json!({"type": "content_block_delta", "index": index, "delta": delta(now.concat())});
            self.steps.push(step(at, event));
            rest = later;
        }
    }
}

fn step(at: Duration, event: Value) -> Step {
    Step { at, act: Act::Send(frame(&event)) }
}

/// One server-sent event.
fn frame(event: &Value) -> Bytes {
    let name = event["type"].as_str().unwrap_or("message");
    Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
}

/// The script with a fault in it; `middle` is a step inside the text.
fn spoil(mut steps: Vec<Step>, fault: Fault, middle: usize, rng: &mut Rng) -> Vec<Step> {
    let at = steps.get(middle).map_or(Duration::ZERO, |s| s.at);
    let end_with = |mut steps: Vec<Step>, act: Act| {
        steps.truncate(middle);
        steps.push(Step { at, act });
        steps
    };
    match fault {
        Fault::Cut => end_with(steps, Act::Cut),
        Fault::Stall => end_with(steps, Act::Stall),
        Fault::OverloadedMidStream => {
            let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
            end_with(steps, Act::Send(frame(&error)))
        }
        Fault::PingFlood => {
            let ping = frame(&json!({"type": "ping"}));
            let flood = |s: Step| {
                let at = s.at;
                std::iter::once(s).chain((0..20).map({
                    let ping = ping.clone();
                    move |_| Step { at, act: Act::Send(ping.clone()) }
                }))
            };
            steps.into_iter().flat_map(flood).collect()
        }
        Fault::UnknownEvents => {
            let strange = [
                Bytes::from_static(b": a comment\n\n"),
                Bytes::from_static(b"event: from_the_future\nid: 7\nretry: 10\ndata: {\"type\":\"from_the_future\",\ndata: \"level\":9}\n\n"),
                frame(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "aura_delta", "aura": "blue"}})),
            ];
            let with = |s: Step| {
                let at = s.at;
                let after = strange.clone().map(|bytes| Step { at, act: Act::Send(bytes) });
                std::iter::once(s).chain(after)
            };
            let tail = steps.split_off(middle);
            steps.into_iter().flat_map(with).chain(tail).collect()
        }
        Fault::Bom => rewrite(steps, |n, bytes| match n {
            0 => vec![[b"\xef\xbb\xbf", bytes].concat()],
            _ => vec![bytes.to_vec()],
        }),
        Fault::Crlf => {
            rewrite(steps, |_, bytes| vec![String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes()])
        }
        Fault::SplitUtf8 => rewrite(steps, |_, bytes| {
            let mut rest = bytes;
            let mut parts = Vec::new();
            while !rest.is_empty() {
                // A part ends after the first byte of a longer character, so that every such character is split.
                let lead = rest.iter().position(|b| *b >= 0xc0).map_or(rest.len(), |at| at + 1);
                let (part, later) = rest.split_at((1 + rng.next_u64() as usize % 3).min(lead));
                parts.push(part.to_vec());
                rest = later;
            }
            parts
        }),
        _ => steps,
    }
}

/// Every send replaced by the parts that `parts` makes of its bytes; the first text stays marked on its last part.
fn rewrite(steps: Vec<Step>, mut parts: impl FnMut(usize, &[u8]) -> Vec<Vec<u8>>) -> Vec<Step> {
    let mut out = Vec::new();
    for (n, Step { at, act }) in steps.into_iter().enumerate() {
        let (bytes, first_text) = match act {
            Act::Send(bytes) => (bytes, false),
            Act::SendFirstText(bytes) => (bytes, true),
            act => {
                out.push(Step { at, act });
                continue;
            }
        };
        let mut parts = parts(n, &bytes).into_iter().map(Bytes::from).peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let act = if first_text && last { Act::SendFirstText(part) } else { Act::Send(part) };
            out.push(Step { at, act });
        }
    }
    out
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
