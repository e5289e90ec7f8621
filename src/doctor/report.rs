//! The findings for a person, and for a script.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{Examined, Verdict};

/// How many findings have a verdict.
pub fn count(examined: &[Examined], verdict: Verdict) -> usize {
    examined.iter().flat_map(|check| &check.findings).filter(|finding| finding.verdict == verdict).count()
}

/// A line for each finding, its mend below it; `colour`: for a terminal.
pub fn text(examined: &Examined, colour: bool) -> String {
    examined.findings.iter().fold(String::new(), |mut text, finding| {
        let style = if colour { style(finding.verdict) } else { Style::new() };
        let verdict = finding.verdict.as_str();
        let _ = writeln!(text, "{style}{verdict:<8}{style:#} {:<14} {}", examined.check, finding.finding);
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "{:<24}mend: {mend}", "");
        }
        text
    })
}

/// The last line: how many of each.
pub fn summary(examined: &[Examined]) -> String {
    let part = |verdict, one: &str, many: &str| {
        let count = count(examined, verdict);
        format!("{count} {}", if count == 1 { one } else { many })
    };
    format!(
        "{} ok, {}, {}, {} skipped\n",
        count(examined, Verdict::Ok),
        part(Verdict::Warning, "warning", "warnings"),
        part(Verdict::Fault, "fault", "faults"),
        count(examined, Verdict::Skipped)
    )
}

/// `{"version","ok","warnings","faults","skipped","checks":[{"check","ms","verdict","finding","mend","figures"}]}`,
/// one object for each finding.
pub fn document(examined: &[Examined]) -> Value {
    let checks: Vec<Value> = examined
        .iter()
        .flat_map(|check| {
            check.findings.iter().map(|finding| {
                let ms = super::finding::rounded(check.took.as_secs_f64() * 1e3, 1);
                json!({
                    "check": check.check, "verdict": finding.verdict, "finding": finding.finding,
                    "mend": finding.mend, "figures": finding.figures, "ms": ms,
                })
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ok": count(examined, Verdict::Ok),
        "warnings": count(examined, Verdict::Warning),
        "faults": count(examined, Verdict::Fault),
        "skipped": count(examined, Verdict::Skipped),
        "checks": checks,
    })
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => AnsiColor::Green.on_default(),
        Verdict::Skipped => AnsiColor::BrightBlack.on_default(),
        Verdict::Warning => AnsiColor::Yellow.on_default(),
        Verdict::Fault => AnsiColor::Red.on_default().bold(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::Finding;

    fn examined() -> Vec<Examined> {
        let check = |check, findings| Examined { check, findings, took: Duration::from_micros(1234) };
        vec![
            check("configuration", vec![Finding::ok("/etc/elio/elio.toml; 2 keys set")]),
            check(
                "microphone",
                vec![Finding::warning("-12.0 dBFS\nof noise", "turn its gain down").figure("rms_dbfs", -12.0)],
            ),
            check("key", vec![Finding::fault("no key", "put one there")]),
            check("loop", vec![Finding::skipped("no speaker")]),
        ]
    }

    #[test]
    fn a_person_reads_aligned_lines_with_their_mends() {
        let examined = examined();
        let text: String = examined.iter().map(|check| text(check, false)).collect();
        insta::assert_snapshot!(text + &summary(&examined));
        assert!(super::text(&examined[2], true).starts_with("\u{1b}["), "coloured on a terminal");
    }

    #[test]
    fn a_script_reads_one_document() {
        insta::assert_snapshot!(format!("{:#}", document(&examined())));
    }
}
