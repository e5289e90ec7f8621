//! The waterfall of a turn: which stage took which part of the wait, as text for a terminal and as SVG for a page.

use std::fmt::Write;

use serde::Serialize;

use super::record::round;
use super::{Instants, Record};
use crate::clock::Mono;

/// Columns of the bars in a terminal.
const COLUMNS: usize = 56;

/// One stage: its name and its place after the end of speech, in milliseconds (before it where negative).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Name.
    pub name: &'static str,
    /// Begin.
    pub start_ms: f64,
    /// End.
    pub end_ms: f64,
}

impl Stage {
    /// Length in milliseconds.
    pub fn ms(&self) -> f64 {
        self.end_ms - self.start_ms
    }
}

/// The stages between the end of speech and the first audible sample, in order; those that did not happen are missing.
pub fn stages(at: &Instants, record: &Record) -> Vec<Stage> {
    let Some(zero) = at.speech_end else { return Vec::new() };
    let hearing_from = at.stt_final.zip(record.stt_compute_ms).map(|(end, compute)| end.ms_since(zero) - compute);
    let since = |instant: Option<Mono>| instant.map(|instant| instant.ms_since(zero));
    let (ready, commit) = (since(at.tts_first_pcm), since(at.commit));
    let held = commit.filter(|commit| ready.is_some_and(|ready| *commit > ready));
    happened([
        ("endpoint", Some(0.0), commit),
        ("hearing", hearing_from, since(at.stt_final)),
        ("first token", since(at.llm_sent), since(at.llm_first_text)),
        ("first chunk", since(at.llm_first_text), since(at.chunk_ready)),
        ("voice", since(at.chunk_ready), since(at.tts_first_pcm)),
        ("held", ready, held),
        ("sound out", held.or(ready), since(at.first_audible)),
    ])
}

/// The same from a record alone, whose instants are gone: a turn that was not heard has only its beginning.
pub fn stages_of_record(record: &Record) -> Vec<Stage> {
    let after = |start: Option<f64>, ms: Option<f64>| Some(round(start? + ms?));
    let llm_sent = after(record.total_perceived_ms, record.llm_to_sound_ms.map(|ms| -ms));
    let llm_first_text = after(llm_sent, record.llm_ttft_ms);
    let chunk_ready = after(llm_first_text, record.first_chunk_wait_ms);
    let tts_first_pcm = after(chunk_ready, record.tts_ttfb_ms);
    let held = after(tts_first_pcm, record.held_ms.filter(|held| *held > 0.0));
    happened([
        ("endpoint", Some(0.0), record.endpoint_ms),
        ("hearing", after(record.stt_ms, record.stt_compute_ms.map(|ms| -ms)), record.stt_ms),
        ("first token", llm_sent, llm_first_text),
        ("first chunk", llm_first_text, chunk_ready),
        ("voice", chunk_ready, tts_first_pcm),
        ("held", tts_first_pcm, held),
        ("sound out", held.or(tts_first_pcm), after(tts_first_pcm, record.audio_out_ms)),
    ])
}

fn happened<const N: usize>(stages: [(&'static str, Option<f64>, Option<f64>); N]) -> Vec<Stage> {
    stages.into_iter().filter_map(|(name, start, end)| Some(Stage { name, start_ms: start?, end_ms: end? })).collect()
}

/// The waterfall as lines of text, `indent` spaces before each.
pub fn text(stages: &[Stage], total_ms: f64, indent: usize) -> String {
    let mut out = String::new();
    let column = |ms: f64| ((ms / total_ms.max(1.0)) * COLUMNS as f64).clamp(0.0, COLUMNS as f64);
    for stage in stages {
        let start = (column(stage.start_ms) as usize).min(COLUMNS - 1);
        let width = ((column(stage.end_ms).round() as usize).saturating_sub(start)).max(1);
        let bar = format!("{}{}", " ".repeat(start), if stage.ms() < 0.5 { "▏".into() } else { "█".repeat(width) });
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:indent$}{:<12}{bar:<COLUMNS$} {:>7.1} ms", "", stage.name, stage.ms());
    }
    let _ = writeln!(out, "{:indent$}{}", "", "─".repeat(12 + COLUMNS + 11));
    let label = "end of speech → first audible sample";
    let _ = writeln!(out, "{:indent$}{label:<width$} {total_ms:>7.1} ms", "", width = 12 + COLUMNS);
    out
}

/// The waterfalls of several turns as one SVG picture: `(title, stages, total in ms)` for each.
pub fn svg(turns: &[(String, Vec<Stage>, f64)]) -> String {
    const WIDTH: f64 = 900.0;
    const LEFT: f64 = 120.0;
    const RIGHT: f64 = 90.0;
    const ROW: f64 = 20.0;
    let longest = turns.iter().map(|(_, _, total)| *total).fold(1.0, f64::max);
    let x = |ms: f64| LEFT + ms.max(0.0) / longest * (WIDTH - LEFT - RIGHT);
    let mut body = String::new();
    let mut y = 10.0;
    for (title, stages, total) in turns {
        y += ROW;
        let _ = writeln!(body, "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{}</text>", escape(title));
        let place = WIDTH - 10.0;
        let _ = writeln!(
            body,
            "<text x=\"{place}\" y=\"{y}\" text-anchor=\"end\" font-weight=\"bold\">{total:.0} ms</text>"
        );
        for stage in stages {
            let colour = match stage.name {
                "endpoint" => "#8a96a3",
                "hearing" => "#2f6fb0",
                "first token" => "#d9822b",
                "first chunk" => "#6b4fa3",
                "voice" => "#2e8b57",
                "held" => "#c9ced4",
                _ => "#b8433f",
            };
            let (start, end, top) = (x(stage.start_ms), x(stage.end_ms), y + 6.0);
            y += ROW;
            let width = (end - start).max(1.5);
            let _ = writeln!(body, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>", LEFT - 10.0, stage.name);
            let _ = writeln!(
                body,
                "<rect x=\"{start:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"15\" rx=\"2\" fill=\"{colour}\"/>"
            );
            let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{y}\">{:.0} ms</text>", start + width + 6.0, stage.ms());
        }
        y += 10.0;
    }
    let height = y + 14.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Facts, Outcome};

    fn turn() -> (Instants, Record) {
        let at = |ms: u64| Some(Mono::from_nanos(1_000_000_000 + ms * 1_000_000));
        let instants = Instants {
            speech_end: at(0),
            commit: at(700),
            stt_final: at(760),
            llm_sent: at(761),
            llm_first_text: at(1_161),
            chunk_ready: at(1_185),
            tts_first_pcm: at(1_200),
            first_audible: at(1_230),
            ..Instants::default()
        };
        let facts = Facts { stt_compute: Some(std::time::Duration::from_millis(50)), ..Facts::default() };
        (instants, Record::derive(&instants, facts, Outcome::Answered))
    }

    #[test]
    fn the_stages_are_in_order_and_the_last_ends_at_the_total() {
        let (at, record) = turn();
        let stages = stages(&at, &record);
        let names: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
        assert_eq!(names, ["endpoint", "hearing", "first token", "first chunk", "voice", "sound out"]);
        assert_eq!(stages[1].ms(), 50.0);
        assert_eq!(stages.last().map(|stage| stage.end_ms), record.total_perceived_ms);
    }

    #[test]
    fn a_bar_begins_where_the_one_before_it_ends() {
        let (at, record) = turn();
        let stages = stages(&at, &record);
        insta::assert_snapshot!(text(&stages, 1230.0, 2));
    }

    #[test]
    fn a_record_alone_gives_the_same_waterfall() {
        let (at, record) = turn();
        let (with_instants, alone) = (stages(&at, &record), stages_of_record(&record));
        assert_eq!(with_instants.len(), alone.len());
        for (stage, of_record) in with_instants.iter().zip(&alone) {
            assert_eq!(stage.name, of_record.name);
            let off = (stage.start_ms - of_record.start_ms).abs().max((stage.end_ms - of_record.end_ms).abs());
            assert!(off < 0.01, "{stage:?} and {of_record:?}");
        }
        let silent = Record { total_perceived_ms: None, ..record };
        let names: Vec<&str> = stages_of_record(&silent).iter().map(|stage| stage.name).collect();
        assert_eq!(names, ["endpoint", "hearing"], "nothing was heard");
    }

    #[test]
    fn a_turn_without_speech_has_no_waterfall() {
        let record = Record::derive(&Instants::default(), Facts::default(), Outcome::Silent);
        assert!(stages(&Instants::default(), &record).is_empty());
    }

    #[test]
    fn a_title_cannot_break_the_picture() {
        let picture = svg(&[("a < b & c".into(), Vec::new(), 10.0)]);
        assert!(picture.contains("a &lt; b &amp; c"), "{picture}");
    }
}
