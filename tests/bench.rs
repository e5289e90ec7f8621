//! `elio bench`: small ones from end to end, and what it refuses before it measures anything.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod common;

use std::path::Path;

use common::{elio, json, one_line_of_failure, output, repository};
use serde_json::Value;

/// Short answers, so that a turn takes few seconds.
const REPLIES: &str = r#"
[[rule]]
language = "en"
patterns = ["... joke ..."]
replies = ["The clock felt run down."]

[[fallback]]
language = "en"
replies = ["Nobody knows that, and nobody ever has, as far as anybody can tell."]

[[fallback]]
language = "fr"
replies = ["Il est midi pile."]
"#;

/// A bench before a quick simulated Claude in `dir`.
fn bench(dir: &Path, args: &[&str]) -> std::process::Output {
    let replies = dir.join("replies.toml");
    std::fs::write(&replies, REPLIES).unwrap();
    let (sim, replies) = (dir.join("sim"), replies.display().to_string());
    let mut all = vec!["bench", "--dir", sim.to_str().unwrap(), "--replies", &replies, "--ttft", "50"];
    all.extend(args);
    output(&mut elio(&all))
}

#[test]
fn two_questions_in_hold_mode_are_measured_saved_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("old.json");
    let saved = file.to_str().unwrap();
    let goals = ["--require", "hold.answered==2", "--require", "endpoint_ms.max>=120"];
    let args = ["--mode", "hold", "-n", "2", "--stops", "1", "--json", "--out", saved];
    let first = bench(dir.path(), &[&args, &goals[..]].concat());
    let report = json(&first);
    assert_eq!(report, serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap(), "saved as printed");
    let hold = &report["modes"]["hold"];
    for count in ["asked", "answered", "word_for_word"] {
        assert_eq!(hold["counts"][count], 2.0, "{count}: {hold}");
    }
    assert_eq!((&hold["counts"]["cache_rate_requests"], &hold["counts"]["connections"]), (&1.0.into(), &1.0.into()));
    assert_eq!((&hold["counts"]["handshakes_in_turns"], hold["turns"].as_array().unwrap().len()), (&0.0.into(), 2));
    for stage in ["endpoint_ms", "total_perceived_ms", "llm_to_sound_less_held_ms", "own_overhead_ms", "tts_ttfb_ms"] {
        let of = |stat: &str| hold["stages"][stage][stat].as_f64().unwrap_or_else(|| panic!("{stage} {stat}: {hold}"));
        assert!(of("p50") <= of("p95") && of("p95") <= of("p99") && of("p99") <= of("max"), "{stage}: {hold}");
    }
    let stop = &hold["stages"]["stop_ms"];
    assert_eq!(stop["n"], 1, "{hold}");
    // The answer has seconds left to be spoken: it was not simply over.
    assert!(stop["max"].as_f64().is_some_and(|ms| ms > 0.0 && ms < 390.0), "{stop}");
    let proof = &report["proof"];
    assert_eq!(proof["stt"]["hardware"]["gpu"], Value::Null, "{proof}");
    assert!(proof["stt"]["hardware"]["weights_mb"]["CPU"].as_f64().is_some_and(|mb| mb > 0.5), "{proof}");
    assert!(proof["voices"][0]["providers"]["CPUExecutionProvider"]["nodes"].as_u64() > Some(10), "{proof}");
    // The finger goes up 0 to 20 ms after the acoustic end, and the grace is 120 ms.
    assert!(hold["stages"]["endpoint_ms"]["p50"].as_f64().unwrap() < 1_000.0, "{hold}");
    assert!(report["conditions"]["machine"]["cores"].as_u64().unwrap() > 0);
    assert!(report["conditions"]["models"]["stt"]["bytes"].as_u64().unwrap() > 0);
    assert!(!first.stdout.windows(4).any(|word| word == b"joke"), "no word is in a report");

    let args = [
        "--mode",
        "hold",
        "-n",
        "1",
        "--stops",
        "0",
        "--compare",
        saved,
        "--set",
        "wake.grace=100ms",
        "--require",
        "asked==2",
    ];
    let second = bench(dir.path(), &args);
    let line = one_line_of_failure(&second, 1);
    assert!(line.contains("asked==2 is not met: in hold mode it is 1"), "{line}");
    let text = String::from_utf8(second.stdout).unwrap();
    for wanted in
        ["1 of 1 answered", "total_perceived_ms p95", "config wake.grace: \"120ms\" → \"100ms\"", "false cut-offs"]
    {
        assert!(text.contains(wanted), "{wanted:?} is missing: {text}");
    }
}

#[test]
fn a_person_who_pauses_is_cut_off_by_a_short_silence_and_not_by_the_words_and_the_curve_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let question = repository().join("models/demo/questions/en-lights.wav");
    std::fs::copy(question, dir.path().join("lights.wav")).unwrap();
    let list = "[[clip]]\nfile = \"lights.wav\"\nlanguage = \"en\"\ntext = \"Turn on the kitchen lights.\"\n\
                word_ends_ms = [1100, 2200]\n";
    std::fs::write(dir.path().join("clips.toml"), list).unwrap();
    let (clips, plot) = (dir.path().to_str().unwrap(), dir.path().join("curve.png"));
    let args = ["--mode", "endpoint", "-n", "1", "--stops", "0", "--pauses", "2", "--json", "--clips", clips];
    let cut_offs = |more: &[&str]| {
        let report = json(&bench(dir.path(), &[&args[..], &["--set", "endpoint.silence=220ms"], more].concat()));
        let counts = &report["modes"]["endpoint"]["counts"];
        assert_eq!(counts["pauses"], 2.0, "{report}");
        (counts["false_cut_offs"].as_f64(), report)
    };
    let deaf = ["--set", "stt.incremental=false", "--set", "speculation.tries=0"];
    assert_eq!(cut_offs(&deaf).0, Some(1.0), "silence alone");
    // "Turn on the": it goes on.
    let (heard, report) = cut_offs(&["--plot", plot.to_str().unwrap()]);
    assert_eq!(heard, Some(0.0), "{report}");
    let first = |points: &str| &report["curve"][points][0];
    assert_eq!(first("by_silence")["wait_ms"], 200);
    let share = |point: &Value| point["false_cut_offs"].as_f64().unwrap();
    assert_eq!(share(first("by_silence")), 1.0);
    assert!(share(first("by_words")) < 1.0, "{report}");
    assert_eq!(share(report["curve"]["by_silence"].as_array().unwrap().last().unwrap()), 0.0);
    assert!(std::fs::read(&plot).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn an_idle_speaker_is_measured_beside_its_engines_and_no_turn_is_needed_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["-n", "0", "--idle", "2", "--require", "idle_cpu_share<=2", "--json"];
    let report = json(&bench(dir.path(), &args));
    let of = |name: &str| report["idle"][name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!(of("idle_cpu_share") > 0.0 && of("engines_mib") > 5.0, "{report}");
    assert!((of("idle_mib") - of("engines_mib") - of("idle_extra_mib")).abs() < 1e-6, "{report}");
    assert!(report["modes"].as_object().is_some_and(serde_json::Map::is_empty), "{report}");
}

#[test]
fn the_turns_after_a_rest_are_held_against_each_other_and_a_closed_connection_is_opened_between_turns() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["--mode", "hold", "-n", "1", "--stops", "0", "--rest", "3", "--pressure", "0.01", "--idle-timeout", "2"];
    let report = json(&bench(dir.path(), &[&args[..], &["--pause-between", "3", "--json"]].concat()));
    let hold = &report["modes"]["hold"];
    let counts = &hold["counts"];
    assert!(counts["rest_first_to_tenth"].as_f64().is_some_and(|ratio| ratio > 0.0), "{hold}");
    assert!(counts["rest_first_to_median"].as_f64().is_some_and(|ratio| ratio > 0.0), "{hold}");
    let note = hold["notes"].to_string();
    assert!(note.contains("after the rest, with ") && !note.contains("with 0 MiB"), "{note}");
    assert!(counts["connections"].as_f64() > Some(1.0), "the server closed it, and the keeper opened it: {counts}");
}

/// The one line of a bench that does not begin.
#[track_caller]
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let line = one_line_of_failure(&output(&mut elio(&[&["bench"], args].concat())), code);
    for word in words {
        assert!(line.contains(word), "{word:?} is missing: {line}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_at_once_in_one_line() {
    refused(&["--clips", "/no/clips"], 1, &["/no/clips", "clips.toml", "name a folder"]);
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old.json");
    std::fs::write(&old, "{\"modes\": {\"hold\"").unwrap();
    refused(&["--compare", old.to_str().unwrap()], 1, &["old.json", "elio bench --out"]);
    refused(&["--compare", "/no/old.json"], 1, &["/no/old.json", "No such file"]);
    refused(&["--require", "total_perceived_ms.p95"], 2, &["total_perceived_ms.p95<=800"]);
    refused(&["--require", "patience<=3"], 2, &["patience", "total_perceived_ms", "underruns"]);
    refused(&["-n", "0"], 2, &["nothing to measure", "--idle"]);
    refused(&["--out", "/no/folder/new.json"], 1, &["/no/folder/new.json", "can be written"]);
    let questions = repository().join("models/demo/questions");
    let questions = questions.to_str().unwrap();
    refused(&["--clips", questions, "--plot", "curve.png"], 2, &["--plot", "word ends"]);
    refused(&["--clips", questions, "--pauses", "9"], 2, &["--pauses", "word ends", "clips.toml"]);
}
