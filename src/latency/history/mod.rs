//! What many records come to: the percentiles of every stage by hour or day, how the turns ended, and the worst of them.
//!
//! Records are read once, as they come, and let go, and so are the hours and days that are over: a history takes the same
//! memory however long it is.

mod percentiles;
mod source;
mod turn;
mod when;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use percentiles::Distribution;
pub use percentiles::Percentiles;
pub use source::{HistoryError, JournalQuery, journal_is_closed, read_file, read_journal};
use turn::Line;
pub use turn::{Turn, stages};
pub use when::parse as parse_time;

/// Bytes of the longest line that is read. An entry of the journal with all its fields has some 4 KiB.
const LONGEST_LINE: u64 = 1 << 20;

/// Hours or days that are open at a time. One is closed when so many others have had records since: records come in
/// order of time, but for a clock that was set or files that were put together.
const OPEN: usize = 4;

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour of the clock on the wall.
    Hour,
    /// From midnight to midnight, as the clock on the wall has it: 23 hours once a year.
    Day,
}

/// What is wanted of the records.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The periods that have percentiles of their own; none: all records together.
    pub period: Option<Period>,
    /// Where those periods begin.
    pub zone: TimeZone,
    /// How many of the turns with the longest `total_perceived_ms` are kept.
    pub worst: usize,
    /// Only turns that ended so (`failed` stands for all kinds); empty: all turns.
    pub outcomes: Vec<String>,
    /// Only turns from then on.
    pub since: Option<Timestamp>,
    /// Only turns until then.
    pub until: Option<Timestamp>,
}

/// Reads records and counts them.
pub struct History<'a> {
    wanted: Wanted,
    stages: Vec<String>,
    /// The place of `total_perceived_ms` in `stages`.
    total: Option<usize>,
    all: Summary,
    /// The period that had a record last is the last one.
    open: Vec<(Option<Timestamp>, Summary)>,
    take_row: &'a mut dyn FnMut(Row) -> ControlFlow<()>,
    /// The last period that was closed.
    closed: Option<Timestamp>,
    stopped: bool,
    worst: Vec<Turn>,
    seen: Seen,
}

/// Counts of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that are no JSON object or no whole record, or longer than any entry: passed over.
    pub damaged: u64,
    /// Records, wanted or not.
    pub records: u64,
    /// Records left out because they have no time, where one was asked for.
    pub undated: u64,
    /// Wanted records that were written again after a power cut: they count in the period of the restart.
    pub replayed: u64,
    /// Rows that do not come after the one before them: records so far from the order of time that a period is in
    /// several rows.
    pub disordered: u64,
}

/// The turns of one period, or all.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its beginning; none for all turns, and for records that do not say when they were.
    pub start: Option<Timestamp>,
    /// The first turn.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
    /// Turns.
    pub turns: u64,
    /// Turns by outcome.
    pub outcomes: Vec<(String, u64)>,
    /// Percentiles in the order of [`Report::stages`]; none where the stage never happened.
    pub stages: Vec<Option<Percentiles>>,
}

/// What all records come to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The names of the stages, in the record's order.
    pub stages: Vec<String>,
    /// All turns.
    pub all: Row,
    /// The turns that kept a person waiting longest, the longest first.
    pub worst: Vec<Turn>,
    /// What was read.
    pub seen: Seen,
}

impl<'a> History<'a> {
    /// Nothing read yet. `take_row` is given each period that had turns when it is over, those without a time among
    /// them, in the order in which they end, and may stop the reading.
    pub fn new(wanted: Wanted, take_row: &'a mut dyn FnMut(Row) -> ControlFlow<()>) -> Self {
        let stages = stages();
        Self {
            total: stages.iter().position(|name| name == "total_perceived_ms"),
            all: Summary::new(stages.len()),
            open: Vec::new(),
            take_row,
            closed: None,
            stopped: false,
            worst: Vec::new(),
            seen: Seen::default(),
            wanted,
            stages,
        }
    }

    /// Counts what the lines of `input` hold: entries of `journalctl -o json`, or records by themselves.
    ///
    /// # Errors
    /// `input` cannot be read; what was read before it counts.
    pub fn read(&mut self, input: &mut impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while !self.stopped {
            line.clear();
            let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            let too_long = read as u64 == LONGEST_LINE && !line.ends_with(b"\n");
            if too_long {
                input.skip_until(b'\n')?;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.seen.lines += 1;
            match if too_long { Line::Damaged } else { Turn::read(text, &self.stages) } {
                Line::Turn(turn) => self.count(turn),
                Line::Other => {}
                Line::Damaged => self.seen.damaged += 1,
            }
        }
        Ok(())
    }

    /// Whoever takes the rows wants no more.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The periods that are still open end; gives what all come to.
    pub fn report(mut self) -> Report {
        let mut open = std::mem::take(&mut self.open);
        open.sort_by_key(|(start, _)| *start);
        for (start, summary) in open {
            self.close(start, summary);
        }
        Report { stages: self.stages, all: self.all.close(None), worst: self.worst, seen: self.seen }
    }

    fn count(&mut self, turn: Turn) {
        self.seen.records += 1;
        if (self.wanted.since.is_some() || self.wanted.until.is_some()) && turn.time.is_none() {
            self.seen.undated += 1;
            return;
        }
        let early = self.wanted.since.is_some_and(|since| turn.time < Some(since));
        let late = self.wanted.until.is_some_and(|until| turn.time > Some(until));
        if early || late || !self.wanted.has_outcome(&turn.outcome) {
            return;
        }
        self.seen.replayed += u64::from(turn.replayed);
        self.all.count(&turn);
        if let Some(period) = self.wanted.period {
            let start = turn.time.and_then(|time| period.start(time, &self.wanted.zone));
            self.summary_of(start).count(&turn);
        }
        self.keep_if_among_the_worst(turn);
    }

    fn summary_of(&mut self, start: Option<Timestamp>) -> &mut Summary {
        match self.open.iter().position(|(open, _)| *open == start) {
            Some(at) => self.open[at..].rotate_left(1),
            None => {
                if self.open.len() == OPEN {
                    let (start, summary) = self.open.remove(0);
                    self.close(start, summary);
                }
                self.open.push((start, Summary::new(self.stages.len())));
            }
        }
        let last = self.open.len() - 1;
        &mut self.open[last].1
    }

    fn close(&mut self, start: Option<Timestamp>, summary: Summary) {
        if start.is_some() {
            self.seen.disordered += u64::from(start <= self.closed);
            self.closed = start;
        }
        self.stopped = self.stopped || (self.take_row)(summary.close(start)).is_break();
    }

    fn keep_if_among_the_worst(&mut self, turn: Turn) {
        let Some(total) = turn.stage(self.total) else { return };
        let place = self.worst.partition_point(|worse| worse.stage(self.total) >= Some(total));
        if place < self.wanted.worst {
            self.worst.truncate(self.wanted.worst - 1);
            self.worst.insert(place, turn);
        }
    }
}

impl Report {
    /// The time of `stage` in a turn.
    pub fn ms(&self, turn: &Turn, stage: &str) -> Option<f64> {
        turn.stage(self.stages.iter().position(|name| name == stage))
    }

    /// The waterfall of a turn.
    pub fn waterfall(&self, turn: &Turn) -> Vec<super::waterfall::Stage> {
        turn.record(&self.stages).map_or_else(Vec::new, |record| super::waterfall::stages_of_record(&record))
    }
}

impl Wanted {
    fn has_outcome(&self, outcome: &str) -> bool {
        let kind = outcome.split(':').next();
        self.outcomes.is_empty()
            || self.outcomes.iter().any(|wanted| wanted == outcome || Some(wanted.as_str()) == kind)
    }
}

impl Period {
    /// The beginning of the period that `time` lies in; none beyond the calendar's end.
    fn start(self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Period::Day => Some(time.to_zoned(zone.clone()).start_of_day().ok()?.timestamp()),
            Period::Hour => {
                // In some places the wall's hours do not begin with those of UTC; and where clocks are set back, two
                // hours have the same name and are two.
                let second = time.as_microsecond().div_euclid(1_000_000);
                let into = (second + i64::from(zone.to_offset(time).seconds())).rem_euclid(3_600);
                Timestamp::from_second(second - into).ok()
            }
        }
    }
}

/// The turns of a period that is not over.
#[derive(Debug)]
struct Summary {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    turns: u64,
    outcomes: BTreeMap<String, u64>,
    stages: Vec<Distribution>,
}

impl Summary {
    fn new(stages: usize) -> Self {
        let stages = std::iter::repeat_with(Distribution::default).take(stages).collect();
        Self { first: None, last: None, turns: 0, outcomes: BTreeMap::new(), stages }
    }

    fn count(&mut self, turn: &Turn) {
        self.turns += 1;
        self.first = self.first.into_iter().chain(turn.time).min();
        self.last = self.last.max(turn.time);
        match self.outcomes.get_mut(&turn.outcome) {
            Some(count) => *count += 1,
            None => {
                self.outcomes.insert(turn.outcome.clone(), 1);
            }
        }
        for (distribution, ms) in self.stages.iter_mut().zip(&turn.ms) {
            if let Some(ms) = ms {
                distribution.add(*ms);
            }
        }
    }

    fn close(self, start: Option<Timestamp>) -> Row {
        Row {
            start,
            first: self.first,
            last: self.last,
            turns: self.turns,
            outcomes: self.outcomes.into_iter().collect(),
            stages: self.stages.into_iter().map(Distribution::percentiles).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
