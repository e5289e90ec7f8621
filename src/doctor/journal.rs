//! Where the records go: journald, its disk, its limits, the last records in it; and the spool beside it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Finding, Machine, Patient};
use crate::latency::MESSAGE_ID;

/// A line of the spool that is no record: a start of the daemon.
const START: &[u8] = b"{\"start\"";

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let machine = &patient.machine;
    let mut findings = daemon(machine);
    if machine.path("/run/systemd/journal/socket").exists() {
        findings.push(records(machine).await);
    }
    let state = patient.config().daemon.state_dir;
    let spool = super::blocking(move || spool(&state)).await;
    findings.push(spool.unwrap_or_else(|error| Finding::fault(error, "report this")));
    findings
}

/// Journald, and how it keeps what it takes.
fn daemon(machine: &Machine) -> Vec<Finding> {
    if !machine.path("/run/systemd/journal/socket").exists() {
        return vec![Finding::warning(
            "journald does not listen on /run/systemd/journal/socket: records go to standard error and the spool",
            "`systemctl start systemd-journald`; in a container pass that socket into it",
        )];
    }
    let storage = setting(machine, "Storage");
    let kept = machine.path("/var/log/journal").is_dir();
    let mut findings = vec![match storage.as_deref() {
        Some("none") => {
            Finding::fault("Storage=none: journald keeps nothing", "Storage=persistent in /etc/systemd/journald.conf")
        }
        Some("volatile") => volatile(),
        _ if !kept => volatile(),
        _ => Finding::ok("journald keeps its entries on the disk (/var/log/journal)").figure("persistent", true),
    }];
    // A turn is a handful of entries; the defaults (10000 in 30 s) let through what a day has.
    let burst = setting(machine, "RateLimitBurst").and_then(|burst| burst.parse::<u64>().ok());
    if let Some(burst) = burst.filter(|burst| (1..200).contains(burst)) {
        findings.push(Finding::warning(
            format!("RateLimitBurst={burst}: journald may drop records of busy minutes"),
            "RateLimitBurst=1000 or more in /etc/systemd/journald.conf",
        ));
    }
    findings
}

fn volatile() -> Finding {
    Finding::warning(
        "journald keeps its entries in memory alone: each start forgets the records of before",
        "`sudo mkdir -p /var/log/journal && sudo systemctl restart systemd-journald`",
    )
    .figure("persistent", false)
}

/// A key of journald.conf; the last file that sets it wins.
fn setting(machine: &Machine, key: &str) -> Option<String> {
    let drop_ins = machine.list("/etc/systemd/journald.conf.d").into_iter();
    let files = std::iter::once("/etc/systemd/journald.conf".into()).chain(drop_ins);
    let texts: Vec<String> = files.filter_map(|file: std::path::PathBuf| machine.read(file)).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).next_back().map(str::to_owned)
}

/// The newest records that the journal holds.
async fn records(machine: &Machine) -> Finding {
    let wanted = format!("MESSAGE_ID={MESSAGE_ID}");
    let args = ["--output=short-iso", "--quiet", "--no-pager", "--lines=200", wanted.as_str()];
    match machine.run("journalctl", &args).await {
        Ok(lines) => {
            let (count, last) = (lines.lines().count(), lines.lines().next_back());
            let time = last.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
            let said = match count {
                0 => "no record of a turn in the journal yet".to_owned(),
                200 => format!("200 records or more, the last at {time}"),
                _ => format!("{count} records, the last at {time}"),
            };
            Finding::ok(said).figure("records", count)
        }
        Err(error) => Finding::warning(error, "run this with sudo, or `sudo usermod -aG systemd-journal $USER`"),
    }
}

/// The synced copy of the newest records.
fn spool(state: &Path) -> Finding {
    let file = state.join("records.jsonl");
    let shown = file.display();
    match fs::read(&file) {
        Ok(bytes) => {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(START));
            let (records, kib) = (lines.count(), bytes.len().div_ceil(1024));
            let finding = Finding::ok(format!("the spool holds {records} records in {kib} KiB ({shown})"));
            finding.figure("spooled", records).figure("spool_bytes", bytes.len())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok("no spool yet: the first start makes it")
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Finding::skipped(format!("{shown}: {error}")).mend("run this with sudo")
        }
        Err(error) => Finding::fault(format!("{shown}: {error}"), "make daemon.state_dir a folder that can be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::tree;

    #[test]
    fn a_journal_that_forgets_is_told() {
        let verdict = |files: &[(&str, &str)]| {
            let (_root, machine) = tree(files);
            daemon(&machine).into_iter().map(|finding| finding.verdict).max().unwrap()
        };
        let (socket, disk) = (("run/systemd/journal/socket", ""), ("var/log/journal/1/system.journal", ""));
        let conf = "etc/systemd/journald.conf";
        assert_eq!(verdict(&[socket, disk]), Verdict::Ok);
        assert_eq!(verdict(&[]), Verdict::Warning);
        assert_eq!(verdict(&[socket]), Verdict::Warning);
        assert_eq!(verdict(&[socket, disk, (conf, "[Journal]\n#Storage=none\nStorage=volatile\n")]), Verdict::Warning);
        let drop_in = ("etc/systemd/journald.conf.d/9.conf", "[Journal]\nStorage=none\n");
        assert_eq!(verdict(&[socket, disk, (conf, "Storage=persistent"), drop_in]), Verdict::Fault);
        assert_eq!(verdict(&[socket, disk, (conf, "RateLimitBurst=5")]), Verdict::Warning);
        assert_eq!(verdict(&[socket, disk, (conf, "RateLimitBurst=0")]), Verdict::Ok, "0 is no limit");
    }

    #[test]
    fn the_spool_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(spool(dir.path()).verdict, Verdict::Ok);
        let line = "{\"turn_id\":\"7-1\",\"outcome\":\"answered\"}\n";
        fs::write(dir.path().join("records.jsonl"), format!("{{\"start\":true}}\n{line}{line}")).unwrap();
        assert_eq!(spool(dir.path()).figures["spooled"], 2);
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::create_dir(dir.path().join("folder/records.jsonl")).unwrap();
        assert_eq!(spool(&dir.path().join("folder")).verdict, Verdict::Fault);
    }
}
