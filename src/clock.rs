//! The one time of Elio: CLOCK_MONOTONIC, in nanoseconds.
//!
//! ALSA and GPIO stamp their events in the same clock, so an instant of the hardware and one of the program can be
//! subtracted. Code that decides by time takes a [`Clock`], so that a test can move it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// An instant: nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    /// The instant `nanos` nanoseconds after the clock's start (boot, on Linux).
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Now, by the system's clock.
    pub fn now() -> Self {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // Both parts of CLOCK_MONOTONIC are never negative.
        Self((t.tv_sec as u64) * 1_000_000_000 + t.tv_nsec as u64)
    }

    /// The time from `earlier` to `self`; zero where `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time from `self` to now, by the system's clock.
    pub fn elapsed(self) -> Duration {
        Mono::now().since(self)
    }

    /// Milliseconds from `earlier` to `self`; negative where `earlier` is later.
    pub fn ms_since(self, earlier: Mono) -> f64 {
        (self.0 as i128 - earlier.0 as i128) as f64 / 1e6
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(d.as_nanos() as u64))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, d: Duration) -> Mono {
        Mono(self.0.saturating_sub(d.as_nanos() as u64))
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Mono;

    /// Resolves once the clock shows `at`. Must be awaited within a tokio runtime.
    fn sleep_until(&self, at: Mono) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}

/// The system's CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Mono {
        Mono::now()
    }
}

/// A clock that stands still until it is moved; clones share the hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Mono>>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Mono) -> Self {
        Self(Arc::new(watch::Sender::new(start)))
    }

    /// Moves the hand forward, and wakes who sleeps by it.
    pub fn advance(&self, d: Duration) {
        self.0.send_modify(|hand| *hand = *hand + d);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Mono {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'_, ()> {
        let mut hand = self.0.subscribe();
        Box::pin(async move {
            // The sender lives as long as `self`.
            let _ = hand.wait_for(|now| *now >= at).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_keep_their_sign_in_milliseconds_only() {
        let a = Mono::from_nanos(5_000_000);
        let b = a + Duration::from_millis(3);
        assert_eq!(b.ms_since(a), 3.0);
        assert_eq!(a.ms_since(b), -3.0);
        assert_eq!(a.since(b), Duration::ZERO);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Mono::from_nanos(1));
        let other = clock.clone();
        clock.advance(Duration::from_nanos(9));
        assert_eq!(other.now(), Mono::from_nanos(10));
    }

    #[tokio::test]
    async fn who_sleeps_by_a_manual_clock_wakes_when_it_is_moved_there() {
        let clock = ManualClock::at(Mono::from_nanos(0));
        let hand = clock.clone();
        let sleeper = tokio::spawn(async move { clock.sleep_until(Mono::from_nanos(9)).await });
        hand.advance(Duration::from_nanos(8));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_nanos(1));
        sleeper.await.unwrap();
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let first = SystemClock.now();
        assert!(SystemClock.now() >= first);
    }
}
