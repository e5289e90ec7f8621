//! `elio sim` from the command line: the line when ready, the signal that ends it, and its faults in one line each.

// Clippy knows a test by its attribute; these are the helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn sim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.arg("sim").args(arguments);
    command
}

/// The one line on standard error of a command that ends by itself.
fn failed(arguments: &[&str], exit: i32) -> String {
    let Output { status, stdout, stderr } = sim(arguments).output().unwrap();
    let message = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(exit), "{message}");
    assert!(stdout.is_empty());
    message
}

fn one_line(message: &str) -> bool {
    message.starts_with("elio: sim: ") && message.trim_end().lines().count() == 1
}

#[test]
fn it_says_where_it_is_and_ends_in_order_on_either_signal() {
    let dir = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = sim(&["--dir", dir.path().to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(ready["base_url"].as_str().unwrap().starts_with("https://127.0.0.1:"));
        let ca = std::path::PathBuf::from(ready["ca"].as_str().unwrap());
        assert!(ca.is_absolute() && std::fs::read_to_string(ca).unwrap().contains("BEGIN CERTIFICATE"));
        assert!(dir.path().join("requests.jsonl").exists());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(lines.next().is_none(), "one line and no more");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_port_in_use_is_one_line_and_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let message = failed(&["--dir", dir.path().to_str().unwrap(), "--listen", &address], 69);
    assert!(one_line(&message) && message.contains(&address) && message.contains("port 0"), "{message}");
}

#[test]
fn a_folder_that_cannot_be_written_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("sim");
    let message = failed(&["--dir", below.to_str().unwrap()], 1);
    assert!(one_line(&message) && message.contains("file/sim") && message.contains("--dir"), "{message}");
}

#[test]
fn rules_that_are_none_are_one_line_and_78() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nlanguage = \"it\"\n").unwrap();
    let dir = dir.path().to_str().unwrap();
    let message = failed(&["--dir", dir, "--replies", rules.to_str().unwrap()], 78);
    assert!(one_line(&message) && message.contains("line 2"), "{message}");
}

#[test]
fn arguments_that_make_no_sense_are_refused_by_name() {
    for (option, value, wanted) in [
        ("--fault", "earthquake", "no fault is called `earthquake`"),
        ("--fault", "cut:many", "`many`"),
        ("--ttft", "300..200", "`300..200`"),
        ("--net-delay", "-5", "-5"),
        ("--tokens-per-second", "0", "from 0.1"),
        ("--idle-timeout", "0", "from 0.001"),
        ("--listen", "nowhere", "nowhere"),
    ] {
        let message = failed(&["--dir", "unused", &format!("{option}={value}")], 2);
        assert!(message.contains(wanted), "{option} {value}: {message}");
    }
    let help = sim(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("overloaded-mid-stream") && help.contains("idle-drop"), "{help}");
}
