//! A speaker whose queue always holds its two periods of silence: what is written to it is told at once, and has left
//! the converter by the next look.

use std::sync::mpsc::Sender;
use std::time::Duration;

use elio::audio::{AudioError, Bell, Fault, Format, Pcm, PlaybackHost, PlaybackPcm, RATE, Sample, Status, Wake};
use elio::clock::Mono;
use elio::config::PlaybackSettings;

/// Periods of 5 ms, as Elio asks of ALSA.
pub const FORMAT: Format =
    Format { rate: RATE, channels: 1, sample: Sample::S16, period: 80, buffer: 480, target: 480 };

/// Tells the bytes of each write that is not silent.
pub struct Speaker(pub Sender<usize>);

impl PlaybackHost for Speaker {
    fn device(&self) -> String {
        "bench".into()
    }

    fn open(&mut self, _settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        Ok(Box::new(Speaker(self.0.clone())))
    }
}

impl Pcm for Speaker {
    fn format(&self) -> Format {
        FORMAT
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        if bell.wait(limit) { Wake::Pending } else { Wake::Ready }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let queued = FORMAT.idle();
        Ok(Status { avail: FORMAT.buffer - queued, delay: queued, at: Mono::now() })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl PlaybackPcm for Speaker {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if bytes.iter().any(|byte| *byte != 0) {
            // Nobody listens any more where the bench has ended.
            let _ = self.0.send(bytes.len());
        }
        Ok(bytes.len() / FORMAT.frame_bytes())
    }
}
