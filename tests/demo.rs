//! `elio demo --json`: the whole pipeline on real parts, held against its own record, its sound and the server's log.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod common;

use std::path::Path;

use common::{elio, json, output, repository, wav};
use serde_json::{Map, Value};

/// −50 dBFS of 16-bit samples.
const AUDIBLE: i16 = 104;

fn demo(out: &Path, args: &[&str]) -> Vec<Map<String, Value>> {
    let mut all = vec!["demo", "--json", "--silent", "--out", out.to_str().unwrap()];
    all.extend(args);
    let document = json(&output(&mut elio(&all)));
    turns_of(&document)
}

fn turns_of(document: &Value) -> Vec<Map<String, Value>> {
    let turns = document["turns"].as_array().expect("turns").clone();
    turns.into_iter().map(|turn| turn.as_object().expect("an object").clone()).collect()
}

/// What was said, and every three words in a row of what was answered.
fn no_word_is_in(log: &str, turn: &Map<String, Value>) {
    let text = |key: &str| turn[key].as_str().unwrap().to_lowercase();
    let log = log.to_lowercase();
    let reply = text("reply");
    let words: Vec<&str> = reply.split_whitespace().collect();
    assert!(words.len() >= 3, "{reply}");
    for said in words.windows(3).map(|three| three.join(" ")).chain([text("transcript")]) {
        assert!(!log.contains(&said), "{said:?} is in the log");
    }
}

fn ns(turn: &Map<String, Value>, instant: &str) -> u64 {
    turn["instants"][instant].as_u64().unwrap_or_else(|| panic!("{instant} of {turn:?}"))
}

#[test]
fn four_questions_are_heard_word_for_word_and_answered_aloud() {
    let out = tempfile::tempdir().unwrap();
    let turns = demo(out.path(), &[]);
    assert_eq!(turns.len(), 4);
    let log = std::fs::read_to_string(out.path().join("sim/requests.jsonl")).unwrap();
    let requests: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for turn in &turns {
        assert_eq!(turn["transcript"], turn["expected"]);
        assert_eq!(turn["outcome"], "answered");
        every_field_is_there(turn);
        instants_are_in_order(turn);
        first_audible_is_where_the_sound_begins(turn);
        the_answer_has_speech_in_it(turn);
        sound_came_before_claude_had_finished(turn, &requests);
        assert_eq!(turn["connection_reused"], true, "no handshake inside a turn");
        assert_eq!(turn["cache_hit"], true);
    }
    let connections: std::collections::HashSet<_> = requests.iter().map(|r| r["connection"].to_string()).collect();
    assert_eq!(connections.len(), 1, "one connection carries all");
}

fn every_field_is_there(turn: &Map<String, Value>) {
    let nulls: Vec<_> = turn.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key).collect();
    assert!(nulls.is_empty(), "null in an answered turn: {nulls:?}");
    for key in ["stt_ms", "llm_ttft_ms", "total_perceived_ms", "cache_hit", "turn_id", "endpoint_ms", "voice", "reply"]
    {
        assert!(turn.contains_key(key), "{key} is missing");
    }
}

fn instants_are_in_order(turn: &Map<String, Value>) {
    // The answer is prepared in the silence: its way and the decision run side by side, and meet before the first sound.
    for order in [
        ["wake", "speech_start", "speech_end", "commit", "first_audible", "playback_end"],
        ["speech_end", "stt_final", "llm_sent", "llm_first_text", "chunk_ready", "tts_first_pcm"],
        ["llm_sent", "llm_first_text", "chunk_ready", "tts_first_pcm", "first_audible", "playback_end"],
    ] {
        let instants: Vec<u64> = order.iter().map(|instant| ns(turn, instant)).collect();
        assert!(instants.is_sorted(), "{order:?}: {turn:?}");
    }
    assert!(turn["speculations"].as_u64().unwrap() >= 1 && turn["llm_lead_ms"].as_f64().unwrap() > 0.0, "{turn:?}");
}

fn first_audible_is_where_the_sound_begins(turn: &Map<String, Value>) {
    let (samples, rate) = wav(turn["wav"].as_str().unwrap());
    let first = samples.iter().position(|sample| sample.unsigned_abs() >= AUDIBLE as u16).expect("sound");
    let heard = turn["wav_start_ns"].as_u64().unwrap() as f64 + first as f64 * 1e9 / f64::from(rate);
    let off = (heard - ns(turn, "first_audible") as f64) / 1e6;
    assert!(off.abs() <= 10.0, "first_audible is {off:.1} ms off");
}

fn the_answer_has_speech_in_it(turn: &Map<String, Value>) {
    let (samples, rate) = wav(turn["wav"].as_str().unwrap());
    let frames = samples.chunks(rate as usize / 100);
    let loud = frames.filter(|frame| rms_dbfs(frame) > -35.0).count();
    assert!(loud > 50, "{loud} frames of 10 ms are as loud as speech");
}

fn rms_dbfs(frame: &[i16]) -> f64 {
    let power = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64;
    10.0 * (power / f64::from(i16::MAX).powi(2)).max(1e-12).log10()
}

/// By the record, and by the server's own clock (both are CLOCK_MONOTONIC of this machine).
fn sound_came_before_claude_had_finished(turn: &Map<String, Value>, requests: &[Value]) {
    assert!(ns(turn, "first_audible") < ns(turn, "llm_done"), "{turn:?}");
    let id = &turn["request_id"];
    let request =
        requests.iter().find(|request| &request["id"] == id).unwrap_or_else(|| panic!("{id} is not in the log"));
    assert!(ns(turn, "first_audible") < request["done_ns"].as_u64().unwrap(), "{request}");
    assert_eq!(request["usage"]["cache_read_input_tokens"], turn["cache_read_tokens"]);
}

#[test]
fn the_answer_follows_the_words() {
    let questions = repository().join("models/demo/questions");
    let list = std::fs::read_to_string(questions.join("questions.toml")).unwrap();
    let list: toml::Table = toml::from_str(&list).unwrap();
    let entries = list["question"].as_array().unwrap();
    let pick = |index: usize| (entries[index]["file"].as_str().unwrap(), entries[index]["text"].as_str().unwrap());
    // The same file name, another recording under it: only the sound can tell them apart.
    let ask = |recording: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(questions.join(recording), dir.path().join("question.wav")).unwrap();
        let list = "[[question]]\nfile = \"question.wav\"\nlanguage = \"en\"\ntext = \"whatever\"\n";
        std::fs::write(dir.path().join("questions.toml"), list).unwrap();
        let out = dir.path().join("out");
        let (out, questions) = (out.to_str().unwrap(), dir.path().to_str().unwrap());
        let mut command = elio(&["demo", "--json", "--silent", "-vvv", "--out", out, "--questions", questions]);
        // Every line that Elio and its libraries can write.
        let result = output(command.env("ELIO_LOG", "trace"));
        let turn = turns_of(&json(&result)).remove(0);
        let log = String::from_utf8_lossy(&result.stderr);
        assert!(log.contains("elio"), "there is a log: {log}");
        no_word_is_in(&log, &turn);
        turn
    };
    let (first, second) = (ask(pick(0).0), ask(pick(1).0));
    assert_eq!((&first["transcript"], &second["transcript"]), (&pick(0).1.into(), &pick(1).1.into()));
    assert_ne!(first["reply"], second["reply"]);
}
