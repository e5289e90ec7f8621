//! What slows a Jetson down (JetPack 6, Jetson Linux 36): its power mode, clocks that are not locked, throttling.
//!
//! The places: `/etc/nvpmodel.conf` (`< POWER_MODEL ID=0 NAME=MAXN >`, `< PM_CONFIG DEFAULT=2 >`) and what `nvpmodel` keeps of
//! its choice in `/var/lib/nvpmodel/status` (`pmode:0000`), in NVIDIA's Jetson Linux Developer Guide under "Platform Power
//! and Performance"; the GPU's devfreq folder is `17000000.gpu` on an Orin, and `jetson_clocks` sets its `min_freq` to its
//! `max_freq`; the over-current events are counted in `oc*_event_cnt` of a hwmon folder (the same guide, "Over-Current").

use super::{Finding, Machine, board};

/// A Jetson, by its release file or by its device tree.
pub(super) fn is_one(machine: &Machine) -> bool {
    let tree = machine.read("/proc/device-tree/compatible").unwrap_or_default();
    machine.read("/etc/nv_tegra_release").is_some() || tree.contains("nvidia,tegra")
}

pub(super) fn check(machine: &Machine) -> Vec<Finding> {
    let mut findings = vec![power_mode(machine)];
    findings.extend(gpu_clock(machine));
    findings.extend(board::governor(machine));
    findings.extend(over_current(machine));
    findings
}

/// A mode of nvpmodel.conf.
#[derive(Debug, PartialEq, Eq)]
struct Mode {
    id: u32,
    name: String,
}

impl Mode {
    /// The more the faster: MAXN has no bound, the others tell it in their names (`15W`, `MODE_30W`).
    fn watts(&self) -> u32 {
        if self.name.contains("MAXN") {
            return u32::MAX;
        }
        let name = self.name.trim_end_matches(|c: char| !c.is_ascii_digit());
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    }
}

fn modes(conf: &str) -> Vec<Mode> {
    let of = |line: &str| {
        let inside = line.trim().strip_prefix("< POWER_MODEL ")?.strip_suffix('>')?;
        let value = |key: &str| inside.split_whitespace().find_map(|part| part.strip_prefix(key));
        Some(Mode { id: value("ID=")?.parse().ok()?, name: value("NAME=")?.to_owned() })
    };
    conf.lines().filter_map(of).collect()
}

fn power_mode(machine: &Machine) -> Finding {
    let conf = machine.read("/etc/nvpmodel.conf").unwrap_or_default();
    let modes = modes(&conf);
    let status = machine.read("/var/lib/nvpmodel/status").unwrap_or_default();
    let chosen = status.lines().find_map(|line| line.trim().strip_prefix("pmode:")?.trim().parse::<u32>().ok());
    // Before the first choice the board runs in its default mode.
    let default = || {
        let line = conf.lines().find(|line| line.contains("PM_CONFIG"))?;
        line.split_whitespace().find_map(|part| part.strip_prefix("DEFAULT="))?.parse().ok()
    };
    let current = chosen.or_else(default).and_then(|id| modes.iter().find(|mode| mode.id == id));
    let (Some(current), Some(best)) = (current, modes.iter().max_by_key(|mode| mode.watts())) else {
        return Finding::skipped("the power mode is not known: `sudo nvpmodel -q` tells it");
    };
    let said = format!("power mode {} ({})", current.name, current.id);
    let finding = if current.watts() < best.watts() {
        Finding::warning(
            format!("{said}; {} is faster", best.name),
            format!("`sudo nvpmodel -m {}`, where supply and heat sink allow it", best.id),
        )
    } else {
        Finding::ok(said)
    };
    finding.figure("power_mode", current.name.clone())
}

fn gpu_clock(machine: &Machine) -> Option<Finding> {
    let named = |folder: &std::path::PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        [".gpu", ".ga10b", ".gv11b"].iter().any(|end| name.ends_with(end))
    };
    let folder = machine.list("/sys/class/devfreq").into_iter().find(named)?;
    let mhz = |file: &str| Some(machine.read(folder.join(file))?.parse::<u64>().ok()? / 1_000_000);
    let (low, high) = (mhz("min_freq")?, mhz("max_freq")?);
    let said = format!("the GPU runs at {low} to {high} MHz");
    let finding = if low < high {
        let mend = "`sudo jetson_clocks`, and a unit that runs it after nvpmodel.service: else each answer waits for the clock";
        Finding::warning(format!("{said}, at {} MHz now", mhz("cur_freq").unwrap_or(low)), mend)
    } else {
        Finding::ok(format!("the GPU is locked at {high} MHz"))
    };
    Some(finding.figure("gpu_min_mhz", low).figure("gpu_max_mhz", high))
}

/// Events since the start, where the board counts them.
fn over_current(machine: &Machine) -> Option<Finding> {
    let folders = machine.list("/sys/class/hwmon");
    let files = folders.iter().flat_map(|folder| machine.list(folder)).filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("oc") && name.ends_with("_event_cnt")
    });
    let counts: Vec<u64> = files.filter_map(|file| machine.read(file)?.parse().ok()).collect();
    let events: u64 = counts.iter().sum();
    let finding = match events {
        _ if counts.is_empty() => return None,
        0 => Finding::ok("no over-current event since the start"),
        _ => Finding::warning(
            format!("{events} over-current events since the start, each of which slowed it down"),
            "a stronger supply, or a power mode with fewer watts (`sudo nvpmodel -m ID`)",
        ),
    };
    Some(finding.figure("over_current_events", events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::tree;

    const CONF: &str = "< PARAM TYPE=FILE NAME=CPU_ONLINE >\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n\
                        < POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n";

    #[test]
    fn a_slower_mode_than_the_board_has_is_a_warning_with_the_command() {
        let mode = |status: Option<&str>| {
            let mut files = vec![("etc/nvpmodel.conf", CONF)];
            files.extend(status.map(|status| ("var/lib/nvpmodel/status", status)));
            let (_root, machine) = tree(&files);
            power_mode(&machine)
        };
        let slow = mode(Some("pmode:0000 fmode:quiet\npmode:0000\n"));
        assert!(slow.verdict == Verdict::Warning && slow.finding.contains("15W (0)"), "{slow:?}");
        assert!(slow.mend.unwrap().contains("nvpmodel -m 2"));
        assert_eq!(mode(Some("pmode:0002")).verdict, Verdict::Ok);
        assert!(mode(None).finding.contains("25W"), "the default of the file");
        let (_root, empty) = tree(&[]);
        assert_eq!(power_mode(&empty).verdict, Verdict::Skipped);
    }

    #[test]
    fn the_watts_stand_in_the_name() {
        let watts = |name: &str| Mode { id: 0, name: name.to_owned() }.watts();
        assert_eq!([watts("15W"), watts("MODE_30W"), watts("MODE_50W_2CORE")], [15, 30, 50]);
        assert!(watts("MAXN_SUPER") > watts("40W"));
    }

    #[test]
    fn clocks_that_are_not_locked_and_over_current_are_warnings() {
        let gpu = "sys/class/devfreq/17000000.gpu";
        let files = |low: &str, events: &str| {
            tree(&[
                ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3"),
                (&format!("{gpu}/min_freq"), low),
                (&format!("{gpu}/max_freq"), "1020000000"),
                (&format!("{gpu}/cur_freq"), "306000000"),
                ("sys/class/devfreq/15340000.vic/min_freq", "1"),
                ("sys/class/hwmon/hwmon3/oc1_event_cnt", events),
                ("sys/class/hwmon/hwmon3/oc3_event_cnt", "0"),
            ])
        };
        let (_root, slow) = files("306000000", "4");
        assert!(is_one(&slow));
        let clock = gpu_clock(&slow).unwrap();
        assert!(clock.verdict == Verdict::Warning && clock.mend.unwrap().contains("jetson_clocks"));
        assert_eq!(over_current(&slow).unwrap().figures["over_current_events"], 4);
        let (_root, fast) = files("1020000000", "0");
        assert_eq!(gpu_clock(&fast).unwrap().verdict, Verdict::Ok);
        assert_eq!(over_current(&fast).unwrap().verdict, Verdict::Ok);
    }
}
