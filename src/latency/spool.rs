//! A small, synced copy of the newest records in the state folder. Journald may lose its last minutes in a power cut
//! (it syncs every five minutes): a record that the journal lacks at the next start is written to it again.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

/// Records kept. A speaker has fewer turns than this in the five minutes that journald may lose.
const KEPT: usize = 256;

/// Room that is taken on the disk when the file is made, in bytes: for twice [`KEPT`] records of 2 kB, what the file holds before it
/// is written anew. On a disk that is full by then, records still find their place.
const ROOM: u64 = 2 * KEPT as u64 * 2048;

/// The records tell when people talk, and with `latency.log_words` what they say: for the owner's eyes.
const PRIVATE: u32 = 0o600;

/// The one key of the line that a start of the daemon writes.
const START: &str = "start";

/// The spool cannot be used.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The state folder cannot be made or written: configuration or permissions, say it at start.
    #[error("state folder {}: {source}; set daemon.state_dir to a folder that this user may write", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A record could not be written: the disk is full or broken. Warn and go on, the journal has the record.
    #[error("spool {}: {source}; the record is in the journal alone", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// `records.jsonl` in the state folder, one record a line, the newest last.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    records: Vec<Map<String, Value>>,
    lines_on_disk: usize,
}

impl Spool {
    /// Opens the spool, making the folder where it is missing. Lines that a power cut tore are dropped. A disk that is
    /// full is a warning: the speaker works without a spool.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        let refused = |source| SpoolError::Folder { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(refused)?;
        let path = dir.join("records.jsonl");
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(refused(error)),
        };
        let mut records: Vec<Map<String, Value>> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        // Records get two starts to reach the journal: where it is kept in memory alone, all would be new to it at
        // every boot, for ever.
        let starts = records.iter().enumerate().rev().filter(|(_, record)| record.contains_key(START));
        let second_last = starts.map(|(at, _)| at).nth(1);
        records.drain(..second_last.map_or(0, |at| at + 1));
        records.push(Map::from_iter([(START.to_owned(), Value::Bool(true))]));
        let mut spool = Spool { path, records, lines_on_disk: 0 };
        spool.trim();
        match spool.rewrite() {
            Err(source) if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                log::warn!("{}", SpoolError::Write { path: spool.path.clone(), source });
            }
            written => written.map_err(refused)?,
        }
        Ok(spool)
    }

    /// The records that it holds, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.records.iter().filter(|record| !record.contains_key(START))
    }

    /// Adds a record and syncs it to the disk.
    pub fn append(&mut self, record: &Map<String, Value>) -> Result<(), SpoolError> {
        self.records.push(record.clone());
        self.trim();
        let written = match self.lines_on_disk {
            usize::MAX => self.rewrite(),
            // A full disk has no room for a second file, but still for another line.
            lines if lines >= 2 * KEPT => self.rewrite().or_else(|_| self.append_line(record)),
            _ => self.append_line(record),
        };
        if written.is_err() {
            // Part of a line may be on the disk: the next record must not be written behind it.
            self.lines_on_disk = usize::MAX;
        }
        written.map_err(|source| SpoolError::Write { path: self.path.clone(), source })
    }

    fn trim(&mut self) {
        let excess = self.records.len().saturating_sub(KEPT);
        self.records.drain(..excess);
    }

    fn append_line(&mut self, record: &Map<String, Value>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record).map_err(std::io::Error::other)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()?;
        self.lines_on_disk += 1;
        Ok(())
    }

    /// Writes the kept records to a new file that then takes the old one's place.
    fn rewrite(&mut self) -> std::io::Result<()> {
        let next = self.path.with_extension("jsonl.new");
        let written = self.replace(&next);
        if written.is_err() {
            let _ = std::fs::remove_file(&next);
        }
        written
    }

    fn replace(&mut self, next: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(next)?;
        for record in &self.records {
            serde_json::to_writer(&mut file, record).map_err(std::io::Error::other)?;
            file.write_all(b"\n")?;
        }
        // A file system that cannot reserve goes without; the size of the file stays that of its lines.
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, ROOM);
        file.sync_all()?;
        std::fs::rename(next, &self.path)?;
        // The new name is in the folder, which is a file of its own to the disk.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.lines_on_disk = self.records.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: usize) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("turn_id".into(), Value::from(id.to_string()));
        map
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.append(&record(1)).unwrap();
        spool.append(&record(2)).unwrap();
        let path = dir.path().join("records.jsonl");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"turn_id\":\"3").unwrap();
        assert_eq!(Spool::open(dir.path()).unwrap().records().cloned().collect::<Vec<_>>(), [record(1), record(2)]);
    }

    #[test]
    fn a_record_has_two_starts_to_reach_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        Spool::open(dir.path()).unwrap().append(&record(1)).unwrap();
        for kept in [1, 1, 0] {
            assert_eq!(Spool::open(dir.path()).unwrap().records().count(), kept);
        }
    }

    #[test]
    fn it_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        for id in 0..3 * KEPT {
            spool.append(&record(id)).unwrap();
        }
        let lines = std::fs::read_to_string(dir.path().join("records.jsonl")).unwrap().lines().count();
        assert!(lines <= 2 * KEPT, "{lines} lines");
        assert_eq!(spool.records().last(), Some(&record(3 * KEPT - 1)));
        assert_eq!(spool.records().count(), KEPT);
    }

    #[test]
    fn a_record_after_one_that_could_not_be_written_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.append(&record(1)).unwrap();
        // A folder in its place: the write fails as on a broken disk.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = spool.append(&record(2)).unwrap_err().to_string();
        assert!(error.contains("records.jsonl"), "{error}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "{\"turn_id\":").unwrap();
        spool.append(&record(3)).unwrap();
        assert_eq!(
            Spool::open(dir.path()).unwrap().records().cloned().collect::<Vec<_>>(),
            [record(1), record(2), record(3)]
        );
    }

    #[test]
    fn room_for_its_lines_is_taken_beforehand_and_is_no_part_of_the_file() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let probe = File::create(dir.path().join("probe")).unwrap();
        if let Err(error) = rustix::fs::fallocate(&probe, rustix::fs::FallocateFlags::KEEP_SIZE, 0, ROOM) {
            println!("not tested: the file system of {} cannot reserve room: {error}", dir.path().display());
            return;
        }
        Spool::open(dir.path()).unwrap().append(&record(1)).unwrap();
        let file = dir.path().join("records.jsonl").metadata().unwrap();
        assert!(file.blocks() * 512 >= ROOM && file.len() < 1000, "{} blocks, {} bytes", file.blocks(), file.len());
    }

    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        Spool::open(dir.path()).unwrap().append(&record(1)).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Spool::open(&file.join("state")).unwrap_err().to_string();
        assert!(error.contains("file/state") && error.contains("daemon.state_dir"), "{error}");
    }
}
