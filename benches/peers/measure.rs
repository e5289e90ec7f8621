//! How well a detector's scores fit the truth, and what Elio's endpointer makes of them.

use std::ops::Range;
use std::time::Duration;

use elio::audio::RATE;
use elio::audio::floor::Floor;
use elio::clock::Mono;
use elio::config::{Config, EndpointSettings};
use elio::turn::{Endpointer, Hearing, Pauses, Verdict};

use super::scene::{SLICE, Speech, Turn};

/// A run of speech begins at a threshold and ends this much below it: Elio's endpointer and Silero's own iterator do so.
const HYSTERESIS: f32 = 0.15;
/// What is said of the first and last 100 ms of speech and of silence is told by onset and hangover.
const COLLAR: usize = RATE as usize / 10;
/// A hangover ends where the detector is silent for this long.
const SILENT: usize = RATE as usize / 10;
/// A begin or an end counts where there is this much silence before or after it.
const PAUSE: usize = RATE as usize * 3 / 10;
/// Speech that is shorter begins no turn (the endpointer's rule).
const TRIGGER: usize = RATE as usize * 48 / 1000;
/// Longer than every pause: a turn that ends in one is the detector's fault.
const SILENCE: Duration = Duration::from_millis(1_000);

/// What a detector made of a scene.
pub struct Track {
    /// Samples of its frame.
    pub step: usize,
    pub scores: Vec<f32>,
    /// What each frame cost, in µs.
    pub cost_us: Vec<f64>,
}

/// How it fits scenes in which somebody speaks.
#[derive(Default)]
pub struct Fit {
    /// Area under the ROC curve, in each scene.
    pub auc: Vec<f64>,
    /// Share of the speech that is missed, and of the rest that is taken for speech, in each scene.
    pub missed: Vec<f64>,
    pub invented: Vec<f64>,
    /// Begin of speech → end of the first frame that is speech, in ms; and the begins without one.
    pub onset_ms: Vec<f64>,
    pub unheard: usize,
    /// Acoustic end → end of the last frame that is speech, in ms.
    pub hangover_ms: Vec<f64>,
    /// Acoustic end → the endpointer's verdict, less the silence that it waits for, in ms.
    pub ended_ms: Vec<f64>,
    /// Turns that ended before their last word, and turns that did not end.
    pub cut: usize,
    pub unended: usize,
}

impl Track {
    /// Which frames are speech.
    fn speech(&self, threshold: f32) -> Vec<bool> {
        let mut inside = false;
        let decide = |score: &f32| {
            inside = *score >= threshold - if inside { HYSTERESIS } else { 0.0 };
            inside
        };
        self.scores.iter().map(decide).collect()
    }

    /// Runs of speech that would begin a turn.
    pub fn triggers(&self, threshold: f32) -> usize {
        let speech = self.speech(threshold);
        let runs = speech.chunk_by(|a, b| a == b).filter(|run| run[0]);
        runs.filter(|run| run.len() * self.step >= TRIGGER).count()
    }

    /// Against the truth. `sound`: the scene's, for the noise floor.
    pub fn fit(&self, threshold: f32, speech: &Speech, sound: &[f32]) -> Fit {
        let mut fit = Fit::default();
        let decided = self.speech(threshold);
        let (mut spoken, mut silent) = (Vec::new(), Vec::new());
        for turn in &speech.turns {
            for middle in turn.range.clone().skip(SLICE / 2).step_by(SLICE) {
                let frame = middle / self.step;
                if let (Some(is), Some((score, decided))) =
                    (turn.is_speech(middle), self.scores.get(frame).zip(decided.get(frame)))
                {
                    if is { &mut spoken } else { &mut silent }.push((*score, *decided));
                }
            }
            self.edges(turn, &decided, &mut fit);
        }
        let share = |of: &[(f32, bool)], wrong: bool| {
            of.iter().filter(|(_, decided)| *decided == wrong).count() as f64 / of.len().max(1) as f64
        };
        fit.missed.push(share(&spoken, false));
        fit.invented.push(share(&silent, true));
        fit.auc.push(auc(&spoken, &silent));
        self.endpoints(threshold, speech, sound, &mut fit);
        fit
    }

    /// Onsets and hangovers of a turn.
    fn edges(&self, turn: &Turn, decided: &[bool], fit: &mut Fit) {
        let frame = |n: usize| n * self.step..(n + 1) * self.step;
        for (n, part) in turn.parts.iter().enumerate() {
            let before = n.checked_sub(1).and_then(|n| turn.parts.get(n)).map_or(turn.range.start, |part| part.end);
            let after = turn.parts.get(n + 1).map_or(turn.range.end, |part| part.start);
            let heard = |range: Range<usize>| {
                let frames = range.start / self.step..range.end.div_ceil(self.step).min(decided.len());
                frames.filter(|n| decided[*n]).map(frame)
            };
            if part.start >= before + PAUSE {
                match heard(part.clone()).next() {
                    Some(first) => fit.onset_ms.push(ms(part.start, first.end)),
                    None => fit.unheard += 1,
                }
            }
            if after >= part.end + PAUSE
                && let Some(last) = heard(part.clone()).next_back()
            {
                let mut end = last.end;
                for frame in heard(part.end..after) {
                    if frame.start > end + SILENT {
                        break;
                    }
                    end = end.max(frame.end);
                }
                fit.hangover_ms.push(ms(part.end, end));
            }
        }
    }

    /// The turns, as the endpointer ends them.
    fn endpoints(&self, threshold: f32, speech: &Speech, sound: &[f32], fit: &mut Fit) {
        let at = |n: usize| Mono::from_nanos(n as u64 * 1_000_000_000 / u64::from(RATE));
        let mut floor = Floor::default();
        let frames = sound.chunks_exact(self.step).zip(&self.scores).enumerate().map(|(n, (frame, score))| {
            let first = n * self.step;
            let voiced_end = floor.push(frame).map(|samples| at(first + samples));
            Hearing { start: at(first), end: at(first + self.step), speech: *score, voiced_end }
        });
        let frames: Vec<Hearing> = frames.collect();
        let settings =
            EndpointSettings { silence: SILENCE, silence_max: SILENCE, threshold, ..Config::default().endpoint };
        for turn in &speech.turns {
            let (Some(last), wake) = (turn.parts.last(), at(turn.range.start)) else { continue };
            let mut ears = Endpointer::new(settings.clone(), wake, Pauses::default());
            let within = frames.iter().filter(|frame| frame.start >= wake && frame.end <= at(turn.range.end));
            let ended = within.map(|frame| {
                ears.push(*frame);
                (ears.verdict(false) == Verdict::Ended, frame.end)
            });
            match ended.into_iter().find(|(ended, _)| *ended) {
                Some((_, end)) if end < at(last.end) => fit.cut += 1,
                Some((_, end)) => fit.ended_ms.push(end.ms_since(at(last.end)) - SILENCE.as_secs_f64() * 1e3),
                None => fit.unended += 1,
            }
        }
    }
}

impl Fit {
    /// Takes another scene in.
    pub fn add(&mut self, other: Fit) {
        self.auc.extend(other.auc);
        self.missed.extend(other.missed);
        self.invented.extend(other.invented);
        self.onset_ms.extend(other.onset_ms);
        self.unheard += other.unheard;
        self.hangover_ms.extend(other.hangover_ms);
        self.ended_ms.extend(other.ended_ms);
        self.cut += other.cut;
        self.unended += other.unended;
    }
}

impl Turn {
    /// Is there speech at a sample? None close to where it begins or ends.
    fn is_speech(&self, sample: usize) -> Option<bool> {
        let close = |edge: usize| edge.abs_diff(sample) < COLLAR;
        let edges = self.parts.iter().any(|part| close(part.start) || close(part.end));
        (!edges).then(|| self.parts.iter().any(|part| part.contains(&sample)))
    }
}

/// The share of pairs of speech and silence in which the speech scores higher; half of those in which neither does.
fn auc(spoken: &[(f32, bool)], silent: &[(f32, bool)]) -> f64 {
    let mut silent: Vec<f32> = silent.iter().map(|(score, _)| *score).collect();
    silent.sort_by(f32::total_cmp);
    let below = |(score, _): &(f32, bool)| {
        silent.partition_point(|s| s < score) as f64 + silent.partition_point(|s| s <= score) as f64
    };
    spoken.iter().map(below).sum::<f64>() / 2.0 / (spoken.len() * silent.len()).max(1) as f64
}

/// From one sample to another; below zero where the second comes first.
fn ms(from: usize, to: usize) -> f64 {
    (to as f64 - from as f64) / f64::from(RATE) * 1e3
}
