//! How much silence is kept queued while there is no sound: sound that comes waits behind it. As little as this machine
//! holds without underruns, which is found out by trying.

use std::time::Duration;

use crate::audio::pcm::Format;
use crate::clock::Mono;

/// After this long without an underrun a period less is tried…
const CALM: Duration = Duration::from_secs(600);
/// … and after twice as long each time that it was too little, up to this: a device that cannot do with less must not
/// click every ten minutes.
const CALM_MOST: Duration = Duration::from_secs(24 * 3600);

/// The fill level of one opening of the device.
pub struct Fill {
    format: Format,
    /// Frames: [`Format::idle`] to [`Format::target`].
    idle: usize,
    /// The last underrun, or the last change; none before the first look.
    since: Option<Mono>,
    calm: Duration,
    /// The last change was a fall.
    fell: bool,
}

impl Fill {
    pub fn new(format: Format) -> Self {
        Self { format, idle: format.idle(), since: None, calm: CALM, fell: false }
    }

    /// Frames of silence to keep queued.
    pub fn idle(&self) -> usize {
        self.idle
    }

    /// Frames at which more silence is queued: a period less, so that sound waits behind one to two periods of it at
    /// the lowest level.
    pub fn low(&self) -> usize {
        self.idle.saturating_sub(self.format.period)
    }

    /// There is nothing left to raise.
    pub fn is_full(&self) -> bool {
        self.idle >= self.format.target
    }

    /// The device ran dry: a period more from now on. `at`: the last look at the device.
    pub fn ran_dry(&mut self, at: Mono) {
        self.idle = (self.idle + self.format.period).min(self.format.target);
        self.since = Some(at);
        if std::mem::take(&mut self.fell) {
            self.calm = (self.calm * 2).min(CALM_MOST);
        }
    }

    /// A look at the device, which plays on.
    pub fn well(&mut self, at: Mono) {
        let since = *self.since.get_or_insert(at);
        if at.since(since) >= self.calm && self.idle > self.format.idle() {
            self.idle = self.low().max(self.format.idle());
            (self.since, self.fell) = (Some(at), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::pcm::Sample;

    #[test]
    fn it_begins_low_rises_by_a_period_for_each_underrun_and_falls_again_after_a_calm() {
        let format = Format { rate: 48_000, channels: 1, sample: Sample::S16, period: 240, buffer: 1920, target: 1100 };
        let mut fill = Fill::new(format);
        let mut now = Mono::from_nanos(1_000_000_000_000);
        fill.well(now);
        assert_eq!((fill.idle(), fill.low()), (480, 240));
        let raised: Vec<usize> = (0..4)
            .map(|_| {
                now = now + Duration::from_secs(60);
                fill.ran_dry(now);
                fill.idle()
            })
            .collect();
        assert_eq!(raised, [720, 960, 1100, 1100]);
        assert!(fill.is_full());
        // Ten minutes from the last underrun, not from the first.
        now = now + Duration::from_secs(599);
        fill.well(now);
        assert_eq!(fill.idle(), 1100);
        let lowered: Vec<usize> = (0..4)
            .map(|_| {
                now = now + Duration::from_secs(600);
                fill.well(now);
                fill.idle()
            })
            .collect();
        assert_eq!(lowered, [860, 620, 480, 480]);
        // That was too little: the next try comes later.
        now = now + Duration::from_secs(1);
        fill.ran_dry(now);
        fill.well(now + Duration::from_secs(1_199));
        assert_eq!(fill.idle(), 720);
        fill.well(now + Duration::from_secs(1_200));
        assert_eq!(fill.idle(), 480);
    }
}
