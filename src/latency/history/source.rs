//! Where the records come from: the journal, by its own program, or a file of what that program wrote.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::History;
use crate::latency::MESSAGE_ID;

/// Where journald keeps its files: on the disk, or in memory.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Bytes of journalctl's standard error that are kept.
const KEPT_ERRORS: u64 = 16 << 10;

/// The records cannot be read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// There is no systemd: only a file can be read.
    #[error(
        "journalctl is not on this machine: give what it wrote on another with --file, or the speaker's spool \
         (records.jsonl in daemon.state_dir)"
    )]
    NoJournalctl,
    /// The user may not read the system's journal: say the mend.
    #[error(
        "this user may not read the system's journal: run it with sudo, or `sudo usermod -aG systemd-journal $USER` \
         and log in again"
    )]
    Closed,
    /// journalctl failed, in its own words: most often a time, boot or unit that it does not know.
    #[error("journalctl: {0}")]
    Journalctl(String),
    /// The file cannot be read: say so.
    #[error("{}: {source}; --file takes what `journalctl -o json` writes, or - for standard input", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Which entries of the journal are read; times, boots and units as journalctl takes them.
#[derive(Clone, Debug, Default)]
pub struct JournalQuery {
    /// Not before.
    pub since: Option<String>,
    /// Not after.
    pub until: Option<String>,
    /// Of one boot.
    pub boot: Option<String>,
    /// Of one unit.
    pub unit: Option<String>,
}

/// Reads the records of the journal.
///
/// # Errors
/// There is no journalctl, or it fails: nothing of what was read is of use.
pub fn read_journal(query: &JournalQuery, history: &mut History<'_>) -> Result<(), HistoryError> {
    let mut command = Command::new("journalctl");
    // The message is the record; without --all a long one, as with `latency.log_words`, would come as null.
    command.args(["--output=json", "--output-fields=MESSAGE,ELIO_REPLAYED", "--all", "--no-pager"]);
    let options = [("since", &query.since), ("until", &query.until), ("boot", &query.boot), ("unit", &query.unit)];
    for (name, value) in options {
        command.args(value.as_ref().map(|value| format!("--{name}={value}")));
    }
    command.arg(format!("MESSAGE_ID={MESSAGE_ID}")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: io::Error| HistoryError::Journalctl(error.to_string());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => HistoryError::NoJournalctl,
        _ => failed(error),
    })?;
    // Beside the entries, since a full pipe of complaints would hold them up.
    let complaints = child.stderr.take().map(|stderr| std::thread::spawn(move || first_bytes(stderr)));
    let read =
        child.stdout.take().map_or(Ok(()), |stdout| history.read(&mut BufReader::with_capacity(1 << 16, stdout)));
    let status = child.wait().map_err(failed)?;
    let complaints = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
    read.map_err(failed)?;
    // Nobody read what it still had to write.
    if status.success() || history.stopped() {
        return Ok(());
    }
    if complaints.contains("insufficient permissions") {
        return Err(HistoryError::Closed);
    }
    let last = complaints.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(HistoryError::Journalctl(last.map_or_else(|| format!("it ended with {status}"), str::to_owned)))
}

/// Reads the records of a file, or of standard input where it is `-`.
///
/// # Errors
/// It cannot be opened or read.
pub fn read_file(path: &Path, history: &mut History<'_>) -> Result<(), HistoryError> {
    let read = if path == Path::new("-") {
        history.read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|file| history.read(&mut BufReader::with_capacity(1 << 16, file)))
    };
    read.map_err(|source| HistoryError::File { path: path.to_owned(), source })
}

/// There is a journal of the system that this user may not read. journalctl does not say so when it writes JSON: it
/// shows the user's own entries alone.
pub fn journal_is_closed() -> bool {
    let denied = |error: io::Error| error.kind() == ErrorKind::PermissionDenied;
    JOURNALS.iter().any(|journals| match std::fs::read_dir(journals) {
        Ok(machines) => {
            machines.flatten().any(|machine| File::open(machine.path().join("system.journal")).is_err_and(denied))
        }
        Err(error) => denied(error),
    })
}

fn first_bytes(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is not there to be told.
    let _ = from.by_ref().take(KEPT_ERRORS).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
