//! ALSA's devices: opened by `open`, their few calls in `device`, their refusals in words in `refusal`.

use alsa::Direction;

use super::AudioError;
use super::Way;
use super::pcm::{CaptureHost, CapturePcm, PlaybackHost, PlaybackPcm};
use crate::config::{CaptureSettings, PlaybackSettings};

mod device;
mod open;
mod refusal;

/// The devices that this machine has now, by the names that are worth configuring.
pub fn names(way: Way) -> Vec<String> {
    let direction = match way {
        Way::Capture => Direction::Capture,
        Way::Playback => Direction::Playback,
    };
    let hints = alsa::device_name::HintIter::new_str(None, "pcm").into_iter().flatten();
    let fits = hints.filter(|hint| hint.direction.is_none_or(|of| of == direction)).filter_map(|hint| hint.name);
    fits.filter(|name| name == "default" || name.starts_with("hw:")).collect()
}

/// Opens the microphone that the settings name.
#[derive(Clone, Debug)]
pub struct AlsaCaptureHost {
    device: String,
}

impl AlsaCaptureHost {
    /// For the device of `settings`.
    pub fn new(settings: &CaptureSettings) -> Self {
        Self { device: settings.device.clone() }
    }
}

impl CaptureHost for AlsaCaptureHost {
    fn device(&self) -> String {
        self.device.clone()
    }

    fn open(&mut self, settings: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        let wish = open::Wish {
            device: &self.device,
            way: Way::Capture,
            direction: Direction::Capture,
            rate: settings.rate,
            rates: &open::CAPTURE_RATES,
            channels: settings.channels,
            period: settings.period,
            buffer: settings.buffer,
        };
        let device = open::open(&wish)?;
        let channels = super::Pcm::format(&device).channels;
        match settings.channel {
            Some(channel) if channel >= channels => Err(AudioError::Unsupported {
                device: self.device.clone(),
                what: format!("there is no channel {channel} among {channels} (audio.capture.channel counts from 0)"),
            }),
            _ => Ok(Box::new(device)),
        }
    }
}

/// Opens the speaker that the settings name.
#[derive(Clone, Debug)]
pub struct AlsaPlaybackHost {
    device: String,
}

impl AlsaPlaybackHost {
    /// For the device of `settings`.
    pub fn new(settings: &PlaybackSettings) -> Self {
        Self { device: settings.device.clone() }
    }
}

impl PlaybackHost for AlsaPlaybackHost {
    fn device(&self) -> String {
        self.device.clone()
    }

    fn open(&mut self, settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        let wish = open::Wish {
            device: &self.device,
            way: Way::Playback,
            direction: Direction::Playback,
            rate: settings.rate,
            rates: &open::PLAYBACK_RATES,
            channels: settings.channels,
            period: settings.period,
            buffer: settings.buffer,
        };
        Ok(Box::new(open::open(&wish)?))
    }
}
