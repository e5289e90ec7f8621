//! The order and the pace of the events, and what each fault makes of them.

use super::super::model;
use super::*;

const REPLY: &str = "Il fait doux aujourd'hui. Quelques nuages passent très haut, et le soleil se montre enfin.";

fn request(thinking: bool) -> Checked {
    let model = model::find("claude-haiku-5-5").unwrap();
    Checked { model, max_tokens: 300, stream: true, thinking, stop_sequences: Vec::new() }
}

fn steps(thinking: bool, fault: Option<Fault>) -> Vec<Step> {
    let request = request(thinking);
    let answer = Answer::new(REPLY, &request, fault);
    let pace = Pace { first: Duration::from_millis(200), tokens_per_second: 100.0 };
    let message = json!({"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}});
    stream(&message, &json!({"input_tokens": 3}), &answer, &request, pace, fault, &mut Rng::new(1))
}

/// All that is sent, put together.
fn sent(steps: &[Step]) -> Vec<u8> {
    let bytes = |s: &Step| match &s.act {
        Act::Send(b) | Act::SendFirstText(b) => b.to_vec(),
        _ => Vec::new(),
    };
    steps.iter().flat_map(bytes).collect()
}

/// The data of every event, in order.
fn events(steps: &[Step]) -> Vec<Value> {
    let text = String::from_utf8(sent(steps)).unwrap();
    let data = text.split("\n\n").filter_map(|e| e.split_once("\ndata: ").map(|(_, d)| d.replace("\ndata: ", "")));
    data.map(|d| serde_json::from_str(&d).unwrap()).collect()
}

fn text_of(events: &[Value]) -> String {
    events.iter().filter_map(|e| e["delta"]["text"].as_str()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds
}

#[test]
fn the_events_come_in_the_order_of_the_api_and_carry_the_whole_text() {
    let steps = steps(false, None);
    let events = events(&steps);
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    let wanted = [["message_start", "ping"].as_slice(), &block, &["message_delta", "message_stop"]].concat();
    assert_eq!(kinds(&events), wanted);
    assert_eq!(text_of(&events), REPLY);
    let usage = &events[events.len() - 2]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(3), &json!((tokens::count(REPLY) * 13).div_ceil(10)))
    );
}

#[test]
fn every_event_is_one_that_the_client_knows() {
    use crate::claude::wire::StreamEvent;
    for event in events(&steps(true, None)) {
        let known: StreamEvent = serde_json::from_value(event.clone()).unwrap();
        assert_ne!(known, StreamEvent::Unknown, "{event}");
    }
}

#[test]
fn the_first_text_comes_at_its_time_and_the_rest_at_the_pace() {
    let steps = steps(false, None);
    let first = steps.iter().find(|s| matches!(s.act, Act::SendFirstText(_))).unwrap();
    assert_eq!(first.at, Duration::from_millis(200));
    assert!(steps[0].at < first.at, "message_start comes before the first token");
    assert!(steps.is_sorted_by_key(|s| s.at));
    let tokens = (tokens::count(REPLY) * 13).div_ceil(10) as f64;
    let whole = (steps.last().unwrap().at - first.at).as_secs_f64();
    // The first delta carries at most three tokens.
    assert!(whole <= tokens / 100.0 && whole >= (tokens - 3.0) / 100.0, "{whole} s for {tokens} tokens");
}

#[test]
fn a_delta_has_one_to_three_tokens() {
    for event in events(&steps(false, None)) {
        if let Some(text) = event["delta"]["text"].as_str() {
            assert!((1..=3).contains(&tokens::scaled(tokens::count(text), request(false).model)), "{text}");
        }
    }
}

#[test]
fn thinking_comes_first_and_costs_time() {
    let steps = steps(true, None);
    let events = events(&steps);
    let deltas: Vec<_> = events.iter().filter_map(|e| e["delta"]["type"].as_str()).collect();
    let text_at = deltas.iter().position(|d| *d == "text_delta").unwrap();
    assert!(deltas[..text_at - 1].iter().all(|d| *d == "thinking_delta"));
    assert_eq!(deltas[text_at - 1], "signature_delta");
    let first = steps.iter().find(|s| matches!(s.act, Act::SendFirstText(_))).unwrap();
    assert!(first.at > Duration::from_millis(400), "{:?}", first.at);
    assert!(events[events.len() - 2]["usage"]["output_tokens_details"]["thinking_tokens"].as_u64() > Some(20));
}

#[test]
fn faults_that_end_a_stream_end_it_after_some_text() {
    for (fault, last) in [(Fault::Cut, Act::Cut), (Fault::Stall, Act::Stall)] {
        let steps = steps(false, Some(fault));
        assert_eq!(steps.last().unwrap().act, last);
        let text = text_of(&events(&steps));
        assert!(!text.is_empty() && text.len() < REPLY.len(), "{fault}: {text}");
    }
    let events = events(&steps(false, Some(Fault::OverloadedMidStream)));
    assert_eq!(events.last().unwrap()["error"]["type"], "overloaded_error");
    assert!(!text_of(&events).is_empty());
}

#[test]
fn faults_of_the_wire_leave_the_text_whole() {
    let plain = sent(&steps(false, None));
    let bom = sent(&steps(false, Some(Fault::Bom)));
    assert_eq!(bom, [b"\xef\xbb\xbf".as_slice(), &plain].concat());
    let crlf = String::from_utf8(sent(&steps(false, Some(Fault::Crlf)))).unwrap();
    assert_eq!(crlf.replace("\r\n", "\n").as_bytes(), plain);
    assert!(!crlf.replace("\r\n", "").contains('\n'));

    let split = steps(false, Some(Fault::SplitUtf8));
    assert_eq!(sent(&split), plain);
    let parts: Vec<_> = split.iter().map(|s| sent(std::slice::from_ref(s))).collect();
    assert!(parts.iter().all(|p| (1..=3).contains(&p.len())));
    assert!(parts.iter().any(|p| std::str::from_utf8(p).is_err()), "some character is split");
    assert_eq!(split.iter().filter(|s| matches!(s.act, Act::SendFirstText(_))).count(), 1);
}

#[test]
fn pings_and_unknown_events_come_between_and_change_nothing() {
    let flood = events(&steps(false, Some(Fault::PingFlood)));
    assert!(flood.iter().filter(|e| e["type"] == "ping").count() > 200);
    assert_eq!(text_of(&flood), REPLY);
    let strange = steps(false, Some(Fault::UnknownEvents));
    assert_eq!(text_of(&events(&strange)), REPLY);
    assert!(kinds(&events(&strange)).contains(&"from_the_future"));
    assert!(sent(&strange).windows(5).any(|w| w == b"\n: a "));
}

#[test]
fn a_refusal_and_a_short_bound_say_so() {
    for (fault, reason) in [(Fault::Refusal, "refusal"), (Fault::MaxTokens, "max_tokens")] {
        let events = events(&steps(false, Some(fault)));
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], reason);
        assert!(text_of(&events).len() < REPLY.len());
    }
}
