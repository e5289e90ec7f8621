//! The table of refusals, and its other side: what must pass.

use serde_json::json;

use super::*;

const NEW: &str = "claude-haiku-5-5";
const OLD: &str = "claude-haiku-4-5";

/// A sound body of a voice turn with `changes` laid over it; a null in them removes the field.
fn request(model: &str, changes: Value) -> Value {
    let mut body = json!({"model": model, "max_tokens": 300, "messages": [{"role": "user", "content": "hello"}]});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => body.as_object_mut().unwrap().remove(name),
            value => body.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    body
}

fn marked(text: &str, ttl: &str) -> Value {
    json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}})
}

fn user(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

#[test]
fn what_the_api_takes_passes() {
    let assistant = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well"}]);
    for (model, changes) in [
        (NEW, json!({})),
        (NEW, json!({"stream": true, "thinking": {"type": "disabled"}, "output_config": {"effort": "low"}})),
        (NEW, json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}})),
        (NEW, json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}})),
        (NEW, json!({"temperature": 1.0, "top_p": 1, "speed": "fast"})),
        (NEW, json!({"max_tokens": 0, "thinking": {"type": "disabled"}})),
        (NEW, json!({"system": [marked("a", "1h"), marked("b", "5m")], "tools": [{"name": "t", "input_schema": {}}]})),
        (NEW, json!({"diagnostics": {"previous_message_id": "msg_1"}, "metadata": {"user_id": "x"}})),
        (OLD, json!({"temperature": 0.2, "top_k": 5, "stop_sequences": ["x"]})),
        (OLD, json!({"messages": assistant})),
        (OLD, json!({"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}})),
    ] {
        let body = request(model, changes);
        let checked = super::body(&body, Endpoint::Messages).unwrap_or_else(|e| panic!("{body}: {e:?}"));
        assert_eq!(checked.stream, body["stream"] == true);
    }
}

#[test]
fn what_the_api_refuses_is_refused_in_its_words() {
    let talk = |roles: &[&str]| {
        let messages: Vec<_> = roles.iter().map(|r| json!({"role": r, "content": "words"})).collect();
        json!({ "messages": messages })
    };
    let five: Vec<_> = (0..5).map(|n| marked(&n.to_string(), "5m")).collect();
    let enabled = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000});
    for (model, changes, wanted) in [
        (NEW, json!({"max_tokens": null}), "max_tokens: Field required"),
        (NEW, json!({"model": null}), "model: Field required"),
        (NEW, json!({"messages": null}), "messages: Field required"),
        (NEW, json!({"messages": []}), "messages: at least one message is required"),
        (NEW, json!({"max_tokens": -1}), "greater than or equal to 0"),
        (NEW, json!({"max_tokens": "many"}), "valid integer"),
        (NEW, json!({"max_tokens": 70_000}), "max_tokens: 70000 > 64000"),
        (NEW, json!({"max_tokens": 0, "stream": true}), "max_tokens: 0"),
        (NEW, json!({"stream": "yes"}), "stream: Input should be a valid boolean"),
        (NEW, json!({"prompt": "x"}), "prompt: Extra inputs are not permitted"),
        (NEW, json!({"temperature": 0.5}), "`temperature`"),
        (NEW, json!({"top_p": 0.9}), "`top_p`"),
        (NEW, json!({"top_k": 40}), "`top_k`"),
        (OLD, json!({"temperature": 1.5}), "temperature: Input should be less than or equal to 1"),
        (OLD, json!({"temperature": 0.5, "top_p": 0.5}), "cannot both be specified"),
        (NEW, enabled, "\"thinking.type.enabled\" is not supported"),
        (NEW, json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}), "effort \"max\""),
        (NEW, json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}}), "effort \"xhigh\""),
        (NEW, json!({"thinking": {"type": "never"}}), "expected tags"),
        (NEW, json!({"output_config": {"effort": "huge"}}), "output_config.effort"),
        (NEW, json!({"speed": "slow"}), "speed"),
        (OLD, json!({"output_config": {"effort": "low"}}), "effort parameter"),
        (OLD, json!({"thinking": {"type": "adaptive"}}), "adaptive thinking is not supported"),
        (OLD, json!({"thinking": {"type": "enabled"}}), "budget_tokens: Field required"),
        (OLD, json!({"thinking": {"type": "enabled", "budget_tokens": 100}}), "greater than or equal to 1024"),
        (OLD, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), "`max_tokens` must be greater"),
        (NEW, talk(&["user", "assistant"]), "does not support assistant message prefill"),
        (NEW, talk(&["assistant", "user"]), "first message must use the \"user\" role"),
        (NEW, talk(&["user", "robot"]), "messages.1.role"),
        (NEW, user(json!("")), "non-empty content"),
        (NEW, user(json!([])), "non-empty content"),
        (NEW, user(json!(7)), "messages.0.content"),
        (NEW, user(json!([{"type": "text", "text": ""}])), "text content blocks must be non-empty"),
        (NEW, user(json!("  \n")), "non-whitespace"),
        (NEW, user(json!([{"type": "text"}])), "messages.0.content.0.text: Field required"),
        (NEW, user(json!([{"type": "hologram"}])), "'hologram'"),
        (NEW, user(json!([marked("", "5m")])), "cache_control cannot be set for empty text blocks"),
        (NEW, json!({"system": [{"type": "text", "text": ""}]}), "system: text content blocks must be non-empty"),
        (NEW, json!({"system": [{"type": "image"}]}), "system.0"),
        (NEW, json!({"tools": [{"description": "x"}]}), "tools.0.custom.name"),
        (NEW, json!({"tools": [{"name": "x"}]}), "tools.0.custom.input_schema"),
        (NEW, json!({"system": five}), "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        (NEW, json!({"system": [marked("a", "5m"), marked("b", "1h")]}), "system.1.cache_control.ttl"),
        (NEW, json!({"system": [marked("a", "2h")]}), "'5m' or '1h'"),
        (NEW, json!({"cache_control": {"type": "forever"}}), "cache_control.type"),
    ] {
        let body = request(model, changes);
        let error = super::body(&body, Endpoint::Messages).expect_err(&body.to_string());
        assert_eq!((error.status, error.kind), (400, "invalid_request_error"), "{body}");
        assert!(error.message.contains(wanted), "{}: {wanted}", error.message);
        assert!(!error.message.contains('\n'));
    }
    let whitespace = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b "}]});
    let error = super::body(&request(OLD, whitespace), Endpoint::Messages).unwrap_err();
    assert!(error.message.contains("trailing whitespace"));
    assert!(super::body(&json!([]), Endpoint::Messages).is_err());
}

#[test]
fn an_unknown_model_is_not_found() {
    let error = super::body(&request("claude-haiku-9", json!({})), Endpoint::Messages).unwrap_err();
    assert_eq!((error.status, error.kind, error.message.as_str()), (404, "not_found_error", "model: claude-haiku-9"));
}

#[test]
fn counting_tokens_takes_neither_a_bound_nor_a_stream() {
    let count = |changes| super::body(&request(NEW, changes), Endpoint::CountTokens);
    assert!(count(json!({"max_tokens": null, "thinking": {"type": "disabled"}})).is_ok());
    assert!(count(json!({})).unwrap_err().message.contains("max_tokens: Extra inputs"));
    assert!(count(json!({"max_tokens": null, "stream": true})).unwrap_err().message.contains("stream: Extra inputs"));
}

#[test]
fn the_new_family_thinks_unless_it_is_told_not_to() {
    let thinks = |model, changes| super::body(&request(model, changes), Endpoint::Messages).unwrap().thinking;
    assert!(thinks(NEW, json!({})));
    assert!(!thinks(NEW, json!({"thinking": {"type": "disabled"}})));
    assert!(!thinks(OLD, json!({})));
}
