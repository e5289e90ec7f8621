//! What has to be measured in a process of its own: this program starts itself again.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::BenchError;

/// A process that is measured, or that measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Holds the warm engines and does nothing.
    Engines,
    /// A whole speaker to whom nobody speaks.
    Listening,
    /// Takes memory away from all others.
    Squeeze,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Engines => "engines",
            Part::Listening => "listening",
            Part::Squeeze => "squeeze",
        }
    }

    pub(super) fn fault(self, fault: String) -> BenchError {
        BenchError::Part { part: self.name(), fault }
    }
}

/// How this program is started again.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub exe: PathBuf,
    /// `bench`, and the options that name the configuration.
    pub args: Vec<OsString>,
}

impl Program {
    /// Starts a part; it ends with its handle, and where this process dies.
    pub(super) fn start(&self, part: Part, more: &[String]) -> Result<Child, BenchError> {
        Command::new(&self.exe)
            .args(&self.args)
            .args(["--part", part.name()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| part.fault(format!("{}: {error}", self.exe.display())))
    }
}

/// The line of JSON that a part gives; what keeps it from that stands on standard error.
pub(super) async fn line<T: serde::de::DeserializeOwned>(part: Part, child: &mut Child) -> Result<T, BenchError> {
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).await.map_err(|error| part.fault(error.to_string()))?;
    }
    serde_json::from_str(&line).map_err(|_| part.fault("it ended without a figure".to_owned()))
}

/// The time that all threads of this process have computed.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// This process's share of the memory, in MiB: a page that n processes have counts an n-th for each.
pub(super) fn pss_mib() -> Option<f64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    Some(kib(&rollup, "Pss:")? / 1024.0)
}

/// The value of a line such as `MemAvailable:  123 kB`.
fn kib(text: &str, key: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Memory that is held at once, in bytes.
const BLOCK: usize = 64 << 20;
/// Each page is touched once in this time: what is not would be given back first.
const ROUND: Duration = Duration::from_secs(1);

/// Takes a share of the memory that is available and keeps it in use, until standard input ends. Prints how many MiB when it
/// has them. It is the first to be killed where memory runs out.
///
/// # Errors
/// [`BenchError::Part`] where it cannot make itself the first to be killed.
pub fn squeeze(share: f64) -> Result<(), BenchError> {
    let fault = |what: &str| Part::Squeeze.fault(format!("{what} cannot be used on this machine"));
    std::fs::write("/proc/self/oom_score_adj", "1000").map_err(|_| fault("/proc/self/oom_score_adj"))?;
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = kib(&memory, "MemAvailable:").ok_or_else(|| fault("/proc/meminfo"))?;
    let (asked, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        // Who started this is gone, or has done with it.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(asked);
    });
    let count = (available * 1024.0 * share / BLOCK as f64).ceil() as usize;
    let mut blocks: Vec<Vec<u8>> = (0..count).map(|_| vec![1; BLOCK]).collect();
    // Whoever listens is gone: the end of standard input says so too.
    let _ = writeln!(std::io::stdout(), "{}", (count * BLOCK) >> 20);
    while ended.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
        for page in blocks.iter_mut().flat_map(|block| block.iter_mut().step_by(4096)) {
            *std::hint::black_box(page) = page.wrapping_add(1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_computes_and_has_memory() {
        let before = cpu_time();
        let sum = (0..1_000_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        assert!(cpu_time() > before, "{sum}");
        assert!(pss_mib().is_some_and(|mib| mib > 0.5));
        assert_eq!(kib("MemFree:  7 kB\nMemAvailable:   2048 kB\n", "MemAvailable:"), Some(2048.0));
        assert_eq!(kib("Pss: many kB", "Pss:"), None);
    }
}
