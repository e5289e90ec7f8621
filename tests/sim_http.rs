//! The simulated Claude API over real sockets: bytes of HTTP/1.1, HTTP/2 by reqwest, the cache, the faults, and the end
//! of connections.

#![allow(clippy::disallowed_methods, reason = "a test bounds its waits")]
// Clippy knows a test by its attribute; these are the helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use elio::clock::{ManualClock, Mono};
use elio::sim::{Fault, FaultPlan, RequestRecord, Sim, SimHandle, SimOptions, Spread};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Ends what would otherwise hang; no test passes or fails by a time shorter than this.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    sim: SimHandle,
    client: reqwest::Client,
    _dir: tempfile::TempDir,
}

async fn bench(change: impl FnOnce(&mut SimOptions)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut options = SimOptions::new(dir.path());
    options.ttft = Spread::always(20);
    options.tokens_per_second = 2000.0;
    change(&mut options);
    let sim = Sim::start(options).await.unwrap();
    let client = client(&sim);
    Bench { sim, client, _dir: dir }
}

fn client(sim: &SimHandle) -> reqwest::Client {
    // Only the first of several tests in this process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(&std::fs::read(sim.ca()).unwrap()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca]).timeout(PATIENCE).build().unwrap()
}

impl Bench {
    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.sim.base_url()));
        request.header("x-api-key", "test").header("anthropic-version", "2023-06-01").json(body)
    }

    async fn ask(&self, question: &str) -> String {
        text(&self.post("/v1/messages", &turn(question)).send().await.unwrap().text().await.unwrap())
    }

    /// The record of the only request so far, once it has ended.
    async fn record(&self) -> RequestRecord {
        let ended = async {
            while self.sim.requests().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        self.sim.requests().pop().unwrap()
    }
}

/// A turn as the speaker asks it.
fn turn(question: &str) -> Value {
    json!({"model": "claude-haiku-5-5", "max_tokens": 300, "stream": true, "thinking": {"type": "disabled"},
        "output_config": {"effort": "low"}, "messages": [{"role": "user", "content": question}]})
}

/// A turn with a system prompt of some 800 tokens before a breakpoint.
fn cached_turn(question: &str) -> Value {
    let mut body = turn(question);
    let rules = "Answer in one short sentence first, and then in plain words. ".repeat(50);
    body["system"] = json!([{"type": "text", "text": rules, "cache_control": {"type": "ephemeral", "ttl": "5m"}}]);
    body
}

/// The text of a whole event stream.
fn text(stream: &str) -> String {
    let data = stream.lines().filter_map(|l| l.strip_prefix("data: ")).filter_map(|d| serde_json::from_str(d).ok());
    data.filter_map(|e: Value| e["delta"]["text"].as_str().map(str::to_owned)).collect()
}

async fn tls(sim: &SimHandle, protocol: &[u8]) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(sim.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let socket = TcpStream::connect(sim.addr()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

fn raw(body: &str) -> String {
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads until `end` has come, or the end of the stream; gives what came.
async fn read_until(stream: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut got = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&got).contains(end) {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => got.extend_from_slice(&buffer[..n]),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the server went on being silent");
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn http_1_1_is_served_byte_for_byte_and_the_connection_stays() {
    let bench = bench(|_| {}).await;
    let mut stream = tls(&bench.sim, b"http/1.1").await;
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    for _ in 0..2 {
        stream.write_all(raw(&turn("good night").to_string()).as_bytes()).await.unwrap();
        let got = read_until(&mut stream, "\r\n0\r\n\r\n").await;
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: text/event-stream; charset=utf-8"), "{head}");
        assert!(head.contains("\r\nrequest-id: req_"), "{head}");
        assert!(body.contains("event: message_start\ndata: {\"type\":\"message_start\""), "{body}");
        assert!(body.contains("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{body}");
    }
    let records = bench.sim.requests();
    assert_eq!(bench.sim.connections(), 1);
    assert_eq!(records.iter().map(|r| r.connection_request).collect::<Vec<_>>(), [1, 2]);
    assert!(records.iter().all(|r| r.protocol == "http/1.1" && r.status == 200));
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn_and_the_record_tells_the_turn() {
    let bench = bench(|o| o.log_words = true).await;
    let response = bench.post("/v1/messages", &turn("what is two plus three")).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let id = response.headers()["request-id"].to_str().unwrap().to_owned();
    let reply = text(&response.text().await.unwrap());
    assert!(reply.starts_with("Two plus three is five."), "{reply}");

    let record = bench.record().await;
    assert_eq!((record.id.as_str(), record.protocol.as_str(), record.status), (id.as_str(), "h2", 200));
    assert_eq!((record.stop_reason.as_deref(), record.cancelled, record.stream), (Some("end_turn"), false, true));
    assert_eq!((record.question.as_deref(), record.reply.as_ref()), (Some("what is two plus three"), Some(&reply)));
    let order = [
        record.connection_opened_ns,
        record.handshake_started_ns,
        record.handshake_done_ns,
        record.received_ns,
        record.first_text_ns.unwrap(),
        record.done_ns,
        Mono::now().as_nanos(),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert!(record.first_text_ns.unwrap() - record.received_ns >= 20_000_000);
    let tokens = record.reply_tokens.unwrap();
    // The first delta may carry three tokens; after it nothing comes before its time, counted from the request.
    assert!(record.done_ns - record.received_ns >= 20_000_000 + (tokens - 3) * 500_000, "{record:?}");

    let lines = std::fs::read_to_string(bench.sim.log_path()).unwrap();
    let written: Vec<RequestRecord> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(written, bench.sim.requests());
}

#[tokio::test]
async fn no_word_is_in_the_log_unless_asked_for() {
    let bench = bench(|_| {}).await;
    bench.ask("remind me to feed the cat").await;
    let log = std::fs::read_to_string(bench.sim.log_path()).unwrap();
    assert!(log.contains("reply_tokens") && !log.contains("cat"), "{log}");
}

#[tokio::test]
async fn a_prefix_is_written_read_and_forgotten_by_the_injected_clock() {
    let clock = ManualClock::at(Mono::now());
    let hand = clock.clone();
    let bench = bench(|o| o.clock = Arc::new(clock)).await;
    let usage = async |question: &str| {
        let stream = bench.post("/v1/messages", &cached_turn(question)).send().await.unwrap().text().await.unwrap();
        let line = stream.lines().find(|l| l.contains("message_start\"")).unwrap().strip_prefix("data: ").unwrap();
        serde_json::from_str::<Value>(line).unwrap()["message"]["usage"].clone()
    };
    let mut warm = cached_turn("warm");
    warm["stream"] = json!(false);
    warm["max_tokens"] = json!(0);
    let warmed: Value = bench.post("/v1/messages", &warm).send().await.unwrap().json().await.unwrap();
    let written = warmed["usage"]["cache_creation_input_tokens"].as_u64().unwrap();
    assert!(written >= 512, "{warmed}");
    assert_eq!((&warmed["content"], &warmed["usage"]["output_tokens"]), (&json!([]), &json!(0)));
    assert_eq!(warmed["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], written);

    let read = usage("good morning").await;
    assert_eq!((&read["cache_read_input_tokens"], &read["cache_creation_input_tokens"]), (&json!(written), &json!(0)));
    hand.advance(Duration::from_secs(299));
    assert_eq!(usage("good night").await["cache_read_input_tokens"], written);
    hand.advance(Duration::from_secs(301));
    assert_eq!(usage("good night").await["cache_creation_input_tokens"], written);

    let counted = json!({"model": "claude-haiku-5-5", "system": cached_turn("")["system"],
        "messages": [{"role": "user", "content": "good morning"}]});
    let counted: Value = bench.post("/v1/messages/count_tokens", &counted).send().await.unwrap().json().await.unwrap();
    assert_eq!(counted["input_tokens"], written + read["input_tokens"].as_u64().unwrap());
    let hits = bench.sim.requests().iter().filter(|r| r.cache_hit).count();
    assert_eq!(hits, 2);
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why() {
    let bench = bench(|o| o.key = Some("right".into())).await;
    let url = format!("{}/v1/messages", bench.sim.base_url());
    let ask = async |headers: &[(&str, &str)], body: String| {
        let request = headers.iter().fold(bench.client.post(&url), |r, (n, v)| r.header(*n, *v));
        let response = request.body(body).send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["type"], "error");
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
        (status, body["error"]["type"].as_str().unwrap().to_owned(), body["error"]["message"].to_string())
    };
    let version = ("anthropic-version", "2023-06-01");
    let right = ("x-api-key", "right");
    let body = turn("hello").to_string();
    let (status, kind, message) = ask(&[version], body.clone()).await;
    assert!(status == 401 && kind == "authentication_error" && message.contains("required"), "{message}");
    let (status, _, message) = ask(&[version, ("x-api-key", "wrong")], body.clone()).await;
    assert!(status == 401 && message.contains("invalid x-api-key"), "{message}");
    let (status, _, message) = ask(&[right], body.clone()).await;
    assert!(status == 400 && message.contains("anthropic-version: header is required"), "{message}");
    let (status, _, message) = ask(&[right, ("anthropic-version", "tomorrow")], body.clone()).await;
    assert!(status == 400 && message.contains("not a valid version"), "{message}");
    let (status, _, message) = ask(&[right, version], "{\"model\":".into()).await;
    assert!(status == 400 && message.contains("not valid JSON"), "{message}");
    let (status, kind, _) = ask(&[right, version], " ".repeat(33 * 1024 * 1024)).await;
    assert_eq!((status, kind.as_str()), (413, "request_too_large"));
    let (status, kind, _) = ask(&[right, version], turn("x").to_string().replace("5-5", "9-9")).await;
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));

    let get = async |path: &str| {
        let request = bench.client.get(format!("{}{path}", bench.sim.base_url()));
        let response =
            request.header("x-api-key", "right").header("anthropic-version", "2023-06-01").send().await.unwrap();
        (response.status().as_u16(), response.headers().get("allow").map(|v| v.to_str().unwrap().to_owned()))
    };
    assert_eq!(get("/v1/messages").await, (405, Some("POST".into())));
    assert_eq!(get("/v2/messages").await, (404, None));
    assert_eq!(get("/v1/models/claude-haiku-5-5").await, (200, None));
    assert_eq!(get("/v1/models/claude-nothing").await, (404, None));
}

#[tokio::test]
async fn refusals_on_demand_have_their_status_and_their_headers() {
    let bench = bench(|_| {}).await;
    for (fault, status, kind, header) in [
        (Fault::Auth, 401, "authentication_error", ""),
        (Fault::Billing, 402, "billing_error", ""),
        (Fault::Permission, 403, "permission_error", ""),
        (Fault::TooLarge, 413, "request_too_large", ""),
        (Fault::RateLimit, 429, "rate_limit_error", "retry-after"),
        (Fault::RateLimitShort, 429, "rate_limit_error", "retry-after-ms"),
        (Fault::SpendCap, 429, "rate_limit_error", "x-should-retry"),
        (Fault::ServerError, 500, "api_error", ""),
        (Fault::Unavailable, 503, "api_error", ""),
        (Fault::Timeout, 504, "timeout_error", ""),
        (Fault::Overloaded, 529, "overloaded_error", ""),
    ] {
        bench.sim.set_fault(Some(FaultPlan::times(fault, 1)));
        let response = bench.post("/v1/messages", &turn("hello")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{fault}");
        assert!(header.is_empty() || response.headers().contains_key(header), "{fault}");
        assert!(fault != Fault::SpendCap || !response.headers().contains_key("retry-after"));
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["type"], kind);
        let record = bench.sim.requests().pop().unwrap();
        assert_eq!((record.fault.as_deref(), record.error.as_deref()), (Some(fault.name()), Some(kind)));
        // The count is used up.
        assert!(!bench.ask("hello").await.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn a_cut_stream_breaks_and_the_next_request_needs_a_new_connection() {
    let bench = bench(|o| o.fault = Some(FaultPlan::times(Fault::Cut, 1))).await;
    let response = bench.post("/v1/messages", &turn("tell me a joke")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err(), "the end was not in order");
    assert_eq!(bench.record().await.stop_reason, None);
    assert!(!bench.ask("tell me a joke").await.is_empty());
    assert_eq!(bench.sim.connections(), 2);

    bench.sim.set_fault(Some(FaultPlan::times(Fault::Cut, 1)));
    let mut stream = tls(&bench.sim, b"http/1.1").await;
    stream.write_all(raw(&turn("tell me a joke").to_string()).as_bytes()).await.unwrap();
    let got = read_until(&mut stream, "never").await;
    assert!(got.contains("text_delta") && !got.contains("\r\n0\r\n"), "{got}");

    bench.sim.set_fault(Some(FaultPlan::always(Fault::CutBeforeHeaders)));
    let mut stream = tls(&bench.sim, b"http/1.1").await;
    stream.write_all(raw(&turn("hello").to_string()).as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut stream, "never").await, "");
    let record = bench.sim.requests().pop().unwrap();
    assert_eq!((record.status, record.fault.as_deref()), (0, Some("cut-before-headers")));
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_as_cancelled() {
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let bench = bench(|o| o.fault = Some(FaultPlan::always(Fault::Stall))).await;
        if protocol == b"h2" {
            let mut response = bench.post("/v1/messages", &turn("tell me a joke")).send().await.unwrap();
            assert!(response.chunk().await.unwrap().is_some());
        } else {
            let mut stream = tls(&bench.sim, protocol).await;
            stream.write_all(raw(&turn("tell me a joke").to_string()).as_bytes()).await.unwrap();
            assert!(read_until(&mut stream, "text_delta").await.contains("text_delta"));
        }
        let record = bench.record().await;
        assert!(record.cancelled && record.stop_reason.is_none(), "{record:?}");
        assert_eq!(record.fault.as_deref(), Some("stall"));
    }
}

#[tokio::test]
async fn an_overload_after_the_headers_is_an_event() {
    let bench = bench(|o| o.fault = Some(FaultPlan::always(Fault::OverloadedMidStream))).await;
    let response = bench.post("/v1/messages", &turn("tell me a joke")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let stream = response.text().await.unwrap();
    assert!(stream.ends_with("\"message\":\"Overloaded\"}}\n\n"), "{stream}");
    assert!(!text(&stream).is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_order_and_one_in_use_is_not() {
    let bench = bench(|o| {
        o.idle_timeout = Some(Duration::from_millis(150));
        o.ttft = Spread::always(400);
    })
    .await;
    let mut stream = tls(&bench.sim, b"http/1.1").await;
    stream.write_all(raw(&turn("good night").to_string()).as_bytes()).await.unwrap();
    let got = read_until(&mut stream, "\r\n0\r\n\r\n").await;
    assert!(got.ends_with("\r\n0\r\n\r\n"), "longer than the idle limit, and yet answered");
    let began = Instant::now();
    assert_eq!(read_until(&mut stream, "never").await, "");
    assert!(began.elapsed() >= Duration::from_millis(140), "{:?}", began.elapsed());
}

#[tokio::test]
async fn goaway_ends_a_connection_after_its_answer() {
    let bench = bench(|o| o.fault = Some(FaultPlan::times(Fault::Goaway, 1))).await;
    assert!(!bench.ask("hello").await.is_empty());
    // The client hears of it a little later, and its next request may cross it on the way.
    let moved = async {
        while bench.sim.connections() < 2 {
            let _ = bench.post("/v1/messages", &turn("hello")).send().await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the connection was not closed");
}

#[tokio::test]
async fn a_silent_connection_answers_no_more_and_stays_open() {
    let bench = bench(|o| o.fault = Some(FaultPlan::times(Fault::IdleDrop, 1))).await;
    let mut stream = tls(&bench.sim, b"http/1.1").await;
    stream.write_all(raw(&turn("good night").to_string()).as_bytes()).await.unwrap();
    let got = read_until(&mut stream, "\r\n0\r\n\r\n").await;
    assert!(got.ends_with("\r\n0\r\n\r\n"), "the answer itself is whole");
    tokio::time::sleep(Duration::from_secs(1)).await;
    stream.write_all(raw(&turn("good night").to_string()).as_bytes()).await.unwrap();
    let mut buffer = [0; 64];
    let silence = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await;
    assert!(silence.is_err(), "neither an answer nor an end: {silence:?}");
    assert_eq!(bench.sim.requests().len(), 1);
}

#[tokio::test]
async fn the_network_delay_is_on_every_way_and_not_in_the_servers_own_times() {
    let bench = bench(|o| o.net_delay = Spread::always(60)).await;
    let began = Instant::now();
    let mut response = bench.post("/v1/messages", &turn("hello")).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    // TCP, TLS and the request itself: three round trips of 120 ms.
    assert!(began.elapsed() >= Duration::from_millis(360), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(!bench.ask("hello").await.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(140), "{:?}", began.elapsed());
    assert_eq!(bench.sim.connections(), 1);
}

#[tokio::test]
async fn stray_bytes_and_a_wrong_authority_get_no_further_than_the_handshake() {
    let bench = bench(|_| {}).await;
    let mut plain = TcpStream::connect(bench.sim.addr()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // A TLS alert and the end, or a reset: never an HTTP response.
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    let stranger = self::bench(|_| {}).await;
    let url = format!("{}/v1/models", bench.sim.base_url());
    assert!(stranger.client.get(url).send().await.unwrap_err().is_connect());
    assert!(!bench.ask("hello").await.is_empty(), "it goes on serving");
    assert_eq!(bench.sim.requests().len(), 1);
}

#[tokio::test]
async fn shutdown_leaves_nothing_behind() {
    let bench = bench(|o| o.fault = Some(FaultPlan::always(Fault::Stall))).await;
    let mut response = bench.post("/v1/messages", &turn("hello")).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    let (addr, log) = (bench.sim.addr(), bench.sim.log_path().to_owned());
    let began = Instant::now();
    bench.sim.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2), "a task did not end");
    assert!(TcpStream::connect(addr).await.is_err());
    let line: RequestRecord = serde_json::from_str(std::fs::read_to_string(log).unwrap().trim()).unwrap();
    assert!(line.cancelled);
}
