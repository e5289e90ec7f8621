//! The feeder and the mixer by themselves, without threads or device, under any order of calls.

use std::collections::HashMap;

use proptest::prelude::*;

use super::mixer::{AUDIBLE, Mixer, Note};
use super::*;
use crate::audio::convert::tests::tone;
use crate::audio::fake::BASE;

/// A feeder and a mixer without threads or device, at 16 kHz.
struct Bench {
    feeder: Feeder,
    mixer: Mixer,
    notes: rtrb::Consumer<Note>,
    shared: Arc<Shared>,
    frames: u64,
}

impl Bench {
    fn new() -> Self {
        let shared = Arc::new(Shared::new().unwrap());
        shared.rate.store(16_000, Relaxed);
        let (chunks, queue) = rtrb::RingBuffer::new(feeder::RING);
        let (notes, reports) = rtrb::RingBuffer::new(reporter::RING);
        let mut mixer = Mixer::new(queue, notes);
        mixer.set_rate(16_000);
        Self { feeder: Feeder::new(chunks, shared.clone()), mixer, notes: reports, shared, frames: 0 }
    }

    fn fill(&mut self, frames: usize) -> Vec<f32> {
        let mut out = vec![9.0; frames];
        let at = BASE + Duration::from_nanos(self.frames * 62_500);
        let made = self.mixer.fill(&mut out, at, &self.shared.live);
        self.mixer.pad(&mut out[made..]);
        self.feeder.deliver();
        self.frames += frames as u64;
        out
    }

    fn notes(&mut self) -> Vec<Note> {
        std::iter::from_fn(|| self.notes.pop().ok()).filter(|n| !matches!(n, Note::Played(_))).collect()
    }
}

#[test]
fn a_turn_plays_whole_and_ends_once_with_its_instants() {
    let mut bench = Bench::new();
    bench.feeder.begin(7);
    let mut sound = vec![0.001; 80];
    sound.extend([0.5; 160]);
    bench.feeder.push(7, 16_000, &sound);
    bench.feeder.finish(7);
    let out = [bench.fill(160), bench.fill(160)].concat();
    assert_eq!(out[..240], sound);
    assert!(out[240..].iter().all(|&s| s == 0.0));
    let notes = bench.notes();
    let at = |frames: u64| BASE + Duration::from_nanos(frames * 62_500);
    assert!(matches!(notes[0], Note::FirstAudible { turn: 7, at: a } if a == at(80)), "{notes:?}");
    let heard = Duration::from_millis(15);
    assert!(
        matches!(notes[1], Note::Ended { turn: 7, at: a, heard: h, completed: true, starved: 0, .. }
            if a == at(240) && h == heard),
        "{notes:?}"
    );
    assert_eq!(notes.len(), 2);
}

#[test]
fn a_cancelled_turn_fades_and_the_next_begins_after_it() {
    let mut bench = Bench::new();
    bench.feeder.begin(1);
    bench.feeder.push(1, 16_000, &[0.5; 16_000]);
    assert!(bench.fill(160).iter().all(|&s| s == 0.5));
    bench.feeder.cancel(1);
    bench.feeder.push(1, 16_000, &[0.5; 100]);
    bench.feeder.begin(2);
    bench.feeder.push(2, 16_000, &[-0.25; 100]);
    bench.feeder.finish(2);
    let out = bench.fill(320);
    assert!(out.windows(2).take(79).all(|w| w[1] < w[0] && w[1] > 0.0), "a falling fade of 5 ms");
    assert!(out[80..180].iter().all(|&s| s == -0.25), "{:?}", &out[75..85]);
    assert!(out[180..].iter().all(|&s| s == 0.0));
    let ended: Vec<_> = bench
        .notes()
        .iter()
        .filter_map(|n| match n {
            Note::Ended { turn, completed, heard, .. } => Some((*turn, *completed, heard.as_micros())),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(1, false, 15_000), (2, true, 6_250)]);
}

#[test]
fn a_cancelled_turn_without_sound_at_hand_ends_softly_too() {
    let mut bench = Bench::new();
    bench.feeder.begin(1);
    bench.feeder.push(1, 16_000, &[0.5; 160]);
    bench.fill(160);
    bench.feeder.cancel(1);
    let out = bench.fill(160);
    assert!(out[0] < 0.5 && out[0] > 0.4 && out.windows(2).all(|w| w[1] <= w[0]) && out[80] == 0.0);
}

#[test]
fn a_gap_inside_a_turn_is_silence_and_is_counted_once() {
    let mut bench = Bench::new();
    bench.feeder.begin(3);
    // Before the first sound nothing is missing.
    bench.fill(160);
    for _ in 0..2 {
        bench.feeder.push(3, 16_000, &[0.1; 100]);
        bench.fill(160);
        bench.fill(160);
    }
    bench.feeder.finish(3);
    bench.fill(160);
    let notes = bench.notes();
    assert!(matches!(notes.last(), Some(Note::Ended { starved: 2, completed: true, .. })), "{notes:?}");
    assert_eq!(notes.iter().filter(|n| matches!(n, Note::Starved)).count(), 2);
}

#[test]
fn two_voices_of_different_rates_follow_each_other_in_one_turn() {
    let mut bench = Bench::new();
    bench.feeder.begin(1);
    bench.feeder.push(1, 22_050, &tone(440.0, 22_050, 0.2));
    bench.feeder.push(1, 16_000, &[0.25; 1600]);
    bench.feeder.finish(1);
    let out = bench.fill(6400);
    assert!(matches!(bench.notes().last(), Some(Note::Ended { heard, .. }) if *heard == Duration::from_millis(300)));
    assert!(out[3200..4800].iter().all(|&s| s == 0.25));
}

#[test]
fn more_chunks_than_the_ring_holds_wait_in_order() {
    let mut bench = Bench::new();
    bench.feeder.begin(1);
    let sound: Vec<f32> = (0..3 * feeder::RING).map(|n| n as f32 / 1e4).collect();
    for value in &sound {
        bench.feeder.push(1, 16_000, &[*value]);
    }
    bench.feeder.finish(1);
    let mut out = Vec::new();
    while out.len() < sound.len() {
        // The reporter moves the overflow on; a ring's worth is played at a time.
        out.extend(bench.fill(200));
        bench.notes();
    }
    assert_eq!(out[..sound.len()], sound);
}

/// Elio may start before its sound card is there.
#[test]
fn what_is_given_before_there_was_a_device_is_dropped_and_the_rest_is_heard() {
    let mut bench = Bench::new();
    bench.shared.rate.store(0, Relaxed);
    bench.feeder.begin(1);
    bench.feeder.push(1, 16_000, &[0.25; 160]);
    bench.shared.rate.store(16_000, Relaxed);
    bench.feeder.push(1, 16_000, &[0.5; 160]);
    bench.feeder.finish(1);
    let heard: Vec<f32> = bench.fill(480).into_iter().filter(|sample| sample.abs() > AUDIBLE).collect();
    assert_eq!(heard, [0.5; 160]);
}

#[derive(Clone, Debug)]
enum Call {
    Begin,
    Push(usize),
    PushStale(usize),
    Finish,
    Cancel,
    CancelStale,
    Fill(usize),
    Discard,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => Just(Call::Begin),
        6 => (1usize..700).prop_map(Call::Push),
        1 => (1usize..700).prop_map(Call::PushStale),
        2 => Just(Call::Finish),
        2 => Just(Call::Cancel),
        1 => Just(Call::CancelStale),
        9 => (1usize..400).prop_map(Call::Fill),
        1 => Just(Call::Discard),
    ]
}

proptest! {
    /// Each turn's sound is a constant of its own, so every sample that leaves tells whose it is.
    #[test]
    fn a_stale_turn_can_never_play_and_each_turn_ends_once(calls in prop::collection::vec(call(), 1..120)) {
        let mut bench = Bench::new();
        let value = |turn: u64| (turn + 1) as f32 / 512.0;
        let (mut begun, mut live) = (0u64, None);
        let mut fade_left = HashMap::<u64, usize>::new();
        let mut counted = HashMap::<u64, u64>::new();
        let mut notes = Vec::new();
        for call in calls {
            match call {
                Call::Begin => { begun += 1; live = Some(begun); bench.feeder.begin(begun) }
                Call::Push(n) => bench.feeder.push(begun, 16_000, &vec![value(begun); n]),
                Call::PushStale(n) => bench.feeder.push(begun + 1, 16_000, &vec![value(begun + 1); n]),
                Call::Finish => bench.feeder.finish(begun),
                Call::Cancel => { live = None; bench.feeder.cancel(begun) }
                Call::CancelStale => bench.feeder.cancel(begun.wrapping_sub(1)),
                Call::Discard => { bench.mixer.discard(BASE); }
                Call::Fill(n) => {
                    for sample in bench.fill(n) {
                        let whole = (1..=begun + 1).find(|&t| sample == value(t));
                        match whole {
                            _ if sample == 0.0 => {}
                            Some(turn) if Some(turn) == live => *counted.entry(turn).or_default() += 1,
                            // Anything else is a turn that fades: it has 5 ms for that.
                            _ => {
                                let stale = *fade_left.entry(begun).or_insert(0) + 1;
                                fade_left.insert(begun, stale);
                                prop_assert!(sample <= value(begun), "{sample}");
                                prop_assert!(stale <= 160, "{stale} samples of stale sound in turn {begun}");
                            }
                        }
                    }
                }
            }
            notes.extend(bench.notes());
        }
        bench.feeder.cancel(begun);
        for _ in 0..4 { bench.fill(400); notes.extend(bench.notes()); }
        let mut ended: Vec<u64> =
            notes.iter().filter_map(|n| if let Note::Ended { turn, .. } = n { Some(*turn) } else { None }).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (1..=begun).collect::<Vec<_>>());
    }
}
