//! Fifty requests in a row: one connection, no handshake inside a turn, and the prefix read from the cache, by the
//! server's own count.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::time::Duration;

use elio::claude::{AnswerEvent, ApiKey, Claude, Memory, Prefix, Question};
use elio::clock::Mono;
use elio::config::Config;
use elio::sim::{Sim, SimOptions, Spread};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_go_over_one_connection_and_read_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = SimOptions::new(dir.path());
    options.ttft = Spread::always(5);
    options.tokens_per_second = 5_000.0;
    let sim = Sim::start(options).await.unwrap();
    let mut config = Config::default();
    config.claude.base_url = sim.base_url().to_owned();
    config.claude.ca_file = Some(sim.ca().to_owned());
    let key = ApiKey::new("k", "the test".into()).unwrap();
    let prefix = Prefix::new(&config.claude, &config.language.listen).unwrap();
    let claude = Claude::new(&config.claude, key, prefix).unwrap();
    claude.connect().await.unwrap();
    claude.prewarm().await.unwrap();
    let before = sim.connections();

    let mut memory = Memory::new(config.claude.history_exchanges, Duration::from_secs(600));
    for number in 0..50 {
        let question = Question {
            text: format!("What is {number} plus two?"),
            history: memory.messages(Mono::now()),
            context: format!("Minute {number}."),
        };
        let text = question.text.clone();
        let mut answer = claude.ask(question, CancellationToken::new()).await.unwrap();
        assert!(answer.connection.reused, "request {number} opened a connection");
        let mut reply = String::new();
        let usage = loop {
            match answer.next().await.expect("an event before the end") {
                AnswerEvent::Text { text, .. } => reply.push_str(&text),
                AnswerEvent::Done { usage, .. } => break usage,
                AnswerEvent::Failed(error) => panic!("request {number}: {error}"),
            }
        };
        assert!(usage.cache_hit(), "request {number}: {usage:?}");
        memory.remember(&text, &reply, Mono::now());
    }
    assert_eq!(sim.connections(), before, "a handshake inside a turn");
    let turns: Vec<_> = sim.requests().into_iter().filter(|request| request.stream).collect();
    assert_eq!(turns.len(), 50);
    let hits = turns.iter().filter(|request| request.cache_hit).count();
    assert!(hits as f64 / turns.len() as f64 >= 0.98, "{hits} of {} read the cache", turns.len());
}
