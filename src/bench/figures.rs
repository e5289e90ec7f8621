//! From records to figures: percentiles of each stage, and the counts that go with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Rested;
use super::turns::{Mode, Run, Turn};
use crate::latency::{Instants, Record, waterfall};

/// Of a record's milliseconds these are no stage.
const NO_STAGES: [&str; 2] = ["connection_age_ms", "speech_ms"];
/// Stages that the bench adds to the record.
const DERIVED: [&str; 4] =
    ["commit_to_transcript_ms", "sound_ready_ms", "llm_to_sound_less_held_ms", "own_overhead_ms"];
/// From a press while Elio speaks to the last sound; of no record.
const STOP: &str = "stop_ms";

/// Percentiles of one stage, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figure {
    /// Turns that have it.
    pub n: usize,
    /// Half of the turns take no longer.
    pub p50: f64,
    /// 95 of 100 take no longer.
    pub p95: f64,
    /// 99 of 100 take no longer.
    pub p99: f64,
    /// None takes longer.
    pub max: f64,
}

/// Names of [`Figure`]'s percentiles.
pub const STATS: [&str; 4] = ["p50", "p95", "p99", "max"];

impl Figure {
    /// By its name in [`STATS`].
    pub fn stat(&self, name: &str) -> Option<f64> {
        match name {
            "p50" => Some(self.p50),
            "p95" => Some(self.p95),
            "p99" => Some(self.p99),
            "max" => Some(self.max),
            _ => None,
        }
    }
}

/// The figures of one mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModeFigures {
    /// By the record's key; median of the runs' percentiles, largest of their maxima.
    pub stages: BTreeMap<String, Figure>,
    /// Sums over the runs, and rates from 0 to 1: see [`counts`].
    pub counts: BTreeMap<String, f64>,
    /// What a figure is missing for, and how turns ended that were not answered.
    pub notes: Vec<String>,
    /// Each turn's record, with what the bench adds; no word of it.
    pub turns: Vec<Map<String, Value>>,
}

/// The smallest value that `percent` of all do not exceed (nearest rank: always one that was measured).
pub fn percentile(values: &mut [f64], percent: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * percent / 100.0).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

/// The percentiles of a stage; none without values.
pub fn figure(mut values: Vec<f64>) -> Option<Figure> {
    let n = values.len();
    let mut of = |percent| percentile(&mut values, percent);
    Some(Figure { n, p50: of(50.0)?, p95: of(95.0)?, p99: of(99.0)?, max: of(100.0)? })
}

/// Each percentile the median of the runs', the maximum that of all.
fn over_runs(figures: &[Figure]) -> Option<Figure> {
    let median = |stat: fn(&Figure) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(stat).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some((low + high) / 2.0)
    };
    Some(Figure {
        n: figures.iter().map(|figure| figure.n).sum(),
        p50: median(|f| f.p50)?,
        p95: median(|f| f.p95)?,
        p99: median(|f| f.p99)?,
        max: figures.iter().map(|figure| figure.max).reduce(f64::max)?,
    })
}

/// The figures of a mode's runs.
pub fn of_mode(mode: Mode, runs: &[Run]) -> ModeFigures {
    let mut by_stage: BTreeMap<String, Vec<Figure>> = BTreeMap::new();
    for run in runs {
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (key, value) in run.turns.iter().filter(|turn| turn.answered()).flat_map(|turn| &turn.record) {
            if let Some(ms) = value.as_f64().filter(|_| is_stage(key)) {
                values.entry(key).or_default().push(ms);
            }
        }
        for (key, values) in values {
            by_stage.entry(key.to_owned()).or_default().extend(figure(values));
        }
        by_stage.entry(STOP.to_owned()).or_default().extend(figure(run.stops.iter().flatten().copied().collect()));
    }
    let stages = by_stage.into_iter().filter_map(|(key, figures)| Some((key, over_runs(&figures)?))).collect();
    let turns: Vec<&Turn> = runs.iter().flat_map(|run| &run.turns).collect();
    ModeFigures {
        stages,
        counts: counts(runs),
        notes: notes(mode, runs),
        turns: turns.into_iter().map(|turn| turn.record.clone()).collect(),
    }
}

/// A key of the record, or of [`DERIVED`], whose milliseconds are a stage.
pub fn is_stage(key: &str) -> bool {
    key.ends_with("_ms") && !NO_STAGES.contains(&key)
}

/// Every stage that can have figures, in the record's order: for the printed table, and to refuse a goal that names none.
pub fn stage_names() -> Vec<String> {
    let empty = Record::derive(&Instants::default(), Default::default(), crate::latency::Outcome::Silent).to_json();
    empty
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| is_stage(key))
        .chain(DERIVED.map(str::to_owned))
        .chain([STOP.to_owned()])
        .collect()
}

/// Every count, with what it is.
pub const COUNTS: [(&str, &str); 16] = [
    ("asked", "questions"),
    ("answered", "of them answered"),
    ("word_for_word", "of them heard as they were said"),
    ("cache_rate_requests", "share of answers whose prompt was read from the cache"),
    ("cache_rate_tokens", "share of the input tokens that were read from it"),
    ("connections", "connections opened, each a TLS handshake"),
    ("handshakes_in_turns", "turns whose request went over a connection that was opened after the wake edge"),
    ("handshakes_waited_for", "of them, opened after the end of speech: somebody waited"),
    ("underruns", "times that the speaker ran dry"),
    ("overruns", "times that the microphone overflowed"),
    ("speculations", "requests before the commit"),
    ("wasted_tokens", "tokens of answers that nobody heard"),
    ("pauses", "sentences with a pause"),
    ("false_cut_offs", "share of them in which the turn ended in the pause"),
    ("rest_first_to_tenth", "after the rest, total_perceived_ms of the first turn over that of the tenth"),
    ("rest_first_to_median", "the same over the median of the nine after it"),
];

fn counts(runs: &[Run]) -> BTreeMap<String, f64> {
    let turns: Vec<&Turn> = runs.iter().flat_map(|run| &run.turns).collect();
    let answered: Vec<&&Turn> = turns.iter().filter(|turn| turn.answered()).collect();
    let number = |turn: &Turn, key: &str| turn.record.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let sum = |key: &str| turns.iter().map(|turn| number(turn, key)).sum::<f64>();
    let count = |of: fn(&Turn) -> bool| turns.iter().filter(|turn| of(turn)).count() as f64;
    let [read, written, other] = ["cache_read_tokens", "cache_write_tokens", "input_tokens"].map(sum);
    let hits = answered.iter().filter(|turn| turn.record.get("cache_hit") == Some(&Value::Bool(true))).count() as f64;
    let wasted = turns
        .iter()
        .flat_map(|turn| &turn.record)
        .filter(|(key, _)| key.starts_with("wasted_") && key.ends_with("_tokens"));
    let judged: Vec<bool> = runs.iter().flat_map(|run| &run.pauses).filter_map(|pause| pause.cut_off).collect();
    let cut = judged.iter().filter(|cut| **cut).count() as f64;
    let worst =
        |ratio: fn(&Rested) -> Option<f64>| runs.iter().filter_map(|run| ratio(run.rested.as_ref()?)).reduce(f64::max);
    let rate = |part: f64, whole: f64| (whole > 0.0).then_some(part / whole);
    let all = [
        ("asked", Some(turns.len() as f64)),
        ("answered", Some(answered.len() as f64)),
        ("word_for_word", Some(count(|turn| turn.word_for_word))),
        ("cache_rate_requests", rate(hits, answered.len() as f64)),
        ("cache_rate_tokens", rate(read, read + written + other)),
        ("connections", Some(runs.iter().map(|run| run.connections as f64).sum())),
        ("handshakes_in_turns", Some(count(|turn| turn.opened_in_turn))),
        ("handshakes_waited_for", Some(count(|turn| turn.waited_for_handshake))),
        ("underruns", Some(sum("underruns"))),
        ("overruns", Some(sum("overruns"))),
        ("speculations", Some(sum("speculations"))),
        ("wasted_tokens", Some(wasted.filter_map(|(_, value)| value.as_f64()).sum())),
        ("pauses", Some(judged.len() as f64)),
        ("false_cut_offs", rate(cut, judged.len() as f64)),
        ("rest_first_to_tenth", worst(Rested::first_to_tenth)),
        ("rest_first_to_median", worst(Rested::first_to_median)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn notes(mode: Mode, runs: &[Run]) -> Vec<String> {
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for turn in runs.iter().flat_map(|run| &run.turns).filter(|turn| !turn.answered()) {
        *outcomes.entry(turn.outcome().to_owned()).or_default() += 1;
    }
    let mut notes: Vec<String> =
        outcomes.into_iter().map(|(outcome, n)| format!("not answered: {n} ({outcome})")).collect();
    let pauses: Vec<_> = runs.iter().flat_map(|run| &run.pauses).collect();
    let unheard = runs.iter().flat_map(|run| &run.stops).filter(|stop| stop.is_none()).count();
    if unheard > 0 {
        notes.push(format!("{unheard} stops left out: no answer was heard"));
    }
    for rested in runs.iter().filter_map(|run| run.rested.as_ref()) {
        let turns: Vec<String> =
            rested.total_ms.iter().map(|ms| ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms:.0}"))).collect();
        notes.push(format!("after the rest, with {:.0} MiB taken: {} ms", rested.pressed_mib, turns.join(", ")));
    }
    let unknown = pauses.iter().filter(|pause| pause.cut_off.is_none()).count();
    match mode {
        Mode::Hold => notes.push("no false cut-offs: in hold mode the finger ends the turn".to_owned()),
        Mode::Endpoint if pauses.is_empty() => {
            notes.push("no false cut-offs: the clips tell no word ends, or no pause was asked for".to_owned());
        }
        Mode::Endpoint if unknown > 0 => {
            notes.push(format!("{unknown} pauses left out: nothing was heard in the turn"))
        }
        Mode::Endpoint => {}
    }
    notes
}

/// What the bench adds to a record: how long the transcript came after the commit (0 where it was there), how long after
/// the acoustic end the first sound was ready to be played, the time from the request to sound less that for which sound was held, and Elio's own overhead, the part of the wait in which no
/// stage of the waterfall runs.
pub fn derive(at: &Instants, record: &Record) -> Map<String, Value> {
    let mut map = record.to_json();
    let transcript = at.commit.zip(at.stt_final).map(|(commit, last)| last.ms_since(commit).max(0.0));
    let ready = at.speech_end.zip(at.tts_first_pcm).map(|(end, ready)| ready.ms_since(end));
    let less_held = record.llm_to_sound_ms.map(|ms| ms - record.held_ms.unwrap_or(0.0));
    let own = record.total_perceived_ms.map(|total| {
        let mut stages: Vec<(f64, f64)> =
            waterfall::stages(at, record).iter().map(|s| (s.start_ms.max(0.0), s.end_ms.min(total))).collect();
        // Work before the commit runs beside the endpoint's silence: time is counted once.
        stages.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut covered, mut reached) = (0.0, 0.0);
        for (start, end) in stages {
            covered += (end - f64::max(start, reached)).max(0.0);
            reached = f64::max(reached, end);
        }
        total - covered
    });
    for (key, value) in DERIVED.into_iter().zip([transcript, ready, less_held, own]) {
        let rounded = value.map(|ms| (ms * 1e3).round() / 1e3);
        map.insert(key.to_owned(), rounded.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::super::turns::PauseTurn;
    use super::*;
    use crate::clock::Mono;
    use crate::latency::{Facts, Outcome};
    use std::time::Duration;

    fn instants() -> Instants {
        let at = |ms: u64| Some(Mono::from_nanos(1_000_000_000 + ms * 1_000_000));
        Instants {
            wake: at(0),
            speech_start: at(200),
            speech_end: at(1_000),
            commit: at(1_120),
            stt_final: at(1_165),
            llm_sent: at(1_167),
            llm_first_text: at(1_367),
            chunk_ready: at(1_400),
            tts_first_pcm: at(1_420),
            first_audible: at(1_440),
            ..Instants::default()
        }
    }

    fn record(at: &Instants) -> Record {
        let facts = Facts {
            stt_compute: Some(Duration::from_millis(40)),
            cache_read_tokens: Some(900),
            cache_write_tokens: Some(0),
            input_tokens: Some(100),
            wasted_output_tokens: 7,
            ..Facts::default()
        };
        Record::derive(at, facts, Outcome::Answered)
    }

    fn turn(perceived: f64) -> Turn {
        let mut record = derive(&instants(), &self::record(&instants()));
        record.insert("total_perceived_ms".into(), perceived.into());
        Turn { record, word_for_word: true, opened_in_turn: false, waited_for_handshake: false }
    }

    #[test]
    fn own_overhead_is_the_time_in_which_no_stage_runs() {
        // 1120 to 1125 before Whisper began, 1165 to 1167 before the request left.
        let map = derive(&instants(), &record(&instants()));
        assert_eq!((&map["own_overhead_ms"], &map["commit_to_transcript_ms"]), (&7.0.into(), &45.0.into()));
    }

    #[test]
    fn work_beside_the_endpoints_silence_is_not_counted_twice() {
        let early = Instants { commit: instants().first_audible.map(|at| at - Duration::from_millis(5)), ..instants() };
        let map = derive(&early, &record(&early));
        assert_eq!(map["own_overhead_ms"], 0.0);
        assert_eq!((&map["held_ms"], &map["commit_to_transcript_ms"]), (&15.0.into(), &0.0.into()));
        assert_eq!(map["llm_to_sound_less_held_ms"], 258.0);
    }

    #[test]
    fn a_percentile_is_a_measured_value() {
        let mut twenty: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!([50.0, 95.0, 99.0, 100.0].map(|p| percentile(&mut twenty, p)), [10.0, 19.0, 20.0, 20.0].map(Some));
        assert_eq!(percentile(&mut [], 50.0), None);
    }

    #[test]
    fn runs_give_the_median_of_their_percentiles_and_the_largest_maximum() {
        let run = |ms: &[f64]| Run {
            turns: ms.iter().map(|ms| turn(*ms)).collect(),
            stops: vec![Some(ms[0] / 10.0), None],
            connections: 1,
            ..Run::default()
        };
        let figures = of_mode(Mode::Hold, &[run(&[100.0, 200.0]), run(&[110.0, 900.0]), run(&[50.0, 210.0])]);
        let total = figures.stages["total_perceived_ms"];
        assert_eq!((total.n, total.p50, total.p95, total.max), (6, 100.0, 210.0, 900.0));
        assert_eq!(figures.counts["connections"], 3.0);
        assert_eq!((figures.counts["wasted_tokens"], figures.counts["cache_rate_tokens"]), (42.0, 0.9));
        assert!(!figures.stages.contains_key("speech_ms"));
        let stop = figures.stages["stop_ms"];
        assert_eq!((stop.n, stop.p50, stop.max), (3, 10.0, 11.0));
        assert!(figures.notes.iter().any(|note| note.starts_with("3 stops left out")), "{:?}", figures.notes);
    }

    #[test]
    fn a_turn_that_was_not_answered_is_noted_and_in_no_percentile() {
        let mut failed = turn(5_000.0);
        failed.record.insert("outcome".into(), "failed:offline".into());
        let pause = |cut_off| PauseTurn { pause_ms: 500.0, resumes_ms: 900.0, cut_off, outcome: "interrupted".into() };
        let pauses = vec![pause(Some(true)), pause(Some(false)), pause(None), pause(Some(false))];
        let figures = of_mode(Mode::Endpoint, &[Run { turns: vec![turn(100.0), failed], pauses, ..Run::default() }]);
        assert_eq!(figures.stages["total_perceived_ms"].max, 100.0);
        assert_eq!((figures.counts["asked"], figures.counts["answered"]), (2.0, 1.0));
        assert_eq!((figures.counts["pauses"], figures.counts["false_cut_offs"]), (3.0, 1.0 / 3.0));
        assert!(figures.notes.iter().any(|note| note.contains("failed:offline")), "{:?}", figures.notes);
        assert!(figures.notes.iter().any(|note| note.starts_with("1 pauses left out")), "{:?}", figures.notes);
    }

    #[test]
    fn every_count_is_described() {
        let counts = counts(&[Run {
            turns: vec![turn(1.0)],
            pauses: vec![PauseTurn { pause_ms: 1.0, resumes_ms: 1.0, cut_off: Some(true), outcome: String::new() }],
            rested: Some(Rested { total_ms: vec![Some(1.0); 10], pressed_mib: 0.0 }),
            ..Run::default()
        }]);
        let mut named: Vec<&str> = COUNTS.iter().map(|(name, _)| *name).collect();
        named.sort_unstable();
        assert_eq!(counts.keys().map(String::as_str).collect::<Vec<_>>(), named);
    }
}
