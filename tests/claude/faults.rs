//! Every refusal of the API, the network's faults, and what is retried.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use elio::claude::ClaudeError;

use super::server::{Reply, Server};
use super::*;

/// Status, type of the body, kind, tries without any header.
const REFUSALS: [(u16, &str, &str, usize); 14] = [
    (400, "invalid_request_error", "invalid_request", 1),
    (401, "authentication_error", "key", 1),
    (402, "billing_error", "billing", 1),
    (403, "permission_error", "forbidden", 1),
    (404, "not_found_error", "not_found", 1),
    (408, "timeout_error", "timeout", 2),
    (409, "conflict_error", "conflict", 2),
    (413, "request_too_large", "too_large", 1),
    (429, "rate_limit_error", "spend_cap", 1),
    (500, "api_error", "server", 2),
    (503, "api_error", "server", 2),
    (504, "timeout_error", "timeout", 2),
    (529, "overloaded_error", "overloaded", 2),
    (302, "", "api", 1),
];

#[tokio::test]
async fn every_refusal_has_its_kind_its_line_and_its_tries() {
    for (status, kind, expected, tries) in REFUSALS {
        let server = Server::tls(move |_| Reply::error(status, kind, "words of\nthe API")).await;
        let error = ask(&client(&server)).await.err().unwrap();
        assert_eq!(error.kind(), expected, "{status}");
        assert_eq!(error.request_id(), Some("req_test"));
        assert!(error.connection().is_some(), "the record tells what it went over");
        let text = error.to_string();
        assert!(
            text.contains(&status.to_string()) && text.contains("words of the API") && !text.contains('\n'),
            "{text}"
        );
        assert_eq!(server.seen().len(), tries, "{status}");
        assert_eq!(server.connections(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refused_key_names_where_it_came_from() {
    let server = Server::tls(|_| Reply::error(401, "authentication_error", "invalid x-api-key")).await;
    let error = client(&server).connect().await.unwrap_err().to_string();
    assert!(error.contains("ANTHROPIC_API_KEY") && !error.contains(KEY), "{error}");
}

#[tokio::test]
async fn an_unknown_model_is_named() {
    let server = Server::tls(|_| Reply::error(404, "not_found_error", "model: no such")).await;
    let error = client(&server).connect().await.unwrap_err().to_string();
    assert!(error.contains("claude-haiku-5-5") && error.contains("claude.model"), "{error}");
    assert_eq!(server.seen()[0].path, "/v1/models/claude-haiku-5-5");
}

/// The first request meets `first`, the others are answered.
async fn after(first: Reply) -> (Server, Result<String, ClaudeError>) {
    let first = Mutex::new(Some(first));
    let server = Server::tls(move |seen| first.lock().unwrap().take().unwrap_or_else(|| healthy(seen))).await;
    let result = match ask(&client(&server)).await {
        Ok(answer) => Ok(all(answer).await.0),
        Err(error) => Err(error),
    };
    (server, result)
}

#[tokio::test]
async fn a_passing_fault_is_retried_once_and_answered() {
    for status in [409, 500, 529] {
        let (server, result) = after(Reply::error(status, "x", "y")).await;
        assert_eq!(result.unwrap(), "In the cellar.");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn the_wait_that_the_api_asks_for_is_kept_when_short() {
    let begun = Instant::now();
    let (server, result) = after(Reply::error(429, "rate_limit_error", "slow").with("retry-after-ms", "300")).await;
    assert_eq!(result.unwrap(), "In the cellar.");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.seen().len(), 2);

    for (name, value, status) in
        [("retry-after", "30", 429), ("retry-after", "2", 529), ("x-should-retry", "false", 500)]
    {
        let (server, result) = after(Reply::error(status, "x", "y").with(name, value)).await;
        let error = result.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{name}: {value}");
        assert!(
            error.kind()
                == ["rate_limited", "overloaded", "server"][usize::from(value == "2") + 2 * usize::from(status == 500)]
        );
    }
    let (server, result) = after(Reply::error(400, "x", "y").with("x-should-retry", "true")).await;
    assert!(result.is_ok());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_check_that_dies_on_a_used_connection_is_sent_once_more_on_a_new_one() {
    for tls in [true, false] {
        let script = |seen: &Seen| if seen.before == 1 { Reply::Die } else { healthy(seen) };
        let server = if tls { Server::tls(script).await } else { Server::plain(script).await };
        let claude = client(&server);
        claude.connect().await.unwrap();
        claude.connect().await.unwrap();
        let seen: Vec<_> = server.seen().iter().map(|seen| (seen.connection, seen.before)).collect();
        assert_eq!(seen, [(1, 0), (1, 1), (2, 0)]);
    }
}

/// What is provable is in `frames.rs`.
#[tokio::test]
async fn a_question_that_may_have_been_worked_on_is_never_sent_twice() {
    let script = |seen: &Seen| if seen.method == "GET" { healthy(seen) } else { Reply::Die };
    let server = Server::tls(script).await;
    let claude = client(&server);
    claude.connect().await.unwrap();
    // On a connection that had worked, and on a fresh one: nobody knows whether the request was taken, and it bills.
    for reused in [true, false] {
        let before = server.seen().len();
        let error = ask(&claude).await.err().unwrap();
        assert_eq!(error.kind(), "cut");
        assert_eq!(server.seen().len(), before + 1);
        // The record tells what it went over.
        let used = error.connection().unwrap();
        assert_eq!((used.reused, used.wait > Duration::ZERO), (reused, true));
    }
}

#[tokio::test]
async fn no_response_in_time_is_a_timeout_and_the_next_request_gets_a_new_connection() {
    let script = |seen: &Seen| if seen.connection == 1 { Reply::Hang } else { healthy(seen) };
    let server = Server::tls(script).await;
    let mut settings = settings(&server);
    settings.first_text_timeout = Duration::from_millis(400);
    let claude = client_of(&settings);
    let error = ask(&claude).await.err().unwrap();
    assert!(error.kind() == "timeout" && error.to_string().contains("400 ms"), "{error}");
    assert_eq!(server.seen().len(), 1);
    // A slow machine may miss the short bound on a healthy server too; it never hangs on the first connection.
    drop(ask(&claude).await);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_names_the_key_of_the_configuration() {
    let server = Server::tls(healthy).await;
    let mut settings = settings(&server);
    // Trusting another authority is not enough.
    let other = Server::tls(healthy).await;
    settings.ca_file = other.ca_file.clone();
    let error = client_of(&settings).connect().await.unwrap_err();
    assert_eq!(error.kind(), "tls");
    assert!(error.to_string().contains("claude.ca_file") && error.to_string().contains("127.0.0.1:"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_a_fault_of_tls() {
    let server = Server::plain(healthy).await;
    let mut settings = settings(&server);
    settings.base_url = server.base_url.replace("http", "https");
    let other = Server::tls(healthy).await;
    settings.ca_file = other.ca_file.clone();
    let error = client_of(&settings).connect().await.unwrap_err();
    assert_eq!(error.kind(), "tls", "{error}");
}

#[tokio::test]
async fn an_unreachable_host_is_named_with_its_port() {
    let server = Server::plain(healthy).await;
    let mut settings = settings(&server);
    // Bound and closed again: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    settings.base_url = format!("http://127.0.0.1:{port}");
    let error = ask(&client_of(&settings)).await.err().unwrap();
    assert_eq!(error.kind(), "offline");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");

    let other = Server::tls(healthy).await;
    settings.ca_file = other.ca_file.clone();
    settings.base_url = "https://no-such-host.invalid".to_owned();
    let error = client_of(&settings).connect().await.unwrap_err();
    assert_eq!(error.kind(), "offline");
    let text = error.to_string();
    assert!(text.contains("no-such-host.invalid:443") && text.contains("dns") && !text.contains('\n'), "{text}");
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for content in [None, Some("no certificate")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut settings = runtime.block_on(async { settings(&Server::plain(healthy).await) });
        settings.base_url = "https://localhost".to_owned();
        settings.ca_file = Some(path.clone());
        let prefix = Prefix::new(&settings, &[Language::En]).unwrap();
        let error = Claude::new(&settings, ApiKey::new(KEY, "here".to_owned()).unwrap(), prefix).err().unwrap();
        assert!(error.kind() == "config" && error.to_string().contains("claude.ca_file"), "{error}");
    }
}

/// Everything that was logged by this test program.
struct Journal(Mutex<String>);

impl log::Log for Journal {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        if record.target().starts_with("elio") {
            self.0.lock().unwrap().push_str(&format!("{}\n", record.args()));
        }
    }
    fn flush(&self) {}
}

static JOURNAL: OnceLock<Journal> = OnceLock::new();

#[tokio::test]
async fn neither_key_nor_words_are_in_logs_errors_or_debug() {
    let journal = JOURNAL.get_or_init(|| Journal(Mutex::default()));
    log::set_logger(journal).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let mut shown = String::new();
    let echo = format!("your words '{QUESTION}' with the key {KEY}");
    for reply in [
        Reply::error(400, "invalid_request_error", &echo),
        Reply::error(529, "overloaded_error", &echo),
        Reply::stream(vec![
            start(),
            delta(QUESTION),
            event(
                &serde_json::json!(
                    {"type": "error", "error": {"type": "api_error", "message": echo}}
                )
                .to_string(),
            ),
        ]),
        Reply::stream(vec![Piece::Bytes(
            format!("data: {{\"type\":\"message_start\",\"message\":\"{QUESTION}\"}}\n\n").into(),
        )]),
        answer(&[QUESTION]),
        Reply::Die,
    ] {
        let server = Server::tls(move |_| reply.clone()).await;
        let claude = client(&server);
        shown.push_str(&format!("{:?} ", question()));
        match ask(&claude).await {
            Err(error) => shown.push_str(&format!("{error} {error:?}\n")),
            Ok(mut answer) => {
                while let Some(event) = answer.next().await {
                    shown.push_str(&format!("{event:?}\n"));
                }
            }
        }
    }
    let logged = journal.0.lock().unwrap().clone();
    assert!(logged.contains("req_test") && shown.contains("not shown"), "{logged}\n{shown}");
    for text in [logged, shown] {
        for secret in [KEY, "grandmother", "marmalade"] {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
    }
}
