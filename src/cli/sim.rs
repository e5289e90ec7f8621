//! `elio sim`: serves the simulated Claude API until a signal.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Exit, Global};
use crate::sim::{Fault, FaultPlan, Sim, SimError, SimOptions, Spread};

/// Arguments of `elio sim`.
#[derive(Debug, Args)]
#[command(after_help = faults())]
pub struct SimArgs {
    /// Address and port to listen on, such as 127.0.0.1:8443; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Folder for the authority to trust (ca.pem, kept between starts) and for requests.jsonl (begun anew)
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Milliseconds from a received request to its first token: a number or an even range
    #[arg(long, default_value = "400", value_name = "MS|MS..MS")]
    ttft: Spread,
    /// Pace of the answer
    #[arg(long, default_value_t = 120.0, value_name = "N", value_parser = pace)]
    tokens_per_second: f64,
    /// Milliseconds that the network adds, each way: a number or an even range
    #[arg(long, default_value = "0", value_name = "MS|MS..MS")]
    net_delay: Spread,
    /// Close connections that have been idle for so many seconds (the real edge does at 400)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// Fault in every request, or in the first N (list below)
    #[arg(long, value_name = "NAME[:N]")]
    fault: Option<FaultPlan>,
    /// The only API key that is let in [default: any]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Seed of the times; the same seed gives the same times
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Rules of the replies [default: built in, models/demo/replies.toml]
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,
    /// Also write questions and replies into requests.jsonl
    #[arg(long)]
    log_words: bool,
}

/// Runs `elio sim`.
pub fn run(args: SimArgs, _global: &Global) -> Result<(), CliError> {
    let options = SimOptions {
        listen: args.listen,
        ttft: args.ttft,
        tokens_per_second: args.tokens_per_second,
        net_delay: args.net_delay,
        idle_timeout: args.idle_timeout,
        fault: args.fault,
        key: args.key,
        seed: args.seed,
        replies: args.replies,
        log_words: args.log_words,
        ..SimOptions::new(args.dir)
    };
    let failed = |what: &str, e: std::io::Error| CliError::new(Exit::Failed, format!("sim: cannot {what}: {e}"));
    let runtime = tokio::runtime::Runtime::new().map_err(|e| failed("start its threads", e))?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed("wait for SIGINT", e))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed("wait for SIGTERM", e))?;
        let sim = Sim::start(options).await.map_err(|error| {
            let exit = match error {
                SimError::Listen { .. } => Exit::Unavailable,
                SimError::Replies(_) => Exit::Config,
                SimError::Write { .. } | SimError::Certificate(_) => Exit::Failed,
            };
            CliError::new(exit, format!("sim: {error}"))
        })?;
        let ready = serde_json::json!({ "base_url": sim.base_url(), "ca": sim.ca() });
        writeln!(stdout(), "{ready}").map_err(|e| failed("write to standard output", e))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sim.shutdown().await;
        Ok(())
    })
}

pub(super) fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(pace) if (0.1..=1e6).contains(&pace) => Ok(pace),
        _ => Err("allowed: a number from 0.1 to 1000000".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=1e6).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("allowed: seconds from 0.001 to 1000000".to_owned()),
    }
}

/// The list of faults, for the help.
fn faults() -> String {
    let lines = Fault::ALL.iter().map(|f| format!("  {:<21} {}", f.name(), f.help()));
    format!("Faults:\n{}", lines.collect::<Vec<_>>().join("\n"))
}
