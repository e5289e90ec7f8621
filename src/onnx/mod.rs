//! ONNX Runtime, for every room that has a network of its own: the library, opened once; sessions; and what ends a run.

mod runtime;
mod stop;
mod telemetry;

pub(crate) use runtime::{environment, session};
pub(crate) use stop::Stop;
pub(crate) use telemetry::turn_off as turn_telemetry_off;

/// Squeezes a message of several lines (ONNX Runtime's, espeak-ng's) into one, at most some 300 characters long.
pub(crate) fn one_line(message: impl std::fmt::Display) -> String {
    let message = message.to_string();
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
