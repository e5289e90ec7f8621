//! Opens an ALSA PCM at a native format: no conversion in the library where the device allows it.

use std::time::Duration;

use alsa::pcm::{Access, Format as AlsaFormat, HwParams, PCM, State, TstampType};
use alsa::{Direction, Output, ValueOr};

use super::device::Device;
use super::refusal::refusal;
use crate::audio::AudioError;
use crate::audio::Way;
use crate::audio::pcm::{Format, Sample};

/// Rates to try for a microphone, in Hz: 16 kHz, then those from which it is cheap and good to convert.
pub const CAPTURE_RATES: [u32; 9] = [16_000, 48_000, 32_000, 44_100, 24_000, 22_050, 96_000, 88_200, 192_000];
/// Rates to try for a speaker, in Hz: what converters and mixers run at by themselves, then the nearest.
pub const PLAYBACK_RATES: [u32; 9] = [48_000, 44_100, 96_000, 88_200, 192_000, 32_000, 24_000, 22_050, 16_000];

/// Sample formats in order: a MEMS microphone is quiet and wants its lower bits.
const SAMPLES: [(AlsaFormat, Sample); 5] = [
    (AlsaFormat::S32LE, Sample::S32),
    (AlsaFormat::S24LE, Sample::S24),
    (AlsaFormat::S243LE, Sample::S24Packed),
    (AlsaFormat::FloatLE, Sample::F32),
    (AlsaFormat::S16LE, Sample::S16),
];

/// What is asked for.
pub struct Wish<'a> {
    pub device: &'a str,
    pub way: Way,
    pub direction: Direction,
    /// Exactly this rate, in Hz.
    pub rate: Option<u32>,
    /// Else the first of these that the device has.
    pub rates: &'a [u32],
    /// Exactly so many channels; none: the fewest.
    pub channels: Option<u16>,
    pub period: Duration,
    pub buffer: Duration,
}

/// Opens, negotiates and prepares.
pub fn open(wish: &Wish<'_>) -> Result<Device, AudioError> {
    // The library writes its complaints to standard error unless they are collected.
    let said = Output::local_error_handler().ok();
    let said = || said.as_ref().map(|said| said.borrow().to_string()).unwrap_or_default();
    let refuse = |e: alsa::Error| refusal(wish.device, wish.way, e, &said());
    let pcm = PCM::new(wish.device, wish.direction, true).map_err(refuse)?;
    let format = negotiate(&pcm, wish, &refuse)?;
    soften(&pcm, &format, wish.direction).map_err(refuse)?;
    pcm.prepare().map_err(refuse)?;
    Device::new(pcm, format, wish.direction, wish.device).map_err(refuse)
}

/// Settles the hardware parameters.
fn negotiate(pcm: &PCM, wish: &Wish<'_>, refuse: &impl Fn(alsa::Error) -> AudioError) -> Result<Format, AudioError> {
    let lacks = |what: String| AudioError::Unsupported { device: wish.device.into(), what };
    let section = wish.way.key().trim_end_matches(".device");
    let hw = HwParams::any(pcm).map_err(refuse)?;
    hw.set_access(Access::RWInterleaved).map_err(refuse)?;
    // A plug may resample, badly: it is opened at the rate of the hardware behind it, unless the owner asks for one
    // that this hardware lacks. Not every PCM knows the question.
    let native = hw.clone();
    let _ = native.set_rate_resample(false);
    if wish.rate.is_none_or(|rate| native.test_rate(rate).is_ok()) {
        let _ = hw.set_rate_resample(false);
    }

    let sample = SAMPLES.iter().find(|(format, _)| hw.test_format(*format).is_ok());
    let &(format, sample) = sample.ok_or_else(|| {
        lacks(
            "it has none of the formats S16_LE, S24_LE, S24_3LE, S32_LE, FLOAT_LE: try the same name with `plug`"
                .into(),
        )
    })?;
    hw.set_format(format).map_err(refuse)?;

    match wish.channels {
        Some(channels) => hw.set_channels(channels.into()).map_err(|_| {
            let range = (hw.get_channels_min().unwrap_or(0), hw.get_channels_max().unwrap_or(0));
            lacks(format!("{section}.channels = {channels} is not possible: it has {} to {}", range.0, range.1))
        })?,
        None => {
            let fewest = hw.get_channels_min().map_err(refuse)?;
            hw.set_channels_near(fewest).map_err(refuse)?;
        }
    }

    let exact = |rate: u32| hw.set_rate(rate, ValueOr::Nearest).is_ok();
    match wish.rate {
        Some(rate) if !exact(rate) => {
            let range = (hw.get_rate_min().unwrap_or(0), hw.get_rate_max().unwrap_or(0));
            return Err(lacks(format!(
                "{section}.rate = {rate} is not possible: it has {} to {} Hz (leave the setting out)",
                range.0, range.1
            )));
        }
        Some(_) => {}
        None if wish.rates.iter().any(|&rate| exact(rate)) => {}
        None => {
            hw.set_rate_near(wish.rates[0], ValueOr::Nearest).map_err(refuse)?;
        }
    }
    let rate = hw.get_rate().map_err(refuse)?;

    let frames = |time: Duration| (time.as_secs_f64() * f64::from(rate)).round() as i64;
    let period = hw.set_period_size_near(frames(wish.period), ValueOr::Nearest).map_err(refuse)?;
    hw.set_buffer_size_near(frames(wish.buffer).max(2 * period)).map_err(refuse)?;
    pcm.hw_params(&hw).map_err(refuse)?;
    // What was settled, which for a plugin may differ from what was said on the way.
    let (period, buffer) = (hw.get_period_size().map_err(refuse)?.max(1), hw.get_buffer_size().map_err(refuse)?.max(1));
    let target = match wish.direction {
        // A device with a larger buffer than was asked for is only filled as far as was asked for.
        Direction::Playback => frames(wish.buffer).max(2 * period).min(buffer),
        Direction::Capture => buffer,
    };
    Ok(Format {
        rate,
        channels: hw.get_channels().map_err(refuse)?.max(1) as u16,
        sample,
        period: period as usize,
        buffer: buffer as usize,
        target: target as usize,
    })
}

/// Settles the software parameters: when the device wakes its thread, when it starts, and its clock.
fn soften(pcm: &PCM, format: &Format, direction: Direction) -> alsa::Result<()> {
    let sw = pcm.sw_params_current()?;
    match direction {
        Direction::Capture => sw.set_avail_min(format.period as i64)?,
        Direction::Playback => {
            // Awake when a period has left a queue that was full to the target.
            sw.set_avail_min((format.buffer - format.target + format.period) as i64)?;
            sw.set_start_threshold(format.idle() as i64)?;
        }
    }
    sw.set_tstamp_mode(true)?;
    // CLOCK_MONOTONIC, the clock of all instants. A PCM that refuses keeps its own, and is then not believed.
    let _ = sw.set_tstamp_type(TstampType::Monotonic);
    pcm.sw_params(&sw)?;
    debug_assert!(pcm.state_raw() >= State::Setup as i32);
    Ok(())
}
