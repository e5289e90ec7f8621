//! Models: their files, finding and opening them, fetching them from a server with faults, and `elio models`.

#![allow(clippy::disallowed_methods, reason = "a test bounds its waits")]
// Clippy takes only the functions marked #[test] for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../claude/server.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod server;

mod command;
mod faults;
mod fetch;
mod files;
mod house;
mod trust;
