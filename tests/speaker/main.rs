//! The promises of the whole speaker, held against real parts: Whisper, a voice, TLS to the simulated Claude, and
//! devices that keep time. One folder, one program: each idea has its file.
//!
//! Turns run in real time. No test asserts on speed, only on order and presence.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod answer_heard;
mod endurance;
mod hold;
mod never_silent;
mod press_again;
mod rig;
