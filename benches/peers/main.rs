//! Elio's side of the comparisons with other programs; `make bench-peers` runs both sides.

mod measure;
mod scene;
mod vad;
mod voice;

use std::process::ExitCode;

const USAGE: &str = "peers: nothing to compare with: `make bench-peers` fetches the other programs and runs this

  peers vad SILERO.onnx LIBONNXRUNTIME.so   earshot and Silero, as Elio uses them, on the same sound
  peers voice VOICE THREADS                 speaks each line of standard input; one JSON object for each, with its times";

fn main() -> ExitCode {
    // cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["vad", silero, library] => vad::run(silero.as_ref(), library.as_ref()),
        ["voice", voice, threads] => voice::run(voice, threads),
        _ => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
