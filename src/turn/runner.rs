//! Moves sound and words for the state machine: frames in, commands carried out, one report for each turn out.

mod replies;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{News, Stages};
use super::guess::Budget;
use super::ledger::{Ledger, Starting, TurnReport};
use super::{Command, EndedBy, Input, Machine, Rules, Visible};
use crate::audio::{CaptureEvent, Frame, PlaybackEvent, PreRoll};
use crate::claude::Memory;
use crate::clock::Mono;
use crate::config::Language;
use crate::latency::{Facts, Outcome};
use crate::wake::{Source, WakeEvent};

/// The speaker tells how much of a cancelled turn was heard; a speaker that is gone never does.
const LAST_WORD: Duration = Duration::from_millis(500);

/// What the runner is told at its start, and again at a reload.
#[derive(Clone)]
pub struct RunnerSettings {
    /// By what a turn is heard.
    pub rules: Rules,
    /// `audio.capture.preroll`
    pub preroll: Duration,
    /// The language of ready lines in a turn in which none was heard.
    pub language: Language,
    /// `claude.history_exchanges`
    pub history_exchanges: usize,
    /// `claude.history_idle`
    pub history_idle: Duration,
    /// `latency.log_words`
    pub log_words: bool,
    /// Names for the record.
    pub model: String,
    /// Names for the record.
    pub stt_model: String,
    /// Before the number in `turn_id`; unique to this start.
    pub turn_id_prefix: String,
    /// What Claude is told of the moment.
    pub context: Arc<dyn Fn(Language) -> String + Send + Sync>,
}

/// Where events come from.
pub struct Feeds {
    /// Button, socket and mute switch.
    pub wake: UnboundedReceiver<WakeEvent>,
    /// Microphone.
    pub capture: UnboundedReceiver<CaptureEvent>,
    /// Speaker.
    pub playback: UnboundedReceiver<PlaybackEvent>,
    /// New settings after a reload.
    pub settings: UnboundedReceiver<RunnerSettings>,
}

/// What others may watch.
pub struct Outlets {
    /// One report for each turn.
    pub reports: UnboundedSender<TurnReport>,
    /// What a person sees.
    pub visible: watch::Sender<Visible>,
    /// Counts overflows of the microphone's buffer since the start.
    pub overruns: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Runs turns until `cancel`, then lets a running answer end (an unfinished question is dropped) and returns.
/// `force` cuts that short.
pub async fn run(
    settings: RunnerSettings,
    stages: Stages,
    feeds: Feeds,
    outlets: Outlets,
    cancel: CancellationToken,
    force: CancellationToken,
) {
    let (news, told) = unbounded_channel();
    let machine = Machine::new(settings.rules.clone());
    let budget = Budget::new(stages.clock.now());
    let memory = Memory::new(settings.history_exchanges, settings.history_idle);
    let preroll = PreRoll::new(settings.preroll);
    let mut runner = Runner {
        settings,
        stages,
        outlets,
        machine,
        memory,
        budget,
        preroll,
        news,
        current: None,
        closing: None,
        tasks: TaskTracker::new(),
        edge: EndedBy::Button,
        silent_since: Mono::from_nanos(0),
        microphone: true,
        speaker: true,
        lines: true,
    };
    runner.serve(feeds, told, cancel, force).await;
    runner.tasks.close();
    runner.tasks.wait().await;
}

struct Runner {
    settings: RunnerSettings,
    stages: Stages,
    outlets: Outlets,
    machine: Machine,
    memory: Memory,
    budget: Budget,
    preroll: PreRoll,
    news: UnboundedSender<(u64, u32, News)>,
    current: Option<Ledger>,
    /// A turn that is over but whose last word the speaker has not told yet.
    closing: Option<(Ledger, Outcome, Mono)>,
    tasks: TaskTracker,
    /// What moved last: the source of a turn that ends before anything else can end it.
    edge: EndedBy,
    /// Elio spoke until then: what the microphone heard before is Elio, not a person's first word.
    silent_since: Mono,
    microphone: bool,
    speaker: bool,
    /// Button and mute switch work.
    lines: bool,
}

impl Runner {
    async fn serve(
        &mut self,
        mut feeds: Feeds,
        mut told: UnboundedReceiver<(u64, u32, News)>,
        cancel: CancellationToken,
        force: CancellationToken,
    ) {
        let mut leaving = false;
        let mut warm = self.stages.warm.clone();
        self.show();
        loop {
            let wait = self.next_deadline().map(|deadline| deadline.since(self.now()));
            tokio::select! {
                biased;
                () = force.cancelled() => {
                    self.step(Input::Stop);
                    self.settle(true);
                    break;
                }
                () = cancel.cancelled(), if !leaving => {
                    leaving = true;
                    if self.machine.ears().is_some() {
                        self.step(Input::Stop);
                    }
                }
                Some(settings) = feeds.settings.recv() => self.configure(settings),
                Ok(()) = warm.changed() => {
                    self.step(Input::Progress);
                    self.show();
                }
                Some(event) = feeds.wake.recv() => self.wake(event, leaving),
                // News before playback: what is said of a sound comes before what happened to it.
                Some((turn, task, news)) = told.recv() => self.told(turn, task, news),
                Some(event) = feeds.playback.recv() => self.playback(event),
                Some(event) = feeds.capture.recv() => self.capture(event),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.tick(),
                else => break,
            }
            if leaving && self.machine.is_idle() && self.closing.is_none() {
                // The last word is still in the device's queue; whoever called may close the device.
                let rest = tokio::time::sleep(self.silent_since.since(self.now()));
                let _ = force.run_until_cancelled(rest).await;
                break;
            }
        }
    }

    fn now(&self) -> Mono {
        self.stages.clock.now()
    }

    fn next_deadline(&self) -> Option<Mono> {
        let closing = self.closing.as_ref().map(|(_, _, deadline)| *deadline);
        let line = self.current.as_ref().and_then(|ledger| match ledger.starting {
            Some(Starting::Due(at)) => Some(at),
            _ => None,
        });
        self.machine.deadline().into_iter().chain(closing).chain(line).min()
    }

    /// Engines are still being loaded.
    fn starting(&self) -> bool {
        !*self.stages.warm.borrow()
    }

    fn tick(&mut self) {
        self.say_starting();
        if self.starting() {
            // Loading takes as long as it takes: a turn that waits for it is not stuck.
            self.step(Input::Progress);
        }
        let commands = self.machine.tick(self.now());
        self.obey(commands);
        self.settle(false);
    }

    fn step(&mut self, input: Input) {
        let commands = self.machine.step(self.now(), input);
        self.obey(commands);
    }

    fn configure(&mut self, settings: RunnerSettings) {
        self.machine.configure(settings.rules.clone());
        if settings.preroll != self.settings.preroll {
            self.preroll = PreRoll::new(settings.preroll);
        }
        let history = |of: &RunnerSettings| (of.history_exchanges, of.history_idle);
        if history(&settings) != history(&self.settings) {
            self.memory = Memory::new(settings.history_exchanges, settings.history_idle);
        }
        self.settings = settings;
    }

    fn wake(&mut self, event: WakeEvent, leaving: bool) {
        let by = |source| match source {
            Source::Button => EndedBy::Button,
            Source::Socket => EndedBy::Socket,
        };
        match event {
            // Nobody is listened to any more.
            WakeEvent::Pressed { .. } if leaving => self.step(Input::Stop),
            WakeEvent::Pressed { source, at } => {
                // The handshake and the cache's re-read hide behind the person's speech.
                self.stages.claude.wake();
                // Memory that was given back in a long rest comes back behind it too; Whisper is heard with meanwhile.
                self.stages.tts.touch();
                self.edge = by(source);
                self.step(Input::Press { at });
            }
            WakeEvent::Released { source, at } => {
                self.hurry();
                self.step(Input::Release { at, by: by(source) });
            }
            WakeEvent::Muted { muted, .. } => self.step(Input::Mute(muted)),
            WakeEvent::Lost { what } => {
                log::error!("{what}");
                self.lines = false;
            }
        }
        self.show();
    }

    fn capture(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::Frame(frame) => self.frame(*frame),
            CaptureEvent::Lost(error) => {
                log::error!("no microphone: {error}");
                self.microphone = false;
                self.step(Input::MicrophoneLost);
                self.show();
            }
            CaptureEvent::Returned => {
                log::info!("the microphone is there again");
                self.microphone = true;
                self.step(Input::MicrophoneReturned);
                self.show();
            }
        }
    }

    fn frame(&mut self, frame: Frame) {
        let threshold = self.settings.rules.endpoint.threshold;
        match &mut self.current {
            Some(ledger) if self.machine.ears().is_none() => ledger.watch(&frame, threshold),
            _ => self.hear(&frame),
        }
        self.preroll.push(frame);
    }

    fn playback(&mut self, event: PlaybackEvent) {
        match event {
            PlaybackEvent::FirstAudible { turn, at } => {
                if let Some(ledger) = self.ledger(turn) {
                    ledger.instants.first_audible.get_or_insert(at);
                }
            }
            PlaybackEvent::Ended { turn, at, heard, completed, starved, underruns } => {
                if let Some(ledger) = self.ledger(turn) {
                    ledger.played(at, heard, underruns, starved);
                }
                self.silent_since = self.silent_since.max(at);
                if let Some(ledger) = &self.current {
                    ledger.line_ended(turn, &*self.stages.player);
                }
                if self.current.as_ref().is_some_and(|ledger| ledger.turn == turn) {
                    // A turn that still runs was not cancelled: its sound came to a speaker that is not there.
                    self.step(if completed { Input::Played } else { Input::SpeakerLost });
                }
                self.settle(false);
            }
            PlaybackEvent::Lost(error) => {
                log::error!("no speaker: {error}");
                self.speaker = false;
                self.step(Input::SpeakerLost);
                self.show();
            }
            PlaybackEvent::Returned => {
                log::info!("the speaker is there again");
                self.speaker = true;
                self.show();
            }
        }
    }

    fn told(&mut self, turn: u64, task: u32, news: News) {
        // Of a turn that is over, what was queued may still have been heard.
        let Some(ledger) = self.ledger(turn) else { return };
        if let Some(guess) = ledger.guess.as_mut().filter(|guess| guess.task == task) {
            if let News::Failed(failure) = news {
                // The commit asks anew, and says what is wrong if it still is.
                log::info!("turn {turn}: an answer could not be prepared ({}): {}", failure.kind, failure.detail);
                self.retract();
                self.step(Input::Prepared);
            } else {
                let settled = matches!(news, News::Spoken { .. } | News::Nothing(_));
                guess.news.push(news);
                if settled {
                    self.step(Input::Prepared);
                }
            }
            return;
        }
        if task < ledger.answer || ledger.answer == 0 {
            return;
        }
        self.note(turn, news);
    }

    /// News of the answer, or of a ready line.
    fn note(&mut self, turn: u64, news: News) {
        let Some(ledger) = self.ledger(turn) else { return };
        ledger.note(&news);
        if self.current.as_ref().is_none_or(|ledger| ledger.turn != turn) {
            return;
        }
        self.step(match news {
            News::Nothing(_) => Input::Nothing,
            News::Spoken { spoken, .. } => Input::SoundQueued(spoken.audio),
            News::Failed(failure) => {
                log::error!("turn {turn} failed ({}): {}", failure.kind, failure.detail);
                Input::Failed { kind: failure.kind, phrase: failure.phrase }
            }
            News::Voiceless(detail) => {
                log::error!("turn {turn}: a ready line cannot be spoken: {detail}");
                Input::Voiceless
            }
            _ => Input::Progress,
        });
    }

    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Listen { turn, wake } => self.listen(turn, wake),
                Command::Guess { turn } => self.guess(turn),
                Command::Retract { .. } => self.retract(),
                Command::Commit { turn, by } => self.commit(turn, by),
                Command::Say { turn, phrase } => self.say(turn, phrase),
                Command::Cancel { .. } => {
                    if let Some(ledger) = &self.current {
                        ledger.cancel.cancel();
                        ledger.silence(&*self.stages.player);
                        if ledger.has_sounded() {
                            self.silent_since = self.stages.clock.now();
                        }
                    }
                }
                Command::Finish { outcome, .. } => self.finish(outcome),
            }
        }
        self.show();
    }

    fn open(&mut self, turn: u64, wake: Mono) -> &mut Ledger {
        let facts = Facts {
            source: self.edge.as_str().to_owned(),
            turn_id: format!("{}-{turn}", self.settings.turn_id_prefix),
            model: Some(self.settings.model.clone()),
            stt_model: Some(self.settings.stt_model.clone()),
            overruns: (self.outlets.overruns)(),
            starting: self.starting(),
            ..Facts::default()
        };
        let cancel = CancellationToken::new();
        self.current.insert(Ledger::new(turn, wake, self.settings.language, cancel, facts))
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(mut ledger) = self.current.take() else { return };
        ledger.cancel.cancel();
        let wasted = ledger.drop_guess();
        ledger.facts.overruns = (self.outlets.overruns)().saturating_sub(ledger.facts.overruns);
        let now = self.now();
        self.budget.waste(now, wasted, self.settings.rules.speculation.daily_tokens);
        let deadline = now + LAST_WORD;
        self.settle(true);
        self.closing = Some((ledger, outcome, deadline));
        self.settle(false);
    }

    /// Reports the turn that is over, once its last sound is known or can no longer be.
    fn settle(&mut self, at_once: bool) {
        let now = self.now();
        let over = self.closing.take_if(|(ledger, _, deadline)| {
            at_once || ledger.silent_again || !ledger.voice.begun() || now >= *deadline
        });
        let Some((ledger, outcome, _)) = over else { return };
        let (question, heard) = ledger.exchange();
        // An answer that was stopped before its first word leaves a question that the next one may refer to.
        if !heard.is_empty() || (outcome == Outcome::Interrupted && !question.is_empty()) {
            self.memory.remember(question, &heard, now);
        }
        let report = ledger.close(outcome, self.settings.log_words);
        // Whoever wanted reports has left: the turn is over all the same.
        let _ = self.outlets.reports.send(report);
    }

    fn ledger(&mut self, turn: u64) -> Option<&mut Ledger> {
        let closing = self.closing.as_mut().map(|(ledger, _, _)| ledger);
        self.current.as_mut().into_iter().chain(closing).find(|ledger| ledger.turn == turn)
    }

    fn show(&self) {
        let visible = match self.machine.visible() {
            Visible::Idle if !self.microphone || !self.speaker || !self.lines => Visible::Fault,
            Visible::Idle if self.starting() => Visible::Starting,
            visible => visible,
        };
        self.outlets.visible.send_if_modified(|shown| std::mem::replace(shown, visible) != visible);
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
