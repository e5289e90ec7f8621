//! The capture time of every sample.
//!
//! A device's clock and the system's differ by some parts in a million, and one look at a device is blurred by as
//! much as a period: so time runs on with the sample count, and follows the timestamps slowly. Where sound was lost
//! the timestamps say how much.

use std::time::Duration;

use crate::clock::Mono;

/// A gap up to this long is filled with silence, so that whoever counts samples keeps the time.
const FILL: Duration = Duration::from_secs(1);
/// Timestamps and sample count that are this far apart without a known loss: something was lost all the same.
const ASTRAY: Duration = Duration::from_millis(100);
/// Smallest known loss that is filled.
const SMALLEST: Duration = Duration::from_millis(1);
/// How slowly time follows the timestamps: a 32nd of the difference with each block.
const FOLLOW: i64 = 32;

/// What to do before a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It follows the one before.
    On,
    /// So many samples are missing before it.
    Fill(usize),
    /// It stands alone: forget what came before.
    Anew,
}

/// Time by sample count.
#[derive(Debug)]
pub struct Timeline {
    rate: u32,
    /// Capture time of sample `count`; none before the first block.
    next: Option<Mono>,
}

impl Timeline {
    /// For a device of `rate` Hz.
    pub fn new(rate: u32) -> Self {
        Self { rate, next: None }
    }

    /// Takes the timestamp of the next block of `frames`; `gap` where sound was lost before it. Returns how it joins
    /// and the capture time of its first sample.
    pub fn block(&mut self, start: Mono, frames: usize, gap: bool) -> (Join, Mono) {
        let (join, first) = match self.next {
            None => (Join::Anew, start),
            Some(next) => {
                let apart = start.as_nanos() as i64 - next.as_nanos() as i64;
                let lost = Duration::from_nanos(apart.unsigned_abs());
                if lost > if gap { SMALLEST } else { ASTRAY } {
                    if apart > 0 && lost <= FILL {
                        (Join::Fill(((lost.as_nanos() * u128::from(self.rate)) / 1_000_000_000) as usize), start)
                    } else {
                        (Join::Anew, start)
                    }
                } else {
                    (Join::On, Mono::from_nanos(next.as_nanos().saturating_add_signed(apart / FOLLOW)))
                }
            }
        };
        self.next = Some(first + Duration::from_nanos(frames as u64 * 1_000_000_000 / u64::from(self.rate)));
        (join, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn blurred_timestamps_are_smoothed_and_drift_is_followed() {
        let mut line = Timeline::new(16_000);
        // Blocks of 10 ms from a clock that is 0.1 % slow, with a blur of ±4 ms.
        let (mut before, mut worst) = (None, 0.0f64);
        for n in 0..2000u64 {
            let truth = 1_000_000_000 + n * 10_010_000;
            let blur = [0i64, 3, -4, 1][n as usize % 4] * 1_000_000;
            let (join, first) = line.block(Mono::from_nanos(truth.saturating_add_signed(blur)), 160, false);
            assert!(n == 0 || join == Join::On);
            if n > 100 {
                worst = worst.max(first.ms_since(Mono::from_nanos(truth)).abs());
            }
            assert!(before.is_none_or(|b| first > b));
            before = Some(first);
        }
        assert!(worst < 1.0, "{worst} ms");
    }

    #[test]
    fn a_loss_is_filled_by_the_timestamps_and_a_long_one_begins_anew() {
        let mut line = Timeline::new(16_000);
        assert_eq!(line.block(ms(100), 160, false), (Join::Anew, ms(100)));
        assert_eq!(line.block(ms(160), 160, true), (Join::Fill(800), ms(160)));
        assert_eq!(line.block(ms(170), 160, true), (Join::On, ms(170)));
        assert_eq!(line.block(ms(2000), 160, true), (Join::Anew, ms(2000)));
        // A clock that goes back is believed.
        assert_eq!(line.block(ms(500), 160, false), (Join::Anew, ms(500)));
    }
}
