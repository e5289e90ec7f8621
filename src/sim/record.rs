//! The server's own account: one line for each request in `requests.jsonl`, and the same records in memory.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::SimError;
use crate::clock::Mono;

/// One request, as the server saw it. Instants are CLOCK_MONOTONIC nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// `request-id` of the response.
    pub id: String,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// How many requests the connection had carried, this one included.
    pub connection_request: u64,
    /// The connection was accepted.
    pub connection_opened_ns: u64,
    /// The server began to wait for the TLS handshake.
    pub handshake_started_ns: u64,
    /// The TLS handshake was done.
    pub handshake_done_ns: u64,
    /// `h2` or `http/1.1`.
    pub protocol: String,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// HTTP status; 0 where the connection was dropped before one.
    pub status: u16,
    /// The whole request had been received.
    pub received_ns: u64,
    /// The first text delta was handed to the connection.
    pub first_text_ns: Option<u64>,
    /// The last byte was handed to the connection, or the request ended otherwise.
    pub done_ns: u64,
    /// Model of the request.
    pub model: Option<String>,
    /// Server-sent events.
    pub stream: bool,
    /// `max_tokens` of the request.
    pub max_tokens: Option<u64>,
    /// What was billed.
    pub usage: Option<UsageRecord>,
    /// Something was read from the cache.
    pub cache_hit: bool,
    /// Tokens of the reply's text as planned (a cancelled stream has sent fewer).
    pub reply_tokens: Option<u64>,
    /// `stop_reason`, where the answer was sent to its end.
    pub stop_reason: Option<String>,
    /// Type of the error that was answered.
    pub error: Option<String>,
    /// Name of the fault that struck.
    pub fault: Option<String>,
    /// The client went away before the end.
    pub cancelled: bool,
    /// The question, with `--log-words` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The messages before it, with `--log-words` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<String>>,
    /// The reply, with `--log-words` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Neither read nor written.
    pub input_tokens: u64,
    /// Written to the cache.
    pub cache_creation_input_tokens: u64,
    /// Read from the cache.
    pub cache_read_input_tokens: u64,
    /// Of them written for five minutes.
    pub ephemeral_5m_input_tokens: u64,
    /// Of them written for an hour.
    pub ephemeral_1h_input_tokens: u64,
    /// Output.
    pub output_tokens: u64,
}

/// Where the records go.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Mutex<File>,
    records: Mutex<Vec<RequestRecord>>,
    connections: AtomicU64,
}

impl Log {
    /// An empty log in `dir`.
    pub fn create(dir: &Path) -> Result<Self, SimError> {
        let path = dir.join("requests.jsonl");
        let file = File::create(&path).map_err(|source| SimError::Write { path: path.clone(), source })?;
        Ok(Self { path, file: Mutex::new(file), records: Mutex::default(), connections: AtomicU64::new(0) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All records so far, in the order in which the requests ended.
    pub fn records(&self) -> Vec<RequestRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a connection; its number.
    pub fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    fn add(&self, record: RequestRecord) {
        let mut line = serde_json::json!(record).to_string();
        line.push('\n');
        let written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        if let Err(error) = written {
            log::error!("{}: {error}; the record of request {} is lost", self.path.display(), record.id);
        }
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

/// The record of a request under way. It is written when this is dropped, however the request ended; unless
/// [`Open::finish`] was called first, the client had gone.
#[derive(Debug)]
pub struct Open {
    /// What is known so far.
    pub record: RequestRecord,
    log: Arc<Log>,
    finished: bool,
}

impl Open {
    /// Opens a record.
    pub fn new(log: Arc<Log>, record: RequestRecord) -> Self {
        Self { record, log, finished: false }
    }

    /// The request has ended in order, now.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record.done_ns = Mono::now().as_nanos();
        self.record.cancelled = !self.finished;
        self.log.add(std::mem::take(&mut self.record));
    }
}
