//! The wall clock: TLS needs it. Against the API's own, and whether anything keeps it right.

use std::sync::Arc;

use jiff::Timestamp;

use super::finding::rounded;
use super::{Finding, Machine, Patient};

/// Seconds that it may be off: more is worth a word, and much more breaks certificates.
const OFF: (f64, f64) = (5.0, 3600.0);
/// This program was written then: a clock before it has never been set. 2026-01-01.
const WRITTEN: i64 = 1_767_225_600;
const SET: &str =
    "`sudo timedatectl set-ntp true`, or `sudo date -s` once; a board without a battery wants NTP at each boot";

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let date = patient.probe().await.as_ref().ok().and_then(|probe| probe.date);
    vec![against(patient.machine.now(), date), kept(&patient.machine).await]
}

/// `date`: the server's, and this machine's when it came.
fn against(now: Timestamp, date: Option<(Timestamp, Timestamp)>) -> Finding {
    let shown = now.strftime("%F %T UTC");
    if now.as_second() < WRITTEN {
        return Finding::fault(format!("{shown}: the clock has never been set, and no certificate is valid then"), SET);
    }
    let Some((theirs, ours)) = date else {
        return Finding::skipped(format!("{shown}; the API did not answer, so there is nothing to compare it with"));
    };
    let off = ours.duration_since(theirs).as_secs_f64();
    // The header has whole seconds.
    let said = format!("{shown}, {off:+.0} s against the API's");
    let finding = if off.abs() > OFF.1 {
        Finding::fault(format!("{said}: certificates fail by that"), SET)
    } else if off.abs() > OFF.0 {
        Finding::warning(said, SET)
    } else {
        Finding::ok(said)
    };
    finding.figure("off_s", rounded(off, 1))
}

/// Whether the kernel's clock is synchronized, whoever does it.
async fn kept(machine: &Machine) -> Finding {
    let asked = machine.run("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await;
    let file = machine.path("/run/systemd/timesync/synchronized").exists();
    match asked.as_deref().map(str::trim) {
        _ if file => Finding::ok("synchronized by systemd-timesyncd").figure("synchronized", true),
        Ok("yes") => Finding::ok("synchronized by NTP").figure("synchronized", true),
        Ok("no") => Finding::warning("nothing keeps the clock right (NTP is not synchronized)", SET)
            .figure("synchronized", false),
        _ => Finding::skipped("timedatectl does not say whether NTP keeps the clock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::{demo, sim, tree};
    use crate::sim::SimOptions;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(WRITTEN + 50_000_000 + second).unwrap()
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        let off = |seconds| against(at(seconds), Some((at(0), at(seconds))));
        assert_eq!([off(1).verdict, off(-4).verdict], [Verdict::Ok; 2]);
        assert!(off(-90).verdict == Verdict::Warning && off(-90).finding.contains("-90 s"), "{:?}", off(-90));
        assert_eq!([off(90_000).verdict, off(-90_000).verdict], [Verdict::Fault; 2]);
        assert_eq!(against(Timestamp::UNIX_EPOCH, None).verdict, Verdict::Fault);
        assert_eq!(against(at(0), None).verdict, Verdict::Skipped);
    }

    #[tokio::test]
    async fn the_apis_date_is_read_and_timesyncd_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (_sim, set) = sim(SimOptions::new(dir.path())).await;
        let (_root, machine) = tree(&[("run/systemd/timesync/synchronized", "")]);
        let found = check(Arc::new(demo(machine, &[&set[0], &set[1]]))).await;
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Ok), "{found:?}");
        assert!(found[0].figures["off_s"].as_f64().unwrap().abs() < 4.0, "{found:?}");
    }
}
