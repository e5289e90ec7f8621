//! The client against the simulated API: both must tell the same story.

use std::time::Duration;

use elio::claude::{AnswerEvent, StopReason};
use elio::sim::{Fault, FaultPlan, Sim, SimHandle, SimOptions, Spread};

use super::*;

pub async fn sim(folder: &tempfile::TempDir) -> SimHandle {
    let mut options = SimOptions::new(folder.path());
    options.ttft = Spread::always(20);
    options.tokens_per_second = 2000.0;
    options.key = Some(KEY.to_owned());
    Sim::start(options).await.unwrap()
}

fn client_of_sim(sim: &SimHandle) -> Claude {
    client_of(&settings_of(sim.base_url(), Some(sim.ca().to_owned())))
}

#[tokio::test]
async fn fifty_questions_on_one_connection_all_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(&folder).await;
    let claude = client_of_sim(&sim);
    claude.connect().await.unwrap();
    let warmed = claude.prewarm().await.unwrap();
    assert!(warmed.cache_write() >= 512 && warmed.output() == 0, "{warmed:?}");
    let mut told = Vec::new();
    for _ in 0..50 {
        let answer = ask(&claude).await.unwrap();
        let (id, used) = (answer.request_id.clone().unwrap(), answer.connection);
        let (text, end) = all(answer).await;
        let Some(AnswerEvent::Done { stop: StopReason::EndTurn, usage, .. }) = end else { panic!("{end:?}") };
        assert!(!text.is_empty());
        told.push((id, used, usage));
    }
    claude.close().await;
    until(|| sim.requests().len() == 52).await;
    let records = sim.requests();
    assert_eq!((sim.connections(), claude.connection().opened_total), (1, 1));
    for (id, used, usage) in told {
        let record = records.iter().find(|record| record.id == id).unwrap();
        assert_eq!(used.requests_before + 1, record.connection_request);
        assert_eq!(used.reused, record.connection_request > 1);
        let billed = record.usage.unwrap();
        assert_eq!((usage.input(), usage.output()), (billed.input_tokens, billed.output_tokens));
        assert_eq!(usage.cache_read(), billed.cache_read_input_tokens);
        assert!(record.cache_hit && usage.cache_hit() && !record.cancelled);
        assert!((usage.cache_read() as f64) / (usage.all_input() as f64) > 0.9, "{usage:?}");
    }
}

/// How an answer ended: `ok`, the stop reason or the kind of the error; and whether words came.
async fn outcome(claude: &Claude) -> (String, bool) {
    match ask(claude).await {
        Err(error) => (error.kind().to_owned(), false),
        Ok(answer) => match all(answer).await {
            (text, Some(AnswerEvent::Done { stop, .. })) => (stop.as_str().to_owned(), !text.is_empty()),
            (text, Some(AnswerEvent::Failed(error))) => (error.kind().to_owned(), !text.is_empty()),
            (_, end) => panic!("{end:?}"),
        },
    }
}

#[tokio::test]
async fn every_fault_ends_as_it_should_and_the_next_question_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(&folder).await;
    let mut settings = settings_of(sim.base_url(), Some(sim.ca().to_owned()));
    for &fault in Fault::ALL {
        let expected = match fault {
            Fault::Auth => ("key", false),
            Fault::Permission => ("forbidden", false),
            Fault::Billing => ("billing", false),
            Fault::TooLarge => ("too_large", false),
            Fault::RateLimit => ("rate_limited", false),
            Fault::SpendCap => ("spend_cap", false),
            Fault::ServerError | Fault::Unavailable => ("server", false),
            Fault::Timeout => ("timeout", false),
            Fault::Overloaded => ("overloaded", false),
            // On a fresh connection nobody knows whether the request was taken.
            Fault::CutBeforeHeaders => ("cut", false),
            Fault::Cut => ("cut", true),
            Fault::Stall => ("timeout", true),
            Fault::OverloadedMidStream => ("overloaded", true),
            Fault::SlowFirst => ("timeout", false),
            Fault::Refusal => ("refusal", true),
            Fault::MaxTokens => ("max_tokens", true),
            Fault::RateLimitShort
            | Fault::PingFlood
            | Fault::UnknownEvents
            | Fault::Bom
            | Fault::Crlf
            | Fault::SplitUtf8
            | Fault::Goaway
            | Fault::GoawayEarly
            | Fault::IdleDrop => ("end_turn", true),
        };
        settings.first_text_timeout = match fault {
            Fault::Stall | Fault::SlowFirst => Duration::from_secs(2),
            _ => Duration::from_secs(20),
        };
        let claude = client_of(&settings);
        let plan = if fault == Fault::RateLimitShort { FaultPlan::times(fault, 1) } else { FaultPlan::always(fault) };
        sim.set_fault(Some(plan));
        let (kind, words) = outcome(&claude).await;
        assert_eq!((kind.as_str(), words), expected, "{fault}");
        sim.set_fault(None);
        if fault == Fault::IdleDrop {
            // It falls silent a moment after the answer; then the check of the wake edge finds it dead.
            tokio::time::sleep(Duration::from_millis(300)).await;
            claude.connect().await.unwrap();
        }
        assert_eq!(outcome(&claude).await, ("end_turn".to_owned(), true), "after {fault}");
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_model_that_is_not_there_are_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SimOptions::new(folder.path());
    options.key = Some("another".to_owned());
    let sim = Sim::start(options).await.unwrap();
    assert_eq!(client_of_sim(&sim).connect().await.unwrap_err().kind(), "key");

    let folder = tempfile::tempdir().unwrap();
    let sim = self::sim(&folder).await;
    let mut settings = settings_of(sim.base_url(), Some(sim.ca().to_owned()));
    settings.model = "claude-nobody-1".to_owned();
    assert_eq!(client_of(&settings).connect().await.unwrap_err().kind(), "not_found");
}

#[tokio::test]
async fn a_model_with_a_high_floor_shows_that_nothing_is_cached() {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(&folder).await;
    let mut settings = settings_of(sim.base_url(), Some(sim.ca().to_owned()));
    settings.model = "claude-haiku-4-5".to_owned();
    (settings.thinking, settings.effort) = (Thinking::Default, Effort::None);
    let claude = client_of(&settings);
    assert!(claude.prewarm().await.unwrap().is_uncached());
    let (_, end) = all(ask(&claude).await.unwrap()).await;
    let Some(AnswerEvent::Done { usage, .. }) = end else { panic!("{end:?}") };
    assert!(usage.is_uncached() && !usage.cache_hit());
}

#[tokio::test]
async fn a_cancelled_answer_is_seen_as_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SimOptions::new(folder.path());
    options.ttft = Spread::always(20);
    options.tokens_per_second = 5.0;
    let sim = Sim::start(options).await.unwrap();
    let claude = client_of_sim(&sim);
    let cancel = CancellationToken::new();
    let mut answer = claude.ask(question(), cancel.clone()).await.unwrap();
    assert!(matches!(answer.next().await, Some(AnswerEvent::Text { .. })));
    cancel.cancel();
    assert!(answer.next().await.is_none());
    until(|| sim.requests().iter().any(|record| record.cancelled)).await;
    claude.connect().await.unwrap();
    assert_eq!(sim.connections(), 1);
}
