//! When a turn is heard before it is over, and whether what was heard then is all of it. Pure: samples are its clock, so
//! that nothing depends on when they were read.
//!
//! Whisper cannot go on where it stopped: each run hears all the sound again, so a run pays only where it may be the last
//! one. That is the one in each silence, which is given the way. Those of the steady beat tell the endpointing what kind
//! of sentence it is in.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::engine::RATE;
use super::{Clip, SttError, Transcript, voiced};
use crate::config::Language;

/// No steady beat is faster: a word takes about as long.
const FASTEST: Duration = Duration::from_millis(200);
/// Share of the time that the steady beat computes: one in so many.
const SHARE: u32 = 3;
/// A run that takes longer than this is only begun in silences: it cannot be stopped inside the encoder, and would hold
/// up the one that counts.
const QUICK: Duration = Duration::from_millis(250);
/// A run that takes longer than this is not begun before the turn is over: after a pause it would hold up the last words.
const SLOW: Duration = Duration::from_secs(1);

/// Silence in which a run begins on all that was said, and that Whisper must have heard for its text to be the last one.
/// The demo's model gives the whole clip's text after 80 ms on 59 of 60 held-out sentences, after 40 ms on 57: with less,
/// the last word may be one that was cut off.
const LULL: Duration = Duration::from_millis(80);
/// The same in samples.
const TAIL: usize = RATE * LULL.as_millis() as usize / 1_000;
/// The same silence where a run that proves useless costs more: longer than any closure inside a word.
const SLOW_LULL: Duration = Duration::from_millis(200);
/// Without so much silence (two frames) the person speaks.
const SPEAKING: usize = RATE * 32 / 1_000;
/// Where a sentence ends after this much sound, its text is kept and its sound heard no more. Sooner it would save
/// nothing: the published models encode 10 s of whatever is shorter (`audio_ctx_min = 512`).
const KEEP: usize = RATE * 10;

/// How often a turn is heard before it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partials {
    /// While the person speaks, after so much new sound, and in each silence.
    Steady(Duration),
    /// In each silence.
    Pauses,
    /// Never: each turn once, when it is over.
    Off,
}

impl Partials {
    /// The rule for a machine on which a run of usual length takes `run`: up to 250 ms three times that, and 200 ms at
    /// least, up to a second in silences only, else never.
    pub fn measured(run: Duration) -> Self {
        match run {
            run if run <= QUICK => Partials::Steady(FASTEST.max(run * SHARE)),
            run if run <= SLOW => Partials::Pauses,
            _ => Partials::Off,
        }
    }

    /// The silence in which a run begins on all that was said; none: no run begins before the turn is over.
    pub fn lull(self) -> Option<Duration> {
        match self {
            Partials::Steady(_) => Some(LULL),
            Partials::Pauses => Some(SLOW_LULL),
            Partials::Off => None,
        }
    }
}

impl fmt::Display for Partials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partials::Steady(beat) => write!(f, "while the person speaks, every {} ms", beat.as_millis()),
            Partials::Pauses => f.write_str("in the person's pauses"),
            Partials::Off => f.write_str("each turn when it is over"),
        }
    }
}

/// What was heard of a turn that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// Text of the turn so far, and the language of it as far as this run could tell.
    pub transcript: Transcript,
    /// So many words at the beginning were the same in the run before.
    pub stable_words: usize,
    /// The turn's first samples that it was made of.
    pub covers: usize,
    /// The acoustic end when it was begun, in samples of the turn.
    pub spoken: usize,
}

/// A run that is on its way.
struct Running {
    covers: usize,
    /// The acoustic end when it was begun.
    spoken: usize,
    /// Somebody waits for it: no later sound stops it.
    wanted: bool,
    cancel: CancellationToken,
}

/// One turn's sound, and what was heard of it.
pub(super) struct Hearing {
    partials: Partials,
    /// New sound after which the steady beat hears again, in samples; none: there is no beat.
    beat: Option<usize>,
    sound: Vec<f32>,
    /// The acoustic end so far; 0 while nobody has spoken.
    spoken: usize,
    hurried: bool,
    /// The beat counts from here.
    since: usize,
    running: Option<Running>,
    /// Somebody waits for a text of this much sound.
    wanted: Option<usize>,
    /// Why the run that somebody waits for gave none.
    failure: Option<SttError>,
    newest: Option<Partial>,
    /// Sound before this is heard no more, and what was heard in it.
    base: usize,
    kept: Option<(String, Language)>,
    /// No run begins that nobody waits for.
    closed: bool,
}

impl Hearing {
    pub(super) fn new(partials: Partials) -> Self {
        let beat = if let Partials::Steady(beat) = partials { Some(samples(beat)) } else { None };
        Self {
            partials,
            beat,
            sound: Vec::new(),
            spoken: 0,
            hurried: false,
            since: 0,
            running: None,
            wanted: None,
            failure: None,
            newest: None,
            base: 0,
            kept: None,
            closed: false,
        }
    }

    pub(super) fn without_beat(&mut self) {
        self.beat = None;
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        self.sound.extend_from_slice(samples);
    }

    pub(super) fn spoken(&mut self, spoken: usize) {
        if self.spoken == 0 {
            self.since = self.sound.len();
        }
        self.spoken = spoken;
    }

    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    pub(super) fn go_on(&mut self) {
        self.wanted = None;
        if let Some(running) = &mut self.running {
            running.wanted = false;
        }
    }

    /// The newest partial, where nothing was said after it.
    pub(super) fn settled(&self) -> Option<&Partial> {
        self.newest.as_ref().filter(|newest| self.covered(newest.covers))
    }

    /// A run must be begun.
    pub(super) fn due(&self) -> bool {
        let of_itself =
            || !self.closed && self.spoken > self.base && self.settled().is_none() && (self.lull() || self.beaten());
        self.running.is_none() && (self.wanted.is_some() || of_itself())
    }

    /// Stops the run that is in the way of the one that counts.
    pub(super) fn make_way(&self) {
        let Some(running) = self.running.as_ref().filter(|running| !running.wanted) else { return };
        let outdated = running.covers < self.spoken && !matches!(self.partials, Partials::Steady(_));
        if outdated || (self.lull() && !self.covered(running.covers)) {
            running.cancel.cancel();
        }
    }

    /// Begins the run that is due. `parent` ends it too.
    pub(super) fn begin(&mut self, parent: &CancellationToken) -> Option<(Clip, CancellationToken)> {
        // Runs of a turn that was given up would end at once, and be due again.
        if !self.due() || parent.is_cancelled() {
            return None;
        }
        let (cancel, wanted) = (parent.child_token(), self.wanted.take());
        let covers = wanted.unwrap_or(self.sound.len());
        self.since = covers;
        self.running = Some(Running { covers, spoken: self.spoken, wanted: wanted.is_some(), cancel: cancel.clone() });
        // A language found early may be wrong and finding it costs nothing: each run on the turn's first words looks
        // anew. Only what follows a whole sentence is in that sentence's language.
        let language = self.kept.as_ref().map(|(_, language)| *language);
        Some((Clip { samples: self.sound.get(self.base..covers).unwrap_or_default().to_vec(), language }, cancel))
    }

    /// The run has ended.
    pub(super) fn heard(&mut self, answer: Result<Transcript, SttError>) -> Option<&Partial> {
        let Running { covers, spoken, wanted, .. } = self.running.take()?;
        let transcript = match answer {
            Ok(transcript) => self.whole(transcript),
            // It made way; whoever waits for a text asks again.
            Err(SttError::Cancelled) => return None,
            Err(error) if wanted => {
                self.failure = Some(error);
                return None;
            }
            Err(error) => {
                log::debug!("a partial transcript failed: {error}");
                self.closed = true;
                return None;
            }
        };
        if let (Partials::Steady(least), Some(beat)) = (self.partials, &mut self.beat) {
            *beat = samples(least.max(transcript.compute * SHARE));
        }
        let before = self.newest.as_ref().map_or("", |newest| &newest.transcript.text);
        let stable_words = same_words(before, &transcript.text);
        // Only where Whisper could hear that the sentence has ended does it hear the next one as well alone.
        let sentence = covers >= spoken + TAIL && transcript.text.ends_with(['.', '?', '!']);
        if sentence && covers.saturating_sub(self.base) >= KEEP {
            self.base = covers;
            self.kept = Some((transcript.text.clone(), transcript.language));
        }
        Some(self.newest.insert(Partial { transcript, stable_words, covers, spoken }))
    }

    /// No more sound comes.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Somebody begins to wait for the text of the first `cut` samples; gives how many of them are there.
    pub(super) fn ask(&mut self, cut: usize) -> usize {
        // Of a run that somebody else waited for.
        self.failure = None;
        cut.min(self.sound.len())
    }

    /// The text of the first `cut` samples, whose acoustic end is at `spoken`; none yet: a run that gives it is on its
    /// way or due.
    pub(super) fn answer(&mut self, spoken: usize, cut: usize) -> Option<Result<Transcript, SttError>> {
        if let Some(error) = self.failure.take() {
            return Some(Err(error));
        }
        // The measure of the run on the whole clip: what that would call sound must have been heard.
        let sound = voiced::end(self.sound.get(self.base..cut).unwrap_or_default());
        let enough = (spoken + TAIL).max(if sound == 0 { 0 } else { self.base + sound }).min(cut);
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.covers >= enough) {
            let audio = Duration::from_secs_f64(cut as f64 / RATE as f64);
            return Some(Ok(Transcript { audio, ..newest.transcript.clone() }));
        }
        match &mut self.running {
            Some(running) if running.covers >= enough && !running.cancel.is_cancelled() => running.wanted = true,
            running => {
                if let Some(running) = running {
                    running.cancel.cancel();
                }
                self.wanted = Some(cut);
            }
        }
        None
    }

    /// What was kept, and a run's transcript of the sound after it.
    fn whole(&self, tail: Transcript) -> Transcript {
        let Some((kept, language)) = &self.kept else { return tail };
        let text = if tail.text.is_empty() { kept.clone() } else { format!("{kept} {}", tail.text) };
        let audio = tail.audio + Duration::from_secs_f64(self.base as f64 / RATE as f64);
        Transcript { text, language: *language, audio, ..tail }
    }

    fn silence(&self) -> usize {
        self.sound.len().saturating_sub(self.spoken)
    }

    /// The person is silent for so long that all that was said deserves a run.
    fn lull(&self) -> bool {
        self.partials.lull().is_some_and(|lull| self.silence() >= if self.hurried { TAIL } else { samples(lull) })
    }

    /// The person speaks, and the steady beat asks for a run. In what may become a lull it waits for that.
    fn beaten(&self) -> bool {
        self.silence() < SPEAKING && self.beat.is_some_and(|beat| self.sound.len() - self.since >= beat)
    }

    fn covered(&self, covers: usize) -> bool {
        covers >= self.spoken + TAIL
    }
}

fn samples(time: Duration) -> usize {
    (time.as_secs_f64() * RATE as f64) as usize
}

/// Words at the beginning of both texts, whatever their case and marks.
fn same_words(a: &str, b: &str) -> usize {
    let plain =
        |word: &str| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    a.split(' ').zip(b.split(' ')).take_while(|(a, b)| !a.is_empty() && plain(a) == plain(b)).count()
}

#[cfg(test)]
#[path = "partials_tests.rs"]
mod tests;
