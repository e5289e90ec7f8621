//! `elio latency`: what the records of many turns come to.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use super::{CliError, Exit, Global, stdout};
use crate::latency::history::{
    self, History, HistoryError, JournalQuery, Percentiles, Period, Report, Row, Seen, Turn, Wanted,
};
use crate::latency::waterfall;

/// Arguments of `elio latency`.
#[derive(Debug, Args)]
#[command(
    after_help = "A file holds what `journalctl -o json` writes (other entries among it are passed over), or records \
    by themselves, one a line, as `journalctl -o cat` and the spool have them; those do not say when they were."
)]
pub struct LatencyArgs {
    /// Read a file instead of the journal, - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only turns from then on, as journalctl takes it: today, -24h, "2026-11-20 14:00", @1700000000
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only turns until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only turns of one boot of the journal, as journalctl takes it: 0 or none for this one, -1 for the one before
    #[arg(long, value_name = "BOOT", num_args = 0..=1, default_missing_value = "0", allow_negative_numbers = true)]
    #[arg(conflicts_with = "file")]
    boot: Option<String>,
    /// Only turns of one unit of the journal [default: of every elio on this machine]
    #[arg(long, value_name = "UNIT", conflicts_with = "file")]
    unit: Option<String>,
    /// Only turns that ended so: answered, interrupted, silent, failed or failed:KIND (may be repeated)
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Vec<String>,
    /// What has percentiles of its own, by this machine's time zone
    #[arg(long, value_enum, default_value_t = By::Day)]
    by: By,
    /// How many of the turns that kept a person waiting longest are shown with their waterfall
    #[arg(long, value_name = "N", default_value_t = 3)]
    worst: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Each hour in which there was a turn, and all turns
    Hour,
    /// Each day, and all turns
    Day,
    /// All turns alone
    All,
}

fn outcome(text: &str) -> Result<String, String> {
    match text {
        "answered" | "interrupted" | "silent" | "failed" => Ok(text.to_owned()),
        _ if text.strip_prefix("failed:").is_some_and(|kind| !kind.is_empty()) => Ok(text.to_owned()),
        _ => Err("a turn ends as answered, interrupted, silent, failed or failed:KIND".into()),
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> Self {
        let exit = match error {
            HistoryError::NoJournalctl | HistoryError::Closed => Exit::Unavailable,
            HistoryError::Journalctl(_) | HistoryError::File { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

/// Runs `elio latency`.
pub fn run(args: LatencyArgs, global: &Global) -> Result<(), CliError> {
    let mut shown = Ok(());
    stdout::write(|out| {
        let mut view = View {
            out,
            json: global.json,
            by: args.by,
            zone: TimeZone::system(),
            stages: history::stages(),
            rows: 0,
            held: None,
            written: Ok(()),
        };
        shown = show(&args, &mut view);
        view.written
    })?;
    shown
}

fn show(args: &LatencyArgs, view: &mut View<'_>) -> Result<(), CliError> {
    let time = |option, text: &Option<String>| text.as_deref().map(|text| time(option, text, &view.zone)).transpose();
    let by_us = args.file.is_some();
    let wanted = Wanted {
        period: match args.by {
            By::Hour => Some(Period::Hour),
            By::Day => Some(Period::Day),
            By::All => None,
        },
        zone: view.zone.clone(),
        worst: args.worst,
        outcomes: args.outcome.clone(),
        since: if by_us { time("since", &args.since)? } else { None },
        until: if by_us { time("until", &args.until)? } else { None },
    };
    let mut take_row = |row| view.keep(|view| view.row(row));
    let mut history = History::new(wanted, &mut take_row);
    match &args.file {
        Some(file) => history::read_file(file, &mut history)?,
        None => {
            let (since, until) = (args.since.clone(), args.until.clone());
            let query = JournalQuery { since, until, boot: args.boot.clone(), unit: args.unit.clone() };
            history::read_journal(&query, &mut history)?;
        }
    }
    let report = history.report();
    if report.all.turns == 0 {
        return Err(nothing(args, &report));
    }
    if view.keep(|view| view.end(&report)).is_break() {
        return Ok(());
    }
    for line in remarks(args, &report) {
        // Where standard error is closed, the figures are still worth having.
        let _ = writeln!(io::stderr(), "elio: {line}");
    }
    Ok(())
}

fn time(option: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, CliError> {
    let now = Timestamp::now().to_zoned(zone.clone());
    history::parse_time(text, &now).ok_or_else(|| {
        let text = format!("--{option} {text}: no time is written so; today, -24h and \"2026-11-20 14:00\" are");
        CliError::new(Exit::Usage, text)
    })
}

/// Why there is nothing to show, and the mend.
fn nothing(args: &LatencyArgs, report: &Report) -> CliError {
    let (lines, records) = (report.seen.lines, report.seen.records);
    let left_out = ["--since", "--until", "--boot", "--unit", "--outcome"];
    let given = [args.since.is_some(), args.until.is_some(), args.boot.is_some(), args.unit.is_some()];
    let given = given.into_iter().chain([!args.outcome.is_empty()]).zip(left_out);
    let given: Vec<&str> = given.filter_map(|(given, option)| given.then_some(option)).collect();
    let text = match &args.file {
        _ if records > 0 => format!("none of the {records} records is left by {}", given.join(" and ")),
        Some(file) if lines == 0 => format!("{} is empty: give what `journalctl -o json` writes", shown(file)),
        Some(file) => {
            format!("{}: no latency record in {lines} lines: give what `journalctl -o json` writes", shown(file))
        }
        None if history::journal_is_closed() => return HistoryError::Closed.into(),
        None if !given.is_empty() => {
            format!("the journal has no latency record that {} leaves: ask for more, or without", given.join(" and "))
        }
        None => "the journal has no latency record yet: each turn of `elio run` as a service leaves one; --file reads \
                 those of another machine, or the spool"
            .to_owned(),
    };
    CliError::new(Exit::Failed, text)
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".into() } else { file.display().to_string() }
}

/// What the reader of the figures must know, one line each.
fn remarks(args: &LatencyArgs, report: &Report) -> Vec<String> {
    let seen = &report.seen;
    let mut lines = Vec::new();
    if seen.damaged > 0 {
        lines.push(format!("{} of {} lines cannot be read and were passed over", seen.damaged, seen.lines));
    }
    if seen.undated > 0 {
        lines.push(format!("{} records do not say when they were and were left out", seen.undated));
    }
    if seen.replayed > 0 {
        lines.push(format!(
            "{} records were written again after a power cut: they stand at the time of the restart",
            seen.replayed
        ));
    }
    if seen.disordered > 0 {
        lines.push("the records are far from the order of time: a period can be in several parts".into());
    }
    if args.file.is_none() && history::journal_is_closed() {
        lines.push(format!("only the turns of this user's own journal are here: {}", HistoryError::Closed));
    }
    lines
}

/// Shows periods as they end, then all turns, as text or as one JSON document.
struct View<'a> {
    out: &'a mut dyn Write,
    json: bool,
    by: By,
    zone: TimeZone,
    stages: Vec<String>,
    /// Periods so far.
    rows: u64,
    /// The first one, as text: alone it says the same as all turns, and is not shown.
    held: Option<Row>,
    written: io::Result<()>,
}

impl View<'_> {
    /// Writes, unless it has failed before: a reader that has left ends the reading too.
    fn keep(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> ControlFlow<()> {
        if self.written.is_ok() {
            self.written = write(self);
        }
        if self.written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn row(&mut self, row: Row) -> io::Result<()> {
        self.rows += 1;
        match (self.json, self.rows) {
            (true, 1) => self.begin_json()?,
            (true, _) => write!(self.out, ",")?,
            (false, 1) => {
                self.held = Some(row);
                return Ok(());
            }
            (false, _) => {
                if let Some(first) = self.held.take() {
                    self.table(&self.title(&first), &first)?;
                }
            }
        }
        if self.json { write!(self.out, "{}", self.row_json(&row)) } else { self.table(&self.title(&row), &row) }
    }

    fn end(&mut self, report: &Report) -> io::Result<()> {
        if self.json { self.end_json(report) } else { self.end_text(report) }
    }

    fn local(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    fn title(&self, row: &Row) -> String {
        let Some(start) = row.start else { return "without a time".into() };
        // An hour that comes twice is told by its offset.
        let format = if self.by == By::Hour { "%F %H:00 %:z" } else { "%F" };
        self.local(start).strftime(format).to_string()
    }

    fn table(&mut self, title: &str, row: &Row) -> io::Result<()> {
        let outcomes: Vec<String> = row.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let noun = if row.turns == 1 { "turn" } else { "turns" };
        let out = &mut *self.out;
        writeln!(out, "{title}, {} {noun}: {}", row.turns, outcomes.join(", "))?;
        let width = self.stages.iter().map(String::len).max().unwrap_or_default();
        let [p50, p95, p99, max] = ["P50", "P95", "P99", "max"];
        writeln!(out, "  {:width$} {:>8} {p50:>10} {p95:>10} {p99:>10} {max:>10}", "ms", "turns")?;
        for (stage, percentiles) in self.stages.iter().zip(&row.stages) {
            if let Some(Percentiles { count, p50, p95, p99, max }) = percentiles {
                writeln!(out, "  {stage:width$} {count:>8} {p50:>10.1} {p95:>10.1} {p99:>10.1} {max:>10.1}")?;
            }
        }
        writeln!(out)
    }

    fn end_text(&mut self, report: &Report) -> io::Result<()> {
        let minute = |time: Option<Timestamp>| time.map(|time| self.local(time).strftime("%F %H:%M").to_string());
        let title = match minute(report.all.first).zip(minute(report.all.last)) {
            Some((first, last)) => format!("{first} to {last} ({})", self.zone.iana_name().unwrap_or("local time")),
            None => "without a time".into(),
        };
        self.table(&title, &report.all)?;
        if !report.worst.is_empty() {
            writeln!(self.out, "The longest waits:")?;
        }
        for turn in &report.worst {
            let time = turn.time.map(|time| self.local(time).strftime("%F %T %:z, ").to_string()).unwrap_or_default();
            writeln!(self.out, "\n  {time}turn {}: {}, {}", turn.turn_id, turn.outcome, turn.source)?;
            let total = report.ms(turn, "total_perceived_ms").unwrap_or_default();
            self.out.write_all(waterfall::text(&report.waterfall(turn), total, 2).as_bytes())?;
        }
        Ok(())
    }

    fn begin_json(&mut self) -> io::Result<()> {
        let by = self.by.to_possible_value().map(|by| by.get_name().to_owned());
        write!(self.out, "{{\"by\":{},\"time_zone\":{},\"periods\":[", json!(by), json!(self.zone.iana_name()))
    }

    fn end_json(&mut self, report: &Report) -> io::Result<()> {
        if self.rows == 0 {
            self.begin_json()?;
        }
        let worst: Vec<Value> = report.worst.iter().map(|turn| self.worst_json(report, turn)).collect();
        write!(self.out, "],\"all\":{},\"worst\":{}", self.row_json(&report.all), Value::from(worst))?;
        let Seen { lines, damaged, undated, replayed, .. } = report.seen;
        writeln!(self.out, ",\"lines\":{lines},\"damaged\":{damaged},\"undated\":{undated},\"replayed\":{replayed}}}")
    }

    fn row_json(&self, row: &Row) -> Value {
        let stages = self.stages.iter().cloned().zip(row.stages.iter().map(|percentiles| json!(percentiles)));
        json!({
            "start": self.time_json(row.start),
            "first": self.time_json(row.first),
            "last": self.time_json(row.last),
            "turns": row.turns,
            "outcomes": Map::from_iter(row.outcomes.iter().map(|(outcome, count)| (outcome.clone(), json!(count)))),
            "stages": Map::from_iter(stages),
        })
    }

    fn worst_json(&self, report: &Report, turn: &Turn) -> Value {
        let stages = self.stages.iter().cloned().zip(turn.ms.iter().map(|ms| json!(ms)));
        json!({
            "time": self.time_json(turn.time),
            "turn_id": turn.turn_id,
            "outcome": turn.outcome,
            "source": turn.source,
            "stages": Map::from_iter(stages),
            "waterfall": report.waterfall(turn),
        })
    }

    fn time_json(&self, time: Option<Timestamp>) -> Value {
        time.map(|time| self.local(time).strftime("%FT%T%.3f%:z").to_string()).into()
    }
}
