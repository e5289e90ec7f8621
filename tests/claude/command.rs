//! `elio ask`, as a person types it.

use std::process::{Command, Output};

use elio::sim::{Fault, FaultPlan, SimHandle};

use super::KEY;
use super::simulated::sim;

fn elio(sim: &SimHandle, key: Option<&str>, arguments: &[&str]) -> Output {
    let set = |name: &str, value: &str| format!("claude.{name}={value}");
    let empty = sim.ca().with_file_name("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.env_clear().arg("ask").arg("--config").arg(empty).args(arguments);
    command.arg("--set").arg(set("base_url", sim.base_url()));
    command.arg("--set").arg(set("ca_file", sim.ca().to_str().unwrap()));
    if let Some(key) = key {
        command.env("ANTHROPIC_API_KEY", key);
    }
    command.output().unwrap()
}

fn line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "one line, not: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_text_and_as_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(&folder).await;
    let plain = elio(&sim, Some(KEY), &["hello"]);
    assert!(plain.status.success(), "{plain:?}");
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.ends_with('\n') && text.trim().len() > 5, "{text}");

    let document = elio(&sim, Some(KEY), &["--json", "hello"]);
    assert!(document.status.success(), "{document:?}");
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["text"].as_str().unwrap(), text.trim_end_matches('\n'));
    let (first, total) = (document["llm_ttft_ms"].as_f64().unwrap(), document["llm_total_ms"].as_f64().unwrap());
    assert!(first >= 20.0 && total >= first, "{document}");
    // The first process wrote the cache.
    assert_eq!((&document["cache_hit"], &document["connection_reused"]), (&true.into(), &false.into()));
    assert!(document["request_id"].as_str().unwrap().starts_with("req_"));
    // Nothing is kept for a command that asks once.
    let requests: Vec<_> = sim.requests().iter().map(|record| (record.method.clone(), record.stream)).collect();
    assert_eq!(requests, [("POST".to_owned(), true), ("POST".to_owned(), true)]);
    assert!(document["cache_read_tokens"].as_u64().unwrap() > 512 && document["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_exit_code_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(&folder).await;
    let run = |key: Option<&str>, arguments: &[&str], exit: i32, part: &str| {
        let output = elio(&sim, key, arguments);
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        let text = line(&output);
        assert!(text.contains(part) && !text.contains("sk-"), "{text}");
    };
    run(None, &["hello"], 78, "no API key");
    run(Some("sk-wrong"), &["hello"], 78, "ANTHROPIC_API_KEY");
    run(Some(KEY), &["--set", "claude.model=claude-nobody-1", "hello"], 78, "claude-nobody-1");
    for (fault, exit, part) in [
        (Fault::Overloaded, 75, "overloaded"),
        (Fault::RateLimit, 75, "rate limit"),
        (Fault::SpendCap, 1, "spend limit"),
        (Fault::Billing, 1, "billing"),
        (Fault::Refusal, 1, "declined"),
        (Fault::Cut, 1, "cut off"),
    ] {
        sim.set_fault(Some(FaultPlan::always(fault)));
        run(Some(KEY), &["hello"], exit, part);
    }
    sim.set_fault(None);
    let address = sim.base_url().to_owned();
    drop(sim);
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.env_clear().env("ANTHROPIC_API_KEY", KEY).args(["ask", "hello", "--config", "/dev/null", "--set"]);
    let output = command.arg(format!("claude.base_url={}", address.replace("https", "http"))).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(line(&output).contains("cannot be reached"));
}
