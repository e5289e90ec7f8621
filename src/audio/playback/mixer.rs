//! What the speaker says next, sample by sample: the live turn's sound, a fade, or silence. Runs in the device
//! thread, so it allocates and frees nothing: what was played goes back through the ring of notes.

use std::sync::atomic::{AtomicU64, Ordering::Acquire};
use std::time::Duration;

use rtrb::{Consumer, Producer};

use crate::clock::Mono;

/// First sample of a turn that counts as audible: −50 dBFS.
pub const AUDIBLE: f32 = 0.003_162_277_7;
/// Length of the fade of a cancelled turn.
const FADE: Duration = Duration::from_millis(5);
/// Room that the notes of one step need.
const NOTES: usize = 4;

/// A piece of a turn, in the order in which it was pushed.
#[derive(Debug)]
pub struct Chunk {
    /// Which `begin` it belongs to.
    pub epoch: u64,
    /// The caller's number of the turn.
    pub turn: u64,
    pub part: Part,
}

/// What a chunk says.
#[derive(Debug)]
pub enum Part {
    /// The turn begins.
    Begin,
    /// Mono at the device's rate.
    Sound(Vec<f32>),
    /// Nothing more comes.
    End,
}

/// What the device thread tells the reporter.
#[derive(Debug)]
pub enum Note {
    /// To be freed.
    Played(Vec<f32>),
    FirstAudible {
        turn: u64,
        at: Mono,
    },
    Starved,
    Ended {
        turn: u64,
        at: Mono,
        heard: Duration,
        completed: bool,
        starved: u32,
        underruns: u32,
    },
}

/// The turn that plays.
struct Turn {
    epoch: u64,
    turn: u64,
    /// Frames of its sound that were played.
    heard: u64,
    audible: bool,
    /// Its last sample was followed by a gap.
    starving: bool,
    starved: u32,
    underruns: u32,
    /// Frames that the fade still takes, once it was cancelled.
    fade: Option<usize>,
}

/// Takes chunks, gives samples.
pub struct Mixer {
    queue: Consumer<Chunk>,
    notes: Producer<Note>,
    rate: u32,
    /// Frames of a whole fade.
    fade: usize,
    turn: Option<Turn>,
    /// The sound that plays, and how far.
    sound: Option<(Vec<f32>, usize)>,
    /// The last sample: a fade without sound ends from here.
    last: f32,
    noted: bool,
}

impl Mixer {
    pub fn new(queue: Consumer<Chunk>, notes: Producer<Note>) -> Self {
        Self { queue, notes, rate: 0, fade: 0, turn: None, sound: None, last: 0.0, noted: false }
    }

    /// Sets the device's rate, in Hz, when it was opened.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
        self.fade = (FADE.as_nanos() as u64 * u64::from(rate) / 1_000_000_000) as usize;
    }

    /// The device ran dry.
    pub fn underrun(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.underruns += 1;
        }
    }

    /// Takes what begins and ends until there is sound; `at` is when the next sample leaves the converter.
    pub fn look(&mut self, at: Mono, live: &AtomicU64) {
        self.overtake(live);
        while self.quiet() && self.notes.slots() >= NOTES && self.next(at, live) {}
    }

    /// No sound is at hand: what is queued now would be silence.
    pub fn quiet(&self) -> bool {
        self.sound.is_none() && self.turn.as_ref().is_none_or(|turn| turn.fade.is_none())
    }

    /// A turn plays, or waits for sound of its own.
    pub fn speaking(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.fade.is_none())
    }

    /// Notes were written since the last call.
    pub fn noted(&mut self) -> bool {
        std::mem::take(&mut self.noted)
    }

    /// A turn that is not live any more begins to fade.
    fn overtake(&mut self, live: &AtomicU64) {
        if let Some(turn) = &mut self.turn
            && turn.epoch != live.load(Acquire)
            && turn.fade.is_none()
        {
            turn.fade = Some(self.fade);
        }
    }

    /// Fills the begin of `out`, whose first sample leaves the converter at `at`, with what there is to play; gives the
    /// number of samples. `live` is the epoch that may play.
    pub fn fill(&mut self, out: &mut [f32], at: Mono, live: &AtomicU64) -> usize {
        let rate = self.rate.max(1);
        let instant = |done: usize| at + Duration::from_nanos(done as u64 * 1_000_000_000 / u64::from(rate));
        let mut done = 0;
        // A reporter that does not run must not lose a note: silence until it does.
        while done < out.len() && self.notes.slots() >= NOTES {
            self.overtake(live);
            let fading = self.turn.as_ref().and_then(|turn| turn.fade);
            let spent = fading == Some(0) || (fading.is_some() && self.sound.is_none() && self.last == 0.0);
            if spent {
                self.end(instant(done), false);
            } else if self.sound.is_some() {
                done += self.play(&mut out[done..], instant(done));
            } else if self.next(instant(done), live) {
                // A chunk was taken: look again.
            } else if fading.is_some() {
                done += self.fade_out(&mut out[done..]);
            } else if self.turn.as_ref().is_none_or(|turn| turn.epoch == live.load(Acquire)) {
                break;
            }
        }
        done
    }

    /// Fills `out` with silence, where there is nothing to play; inside a turn that is a gap.
    pub fn pad(&mut self, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        out.fill(0.0);
        self.last = 0.0;
        if let Some(turn) = &mut self.turn
            && turn.heard > 0
            && !turn.starving
        {
            turn.starving = true;
            turn.starved += 1;
            self.note(Note::Starved);
        }
    }

    /// Room was looked for before.
    fn note(&mut self, note: Note) {
        let _ = self.notes.push(note);
        self.noted = true;
    }

    /// Plays from the sound at hand; returns the number of samples.
    fn play(&mut self, out: &mut [f32], at: Mono) -> usize {
        let (Some(turn), Some((sound, place))) = (&mut self.turn, &mut self.sound) else { return 0 };
        let rest = &sound[*place..];
        let count = rest.len().min(out.len()).min(turn.fade.unwrap_or(usize::MAX));
        let out = &mut out[..count];
        out.copy_from_slice(&rest[..count]);
        if let Some(left) = &mut turn.fade {
            for (n, value) in out.iter_mut().enumerate() {
                *value *= (*left - n) as f32 / self.fade as f32;
            }
            *left -= count;
        } else if !turn.audible
            && let Some(first) = out.iter().position(|value| value.abs() > AUDIBLE)
        {
            turn.audible = true;
            let at = at + Duration::from_nanos(first as u64 * 1_000_000_000 / u64::from(self.rate.max(1)));
            let _ = self.notes.push(Note::FirstAudible { turn: turn.turn, at });
            self.noted = true;
        }
        turn.starving = false;
        turn.heard += count as u64;
        self.last = out.last().copied().unwrap_or(0.0);
        *place += count;
        if *place == sound.len() {
            self.drop_sound();
        }
        count
    }

    /// The device is gone: the turn ends here, and what is queued of any turn is dropped.
    pub fn discard(&mut self, at: Mono) {
        self.last = 0.0;
        while self.notes.slots() >= NOTES {
            self.end(at, false);
            let Ok(chunk) = self.queue.pop() else { break };
            match chunk.part {
                Part::Begin => self.note_unheard(chunk.turn, at),
                Part::Sound(sound) => self.note(Note::Played(sound)),
                Part::End => {}
            }
        }
    }

    /// Takes the next chunk; false where there is none for now.
    fn next(&mut self, at: Mono, live: &AtomicU64) -> bool {
        let Ok(chunk) = self.queue.peek() else { return false };
        // Read after the chunk was seen: `begin` stores the epoch before it queues anything of it.
        let live = live.load(Acquire);
        let mine = self.turn.as_ref().is_some_and(|turn| turn.epoch == chunk.epoch);
        if self.turn.is_some() && !mine && chunk.epoch == live {
            // The next turn waits until this one has faded.
            return false;
        }
        let Ok(chunk) = self.queue.pop() else { return false };
        match chunk.part {
            Part::Begin if self.turn.is_none() && chunk.epoch == live => self.open(chunk.epoch, chunk.turn),
            // Cancelled or overtaken before it played.
            Part::Begin => self.note_unheard(chunk.turn, at),
            Part::Sound(sound) if mine => self.sound = Some((sound, 0)),
            Part::Sound(sound) => self.note(Note::Played(sound)),
            Part::End if mine => {
                let completed = self.turn.as_ref().is_some_and(|turn| turn.fade.is_none());
                self.end(at, completed);
            }
            Part::End => {}
        }
        true
    }

    fn note_unheard(&mut self, turn: u64, at: Mono) {
        let heard = Duration::ZERO;
        self.note(Note::Ended { turn, at, heard, completed: false, starved: 0, underruns: 0 });
    }

    fn open(&mut self, epoch: u64, turn: u64) {
        self.turn =
            Some(Turn { epoch, turn, heard: 0, audible: false, starving: false, starved: 0, underruns: 0, fade: None });
    }

    fn end(&mut self, at: Mono, completed: bool) {
        self.drop_sound();
        if let Some(turn) = self.turn.take() {
            let heard = Duration::from_nanos(turn.heard * 1_000_000_000 / u64::from(self.rate.max(1)));
            let Turn { turn, starved, underruns, .. } = turn;
            self.note(Note::Ended { turn, at, heard, completed, starved, underruns });
        }
    }

    fn drop_sound(&mut self) {
        if let Some((sound, _)) = self.sound.take() {
            self.note(Note::Played(sound));
        }
    }

    /// A cancelled turn without sound goes from its last sample to silence, for as long as the fade takes.
    fn fade_out(&mut self, out: &mut [f32]) -> usize {
        let Some(Turn { fade: Some(left), .. }) = &mut self.turn else { return 0 };
        let count = (*left).min(out.len());
        let from = self.last;
        for (n, to) in out[..count].iter_mut().enumerate() {
            *to = from * (1.0 - (n + 1) as f32 / *left as f32);
        }
        *left -= count;
        self.last = if *left == 0 { 0.0 } else { out[..count].last().copied().unwrap_or(0.0) };
        count
    }
}
