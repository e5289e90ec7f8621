//! Where the log goes: the journal for the service, standard error for a person.

use std::io::IsTerminal;

use env_logger::Env;
use log::LevelFilter;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::Global;

/// Logs to standard error: warnings, and with `-v`, `-vv` more. `ELIO_LOG` (env_logger's syntax) overrides.
pub(super) fn to_stderr(global: &Global, quietest: LevelFilter) {
    let own = match global.verbose {
        0 => quietest,
        1 => quietest.max(LevelFilter::Info),
        _ => LevelFilter::Trace,
    };
    // Libraries speak up only when everything is asked for.
    let others = if global.verbose > 2 { LevelFilter::Debug } else { LevelFilter::Warn };
    let default = format!("{others},elio={own}");
    let mut builder = env_logger::Builder::from_env(Env::new().filter_or("ELIO_LOG", default));
    if std::io::stderr().is_terminal() {
        builder.format_target(false);
    }
    // A logger that is there already (a test's) stays.
    let _ = builder.try_init();
}

/// Logs to the journal where standard error is connected to it, else to standard error; gives the journal for the
/// records.
pub(super) fn for_service(global: &Global) -> Option<JournalLog> {
    if !connected_to_journal() {
        to_stderr(global, LevelFilter::Info);
        return None;
    }
    match (JournalLog::new(), JournalLog::new()) {
        (Ok(log), Ok(records)) => {
            // A logger that is there already (a test's) stays.
            let _ = log.install();
            log::set_max_level(if global.verbose > 0 { LevelFilter::Debug } else { LevelFilter::Info });
            Some(records)
        }
        _ => {
            to_stderr(global, LevelFilter::Info);
            None
        }
    }
}
