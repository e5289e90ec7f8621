//! `elio latency`: figures against sorted arithmetic, the clock on the wall, lines of every kind, the journal's program,
//! and memory.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{elio, json, one_line_of_failure, output};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The second of the first record: 2026-03-29T00:00:00Z, an hour before the clocks of Europe are set forward.
const START: u64 = 1_774_742_400;

/// Made-up records.
struct Records {
    /// How many.
    count: u64,
    /// Seconds from one to the next.
    step: u64,
}

/// What one of them says.
struct Made {
    second: u64,
    outcome: &'static str,
    ttft: f64,
    perceived: Option<f64>,
    beyond: Option<f64>,
}

impl Records {
    fn made(&self) -> impl Iterator<Item = Made> {
        // Numbers in no order, the same in every run.
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let step = self.step;
        (0..self.count).map(move |index| {
            let ttft = (182_000 + random(57_000)) as f64 / 1e3;
            // Some 13 % were not heard; a request that left early makes the rest negative.
            let perceived = (random(8) != 0).then(|| (150_000 + random(900_000)) as f64 / 1e3);
            let beyond = perceived.map(|ms| ((ms - ttft) * 1e3).round() / 1e3);
            let outcome = if perceived.is_some() { "answered" } else { "failed:offline" };
            Made { second: START + index * step, outcome, ttft, perceived, beyond }
        })
    }

    /// As `journalctl -o json` writes them: with the record as message, and fields of journald's own.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.made().zip(0..).map(|(made, index)| {
            let record = json!({
                "stt_ms": 741.5, "llm_ttft_ms": made.ttft, "total_perceived_ms": made.perceived, "cache_hit": true,
                "turn_id": format!("19a-{index}"), "outcome": made.outcome, "source": "button", "endpoint_ms": 700.0,
                "perceived_beyond_ttft_ms": made.beyond, "stt_compute_ms": 40.25, "model": "a-model",
            });
            let entry = json!({
                "__CURSOR": format!("s=7e1c;i={index:x};b=0"), "__REALTIME_TIMESTAMP": format!("{}000001", made.second),
                "_BOOT_ID": "b0", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "elio", "_SYSTEMD_UNIT": "elio.service",
                "ELIO_LLM_TTFT_MS": made.ttft.to_string(), "ELIO_OUTCOME": made.outcome, "MESSAGE": record.to_string(),
            });
            entry.to_string() + "\n"
        })
    }

    fn write(&self, folder: &TempDir) -> PathBuf {
        let path = folder.path().join("records.json");
        std::fs::write(&path, self.lines().collect::<String>()).unwrap();
        path
    }
}

fn latency(zone: &str, args: &[&str]) -> Command {
    let mut all = vec!["latency"];
    all.extend(args);
    let mut command = elio(&all);
    command.env("TZ", zone);
    command
}

fn of_file(zone: &str, file: &Path, args: &[&str]) -> Command {
    let mut all = vec!["--file", file.to_str().unwrap()];
    all.extend(args);
    latency(zone, &all)
}

/// Every percentile of a stage against the sorted values: exact up to a thousand, else a thousandth above at most.
#[track_caller]
fn assert_percentiles(stage: &Value, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    assert_eq!(stage["count"], values.len(), "{stage}");
    assert_eq!(stage["max"].as_f64(), values.last().copied(), "{stage}");
    let tolerance = if values.len() > 1_000 { 1e-3 } else { 0.0 };
    for (name, percent) in [("p50", 50), ("p95", 95), ("p99", 99)] {
        let should = values[(values.len() * percent).div_ceil(100) - 1];
        let off = stage[name].as_f64().unwrap() - should;
        assert!((0.0..=should.abs() * tolerance).contains(&off), "{name} is {off} above {should}: {stage}");
    }
}

#[test]
fn the_figures_are_those_of_sorted_arithmetic() {
    let folder = tempfile::tempdir().unwrap();
    for count in [1, 7, 1_000, 6_000] {
        let records = Records { count, step: 60 };
        let report = json(&output(&mut of_file("UTC", &records.write(&folder), &["--by", "all", "--json"])));
        let all = &report["all"];
        let column = |value: fn(&Made) -> Option<f64>| records.made().filter_map(|made| value(&made)).collect();
        assert_percentiles(&all["stages"]["llm_ttft_ms"], column(|made| Some(made.ttft)));
        assert_percentiles(&all["stages"]["stt_compute_ms"], vec![40.25; count as usize]);
        assert_percentiles(&all["stages"]["total_perceived_ms"], column(|made| made.perceived));
        assert_percentiles(&all["stages"]["perceived_beyond_ttft_ms"], column(|made| made.beyond));
        assert_eq!(all["stages"]["audio_out_ms"], Value::Null, "it never happened");
        let answered = records.made().filter(|made| made.outcome == "answered").count();
        assert_eq!((&all["turns"], &all["outcomes"]["answered"]), (&json!(count), &json!(answered)));
        assert_eq!(report["worst"].as_array().unwrap().len() as u64, count.min(3));
        assert_eq!(report["worst"][0]["stages"]["total_perceived_ms"], all["stages"]["total_perceived_ms"]["max"]);
        assert_eq!(report["worst"][0]["waterfall"][1], json!({"name": "hearing", "start_ms": 701.25, "end_ms": 741.5}));
    }
}

#[test]
fn hours_and_days_are_those_of_the_clock_on_the_wall() {
    let folder = tempfile::tempdir().unwrap();
    // Half an hour apart for five hours, in the night in which 02:00 became 03:00 in Paris.
    let file = Records { count: 10, step: 1_800 }.write(&folder);
    let starts = |zone: &str, by: &str| {
        let report = json(&output(&mut of_file(zone, &file, &["--by", by, "--json"])));
        let periods = report["periods"].as_array().unwrap().clone();
        let text = |row: &Value| row["start"].as_str().unwrap().replace(":00.000", "");
        periods.iter().map(|row| (text(row), row["turns"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let expected = ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"];
    assert_eq!(starts("Europe/Paris", "hour")[..3], expected.map(|start| (start.to_owned(), 2)));
    let expected = [("2026-03-29T05:00+05:30", 1), ("2026-03-29T06:00+05:30", 2)];
    assert_eq!(starts("Asia/Kolkata", "hour")[..2], expected.map(|(start, turns)| (start.to_owned(), turns)));
    let expected = [("2026-03-28T00:00-03:00", 6), ("2026-03-29T00:00-03:00", 4)];
    assert_eq!(starts("America/Sao_Paulo", "day"), expected.map(|(start, turns)| (start.to_owned(), turns)));

    let text = output(&mut of_file("America/Sao_Paulo", &file, &[]));
    let text = String::from_utf8(text.stdout).unwrap();
    let titles: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" turns: ")?.0)).collect();
    let all = "2026-03-28 21:00 to 2026-03-29 01:30 (America/Sao_Paulo), 10";
    assert_eq!(titles, ["2026-03-28, 6", "2026-03-29, 4", all]);
    assert!(text.contains("end of speech → first audible sample"), "the worst turns have waterfalls:\n{text}");

    let since =
        output(&mut of_file("Europe/Paris", &file, &["--json", "--since", "2026-03-29 04:00", "--until=05:00"]));
    assert_eq!(json(&since)["all"]["first"], "2026-03-29T04:00:00.000+02:00");
}

#[test]
fn lines_of_every_kind_are_read_or_passed_over_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines: String = Records { count: 3, step: 60 }.lines().collect();
    lines +=
        "{\"start\":true}\n{\"MESSAGE\":\"listening\",\"PRIORITY\":\"6\"}\n\n-- Boot 1 --\n{\"turn_id\":\"x\",\"outc";
    let file = folder.path().join("mixed");
    std::fs::write(&file, &lines).unwrap();
    let all = output(&mut of_file("UTC", &file, &["--json"]));
    let report = json(&all);
    assert_eq!((&report["all"]["turns"], &report["lines"], &report["damaged"]), (&json!(3), &json!(7), &json!(2)));
    let stderr = String::from_utf8(all.stderr).unwrap();
    assert_eq!(stderr, "elio: 2 of 7 lines cannot be read and were passed over\n");

    // The spool's lines have no time: they count, but in no day.
    lines = "{\"stt_ms\":5.0,\"turn_id\":\"7-1\",\"outcome\":\"silent\",\"source\":\"socket\"}\n".to_owned();
    lines.extend(Records { count: 1, step: 1 }.lines());
    std::fs::write(&file, &lines).unwrap();
    let report = json(&output(&mut of_file("UTC", &file, &["--json"])));
    assert_eq!((&report["periods"][0]["start"], &report["all"]["turns"]), (&Value::Null, &json!(2)));
    let left = output(&mut of_file("UTC", &file, &["--json", "--since", "2020-01-01"]));
    assert_eq!(String::from_utf8(left.stderr.clone()).unwrap().lines().count(), 1);
    assert_eq!((&json(&left)["all"]["turns"], &json(&left)["undated"]), (&json!(1), &json!(1)));
}

#[test]
fn what_leaves_nothing_to_show_is_one_line_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records { count: 2, step: 60 }.write(&folder);
    let (empty, other) = (folder.path().join("empty"), folder.path().join("other"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&other, "a log\nof something else\n").unwrap();
    let absent = folder.path().join("absent");
    let said = |file: &Path, args: &[&str], code: i32, words: [&str; 2]| {
        let output = output(&mut of_file("UTC", file, args));
        let line = one_line_of_failure(&output, code);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(output.stdout.is_empty());
    };
    said(&empty, &["--json"], 1, ["empty is empty", "journalctl -o json"]);
    said(&other, &[], 1, ["no latency record in 2 lines", "journalctl -o json"]);
    said(&absent, &[], 1, ["absent: No such file", "--file"]);
    said(folder.path(), &[], 1, ["Is a directory", "--file"]);
    said(&records, &["--outcome", "silent"], 1, ["none of the 2 records", "--outcome"]);
    said(&records, &["--since", "soon"], 2, ["--since soon", "today"]);
    let wrong = output(&mut of_file("UTC", &records, &["--outcome", "lost"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("failed:KIND"));
}

/// A journalctl that does what `script` says, first in the path.
fn with_journalctl(folder: &TempDir, script: &str, args: &[&str]) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.path().join("journalctl");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = latency("UTC", args);
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    command
}

#[test]
fn the_journal_is_asked_for_its_records_alone_and_as_the_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records { count: 4, step: 60 }.write(&folder);
    let asked = folder.path().join("asked");
    // More complaints than a pipe holds must not hold up the entries.
    let script =
        format!("printf '%s\\n' \"$@\" > {}; head -c 300000 /dev/zero >&2; cat {}", asked.display(), records.display());
    let args = ["--json", "--since", "-2h", "--until=now", "--boot", "-1", "--unit", "elio"];
    let report = json(&output(&mut with_journalctl(&folder, &script, &args)));
    assert_eq!(report["all"]["turns"], 4);
    let asked = std::fs::read_to_string(asked).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    let id = "MESSAGE_ID=6f0e9c1b8d5a4f3e9a7c2d4b1e8f6035";
    for argument in ["--output=json", "--all", "--since=-2h", "--until=now", "--boot=-1", "--unit=elio", id] {
        assert!(asked.contains(&argument), "{argument} is not in {asked:?}");
    }
}

#[test]
fn a_journal_that_cannot_be_read_is_one_line_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let said = |script: &str, args: &[&str], code: i32| {
        one_line_of_failure(&output(&mut with_journalctl(&folder, script, args)), code)
    };
    let closed = "echo No journal files were opened due to insufficient permissions. >&2; exit 1";
    assert!(said(closed, &[], 69).contains("systemd-journal"));
    let refused = said("echo Failed to parse timestamp: soon >&2; exit 1", &["--since", "soon"], 1);
    assert_eq!(refused, "elio: journalctl: Failed to parse timestamp: soon");
    assert!(said("exit 3", &[], 1).contains("exit status: 3"));
    let mut without = latency("UTC", &[]);
    let line = one_line_of_failure(&output(without.env("PATH", folder.path().join("nowhere"))), 69);
    assert!(line.contains("journalctl is not on this machine") && line.contains("--file"), "{line}");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    // Far more than a pipe holds.
    let file = Records { count: 2_000, step: 3_600 }.write(&folder);
    for args in [["--by", "hour", "-v"], ["--by", "hour", "--json"]] {
        let mut command = of_file("UTC", &file, &args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{:?}", output.status);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

/// The most memory that the process had in use, in KiB, once it has read so many records from its standard input.
fn peak_kib(count: u64, by: &str) -> u64 {
    let mut command = latency("UTC", &["--file", "-", "--by", by]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let lines = std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).collect::<Vec<_>>());
    let mut batch = String::new();
    for line in (Records { count, step: 600 }).lines() {
        batch += &line;
        if batch.len() > 1 << 16 {
            stdin.write_all(batch.as_bytes()).unwrap();
            batch.clear();
        }
    }
    // What follows the records fills the pipe: once it is written, they have all been read.
    batch.extend(std::iter::repeat_n("\n", 1 << 17));
    stdin.write_all(batch.as_bytes()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let mut said = String::new();
    write!(said, "{count} turns: ").unwrap();
    assert!(lines.join().unwrap().iter().any(|line| line.contains(&said)), "not all were counted");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn five_times_the_records_take_no_more_memory() {
    for by in ["day", "hour"] {
        let (few, many) = (peak_kib(20_000, by), peak_kib(100_000, by));
        assert!(many < few + 3 * 1_024, "by {by}: {few} KiB for 20,000 records, {many} KiB for 100,000");
    }
}
