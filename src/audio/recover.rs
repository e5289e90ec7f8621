//! What the loops of both directions do about a fault, each kind handled once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Bell;
use super::pcm::{Fault, Pcm};

/// Between two attempts to resume a device that still sleeps.
const RESUME_PAUSE: Duration = Duration::from_millis(20);
/// Attempts to resume before the device is prepared anew (1 s).
const RESUME_TRIES: u32 = 50;
/// Faults in a row, without sound between them, after which the device is given up.
const GIVE_UP: u32 = 8;
/// A wait that sees nothing of the device for this long is a fault: some USB devices stop without a word.
pub const STALL: Duration = Duration::from_millis(500);
/// First and longest pause between two attempts to open a device that is gone.
pub const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Counters that both directions share with the rest of the program.
#[derive(Debug, Default)]
pub struct Health {
    /// Overruns or underruns.
    pub xruns: AtomicU64,
    /// Suspends.
    pub suspends: AtomicU64,
    /// Times that the device went away.
    pub losses: AtomicU64,
    /// The device is open.
    pub present: AtomicBool,
    /// The threads are to end.
    pub stop: AtomicBool,
}

/// Counts faults in a row.
#[derive(Debug, Default)]
pub struct Recovery {
    in_a_row: u32,
}

impl Recovery {
    /// Sound passed: the device is well.
    pub fn well(&mut self) {
        self.in_a_row = 0;
    }

    /// Makes the device usable again. `Ok(true)`: it was prepared and is to be started; `Ok(false)`: it runs on.
    /// An error: it cannot be used any more, and is to be closed.
    pub fn recover<P: Pcm + ?Sized>(
        &mut self,
        pcm: &mut P,
        fault: Fault,
        bell: &Bell,
        health: &Health,
    ) -> Result<bool, Fault> {
        if fault == Fault::Again {
            return Ok(false);
        }
        self.in_a_row += 1;
        if fault == Fault::Gone || self.in_a_row > GIVE_UP {
            return Err(fault);
        }
        match fault {
            Fault::Xrun => {
                health.xruns.fetch_add(1, Relaxed);
            }
            Fault::Suspended => {
                health.suspends.fetch_add(1, Relaxed);
                for _ in 0..RESUME_TRIES {
                    match pcm.resume() {
                        Ok(()) => return Ok(false),
                        Err(Fault::Again) if !health.stop.load(Relaxed) => {
                            bell.wait(RESUME_PAUSE);
                        }
                        // ENOSYS: most devices cannot resume and want to be prepared.
                        Err(_) => break,
                    }
                }
            }
            Fault::Again | Fault::Gone | Fault::Os(_) => {}
        }
        match pcm.prepare() {
            Ok(()) => Ok(true),
            Err(Fault::Gone) => Err(Fault::Gone),
            Err(other) => {
                // A device that is being unplugged answers oddly for a moment before it says ENODEV.
                bell.wait(RESUME_PAUSE);
                if self.in_a_row >= GIVE_UP { Err(other) } else { Ok(true) }
            }
        }
    }
}
