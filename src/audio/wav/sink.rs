//! A loudspeaker without a membrane: it takes sound by the clock, as a converter does, and underruns where it is
//! starved. What it "played" is heard through a [`PlaybackTap`](crate::audio::PlaybackTap).

use std::time::Duration;

use crate::audio::pcm::{Fault, Format, Pcm, PlaybackHost, PlaybackPcm, Sample, Status, Wake};
use crate::audio::{AudioError, Bell};
use crate::clock::Mono;
use crate::config::PlaybackSettings;

/// Rate where the settings name none, in Hz: that of most converters.
const SINK_RATE: u32 = 48_000;

/// Opens the paced sink.
#[derive(Clone, Copy, Debug, Default)]
pub struct WavPlaybackHost;

impl PlaybackHost for WavPlaybackHost {
    fn device(&self) -> String {
        "wav".into()
    }

    fn open(&mut self, settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        let rate = settings.rate.unwrap_or(SINK_RATE).max(1000);
        let frames = |time: Duration| ((time.as_secs_f64() * f64::from(rate)) as usize).max(1);
        let period = frames(settings.period);
        let buffer = frames(settings.buffer).max(2 * period);
        let channels = settings.channels.unwrap_or(1).max(1);
        let format = Format { rate, channels, sample: Sample::S16, period, buffer, target: buffer };
        Ok(Box::new(Sink { format, started: None, written: 0 }))
    }
}

struct Sink {
    format: Format,
    /// None: prepared; it starts when enough is queued.
    started: Option<Mono>,
    written: u64,
}

impl Sink {
    /// Frames queued at an instant; an underrun where they ran out.
    fn queued(&self, at: Mono) -> Result<usize, Fault> {
        let Some(started) = self.started else { return Ok(self.written as usize) };
        let played = (at.since(started).as_nanos() * u128::from(self.format.rate) / 1_000_000_000) as u64;
        self.written.checked_sub(played).map(|queued| queued as usize).ok_or(Fault::Xrun)
    }
}

impl Pcm for Sink {
    fn format(&self) -> Format {
        self.format
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        let queued = match self.queued(Mono::now()) {
            Ok(queued) => queued,
            Err(fault) => return Wake::Recover(fault),
        };
        let excess = queued.saturating_sub(self.format.target - self.format.period);
        if excess == 0 {
            return Wake::Ready;
        }
        let pause = self.format.time(excess) + Duration::from_micros(1);
        match bell.wait(pause.min(limit)) {
            true => Wake::Pending,
            false if pause > limit => Wake::Late,
            false => Wake::Ready,
        }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let at = Mono::now();
        let queued = self.queued(at)?;
        Ok(Status { avail: self.format.buffer.saturating_sub(queued), delay: queued, at })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        (self.started, self.written) = (None, 0);
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl PlaybackPcm for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let now = Mono::now();
        let room = self.format.buffer.saturating_sub(self.queued(now)?);
        let frames = (bytes.len() / self.format.frame_bytes()).min(room);
        if frames == 0 {
            return Err(Fault::Again);
        }
        self.written += frames as u64;
        if self.started.is_none() && self.written >= self.format.idle() as u64 {
            self.started = Some(now);
        }
        Ok(frames)
    }
}
