//! Where the log goes: the journal for the service, standard error for a person.

use std::io::IsTerminal;

use env_logger::Env;
use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::Global;
use crate::stt::Overhearing;

/// Logs to standard error: warnings, and with `-v`, `-vv` more. `ELIO_LOG` (env_logger's syntax) overrides.
pub(super) fn to_stderr(global: &Global, quietest: LevelFilter) {
    let (own, others) = levels(global.verbose, quietest);
    let default = format!("{others},elio={own}");
    let mut builder = env_logger::Builder::from_env(Env::new().filter_or("ELIO_LOG", default));
    if std::io::stderr().is_terminal() {
        builder.format_target(false);
    }
    let logger = builder.build();
    let level = logger.filter();
    // A logger that is there already (a test's) stays.
    if log::set_boxed_logger(Box::new(Overhearing(logger))).is_ok() {
        log::set_max_level(level);
    }
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
            let (own, others) = levels(global.verbose, LevelFilter::Info);
            // A logger that is there already (a test's) stays.
            let _ = log::set_boxed_logger(Box::new(Overhearing(Journal { log, own, others })));
            log::set_max_level(own.max(others));
            Some(records)
        }
        _ => {
            to_stderr(global, LevelFilter::Info);
            None
        }
    }
}

/// How much Elio says, and how much its libraries do: those speak up only when everything is asked for.
fn levels(verbose: u8, quietest: LevelFilter) -> (LevelFilter, LevelFilter) {
    let own = match verbose {
        0 => quietest,
        1 => quietest.max(LevelFilter::Info),
        _ => LevelFilter::Trace,
    };
    (own, if verbose > 2 { LevelFilter::Debug } else { LevelFilter::Warn })
}

/// The journal, which has no filter of its own: whisper.cpp alone would write dozens of lines at each start.
struct Journal {
    log: JournalLog,
    own: LevelFilter,
    others: LevelFilter,
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= level_of(metadata.target(), self.own, self.others)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.log.log(record);
        }
    }

    fn flush(&self) {
        self.log.flush();
    }
}

fn level_of(target: &str, own: LevelFilter, others: LevelFilter) -> LevelFilter {
    if target == "elio" || target.starts_with("elio::") { own } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_only_warn_until_everything_is_asked_for() {
        let of = |target, verbose| {
            let (own, others) = levels(verbose, LevelFilter::Info);
            level_of(target, own, others)
        };
        assert_eq!(of("elio::turn", 0), LevelFilter::Info);
        assert_eq!(of("elio::turn", 2), LevelFilter::Trace);
        assert_eq!(of("whisper_rs::whisper_logging_hook", 2), LevelFilter::Warn);
        assert_eq!(of("eliot", 2), LevelFilter::Warn);
        assert_eq!(of("whisper_rs", 3), LevelFilter::Debug);
    }
}
