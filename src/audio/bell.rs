//! An eventfd that wakes a device thread: it lies in the same poll as the PCM's descriptors, so ringing it takes no
//! lock, on either side.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::AudioError;

/// A bell: any thread rings, one thread waits.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A silent bell; the error is the system's lack of descriptors.
    pub fn new() -> Result<Self, AudioError> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(Self)
            .map_err(|e| AudioError::Thread { name: "eventfd", why: e.to_string() })
    }

    /// Wakes the thread that waits, now or at its next wait.
    pub fn ring(&self) {
        // It fails only where the counter is full, and then the bell rings already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Silences the bell; true where it had rung.
    pub fn clear(&self) -> bool {
        rustix::io::read(&self.0, &mut [0u8; 8]).is_ok()
    }

    /// Waits until it rings, for at most `limit`; true where it rang (and it is silent again).
    pub fn wait(&self, limit: Duration) -> bool {
        let limit = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        // A signal ends the poll early, and then nothing has rung: the caller's loop comes again.
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit));
        self.clear()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost_and_rings_once() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(60)));
        assert!(!bell.wait(Duration::ZERO));
    }
}
