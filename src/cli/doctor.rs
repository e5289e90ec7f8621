//! `elio doctor`: every check a technician would do, with its mend.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use indicatif::{ProgressBar, ProgressStyle};
use log::LevelFilter;

use super::{CliError, Exit, Global, logging, stdout};
use crate::config;
use crate::doctor::{self, CHECKS, Check, Examined, Machine, Patient, Press, Verdict};

/// How long a person has to press the button.
const PRESS: Duration = Duration::from_secs(10);

/// Arguments of `elio doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only these checks [default: all of them, in this order]
    #[arg(value_name = "CHECK", value_parser = names())]
    checks: Vec<String>,
    /// Leave out what takes seconds, loads a model or makes a sound
    #[arg(long)]
    quick: bool,
    /// Wait for a press of the button (10 s) even where nobody sits at a terminal
    #[arg(long)]
    press: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(CHECKS.iter().map(|check| PossibleValue::new(check.name).help(check.about)))
}

/// Makes the checks; fails where one of them finds a fault.
pub fn run(args: DoctorArgs, global: &Global) -> Result<(), CliError> {
    // What the rooms warn of is what the checks find; and whisper.cpp is overheard by way of the log.
    logging::to_stderr(global, LevelFilter::Error);
    let mut patient = Patient::new(config::load(&global.load_options()), Machine::this());
    let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
    if args.press || somebody && !global.json && !args.quick {
        patient.press = Press::Wait(PRESS);
        patient.prompt = |what| drop(writeln!(io::stderr(), "{what}"));
    }
    let named = |check: &&Check| args.checks.is_empty() || args.checks.iter().any(|name| name == check.name);
    let checks: Vec<&Check> = CHECKS.iter().filter(named).filter(|check| !(args.quick && check.long)).collect();

    let patient = Arc::new(patient);
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let runtime = super::runtime()?;
    let mut examined = Vec::new();
    for check in checks {
        // The check of the button talks to the person itself.
        let progress = spinner(check.name, check.name != "button");
        let made = runtime.block_on(doctor::examine(check, &patient));
        progress.finish_and_clear();
        if !global.json {
            stdout::print(&doctor::text(&made, colour))?;
        }
        examined.push(made);
    }
    // What still hangs after its deadline is not waited for.
    runtime.shutdown_background();
    let all = if global.json { format!("{:#}\n", doctor::document(&examined)) } else { doctor::summary(&examined) };
    stdout::print(&all)?;
    verdict(&examined, &patient)
}

/// Without a fault all is well; a configuration that cannot be read has the code that it has everywhere.
fn verdict(examined: &[Examined], patient: &Patient) -> Result<(), CliError> {
    let faulty = |check: &&Examined| check.findings.iter().any(|finding| finding.verdict == Verdict::Fault);
    let names: Vec<&str> = examined.iter().filter(faulty).map(|check| check.check).collect();
    match doctor::count(examined, Verdict::Fault) {
        0 => Ok(()),
        count => {
            let exit = if patient.loaded.is_err() { Exit::Config } else { Exit::Failed };
            let faults = if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
            Err(CliError::new(exit, format!("{faults}: {}", names.join(", "))))
        }
    }
}

fn spinner(name: &str, show: bool) -> ProgressBar {
    if !show {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
