//! Elio: a voice assistant that runs on a board.
//!
//! A person presses the wake button and speaks; Whisper hears it, Claude answers over a connection that is already
//! open, a local voice speaks the answer while it is still being written, and one latency record goes to the journal.
//! The rooms of the house, in the order in which a turn meets them (`docs/design.md` tells why they are so):
//!
//! * [`cli`]: arguments, one file for each subcommand; knows everything, as little as possible.
//! * [`config`]: raw TOML in, checked configuration out, every fault at once. Knows no other room; the others read
//!   their own section of it.
//! * [`clock`]: CLOCK_MONOTONIC nanoseconds, the one time of every instant, and the injected clock of the tests.
//! * [`cpu`]: what the processor must have, asked before anything else runs.
//! * `anew`: the process going on as another program (`cpu`), or in another environment (`onnx`).
//! * [`audio`]: the PCM trait with the ALSA, the WAV and the scripted device; capture and playback threads, rings,
//!   resampling, VAD.
//! * [`wake`]: the button, the status LED and the mute line.
//! * [`stt`]: Whisper, warm on its own thread.
//! * [`prosody`]: Smart Turn, optional: does the sound of a pause say that the speaker has finished?
//! * [`claude`]: request and prefix, connection, SSE parser, stream, cache keeping, conversation memory.
//! * [`tts`]: splitter, VITS by ONNX Runtime, espeak-ng, levelling and joints.
//! * [`turn`]: the state machine of a turn, pure, with time injected; and the runner that moves sound and words for it.
//! * [`latency`]: instants, the record, and its ways out (journal, JSON, spool).
//! * [`daemon`]: what `elio run` starts and stops: sd_notify, watchdog, signals, control socket.
//! * [`doctor`]: every check a technician would do, each with its finding in numbers and its mend.
//! * `onnx`: ONNX Runtime, for the rooms with networks of their own.
//! * [`models`]: the manifest; finding, opening, verifying and fetching what it names.
//! * [`sim`]: the simulated Claude API, for the demo, the benches and the tests.
//! * [`bench`]: many turns on recorded speech, and what each stage took; false cut-offs; comparison and picture.

mod anew;
pub mod audio;
pub mod bench;
pub mod claude;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cpu;
pub mod daemon;
pub mod doctor;
pub mod latency;
pub mod models;
mod onnx;
pub mod prosody;
pub mod sim;
pub mod stt;
pub mod tts;
pub mod turn;
pub mod wake;
