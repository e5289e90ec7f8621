//! `POST /v1/messages`: cache, reply, and the player of the stream's script.

use hyper::header::HeaderValue;
use hyper::{Response, body::Bytes};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::answer::{self, Answer};
use super::api::{self, Exchange, Failure, Reply, lock};
use super::cache::InputUse;
use super::check::{self, Checked, Endpoint};
use super::error::ApiError;
use super::fault::{Fault, Stage};
use super::prompt;
use super::record::UsageRecord;
use super::reply_body::ReplyBody;
use super::script::{self, Act, Pace, Step};
use super::spread::Rng;

/// Time to the first text under the fault `slow-first`.
const SLOW_FIRST: Duration = Duration::from_secs(10);

/// A stream that is ready to be played.
pub struct Script {
    steps: Vec<Step>,
    input: InputUse,
    stop_reason: &'static str,
}

/// Answers a body.
pub async fn answer(exchange: &mut Exchange, body: &Value) -> Result<Reply, Failure> {
    let checked = check::body(body, Endpoint::Messages)?;
    let model = checked.model;
    let prompt = prompt::read(body, model);
    let server = exchange.server.clone();
    let input = lock(&server.cache).read(model, &prompt.blocks, prompt.pieces, server.options.clock.now());
    if input.total() > model.context {
        let message = format!("prompt is too long: {} tokens > {} maximum", input.total(), model.context);
        return Err(ApiError::invalid(message).into());
    }
    let fault = if checked.stream { exchange.strike(&[Stage::Stream]) } else { None };
    let reply = server.replies.reply(&prompt.question, &prompt.context);
    let answer = Answer::new(&reply, &checked, fault);
    note(exchange, &checked, &input, &answer);
    if server.options.log_words {
        exchange.open.record.question = Some(prompt.question);
        exchange.open.record.history = Some(prompt.history);
        exchange.open.record.reply = Some(answer.text.clone());
    }

    let first = if fault == Some(Fault::SlowFirst) { SLOW_FIRST } else { server.draw_first() };
    let pace = Pace { first, tokens_per_second: server.options.tokens_per_second };
    let mut message = json!({
        "id": server.identifier("msg"),
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
        "container": null,
        "usage": answer::usage(&input, &checked, 1, &body["speed"]),
    });
    if checked.stream {
        let cumulative = json!({
            "input_tokens": input.uncached,
            "cache_creation_input_tokens": input.written_5m + input.written_1h,
            "cache_read_input_tokens": input.read,
        });
        // The same text is always cut into the same deltas.
        let mut rng = Rng::new(reply.bytes().fold(server.options.seed, |h, b| h.rotate_left(5) ^ u64::from(b)));
        let steps = script::stream(&message, &cumulative, &answer, &checked, pace, fault, &mut rng);
        // The headers come with the first event, when the prompt has been read.
        sleep_until(exchange.received + steps.first().map_or(Duration::ZERO, |s| s.at)).await;
        return Ok(Reply::Stream(Box::new(Script { steps, input, stop_reason: answer.stop_reason })));
    }

    let tokens = answer.output_tokens(&checked);
    sleep_until(exchange.received + pace.first).await;
    lock(&server.cache).store(&input, server.options.clock.now());
    sleep_until(exchange.received + pace.first + Duration::from_secs_f64(tokens as f64 / pace.tokens_per_second)).await;
    message["content"] = answer.content();
    message["stop_reason"] = json!(answer.stop_reason);
    message["stop_sequence"] = json!(answer.stop_sequence);
    message["usage"]["output_tokens"] = json!(tokens);
    if answer.thinking.is_some() {
        message["usage"]["output_tokens_details"] = json!({"thinking_tokens": answer.thinking_tokens(&checked)});
    }
    exchange.open.record.stop_reason = Some(answer.stop_reason.to_owned());
    Ok(Reply::Document(message))
}

/// Usage into the record.
fn note(exchange: &mut Exchange, checked: &Checked, input: &InputUse, answer: &Answer) {
    let output_tokens = answer.output_tokens(checked);
    let record = &mut exchange.open.record;
    record.cache_hit = input.read > 0;
    record.reply_tokens = Some(output_tokens - answer.thinking_tokens(checked));
    record.usage = Some(UsageRecord {
        input_tokens: input.uncached,
        cache_creation_input_tokens: input.written_5m + input.written_1h,
        cache_read_input_tokens: input.read,
        ephemeral_5m_input_tokens: input.written_5m,
        ephemeral_1h_input_tokens: input.written_1h,
        output_tokens,
    });
}

/// The response whose body a task of the server plays.
pub fn stream(mut exchange: Exchange, script: Script) -> Response<ReplyBody> {
    // One chunk in the channel: a slow reader slows the player, and a delta is never older than one chunk.
    let (chunks, body) = mpsc::channel(1);
    let mut response = Response::new(ReplyBody::Chunks(body));
    api::common_headers(response.headers_mut(), &exchange.open.record.id);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
    exchange.open.record.status = 200;
    let server = exchange.server.clone();
    server.tasks.spawn(play(exchange, script, chunks));
    response
}

/// Plays a script until its end, a fault, or the client's leaving.
async fn play(mut exchange: Exchange, script: Script, chunks: mpsc::Sender<Bytes>) {
    let mut stored = false;
    for Step { at, act } in script.steps {
        if !due(exchange.received + at, &chunks).await {
            return;
        }
        if !stored {
            lock(&exchange.server.cache).store(&script.input, exchange.server.options.clock.now());
            stored = true;
        }
        let bytes = match act {
            Act::Send(bytes) => bytes,
            Act::SendFirstText(bytes) => {
                exchange.open.record.first_text_ns = Some(crate::clock::Mono::now().as_nanos());
                bytes
            }
            Act::Cut => {
                exchange.connection.cut();
                // Until the connection is gone the body must not end, or the response would end in order.
                chunks.closed().await;
                return exchange.open.finish();
            }
            Act::Stall => return chunks.closed().await,
        };
        if chunks.send(bytes).await.is_err() {
            return;
        }
    }
    exchange.open.record.stop_reason = Some(script.stop_reason.to_owned());
    exchange.open.finish();
}

/// Waits until `at`; false when the client has gone meanwhile.
async fn due(at: Instant, chunks: &mpsc::Sender<Bytes>) -> bool {
    tokio::select! {
        () = chunks.closed() => false,
        () = sleep_until(at) => true,
    }
}
