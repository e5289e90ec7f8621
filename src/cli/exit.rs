//! How a command ends: one line for the person, one exit code for the script.

use std::fmt;

use crate::claude::{ApiKind, ClaudeError};
use crate::config::Faults;
use crate::daemon::{EngineError, RigError, ServiceError};
use crate::models::ModelError;
use crate::prosody::ProsodyError;
use crate::stt::SttError;
use crate::tts::TtsError;

/// Exit codes, fixed for scripts (those above 2 are `sysexits.h`'s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed for a reason that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A service or a device is not available.
    Unavailable = 69,
    /// A passing fault: the same command may work later.
    TryAgain = 75,
    /// The configuration (or a model that it names) is wrong.
    Config = 78,
}

/// Why a command failed: the message is one line that names the thing and the mend.
#[derive(Debug)]
pub struct CliError {
    /// Exit code.
    pub exit: Exit,
    /// What went wrong and what to do, without a final full stop.
    pub message: String,
}

impl CliError {
    /// A failure with its code; `message` is any error that displays in one line.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

impl From<Faults> for CliError {
    fn from(faults: Faults) -> Self {
        let many = match faults.iter().len() {
            1 => String::new(),
            n => format!("the configuration has {n} faults\n"),
        };
        Self::new(Exit::Config, format!("{many}{faults}"))
    }
}

/// Errors whose exit code follows from their kind.
macro_rules! exit_by_kind {
    ($($error:ty: $code:path),* $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::new($code(&error), error)
            }
        })*
    };
}

exit_by_kind! {
    ModelError: of_model,
    SttError: of_stt,
    TtsError: of_tts,
    ClaudeError: of_claude,
    EngineError: of_engine,
    RigError: of_rig,
    ServiceError: of_service,
}

fn of_model(_: &ModelError) -> Exit {
    Exit::Config
}

fn of_stt(error: &SttError) -> Exit {
    match error {
        SttError::Load { .. } | SttError::Language { .. } => Exit::Config,
        SttError::Cancelled | SttError::Inference(_) | SttError::Gone => Exit::Failed,
    }
}

fn of_tts(error: &TtsError) -> Exit {
    match error {
        TtsError::Runtime(_) | TtsError::Voice { .. } | TtsError::Espeak { .. } => Exit::Config,
        TtsError::Cancelled | TtsError::Gone => Exit::Failed,
    }
}

fn of_claude(error: &ClaudeError) -> Exit {
    match error {
        ClaudeError::NoKey { .. } | ClaudeError::BadKey { .. } | ClaudeError::Setting { .. } => Exit::Config,
        ClaudeError::Offline { .. } | ClaudeError::Tls { .. } => Exit::Unavailable,
        ClaudeError::Api(fault) => match fault.kind {
            ApiKind::Key | ApiKind::NotFound => Exit::Config,
            ApiKind::RateLimited | ApiKind::Overloaded => Exit::TryAgain,
            _ => Exit::Failed,
        },
        _ => Exit::Failed,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Model(error) | EngineError::TurnModel(error) => of_model(error),
        EngineError::Stt(error) => of_stt(error),
        EngineError::Tts(error) => of_tts(error),
        EngineError::Claude(error) => of_claude(error),
        EngineError::Prosody(ProsodyError::Runtime(_) | ProsodyError::Model { .. }) => Exit::Config,
        EngineError::Prosody(_) | EngineError::Thread(_) => Exit::Failed,
    }
}

fn of_rig(error: &RigError) -> Exit {
    match error {
        RigError::Engine(error) => of_engine(error),
        RigError::Claude(error) => of_claude(error),
        RigError::Audio(_) | RigError::Sim(_) => Exit::Unavailable,
        RigError::Gone => Exit::Failed,
    }
}

fn of_service(error: &ServiceError) -> Exit {
    match error {
        ServiceError::Engine(error) => of_engine(error),
        // Only what the owner has to mend keeps the speaker from starting: systemd must not try it again.
        ServiceError::Claude(_) | ServiceError::Spool(_) => Exit::Config,
        ServiceError::Audio(_) | ServiceError::Wake(_) | ServiceError::Control(_) => Exit::Unavailable,
        ServiceError::Signals(_) => Exit::Failed,
    }
}
