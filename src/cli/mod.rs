//! The command line: arguments, and one file for each subcommand.

mod ask;
mod bench;
mod check;
mod control;
mod demo;
mod doctor;
mod exit;
mod fault;
mod latency;
mod logging;
mod manual;
mod models;
mod run;
mod say;
mod share;
mod sim;
mod split;
mod stdout;
mod transcribe;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use exit::{CliError, Exit};

use crate::{config, cpu, onnx};

/// What scripts and technicians look for at the end of a help text or a man page.
const AFTER: &str = "\
Exit codes: 0 done; 1 failed; 2 wrong command line; 69 a service or a device is not available; 75 a passing fault, try \
again; 78 the configuration or a model that it names is wrong.

Files: /etc/elio/elio.toml and /etc/elio/elio.toml.d/*.toml, the configuration; /etc/elio/anthropic-api-key, the key; \
/var/lib/elio, models and the spool of latency records.

The journal: journalctl -u elio, with explanations of each failure by -x.";

/// A voice assistant that runs on a board.
#[derive(Debug, Parser)]
#[command(name = "elio", version, about, max_term_width = 110, after_long_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file [default: /etc/elio/elio.toml where it exists, else what is built in]
    #[arg(long, short, global = true, env = "ELIO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration, over every file: `--set endpoint.silence=500ms` (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// One JSON document on standard output; logs stay on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// More log on standard error (-v: what happens, -vv: every detail)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// Reads the configuration as these options and the environment say.
    ///
    /// # Errors
    /// Exit 78 with every fault, one a line: the command must not go on.
    pub fn load_config(&self) -> Result<config::Loaded, CliError> {
        Ok(config::load(&self.load_options())?)
    }

    /// As [`Global::load_config`], for the commands that only need models: where nobody has configured anything, the
    /// demo's configuration, whose models come with the program.
    pub fn load_config_or_demo(&self) -> Result<config::Loaded, CliError> {
        let mut options = self.load_options();
        if options.file.is_none() && !std::path::Path::new(config::DEFAULT_FILE).exists() {
            options.file = share::find("configs/demo.toml").ok();
        }
        Ok(config::load(&options)?)
    }

    /// What [`config::load`] is asked for, now and at each reload.
    pub fn load_options(&self) -> config::LoadOptions {
        // An empty ELIO_CONFIG is as good as none.
        let file = self.config.clone().filter(|file| !file.as_os_str().is_empty());
        config::LoadOptions::from_process(file, self.set.clone())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the speaker (what the systemd service starts)
    Run(run::RunArgs),
    /// Hear, answer and speak recorded questions: the whole pipeline without microphone, key or download
    Demo(demo::DemoArgs),
    /// Measure many turns on recorded speech: percentiles of every stage, false cut-offs, comparison
    Bench(bench::BenchArgs),
    /// Ask Claude one question in writing
    Ask(ask::AskArgs),
    /// Speak a text
    Say(say::SayArgs),
    /// Write down what a recording says
    Transcribe(transcribe::TranscribeArgs),
    /// Split a text on standard input into the chunks that would be spoken
    Split(split::SplitArgs),
    /// Check the configuration and report every fault at once
    Check(check::CheckArgs),
    /// Make every check a technician would do, each with its mend: sound, button, models, key, network and the rest
    Doctor(doctor::DoctorArgs),
    /// What the records of many turns come to: percentiles of every stage, outcomes, the longest waits
    Latency(latency::LatencyArgs),
    /// Show that the speaker has given up: blink, say so once, stay (what the systemd service starts then)
    Fault(fault::FaultArgs),
    /// Get the models, check them, and list them
    Models(models::ModelsArgs),
    /// Serve the simulated Claude API
    Sim(sim::SimArgs),
    /// Press the wake button of the running speaker
    Press(control::PressArgs),
    /// Release the wake button of the running speaker
    Release(control::ControlArgs),
    /// Show what the running speaker does
    Status(control::ControlArgs),
    /// Print the completions of a shell
    Completions(manual::CompletionsArgs),
    /// Write the man pages into a folder
    Man(manual::ManArgs),
}

impl Cli {
    /// The command line's grammar. clap lets a global option that comes after the subcommand replace the same one before
    /// it; of `--set` each counts, so the subcommands have one of their own.
    fn grammar() -> clap::Command {
        let set = Cli::command().get_arguments().find(|arg| arg.get_id() == "set").cloned();
        let set = set.unwrap_or_else(|| Arg::new("set").long("set").action(ArgAction::Append));
        Cli::command().mut_subcommands(|command| with_set(command, &set))
    }

    fn read(matches: &clap::ArgMatches) -> Result<Cli, clap::Error> {
        let mut cli = Cli::from_arg_matches(matches)?;
        let mut matches = matches;
        while let Some((_, sub)) = matches.subcommand() {
            cli.global.set.extend(sub.get_many::<String>("set").into_iter().flatten().cloned());
            matches = sub;
        }
        Ok(cli)
    }
}

/// Adds `--set` to a subcommand and to those under it.
fn with_set(command: clap::Command, set: &Arg) -> clap::Command {
    command.arg(set.clone()).mut_subcommands(|command| with_set(command, set))
}

/// Parses the arguments, runs the subcommand, prints the one line of a failure, and gives the exit code.
pub fn main() -> ExitCode {
    // Before anything of whisper.cpp can run.
    let lacking = cpu::lacking();
    if !lacking.is_empty() {
        let (level, lacking) = (cpu::LEVEL, lacking.join(", "));
        return end(CliError::new(
            Exit::Config,
            format!("made for processors of {level}, and this one lacks {lacking}: Elio needs a newer machine"),
        ));
    }
    cpu::become_faster();
    onnx::turn_telemetry_off();
    let cli = Cli::read(&Cli::grammar().get_matches()).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Run(args) => run::run(args, &cli.global),
        Command::Demo(args) => demo::run(args, &cli.global),
        Command::Bench(args) => bench::run(args, &cli.global),
        Command::Ask(args) => ask::run(args, &cli.global),
        Command::Say(args) => say::run(args, &cli.global),
        Command::Transcribe(args) => transcribe::run(args, &cli.global),
        Command::Split(args) => split::run(args, &cli.global),
        Command::Check(args) => check::run(args, &cli.global),
        Command::Doctor(args) => doctor::run(args, &cli.global),
        Command::Latency(args) => latency::run(args, &cli.global),
        Command::Fault(args) => fault::run(args, &cli.global),
        Command::Models(args) => models::run(args, &cli.global),
        Command::Sim(args) => sim::run(args, &cli.global),
        Command::Press(args) => control::press(args, &cli.global),
        Command::Release(args) => control::run(control::Request::Release, args, &cli.global),
        Command::Status(args) => control::run(control::Request::Status, args, &cli.global),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
    };
    result.map_or_else(end, |()| ExitCode::SUCCESS)
}

fn end(error: CliError) -> ExitCode {
    // Where standard error is closed, the exit code is all there is.
    let _ = writeln!(std::io::stderr(), "elio: {error}");
    ExitCode::from(error.exit as u8)
}

/// The runtime of a command.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("the runtime cannot start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_counts_before_and_after_the_subcommand_and_the_later_one_comes_later() {
        let line = ["elio", "--set", "a=1", "-v", "check", "--set", "b=2", "--set", "a=3", "--json"];
        let cli = Cli::read(&Cli::grammar().try_get_matches_from(line).unwrap()).unwrap();
        assert_eq!(cli.global.set, ["a=1", "b=2", "a=3"]);
        assert!(cli.global.json && cli.global.verbose == 1);
        let line = ["elio", "models", "--set", "a=1", "list", "--set", "b=2", "--json"];
        let cli = Cli::read(&Cli::grammar().try_get_matches_from(line).unwrap()).unwrap();
        assert_eq!((cli.global.set, cli.global.json), (vec!["a=1".to_owned(), "b=2".to_owned()], true));
    }

    #[test]
    fn the_grammar_has_no_contradiction() {
        Cli::grammar().debug_assert();
    }
}
