//! Hears the microphone for two seconds: level, clipping, digital silence, offset, noise floor, its real rate.

use std::sync::Arc;
use std::time::Duration;

use super::finding::rounded;
use super::listen::{Heard, listen, refused};
use super::{Finding, Patient};
use crate::audio::floor::Floor;
use crate::audio::{RATE, Way, convert};

const LENGTH: Duration = Duration::from_secs(2);
/// More native samples at full scale are a warning; so many are a line that is stuck.
const CLIPPED: (f64, f64) = (1e-4, 0.5);
/// A larger mean is a fault of the microphone's bias; full scale is 1.
const OFFSET: f64 = 0.05;
/// A louder floor drowns a voice at two metres; a quieter level is a microphone without gain. In dBFS.
const NOISY: f64 = -40.0;
const FAINT: f64 = -85.0;
/// A rate that is off by more makes words too high or too low to be heard well.
const RATE_OFF: f64 = 0.02;

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let settings = patient.config().capture;
    let work = patient.clone();
    let heard = super::blocking(move || listen(&mut *(work.microphone)(&settings), &settings, LENGTH, || ())).await;
    match heard {
        Ok(Ok(heard)) => findings(&heard),
        Ok(Err(error)) => vec![refused(&patient, &error, Way::Capture).await],
        Err(error) => vec![Finding::fault(error, "report this")],
    }
}

/// The levels first, then a finding for each thing that is wrong with them.
fn findings(heard: &Heard) -> Vec<Finding> {
    let judged = heard.samples.get(heard.settle..).unwrap_or_default();
    let count = judged.len().max(1) as f64;
    let offset = judged.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
    let power = judged.iter().map(|s| (f64::from(*s) - offset).powi(2)).sum::<f64>() / count;
    let peak = judged.iter().fold(0.0f64, |top, s| top.max(f64::from(s.abs())));
    let clipped = heard.clipped as f64 / heard.native.max(1) as f64;
    let (rms, peak, floor) = (dbfs(power), dbfs(peak * peak), noise_floor(heard, judged));
    let nominal = f64::from(heard.format.rate);
    let off = heard.real_rate().map(|rate| rate / nominal - 1.0);
    let said = format!("{}: {rms:.1} dBFS, peak {peak:.1}, noise floor {floor:.1}", heard.format);
    let levels = Finding::ok(said)
        .figure("rms_dbfs", rounded(rms, 1))
        .figure("peak_dbfs", rounded(peak, 1))
        .figure("noise_floor_dbfs", rounded(floor, 1))
        .figure("clipped", rounded(clipped, 6))
        .figure("offset", rounded(offset, 4))
        .figure("overruns", heard.overruns)
        .figure("rate_hz", heard.real_rate().map(|rate| rounded(rate, 1)))
        .figure("nominal_rate_hz", heard.format.rate);

    let mut wrong = Vec::new();
    if heard.sounding == 0 {
        wrong.push(Finding::fault(
            "digital silence: every sample is exactly 0",
            "`alsamixer`, F4: unmute Capture and raise it; check audio.capture.channel and the data line of an I2S microphone",
        ));
    } else if clipped > CLIPPED.1 {
        wrong.push(Finding::fault(
            format!("{:.0} % of the samples are at full scale: the data line is stuck", clipped * 100.0),
            "check the microphone's wiring (data, word select, L/R pin), and audio.capture.channel",
        ));
    } else {
        if clipped > CLIPPED.0 {
            wrong.push(Finding::warning(
                format!("{:.2} % of the samples are at full scale: it clips", clipped * 100.0),
                "`alsamixer`, F4: lower Capture or Mic Boost",
            ));
        }
        if offset.abs() > OFFSET {
            wrong.push(Finding::warning(
                format!("an offset of {offset:.3} of full scale"),
                "the codec's high-pass filter (`alsamixer`, F4), or another bias at the microphone",
            ));
        }
        if rms < FAINT {
            wrong.push(Finding::warning(
                format!("{rms:.1} dBFS is hardly a sound"),
                "`alsamixer`, F4: raise Capture; is the microphone connected?",
            ));
        }
        if floor > NOISY {
            wrong.push(Finding::warning(
                format!("a noise floor of {floor:.1} dBFS drowns quiet voices"),
                "less gain (`alsamixer`, F4), no fan beside it, a supply that does not hum; or the room was loud: try again",
            ));
        }
    }
    if let Some(off) = off.filter(|off| off.abs() > RATE_OFF) {
        wrong.push(Finding::warning(
            format!("by its timestamps its rate is {:+.1} % off", off * 100.0),
            "another audio.capture.rate; a sound server between: name the card itself, \"hw:…\"",
        ));
    }
    if heard.overruns > 0 {
        wrong.push(Finding::warning(
            format!("it ran over {} times in {} s", heard.overruns, LENGTH.as_secs()),
            "a longer audio.capture.buffer; see the check board for what slows this machine down",
        ));
    }
    std::iter::once(levels).chain(wrong).collect()
}

fn noise_floor(heard: &Heard, judged: &[f32]) -> f64 {
    let sound = convert::resample(judged, heard.format.rate, RATE);
    let mut floor = Floor::default();
    // The tracker forgets what it supposed at first after 3.2 s.
    floor.push(&sound);
    floor.push(&sound);
    f64::from(floor.dbfs())
}

fn dbfs(power: f64) -> f64 {
    10.0 * power.max(1e-20).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::noise::Noise;
    use crate::doctor::Verdict;
    use crate::doctor::tests::{Made, demo, tree};

    /// What the check says of a device that gives this.
    async fn of(made: Made) -> Vec<Finding> {
        let (_root, machine) = tree(&[]);
        let mut patient = demo(machine, &[]);
        patient.microphone = Box::new(move |_| Box::new(made.clone()));
        check(Arc::new(patient)).await
    }

    fn noise(dbfs: f32) -> impl Fn(u64) -> f32 + Clone + Send + Sync + 'static {
        let mut noise = Noise::new(9, dbfs);
        let sound: Vec<f32> = (0..16_000).map(|_| noise.next()).collect();
        move |n| sound[n as usize % sound.len()]
    }

    #[tokio::test]
    async fn a_quiet_room_is_well() {
        let found = of(Made::new(noise(-60.0))).await;
        assert!(found.len() == 1 && found[0].verdict == Verdict::Ok, "{found:?}");
        let figure = |name: &str| found[0].figures[name].as_f64().unwrap();
        assert!(
            (figure("rms_dbfs") + 60.0).abs() < 1.0 && (figure("noise_floor_dbfs") + 60.0).abs() < 2.5,
            "{found:?}"
        );
        assert!((figure("rate_hz") - 16_000.0).abs() < 1.0 && figure("overruns") == 0.0, "{found:?}");
    }

    /// The one thing that is wrong.
    async fn wrong(made: Made) -> Finding {
        let found = of(made).await;
        assert_eq!(found.len(), 2, "{found:?}");
        found[1].clone()
    }

    #[tokio::test]
    async fn each_trouble_has_its_own_mend() {
        let silent = wrong(Made::new(|_| 0.0)).await;
        assert!(silent.verdict == Verdict::Fault && silent.finding.contains("exactly 0"), "{silent:?}");
        let stuck = wrong(Made::new(|_| -1.0)).await;
        assert!(stuck.verdict == Verdict::Fault && stuck.mend.unwrap().contains("wiring"));
        // A voice that is far too loud, with pauses.
        let quiet = noise(-60.0);
        let loud = move |n: u64| if n % 8_000 < 800 { (n as f32 * 0.3).sin() * 3.0 } else { quiet(n) };
        let clips = wrong(Made::new(loud)).await;
        assert!(clips.verdict == Verdict::Warning && clips.finding.contains("it clips"), "{clips:?}");
        let quiet = noise(-60.0);
        assert!(wrong(Made::new(move |n| quiet(n) + 0.2)).await.finding.contains("offset of 0.2"));
        assert!(wrong(Made::new(noise(-30.0))).await.finding.contains("noise floor"));
        assert!(wrong(Made::new(noise(-95.0))).await.finding.contains("hardly a sound"));
        assert!(wrong(Made { drift: 1.05, ..Made::new(noise(-60.0)) }).await.finding.contains("+5.0 %"));
        let overrun = wrong(Made { overrun_at: Some(8_000), ..Made::new(noise(-60.0)) }).await;
        assert!(overrun.finding.contains("ran over 1 times"), "{overrun:?}");
    }

    #[tokio::test]
    async fn a_device_that_is_not_there_names_those_that_are() {
        let (_root, machine) = tree(&[
            ("proc/asound/cards", " 1 [Device         ]: USB-Audio - USB Audio\n"),
            ("proc/asound/pcm", "01-00: USB Audio : USB Audio : playback 1 : capture 1\n"),
        ]);
        let patient = demo(machine, &["audio.capture.device=\"no_such_pcm\""]);
        let found = &check(Arc::new(patient)).await[0];
        assert!(found.verdict == Verdict::Fault && found.finding.contains("`no_such_pcm`"), "{found:?}");
        assert!(found.mend.as_ref().unwrap().contains("\"plughw:CARD=Device,DEV=0\""), "{found:?}");
    }
}
