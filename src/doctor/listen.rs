//! Listens to a microphone for a while and keeps what the device itself gave: samples before any conversion are counted
//! at full scale and at zero, and each look at the device is an instant.

use std::time::Duration;

use super::service::Daemon;
use super::{Finding, Machine, Patient};
use crate::audio::convert::{decode, sample};
use crate::audio::{AudioError, Bell, CaptureHost, CapturePcm, Fault, Format, Wake, Way};
use crate::clock::Mono;
use crate::config::CaptureSettings;

/// What a codec gives first is its own start: it is heard and not judged.
const SETTLE: Duration = Duration::from_millis(200);
/// Sound that is this late does not come.
const LATE: Duration = Duration::from_secs(3);
/// Faults without sound between them, after which the device is given up.
const GIVE_UP: u32 = 8;

/// What was heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// What the device was opened as.
    pub format: Format,
    /// Mono as Elio hears it: the configured channel, or the mean of all.
    pub samples: Vec<f32>,
    /// Samples at the beginning that are not judged.
    pub settle: usize,
    /// Native samples that were judged, those of them at full scale, and those that are not exactly zero.
    pub native: u64,
    pub clipped: u64,
    pub sounding: u64,
    /// Times that the device ran over.
    pub overruns: u32,
    /// Number of a sample and its capture time, by the device's own timestamps.
    looks: Vec<(usize, Mono)>,
}

impl Heard {
    /// The line through the looks: capture time of sample 0 in nanoseconds since the first look, and of each more.
    fn line(&self) -> Option<(f64, f64)> {
        let (_, zero) = *self.looks.first()?;
        let points = self.looks.iter().map(|(n, at)| (*n as f64, at.ms_since(zero) * 1e6));
        let count = self.looks.len() as f64;
        let (sx, sy) = points.clone().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
        let (mx, my) = (sx / count, sy / count);
        let (sxy, sxx) =
            points.fold((0.0, 0.0), |(sxy, sxx), (x, y)| (sxy + (x - mx) * (y - my), sxx + (x - mx) * (x - mx)));
        (sxx > 0.0).then(|| (my - sxy / sxx * mx, sxy / sxx))
    }

    /// The rate by the timestamps, in Hz; none where sound was lost.
    pub fn real_rate(&self) -> Option<f64> {
        let (_, slope) = self.line().filter(|_| self.overruns == 0)?;
        (slope > 0.0).then(|| 1e9 / slope)
    }

    /// Capture time of a sample.
    pub fn instant(&self, sample: usize) -> Option<Mono> {
        let before = self.looks.iter().rev().find(|(n, _)| *n <= sample).or(self.looks.first())?;
        // Single looks are blurred by a period where the device stamps coarsely; their line is not.
        if let (Some((start, slope)), 0) = (self.line(), self.overruns) {
            let nanos = start + slope * sample as f64;
            let (_, zero) = *self.looks.first()?;
            return Some(Mono::from_nanos(zero.as_nanos().saturating_add_signed(nanos as i64)));
        }
        Some(before.1 + self.format.time(sample.saturating_sub(before.0)))
    }
}

/// Opens the microphone and hears it for `length`; `begun` is told when sound comes. Blocking.
pub(super) fn listen(
    host: &mut dyn CaptureHost,
    settings: &CaptureSettings,
    length: Duration,
    begun: impl FnOnce(),
) -> Result<Heard, AudioError> {
    let mut pcm = host.open(settings)?;
    let format = pcm.format();
    let mut heard = Heard {
        format,
        samples: Vec::new(),
        settle: format.frames(SETTLE.min(length / 4)),
        native: 0,
        clipped: 0,
        sounding: 0,
        overruns: 0,
        looks: Vec::new(),
    };
    let wrong = |fault: Fault, call: &str| match fault {
        Fault::Gone => AudioError::Gone { device: host.device(), why: fault.to_string() },
        other => AudioError::Device { device: host.device(), call: call.into(), why: other.to_string() },
    };
    let bell = Bell::new()?;
    let wanted = format.frames(length);
    let until = Mono::now() + length + LATE;
    let (mut begun, mut in_a_row) = (Some(begun), 0);
    pcm.start().map_err(|fault| wrong(fault, "start"))?;
    while heard.samples.len() < wanted {
        let fault = match pcm.wait(&bell, Duration::from_millis(100)) {
            Wake::Ready => read(&mut *pcm, settings.channel, &mut heard).err(),
            Wake::Recover(fault) => Some(fault),
            Wake::Pending | Wake::Late => None,
        };
        match fault {
            None | Some(Fault::Again) => {}
            Some(fault @ (Fault::Xrun | Fault::Suspended | Fault::Os(_))) if in_a_row < GIVE_UP => {
                heard.overruns += 1;
                in_a_row += 1;
                pcm.prepare().and_then(|()| pcm.start()).map_err(|_| wrong(fault, "prepare"))?;
                continue;
            }
            Some(fault) => return Err(wrong(fault, "read")),
        }
        if !heard.samples.is_empty() {
            in_a_row = 0;
            if let Some(begun) = begun.take() {
                begun();
            }
        }
        if Mono::now() > until {
            let why = format!("{} of {wanted} frames came within {} s", heard.samples.len(), (length + LATE).as_secs());
            return Err(AudioError::Device { device: host.device(), call: "read".into(), why });
        }
    }
    Ok(heard)
}

/// Reads all that is there.
fn read(pcm: &mut dyn CapturePcm, channel: Option<u16>, heard: &mut Heard) -> Result<(), Fault> {
    let format = heard.format;
    let status = pcm.status()?;
    if status.avail == 0 {
        return Ok(());
    }
    heard.looks.push((heard.samples.len(), status.at - format.time(status.delay.max(status.avail))));
    let mut bytes = vec![0; format.period * format.frame_bytes()];
    let mut left = status.avail;
    while left > 0 {
        let most = left.min(format.period) * format.frame_bytes();
        let frames = match pcm.read(&mut bytes[..most]) {
            Ok(0) | Err(Fault::Again) => return Ok(()),
            Ok(frames) => frames.min(left),
            Err(fault) => return Err(fault),
        };
        let got = &bytes[..frames * format.frame_bytes()];
        if heard.samples.len() >= heard.settle {
            judge(&format, channel, got, heard);
        }
        decode(&format, channel, got, &mut heard.samples);
        left -= frames;
    }
    Ok(())
}

fn judge(format: &Format, channel: Option<u16>, bytes: &[u8], heard: &mut Heard) {
    for frame in bytes.chunks_exact(format.frame_bytes()) {
        for (n, native) in frame.chunks_exact(format.sample.bytes()).enumerate() {
            if channel.is_none_or(|channel| usize::from(channel) == n) {
                let value = sample(format.sample, native);
                heard.native += 1;
                // The last step of 16 bits: some codecs stop one short of it.
                heard.clipped += u64::from(value.abs() >= 1.0 - 2.0 / 32768.0);
                heard.sounding += u64::from(value != 0.0);
            }
        }
    }
}

/// Why a device did not open, with what is there instead; where the running daemon holds it, what that says of it.
pub(super) async fn refused(patient: &Patient, error: &AudioError, way: Way) -> Finding {
    match (error, patient.daemon().await) {
        (AudioError::Busy { .. }, Daemon::Running(report)) => {
            let said = if way == Way::Capture { &report.microphone } else { &report.speaker };
            let again = "`systemctl stop elio`, and run this again to measure it";
            if said.ends_with("not there") {
                return Finding::fault(format!("{error}, and the running daemon says: {said}"), again);
            }
            Finding::skipped(format!("the running daemon holds it, and has it open: {said}")).mend(again)
        }
        (AudioError::Busy { .. }, _) => {
            Finding::fault(error, "`systemctl stop elio` where it is the daemon; else end the program that holds it")
        }
        (AudioError::NoCard { .. } | AudioError::NotFound { .. }, _) => {
            let there = devices(&patient.machine, way);
            let mend = match there.as_slice() {
                [] => "connect one, or load its driver (device tree overlay, `sudo modprobe`)".to_owned(),
                names => format!("set {} to one that is there: {}", way.key(), names.join(", ")),
            };
            Finding::fault(error, mend).figure("devices", there)
        }
        (AudioError::Permission { .. }, _) => {
            Finding::fault(error, "`sudo usermod -aG audio $USER`, then log in again")
        }
        (AudioError::Gone { .. }, _) => Finding::fault(error, "plug it in again; look at `dmesg` for why it went"),
        _ => Finding::fault(error, format!("correct [{}]", way.key().trim_end_matches(".device"))),
    }
}

/// The devices of the machine that go this way, as the configuration names them.
fn devices(machine: &Machine, way: Way) -> Vec<String> {
    let (cards, pcms) = (machine.read("/proc/asound/cards"), machine.read("/proc/asound/pcm"));
    let (cards, pcms) = (cards.unwrap_or_default(), pcms.unwrap_or_default());
    // ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH`
    let id = |card: u32| {
        let line = cards.lines().find(|line| line.trim_start().starts_with(&format!("{card} [")))?;
        Some(line.split_once('[')?.1.split_once(']')?.0.trim().to_owned())
    };
    let wanted = if way == Way::Capture { ": capture" } else { ": playback" };
    // `00-01: USB Audio : USB Audio : playback 1 : capture 1`
    let name = |line: &str| {
        let (place, _) = line.split_once(": ").filter(|_| line.contains(wanted))?;
        let (card, device) = place.split_once('-')?;
        let (card, device): (u32, u32) = (card.parse().ok()?, device.parse().ok()?);
        Some(format!("\"plughw:CARD={},DEV={device}\"", id(card).unwrap_or_else(|| card.to_string())))
    };
    pcms.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::tree;

    #[test]
    fn the_devices_that_are_there_are_named_as_the_configuration_wants_them() {
        let (_root, machine) = tree(&[
            (
                "proc/asound/cards",
                " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA at 0xb\n 2 [seeed          ]: x\n",
            ),
            (
                "proc/asound/pcm",
                "00-00: ALC256 : ALC256 : playback 1\n02-00: wm8960 : wm8960 : playback 1 : capture 1\n",
            ),
        ]);
        assert_eq!(devices(&machine, Way::Capture), ["\"plughw:CARD=seeed,DEV=0\""]);
        assert_eq!(devices(&machine, Way::Playback).len(), 2);
        let (_root, none) = tree(&[]);
        assert!(devices(&none, Way::Capture).is_empty());
    }
}
