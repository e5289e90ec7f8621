//! What a check found: a verdict, one line with its figures, one line with the mend.

use serde::Serialize;
use serde_json::{Map, Value};

/// What a finding comes to, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not looked at, for the reason that the finding gives.
    Skipped,
    /// The speaker works, and not as well as it could.
    Warning,
    /// Something that the speaker needs does not work.
    Fault,
}

impl Verdict {
    /// Its name, as the JSON writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Skipped => "skipped",
            Verdict::Warning => "warning",
            Verdict::Fault => "fault",
        }
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it comes to.
    pub verdict: Verdict,
    /// One line, with the figures.
    pub finding: String,
    /// One line, what to do about it; none where it is as it should be.
    pub mend: Option<String>,
    /// The figures by name, the unit at the name's end; rates are fractions from 0 to 1.
    pub figures: Map<String, Value>,
}

impl Finding {
    fn new(verdict: Verdict, finding: impl ToString, mend: Option<String>) -> Self {
        Self { verdict, finding: one_line(&finding.to_string()), mend, figures: Map::new() }
    }

    /// As it should be.
    pub fn ok(finding: impl ToString) -> Self {
        Self::new(Verdict::Ok, finding, None)
    }

    /// It works, and not as well as it could.
    pub fn warning(finding: impl ToString, mend: impl ToString) -> Self {
        Self::new(Verdict::Warning, finding, Some(one_line(&mend.to_string())))
    }

    /// It does not work.
    pub fn fault(finding: impl ToString, mend: impl ToString) -> Self {
        Self::new(Verdict::Fault, finding, Some(one_line(&mend.to_string())))
    }

    /// It was not looked at.
    pub fn skipped(reason: impl ToString) -> Self {
        Self::new(Verdict::Skipped, reason, None)
    }

    /// With one figure more.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// With a mend, where there is one.
    #[must_use]
    pub fn mend(mut self, mend: impl ToString) -> Self {
        self.mend = Some(one_line(&mend.to_string()));
        self
    }
}

/// A number as people read it, to so many digits behind the point.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
