//! `elio demo`: recorded questions through the whole pipeline, and the waterfall of each turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use log::LevelFilter;
use serde_json::{Map, Value, json};

use super::sim::pace;
use super::{CliError, Exit, Global, logging, share, stdout};
use crate::bench::{Clips, Sentence};
use crate::claude::ApiKey;
use crate::config::Config;
use crate::daemon::{Rig, RigOptions, Spoken};
use crate::latency::{Outcome, waterfall};
use crate::sim::{Sim, SimHandle, SimOptions, Spread};

/// Arguments of `elio demo`.
#[derive(Debug, Args)]
#[command(after_help = "Where neither --config nor ELIO_CONFIG names a file, it uses Elio's own configs/demo.toml.")]
pub struct DemoArgs {
    /// The real Claude answers, with the key of ANTHROPIC_API_KEY (or of the configuration)
    #[arg(long)]
    live: bool,
    /// Folder for the answers [default: target/demo in the repository, else ./elio-demo]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with other recorded questions and their questions.toml
    #[arg(long, value_name = "DIR")]
    questions: Option<PathBuf>,
    /// Do not play the answers on the sound card
    #[arg(long)]
    silent: bool,
    /// Write the waterfalls as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Time to first token of the simulated Claude, in ms: one number or a range
    #[arg(long, value_name = "MS", default_value = "400", conflicts_with = "live")]
    ttft: Spread,
    /// Pace of the simulated Claude
    #[arg(long, value_name = "N", default_value_t = 120.0, value_parser = pace, conflicts_with = "live")]
    tokens_per_second: f64,
}

/// One question, answered.
struct Turn {
    question: Sentence,
    spoken: Spoken,
    wav: PathBuf,
}

/// Runs the demo.
pub fn run(args: DemoArgs, global: &Global) -> Result<(), CliError> {
    logging::to_stderr(global, LevelFilter::Error);
    let mut options = global.load_options();
    if options.file.is_none() {
        // A speaker's own configuration names devices and models that the demo does without.
        options.file = Some(share::find("configs/demo.toml")?);
    }
    let config = crate::config::load(&options).map_err(CliError::from)?.config;
    let folder = match &args.questions {
        Some(folder) => folder.clone(),
        None => share::find("models/demo/questions")?,
    };
    let questions = Clips::read(&folder)?.sentences;
    let out = args.out.clone().unwrap_or_else(|| share::output_folder("demo"));
    std::fs::create_dir_all(&out)
        .map_err(|error| CliError::new(Exit::Failed, format!("{}: {error}; name another --out", out.display())))?;
    let turns = super::runtime()?.block_on(play(&args, global, config, questions, &out))?;
    if global.json {
        stdout::print(&format!("{}\n", json!({ "turns": turns.iter().map(to_json).collect::<Vec<_>>() })))?;
    } else {
        stdout::print(&sum(&turns, &out))?;
    }
    if let Some(file) = &args.svg {
        write_svg(file, &turns)?;
    }
    match turns.iter().find(|turn| turn.spoken.report.record.outcome != Outcome::Answered) {
        Some(turn) => {
            let text = format!("{}: {}", turn.question.file.display(), turn.spoken.report.record.outcome);
            Err(CliError::new(Exit::Failed, text))
        }
        None => Ok(()),
    }
}

async fn play(
    args: &DemoArgs,
    global: &Global,
    mut config: Config,
    questions: Vec<Sentence>,
    out: &Path,
) -> Result<Vec<Turn>, CliError> {
    let (key, sim) = if args.live {
        (ApiKey::find(&config.claude, |name| std::env::var(name).ok())?, None)
    } else {
        let sim = start_sim(args, out).await?;
        config.claude.base_url = sim.base_url().to_owned();
        config.claude.ca_file = Some(sim.ca().to_owned());
        (ApiKey::new("simulated", "elio demo".to_owned())?, Some(sim))
    };
    let speak = !global.json;
    let progress = spinner(speak);
    progress.set_message("loading and warming the models");
    let sound_card = !args.silent && has_sound_card();
    let options = RigOptions { sound_card, sim, key };
    let mut rig = Rig::start(&config, options).await?;
    let count = questions.len();
    let mut turns = Vec::with_capacity(count);
    for (index, question) in questions.into_iter().enumerate() {
        progress.set_message(format!("question {} of {count}", index + 1));
        let spoken = rig.ask(question.sound.clone()).await?;
        let wav = out.join(format!("answer-{}.wav", index + 1));
        spoken.recording.write(&wav).map_err(|error| CliError::new(Exit::Failed, error))?;
        let turn = Turn { question, spoken, wav };
        if speak {
            progress.suspend(|| stdout::print(&describe(index + 1, &turn)))?;
        }
        turns.push(turn);
    }
    progress.finish_and_clear();
    rig.stop().await;
    Ok(turns)
}

async fn start_sim(args: &DemoArgs, out: &Path) -> Result<SimHandle, CliError> {
    let mut options = SimOptions::new(out.join("sim"));
    options.ttft = args.ttft;
    options.tokens_per_second = args.tokens_per_second;
    Sim::start(options).await.map_err(|error| CliError::new(Exit::Unavailable, error))
}

/// A device that can play is there.
fn has_sound_card() -> bool {
    let Ok(nodes) = std::fs::read_dir("/dev/snd") else { return false };
    nodes.flatten().any(|node| {
        let name = node.file_name();
        let name = name.to_string_lossy();
        name.starts_with("pcm") && name.ends_with('p')
    })
}

fn spinner(show: bool) -> ProgressBar {
    if !show {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn describe(number: usize, turn: &Turn) -> String {
    let report = &turn.spoken.report;
    let record = &report.record;
    let verdict = if report.transcript == turn.question.text { "word for word" } else { "not as recorded" };
    let cache = if record.cache_hit == Some(true) { "read from the cache" } else { "not cached" };
    let picture = record.total_perceived_ms.map_or_else(String::new, |total| {
        format!("\n{}", waterfall::text(&waterfall::stages(&report.instants, record), total, 2))
    });
    format!(
        "\nTurn {number}, {}: {}\n  heard     “{}” ({verdict})\n  answered  “{}”\n{picture}  Claude wrote for {:.0} ms; {} of the \
         prompt's tokens {cache}; {}\n  sound     {}\n",
        turn.question.language.code(),
        turn.question.file.display(),
        report.transcript,
        report.reply,
        record.llm_total_ms.unwrap_or_default(),
        record.cache_read_tokens.unwrap_or_default(),
        record.outcome,
        turn.wav.display(),
    )
}

fn sum(turns: &[Turn], out: &Path) -> String {
    let mut totals: Vec<f64> = turns.iter().filter_map(|turn| turn.spoken.report.record.total_perceived_ms).collect();
    totals.sort_by(f64::total_cmp);
    let answered = turns.iter().filter(|turn| turn.spoken.report.record.outcome == Outcome::Answered).count();
    let mut text = format!("\n{answered} of {} questions answered; answers in {}\n", turns.len(), out.display());
    if let (Some(first), Some(last)) = (totals.first(), totals.last()) {
        let median = (totals[(totals.len() - 1) / 2] + totals[totals.len() / 2]) / 2.0;
        text += &format!(
            "end of speech → first audible sample: {first:.0} ms fastest, {median:.0} ms median, {last:.0} ms slowest\n"
        );
    }
    text
}

fn write_svg(file: &Path, turns: &[Turn]) -> Result<(), CliError> {
    let pictures: Vec<_> = turns
        .iter()
        .filter_map(|turn| {
            let report = &turn.spoken.report;
            let stages = waterfall::stages(&report.instants, &report.record);
            Some((report.transcript.clone(), stages, report.record.total_perceived_ms?))
        })
        .collect();
    std::fs::write(file, waterfall::svg(&pictures))
        .map_err(|error| CliError::new(Exit::Failed, format!("{}: {error}; name another --svg", file.display())))
}

/// One turn in the shape that scripts rely on (`docs/design.md`).
fn to_json(turn: &Turn) -> Value {
    let report = &turn.spoken.report;
    let wav = std::path::absolute(&turn.wav).unwrap_or_else(|_| turn.wav.clone());
    let mut map = Map::new();
    map.insert("transcript".into(), report.transcript.clone().into());
    map.insert("expected".into(), turn.question.text.clone().into());
    map.insert("reply".into(), report.reply.clone().into());
    map.insert("wav".into(), wav.display().to_string().into());
    map.insert("wav_start_ns".into(), turn.spoken.recording.start.as_nanos().into());
    map.insert("instants".into(), json!(report.instants));
    map.extend(report.record.to_json());
    Value::Object(map)
}
