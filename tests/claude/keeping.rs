//! Connection and cache between the questions: boot, wake edge, lost connections.

use std::sync::Arc;
use std::time::Duration;

use elio::clock::{ManualClock, Mono};
use elio::config::KeepWarm;
use tokio_util::sync::CancellationToken;

use super::server::{Reply, Server};
use super::*;

#[tokio::test]
async fn a_prewarm_writes_the_prefix_of_the_questions() {
    let server = Server::tls(healthy).await;
    let claude = client(&server);
    let usage = claude.prewarm().await.unwrap();
    assert_eq!((usage.cache_write(), usage.output()), (1200, 0));
    all(ask(&claude).await.unwrap()).await;
    let seen = server.seen();
    assert_eq!((&seen[0].body["max_tokens"], seen[0].body.get("stream")), (&0.into(), None));
    for key in ["model", "system", "thinking", "output_config"] {
        assert_eq!(seen[0].body[key], seen[1].body[key], "{key}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_zero_tokens_is_asked_for_one_from_then_on() {
    let server = Server::tls(|seen| match seen.body["max_tokens"].as_u64() {
        Some(0) => Reply::error(400, "invalid_request_error", "max_tokens: must be positive"),
        _ => healthy(seen),
    })
    .await;
    let claude = client(&server);
    claude.prewarm().await.unwrap();
    claude.prewarm().await.unwrap();
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.body["max_tokens"].as_u64().unwrap()).collect();
    assert_eq!(asked, [0, 1, 1]);
}

#[tokio::test]
async fn the_wake_edge_opens_the_connection_and_warms_the_cache_once() {
    let server = Server::tls(healthy).await;
    let claude = client(&server);
    claude.wake();
    claude.wake();
    until(|| server.seen().len() == 2).await;
    let answer = ask(&claude).await.unwrap();
    assert!(answer.connection.reused);
    all(answer).await;
    // Warm and open: there is nothing to do.
    claude.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    claude.close().await;
    let calls: Vec<_> = server.seen().iter().map(|seen| (seen.method.clone(), seen.connection)).collect();
    assert_eq!(calls, [("GET".into(), 1), ("POST".into(), 1), ("POST".into(), 1)]);
}

#[tokio::test]
async fn never_warm_is_never_warmed() {
    let server = Server::tls(healthy).await;
    let mut settings = settings(&server);
    settings.keep_warm = KeepWarm::Never;
    let claude = client_of(&settings);
    let keeper = Keeper::of(&claude);
    until(|| claude.connection().requests == 1).await;
    claude.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    keeper.stop().await;
    assert!(server.seen().iter().all(|seen| seen.method == "GET"), "{:?}", server.seen());
}

#[tokio::test]
async fn boot_warms_and_a_server_that_comes_late_is_waited_for() {
    // Learned first, so that the server can come after the keeper.
    let server = Server::tls(|seen| match (seen.connection, seen.before) {
        (1, 0) => Reply::error(503, "api_error", "not yet").with("x-should-retry", "false"),
        _ => healthy(seen),
    })
    .await;
    let claude = client(&server);
    let keeper = Keeper::of(&claude);
    until(|| server.seen().len() == 2).await;
    keeper.stop().await;
    assert!(server.seen().iter().all(|seen| seen.body["max_tokens"] == 0));
    assert!(claude.connection().open);
}

#[tokio::test]
async fn a_connection_that_closes_while_idle_is_noticed_and_not_used() {
    let server = Server::plain(|seen| {
        let reply = healthy(seen);
        if seen.connection == 1 { reply.with("connection", "close") } else { reply }
    })
    .await;
    let claude = client(&server);
    claude.connect().await.unwrap();
    until(|| !claude.connection().open).await;
    let answer = ask(&claude).await.unwrap();
    assert!(!answer.connection.reused);
    assert_eq!(all(answer).await.0, "In the cellar.");
    assert_eq!((server.seen().len(), claude.connection().opened_total), (2, 2));
}

#[tokio::test]
async fn a_check_that_stays_silent_gets_a_new_connection_and_nothing_that_waits_is_sent_twice() {
    // The first connection goes silent after its first request, as behind a router that dropped it.
    let server = Server::tls(|seen| match (seen.connection, seen.before) {
        (1, 1..) => Reply::Hang,
        _ => healthy(seen),
    })
    .await;
    let mut settings = settings(&server);
    settings.first_text_timeout = Duration::from_secs(4);
    let claude = client_of(&settings);
    claude.connect().await.unwrap();
    let waiting = tokio::spawn(claude.ask(question(), CancellationToken::new()));
    until(|| server.seen().len() == 2).await;
    claude.connect().await.unwrap();
    assert_eq!(all(ask(&claude).await.unwrap()).await.0, "In the cellar.");
    assert_eq!(waiting.await.unwrap().err().unwrap().kind(), "timeout");
    let seen: Vec<_> = server.seen().iter().map(|seen| (seen.connection, seen.method.clone())).collect();
    let [get, post] = ["GET", "POST"].map(str::to_owned);
    let expected = [(1, get.clone()), (1, post.clone()), (1, get.clone()), (2, get), (2, post)];
    assert_eq!(seen, expected, "the check once more, and another question");
}

#[tokio::test]
async fn the_wake_edge_puts_a_new_connection_beside_one_that_stays_silent() {
    let server = Server::tls(|seen| match (seen.connection, seen.before) {
        (1, 1..) => Reply::Hang,
        _ => healthy(seen),
    })
    .await;
    let clock = ManualClock::at(Mono::now());
    let mut settings = settings(&server);
    settings.keep_warm = KeepWarm::Never;
    let claude = client_timed(&settings, Timing { clock: Arc::new(clock.clone()), ..Timing::default() });
    claude.connect().await.unwrap();
    clock.advance(Duration::from_secs(60));
    claude.wake();
    until(|| server.seen().len() == 2).await;
    assert_eq!(server.connections(), 1, "the check has three quarters of a second");
    clock.advance(Duration::from_millis(750));
    until(|| claude.connection().opened_total == 2).await;
    let answer = ask(&claude).await.unwrap();
    assert!(answer.connection.reused, "no handshake inside the turn");
    assert_eq!(all(answer).await.0, "In the cellar.");
    let last = server.seen().pop().unwrap();
    assert_eq!((last.connection, last.method.as_str()), (2, "POST"));
}

#[tokio::test]
async fn a_prefix_that_is_not_cached_is_not_warmed_again() {
    let server = Server::tls(|seen| match seen.method.as_str() {
        "GET" => healthy(seen),
        _ => Reply::json(200, r#"{"type":"message","usage":{"input_tokens":300,"output_tokens":0}}"#),
    })
    .await;
    let claude = client(&server);
    assert!(claude.prewarm().await.unwrap().is_uncached());
    claude.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    claude.close().await;
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "POST").count(), 1);
}
