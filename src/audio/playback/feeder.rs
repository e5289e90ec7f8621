//! The callers' side of the speaker: converts a turn's sound to the device's rate and queues it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use rtrb::Producer;

use super::Shared;
use super::mixer::{Chunk, Part};
use crate::audio::convert::Resampler;

/// Chunks in the ring; what does not fit waits with the feeder until the reporter moves it on.
pub const RING: usize = 256;
/// Serves the turn that was begun last.
pub struct Feeder {
    ring: Producer<Chunk>,
    overflow: VecDeque<Chunk>,
    shared: Arc<Shared>,
    epochs: u64,
    /// The turn that takes sound; none before the first, after `finish` and after `cancel`.
    open: Option<u64>,
    /// The turn that may still play, though it may be finished.
    live: Option<u64>,
    /// The converter in use comes last; those of other voices are kept, for they take a millisecond or two to make.
    resamplers: Vec<Resampler>,
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feeder {{ open: {:?}, live: {:?} }}", self.open, self.live)
    }
}

impl Feeder {
    pub fn new(ring: Producer<Chunk>, shared: Arc<Shared>) -> Self {
        Self { ring, overflow: VecDeque::new(), shared, epochs: 0, open: None, live: None, resamplers: Vec::new() }
    }

    pub fn begin(&mut self, turn: u64) {
        self.epochs += 1;
        (self.open, self.live) = (Some(turn), Some(turn));
        if let Some(resampler) = self.resamplers.last_mut() {
            resampler.reset();
        }
        self.shared.live.store(self.epochs, Release);
        self.queue(turn, Part::Begin);
        self.deliver();
    }

    pub fn push(&mut self, turn: u64, rate: u32, samples: &[f32]) {
        let rates = (rate, self.shared.rate.load(Relaxed));
        // Of a device that was never there nobody knows the rate, and nothing is heard from it.
        if self.open != Some(turn) || rates.0 == 0 || rates.1 == 0 {
            return;
        }
        if self.resamplers.last().is_none_or(|r| r.rates() != rates) {
            // Another voice within the turn: the one before ends with what its converter still holds.
            self.flush(turn);
            let known = self.resamplers.iter().position(|r| r.rates() == rates);
            let resampler = known.map_or_else(|| Resampler::new(rates.0, rates.1), |at| self.resamplers.remove(at));
            // A device that returned with another rate leaves no use for the others.
            self.resamplers.retain(|r| r.rates().1 == rates.1);
            self.resamplers.push(resampler);
        }
        let mut sound = Vec::new();
        if let Some(resampler) = self.resamplers.last_mut() {
            resampler.push(samples, &mut sound);
        }
        self.queue(turn, Part::Sound(sound));
        self.deliver();
    }

    pub fn finish(&mut self, turn: u64) {
        if self.open != Some(turn) {
            return;
        }
        self.flush(turn);
        self.open = None;
        self.queue(turn, Part::End);
        self.deliver();
    }

    pub fn cancel(&mut self, turn: u64) {
        if self.live != Some(turn) {
            return;
        }
        (self.open, self.live) = (None, None);
        self.shared.live.store(0, Release);
        self.overflow.retain(|chunk| matches!(chunk.part, Part::Begin));
        self.shared.device_bell.ring();
    }

    /// Moves what waits into the ring, as far as there is room, and wakes the device.
    pub fn deliver(&mut self) {
        while let Some(chunk) = self.overflow.pop_front() {
            if let Err(rtrb::PushError::Full(chunk)) = self.ring.push(chunk) {
                self.overflow.push_front(chunk);
                break;
            }
        }
        self.shared.device_bell.ring();
    }

    fn flush(&mut self, turn: u64) {
        if let Some(resampler) = self.resamplers.last_mut() {
            let mut sound = Vec::new();
            resampler.flush(&mut sound);
            resampler.reset();
            self.queue(turn, Part::Sound(sound));
        }
    }

    fn queue(&mut self, turn: u64, part: Part) {
        if !matches!(&part, Part::Sound(sound) if sound.is_empty()) {
            self.overflow.push_back(Chunk { epoch: self.epochs, turn, part });
        }
    }
}
