//! Answers that come as they should, and answers that break.

use std::time::Duration;

use elio::claude::{AnswerEvent, ClaudeError, Memory, Question, StopReason};
use elio::clock::Mono;
use tokio_util::sync::CancellationToken;

use super::server::{Piece, Reply, Server};
use super::*;

#[tokio::test]
async fn an_answer_comes_whole_with_its_counts_and_its_connection() {
    let server = Server::tls(healthy).await;
    let claude = client(&server);
    let before = Mono::now();
    let first = ask(&claude).await.unwrap();
    assert!(first.sent >= before && !first.connection.reused && first.connection.wait > Duration::ZERO);
    assert_eq!(first.request_id.as_deref(), Some("req_test"));
    let sent = first.sent;
    let (text, end) = all(first).await;
    assert_eq!(text, "In the cellar.");
    let Some(AnswerEvent::Done { at, stop, usage, message_id }) = end else { panic!("{end:?}") };
    assert!(at > sent);
    assert_eq!((stop, message_id.as_str()), (StopReason::EndTurn, "msg_1"));
    assert_eq!((usage.input(), usage.cache_read(), usage.cache_write(), usage.output()), (20, 1200, 0, 9));

    let second = ask(&claude).await.unwrap();
    assert!(second.connection.reused);
    assert_eq!(second.connection.requests_before, 1);
    all(second).await;
    let seen = server.seen();
    assert_eq!(seen.iter().map(|seen| (seen.connection, seen.before)).collect::<Vec<_>>(), [(1, 0), (1, 1)]);
    assert!(seen.iter().all(|seen| seen.version == hyper::Version::HTTP_2));
    let state = claude.connection();
    assert_eq!((state.open, state.opened_total, state.requests), (true, 1, 2));
    assert_eq!(server.resets(), 0);
}

#[tokio::test]
async fn the_request_is_what_the_api_wants() {
    let server = Server::tls(healthy).await;
    let claude = client(&server);
    let mut memory = Memory::new(3, Duration::from_secs(60));
    memory.remember("hello", "good day", Mono::now());
    let question = Question {
        text: "and now?".to_owned(),
        history: memory.messages(Mono::now()),
        context: "It is Monday.".to_owned(),
    };
    all(claude.ask(question, CancellationToken::new()).await.unwrap()).await;
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/messages"));
    for (name, value) in [("x-api-key", KEY), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")]
    {
        assert_eq!(seen.headers[name], value);
    }
    let body = seen.body;
    assert_eq!(body["thinking"]["type"], "disabled");
    assert_eq!(body["output_config"]["effort"], "low");
    assert_eq!((&body["stream"], &body["max_tokens"]), (&true.into(), &300.into()));
    for absent in ["temperature", "top_p", "top_k", "tools", "speed"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    assert_eq!(body["system"][0]["cache_control"]["ttl"], "5m");
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.iter().map(|m| m["role"].as_str().unwrap()).collect::<Vec<_>>(), ["user", "assistant", "user"]);
    assert_eq!(messages[2]["content"][0]["text"], "It is Monday.");
    assert_eq!(messages[2]["content"][1]["text"], "and now?");
}

#[tokio::test]
async fn plain_http_on_this_machine_keeps_its_connection_too() {
    let server = Server::plain(healthy).await;
    let claude = client(&server);
    for turn in 0..3 {
        let answer = ask(&claude).await.unwrap();
        assert_eq!(answer.connection.reused, turn > 0);
        assert_eq!(all(answer).await.0, "In the cellar.");
        // The end of the response is read beside the turn.
        until(|| claude.connection().open).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn pings_unknown_events_and_other_blocks_change_nothing() {
    let server = Server::tls(|_| {
        let ping = || event(r#"{"type":"ping"}"#);
        let mut body = vec![
            ping(),
            start(),
            ping(),
            event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#),
            event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#),
            event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"a_delta_of_next_year","x":1}}"#),
            event(r#"{"type":"an_event_of_next_year","message":5}"#),
            Piece::Bytes(b": a comment\r\n\r\nid: 4\n\n".to_vec()),
            event(r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Yes"}}"#),
            ping(),
            delta("."),
            // Cumulative, and more than once.
            event(r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":4}}"#),
        ];
        body.extend(stop("max_tokens"));
        Reply::stream(body)
    })
    .await;
    let (text, end) = all(ask(&client(&server)).await.unwrap()).await;
    assert_eq!(text, "Yes.");
    let Some(AnswerEvent::Done { stop, usage, .. }) = end else { panic!("{end:?}") };
    assert_eq!((stop, usage.output()), (StopReason::MaxTokens, 9));
}

#[tokio::test]
async fn a_refusal_is_an_end_like_another() {
    let server = Server::tls(|_| Reply::stream([vec![start()], stop("refusal")].concat())).await;
    let (text, end) = all(ask(&client(&server)).await.unwrap()).await;
    assert!(text.is_empty());
    assert!(matches!(end, Some(AnswerEvent::Done { stop: StopReason::Refusal, .. })), "{end:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn text_cut_within_a_letter_arrives_whole() {
    let server = Server::tls(|_| {
        let Reply::Answer { status, headers, body } = answer(&["déjà ", "là \u{1F600}"]) else { panic!() };
        let bytes: Vec<u8> = body
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                _ => vec![],
            })
            .collect();
        let body = bytes.chunks(3).map(|chunk| Piece::Bytes(chunk.to_vec())).collect();
        Reply::Answer { status, headers, body }
    })
    .await;
    assert_eq!(all(ask(&client(&server)).await.unwrap()).await.0, "déjà là \u{1F600}");
}

#[tokio::test]
async fn an_error_in_the_middle_keeps_what_was_said_and_is_not_retried() {
    let server = Server::tls(|_| {
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        Reply::stream(vec![start(), delta("In the"), event(error)])
    })
    .await;
    let (text, end) = all(ask(&client(&server)).await.unwrap()).await;
    assert_eq!(text, "In the");
    let Some(AnswerEvent::Failed(error)) = end else { panic!("{end:?}") };
    assert_eq!((error.kind(), error.request_id(), error.retry()), ("overloaded", Some("req_test"), None));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_stream_that_ends_early_or_dies_is_cut_and_not_retried() {
    for (tls, tail) in [(true, vec![]), (true, vec![Piece::Die]), (false, vec![]), (false, vec![Piece::Die])] {
        let script = move |_: &Seen| {
            // The bytes leave before the connection dies.
            let body = vec![start(), delta("In the"), Piece::Wait(Duration::from_millis(50))];
            Reply::stream([body, tail.clone()].concat())
        };
        let server = if tls { Server::tls(script).await } else { Server::plain(script).await };
        let claude = client(&server);
        let (text, end) = all(ask(&claude).await.unwrap()).await;
        assert_eq!(text, "In the");
        let Some(AnswerEvent::Failed(error)) = end else { panic!("{end:?}") };
        assert_eq!((error.kind(), error.request_id()), ("cut", Some("req_test")));
        assert_eq!(server.seen().len(), 1);
        // The next question is answered as far, on a new connection where the old one died.
        assert_eq!(all(ask(&claude).await.unwrap()).await.0, "In the");
    }
}

#[tokio::test]
async fn pings_do_not_hide_a_silent_model() {
    let server = Server::tls(|_| {
        let mut body = vec![start()];
        for _ in 0..200 {
            body.extend([Piece::Wait(Duration::from_millis(20)), event(r#"{"type":"ping"}"#)]);
        }
        Reply::stream(body)
    })
    .await;
    let mut settings = settings(&server);
    settings.first_text_timeout = Duration::from_millis(400);
    let (text, end) = all(ask(&client_of(&settings)).await.unwrap()).await;
    assert!(text.is_empty());
    let Some(AnswerEvent::Failed(error)) = end else { panic!("{end:?}") };
    assert!(error.kind() == "timeout" && error.to_string().contains("first word"), "{error}");
}

#[tokio::test]
async fn a_stream_that_falls_silent_fails() {
    let server = Server::tls(|_| Reply::stream(vec![start(), delta("In the"), Piece::Hang])).await;
    let mut settings = settings(&server);
    settings.first_text_timeout = Duration::from_millis(600);
    let (text, end) = all(ask(&client_of(&settings)).await.unwrap()).await;
    assert_eq!(text, "In the");
    assert!(matches!(end, Some(AnswerEvent::Failed(ClaudeError::Timeout { .. }))), "{end:?}");
}

#[tokio::test]
async fn cancelling_resets_the_stream_and_the_connection_lives() {
    let script = |seen: &Seen| match seen.before {
        0 | 1 => Reply::stream(vec![start(), delta("In the"), Piece::Hang]),
        2 => Reply::Hang,
        _ => answer(&["Yes."]),
    };
    let server = Server::tls(script).await;
    let claude = client(&server);
    // By the token, while the answer streams.
    let cancel = CancellationToken::new();
    let mut answer = claude.ask(question(), cancel.clone()).await.unwrap();
    assert!(matches!(answer.next().await, Some(AnswerEvent::Text { .. })));
    cancel.cancel();
    assert!(answer.next().await.is_none());
    until(|| server.resets() == 1).await;
    // By dropping.
    let mut answer = ask(&claude).await.unwrap();
    assert!(matches!(answer.next().await, Some(AnswerEvent::Text { .. })));
    drop(answer);
    until(|| server.resets() == 2).await;
    // By the token, before the response headers.
    let cancel = CancellationToken::new();
    let waiting = tokio::spawn(claude.ask(question(), cancel.clone()));
    until(|| server.seen().len() == 3).await;
    cancel.cancel();
    assert!(matches!(waiting.await.unwrap(), Err(ClaudeError::Cancelled)));
    assert_eq!(all(ask(&claude).await.unwrap()).await.0, "Yes.");
    assert_eq!((server.connections(), claude.connection().opened_total), (1, 1));
}

#[tokio::test]
async fn what_is_no_stream_of_the_api_is_named_as_such() {
    let portal = Reply::Answer {
        status: 200,
        headers: vec![("content-type", "text/html".to_owned())],
        body: vec![Piece::Bytes(b"<h1>Welcome to the hotel</h1>".to_vec())],
    };
    let server = Server::plain(move |_| portal.clone()).await;
    let error = ask(&client(&server)).await.err().unwrap();
    assert!(error.kind() == "protocol" && error.to_string().contains("claude.base_url"), "{error}");

    let server = Server::plain(|_| Reply::stream(vec![Piece::Bytes(b"data: {broken\n\n".to_vec())])).await;
    let (_, end) = all(ask(&client(&server)).await.unwrap()).await;
    assert!(matches!(end, Some(AnswerEvent::Failed(ClaudeError::Protocol { .. }))), "{end:?}");

    let server = Server::plain(|_| Reply::stream(vec![Piece::Bytes(vec![b'x'; 3 << 20])])).await;
    let (_, end) = all(ask(&client(&server)).await.unwrap()).await;
    assert!(matches!(end, Some(AnswerEvent::Failed(ClaudeError::Protocol { .. }))), "{end:?}");
}
