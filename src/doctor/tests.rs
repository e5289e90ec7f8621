//! Made-up machines, microphones and rooms for the tests of the checks; and the tests of the list itself.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::audio::convert::{encode, sample};
use crate::audio::wav::noise::Noise;
use crate::audio::{
    AudioError, Bell, CapturePcm, Fault, Format, Pcm, PlaybackPcm, Sample, Status, Wake, WavPlaybackHost,
};
use crate::config::{LoadOptions, load};
use crate::sim::{Sim, SimHandle, SimOptions};

/// A machine that has these files and nothing else.
pub fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let machine = Machine::at(root.path());
    (root, machine)
}

/// The demo's configuration with these keys set.
pub fn demo(machine: Machine, set: &[&str]) -> Patient {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/demo.toml");
    // No daemon of the machine that runs the tests is asked.
    let nobody = "daemon.socket=\"/nowhere/control.sock\"";
    let set = std::iter::once(&nobody).chain(set).map(|set| (*set).to_owned()).collect();
    Patient::new(Ok(load(&LoadOptions { file: Some(file), set, env: vec![] }).unwrap()), machine)
}

/// A simulated API, and the keys that lead to it.
pub async fn sim(options: SimOptions) -> (SimHandle, [String; 2]) {
    let sim = Sim::start(options).await.unwrap();
    let set = [format!("claude.base_url=\"{}\"", sim.base_url()), format!("claude.ca_file=\"{}\"", sim.ca().display())];
    (sim, set)
}

/// A microphone of made-up sound, in its own time: no test waits for it.
#[derive(Clone)]
pub struct Made {
    pub sound: Arc<dyn Fn(u64) -> f32 + Send + Sync>,
    /// How much faster than it says it runs.
    pub drift: f64,
    /// At this frame it runs over once.
    pub overrun_at: Option<u64>,
}

impl Made {
    pub fn new(sound: impl Fn(u64) -> f32 + Send + Sync + 'static) -> Self {
        Self { sound: Arc::new(sound), drift: 1.0, overrun_at: None }
    }
}

impl CaptureHost for Made {
    fn device(&self) -> String {
        "made".into()
    }

    fn open(&mut self, _: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        Ok(Box::new(MadePcm { of: self.clone(), head: 0, tail: 0 }))
    }
}

struct MadePcm {
    of: Made,
    head: u64,
    tail: u64,
}

impl Pcm for MadePcm {
    fn format(&self) -> Format {
        Format { rate: 16_000, channels: 1, sample: Sample::F32, period: 160, buffer: 480, target: 480 }
    }

    fn wait(&mut self, _: &Bell, _: Duration) -> Wake {
        self.head += 160;
        Wake::Ready
    }

    fn status(&mut self) -> Result<Status, Fault> {
        if self.of.overrun_at.take_if(|at| *at <= self.head).is_some() {
            return Err(Fault::Xrun);
        }
        let seconds = self.head as f64 / (16_000.0 * self.of.drift);
        let avail = (self.head - self.tail) as usize;
        Ok(Status { avail, delay: avail, at: Mono::from_nanos(1_000_000_000) + Duration::from_secs_f64(seconds) })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.tail = self.head;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl CapturePcm for MadePcm {
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let frames = (bytes.len() as u64 / 4).min(self.head - self.tail);
        let sound: Vec<f32> = (0..frames).map(|n| (self.of.sound)(self.tail + n)).collect();
        encode(&self.format(), &sound, &mut bytes[..frames as usize * 4]);
        self.tail += frames;
        Ok(frames as usize)
    }
}

/// Rate of the air, in Hz.
const AIR: u32 = 48_000;

/// Loudspeaker, air and microphone: what leaves the converter is heard so much later and quieter.
#[derive(Clone)]
pub struct Air {
    /// By the frame at which it leaves the loudspeaker.
    sound: Arc<Mutex<Vec<f32>>>,
    origin: Mono,
    delay: usize,
    gain: f32,
}

impl Air {
    pub fn new(delay: Duration, gain: f32) -> Self {
        let sound = Arc::new(Mutex::new(vec![0.0; AIR as usize * 60]));
        Self { sound, origin: Mono::now(), delay: (delay.as_secs_f64() * f64::from(AIR)) as usize, gain }
    }

    fn frame(&self, at: Mono) -> u64 {
        (at.since(self.origin).as_secs_f64() * f64::from(AIR)).round() as u64
    }
}

impl CaptureHost for Air {
    fn device(&self) -> String {
        "air".into()
    }

    fn open(&mut self, _: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        let position = self.frame(Mono::now());
        Ok(Box::new(Ear { air: self.clone(), position, noise: Noise::new(3, -65.0) }))
    }
}

impl PlaybackHost for Air {
    fn device(&self) -> String {
        "air".into()
    }

    fn open(&mut self, settings: &PlaybackSettings) -> Result<Box<dyn PlaybackPcm>, AudioError> {
        Ok(Box::new(Mouth { air: self.clone(), inner: WavPlaybackHost.open(settings)? }))
    }
}

struct Ear {
    air: Air,
    position: u64,
    noise: Noise,
}

impl Pcm for Ear {
    fn format(&self) -> Format {
        Format { rate: AIR, channels: 1, sample: Sample::F32, period: 480, buffer: 9600, target: 9600 }
    }

    fn wait(&mut self, bell: &Bell, _: Duration) -> Wake {
        bell.wait(Duration::from_millis(10));
        Wake::Ready
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let at = Mono::now();
        let avail = self.air.frame(at).saturating_sub(self.position) as usize;
        Ok(Status { avail, delay: avail, at })
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl CapturePcm for Ear {
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let frames = bytes.len() / 4;
        let sound = self.air.sound.lock().unwrap();
        let heard = (0..frames).map(|n| {
            let left = (self.position as usize + n).checked_sub(self.air.delay);
            left.and_then(|at| sound.get(at)).copied().unwrap_or(0.0) * self.air.gain + self.noise.next()
        });
        let heard: Vec<f32> = heard.collect();
        drop(sound);
        encode(&self.format(), &heard, bytes);
        self.position += frames as u64;
        Ok(frames)
    }
}

struct Mouth {
    air: Air,
    inner: Box<dyn PlaybackPcm>,
}

impl Pcm for Mouth {
    fn format(&self) -> Format {
        self.inner.format()
    }

    fn wait(&mut self, bell: &Bell, limit: Duration) -> Wake {
        self.inner.wait(bell, limit)
    }

    fn status(&mut self) -> Result<Status, Fault> {
        self.inner.status()
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.inner.prepare()
    }

    fn resume(&mut self) -> Result<(), Fault> {
        self.inner.resume()
    }
}

impl PlaybackPcm for Mouth {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let (format, status) = (self.inner.format(), self.inner.status()?);
        let first = self.air.frame(status.at + format.time(status.delay)) as usize;
        let frames = self.inner.write(bytes)?;
        let mut sound = self.air.sound.lock().unwrap();
        for (n, frame) in bytes.chunks_exact(format.frame_bytes()).take(frames).enumerate() {
            if let Some(place) = sound.get_mut(first + n) {
                *place = sample(format.sample, frame);
            }
        }
        Ok(frames)
    }
}

fn named(name: &str) -> &'static Check {
    CHECKS.iter().find(|check| check.name == name).unwrap()
}

#[test]
fn each_check_has_a_name_of_its_own_and_a_deadline() {
    for (n, check) in CHECKS.iter().enumerate() {
        assert!(CHECKS[..n].iter().all(|other| other.name != check.name), "{}", check.name);
        assert!(check.name.len() <= 14 && check.deadline <= Duration::from_secs(600), "{}", check.name);
    }
}

#[tokio::test]
async fn without_a_configuration_the_rest_is_not_looked_at() {
    let (_root, machine) = tree(&[]);
    let faults =
        load(&LoadOptions { set: vec!["wake.mode=\"sometimes\"".into(), "stt.gpuu=1".into()], ..Default::default() });
    let patient = Arc::new(Patient::new(faults, machine));
    let configuration = examine(named("configuration"), &patient).await.findings;
    assert_eq!(configuration.len(), 2, "each fault by itself: {configuration:?}");
    assert!(configuration.iter().all(|finding| finding.verdict == Verdict::Fault && finding.mend.is_some()));
    assert_eq!(examine(named("key"), &patient).await.findings[0].verdict, Verdict::Skipped);
    assert_eq!(examine(named("board"), &patient).await.findings[0].verdict, Verdict::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_a_fault_at_its_deadline() {
    let hangs = check("hangs", "nothing", 30, |_| Box::pin(std::future::pending()));
    let (_root, machine) = tree(&[]);
    let found = examine(&hangs, &Arc::new(demo(machine, &[]))).await.findings.remove(0);
    assert!(found.verdict == Verdict::Fault && found.finding.contains("within 30 s"), "{found:?}");
}

/// A device that somebody else holds.
struct Held;

impl CaptureHost for Held {
    fn device(&self) -> String {
        "hw:0".into()
    }

    fn open(&mut self, _: &CaptureSettings) -> Result<Box<dyn CapturePcm>, AudioError> {
        Err(AudioError::Busy { device: "hw:0".into() })
    }
}

#[tokio::test]
async fn beside_a_running_daemon_its_own_words_are_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 100]).await;
            let status = crate::daemon::status::Status {
                state: crate::turn::Visible::Idle,
                microphone: "hw:0 S16_LE 48000 Hz".into(),
                ..crate::daemon::status::Status::starting(crate::config::WakeMode::Press, Mono::now())
            };
            let report = serde_json::to_string(&status.report(Mono::now())).unwrap();
            let _ = stream.write_all(format!("{report}\n").as_bytes()).await;
        }
    });
    let (_root, machine) = tree(&[]);
    let mut patient = demo(machine, &[&format!("daemon.socket=\"{}\"", socket.display())]);
    patient.microphone = Box::new(|_| Box::new(Held));
    let patient = Arc::new(patient);
    let service = examine(named("service"), &patient).await.findings.remove(0);
    assert!(service.verdict == Verdict::Ok && service.finding.contains("idle"), "{service:?}");
    let microphone = examine(named("microphone"), &patient).await.findings.remove(0);
    assert!(microphone.verdict == Verdict::Skipped && microphone.finding.contains("48000 Hz"), "{microphone:?}");
    assert!(microphone.mend.unwrap().contains("systemctl stop elio"));

    let (_root, machine) = tree(&[]);
    let mut alone = demo(machine, &[]);
    alone.microphone = Box::new(|_| Box::new(Held));
    let microphone = examine(named("microphone"), &Arc::new(alone)).await.findings.remove(0);
    assert!(microphone.verdict == Verdict::Fault && microphone.finding.contains("another program"), "{microphone:?}");
}
