//! A turn of made-up sound: when runs begin, which are stopped, and which text is the last one.

use super::*;
use crate::clock::Mono;

const MS: usize = RATE / 1_000;

/// A turn whose person hums as long as [`Turn::say`] says; the acoustic end is told as the endpointing would.
struct Turn {
    hearing: Hearing,
    cancel: CancellationToken,
    length: usize,
}

impl Turn {
    fn new(partials: Partials) -> Self {
        Turn { hearing: Hearing::new(partials), cancel: CancellationToken::new(), length: 0 }
    }

    /// Sound of `ms` in steps of 20 ms.
    fn hear(&mut self, ms: usize, loud: bool) {
        for _ in 0..ms / 20 {
            let sound = (self.length..self.length + 20 * MS).map(|n| ((n % 80) as f32 / 80.0 - 0.5) * 0.4);
            let sound: Vec<f32> = sound.map(|x| if loud { x } else { x / 2_000.0 }).collect();
            self.hearing.push(&sound);
            self.length += sound.len();
            if loud {
                self.hearing.spoken(self.length);
            }
            self.hearing.make_way();
        }
    }

    fn say(&mut self, ms: usize) {
        self.hear(ms, true);
    }

    fn wait(&mut self, ms: usize) {
        self.hear(ms, false);
    }

    /// Begins the run that is due; its clip's length in ms.
    fn begin(&mut self) -> Option<usize> {
        self.hearing.begin(&self.cancel).map(|(clip, _)| clip.samples.len() / MS)
    }

    fn heard(&mut self, text: &str) -> Partial {
        self.hearing.heard(Ok(transcript(text))).unwrap().clone()
    }

    /// The turn is over, but for the last `less` ms: its text, or the length of the run that begins for it.
    fn end(&mut self, spoken: usize, less: usize) -> Result<Transcript, Option<usize>> {
        self.hearing.close();
        match self.hearing.answer(spoken, self.length - less * MS) {
            Some(answer) => Ok(answer.unwrap()),
            None => Err(self.begin()),
        }
    }

    fn stopped(&self) -> bool {
        self.hearing.running.as_ref().is_some_and(|running| running.cancel.is_cancelled())
    }
}

fn transcript(text: &str) -> Transcript {
    Transcript {
        text: text.into(),
        language: Language::En,
        compute: Duration::from_millis(40),
        audio: Duration::ZERO,
        audio_ctx: 112,
        finished: Mono::from_nanos(7),
    }
}

const BEAT: Partials = Partials::Steady(Duration::from_millis(300));

#[test]
fn the_choice_is_by_what_a_run_costs() {
    let measured = |ms| Partials::measured(Duration::from_millis(ms));
    assert_eq!(measured(10), Partials::Steady(Duration::from_millis(200)));
    assert_eq!(measured(250), Partials::Steady(Duration::from_millis(750)));
    assert_eq!(measured(251), Partials::Pauses);
    assert_eq!(measured(1_001), Partials::Off);
    assert_eq!(BEAT.to_string(), "while the person speaks, every 300 ms");
}

#[test]
fn nothing_is_heard_before_somebody_speaks() {
    let mut turn = Turn::new(BEAT);
    turn.wait(2_000);
    assert_eq!(turn.begin(), None);
    turn.say(280);
    assert_eq!(turn.begin(), None, "the beat counts from the first word");
    turn.say(40);
    assert_eq!(turn.begin(), Some(2_320), "all the sound, with what came before the first word");
}

#[test]
fn the_beat_never_queues_two_and_slows_with_the_machine() {
    let mut turn = Turn::new(BEAT);
    turn.say(400);
    assert!(turn.begin().is_some());
    turn.say(800);
    assert_eq!(turn.begin(), None, "one is on its way");
    turn.hearing.heard(Ok(Transcript { compute: Duration::from_millis(400), ..transcript("a b") })).unwrap();
    assert_eq!(turn.begin(), None, "1.2 s of new sound are needed at 400 ms a run");
    turn.say(400);
    assert_eq!(turn.begin(), Some(1_600));
    assert!(!turn.stopped());
}

#[test]
fn a_silence_is_given_the_way() {
    let mut turn = Turn::new(BEAT);
    turn.say(600);
    assert_eq!(turn.begin(), Some(600));
    turn.wait(60);
    assert!(!turn.stopped());
    turn.wait(20);
    assert!(turn.stopped(), "it does not cover the last word");
    assert!(turn.hearing.heard(Err(SttError::Cancelled)).is_none());
    assert_eq!(turn.begin(), Some(680));
    turn.wait(400);
    assert!(!turn.stopped(), "it covers all that was said");
    turn.heard("all of it");
    assert_eq!(turn.hearing.settled().unwrap().transcript.text, "all of it");
    turn.wait(400);
    assert_eq!(turn.begin(), None, "nothing new");
    turn.say(20);
    assert_eq!(turn.hearing.settled(), None);
}

#[test]
fn a_slow_machine_hears_in_pauses_and_a_slower_one_at_the_end() {
    let mut turn = Turn::new(Partials::Pauses);
    turn.say(3_000);
    turn.wait(180);
    assert_eq!(turn.begin(), None);
    turn.wait(20);
    assert_eq!(turn.begin(), Some(3_200));
    turn.say(20);
    assert!(turn.stopped(), "the person went on: it only holds up what comes");

    let mut turn = Turn::new(Partials::Off);
    turn.hearing.hurry();
    turn.say(1_000);
    turn.wait(2_000);
    assert_eq!(turn.begin(), None);
    assert_eq!(turn.end(1_000 * MS, 0), Err(Some(3_000)));
}

#[test]
fn an_announced_end_needs_less_silence() {
    let mut turn = Turn::new(Partials::Pauses);
    turn.say(1_000);
    turn.hearing.hurry();
    turn.wait(60);
    assert_eq!(turn.begin(), None, "too little to hear a word's end");
    turn.wait(20);
    assert_eq!(turn.begin(), Some(1_080));
}

#[test]
fn words_are_stable_where_two_runs_agree() {
    let mut turn = Turn::new(BEAT);
    for (text, stable) in [("What is", 0), ("what is the feather", 2), ("What is the weather, like", 3), ("Hat", 0)] {
        turn.say(400);
        assert!(turn.begin().is_some());
        assert_eq!(turn.heard(text).stable_words, stable, "{text}");
    }
}

#[test]
fn the_last_text_is_a_partials_only_where_silence_alone_came_after_it() {
    let said = |partial_at: usize, more: bool| {
        let mut turn = Turn::new(BEAT);
        turn.wait(400);
        turn.say(600);
        turn.wait(partial_at);
        assert!(turn.hearing.answer(turn.hearing.spoken, turn.length).is_none());
        assert!(turn.begin().is_some());
        turn.heard("partial");
        if more {
            turn.say(40);
        }
        turn.wait(400);
        let spoken = turn.hearing.spoken;
        turn.end(spoken, 100).map(|transcript| (transcript.text, transcript.audio.as_millis()))
    };
    assert_eq!(said(80, false), Ok(("partial".into(), 1_380)));
    assert_eq!(said(60, false), Err(Some(1_360)), "too little silence to hear a word's end");
    assert_eq!(said(80, true), Err(Some(1_420)), "words came after it");
}

#[test]
fn a_sound_that_the_endpointing_missed_is_heard_too() {
    let mut turn = Turn::new(BEAT);
    turn.wait(400);
    turn.say(600);
    turn.wait(100);
    assert!(turn.begin().is_some());
    turn.heard("partial");
    turn.wait(20);
    let spoken = turn.hearing.spoken;
    turn.say(60);
    turn.wait(200);
    assert_eq!(turn.end(spoken, 0), Err(Some(1_380)));
}

#[test]
fn the_end_waits_for_a_run_that_covers_it_and_stops_another() {
    let mut turn = Turn::new(BEAT);
    turn.wait(400);
    turn.say(600);
    assert!(turn.begin().is_some());
    let spoken = turn.hearing.spoken;
    assert_eq!(turn.end(spoken, 0), Err(None), "it covers the whole clip");
    turn.wait(60);
    assert_eq!(turn.end(spoken, 0), Err(None));
    assert!(turn.stopped());
    assert!(turn.hearing.heard(Err(SttError::Cancelled)).is_none());
    assert_eq!(turn.begin(), Some(1_060));
    turn.heard("all");
    turn.say(1_000);
    assert_eq!(turn.begin(), None, "nothing begins of itself after the end");
}

#[test]
fn what_ended_as_a_sentence_long_ago_is_heard_no_more() {
    let mut turn = Turn::new(BEAT);
    turn.wait(400);
    turn.say(11_000);
    turn.wait(100);
    assert_eq!(turn.begin(), Some(11_500));
    turn.heard("A long story.");
    turn.say(400);
    assert_eq!(turn.begin(), Some(400), "the tail alone");
    let partial = turn.heard("And its end.");
    assert_eq!((partial.transcript.text.as_str(), partial.stable_words), ("A long story. And its end.", 3));
    assert_eq!(partial.covers, turn.length);
    turn.say(40);
    assert!(turn.hearing.answer(turn.length, turn.length).is_none(), "words came after it");
    let (clip, _) = turn.hearing.begin(&turn.cancel).unwrap();
    assert_eq!((clip.samples.len(), clip.language), (440 * MS, Some(Language::En)));
    turn.heard("And its end now.");
    let whole = turn.end(turn.length, 0).unwrap();
    assert_eq!((whole.text.as_str(), whole.audio.as_millis()), ("A long story. And its end now.", 11_940));
}

#[test]
fn without_the_beat_the_silence_is_still_heard() {
    let mut turn = Turn::new(BEAT);
    turn.hearing.without_beat();
    turn.say(2_000);
    assert_eq!(turn.begin(), None);
    turn.wait(80);
    assert_eq!(turn.begin(), Some(2_080));
}
