//! Where a record leaves the process: the journal, or JSON on standard error where there is none; and the spool.

use std::collections::HashSet;
use std::io::{Write, stderr, stdout};
use std::process::Command;

use systemd_journal_logger::JournalLog;

use super::{MESSAGE_ID, Record, Spool};
use super::{failure, journal};

/// Takes each turn's record out of the process.
pub struct RecordSink {
    journal: Option<JournalLog>,
    spool: Option<Spool>,
    stdout: bool,
}

impl RecordSink {
    /// A sink that writes to the journal where `journal` is given, else to standard error; and to the spool, if any.
    /// `stdout`: each record is also a line of JSON on standard output (`elio run --json`).
    pub fn new(journal: Option<JournalLog>, spool: Option<Spool>, stdout: bool) -> Self {
        Self { journal, spool, stdout }
    }

    /// Writes one record, and what a failed one means into the log. A disk or a journal that refuses is a warning in the log, never a failed turn.
    pub fn write(&mut self, record: &Record) {
        let map = record.to_json();
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.append(&map)
        {
            log::warn!("{error}");
        }
        let line = serde_json::Value::Object(map.clone()).to_string();
        // A reader that has left is no reason to stop: `println!` would panic.
        if self.stdout {
            let _ = writeln!(stdout(), "{line}");
        }
        match &self.journal {
            Some(journal) => {
                if let Err(error) = journal::send(journal, &map, false) {
                    let _ = writeln!(stderr(), "{line}");
                    log::warn!("the journal did not take record {}: {error}", record.turn_id);
                }
            }
            None if !self.stdout => {
                let _ = writeln!(stderr(), "{line}");
            }
            None => {}
        }
        failure::explain(record);
    }

    /// Writes to the journal again what the spool holds and the journal lacks; gives the number of such records.
    /// Blocking (runs `journalctl`): call it once, at start.
    pub fn replay(&self) -> usize {
        let (Some(journal), Some(spool)) = (&self.journal, &self.spool) else { return 0 };
        if spool.records().next().is_none() {
            return 0;
        }
        let kept = match read_journal() {
            Ok(lines) => journal::turn_ids(&lines).collect::<HashSet<_>>(),
            Err(error) => {
                // Without reading it nothing is known to be missing: writing all again would count turns twice.
                log::warn!("the journal cannot be read ({error}): records lost in a power cut are not written again");
                return 0;
            }
        };
        let lost = spool
            .records()
            .filter(|record| record.get("turn_id").and_then(|id| id.as_str()).is_some_and(|id| !kept.contains(id)));
        lost.filter(|record| journal::send(journal, record, true).is_ok()).count()
    }
}

/// Every latency record in the journal, as `journalctl -o json` lines.
fn read_journal() -> std::io::Result<String> {
    let output = Command::new("journalctl")
        .args(["--output=json", "--output-fields=ELIO_TURN_ID", "--quiet", "--lines=2000"])
        .arg(format!("MESSAGE_ID={MESSAGE_ID}"))
        .output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(std::io::Error::other(reason.lines().next().unwrap_or("journalctl failed").to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
