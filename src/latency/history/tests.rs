//! Histories of lines that are made here.

use serde_json::json;

use super::*;

fn wanted(period: Option<Period>, zone: &str) -> Wanted {
    let zone = TimeZone::get(zone).unwrap();
    Wanted { period, zone, worst: 3, outcomes: Vec::new(), since: None, until: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An entry of `journalctl -o json`.
fn entry(time: &str, id: usize, outcome: &str, total: Option<f64>) -> String {
    let message = json!({"total_perceived_ms": total, "turn_id": id.to_string(), "outcome": outcome}).to_string();
    json!({"__REALTIME_TIMESTAMP": at(time).as_microsecond().to_string(), "MESSAGE": message}).to_string() + "\n"
}

fn report(wanted: Wanted, lines: &[u8]) -> (Vec<Row>, Report) {
    let mut rows = Vec::new();
    let mut take = |row| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    let mut history = History::new(wanted, &mut take);
    history.read(&mut &*lines).unwrap();
    let report = history.report();
    (rows, report)
}

/// The beginning of each period, and its turns.
fn periods(period: Period, zone: &str, lines: &str) -> Vec<(String, u64)> {
    let (rows, _) = report(wanted(Some(period), zone), lines.as_bytes());
    rows.iter().map(|row| (row.start.map_or("none".into(), |start| start.to_string()), row.turns)).collect()
}

#[test]
fn hours_begin_where_the_clock_on_the_wall_says() {
    let times = ["2026-11-20T12:29:59.999999Z", "2026-11-20T12:30:00Z", "2026-11-20T13:29:59Z", "2026-11-20T13:30:00Z"];
    let lines: String = times.iter().map(|time| entry(time, 1, "answered", None)).collect();
    let expected = [("2026-11-20T11:30:00Z", 1), ("2026-11-20T12:30:00Z", 2), ("2026-11-20T13:30:00Z", 1)];
    assert_eq!(periods(Period::Hour, "Asia/Kolkata", &lines), expected.map(|(start, turns)| (start.to_owned(), turns)));
}

#[test]
fn the_hour_that_comes_twice_is_two_and_the_day_of_it_is_one() {
    // In Paris 03:00 became 02:00 on 2026-10-25 at 01:00 UTC.
    let times = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
    let lines: String = times.iter().map(|time| entry(time, 1, "answered", None)).collect();
    let twice = [("2026-10-25T00:00:00Z".to_owned(), 1), ("2026-10-25T01:00:00Z".to_owned(), 1)];
    assert_eq!(periods(Period::Hour, "Europe/Paris", &lines)[2..], twice);
    let expected = [("2026-10-23T22:00:00Z".to_owned(), 1), ("2026-10-24T22:00:00Z".to_owned(), 3)];
    assert_eq!(periods(Period::Day, "Europe/Paris", &lines), expected);
}

#[test]
fn before_1970_an_hour_still_holds_its_own_time() {
    // A board without a battery for its clock.
    let lines = entry("1969-12-31T23:59:59.5Z", 1, "answered", None);
    assert_eq!(periods(Period::Hour, "UTC", &lines), [("1969-12-31T23:00:00Z".to_owned(), 1)]);
}

#[test]
fn a_little_disorder_does_no_harm_and_much_of_it_is_told_and_loses_nothing() {
    let day = |day: &usize| entry(&format!("2026-11-{day:02}T12:00:00Z"), *day, "answered", Some(*day as f64));
    let read = |days: &[usize]| {
        let lines: String = days.iter().map(day).collect();
        let (rows, report) = report(wanted(Some(Period::Day), "UTC"), lines.as_bytes());
        assert_eq!(report.all.turns, days.len() as u64);
        let ends = [1, 8].map(|day| Some(at(&format!("2026-11-{day:02}T12:00:00Z"))));
        assert_eq!([report.all.first, report.all.last], ends);
        (rows.iter().map(|row| row.turns).collect::<Vec<_>>(), report.seen.disordered)
    };
    assert_eq!(read(&[2, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8]), (vec![1, 3, 2, 1, 1, 1, 1, 1], 0));
    assert_eq!(read(&[1, 8, 7]), (vec![1, 1, 1], 0));
    assert_eq!(read(&[1, 2, 3, 4, 5, 6, 7, 8, 2, 2]), (vec![1, 1, 1, 1, 1, 2, 1, 1, 1], 1));
}

#[test]
fn who_takes_the_rows_may_stop_the_reading() {
    let lines: String =
        (1..=20).map(|day| entry(&format!("2026-11-{day:02}T12:00:00Z"), day, "answered", None)).collect();
    let mut rows = 0;
    let mut take = |_| {
        rows += 1;
        ControlFlow::Break(())
    };
    let mut history = History::new(wanted(Some(Period::Day), "UTC"), &mut take);
    history.read(&mut lines.as_bytes()).unwrap();
    assert!(history.stopped());
    assert!(history.report().seen.lines < 20);
    assert_eq!(rows, 1);
}

#[test]
fn a_stage_counts_only_the_turns_in_which_it_happened_and_outcomes_count_all() {
    let time = "2026-11-20T12:00:00Z";
    let lines = entry(time, 1, "answered", Some(900.0))
        + &entry(time, 2, "silent", None)
        + &entry(time, 3, "failed:offline", None)
        + &entry(time, 4, "answered", Some(1_100.0));
    let (rows, Report { all, .. }) = report(wanted(None, "UTC"), lines.as_bytes());
    assert!(rows.is_empty());
    let outcomes = [("answered".to_owned(), 2), ("failed:offline".to_owned(), 1), ("silent".to_owned(), 1)];
    assert_eq!((all.turns, all.outcomes), (4, outcomes.to_vec()));
    let total = all.stages.iter().flatten().collect::<Vec<_>>();
    assert_eq!(total, [&Percentiles { count: 2, p50: 900.0, p95: 1_100.0, p99: 1_100.0, max: 1_100.0 }]);
}

#[test]
fn the_worst_are_the_longest_waits_the_earlier_of_two_equals_first() {
    let waits = [5.0, 9.0, 7.0, 9.0, 1.0, 8.0];
    let time = "2026-11-20T12:00:00Z";
    let lines: String = (0..).zip(waits).map(|(id, ms)| entry(time, id, "answered", Some(ms))).collect();
    let ids = |worst: usize| {
        let (_, report) = report(Wanted { worst, ..wanted(None, "UTC") }, lines.as_bytes());
        report.worst.into_iter().map(|turn| turn.turn_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(3), ["1", "3", "5"]);
    assert_eq!(ids(9), ["1", "3", "5", "2", "0", "4"]);
    assert!(ids(0).is_empty());
}

#[test]
fn only_what_is_wanted_counts() {
    let lines = entry("2026-11-20T12:00:00Z", 1, "answered", Some(1.0))
        + &entry("2026-11-20T13:00:00Z", 2, "failed:offline", None)
        + &entry("2026-11-20T14:00:00Z", 3, "failed:key", None)
        + "{\"turn_id\":\"4\",\"outcome\":\"answered\"}\n";
    let turns = |wanted: Wanted| report(wanted, lines.as_bytes()).1.all.turns;
    let outcome = |outcome: &str| turns(Wanted { outcomes: vec![outcome.into()], ..wanted(None, "UTC") });
    assert_eq!([outcome("failed"), outcome("failed:key"), outcome("answered"), outcome("silent")], [2, 1, 2, 0]);
    let since = Wanted { since: Some(at("2026-11-20T13:00:00Z")), ..wanted(None, "UTC") };
    assert_eq!(turns(since.clone()), 2);
    assert_eq!(turns(Wanted { until: since.since, ..since.clone() }), 1, "both ends count");
    assert_eq!(report(since, lines.as_bytes()).1.seen, Seen { lines: 4, records: 4, undated: 1, ..Seen::default() });
}

#[test]
fn a_line_without_end_is_one_damaged_line_and_the_next_is_read() {
    let mut lines = vec![b'x'; 3 * LONGEST_LINE as usize];
    lines.extend(b"\n\n  \n");
    lines.extend(entry("2026-11-20T12:00:00Z", 1, "answered", None).trim_end().as_bytes());
    let (_, report) = report(wanted(None, "UTC"), &lines);
    assert_eq!(report.seen, Seen { lines: 2, damaged: 1, records: 1, ..Seen::default() });
}
