//! `elio run`: everything is checked, then built, then served until a signal, then drained to a deadline.

use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use systemd_journal_logger::JournalLog;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{self, ControlError};
use super::engines::{EngineError, Engines, lock_memory, start_vad};
use super::notify::Notifier;
use super::status::{Models, Status};
use super::{moment, reload};
use crate::audio::{AlsaCaptureHost, AlsaPlaybackHost, AudioError, Capture, Playback};
use crate::claude::{ApiKey, Claude, ClaudeError};
use crate::clock::{Mono, SystemClock};
use crate::config::Config;
use crate::latency::{RecordSink, Spool, SpoolError};
use crate::turn::{self, Feeds, Outlets, Rules, RunnerSettings, Stages, TurnReport, Visible};
use crate::wake::{Wake, WakeError, WakeEvent};

/// The connection, the devices and the mute switch change without a turn: they are looked at this often.
const LOOK: Duration = Duration::from_secs(2);

/// Why the speaker does not start.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Models, voices, key.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Key or model refused by Claude.
    #[error(transparent)]
    Claude(#[from] ClaudeError),
    /// Microphone or speaker.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Button, LED or mute line.
    #[error(transparent)]
    Wake(#[from] WakeError),
    /// Control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// State folder.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The process cannot hear signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// What `elio run` is told besides the configuration.
pub struct ServiceOptions {
    /// The journal, where the daemon's log goes there.
    pub journal: Option<JournalLog>,
    /// Each record is also a line of JSON on standard output.
    pub json: bool,
    /// Reads the configuration again, for SIGHUP; an error is all its faults, one a line.
    pub reload: Box<dyn Fn() -> Result<Config, String> + Send>,
}

/// Runs the speaker until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting. Once it serves, devices and networks may come and go: those are states.
pub async fn run(config: Config, options: ServiceOptions) -> Result<(), ServiceError> {
    let mut signals = Signals::listen().map_err(ServiceError::Signals)?;
    let notifier = Notifier::from_env();
    notifier.status("starting: loading the models");
    let begun = Mono::now();

    let key = ApiKey::find(&config.claude, |name| std::env::var(name).ok())?;
    let spool = Spool::open(&config.daemon.state_dir)?;
    let sink = RecordSink::new(options.journal, Some(spool), options.json);
    let replayed = sink.replay();
    if replayed > 0 {
        log::info!("{replayed} records that the journal had lost are in it again");
    }
    let socket = control::bind(&config.daemon.socket).await?;
    let cancel = CancellationToken::new();
    let force = CancellationToken::new();
    // Helpers of the turns outlive `cancel`: the watchdog is fed and the socket answers while the last turn drains.
    let helpers = CancellationToken::new();
    let (wake_events, wake) = unbounded_channel();
    let lines = Wake::start(&config.wake, helpers.clone(), wake_events.clone())?;
    let vad = start_vad(&config).await;
    let (capture, heard) = Capture::start(Box::new(AlsaCaptureHost::new(&config.capture)), &config.capture, vad)?;
    let (playback, played) = Playback::start(Box::new(AlsaPlaybackHost::new(&config.playback)), &config.playback)?;
    let building = async {
        let engines = Engines::start(&config, key).await?;
        check_claude(&engines.claude).await?;
        Ok::<_, ServiceError>(engines)
    };
    let engines = tokio::select! {
        engines = building => engines?,
        () = signals.again() => return Ok(()),
    };
    lock_memory();

    let (capture, playback) = (Arc::new(capture), Arc::new(playback));
    if lines.muted() {
        let _ = wake_events.send(WakeEvent::Muted { muted: true, at: Mono::now() });
    }
    let (visible, shown) = watch::channel(Visible::Starting);
    let (status, asked) = watch::channel(first_status(&config, &engines, begun));
    let (reports, reported) = unbounded_channel();
    let (new_settings, settings) = unbounded_channel();
    let prefix = format!("{:x}", jiff::Timestamp::now().as_millisecond());
    let stages = Stages {
        stt: Arc::new(engines.whisper.clone()),
        prosody: engines.prosody(),
        claude: Arc::new(engines.claude.clone()),
        tts: Arc::new(engines.tts.clone()),
        player: playback.clone(),
        clock: Arc::new(SystemClock),
    };
    let feeds = Feeds { wake, capture: heard, playback: played, settings };
    let overruns = capture.clone();
    let outlets = Outlets { reports, visible, overruns: Arc::new(move || overruns.stats().overruns) };

    let tasks = TaskTracker::new();
    let progress = capture.clone();
    let dog = helpers.clone();
    let notifier = Arc::new(notifier);
    let feeder = notifier.clone();
    tasks.spawn(async move { feeder.watchdog(move || progress.progress(), dog).await });
    let until = helpers.clone();
    tasks.spawn(async move {
        if let Err(error) = control::serve(socket, until, wake_events, asked).await {
            log::error!("{error}");
        }
    });
    let keeper = (engines.claude.clone(), helpers.clone());
    tasks.spawn(async move { keeper.0.keep(keeper.1).await });
    tasks.spawn(publish(
        Publisher {
            status: status.clone(),
            notifier: notifier.clone(),
            lines,
            sink,
            claude: engines.claude.clone(),
            microphone: (config.capture.device.clone(), capture.clone()),
            speaker: (config.playback.device.clone(), playback.clone()),
            visible: Visible::Starting,
            told: None,
        },
        shown,
        reported,
    ));

    let runner = turn::run(runner_settings(&config, &prefix), stages, feeds, outlets, cancel.clone(), force.clone());
    let running = tasks.spawn(runner);
    notifier.ready();
    log::info!("ready after {:.0} ms", Mono::now().ms_since(begun));

    let mut config = config;
    signals
        .serve(&notifier, || {
            if let Some(next) = reload::apply(&config, &*options.reload) {
                let _ = new_settings.send(runner_settings(&next, &prefix));
                status.send_modify(|status| status.mode = next.wake.mode);
                config = next;
            }
        })
        .await;
    notifier.stopping();
    cancel.cancel();
    tokio::select! {
        _ = running => {}
        () = tokio::time::sleep(config.daemon.drain) => {
            log::warn!("the running turn is cut off: it took longer than daemon.drain");
            force.cancel();
        }
        () = signals.again() => {
            log::warn!("second signal: the running turn is cut off");
            force.cancel();
        }
    }
    helpers.cancel();
    tasks.close();
    // The runner has been told to stop at once; what still hangs is not worth waiting for.
    let _ = tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await;
    Ok(())
}

/// Opens and checks the connection. Only what the owner has to mend keeps the speaker from starting: a network that is
/// away comes back.
async fn check_claude(claude: &Claude) -> Result<(), ServiceError> {
    match claude.connect().await {
        // The keeper warms the cache next, where it may.
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), "key" | "not_found" | "forbidden") => Err(error.into()),
        Err(error) => {
            log::warn!("Claude cannot be reached yet: {error}");
            Ok(())
        }
    }
}

fn first_status(config: &Config, engines: &Engines, begun: Mono) -> Status {
    let voice = if config.tts.voice_en == config.tts.voice_fr {
        config.tts.voice_en.clone()
    } else {
        format!("{}, {}", config.tts.voice_en, config.tts.voice_fr)
    };
    Status {
        models: Models { stt: engines.whisper.name().to_owned(), voice },
        ..Status::starting(config.wake.mode, begun)
    }
}

/// What the runner needs of a configuration.
pub(super) fn runner_settings(config: &Config, prefix: &str) -> RunnerSettings {
    RunnerSettings {
        rules: Rules {
            mode: config.wake.mode,
            grace: config.wake.grace,
            endpoint: config.endpoint.clone(),
            speculation: config.speculation.clone(),
        },
        preroll: config.capture.preroll,
        language: config.language.speak,
        history_exchanges: config.claude.history_exchanges,
        history_idle: config.claude.history_idle,
        log_words: config.latency.log_words,
        model: config.claude.model.clone(),
        stt_model: config.stt.model.clone(),
        turn_id_prefix: prefix.to_owned(),
        context: Arc::new(|language| moment::describe(&Zoned::now(), language)),
    }
}

struct Publisher {
    status: watch::Sender<Status>,
    notifier: Arc<Notifier>,
    lines: Wake,
    sink: RecordSink,
    claude: Claude,
    microphone: (String, Arc<Capture>),
    speaker: (String, Arc<Playback>),
    /// What the runner showed last.
    visible: Visible,
    /// What LED and systemd were told last.
    told: Option<Visible>,
}

/// Shows what the turns do: LED, `STATUS=`, control socket; and writes each record. Ends with the runner.
async fn publish(mut to: Publisher, mut shown: watch::Receiver<Visible>, mut reports: UnboundedReceiver<TurnReport>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = shown.changed() => {
                if changed.is_err() { break }
                to.visible = *shown.borrow_and_update();
                to.show();
            }
            Some(report) = reports.recv() => to.write(&report),
            _ = look.tick() => to.show(),
        }
    }
    while let Some(report) = reports.recv().await {
        to.write(&report);
    }
    to.lines.led(false);
}

impl Publisher {
    /// Tells LED, systemd and the control socket what has changed, if anything has.
    fn show(&mut self) {
        let connected = self.claude.connection();
        let state = match self.visible {
            Visible::Idle if !connected.open => Visible::Offline,
            other => other,
        };
        if self.told.replace(state) != Some(state) {
            self.lines.led(matches!(state, Visible::Listening | Visible::Thinking | Visible::Speaking));
            self.notifier.status(state.as_str());
        }
        let (microphone, speaker) = (self.microphone.1.stats(), self.speaker.1.stats());
        let microphone = device_in_words(&self.microphone.0, microphone.present, &microphone.format);
        let speaker = device_in_words(&self.speaker.0, speaker.present, &speaker.format);
        let (muted, keeping) = (self.lines.muted(), self.claude.keeping());
        self.status.send_if_modified(|status| {
            let since = if status.state == state { status.since } else { Mono::now() };
            let connected = connected.opened_at.filter(|_| connected.open);
            let cache = Some(keeping);
            let next = Status { state, since, muted, connected, cache, microphone, speaker, ..status.clone() };
            let changed = *status != next;
            *status = next;
            changed
        });
    }

    fn write(&mut self, report: &TurnReport) {
        // It waits for the disk, and nothing that a turn does may wait behind it.
        tokio::task::block_in_place(|| self.sink.write(&report.record));
        self.status.send_modify(|status| {
            status.turns = report.turn;
            status.last_turn = Some(report.record.to_json().into());
        });
    }
}

fn device_in_words(device: &str, present: bool, format: &str) -> String {
    if present { format!("{device} {format}") } else { format!("{device}: not there") }
}

/// SIGTERM, SIGINT and SIGHUP.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads at each SIGHUP; returns at the first signal that asks to stop.
    async fn serve(&mut self, notifier: &Notifier, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    notifier.reloading();
                    reload();
                    notifier.ready();
                }
            }
        }
    }

    /// Returns at the next signal that asks to stop.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
