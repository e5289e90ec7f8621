//! `--require`: a goal that a bench must meet, such as `endpoint.total_perceived_ms.p95<=800`.

use std::fmt;

use super::figures::{COUNTS, STATS, stage_names};
use super::idle::IDLE;
use super::{BenchError, Mode, Report};

const FORMAT: &str = "write [hold.|endpoint.]STAGE.p50|p95|p99|max or [hold.|endpoint.]COUNT, one of <= < >= > ==, and a \
                      number, such as total_perceived_ms.p95<=800";

/// What is required of one figure, in one mode or in each that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    text: String,
    mode: Option<Mode>,
    name: String,
    /// A percentile of a stage; none: a count.
    stat: Option<&'static str>,
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
}

impl Relation {
    /// The longer ones first, so that `<=` is not taken for `<`.
    const ALL: [(&str, Relation); 5] = [
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("==", Relation::Equal),
        ("<", Relation::Below),
        (">", Relation::Above),
    ];

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Relation::AtMost => value <= bound,
            Relation::Below => value < bound,
            Relation::AtLeast => value >= bound,
            Relation::Above => value > bound,
            Relation::Equal => value == bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Goal {
    /// Reads a goal; a name that no figure has is refused here, not after minutes of measuring.
    ///
    /// # Errors
    /// [`BenchError::Goal`]
    pub fn read(text: &str) -> Result<Goal, BenchError> {
        let fault = |fault: String| BenchError::Goal { text: text.to_owned(), fault };
        let relation = Relation::ALL.iter().find_map(|(sign, relation)| Some((text.split_once(sign)?, *relation)));
        let ((what, bound), relation) = relation.ok_or_else(|| fault(FORMAT.to_owned()))?;
        let bound: f64 = bound.trim().parse().map_err(|_| fault(format!("`{}` is no number", bound.trim())))?;
        let what = what.trim();
        let of = |mode: Mode| what.strip_prefix(&format!("{mode}.")).map(|rest| (Some(mode), rest));
        let (mode, what) = of(Mode::Hold).or_else(|| of(Mode::Endpoint)).unwrap_or((None, what));
        let goal =
            |name: &str, stat| Goal { text: text.to_owned(), mode, name: name.to_owned(), stat, relation, bound };
        let idle = mode.is_none() && IDLE.iter().any(|(name, _)| *name == what);
        if idle || COUNTS.iter().any(|(name, _)| *name == what) {
            return Ok(goal(what, None));
        }
        let stages = stage_names();
        let (name, stat) = what.split_once('.').unwrap_or((what, ""));
        if !stages.iter().any(|stage| stage == name) {
            let counts = COUNTS.iter().chain(&IDLE).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(fault(format!(
                "no figure is called `{name}`; stages: {}; counts: {counts}",
                stages.join(", ")
            )));
        }
        match STATS.iter().find(|known| **known == stat) {
            Some(stat) => Ok(goal(name, Some(stat))),
            None => Err(fault(format!("`{stat}` is no percentile of {name}; there are {}", STATS.join(", ")))),
        }
    }

    /// What keeps a report from meeting it: one line for each mode that does not. A figure that is not there is not
    /// met either.
    pub fn missed(&self, report: &Report) -> Vec<String> {
        if IDLE.iter().any(|(name, _)| *name == self.name) {
            return match report.idle.get(&self.name) {
                Some(value) if self.relation.holds(*value, self.bound) => Vec::new(),
                Some(value) => vec![format!("{self} is not met: it is {}", (value * 1e3).round() / 1e3)],
                None => vec![format!("{self} is not met: it was not measured; ask for it by --idle")],
            };
        }
        let modes = report.modes.iter().filter(|(mode, _)| self.mode.is_none_or(|wanted| wanted == **mode));
        let misses = modes.filter_map(|(mode, figures)| {
            let value = match self.stat {
                Some(stat) => figures.stages.get(&self.name).and_then(|figure| figure.stat(stat)),
                None => figures.counts.get(&self.name).copied(),
            };
            match value {
                Some(value) if self.relation.holds(value, self.bound) => None,
                Some(value) => Some(format!("{self} is not met: in {mode} mode it is {}", (value * 1e3).round() / 1e3)),
                None => {
                    Some(format!("{self} is not met: {mode} mode has no such figure ({})", figures.notes.join("; ")))
                }
            }
        });
        let misses: Vec<String> = misses.collect();
        match self.mode {
            Some(mode) if !report.modes.contains_key(&mode) => {
                vec![format!("{self} is not met: {mode} mode was not measured")]
            }
            _ if report.modes.is_empty() => vec![format!("{self} is not met: no turn was measured")],
            _ => misses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{Figure, ModeFigures};

    fn report() -> Report {
        let mut hold = ModeFigures::default();
        hold.stages
            .insert("total_perceived_ms".into(), Figure { n: 20, p50: 500.0, p95: 801.5, p99: 900.0, max: 950.0 });
        hold.counts.insert("underruns".into(), 0.0);
        hold.notes.push("no false cut-offs: because".into());
        let mut report = Report::default();
        report.modes.insert(Mode::Hold, hold);
        report.idle.insert("idle_extra_mib".into(), 41.0);
        report
    }

    fn missed(text: &str) -> Vec<String> {
        Goal::read(text).unwrap().missed(&report())
    }

    #[test]
    fn a_goal_is_met_or_says_by_what_it_is_missed() {
        assert!(missed("total_perceived_ms.p50 <= 500").is_empty());
        assert!(missed("hold.underruns==0").is_empty());
        assert!(missed("hold.total_perceived_ms.max < 950.5").is_empty());
        let lines = missed("total_perceived_ms.p95<=800");
        assert_eq!(lines, ["total_perceived_ms.p95<=800 is not met: in hold mode it is 801.5"]);
        assert_eq!(missed("underruns>0").len(), 1);
        assert_eq!(missed("idle_extra_mib<=40"), ["idle_extra_mib<=40 is not met: it is 41"]);
        assert!(missed("idle_extra_mib<=42").is_empty());
    }

    #[test]
    fn a_figure_that_is_not_there_is_not_met() {
        assert!(missed("false_cut_offs<=0.05")[0].contains("because"));
        assert!(missed("endpoint.underruns==0")[0].contains("was not measured"));
        assert!(missed("idle_cpu_share<=0.02")[0].contains("--idle"));
        let idle_alone = Report::default();
        assert!(Goal::read("underruns==0").unwrap().missed(&idle_alone)[0].contains("no turn was measured"));
        assert!(missed("stop_ms.p99<=60")[0].contains("no such figure"));
    }

    #[test]
    fn what_is_no_goal_is_refused_with_the_mend() {
        for (text, word) in [
            ("total_perceived_ms.p95", "such as"),
            ("total_perceived_ms.p95<=fast", "`fast` is no number"),
            ("total_perceived_ms<=800", "p95"),
            ("total_perceived_ms.p98<=800", "`p98` is no percentile"),
            ("total.p95<=800", "total_perceived_ms"),
        ] {
            let error = Goal::read(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(word) && !error.contains('\n'), "{error}");
        }
    }
}
