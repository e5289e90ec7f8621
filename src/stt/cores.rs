//! How many threads whisper.cpp gets. They wait for each other after every tensor, spinning: the work is as fast as the
//! slowest core that takes part, and on a core that has other work it all but stands still. Measured on two busy cores:
//! a question takes 50 ms with one thread, and 1 to 5 s with two.

use std::fs;
use std::num::NonZero;
use std::path::Path;

/// More than this many threads cost more in waiting for each other than they bring.
const MOST: usize = 4;

/// The number of big cores less one, which is left to the sound; at least one, at most four.
pub(super) fn threads() -> usize {
    // Cores that this process may use (affinity, cgroup quota).
    let usable = std::thread::available_parallelism().map_or(1, NonZero::get);
    let big = fastest(Path::new("/sys/devices/system/cpu")).unwrap_or(usable);
    big.min(usable).saturating_sub(1).clamp(1, MOST)
}

/// The number of cores whose highest frequency is the highest of all; none where the kernel does not say.
fn fastest(cpus: &Path) -> Option<usize> {
    let highest: Vec<u64> = fs::read_dir(cpus)
        .ok()?
        .flatten()
        .filter_map(|cpu| fs::read_to_string(cpu.path().join("cpufreq/cpuinfo_max_freq")).ok()?.trim().parse().ok())
        .collect();
    let top = *highest.iter().max()?;
    // Cores of one kind differ by some per cent where the firmware favours one of them.
    Some(highest.iter().filter(|frequency| **frequency * 10 >= top * 9).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_cores_are_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(fastest(dir.path()), None);
        for (cpu, frequency) in [(0, 1_800_000), (1, 1_800_000), (2, 2_400_000), (3, 2_300_000)] {
            let folder = dir.path().join(format!("cpu{cpu}/cpufreq"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cpuinfo_max_freq"), format!("{frequency}\n")).unwrap();
        }
        fs::create_dir_all(dir.path().join("cpuidle")).unwrap();
        assert_eq!(fastest(dir.path()), Some(2));
        assert!((1..=MOST).contains(&threads()));
    }
}
