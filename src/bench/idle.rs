//! What listening costs while nobody speaks: a whole speaker in a process of its own, against one that only holds the warm
//! engines. The simulated Claude stays in the process that asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::{self, Part, Program, cpu_time, pss_mib};
use super::{Answers, Bench, BenchError};
use crate::claude::ApiKey;
use crate::clock::Mono;
use crate::config::Config;
use crate::daemon::{Engines, Rig, RigError, RigOptions, lock_memory};
use crate::sim::{Sim, SimOptions};

/// After its start a speaker still makes its ready lines: it is idle when it computes less than this share of a core for
/// [`QUIET`] on end, and is taken for it after [`PATIENCE`].
const BUSY: f64 = 0.1;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(90);

/// What a process took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Of one core, from 0.
    pub cpu_share: f64,
    /// Memory, its part of what it shares included.
    pub mib: f64,
}

/// The figures of a report, by name, with what they are.
pub const IDLE: [(&str, &str); 4] = [
    ("idle_cpu_share", "share of one core that a speaker takes while nobody speaks"),
    ("idle_mib", "its memory, in MiB (PSS)"),
    ("engines_mib", "that of a process which only holds both warm engines"),
    ("idle_extra_mib", "the difference"),
];

impl Bench {
    /// Measures for `time` each.
    ///
    /// # Errors
    /// [`BenchError::Part`] where a process gives no figure; no simulated Claude.
    pub async fn idle(&self, time: Duration) -> Result<BTreeMap<String, f64>, BenchError> {
        let options = match &self.answers {
            Answers::Simulated(options) => (**options).clone(),
            Answers::Live(_) => SimOptions::new(std::env::temp_dir().join("elio-bench-idle")),
        };
        let sim = Sim::start(options).await?;
        let mut more = vec!["--idle".to_owned(), time.as_secs_f64().to_string()];
        let engines = taken(&self.program, Part::Engines, &more).await?;
        let claude = [("base_url", sim.base_url().to_owned()), ("ca_file", sim.ca().display().to_string())];
        more.extend(claude.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("claude.{key}={value}")]));
        let idle = taken(&self.program, Part::Listening, &more).await?;
        let values = [idle.cpu_share, idle.mib, engines.mib, idle.mib - engines.mib];
        Ok(IDLE.iter().zip(values).map(|((name, _), value)| ((*name).to_owned(), value)).collect())
    }
}

async fn taken(program: &Program, part: Part, more: &[String]) -> Result<Taken, BenchError> {
    let mut child = program.start(part, more)?;
    process::line(part, &mut child).await
}

/// What such a process does: starts, waits until it is idle, and takes its own measure for `time`.
///
/// # Errors
/// What keeps it from starting.
pub async fn hold(part: Part, config: &Config, time: Duration) -> Result<Taken, BenchError> {
    let key = ApiKey::new("simulated", "elio bench".to_owned()).map_err(RigError::from)?;
    let taken = if part == Part::Listening {
        let rig = Rig::start(config, RigOptions { key, sound_card: false, sim: None }).await?;
        let taken = measure(time).await;
        let claude = rig.engines.claude.clone();
        rig.stop().await;
        claude.close().await;
        taken
    } else {
        let _engines = Engines::start(config, key).await.map_err(RigError::from)?;
        lock_memory();
        measure(time).await
    };
    taken.ok_or_else(|| part.fault("/proc/self/smaps_rollup cannot be read".to_owned()))
}

async fn measure(time: Duration) -> Option<Taken> {
    let patient_until = Mono::now() + PATIENCE;
    while share_over(QUIET).await > BUSY && Mono::now() < patient_until {}
    let cpu_share = share_over(time).await;
    Some(Taken { cpu_share, mib: pss_mib()? })
}

async fn share_over(time: Duration) -> f64 {
    let (from, before) = (Mono::now(), cpu_time());
    tokio::time::sleep(time).await;
    (cpu_time() - before).as_secs_f64() / from.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
}
