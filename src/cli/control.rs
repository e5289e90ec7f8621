//! `elio press`, `elio release`, `elio status`

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::{CliError, Exit, Global, stdout};
use crate::claude::Keeping;
use crate::config;
pub use crate::daemon::control::Request;
use crate::daemon::status::Report;

/// How long the speaker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of the control commands.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// Control socket of the running speaker [default: daemon.socket of the configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Arguments of `elio press`.
#[derive(Debug, Args)]
pub struct PressArgs {
    #[command(flatten)]
    control: ControlArgs,
    /// Hold the button for this long (`2s`, `1500ms`), then release it; an interrupt releases it too
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    hold: Option<Duration>,
}

/// Sends one request over the control socket.
pub fn run(request: Request, args: ControlArgs, global: &Global) -> Result<(), CliError> {
    let path = socket_path(&args, global)?;
    talk(async {
        let reply = ask(&path, request).await?;
        show(request, &reply, global)
    })
}

/// Presses, and with `--hold` releases.
pub fn press(args: PressArgs, global: &Global) -> Result<(), CliError> {
    let path = socket_path(&args.control, global)?;
    talk(async {
        let mut reply = ask(&path, Request::Press).await?;
        if let Some(hold) = args.hold {
            held(hold).await;
            reply = ask(&path, Request::Release).await?;
        }
        show(Request::Press, &reply, global)
    })
}

fn socket_path(args: &ControlArgs, global: &Global) -> Result<PathBuf, CliError> {
    match &args.socket {
        Some(path) => Ok(path.clone()),
        // A file that has become faulty since the start must not lock its owner out.
        None => Ok(config::load_what_is_right(&global.load_options()).daemon.socket),
    }
}

fn talk(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    super::runtime()?.block_on(work)
}

/// Returns after `hold`, or at a signal: a button must not stay down because somebody pressed Ctrl-C.
async fn held(hold: Duration) {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = signals else { return sleep(hold).await };
    tokio::select! {
        () = sleep(hold) => {}
        _ = int.recv() => {}
        _ = term.recv() => {}
        _ = hup.recv() => {}
    }
}

/// The speaker's answer to one request, as it came and as read.
struct Answer {
    line: String,
    report: Report,
}

async fn ask(path: &Path, request: Request) -> Result<Answer, CliError> {
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok(line)
    };
    let line = match timeout(PATIENCE, exchange).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return Err(unreachable(path, &error)),
        Err(_) => return Err(unreachable(path, &ErrorKind::TimedOut.into())),
    };
    let strange = |what: &str| {
        let path = path.display();
        let line = format!("{path} answered {what}: is the running elio of another version? `systemctl restart elio`");
        CliError::new(Exit::Failed, line)
    };
    let reply: Value = serde_json::from_str(&line).map_err(|_| strange("something that is no reply"))?;
    if let Some(error) = reply.get("error").and_then(Value::as_str) {
        return Err(CliError::new(Exit::Failed, error));
    }
    let report =
        serde_json::from_value(reply).map_err(|error| strange(&format!("a status without sense ({error})")))?;
    Ok(Answer { line, report })
}

fn unreachable(path: &Path, error: &io::Error) -> CliError {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => CliError::new(
            Exit::Unavailable,
            format!("the speaker is not running (nobody answers on {shown}): `systemctl start elio`, or `elio run`"),
        ),
        ErrorKind::PermissionDenied => {
            let group = group_of(path);
            let mend = format!("`sudo usermod -aG {group} $USER`, then log in again");
            let line = format!("permission denied on {shown}: it is open to the group `{group}`: {mend}");
            CliError::new(Exit::Unavailable, line)
        }
        // EAGAIN: the queue of the socket is full.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => CliError::new(
            Exit::TryAgain,
            format!("the speaker does not answer on {shown}: try again, or look at `journalctl -u elio`"),
        ),
        _ => CliError::new(Exit::Unavailable, format!("{shown}: {error}")),
    }
}

/// The group that may open the socket: the name where /etc/group has it, else the number.
fn group_of(path: &Path) -> String {
    let Ok(gid) = fs::metadata(path).map(|found| found.gid().to_string()) else { return "elio".into() };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&gid)).then(|| name.to_owned())
    });
    named.unwrap_or(gid)
}

fn show(request: Request, answer: &Answer, global: &Global) -> Result<(), CliError> {
    if global.json {
        stdout::print(&answer.line)
    } else if request == Request::Status {
        stdout::print(&table(&answer.report))
    } else {
        if request == Request::Press && answer.report.muted {
            let _ = writeln!(io::stderr(), "elio: pressed, but the microphone is muted");
        }
        Ok(())
    }
}

/// The status for a person.
fn table(report: &Report) -> String {
    let for_ms = |ms: u64| humantime::format_duration(Duration::from_secs(ms / 1000)).to_string();
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let connection = match report.connection.age_ms {
        Some(age) if report.connection.open => format!("connected for {}", for_ms(age)),
        _ => "not connected".into(),
    };
    let mode = serde_json::to_value(report.mode).ok().and_then(|mode| mode.as_str().map(str::to_owned));
    let muted = if report.muted { " (muted)" } else { "" };
    let rows = [
        ("state", format!("{} for {}", report.state.as_str(), for_ms(report.since_ms))),
        ("button", or_dash(mode.as_deref().unwrap_or_default())),
        ("microphone", format!("{}{muted}", or_dash(&report.microphone))),
        ("speaker", or_dash(&report.speaker)),
        ("claude", connection),
        ("cache", report.cache.as_ref().map_or_else(|| "-".to_owned(), cache)),
        ("whisper", or_dash(&report.models.stt)),
        ("voice", or_dash(&report.models.voice)),
        ("turns", report.turns.to_string()),
        ("started", started(report)),
        ("last turn", report.last_turn.as_ref().map_or_else(|| "-".to_owned(), turn)),
        ("version", report.version.clone()),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<11} {value}");
        text
    })
}

/// What the start took.
fn started(report: &Report) -> String {
    let after = |ms: Option<u64>| ms.map_or_else(|| "not yet".to_owned(), |ms| format!("after {ms} ms"));
    format!("ready {}, warm {}", after(report.ready_ms), after(report.warm_ms))
}

/// The prompt cache in one line: what keeping it is to cost, and has cost.
fn cache(keeping: &Keeping) -> String {
    let Keeping { requests_24h, tokens_24h, .. } = keeping;
    format!("{keeping}; the last 24 hours took {tokens_24h} in {requests_24h} requests")
}

/// A record in one line: the outcome and the figures that it has.
fn turn(record: &Value) -> String {
    let outcome = record.get("outcome").and_then(Value::as_str).unwrap_or("-").to_owned();
    let figures = [
        ("total_perceived_ms", "perceived"),
        ("stt_ms", "hearing"),
        ("llm_ttft_ms", "first token"),
        ("tts_ttfb_ms", "first sound"),
    ];
    let known = figures.iter().filter_map(|(key, name)| Some(format!("{name} {:.0} ms", record.get(key)?.as_f64()?)));
    std::iter::once(outcome).chain(known).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
