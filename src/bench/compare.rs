//! Two reports side by side: what moved, and what else was different.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Serialize;

use super::figures::ModeFigures;
use super::table::{NAME, in_order};
use super::{Mode, Report};

/// A change below this share, or below this many ms, is noise.
const NOISE: (f64, f64) = (0.05, 1.0);

/// One figure that both reports have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// Mode; none: of an idle speaker.
    pub mode: Option<Mode>,
    /// Stage or count.
    pub name: String,
    /// `p50`, `p95`; none for a count.
    pub stat: Option<&'static str>,
    /// Before.
    pub old: f64,
    /// Now.
    pub new: f64,
    /// Now over before; none where that was 0.
    pub ratio: Option<f64>,
}

/// The new report against an old one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// When the old one was made.
    pub with: String,
    /// The conditions that differ, one line each.
    pub differs: Vec<String>,
    /// What both have.
    pub moved: Vec<Moved>,
}

impl Comparison {
    /// Compares.
    pub fn new(old: &Report, new: &Report) -> Comparison {
        let mut moved = Vec::new();
        counts(None, &old.idle, &new.idle, &mut moved);
        for (mode, now) in &new.modes {
            if let Some(before) = old.modes.get(mode) {
                stages(*mode, before, now, &mut moved);
                counts(Some(*mode), &before.counts, &now.counts, &mut moved);
            }
        }
        Comparison { with: old.made.clone(), differs: differs(old, new), moved }
    }

    /// As a person reads it.
    pub fn text(&self) -> String {
        let mut out = format!("\nagainst the bench of {}\n", self.with);
        for line in &self.differs {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  other conditions: {line}");
        }
        let mut open = None;
        for one in &self.moved {
            if open != Some(one.mode) {
                let what = one.mode.map_or_else(|| "idle     ".to_owned(), |mode| format!("{mode} mode"));
                let _ = writeln!(out, "  {what} {:>width$}{:>12}", "before", "now", width = NAME + 6);
                open = Some(one.mode);
            }
            let label = one.stat.map_or_else(|| one.name.clone(), |stat| format!("{} {stat}", one.name));
            let ratio = one.ratio.map_or_else(String::new, |ratio| format!(" {ratio:.2}"));
            let _ = writeln!(
                out,
                "  {label:<width$}{:>12}{:>12}  {}{ratio}",
                number(one.old),
                number(one.new),
                one.arrow(),
                width = NAME + 6
            );
        }
        if self.moved.is_empty() {
            out += "  it has no figure that this bench has too\n";
        }
        out
    }
}

impl Moved {
    fn new(mode: Option<Mode>, name: &str, stat: Option<&'static str>, old: f64, new: f64) -> Moved {
        let ratio = (old != 0.0).then(|| new / old);
        Moved { mode, name: name.to_owned(), stat, old, new, ratio }
    }

    fn arrow(&self) -> &'static str {
        let by = self.new - self.old;
        let (share, least) = if self.stat.is_some() { NOISE } else { (0.0, 0.0) };
        match by {
            _ if by.abs() <= least || by.abs() <= share * self.old.abs() => "=",
            _ if by > 0.0 => "▲",
            _ => "▼",
        }
    }
}

fn stages(mode: Mode, before: &ModeFigures, now: &ModeFigures, moved: &mut Vec<Moved>) {
    for (name, new) in in_order(now.stages.iter()) {
        if let Some(old) = before.stages.get(name) {
            moved.push(Moved::new(Some(mode), name, Some("p50"), old.p50, new.p50));
            moved.push(Moved::new(Some(mode), name, Some("p95"), old.p95, new.p95));
        }
    }
}

type Counts = BTreeMap<String, f64>;

fn counts(mode: Option<Mode>, before: &Counts, now: &Counts, moved: &mut Vec<Moved>) {
    for (name, new) in now {
        if let Some(old) = before.get(name).filter(|old| *old != new) {
            moved.push(Moved::new(mode, name, None, *old, *new));
        }
    }
}

/// Each condition that is not the same in both.
fn differs(old: &Report, new: &Report) -> Vec<String> {
    let keys = |report: &Report| -> BTreeSet<(String, String)> {
        let of = |(group, facts): (&String, &BTreeMap<String, _>)| {
            facts.keys().map(|name| (group.clone(), name.clone())).collect::<Vec<_>>()
        };
        report.conditions.iter().flat_map(of).collect()
    };
    let value = |report: &Report, (group, name): &(String, String)| {
        let value = report.conditions.get(group).and_then(|group| group.get(name)).filter(|value| !value.is_null());
        value.map_or_else(|| "not set".to_owned(), ToString::to_string)
    };
    let all: BTreeSet<_> = keys(old).union(&keys(new)).cloned().collect();
    let changed = all.iter().map(|key| (key, value(old, key), value(new, key))).filter(|(_, old, new)| old != new);
    changed.map(|((group, name), old, new)| format!("{group} {name}: {old} → {new}")).collect()
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figure;

    fn report(cpu: &str, p50: f64, underruns: f64) -> Report {
        let mut hold = ModeFigures::default();
        hold.stages.insert("total_perceived_ms".into(), Figure { n: 9, p50, p95: 900.0, p99: 900.0, max: 900.0 });
        hold.counts.insert("underruns".into(), underruns);
        let mut report = Report { made: "yesterday".into(), ..Report::default() };
        report.modes.insert(Mode::Hold, hold);
        report.conditions.entry("machine".into()).or_default().insert("cpu".into(), cpu.into());
        report
    }

    #[test]
    fn what_moved_has_a_ratio_and_an_arrow_and_another_machine_is_named() {
        let comparison = Comparison::new(&report("old chip", 800.0, 0.0), &report("new chip", 400.0, 2.0));
        assert_eq!(comparison.differs, ["machine cpu: \"old chip\" → \"new chip\""]);
        let arrows: Vec<_> = comparison.moved.iter().map(|m| (m.stat, m.ratio, m.arrow())).collect();
        assert_eq!(arrows, [(Some("p50"), Some(0.5), "▼"), (Some("p95"), Some(1.0), "="), (None, None, "▲")]);
        let text = comparison.text();
        assert!(text.contains("▼ 0.50") && text.contains("other conditions: machine cpu"), "{text}");
    }

    #[test]
    fn what_is_within_the_noise_has_no_arrow_and_the_same_conditions_are_not_told() {
        let comparison = Comparison::new(&report("chip", 800.0, 0.0), &report("chip", 830.0, 0.0));
        assert!(comparison.differs.is_empty());
        assert_eq!(comparison.moved.len(), 2, "a count that did not move is left out");
        assert_eq!(comparison.moved[0].arrow(), "=");
    }

    #[test]
    fn a_mode_that_only_one_has_is_not_compared() {
        let mut old = report("chip", 1.0, 0.0);
        let hold = old.modes.remove(&Mode::Hold).unwrap();
        old.modes.insert(Mode::Endpoint, hold);
        let comparison = Comparison::new(&old, &report("chip", 1.0, 0.0));
        assert!(comparison.moved.is_empty() && comparison.text().contains("no figure"));
    }
}
