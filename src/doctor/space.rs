//! Room: on the disk for models and records, in memory for the warm models.

use std::path::Path;
use std::sync::Arc;

use super::{Finding, Machine, Patient, models};

/// Less free disk is a warning, and a fault below the second, in bytes.
const DISK: (u64, u64) = (500_000_000, 50_000_000);
/// Memory beside the models: their working memory, sound and the program, in bytes.
const BESIDE: u64 = 300_000_000;

pub(super) async fn disk(patient: Arc<Patient>) -> Vec<Finding> {
    let config = patient.config();
    let folder = config.daemon.state_dir.clone();
    let found = super::blocking(move || {
        let largest = models::configured(&config).into_iter().map(|model| model.bytes).max().unwrap_or(0);
        // A folder that is not there yet lies where the nearest one above it does.
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        match rustix::fs::statvfs(there) {
            Ok(disk) => {
                disk_of(&folder, disk.f_bavail * disk.f_frsize, disk.f_files > 0 && disk.f_favail == 0, largest)
            }
            Err(error) => Finding::fault(format!("{}: {error}", folder.display()), "set daemon.state_dir to a folder"),
        }
    });
    vec![found.await.unwrap_or_else(|error| Finding::fault(error, "report this"))]
}

/// `full`: no new file can be made, whatever room there is; `largest`: bytes of the largest model.
fn disk_of(folder: &Path, free: u64, full: bool, largest: u64) -> Finding {
    let mend = "free some: `journalctl --vacuum-size=200M`, `apt clean`, models that are not used";
    let said = format!("{} MB free for {}", free / 1_000_000, folder.display());
    let finding = if full {
        Finding::fault(format!("{said}, and no inode"), "remove small files: `du --inodes -xd1 / | sort -n` finds them")
    } else if free < DISK.1 {
        Finding::fault(format!("{said}: records are about to be lost"), mend)
    } else if free < largest {
        Finding::warning(format!("{said}; to replace the largest model takes {} MB", largest / 1_000_000), mend)
    } else if free < DISK.0 {
        Finding::warning(format!("{said}, where {} MB should be", DISK.0 / 1_000_000), mend)
    } else {
        Finding::ok(said)
    };
    finding.figure("free_bytes", free)
}

pub(super) async fn memory(patient: Arc<Patient>) -> Vec<Finding> {
    let (config, running) = (patient.config(), patient.running().await.is_some());
    let work = patient.clone();
    let found = super::blocking(move || {
        let models = models::configured(&config).iter().map(|model| model.bytes).sum();
        memory_of(&work.machine, models, running)
    });
    vec![found.await.unwrap_or_else(|error| Finding::fault(error, "report this"))]
}

/// Bytes of memory that are available; none where the kernel does not say.
pub(super) fn available(machine: &Machine) -> Option<u64> {
    meminfo(machine, "MemAvailable:")
}

/// Bytes that loading the models anew would take.
pub(super) fn needed(models: u64) -> u64 {
    models + BESIDE
}

fn meminfo(machine: &Machine, name: &str) -> Option<u64> {
    let text = machine.read("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn memory_of(machine: &Machine, models: u64, running: bool) -> Finding {
    let Some(free) = available(machine) else {
        return Finding::skipped("/proc/meminfo does not say how much memory is available");
    };
    let mb = |bytes: u64| bytes / 1_000_000;
    let swap = meminfo(machine, "SwapTotal:").unwrap_or(0);
    let zram = machine.list("/sys/block").iter().any(|disk| disk.to_string_lossy().contains("/zram"));
    let swapped = match (swap, zram) {
        (0, _) => "no swap".to_owned(),
        (_, true) => format!("{} MB of swap, zram", mb(swap)),
        _ => format!("{} MB of swap", mb(swap)),
    };
    // What runs already holds its models.
    let wanted = if running { 100_000_000 } else { needed(models) };
    let said = format!("{} MB available, {swapped}; the models have {} MB", mb(free), mb(models));
    let finding = if free < wanted {
        let mend = "stop what else runs (a desktop: `systemctl set-default multi-user.target`), or take smaller models";
        Finding::warning(format!("{said}, and {} MB are wanted", mb(wanted)), mend)
    } else {
        Finding::ok(said)
    };
    finding.figure("available_bytes", free).figure("models_bytes", models).figure("swap_bytes", swap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_disk_that_fills_is_a_warning_and_a_full_one_a_fault() {
        let of = |free, full, largest| disk_of(Path::new("/var/lib/elio"), free, full, largest).verdict;
        assert_eq!(of(600_000_000, false, 0), Verdict::Ok);
        assert_eq!(of(600_000_000, false, 700_000_000), Verdict::Warning);
        assert_eq!(of(400_000_000, false, 0), Verdict::Warning);
        assert_eq!(of(40_000_000, false, 0), Verdict::Fault);
        assert_eq!(of(600_000_000, true, 0), Verdict::Fault);
    }

    #[test]
    fn memory_is_compared_with_the_models() {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::at(root.path());
        assert_eq!(memory_of(&machine, 0, false).verdict, Verdict::Skipped);
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        let text = "MemTotal: 4000000 kB\nMemAvailable:  500000 kB\nSwapTotal: 1000 kB\n";
        std::fs::write(root.path().join("proc/meminfo"), text).unwrap();
        let small = memory_of(&machine, 100_000_000, false);
        assert_eq!((small.verdict, &small.figures["available_bytes"]), (Verdict::Ok, &512_000_000.into()));
        assert_eq!(memory_of(&machine, 300_000_000, false).verdict, Verdict::Warning);
        assert_eq!(memory_of(&machine, 300_000_000, true).verdict, Verdict::Ok, "they are in memory already");
    }
}
