//! `elio bench`: recorded speech through the whole pipeline many times over, and the percentiles of every stage.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use log::LevelFilter;
use serde_json::json;

use super::sim::{pace, seconds};
use super::{CliError, Exit, Global, logging, share, stdout};
use crate::bench::{
    self, Answers, Bench, BenchError, Clips, Comparison, Goal, Mode, Part, Program, Report, Rest, counts_help, plot,
};
use crate::claude::ApiKey;
use crate::config::{LoadOptions, Loaded};
use crate::daemon::{Proof, RigError, start_whisper};
use crate::sim::{SimError, SimOptions, Spread};

/// The replay of `--plot` hears so many pauses: each costs some hundredths of a second.
const REPLAYED: usize = 200;
/// A handful of answers is stopped: each takes some seconds.
const STOPS: u16 = 5;
/// A speaker is idle so long after its start, for the estimate alone.
const SETTLING: Duration = Duration::from_secs(10);
/// Tokens of a question with the prompt before it, roughly: for the announcement of `--live`.
const TOKENS: usize = 5_000;

/// Arguments of `elio bench`.
#[derive(Debug, Args)]
#[command(after_help = format!(
    "Turns run in real time, some seconds each. Where neither --config nor ELIO_CONFIG names a file, it uses Elio's own \
     configs/demo.toml. docs/performance.md has the format of --clips.\n\nCounts, for --require:\n{}",
    counts_help()
))]
pub struct BenchArgs {
    /// Questions in each run of each mode
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..))]
    requests: u16,
    /// How turns end
    #[arg(long, value_name = "MODE", default_value = "both")]
    mode: Modes,
    /// Folder with recordings and clips.toml or questions.toml [default: models/demo/clips, else models/demo/questions]
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Sentences with a pause of 300 to 900 ms in each run in endpoint mode [default: as many as --requests]
    #[arg(long, value_name = "N")]
    pauses: Option<u16>,
    /// Answers that are stopped by the button in each run [default: 5, none with -n 0]
    #[arg(long, value_name = "N")]
    stops: Option<u16>,
    /// Nobody speaks for so many seconds after each question (with --idle-timeout: until the connection is closed)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pause_between: Option<Duration>,
    /// At the end of each run nobody speaks for so many seconds, while another process takes memory; then ten turns
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    rest: Option<Duration>,
    /// Share of the available memory that is taken meanwhile
    #[arg(long, value_name = "0..1", default_value_t = 0.8, value_parser = share_of_one)]
    pressure: f64,
    /// Measure for so many seconds what a speaker takes while nobody speaks, and its memory against the engines' alone
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle: Option<Duration>,
    /// A process that takes part in the measuring: the bench starts it
    #[arg(long, hide = true)]
    part: Option<Part>,
    /// Runs; the percentiles shown are the median of theirs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Seed of the times, of the pauses and of the finger
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The real Claude answers, with the key of ANTHROPIC_API_KEY (or of the configuration)
    #[arg(long)]
    live: bool,
    /// With --live on a terminal: do not ask whether to go on
    #[arg(long, requires = "live")]
    yes: bool,
    /// Time to first token of the simulated Claude, in ms: a number or an even range (182..239)
    #[arg(long, value_name = "MS|MS..MS", default_value = "400", conflicts_with = "live")]
    ttft: Spread,
    /// Pace of the simulated Claude
    #[arg(long, value_name = "N", default_value_t = 120.0, value_parser = pace, conflicts_with = "live")]
    tokens_per_second: f64,
    /// Milliseconds that the simulated network adds, each way: a number, or an even range for jitter (90..110)
    #[arg(long, value_name = "MS|MS..MS", default_value = "0", conflicts_with = "live")]
    net_delay: Spread,
    /// The simulated Claude closes connections that have been idle for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "live")]
    idle_timeout: Option<Duration>,
    /// Rules of the simulated replies [default: built in, models/demo/replies.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    replies: Option<PathBuf>,
    /// Folder of the simulated Claude: its authority and requests.jsonl [default: target/bench in the repository, else
    /// ./elio-bench]
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    dir: Option<PathBuf>,
    /// Save the report as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show what moved since a saved report
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Draw the wait against the false cut-offs over endpoint.silence as PNG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Exit 1 where a goal is missed: `endpoint.total_perceived_ms.p95<=800` (may be repeated)
    #[arg(long, value_name = "GOAL")]
    require: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Modes {
    /// The button is released just after the end of the speech
    Hold,
    /// Silence ends the turn
    Endpoint,
    /// One after the other
    Both,
}

impl Modes {
    fn list(self) -> &'static [Mode] {
        match self {
            Modes::Hold => &[Mode::Hold],
            Modes::Endpoint => &[Mode::Endpoint],
            Modes::Both => &[Mode::Hold, Mode::Endpoint],
        }
    }
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Rig(error) => error.into(),
            BenchError::Goal { .. } => Self::new(Exit::Usage, error),
            BenchError::Sim(SimError::Replies(_)) => Self::new(Exit::Config, error),
            BenchError::Sim(_) => Self::new(Exit::Unavailable, error),
            BenchError::Part { .. }
            | BenchError::Clips { .. }
            | BenchError::Audio(_)
            | BenchError::Old { .. }
            | BenchError::Write { .. } => Self::new(Exit::Failed, error),
        }
    }
}

/// Runs the bench.
pub fn run(args: BenchArgs, global: &Global) -> Result<(), CliError> {
    logging::to_stderr(global, LevelFilter::Error);
    // Everything that can be refused is, before minutes are spent on measuring.
    let goals = args.require.iter().map(|text| Goal::read(text)).collect::<Result<Vec<_>, _>>()?;
    let old = args.compare.as_deref().map(Report::read).transpose()?;
    [&args.out, &args.plot].into_iter().flatten().try_for_each(|file| folder_is_there(file))?;
    let mut options = global.load_options();
    if options.file.is_none() {
        // A speaker's own configuration names devices that the bench does without.
        options.file = Some(share::find("configs/demo.toml")?);
    }
    let loaded = crate::config::load(&options)?;
    if let Some(part) = args.part {
        return take_part(part, &args, &loaded);
    }
    let bench = prepare(&args, &loaded, &options)?;
    if args.idle.is_none() && args.mode.list().iter().all(|mode| bench.questions_sent(*mode) == 0) {
        return Err(CliError::new(Exit::Usage, "nothing to measure: give -n, --stops, --pauses, --rest or --idle"));
    }
    if args.live && !may_go_on(&args, &bench)? {
        return Ok(());
    }
    let mut report = measure(&args, &bench, &loaded)?;
    // What took minutes is printed, whatever cannot be drawn or saved.
    let plotted = args.plot.as_deref().map_or(Ok(()), |file| draw(&mut report, &bench, file));
    let saved = args.out.as_deref().map_or(Ok(()), |file| report.write(file));
    let comparison = old.map(|old| Comparison::new(&old, &report));
    if global.json {
        let mut document = json!(report);
        if let Some(comparison) = comparison {
            document["compare"] = json!(comparison);
        }
        stdout::print(&format!("{document}\n"))?;
    } else {
        stdout::print(&(report.text() + &comparison.map_or_else(String::new, |comparison| comparison.text())))?;
    }
    plotted?;
    saved?;
    let missed: Vec<String> = goals.iter().flat_map(|goal| goal.missed(&report)).collect();
    if missed.is_empty() { Ok(()) } else { Err(CliError::new(Exit::Failed, missed.join("; "))) }
}

fn draw(report: &mut Report, bench: &Bench, file: &Path) -> Result<(), CliError> {
    tell(&format!("bench: {REPLAYED} pauses are replayed for --plot\n"));
    super::runtime()?.block_on(async {
        let stt = start_whisper(&bench.config).await?;
        report.replay(bench, REPLAYED, Arc::new(stt)).await;
        Ok::<_, CliError>(())
    })?;
    let nothing = || CliError::new(Exit::Failed, "--plot: no turn in endpoint mode was answered; see the report");
    Ok(plot::write(report.curve.as_ref().ok_or_else(nothing)?, report, file)?)
}

fn folder_is_there(file: &Path) -> Result<(), BenchError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && !file.is_dir() {
        return Ok(());
    }
    let fault = if file.is_dir() { "is a folder".to_owned() } else { format!("{} is no folder", folder.display()) };
    Err(BenchError::Write { path: file.to_owned(), fault })
}

/// What the processes do that the bench starts.
fn take_part(part: Part, args: &BenchArgs, loaded: &Loaded) -> Result<(), CliError> {
    if part == Part::Squeeze {
        return Ok(bench::squeeze(args.pressure)?);
    }
    let taken = super::runtime()?.block_on(bench::hold(part, &loaded.config, args.idle.unwrap_or_default()))?;
    stdout::print(&format!("{}\n", json!(taken)))
}

/// This program with the same configuration.
fn program(options: &LoadOptions) -> Result<Program, CliError> {
    let exe = std::env::current_exe().map_err(|error| CliError::new(Exit::Failed, error))?;
    let mut args: Vec<OsString> = vec!["bench".into()];
    if let Some(file) = &options.file {
        args.extend(["--config".into(), file.into()]);
    }
    args.extend(options.set.iter().flat_map(|set| ["--set".into(), set.into()]));
    Ok(Program { exe, args })
}

fn share_of_one(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.95).contains(&share) => Ok(share),
        _ => Err("allowed: a share from 0 to 0.95".to_owned()),
    }
}

fn prepare(args: &BenchArgs, loaded: &Loaded, options: &LoadOptions) -> Result<Bench, CliError> {
    let folder = match &args.clips {
        Some(folder) => folder.clone(),
        None => share::find("models/demo/clips").or_else(|_| share::find("models/demo/questions"))?,
    };
    let clips = Clips::read(&folder)?;
    let with_words = clips.sentences.iter().any(|sentence| !sentence.boundaries().is_empty());
    let endpoint = args.mode.list().contains(&Mode::Endpoint);
    if args.plot.is_some() && !(with_words && endpoint) {
        let why = if endpoint { "clips with word ends (--clips)" } else { "--mode endpoint or both" };
        let text = format!("--plot needs {why}: it draws what the endpoint's silence does");
        return Err(CliError::new(Exit::Usage, text));
    }
    if args.pauses.is_some_and(|pauses| pauses > 0) && !with_words {
        let list = folder.join("clips.toml");
        let text =
            format!("--pauses needs clips with word ends, and {} has none; see docs/performance.md", list.display());
        return Err(CliError::new(Exit::Usage, text));
    }
    let answers = if args.live {
        Answers::Live(ApiKey::find(&loaded.config.claude, |name| std::env::var(name).ok())?)
    } else {
        let dir = args.dir.clone().unwrap_or_else(|| share::output_folder("bench"));
        Answers::Simulated(Box::new(SimOptions {
            ttft: args.ttft,
            tokens_per_second: args.tokens_per_second,
            net_delay: args.net_delay,
            idle_timeout: args.idle_timeout,
            replies: args.replies.clone(),
            ..SimOptions::new(dir)
        }))
    };
    Ok(Bench {
        config: loaded.config.clone(),
        answers,
        clips,
        requests: args.requests.into(),
        pauses: if with_words { args.pauses.unwrap_or(args.requests).into() } else { 0 },
        stops: args.stops.unwrap_or(if args.requests == 0 { 0 } else { STOPS }).into(),
        between: args.pause_between.unwrap_or_default(),
        rest: args.rest.map(|time| Rest { time, pressure: args.pressure }),
        seed: args.seed,
        program: program(options)?,
    })
}

/// Says what `--live` will cost; on a terminal the answer must be yes.
fn may_go_on(args: &BenchArgs, bench: &Bench) -> Result<bool, CliError> {
    let runs = usize::from(args.runs);
    let questions = args.mode.list().iter().map(|mode| bench.questions_sent(*mode)).sum::<usize>() * runs;
    let warming = args.mode.list().len() * runs;
    tell(&format!(
        "bench: {questions} questions and {warming} requests that warm the cache go to {} with your key, about {} tokens of \
         input, most of them read from the cache\n",
        bench.config.claude.base_url,
        (questions + warming) * TOKENS,
    ));
    if args.yes || !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    tell("Go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| CliError::new(Exit::Failed, error))?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn measure(args: &BenchArgs, bench: &Bench, loaded: &Loaded) -> Result<Report, CliError> {
    let (modes, runs) = (args.mode.list(), u64::from(args.runs));
    let modes: Vec<Mode> = modes.iter().copied().filter(|mode| bench.questions_sent(*mode) > 0).collect();
    let idle = args.idle.map_or(Duration::ZERO, |time| 2 * (time + SETTLING));
    let estimate = modes.iter().map(|mode| bench.estimate(*mode)).sum::<Duration>() * u32::from(args.runs) + idle;
    let turns = modes.iter().map(|mode| bench.questions_sent(*mode) as u64).sum::<u64>() * runs;
    tell(&format!("bench: {turns} turns in real time, about {}\n", minutes(estimate)));
    // Hidden by itself where standard error is no terminal.
    let progress = ProgressBar::new(turns);
    if let Ok(style) = ProgressStyle::with_template("{msg:14} {wide_bar} {pos}/{len}, {eta} left") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    let runtime = super::runtime()?;
    let mut report = Report::begin(bench, loaded, runs);
    report.prove(runtime.block_on(Proof::find(&bench.config)).map_err(RigError::from)?);
    if let Some(time) = args.idle {
        progress.set_message("idle");
        report.idle = runtime.block_on(bench.idle(time))?;
    }
    for mode in &modes {
        progress.set_message(format!("{mode} mode"));
        let mut done = Vec::new();
        for number in 0..runs {
            done.push(runtime.block_on(bench.run(*mode, number, &|| progress.inc(1)))?);
        }
        report.add(*mode, &done);
    }
    progress.finish_and_clear();
    Ok(report)
}

/// To standard error, where a closed one is no fault.
fn tell(text: &str) {
    let _ = write!(std::io::stderr(), "{text}");
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..90 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_refused_before_anything_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        assert!(folder_is_there(&dir.path().join("new.json")).is_ok());
        assert!(folder_is_there(Path::new("new.json")).is_ok());
        let text = folder_is_there(&dir.path().join("no/new.json")).unwrap_err().to_string();
        assert!(text.contains("new.json") && text.contains("is no folder"), "{text}");
        assert!(folder_is_there(dir.path()).unwrap_err().to_string().contains("is a folder"));
    }

    #[test]
    fn a_time_is_said_as_a_person_would() {
        assert_eq!(minutes(Duration::from_secs(41)), "41 s");
        assert_eq!(minutes(Duration::from_secs(241)), "5 min");
    }
}
