//! A report as a person reads it.

use std::fmt::Write;

use serde_json::Value;

use super::Report;
use super::figures::{COUNTS, Figure, ModeFigures, stage_names};
use super::idle::IDLE;
use super::pauses::PAUSE_MS;
use super::report::Curve;

/// Width of a stage's name.
pub(super) const NAME: usize = 28;

impl Report {
    /// The tables of all modes, the conditions and the curve.
    pub fn text(&self) -> String {
        let mut out = self.conditions_text();
        if let Some(proof) = &self.proof {
            out += &format!("{proof}\n");
        }
        if !self.idle.is_empty() {
            let of = |name: &str| self.idle.get(name).copied().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "\nidle: {:.2} % of one core, {:.1} MiB; {:.1} MiB more than the warm engines alone ({:.1})",
                of("idle_cpu_share") * 100.0,
                of("idle_mib"),
                of("idle_extra_mib"),
                of("engines_mib"),
            );
        }
        for (mode, figures) in &self.modes {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n{mode} mode\n{}", mode_text(figures));
        }
        if let Some(curve) = &self.curve {
            out += &curve_text(curve);
        }
        out
    }

    fn conditions_text(&self) -> String {
        let fact = |group: &str, name: &str| {
            let value = self.conditions.get(group).and_then(|group| group.get(name));
            match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.as_f64().unwrap_or_default().to_string(),
                _ => String::new(),
            }
        };
        let claude = match fact("claude", "live") {
            live if live.is_empty() => format!(
                "simulated Claude: first token after {} ms, {} tokens a second, network {} ms each way",
                fact("claude", "ttft_ms"),
                fact("claude", "tokens_per_second"),
                fact("claude", "net_delay_ms")
            ),
            live => format!("Claude at {live}"),
        };
        let load = |load: &[f64]| load.first().map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        format!(
            "{}, {} of {} cores, Linux {}; load {} before, {} after\nelio {} ({}); {} questions a run of {} clips, runs: {}\n{claude}\n",
            fact("machine", "cpu"),
            fact("machine", "cores_usable"),
            fact("machine", "cores"),
            fact("machine", "kernel"),
            load(&self.load[0]),
            load(&self.load[1]),
            fact("elio", "version"),
            fact("elio", "profile"),
            fact("bench", "requests"),
            fact("bench", "clips"),
            fact("bench", "runs"),
        )
    }
}

/// Stages in the record's order; those that this program does not know come last.
pub(super) fn in_order<'a, T>(names: impl Iterator<Item = (&'a String, T)>) -> Vec<(&'a String, T)> {
    let order = stage_names();
    let mut all: Vec<_> = names.collect();
    all.sort_by_key(|(name, _)| order.iter().position(|known| known == *name).unwrap_or(order.len()));
    all
}

fn mode_text(figures: &ModeFigures) -> String {
    let mut out = format!("  {:NAME$}{:>5}{:>10}{:>10}{:>10}{:>10}\n", "", "n", "P50", "P95", "P99", "max");
    for (name, Figure { n, p50, p95, p99, max }) in in_order(figures.stages.iter()) {
        let _ = writeln!(out, "  {name:NAME$}{n:>5}{p50:>10.1}{p95:>10.1}{p99:>10.1}{max:>10.1}");
    }
    let count = |name: &str| figures.counts.get(name).copied();
    let whole = |name: &str| count(name).unwrap_or(0.0);
    let share = |name: &str| count(name).map_or_else(|| "none".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let _ = writeln!(
        out,
        "  {} of {} answered, {} heard word for word\n  cache: {} of the requests, {} of the input tokens\n  \
         connections: {} opened; handshakes after a wake edge {}, of them waited for {}\n  \
         underruns {}, overruns {}, speculations {}, wasted tokens {}",
        whole("answered"),
        whole("asked"),
        whole("word_for_word"),
        share("cache_rate_requests"),
        share("cache_rate_tokens"),
        whole("connections"),
        whole("handshakes_in_turns"),
        whole("handshakes_waited_for"),
        whole("underruns"),
        whole("overruns"),
        whole("speculations"),
        whole("wasted_tokens"),
    );
    if count("false_cut_offs").is_some() {
        let (low, high) = PAUSE_MS;
        let _ = writeln!(
            out,
            "  false cut-offs: {} of {} pauses of {low} to {high} ms",
            share("false_cut_offs"),
            whole("pauses")
        );
    }
    if let (Some(tenth), Some(median)) = (count("rest_first_to_tenth"), count("rest_first_to_median")) {
        let _ =
            writeln!(out, "  after the rest: the first turn took {tenth:.2} of the tenth, {median:.2} of the median");
    }
    for note in &figures.notes {
        let _ = writeln!(out, "  {note}");
    }
    out
}

fn curve_text(curve: &Curve) -> String {
    let mut out = format!(
        "\nThe endpoint's waits, replayed: {} pauses and {} whole sentences heard on injected time by VAD, Whisper and \
         endpointer; no turn was run for it.\nThe sound is ready after {:.0} ms and audible {:.0} ms after that and the \
         endpoint, as measured with silence_min {} ms and silence {} ms.\nWith the words the wait is silence_min (silence \
         no shorter), else silence. False cut-offs, and the whole wait's P50 and P95 in ms.\n  {:>10}{:>26}{:>26}\n",
        curve.pauses,
        curve.sentences,
        curve.ready_ms,
        curve.rest_ms,
        curve.measured_ms[0],
        curve.measured_ms[1],
        "wait",
        "with the words",
        "silence alone"
    );
    for (words, alone) in curve.by_words.iter().zip(&curve.by_silence) {
        let _ = write!(out, "  {:>7} ms", words.wait_ms);
        for point in [words, alone] {
            let (p50, p95) = (curve.total_ms(point.endpoint_ms), curve.total_ms(point.endpoint_p95_ms));
            let _ = write!(out, "{:>10.1} %{p50:>7.0}{p95:>7.0}", point.false_cut_offs * 100.0);
        }
        out.push('\n');
    }
    out
}

/// What the counts mean, for the help.
pub fn counts_help() -> String {
    let lines = COUNTS.iter().chain(&IDLE).map(|(name, what)| format!("  {name:<22} {what}"));
    lines.collect::<Vec<_>>().join("\n")
}
