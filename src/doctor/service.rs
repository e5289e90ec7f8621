//! The daemon, over its control socket, and the unit that starts it: both hold what other checks would open.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Finding, Patient};
use crate::daemon::status::Report;
use crate::turn::Visible;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What answers on the control socket.
#[derive(Debug)]
pub(super) enum Daemon {
    /// Nobody.
    Absent,
    /// Somebody, to others than this user.
    Closed,
    /// Somebody, and nothing that can be understood.
    Odd(String),
    /// The daemon.
    Running(Box<Report>),
}

/// What systemd says of elio.service, by property; empty without systemd or without the unit.
pub(super) type Unit = std::collections::BTreeMap<String, String>;

impl Patient {
    /// The daemon, asked once.
    pub(super) async fn daemon(&self) -> &Daemon {
        let socket = self.config().daemon.socket;
        self.daemon.get_or_init(|| async move { ask(&socket).await }).await
    }

    /// The running daemon's own words, where it runs and answers.
    pub(super) async fn running(&self) -> Option<&Report> {
        match self.daemon().await {
            Daemon::Running(report) => Some(report),
            _ => None,
        }
    }

    /// The unit, asked once.
    pub(super) async fn unit(&self) -> &Unit {
        let asked = "--property=LoadState,ActiveState,Result,NRestarts,User,LimitRTPRIO,LimitMEMLOCK,UnitFileState,\
                     DevicePolicy,DeviceAllow,MemoryDenyWriteExecute";
        let ask = || async move {
            let shown = self.machine.run("systemctl", &["show", "elio.service", asked]).await.unwrap_or_default();
            let mut unit = Unit::new();
            for (name, value) in shown.lines().filter_map(|line| line.split_once('=')) {
                // A list has a line for each entry.
                let all = unit.entry(name.to_owned()).or_default();
                *all = format!("{all} {value}").trim().to_owned();
            }
            if unit.get("LoadState").is_some_and(|state| state == "loaded") { unit } else { Unit::new() }
        };
        self.unit.get_or_init(ask).await
    }
}

async fn ask(socket: &Path) -> Daemon {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"{\"verb\":\"status\"}\n").await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok::<_, io::Error>(line)
    };
    match tokio::time::timeout(PATIENCE, talk).await {
        Err(_) => Daemon::Odd(format!("it did not answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Daemon::Absent,
            ErrorKind::PermissionDenied => Daemon::Closed,
            _ => Daemon::Odd(error.to_string()),
        },
        Ok(Ok(line)) => match serde_json::from_str(&line) {
            Ok(report) => Daemon::Running(Box::new(report)),
            Err(error) => Daemon::Odd(format!("its answer has no sense ({error})")),
        },
    }
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let socket = patient.config().daemon.socket;
    let unit = patient.unit().await;
    let state = |name: &str| unit.get(name).map(String::as_str).unwrap_or_default();
    vec![match patient.daemon().await {
        Daemon::Running(report) => running(report).figure("restarts", state("NRestarts").parse::<u64>().ok()),
        Daemon::Odd(what) => Finding::fault(
            format!("a daemon holds {}, and {what}", socket.display()),
            "`systemctl restart elio`, then `journalctl -u elio -b`",
        ),
        Daemon::Closed => Finding::warning(
            format!("{} is there, and this user may not open it", socket.display()),
            "run this with sudo, or `sudo usermod -aG elio $USER` and log in again",
        ),
        Daemon::Absent if unit.is_empty() => {
            Finding::skipped("no daemon is running, and systemd knows no elio.service")
        }
        Daemon::Absent if state("ActiveState") == "failed" => Finding::fault(
            format!("elio.service has failed ({}, {} restarts)", state("Result"), state("NRestarts")),
            "`journalctl -u elio -b -n 50` says why; then `systemctl reset-failed elio && systemctl start elio`",
        ),
        Daemon::Absent => Finding::warning(
            format!("elio.service is {} ({} at boot)", state("ActiveState"), state("UnitFileState")),
            "`systemctl enable --now elio`",
        ),
    }]
}

fn running(report: &Report) -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    let since = humantime::format_duration(Duration::from_secs(report.since_ms / 1000));
    let state = report.state.as_str();
    let said = format!("version {} runs: {state} for {since}, {} turns", report.version, report.turns);
    let finding = match report.state {
        _ if report.version != version => {
            Finding::warning(format!("{said}; this program is version {version}"), "`systemctl restart elio`")
        }
        Visible::Offline => Finding::warning(said, "look at the checks network and key below"),
        Visible::Fault => Finding::fault(said, "look at the checks below, and at `journalctl -u elio -b`"),
        _ => Finding::ok(said),
    };
    finding.figure("turns", report.turns).figure("state", state)
}
