//! The two moments of a start, as entries of the journal: from when on a press is served, and from when on at full speed.

use crate::clock::Mono;

/// `MESSAGE_ID` of the entry that the wake button works (READY=1); `ELIO_READY_MS` is the time from the process's start.
pub const READY_ID: &str = "1d4b7a0c52e94c0f8b6e9a1f3c7d2e50";
/// `MESSAGE_ID` of the entry that every model is loaded and warm; `ELIO_WARM_MS` likewise.
pub const WARM_ID: &str = "8c2f5e61a7b34d9e9f0d6b4a2e8c1357";
/// `MESSAGE_ID` of the entry that the service has given up (`elio fault`).
pub const FAULT_ID: &str = "5a9e3c7f10d84b26a4c8e2d6f0b19374";

/// The wake button works. Gives the milliseconds since the process's start.
pub(super) fn ready(begun: Mono) -> u64 {
    let ms = Mono::now().since(begun).as_millis() as u64;
    log::info!(MESSAGE_ID = READY_ID, ELIO_READY_MS = ms; "ready after {ms} ms: the wake button works");
    ms
}

/// Everything is loaded. Gives the milliseconds since the process's start.
pub(super) fn warm(begun: Mono) -> u64 {
    let ms = Mono::now().since(begun).as_millis() as u64;
    log::info!(MESSAGE_ID = WARM_ID, ELIO_WARM_MS = ms; "warm after {ms} ms: every model is loaded");
    ms
}
