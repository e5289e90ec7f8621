//! What the speaker's ears make of a recording, without waiting for it: VAD, noise floor, the words in its silences and
//! the endpointer on injected time. It finds the acoustic end of a clip, and replays many endpoint settings in the time of
//! one turn.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clips::length;
use super::figures::percentile;
use super::pauses::Paused;
use crate::audio::floor::Floor;
use crate::audio::wav::{ROOM_DBFS, noise::Noise};
use crate::audio::{Clip, FRAME, Frame, RATE, Vad, convert};
use crate::clock::Mono;
use crate::config::EndpointSettings;
use crate::daemon::REACTION;
use crate::stt::{Listener, Transcribe};
use crate::turn::{Endpointer, Finished, Hearing, Pauses, Verdict, how_finished};

/// The room is heard this long before the clip, so that VAD and floor know it.
const BEFORE: Duration = Duration::from_secs(1);
/// And this long after it: longer than any silence that is tried.
const AFTER: Duration = Duration::from_millis(1_500);
/// A run of the model that takes longer than this gives nothing.
const LOST: Duration = Duration::from_secs(20);
/// The waits that are tried, in ms.
const WAITS_MS: std::ops::RangeInclusive<u64> = 200..=1_000;
const STEP_MS: usize = 50;

/// A clip, as the endpointer hears it.
#[derive(Debug)]
pub struct Heard {
    frames: Vec<Frame>,
    /// How finished the words sounded by each frame of the turn; empty where nobody listened to them.
    words: Vec<Option<Finished>>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Where the words are heard `endpoint.silence_min`, with `silence` and `silence_max` no shorter than that; where they
    /// are not `endpoint.silence`.
    pub wait_ms: u64,
    /// Share of the pauses in which the turn ended, 0 to 1.
    pub false_cut_offs: f64,
    /// Acoustic end → verdict, median over the whole sentences.
    pub endpoint_ms: f64,
    /// The same, 95 of 100.
    pub endpoint_p95_ms: f64,
}

/// Hears a clip in a quiet room. `vad` goes on from clip to clip, as it does behind a microphone.
pub fn hear(clip: &Clip, vad: &mut Vad) -> Heard {
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
    let mut floor = Floor::default();
    let frames = sound.as_chunks::<FRAME>().0.iter().enumerate().map(|(n, samples)| {
        let first = n * FRAME;
        let voiced_end = floor.push(samples).map(|within| at(first + within));
        Frame { start: at(first), samples: *samples, speech: vad.score(samples), voiced_end }
    });
    Heard { frames: frames.collect(), words: Vec::new(), start: at(lead) }
}

/// Hears a clip in a quiet room, and its words in each silence, as a turn does; they are known as much later as the model
/// took for them.
pub async fn listen(clip: &Clip, settings: &EndpointSettings, vad: &mut Vad, stt: Arc<dyn Transcribe>) -> Heard {
    let mut heard = hear(clip, vad);
    let Some(lull) = stt.partials().lull() else { return heard };
    let listener = Listener::start(stt, &CancellationToken::new(), &TaskTracker::new());
    let mut partials = listener.partials();
    let mut ears = heard.ears(settings);
    let mut known_from = heard.start;
    let mut words = Vec::new();
    for frame in heard.turn() {
        ears.push(Hearing::from(frame));
        listener.push(&frame.samples);
        if let Some(end) = ears.speech_end() {
            let behind = (ears.newest().since(end).as_secs_f64() * f64::from(RATE)).round() as usize;
            listener.spoken(((words.len() + 1) * FRAME).saturating_sub(behind));
        }
        if ears.speech_end().is_some_and(|end| ears.newest().since(end) >= lull) && listener.settled().is_none() {
            let settle = async { while listener.settled().is_none() && partials.changed().await.is_ok() {} };
            let _ = tokio::time::timeout(LOST, settle).await;
            known_from = frame.end() + listener.settled().map_or(LOST, |partial| partial.transcript.compute);
        }
        let known = listener.settled().filter(|_| frame.end() >= known_from);
        words.push(known.map(|partial| how_finished(&partial.transcript.text, partial.transcript.language)));
    }
    heard.words = words;
    heard
}

impl Heard {
    /// The acoustic end, after the clip's begin; none where nobody speaks.
    pub fn speech_end(&self, settings: &EndpointSettings) -> Option<Duration> {
        let mut ears = self.ears(settings);
        self.turn().for_each(|frame| ears.push(Hearing::from(frame)));
        ears.speech_end().map(|end| end.since(self.start))
    }

    /// The end that an endpointer of these settings finds; none where it never does. `by_words`: it hears them, and the
    /// first sound of an answer is there so long after the acoustic end.
    pub fn ended(&self, settings: &EndpointSettings, by_words: Option<Duration>) -> Option<Ended> {
        let mut ears = self.ears(settings);
        for (n, frame) in self.turn().enumerate() {
            ears.push(Hearing::from(frame));
            let Some(end) = ears.speech_end() else { continue };
            ears.sounds(by_words.and_then(|_| *self.words.get(n)?));
            let waited = ears.newest().since(end);
            if ears.verdict(by_words.is_some_and(|ready| waited < ready)) == Verdict::Ended {
                return Some(Ended { speech_end: end.since(self.start), endpoint_ms: waited.as_secs_f64() * 1e3 });
            }
        }
        None
    }

    fn ears(&self, settings: &EndpointSettings) -> Endpointer {
        Endpointer::new(settings.clone(), self.start - REACTION, Pauses::default())
    }

    fn turn(&self) -> impl Iterator<Item = &Frame> {
        let wake = self.start - REACTION;
        self.frames.iter().filter(move |frame| frame.start >= wake)
    }
}

/// Clips that were heard once, to be replayed with many settings.
#[derive(Debug, Default)]
pub struct Replay {
    /// Whole sentences.
    pub whole: Vec<Heard>,
    /// Sentences with a pause, and where the speech goes on.
    pub paused: Vec<(Heard, Duration)>,
}

impl Replay {
    /// Hears the clips and their words.
    pub async fn listen<'a>(
        sentences: impl Iterator<Item = &'a Clip>,
        paused: impl Iterator<Item = Paused>,
        settings: &EndpointSettings,
        vad: &mut Vad,
        stt: Arc<dyn Transcribe>,
    ) -> Replay {
        let mut replay = Replay::default();
        for clip in sentences {
            replay.whole.push(listen(clip, settings, vad, stt.clone()).await);
        }
        for paused in paused {
            replay.paused.push((listen(&paused.sound, settings, vad, stt.clone()).await, paused.resumes));
        }
        replay
    }

    /// What each wait does. `by_words`: see [`Heard::ended`]. Empty where there are no whole sentences or no pauses.
    pub fn curve(&self, settings: &EndpointSettings, by_words: Option<Duration>) -> Vec<Point> {
        if self.paused.is_empty() {
            return Vec::new();
        }
        let waits = WAITS_MS.step_by(STEP_MS).map(Duration::from_millis);
        waits.filter_map(|wait| self.point(settings, wait, by_words)).collect()
    }

    /// What one wait does; none without whole sentences.
    pub fn point(&self, settings: &EndpointSettings, wait: Duration, by_words: Option<Duration>) -> Option<Point> {
        let silence = if by_words.is_some() { settings.silence.max(wait) } else { wait };
        let silence_max = settings.silence_max.max(silence);
        let settings = EndpointSettings { silence, silence_min: wait, silence_max, ..settings.clone() };
        let ended = self.whole.iter().filter_map(|heard| heard.ended(&settings, by_words));
        let mut waits: Vec<f64> = ended.map(|ended| ended.endpoint_ms).collect();
        let cut = |(heard, resumes): &&(Heard, Duration)| {
            heard.ended(&settings, by_words).is_some_and(|ended| ended.speech_end < *resumes)
        };
        Some(Point {
            wait_ms: wait.as_millis() as u64,
            false_cut_offs: self.paused.iter().filter(cut).count() as f64 / self.paused.len().max(1) as f64,
            endpoint_ms: percentile(&mut waits, 50.0)?,
            endpoint_p95_ms: percentile(&mut waits, 95.0)?,
        })
    }
}

/// Sound without what comes later than `end`: the person's finger goes up there.
pub(super) fn until(sound: &Clip, end: Duration) -> Clip {
    let keep = (end.min(length(sound)).as_secs_f64() * f64::from(sound.rate)).round() as usize;
    Clip { rate: sound.rate, samples: sound.samples.iter().copied().take(keep).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::bench::pauses;
    use crate::config::{Config, Language};
    use crate::stt::{Partials, SttError, Transcript};

    fn joke() -> Clip {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/questions/en-joke.wav");
        Clip::read(&path).unwrap()
    }

    #[test]
    fn the_acoustic_end_is_where_the_sound_ends() {
        let sound = joke();
        // The recording ends with a quarter of a second that `make` added, and what espeak-ng left.
        let last = sound.samples.iter().rposition(|s| s.abs() > 0.003).unwrap() as f64 / f64::from(sound.rate);
        let vad = &mut Vad::default();
        let end = hear(&sound, vad).speech_end(&Config::default().endpoint).unwrap();
        assert!((end.as_secs_f64() - last).abs() < 0.03, "{end:?}, the last loud sample is at {last}");
        assert!(
            hear(&Clip { rate: RATE, samples: vec![0.0; 8_000] }, vad)
                .speech_end(&Config::default().endpoint)
                .is_none()
        );
    }

    fn paused(ms: u64) -> (Clip, Paused) {
        let sound = joke();
        let middle = Duration::from_secs_f64(length(&sound).as_secs_f64() * 0.45);
        let paused = pauses::insert(&sound, middle, Duration::from_millis(ms), 1);
        (sound, paused)
    }

    #[test]
    fn a_silence_shorter_than_the_pause_cuts_the_person_off_and_a_longer_one_does_not() {
        let settings = Config::default().endpoint;
        let (sound, paused) = paused(600);
        let vad = &mut Vad::default();
        let (whole, paused) = (hear(&sound, vad), (hear(&paused.sound, vad), paused.resumes));
        let replay = Replay { whole: vec![whole], paused: vec![paused] };
        let curve = replay.curve(&settings, None);
        assert_eq!(curve.len(), 17);
        assert!(curve.is_sorted_by(|a, b| a.endpoint_ms <= b.endpoint_ms && a.false_cut_offs >= b.false_cut_offs));
        let at = |ms: u64| curve.iter().find(|point| point.wait_ms == ms).unwrap();
        assert_eq!((at(400).false_cut_offs, at(900).false_cut_offs), (1.0, 0.0));
        assert!((700.0..850.0).contains(&at(700).endpoint_ms), "{:?}", at(700));
        let no_pauses = Replay { paused: Vec::new(), ..replay };
        assert!(no_pauses.curve(&settings, None).is_empty(), "no curve without pauses");
    }

    /// Writes half a sentence for whatever is shorter than this.
    struct Ear(Duration);

    impl Transcribe for Ear {
        fn transcribe(
            &self,
            clip: crate::stt::Clip,
            _cancel: CancellationToken,
        ) -> BoxFuture<'static, Result<Transcript, SttError>> {
            let audio = Duration::from_secs_f64(clip.samples.len() as f64 / f64::from(RATE));
            let text = if audio < self.0 { "Tell me" } else { "Tell me a joke." };
            let (language, compute, finished) = (Language::En, Duration::from_millis(50), Mono::from_nanos(1));
            Box::pin(async move {
                Ok(Transcript { text: text.to_owned(), language, compute, audio, audio_ctx: 1, finished })
            })
        }

        fn name(&self) -> &str {
            "ear"
        }

        fn partials(&self) -> Partials {
            Partials::Pauses
        }
    }

    #[tokio::test]
    async fn words_that_must_go_on_save_the_pause_and_a_whole_sentence_is_answered_when_its_sound_is_ready() {
        let settings = Config::default().endpoint;
        let (sound, paused) = paused(900);
        let ear: Arc<dyn Transcribe> = Arc::new(Ear(length(&sound).mul_f64(0.8)));
        let resumes = paused.resumes;
        let replay =
            Replay::listen([&sound].into_iter(), [paused].into_iter(), &settings, &mut Vad::default(), ear).await;
        let point = |by_words| replay.point(&settings, Duration::from_millis(300), by_words).unwrap();
        assert_eq!(point(None).false_cut_offs, 1.0, "silence alone");
        let ready = |ms| Some(Duration::from_millis(ms));
        assert_eq!(point(ready(500)).false_cut_offs, 0.0, "goes on after {resumes:?}");
        assert!((500.0..520.0).contains(&point(ready(500)).endpoint_ms), "{:?}", point(ready(500)));
        assert!((300.0..330.0).contains(&point(ready(0)).endpoint_ms), "not before silence_min");
        assert!((1_200.0..1_350.0).contains(&point(ready(9_000)).endpoint_ms), "and not for ever");
    }

    #[test]
    fn a_sound_is_cut_where_the_finger_goes_up() {
        let sound = Clip { rate: 16_000, samples: vec![0.5; 16_000] };
        assert_eq!(until(&sound, Duration::from_millis(250)).samples.len(), 4_000);
        assert_eq!(until(&sound, Duration::from_secs(9)).samples.len(), 16_000);
    }
}
