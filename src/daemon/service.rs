//! `elio run`: everything is checked, the wake button works, the models are loaded behind it; it serves until a signal,
//! and drains to a deadline.

use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use systemd_journal_logger::JournalLog;
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{self, ControlError};
use super::engines::{EngineError, Plan, Slots, build_claude, lock_future_memory, lock_memory, start_vad};
use super::late::{LateEar, LateVoice};
use super::notify::Notifier;
use super::publish::{Publisher, publish};
use super::signals::Signals;
use super::status::{Models, Status};
use super::{milestone, moment, reload};
use crate::audio::{AlsaCaptureHost, AlsaPlaybackHost, AudioError, Capture, Playback, Vad, Way, alsa};
use crate::claude::{ApiKey, Claude, ClaudeError};
use crate::clock::{Mono, SystemClock};
use crate::config::Config;
use crate::latency::{RecordSink, Spool, SpoolError};
use crate::prosody::Prosody;
use crate::tts::{KeptLines, MadeLine, Tts};
use crate::turn::{self, Feeds, Outlets, Phrase, Rules, RunnerSettings, Stages, Visible};
use crate::wake::{Wake, WakeError, WakeEvent};

/// A line of the wake room that is not there at the start is waited for so long; then systemd's restarts go on with it.
const LATE_LINES: Duration = Duration::from_secs(5);
/// After the loading the machine needs so long to be what it usually is.
const CALM: Duration = Duration::from_secs(2);

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
    /// When the process began; the times in the journal and in the status count from it.
    pub begun: Mono,
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
/// What keeps it from starting, and after that a model that cannot be loaded or a key that Claude refuses. Devices and
/// networks may come and go: those are states.
pub async fn run(config: Config, options: ServiceOptions) -> Result<(), ServiceError> {
    let notifier = Arc::new(Notifier::from_env());
    notifier.status("starting");
    // The last word of a service that ends by a fault, whenever that came: `systemctl status` shows it.
    until_stopped(config, options, notifier.clone())
        .await
        .inspect_err(|error| notifier.status(&format!("fault: {error}")))
}

async fn until_stopped(config: Config, options: ServiceOptions, notifier: Arc<Notifier>) -> Result<(), ServiceError> {
    let mut signals = Signals::listen().map_err(ServiceError::Signals)?;
    let begun = options.begun;

    // Nothing slow stands before the wake button: what can be refused cheaply is, and models, journal and network wait.
    let key = ApiKey::find(&config.claude, |name| std::env::var(name).ok())?;
    let plan = Plan::find(&config)?;
    let claude = build_claude(&config, key)?;
    let spool = Spool::open(&config.daemon.state_dir)?;
    let sink = RecordSink::new(options.journal, Some(spool), options.json);
    let socket = control::bind(&config.daemon.socket).await?;
    let cancel = CancellationToken::new();
    let force = CancellationToken::new();
    // Helpers of the turns outlive `cancel`: the watchdog is fed and the socket answers while the last turn drains.
    let helpers = CancellationToken::new();
    let (wake_events, wake) = unbounded_channel();
    let lines = tokio::select! {
        lines = wake_lines(&config, &helpers, &wake_events, &notifier) => lines?,
        () = signals.again() => return Ok(()),
    };
    let locked = lock_future_memory(&config);
    let microphone = Box::new(AlsaCaptureHost::new(&config.capture));
    let (capture, heard, no_microphone) = Capture::start_waiting(microphone, &config.capture, Vad::default())?;
    let speaker = Box::new(AlsaPlaybackHost::new(&config.playback));
    let (playback, played, no_speaker) = Playback::start_waiting(speaker, &config.playback)?;
    let absent = [(no_microphone, Way::Capture), (no_speaker, Way::Playback)];
    absent.into_iter().filter(|(error, _)| error.is_some()).for_each(|(_, way)| tell_devices(way));
    let (capture, playback) = (Arc::new(capture), Arc::new(playback));
    if lines.muted() {
        let _ = wake_events.send(WakeEvent::Muted { muted: true, at: Mono::now() });
    }

    let (slots, late) = Slots::new();
    let kept = Arc::new(KeptLines::of(&config.daemon.state_dir, &config.tts, &plan.voices));
    let (warm, is_warm) = watch::channel(false);
    let prosody = plan.has_turn_model().then(|| Arc::new(late.prosody) as Arc<dyn Prosody>);
    let stages = Stages {
        stt: Arc::new(LateEar::new(late.ear, &plan.whisper.name)),
        prosody,
        claude: Arc::new(claude.clone()),
        tts: Arc::new(LateVoice::new(late.voice, kept.clone(), config.tts.clone())),
        player: playback.clone(),
        clock: Arc::new(SystemClock),
        warm: is_warm,
    };
    let (visible, shown) = watch::channel(Visible::Starting);
    let (status, asked) = watch::channel(first_status(&config, &plan, begun));
    let (loading, is_loading) = watch::channel(String::new());
    let (reports, reported) = unbounded_channel();
    let (new_settings, settings) = unbounded_channel();
    let prefix = format!("{:x}", jiff::Timestamp::now().as_millisecond());
    let feeds = Feeds { wake, capture: heard, playback: played, settings };
    let overruns = capture.clone();
    let outlets = Outlets { reports, visible, overruns: Arc::new(move || overruns.stats().overruns) };

    let tasks = TaskTracker::new();
    let progress = capture.clone();
    let dog = helpers.clone();
    let feeder = notifier.clone();
    tasks.spawn(async move { feeder.watchdog(move || progress.progress(), dog).await });
    let until = helpers.clone();
    tasks.spawn(async move {
        if let Err(error) = control::serve(socket, until, wake_events, asked).await {
            log::error!("{error}");
        }
    });
    let publisher = Publisher {
        status: status.clone(),
        notifier: notifier.clone(),
        lines,
        claude: claude.clone(),
        microphone: (config.capture.device.clone(), capture.clone()),
        speaker: (config.playback.device.clone(), playback.clone()),
        loading: is_loading,
        visible: Visible::Starting,
        told: String::new(),
    };
    tasks.spawn(publish(publisher, shown, reported, tasks.spawn_blocking(move || replayed(sink))));
    let runner = turn::run(runner_settings(&config, &prefix), stages, feeds, outlets, cancel.clone(), force.clone());
    let running = tasks.spawn(runner);
    notifier.ready();
    let ready_ms = milestone::ready(begun);
    status.send_modify(|status| status.ready_ms = Some(ready_ms));

    let mut config = config;
    let started_with = config.clone();
    let warming = async {
        let models = async {
            let tts = load(&started_with, plan, &slots, &loading, &capture).await?;
            if !locked {
                lock_memory();
            }
            let warm_ms = milestone::warm(begun);
            status.send_modify(|status| status.warm_ms = Some(warm_ms));
            warm.send_replace(true);
            tasks.spawn(helpers.clone().run_until_cancelled_owned(keep_lines(tts, kept, playback.clone())));
            Ok::<_, ServiceError>(())
        };
        let network = async {
            check_claude(&claude).await?;
            let (claude, until) = (claude.clone(), helpers.clone());
            tasks.spawn(async move { claude.keep(until).await });
            Ok(())
        };
        tokio::try_join!(models, network).map(drop)
    };
    let serving = signals.serve(&notifier, || {
        if let Some(next) = reload::apply(&config, &*options.reload) {
            let _ = new_settings.send(runner_settings(&next, &prefix));
            status.send_modify(|status| status.mode = next.wake.mode);
            config = next;
        }
    });
    let refused = serve_while(serving, warming).await.err();
    // Turns that wait for an engine learn that none will come.
    drop(slots);
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
    refused.map_or(Ok(()), Err)
}

/// Serves until the signal that ends it, or until what goes on behind it fails; where that succeeds, it goes on serving.
async fn serve_while(
    serving: impl Future<Output = ()>,
    behind: impl Future<Output = Result<(), ServiceError>>,
) -> Result<(), ServiceError> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        done = behind => done?,
    }
    serving.await;
    Ok(())
}

/// The wake room's lines. At boot a chip's driver, or the rule that opens it to this user, may come a little later.
async fn wake_lines(
    config: &Config,
    until: &CancellationToken,
    events: &UnboundedSender<WakeEvent>,
    notifier: &Notifier,
) -> Result<Wake, WakeError> {
    let end = Mono::now() + LATE_LINES;
    loop {
        match Wake::start(&config.wake, until.clone(), events.clone()) {
            Err(error @ (WakeError::NoChip { .. } | WakeError::NoLine { .. } | WakeError::Denied { .. }))
                if Mono::now() < end =>
            {
                notifier.status(&format!("starting: {error}"));
                tokio::time::sleep(LATE_LINES / 20).await;
            }
            other => return other,
        }
    }
}

/// A name that is wrong and a card that is late look the same: who reads the log finds the names that would be right.
fn tell_devices(way: Way) {
    let names = alsa::names(way);
    let there = if names.is_empty() { "no device".to_owned() } else { names.join(", ") };
    log::error!("{}: it is tried again until it is there; for now there is {there}", way.key());
}

/// The sink, once what the journal had lost is in it again. Blocking.
fn replayed(sink: RecordSink) -> RecordSink {
    let replayed = sink.replay();
    if replayed > 0 {
        log::info!("{replayed} records that the journal had lost are in it again");
    }
    sink
}

/// Loads everything, the detector of speech first: it is small, and decides when a turn ends.
async fn load(
    config: &Config,
    plan: Plan,
    slots: &Slots,
    loading: &watch::Sender<String>,
    capture: &Capture,
) -> Result<Tts, ServiceError> {
    let tell = |what| drop(loading.send_replace(what));
    tell("loading the voice detector".to_owned());
    capture.detect(start_vad(config).await);
    Ok(plan.load(config, slots, &tell).await?.tts)
}

/// The lines that Elio says of its own: from the disk what is there, the rest spoken when nothing else is, and written.
async fn keep_lines(tts: Tts, kept: Arc<KeptLines>, playback: Arc<Playback>) {
    // What the loading did to the sound's threads tells nothing of this machine.
    tokio::time::sleep(CALM).await;
    playback.settle();
    let lines = Phrase::lines();
    let (disk, asked) = (kept.clone(), lines.clone());
    let find = move || {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (language, text) in asked {
            match disk.find(language, &text) {
                Some(spoken) => found.push(MadeLine { language, text, spoken }),
                None => missing.push((language, text)),
            }
        }
        (found, missing)
    };
    let Ok((found, missing)) = tokio::task::spawn_blocking(find).await else { return };
    tts.adopt(found);
    let (made, mut new) = unbounded_channel();
    tts.keep_and_tell(missing, made);
    while let Some(MadeLine { language, text, spoken }) = new.recv().await {
        let disk = kept.clone();
        let written = tokio::task::spawn_blocking(move || disk.write(language, &text, &spoken)).await;
        if let Ok(Err(error)) = written {
            log::warn!("the lines that elio says of its own are not kept in daemon.state_dir: {error}");
            return;
        }
    }
    let _ = tokio::task::spawn_blocking(move || kept.prune(&lines)).await;
}

/// Opens and checks the connection. Only what the owner has to mend keeps the speaker from serving: a network that is
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

fn first_status(config: &Config, plan: &Plan, begun: Mono) -> Status {
    let voice = if config.tts.voice_en == config.tts.voice_fr {
        config.tts.voice_en.clone()
    } else {
        format!("{}, {}", config.tts.voice_en, config.tts.voice_fr)
    };
    Status { models: Models { stt: plan.whisper.name.clone(), voice }, ..Status::starting(config.wake.mode, begun) }
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
