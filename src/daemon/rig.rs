//! A speaker without hardware: the ordinary capture path, engines and runner, between a microphone that is fed clips
//! and a speaker that is listened to. Source and sink keep time as devices do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::engines::{EngineError, Engines, lock_memory, start_vad};
use super::service::runner_settings;
use crate::audio::{
    AlsaPlaybackHost, AudioError, Capture, Clip, Pace, Playback, PlaybackHost, PlaybackTap, Recording, WavCaptureHost,
    WavFeed, WavPlaybackHost,
};
use crate::claude::{ApiKey, ClaudeError};
use crate::clock::{Mono, SystemClock};
use crate::config::{Config, KeepWarm, WakeMode};
use crate::sim::{SimError, SimHandle};
use crate::turn::{self, Feeds, Outlets, Stages, TurnReport, Visible};
use crate::wake::{Source, WakeEvent};

/// A person begins to speak this long after the wake edge.
pub const REACTION: Duration = Duration::from_millis(250);
/// Kept after an answer's last sample.
const AFTER: Duration = Duration::from_millis(200);
/// The longest answer that is kept whole.
const KEEP: Duration = Duration::from_secs(120);

/// Why the rig does not start, or a turn on it does not end.
#[derive(Debug, Error)]
pub enum RigError {
    /// Models, voices, key.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Claude cannot be reached.
    #[error(transparent)]
    Claude(#[from] ClaudeError),
    /// The speaker, or a clip.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The simulated Claude.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// The runner is gone: a fault of the program.
    #[error("the turn's runner ended before the turn did; please report it")]
    Gone,
}

/// What the rig is made of.
pub struct RigOptions {
    /// The key for Claude.
    pub key: ApiKey,
    /// Answers are also heard on the sound card of `audio.playback.device`.
    pub sound_card: bool,
    /// The simulated Claude that answers, where it is not the real one.
    pub sim: Option<SimHandle>,
}

/// A speaker without hardware.
pub struct Rig {
    mode: WakeMode,
    feed: WavFeed,
    wake: UnboundedSender<WakeEvent>,
    reports: UnboundedReceiver<TurnReport>,
    visible: watch::Receiver<Visible>,
    tap: PlaybackTap,
    cancel: CancellationToken,
    running: JoinHandle<()>,
    /// The warm engines.
    pub engines: Engines,
    sim: Option<SimHandle>,
    _devices: (Arc<Capture>, Arc<Playback>),
}

/// One turn on the rig.
#[derive(Debug)]
pub struct Spoken {
    /// The turn's report.
    pub report: TurnReport,
    /// What left the speaker, from the end of speech on: the silence at its begin is the wait that the person felt.
    pub recording: Recording,
}

impl Rig {
    /// Builds and warms everything; the connection is open and the cache warm when it returns.
    ///
    /// # Errors
    /// What `elio run` would be refused for, and a Claude that cannot be reached.
    pub async fn start(config: &Config, options: RigOptions) -> Result<Rig, RigError> {
        let engines = Engines::start(config, options.key).await?;
        engines.claude.connect().await?;
        if config.claude.keep_warm != KeepWarm::Never {
            engines.claude.prewarm().await?;
        }
        let (microphone, feed) = WavCaptureHost::new(Pace::RealTime);
        let speaker: Box<dyn PlaybackHost> = if options.sound_card {
            Box::new(AlsaPlaybackHost::new(&config.playback))
        } else {
            Box::new(WavPlaybackHost)
        };
        let (tap, speaker) = PlaybackTap::new(speaker, KEEP);
        let vad = start_vad(config).await;
        // Before the devices run: it holds up whoever asks for memory meanwhile, and the speaker would run dry.
        lock_memory();
        let (capture, heard) = Capture::start(Box::new(microphone), &config.capture, vad)?;
        let (playback, played) = Playback::start(speaker, &config.playback)?;
        let (capture, playback) = (Arc::new(capture), Arc::new(playback));

        let (wake, edges) = unbounded_channel();
        let (reports, reported) = unbounded_channel();
        let (visible, shown) = watch::channel(Visible::Starting);
        let (_no_reload, settings) = unbounded_channel();
        let stages = Stages {
            stt: Arc::new(engines.whisper.clone()),
            prosody: engines.prosody(),
            claude: Arc::new(engines.claude.clone()),
            tts: Arc::new(engines.tts.clone()),
            player: playback.clone(),
            clock: Arc::new(SystemClock),
            warm: watch::channel(true).1,
        };
        let overruns = capture.clone();
        let outlets = Outlets { reports, visible, overruns: Arc::new(move || overruns.stats().overruns) };
        let feeds = Feeds { wake: edges, capture: heard, playback: played, settings };
        let cancel = CancellationToken::new();
        let prefix = format!("{:x}", Zoned::now().timestamp().as_millisecond());
        let settings = runner_settings(config, &prefix);
        let (keeper, until) = (engines.claude.clone(), cancel.clone());
        tokio::spawn(async move { keeper.keep(until).await });
        let running =
            tokio::spawn(turn::run(settings, stages, feeds, outlets, cancel.clone(), CancellationToken::new()));
        Ok(Rig {
            mode: config.wake.mode,
            feed,
            wake,
            reports: reported,
            visible: shown,
            tap,
            cancel,
            running,
            engines,
            sim: options.sim,
            _devices: (capture, playback),
        })
    }

    /// Asks one recorded question: wake edge, clip, and in hold mode the release at the clip's end; then waits for the
    /// turn's end.
    ///
    /// # Errors
    /// [`RigError::Gone`] alone: a turn that fails is a report like any other.
    pub async fn ask(&mut self, clip: Clip) -> Result<Spoken, RigError> {
        self.press();
        tokio::time::sleep(REACTION).await;
        self.say(clip).await;
        self.answer().await
    }

    /// The button goes down: the wake edge, or in press mode the stop of a turn that runs. Gives its stamp.
    pub fn press(&self) -> Mono {
        let at = Mono::now();
        self.edge(WakeEvent::Pressed { source: Source::Button, at });
        at
    }

    /// Speaks a clip. In hold mode this returns after the release, which comes at the clip's end; in press mode at
    /// once. Gives the capture time of the clip's end.
    pub async fn say(&self, clip: Clip) -> Mono {
        let length = Duration::from_secs_f64(clip.samples.len() as f64 / f64::from(clip.rate.max(1)));
        let end = self.feed.say(clip.samples, clip.rate) + length;
        if self.mode == WakeMode::Hold {
            tokio::time::sleep(end.since(Mono::now())).await;
            self.edge(WakeEvent::Released { source: Source::Button, at: end });
        }
        end
    }

    /// Waits for the end of a turn and of its sound.
    ///
    /// # Errors
    /// [`RigError::Gone`] alone.
    pub async fn answer(&mut self) -> Result<Spoken, RigError> {
        let report = self.reports.recv().await.ok_or(RigError::Gone)?;
        let at = &report.instants;
        let from = at.speech_end.or(at.commit).or(at.wake).unwrap_or_else(Mono::now);
        let to = at.playback_end.unwrap_or(from) + AFTER;
        tokio::time::sleep(to.since(Mono::now())).await;
        let recording = self.heard(from, to);
        Ok(Spoken { report, recording })
    }

    /// What left the speaker between two instants.
    pub fn heard(&self, from: Mono, to: Mono) -> Recording {
        self.tap.take(from, to)
    }

    /// Waits until a person would see `state`.
    ///
    /// # Errors
    /// [`RigError::Gone`] alone.
    pub async fn shows(&mut self, state: Visible) -> Result<(), RigError> {
        self.visible.wait_for(|shown| *shown == state).await.map(drop).map_err(|_| RigError::Gone)
    }

    /// Waits until a person would no longer see `state`.
    ///
    /// # Errors
    /// [`RigError::Gone`] alone.
    pub async fn leaves(&mut self, state: Visible) -> Result<(), RigError> {
        self.visible.wait_for(|shown| *shown != state).await.map(drop).map_err(|_| RigError::Gone)
    }

    /// What a person would see.
    pub fn visible(&self) -> Visible {
        *self.visible.borrow()
    }

    /// The simulated Claude, where one answers.
    pub fn sim(&self) -> Option<&SimHandle> {
        self.sim.as_ref()
    }

    /// Stops the runner.
    pub async fn stop(self) {
        self.cancel.cancel();
        // It has nothing left to run; a panic in it has been printed already.
        let _ = self.running.await;
    }

    fn edge(&self, event: WakeEvent) {
        // A runner that is gone shows at the missing report.
        let _ = self.wake.send(event);
    }
}
