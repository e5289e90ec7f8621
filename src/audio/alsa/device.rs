//! The few calls of an open ALSA PCM. Errno becomes a [`Fault`] here and nowhere else.

use std::os::fd::AsRawFd;
use std::time::Duration;

use alsa::Direction;
use alsa::pcm::{PCM, State};
use alsa::poll::{Descriptors, Flags, poll, pollfd};
use rustix::io::Errno;

use crate::audio::Bell;
use crate::audio::pcm::{CapturePcm, Fault, Format, Pcm, PlaybackPcm, Status, Wake};
use crate::clock::Mono;

/// Timestamps that are further than this from now are of another clock.
const ANOTHER_CLOCK: Duration = Duration::from_secs(1);

/// An open PCM.
pub struct Device {
    pcm: PCM,
    format: Format,
    /// The bell's descriptor, then the PCM's.
    descriptors: Vec<pollfd>,
    wanted: Flags,
    realtime: bool,
    governor: Governor,
}

impl Device {
    /// Takes a prepared PCM.
    pub fn new(pcm: PCM, format: Format, direction: Direction, name: &str) -> alsa::Result<Self> {
        let mut descriptors = vec![pollfd { fd: -1, events: Flags::IN.bits(), revents: 0 }];
        descriptors.extend(pcm.get()?);
        let wanted = match direction {
            Direction::Capture => Flags::IN,
            Direction::Playback => Flags::OUT,
        };
        let governor = Governor { until: Mono::now(), buffer: format.time(format.buffer) };
        Ok(Self { pcm, format, descriptors, wanted, realtime: name.starts_with("hw:"), governor })
    }

    /// The state as a fault, where it is one.
    fn state(&self) -> Result<(), Fault> {
        match self.pcm.state_raw() {
            state if state == State::XRun as i32 => Err(Fault::Xrun),
            state if state == State::Suspended as i32 => Err(Fault::Suspended),
            state if state == State::Disconnected as i32 => Err(Fault::Gone),
            _ => Ok(()),
        }
    }
}

fn fault(error: alsa::Error) -> Fault {
    match Errno::from_raw_os_error(error.errno().abs()) {
        Errno::AGAIN | Errno::INTR => Fault::Again,
        Errno::PIPE => Fault::Xrun,
        Errno::STRPIPE => Fault::Suspended,
        Errno::NODEV | Errno::NXIO => Fault::Gone,
        errno => Fault::Os(errno.raw_os_error()),
    }
}

impl Pcm for Device {
    fn format(&self) -> Format {
        self.format
    }

    fn realtime(&self) -> bool {
        self.realtime
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        let pause = self.governor.pause(Mono::now());
        if !pause.is_zero() {
            return if bell.wait(pause.min(limit)) { Wake::Pending } else { Wake::Ready };
        }
        self.descriptors[0].fd = bell.as_raw_fd();
        let woken = match poll(&mut self.descriptors, limit.as_millis() as i32) {
            Ok(woken) => woken,
            Err(e) => return if fault(e) == Fault::Again { Wake::Pending } else { Wake::Recover(fault(e)) },
        };
        let (rang, rest) = (self.descriptors[0].revents != 0, &self.descriptors[1..]);
        if rang {
            bell.clear();
        }
        // Plugins translate: what the descriptors say is not yet what the PCM means.
        let events = match self.pcm.revents(rest) {
            Ok(events) => events,
            Err(e) => return Wake::Recover(fault(e)),
        };
        if events.intersects(Flags::ERR | Flags::HUP | Flags::NVAL) {
            // POLLERR is how xrun, suspend and unplugging all look; the state tells them apart. Where it tells
            // nothing, a hang-up is the end, and a mere error mends itself at the next call.
            return match self.state() {
                Err(fault) => Wake::Recover(fault),
                Ok(()) if events.intersects(Flags::HUP | Flags::NVAL) => Wake::Recover(Fault::Gone),
                Ok(()) => Wake::Recover(Fault::Os(Errno::IO.raw_os_error())),
            };
        }
        match events.contains(self.wanted) {
            true => Wake::Ready,
            false if woken == 0 => Wake::Late,
            false => Wake::Pending,
        }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let status = self.pcm.status().map_err(fault)?;
        self.state()?;
        let now = Mono::now();
        let stamp = status.get_htstamp();
        let stamp = Mono::from_nanos((stamp.tv_sec as u64).saturating_mul(1_000_000_000) + stamp.tv_nsec as u64);
        let at = if stamp.since(now).max(now.since(stamp)) < ANOTHER_CLOCK { stamp } else { now };
        let ahead = !self.governor.pause(now).is_zero();
        let avail = if ahead { 0 } else { status.get_avail().max(0) as usize };
        // The delay is negative after an underrun that was not noticed yet.
        Ok(Status { avail, delay: status.get_delay().max(0) as usize, at })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.pcm.prepare().map_err(fault)
    }

    fn resume(&mut self) -> Result<(), Fault> {
        self.pcm.resume().map_err(fault)
    }
}

impl CapturePcm for Device {
    fn start(&mut self) -> Result<(), Fault> {
        self.pcm.start().map_err(fault)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let frames = self.pcm.io_bytes().readi(bytes).map_err(fault)?;
        self.governor.passed(Mono::now(), self.format.time(frames));
        Ok(frames)
    }
}

impl PlaybackPcm for Device {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let frames = self.pcm.io_bytes().writei(bytes).map_err(fault)?;
        self.governor.passed(Mono::now(), self.format.time(frames));
        Ok(frames)
    }
}

/// Holds a PCM without a clock to the pace of time. ALSA's `null`, and `file` on top of it, are always ready: served
/// as they ask, they would take a whole core and deliver hours of silence. A real device, even one whose clock is 1 %
/// fast, never meets it.
struct Governor {
    /// The instant up to which sound has passed, by its own length.
    until: Mono,
    /// How far ahead of time it may be.
    buffer: Duration,
}

impl Governor {
    /// Notes that sound of a length has passed.
    fn passed(&mut self, now: Mono, length: Duration) {
        // A late program catches up from a full buffer: what it did not take in time is no advance.
        self.until = self.until.max(now - self.buffer) + length.mul_f64(0.99);
    }

    /// How long it has to wait.
    fn pause(&self, now: Mono) -> Duration {
        self.until.since(now + self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_a_clock_is_never_held_and_one_without_keeps_the_pace_of_time() {
        let buffer = Duration::from_millis(30);
        let period = Duration::from_millis(10);
        let mut now = Mono::from_nanos(1_000_000_000);
        let mut governor = Governor { until: now, buffer };
        for _ in 0..100_000 {
            // 0.5 % fast.
            now = now + Duration::from_micros(9_950);
            governor.passed(now, period);
            assert_eq!(governor.pause(now), Duration::ZERO);
        }
        let (start, mut passed) = (now, Duration::ZERO);
        while passed < Duration::from_secs(10) {
            now = now + governor.pause(now);
            governor.passed(now, period);
            passed += period;
        }
        assert!(now.since(start) > Duration::from_millis(9_800), "{:?}", now.since(start));
    }
}
