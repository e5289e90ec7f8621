//! The sound from before the wake edge, kept in memory and bounded by time: nobody loses the first word.

use std::collections::VecDeque;
use std::time::Duration;

use super::{FRAME, Frame, RATE};
use crate::clock::Mono;

/// The last frames, up to a duration.
#[derive(Debug)]
pub struct PreRoll {
    frames: VecDeque<Frame>,
    most: usize,
}

impl PreRoll {
    /// Keeps at least `length` of sound (rounded up to a whole frame).
    pub fn new(length: Duration) -> Self {
        let samples = length.as_secs_f64() * f64::from(RATE);
        let most = (samples / FRAME as f64).ceil() as usize;
        Self { frames: VecDeque::with_capacity(most + 1), most }
    }

    /// Adds the newest frame; the oldest beyond the length goes.
    pub fn push(&mut self, frame: Frame) {
        self.frames.push_back(frame);
        while self.frames.len() > self.most {
            self.frames.pop_front();
        }
    }

    /// The kept frames that have sound at or after `instant`, oldest first.
    pub fn since(&self, instant: Mono) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(move |frame| frame.end() > instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u64) -> Frame {
        Frame { start: Mono::from_nanos(n * 16_000_000), samples: [0.0; FRAME], speech: 0.0, voiced_end: None }
    }

    #[test]
    fn it_keeps_its_length_in_order_and_gives_what_ends_after_an_instant() {
        let mut ring = PreRoll::new(Duration::from_millis(500));
        for n in 0..100 {
            ring.push(frame(n));
        }
        let kept: Vec<u64> = ring.since(Mono::from_nanos(0)).map(|f| f.start.as_nanos() / 16_000_000).collect();
        assert_eq!(kept, (68..100).collect::<Vec<_>>());
        // Frame 90 ends exactly there; frame 91 is the first with sound after it.
        let late: Vec<u64> =
            ring.since(Mono::from_nanos(91 * 16_000_000)).map(|f| f.start.as_nanos() / 16_000_000).collect();
        assert_eq!(late, (91..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_length_of_zero_keeps_nothing() {
        let mut ring = PreRoll::new(Duration::ZERO);
        ring.push(frame(1));
        assert_eq!(ring.since(Mono::from_nanos(0)).count(), 0);
    }
}
