//! `elio doctor`: every check a technician would do, each with its finding in numbers and its mend in one line.
//!
//! [`CHECKS`] is the list, in the order in which it makes sense to mend: a speaker whose configuration is wrong has no
//! microphone to listen to. A check looks at the [`Patient`] and gives [`Finding`]s; it never hangs ([`Check::deadline`]), never
//! shows the key, and spends no token. Beside a running daemon, which holds the sound card and the lines, it says so and
//! tells what the daemon says of them.

mod board;
mod chirp;
mod clock;
mod configuration;
mod echo;
mod finding;
mod gpu;
mod jetson;
mod journal;
mod key;
mod lines;
mod listen;
mod machine;
mod microphone;
mod models;
mod network;
mod permissions;
mod programs;
mod report;
mod service;
mod space;
mod speaker;
mod speed;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

pub use finding::{Finding, Verdict};
pub use machine::Machine;
pub use report::{count, document, summary, text};

use crate::audio::{AlsaCaptureHost, AlsaPlaybackHost, CaptureHost, PlaybackHost};
use crate::clock::Mono;
use crate::config::{CaptureSettings, Config, Faults, Loaded, PlaybackSettings};

type Run = fn(Arc<Patient>) -> BoxFuture<'static, Vec<Finding>>;

/// One check.
pub struct Check {
    /// What the command line and the report call it.
    pub name: &'static str,
    /// What it looks at, in some words.
    pub about: &'static str,
    /// What takes longer is ended and is a fault.
    pub deadline: Duration,
    /// It takes seconds, loads a model or makes a sound: `--quick` leaves it out.
    pub long: bool,
    /// It can be made without a configuration.
    alone: bool,
    run: Run,
}

const fn check(name: &'static str, about: &'static str, seconds: u64, run: Run) -> Check {
    Check { name, about, deadline: Duration::from_secs(seconds), long: false, alone: false, run }
}

impl Check {
    const fn long(self) -> Check {
        Check { long: true, ..self }
    }

    const fn alone(self) -> Check {
        Check { alone: true, ..self }
    }
}

/// Every check, in order.
pub const CHECKS: [Check; 22] = [
    check("configuration", "the files and every key", 5, |p| Box::pin(configuration::check(p))).alone(),
    check("service", "the running daemon, the unit", 10, |p| Box::pin(service::check(p))),
    check("permissions", "folders, devices, limits", 15, |p| Box::pin(permissions::check(p))),
    check("disk", "room for models and records", 10, |p| Box::pin(space::disk(p))),
    check("memory", "room for the warm models", 10, |p| Box::pin(space::memory(p))),
    check("board", "power mode, clocks, heat, supply", 10, |p| Box::pin(board::check(p))).alone(),
    check("journal", "where the records go", 15, |p| Box::pin(journal::check(p))),
    check("onnxruntime", "which library was opened", 20, |p| Box::pin(programs::onnxruntime(p))),
    check("espeak", "espeak-ng answers", 15, |p| Box::pin(programs::espeak(p))),
    check("models", "files and hashes", 180, |p| Box::pin(models::check(p))),
    check("speed", "loads and runs each model", 600, |p| Box::pin(speed::check(p))).long(),
    check("gpu", "asked for, built in, used by an inference", 600, |p| Box::pin(gpu::check(p))).long(),
    check("microphone", "level, clipping, silence, noise floor", 20, |p| Box::pin(microphone::check(p))).long(),
    check("speaker", "a quiet tone: delay, period, underruns", 20, |p| Box::pin(speaker::check(p))).long(),
    check("loop", "plays a chirp and hears it", 30, |p| Box::pin(echo::check(p))).long(),
    check("button", "line, consumer, value, press it now", 30, |p| Box::pin(lines::button(p))),
    check("led", "line, consumer; blinks", 10, |p| Box::pin(lines::led(p))),
    check("mute", "line, consumer, position", 10, |p| Box::pin(lines::mute(p))),
    check("network", "DNS, TCP, TLS, first byte, each apart", 60, |p| Box::pin(network::check(p))),
    check("clock", "against the API's, and NTP", 60, |p| Box::pin(clock::check(p))),
    check("key", "found, kept safe, valid; the model", 60, |p| Box::pin(key::check(p))),
    check("cache", "the prompt against the model's floor", 60, |p| Box::pin(key::cache(p))),
];

/// Gives the microphone that the settings name.
pub type OpenMicrophone = Box<dyn Fn(&CaptureSettings) -> Box<dyn CaptureHost> + Send + Sync>;
/// Gives the speaker that the settings name.
pub type OpenSpeaker = Box<dyn Fn(&PlaybackSettings) -> Box<dyn PlaybackHost> + Send + Sync>;

/// Whether a person is asked to press the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Nobody is there.
    No,
    /// For up to so long.
    Wait(Duration),
}

/// Who is examined, and what several checks want to know.
pub struct Patient {
    /// The configuration, or what is wrong with it.
    pub loaded: Result<Loaded, Faults>,
    /// The machine.
    pub machine: Machine,
    /// The microphone.
    pub microphone: OpenMicrophone,
    /// The speaker.
    pub speaker: OpenSpeaker,
    /// Whether a person is asked to press the button.
    pub press: Press,
    /// Tells a person to do something now.
    pub prompt: fn(&str),
    daemon: OnceCell<service::Daemon>,
    unit: OnceCell<service::Unit>,
    proof: OnceCell<Result<crate::daemon::Proof, String>>,
    probe: OnceCell<Result<crate::claude::Probe, String>>,
}

impl Patient {
    /// This machine with its ALSA devices; nobody is asked to press anything.
    pub fn new(loaded: Result<Loaded, Faults>, machine: Machine) -> Self {
        Self {
            loaded,
            machine,
            microphone: Box::new(|settings| Box::new(AlsaCaptureHost::new(settings))),
            speaker: Box::new(|settings| Box::new(AlsaPlaybackHost::new(settings))),
            press: Press::No,
            prompt: |_| (),
            daemon: OnceCell::new(),
            unit: OnceCell::new(),
            proof: OnceCell::new(),
            probe: OnceCell::new(),
        }
    }

    /// The configuration. [`examine`] makes no check that needs one where there is none: then it is the defaults.
    fn config(&self) -> Config {
        self.loaded.as_ref().map_or_else(|_| Config::default(), |loaded| loaded.config.clone())
    }
}

/// A check that was made.
#[derive(Debug)]
pub struct Examined {
    /// Its name.
    pub check: &'static str,
    /// What it found, never empty.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub took: Duration,
}

/// Makes one check, to its deadline.
pub async fn examine(check: &Check, patient: &Arc<Patient>) -> Examined {
    let begun = Mono::now();
    let findings = if patient.loaded.is_err() && !check.alone {
        vec![Finding::skipped("the configuration has faults")]
    } else {
        match tokio::time::timeout(check.deadline, (check.run)(patient.clone())).await {
            Ok(findings) => findings,
            Err(_) => {
                let seconds = check.deadline.as_secs();
                vec![Finding::fault(
                    format!("no answer within {seconds} s: what it asks hangs"),
                    "look at `dmesg` and `journalctl -b -p warning`, or restart the machine",
                )]
            }
        }
    };
    Examined { check: check.name, findings, took: begun.elapsed() }
}

/// Blocking work, beside the deadline of its check. The error: it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("the check itself failed: {error}"))
}

#[cfg(test)]
mod tests;
