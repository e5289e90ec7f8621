//! What the speaker's ears make of a recording, without waiting for it: VAD, noise floor and endpointer on injected
//! time. It finds the acoustic end of a clip, and replays many endpoint settings in the time of one turn.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clips::length;
use super::figures::percentile;
use super::pauses::Paused;
use crate::audio::floor::Floor;
use crate::audio::vad::Vad;
use crate::audio::wav::{ROOM_DBFS, noise::Noise};
use crate::audio::{Clip, FRAME, RATE, convert};
use crate::clock::Mono;
use crate::config::EndpointSettings;
use crate::daemon::REACTION;
use crate::turn::{Endpointer, Hearing, Pauses, Verdict};

/// The room is heard this long before the clip, so that VAD and floor know it.
const BEFORE: Duration = Duration::from_secs(1);
/// And this long after it: longer than any silence that is tried.
const AFTER: Duration = Duration::from_millis(1_200);
/// The silences that are tried, in ms.
const SILENCES_MS: std::ops::RangeInclusive<u64> = 200..=1_000;
const STEP_MS: usize = 50;

/// A clip, as the endpointer hears it.
#[derive(Debug)]
pub struct Heard {
    hearings: Vec<Hearing>,
    /// The clip's first sample.
    start: Mono,
}

/// The end that an endpointer found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// The acoustic end, after the clip's begin.
    pub speech_end: Duration,
    /// From there to the verdict, in ms.
    pub endpoint_ms: f64,
}

/// What one endpoint setting does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// `endpoint.silence`
    pub silence_ms: u64,
    /// Share of the pauses in which the turn ended, 0 to 1.
    pub false_cut_offs: f64,
    /// Acoustic end → verdict, median over the whole sentences.
    pub endpoint_ms: f64,
}

/// Hears a clip in a quiet room.
pub fn hear(clip: &Clip) -> Heard {
    let samples = |time: Duration| (time.as_secs_f64() * f64::from(RATE)) as usize;
    let spoken = convert::resample(&clip.samples, clip.rate, RATE);
    let mut noise = Noise::new(1, ROOM_DBFS);
    let lead = samples(BEFORE).next_multiple_of(FRAME);
    let room = (0..lead + spoken.len() + samples(AFTER)).map(|_| noise.next());
    let mut sound: Vec<f32> = room.collect();
    for (sample, said) in sound.iter_mut().skip(lead).zip(&spoken) {
        *sample += said;
    }
    let origin = Mono::from_nanos(0);
    let at = |n: usize| origin + Duration::from_secs_f64(n as f64 / f64::from(RATE));
    let (mut vad, mut floor) = (Vad::default(), Floor::default());
    let hearings = sound.as_chunks::<FRAME>().0.iter().enumerate().map(|(n, frame)| {
        let first = n * FRAME;
        let voiced_end = floor.push(frame).map(|samples| at(first + samples));
        Hearing { start: at(first), end: at(first + FRAME), speech: vad.score(frame), voiced_end }
    });
    Heard { hearings: hearings.collect(), start: at(lead) }
}

impl Heard {
    /// The acoustic end, after the clip's begin; none where nobody speaks.
    pub fn speech_end(&self, settings: &EndpointSettings) -> Option<Duration> {
        let mut ears = self.ears(settings);
        self.turn().for_each(|hearing| ears.push(*hearing));
        ears.speech_end().map(|end| end.since(self.start))
    }

    /// The end that an endpointer of these settings finds; none where it never does.
    pub fn ended(&self, settings: &EndpointSettings) -> Option<Ended> {
        let mut ears = self.ears(settings);
        for hearing in self.turn() {
            ears.push(*hearing);
            if ears.verdict(false) == Verdict::Ended {
                let end = ears.speech_end()?;
                return Some(Ended { speech_end: end.since(self.start), endpoint_ms: ears.newest().ms_since(end) });
            }
        }
        None
    }

    fn ears(&self, settings: &EndpointSettings) -> Endpointer {
        Endpointer::new(settings.clone(), self.start - REACTION, Pauses::default())
    }

    fn turn(&self) -> impl Iterator<Item = &Hearing> {
        let wake = self.start - REACTION;
        self.hearings.iter().filter(move |hearing| hearing.start >= wake)
    }
}

/// What each silence does to whole sentences and to those with a pause. Empty where there are none of either.
pub fn curve<'a>(
    sentences: impl Iterator<Item = &'a Clip>,
    paused: impl Iterator<Item = Paused>,
    settings: &EndpointSettings,
) -> Vec<Point> {
    let whole: Vec<Heard> = sentences.map(hear).collect();
    let paused: Vec<(Heard, Duration)> = paused.map(|p| (hear(&p.sound), p.resumes)).collect();
    let point = |silence_ms: u64| {
        let settings = EndpointSettings { silence: Duration::from_millis(silence_ms), ..settings.clone() };
        let mut waits: Vec<f64> =
            whole.iter().filter_map(|heard| heard.ended(&settings)).map(|ended| ended.endpoint_ms).collect();
        let cut = |(heard, resumes): &&(Heard, Duration)| {
            heard.ended(&settings).is_some_and(|ended| ended.speech_end < *resumes)
        };
        let share = paused.iter().filter(cut).count() as f64 / paused.len().max(1) as f64;
        Some(Point { silence_ms, false_cut_offs: share, endpoint_ms: percentile(&mut waits, 50.0)? })
    };
    if paused.is_empty() { Vec::new() } else { SILENCES_MS.step_by(STEP_MS).filter_map(point).collect() }
}

/// Sound without what comes later than `end`: the person's finger goes up there.
pub(super) fn until(sound: &Clip, end: Duration) -> Clip {
    let keep = (end.min(length(sound)).as_secs_f64() * f64::from(sound.rate)).round() as usize;
    Clip { rate: sound.rate, samples: sound.samples.iter().copied().take(keep).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bench::pauses;
    use crate::config::Config;

    fn joke() -> Clip {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/questions/en-joke.wav");
        Clip::read(&path).unwrap()
    }

    #[test]
    fn the_acoustic_end_is_where_the_sound_ends() {
        let sound = joke();
        // The recording ends with a quarter of a second that `make` added, and what espeak-ng left.
        let last = sound.samples.iter().rposition(|s| s.abs() > 0.003).unwrap() as f64 / f64::from(sound.rate);
        let end = hear(&sound).speech_end(&Config::default().endpoint).unwrap();
        assert!((end.as_secs_f64() - last).abs() < 0.03, "{end:?}, the last loud sample is at {last}");
        assert!(
            hear(&Clip { rate: RATE, samples: vec![0.0; 8_000] }).speech_end(&Config::default().endpoint).is_none()
        );
    }

    #[test]
    fn a_silence_shorter_than_the_pause_cuts_the_person_off_and_a_longer_one_does_not() {
        let settings = Config::default().endpoint;
        let sound = joke();
        let middle = Duration::from_secs_f64(length(&sound).as_secs_f64() * 0.45);
        let paused = [pauses::insert(&sound, middle, Duration::from_millis(600), 1)];
        let curve = curve(std::iter::once(&sound), paused.into_iter(), &settings);
        assert_eq!(curve.len(), 17);
        assert!(curve.is_sorted_by(|a, b| a.endpoint_ms <= b.endpoint_ms && a.false_cut_offs >= b.false_cut_offs));
        let at = |ms: u64| curve.iter().find(|point| point.silence_ms == ms).unwrap();
        assert_eq!((at(400).false_cut_offs, at(900).false_cut_offs), (1.0, 0.0));
        assert!((700.0..850.0).contains(&at(700).endpoint_ms), "{:?}", at(700));
        assert!(
            self::curve(std::iter::once(&sound), std::iter::empty(), &settings).is_empty(),
            "no curve without pauses"
        );
    }

    #[test]
    fn a_sound_is_cut_where_the_finger_goes_up() {
        let sound = Clip { rate: 16_000, samples: vec![0.5; 16_000] };
        assert_eq!(until(&sound, Duration::from_millis(250)).samples.len(), 4_000);
        assert_eq!(until(&sound, Duration::from_secs(9)).samples.len(), 16_000);
    }
}
