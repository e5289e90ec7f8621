//! The board: power mode, clocks, heat and supply, which make the same program fast or slow.

use std::sync::Arc;

use super::{Finding, Machine, Patient, jetson};

/// Hotter is a warning, in thousandths of a degree: boards begin to slow down between 80 and 99 °C.
const HOT: i64 = 80_000;

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let work = patient.clone();
    let found = super::blocking(move || {
        let machine = &work.machine;
        let model = machine.read("/proc/device-tree/model");
        let mut findings = vec![Finding::ok(
            model.clone().unwrap_or_else(|| format!("a machine of the kind {}", std::env::consts::ARCH)),
        )];
        if jetson::is_one(machine) {
            findings.extend(jetson::check(machine));
        } else {
            findings.extend(governor(machine));
        }
        findings.extend(heat(machine));
        findings.extend(throttled(machine));
        (findings, model.is_some_and(|model| model.contains("Raspberry Pi")))
    });
    match found.await {
        Ok((mut findings, true)) => {
            // The kernel's file went away with Linux 6.x on some boards; the firmware's own program stays.
            let file = patient.machine.read("/sys/devices/platform/soc/soc:firmware/get_throttled");
            let told = match file {
                Some(bits) => Some(bits),
                None => patient.machine.run("vcgencmd", &["get_throttled"]).await.ok(),
            };
            findings.push(supply(told.as_deref()));
            findings
        }
        Ok((findings, false)) => findings,
        Err(error) => vec![Finding::fault(error, "report this")],
    }
}

/// The frequency governors of the CPUs.
pub(super) fn governor(machine: &Machine) -> Option<Finding> {
    let mut folders = machine.list("/sys/devices/system/cpu/cpufreq");
    folders.retain(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("policy")));
    let governors: Vec<String> =
        folders.iter().filter_map(|folder| machine.read(folder.join("scaling_governor"))).collect();
    let first = governors.first()?;
    let driver = machine.read(folders.first()?.join("scaling_driver")).unwrap_or_default();
    let slow = governors.iter().find(|governor| *governor == "powersave");
    Some(match slow {
        // In their active mode these drivers call powersave what others call ondemand.
        Some(_) if !driver.starts_with("intel_pstate") && !driver.starts_with("amd-pstate-epp") => Finding::warning(
            "the CPU governor is powersave: every core stays at its lowest frequency",
            "`echo schedutil | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor`, or performance",
        ),
        _ => Finding::ok(format!("CPU governor {first} ({driver})")),
    })
}

/// The hottest zone.
fn heat(machine: &Machine) -> Option<Finding> {
    let zones = machine.list("/sys/class/thermal").into_iter().filter_map(|zone| {
        let degrees: i64 = machine.read(zone.join("temp"))?.parse().ok()?;
        Some((degrees, machine.read(zone.join("type")).unwrap_or_default()))
    });
    let (degrees, zone) = zones.max()?;
    let celsius = super::finding::rounded(degrees as f64 / 1000.0, 1);
    let said = format!("the hottest zone, {zone}, has {celsius} °C");
    let finding = if degrees >= HOT {
        Finding::warning(said, "give it air: a fan, a larger heat sink, a case with slots; heat slows every answer")
    } else {
        Finding::ok(said)
    };
    Some(finding.figure("hottest_c", celsius))
}

/// What the kernel holds back for its heat: cooling devices that are clocks, not fans.
fn throttled(machine: &Machine) -> Option<Finding> {
    let clock =
        |kind: &str| ["cpufreq", "devfreq"].iter().any(|begin| kind.starts_with(begin)) || kind.contains("throttle");
    let held = machine.list("/sys/class/thermal").into_iter().filter_map(|device| {
        let state: i64 = machine.read(device.join("cur_state"))?.parse().ok()?;
        machine.read(device.join("type")).filter(|kind| state > 0 && clock(kind))
    });
    let held: Vec<String> = held.collect();
    (!held.is_empty()).then(|| {
        Finding::warning(
            format!("slowed down by heat now: {}", held.join(", ")),
            "give it air: a fan, a larger heat sink, a case with slots",
        )
    })
}

/// The firmware's bits of a Raspberry Pi, `throttled=0x50005` or `50005`. Their meaning: vcgencmd's `get_throttled` in the
/// Raspberry Pi documentation, under computers/os.
fn supply(told: Option<&str>) -> Finding {
    let digits = told.map(|told| told.trim().trim_start_matches("throttled=").trim_start_matches("0x"));
    let Some(bits) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
        return Finding::skipped("the firmware does not say whether the supply is good (vcgencmd get_throttled)");
    };
    let has = |bit: u32| bits & (1 << bit) != 0;
    let power = "a supply of 5.1 V with the board's full current, a short thick cable, no hub between";
    let finding = match () {
        () if has(0) => Finding::fault("under-voltage now", power),
        () if has(1) || has(2) || has(3) => {
            Finding::fault("slowed down now, by heat or supply", format!("cool it; or {power}"))
        }
        () if has(16) => Finding::warning("under-voltage since the start", power),
        () if bits & 0xe_0000 != 0 => {
            Finding::warning("it was slowed down since the start", format!("cool it; or {power}"))
        }
        () => Finding::ok("the supply is good, nothing was slowed down"),
    };
    finding.figure("throttled", bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::tree;

    #[test]
    fn the_bits_of_a_raspberry_pi_are_told_apart() {
        let verdict = |told| supply(told).verdict;
        assert_eq!(verdict(Some("throttled=0x0\n")), Verdict::Ok);
        assert_eq!(verdict(Some("50005")), Verdict::Fault);
        assert_eq!(verdict(Some("throttled=0x50000")), Verdict::Warning);
        assert_eq!(verdict(Some("throttled=0x80000")), Verdict::Warning);
        assert_eq!(verdict(Some("0x8")), Verdict::Fault);
        assert_eq!((verdict(None), verdict(Some("what"))), (Verdict::Skipped, Verdict::Skipped));
        assert!(supply(Some("1")).mend.unwrap().contains("5.1 V"));
    }

    #[test]
    fn powersave_is_slow_except_with_the_drivers_that_mean_something_else() {
        let machine = |driver: &str, governor: &str| {
            let policy = "sys/devices/system/cpu/cpufreq/policy0";
            tree(&[(&format!("{policy}/scaling_governor"), governor), (&format!("{policy}/scaling_driver"), driver)])
        };
        let verdict = |driver, governor| governor_of(&machine(driver, governor));
        fn governor_of((_root, machine): &(tempfile::TempDir, Machine)) -> Verdict {
            governor(machine).unwrap().verdict
        }
        assert_eq!(verdict("cpufreq-dt", "powersave"), Verdict::Warning);
        assert_eq!(verdict("cpufreq-dt", "schedutil"), Verdict::Ok);
        assert_eq!(verdict("intel_pstate", "powersave"), Verdict::Ok);
        let (_root, none) = tree(&[]);
        assert!(governor(&none).is_none() && heat(&none).is_none() && throttled(&none).is_none());
    }

    #[test]
    fn the_hottest_zone_counts() {
        let zone = "sys/class/thermal/thermal_zone";
        let (_root, machine) = tree(&[
            (&format!("{zone}0/temp"), "41000"),
            (&format!("{zone}0/type"), "cpu-thermal"),
            (&format!("{zone}1/temp"), "86500"),
            (&format!("{zone}1/type"), "gpu-thermal"),
            ("sys/class/thermal/cooling_device0/type", "pwm-fan"),
            ("sys/class/thermal/cooling_device0/cur_state", "3"),
            ("sys/class/thermal/cooling_device1/type", "devfreq-17000000.gpu"),
            ("sys/class/thermal/cooling_device1/cur_state", "2"),
        ]);
        let hot = heat(&machine).unwrap();
        assert!(hot.verdict == Verdict::Warning && hot.finding.contains("gpu-thermal, has 86.5"), "{hot:?}");
        assert_eq!(throttled(&machine).unwrap().finding, "slowed down by heat now: devfreq-17000000.gpu");
    }

    #[tokio::test]
    async fn a_raspberry_pi_is_known_by_its_device_tree() {
        let (_root, machine) = tree(&[
            ("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0"),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n"),
        ]);
        let patient = Patient::new(crate::config::load(&Default::default()), machine);
        let found = check(Arc::new(patient)).await;
        assert!(found[0].finding.starts_with("Raspberry Pi 5") && found[1].verdict == Verdict::Warning, "{found:?}");
    }
}
