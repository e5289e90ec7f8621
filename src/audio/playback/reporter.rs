//! Takes the device thread's notes: frees what was played, makes events of the rest, and moves the feeder's overflow
//! on as the ring empties.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtrb::Consumer;
use tokio::sync::mpsc::UnboundedSender;

use super::feeder::Feeder;
use super::mixer::Note;
use super::{PlaybackEvent, Shared};

/// Notes in the ring.
pub const RING: usize = 1024;

/// The thread's state.
pub struct Reporter {
    shared: Arc<Shared>,
    feeder: Arc<Mutex<Feeder>>,
    notes: Consumer<Note>,
    events: UnboundedSender<PlaybackEvent>,
    /// The fill level that was told last, in nanoseconds; 0 before the device is open.
    fill: u64,
}

impl Reporter {
    pub fn new(
        shared: Arc<Shared>,
        feeder: Arc<Mutex<Feeder>>,
        notes: Consumer<Note>,
        events: UnboundedSender<PlaybackEvent>,
    ) -> Self {
        Self { shared, feeder, notes, events, fill: 0 }
    }

    /// Works until the handle is dropped.
    pub fn run(mut self) {
        while !self.shared.health.stop.load(Relaxed) {
            if !self.shared.reporter_bell.wait(Duration::from_secs(1)) {
                continue;
            }
            while let Ok(note) = self.notes.pop() {
                self.take(note);
            }
            self.tell_fill();
            self.feeder.lock().unwrap_or_else(PoisonError::into_inner).deliver();
        }
    }

    fn tell_fill(&mut self) {
        let fill = self.shared.fill.load(Relaxed);
        let before = std::mem::replace(&mut self.fill, fill);
        if before == 0 || before == fill {
            return;
        }
        let why = if fill > before { "ran dry" } else { "has not run dry for long" };
        let ms = |nanos: u64| nanos as f64 / 1e6;
        log::info!("the speaker {why}: {:.1} ms instead of {:.1} ms are kept queued in silence", ms(fill), ms(before));
    }

    fn take(&self, note: Note) {
        let event = match note {
            Note::Played(sound) => return drop(sound),
            Note::Starved => {
                self.shared.starved.fetch_add(1, Relaxed);
                return;
            }
            Note::FirstAudible { turn, at } => PlaybackEvent::FirstAudible { turn, at },
            Note::Ended { turn, at, heard, completed, starved, underruns } => {
                PlaybackEvent::Ended { turn, at, heard, completed, starved, underruns }
            }
        };
        // Nobody listens any more: the handle is about to be dropped.
        let _ = self.events.send(event);
    }
}
