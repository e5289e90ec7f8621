//! The runner between scripted engines, on paused time: what was said, played, remembered and recorded.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;

use super::*;
use crate::audio::FRAME;
use crate::claude::wire::{Message, Usage};
use crate::claude::{
    AnswerEvent, AnswerHead, AnswerStream, Answerer, ClaudeError, ConnectionUse, Question, StopReason,
};
use crate::clock::Clock;
use crate::config::{EndpointSettings, SpeculationSettings, WakeMode};
use crate::latency::Instants;
use crate::prosody::{Prosody, ProsodyError};
use crate::stt::{Clip, Partials, SttError, Transcribe, Transcript};
use crate::tts::{Speak, Spoken, TtsError, Utterance};
use crate::turn::{Phrase, Player};

const RATE_OUT: u32 = 16_000;

/// CLOCK_MONOTONIC of the paused runtime.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Mono {
        Mono::from_nanos(60_000_000_000) + self.0.elapsed()
    }
}

/// What the fake Claude does after its headers.
#[derive(Clone)]
enum Script {
    Write(&'static str),
    BreakOff,
    Stall,
    TimeOut,
    /// Nothing that can be spoken.
    Emoji,
}

struct Fakes {
    hears: Mutex<Result<&'static str, SttError>>,
    script: Mutex<Vec<Script>>,
    unreachable: Mutex<bool>,
    voiceless: Mutex<bool>,
    /// The speaker is away: what is played ends unheard.
    speakerless: Mutex<bool>,
    partials: Mutex<Partials>,
    /// What the turn model hears of the next pauses, in order; then that the person has finished.
    prosody: Mutex<VecDeque<f32>>,
    /// What hearing takes.
    hearing: Mutex<Duration>,
    /// Length of each clip that was to be heard, in samples.
    clips: Mutex<Vec<usize>>,
    /// As often as this the voice speaks before it fails for one text.
    speaks: Mutex<Option<usize>>,
    asked: Mutex<Vec<Question>>,
    said: Mutex<Vec<String>>,
    /// What the voice was told may come.
    prepared: Mutex<Vec<String>>,
    events: UnboundedSender<PlaybackEvent>,
    played: Mutex<VecDeque<(u64, usize)>>,
    clock: Arc<PausedClock>,
}

impl Transcribe for Fakes {
    fn transcribe(&self, clip: Clip, _cancel: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>> {
        self.clips.lock().unwrap().push(clip.samples.len());
        let takes = *self.hearing.lock().unwrap();
        let clock = self.clock.clone();
        let heard = match &*self.hears.lock().unwrap() {
            Ok(text) => Ok((*text).to_owned()),
            Err(_) => Err(SttError::Inference("no memory".to_owned())),
        };
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Ok(Transcript {
                text: heard?,
                language: Language::Fr,
                compute: Duration::from_millis(50),
                audio: Duration::from_secs(1),
                audio_ctx: 128,
                finished: clock.now(),
            })
        })
    }

    fn name(&self) -> &str {
        "ear"
    }

    fn partials(&self) -> Partials {
        *self.partials.lock().unwrap()
    }
}

impl Prosody for Fakes {
    fn finished(&self, _sound: Vec<f32>) -> BoxFuture<'static, Result<f32, ProsodyError>> {
        let probability = self.prosody.lock().unwrap().pop_front().unwrap_or(1.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(probability)
        })
    }
}

struct Stream {
    head: AnswerHead,
    script: VecDeque<Script>,
    clock: Arc<PausedClock>,
}

impl AnswerStream for Stream {
    fn head(&self) -> &AnswerHead {
        &self.head
    }

    fn usage(&self) -> Usage {
        usage()
    }

    fn next(&mut self) -> BoxFuture<'_, Option<AnswerEvent>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let at = self.clock.now();
            Some(match self.script.pop_front() {
                Some(Script::Write(text)) => AnswerEvent::Text { at, text: text.to_owned() },
                Some(Script::BreakOff) => AnswerEvent::Failed(offline()),
                Some(Script::TimeOut) => AnswerEvent::Failed(ClaudeError::Timeout {
                    host: "api.example:443".into(),
                    awaited: "text",
                    after: Duration::from_secs(8),
                    request_id: Some("req_2".into()),
                    connection: None,
                }),
                Some(Script::Emoji) => AnswerEvent::Text { at, text: "👍🎉".to_owned() },
                Some(Script::Stall) => std::future::pending().await,
                None => {
                    let usage = usage();
                    let message_id = "msg_1".to_owned();
                    AnswerEvent::Done { at, stop: StopReason::EndTurn, usage, message_id }
                }
            })
        })
    }
}

impl Answerer for Fakes {
    fn ask(
        &self,
        question: Question,
        _cancel: CancellationToken,
    ) -> BoxFuture<'static, Result<Box<dyn AnswerStream>, ClaudeError>> {
        self.asked.lock().unwrap().push(question);
        let head = AnswerHead {
            sent: self.clock.now(),
            request_id: Some("req_1".into()),
            connection: ConnectionUse::default(),
            model: "model".into(),
        };
        let script = self.script.lock().unwrap().clone().into();
        let answer: Result<Box<dyn AnswerStream>, ClaudeError> = if *self.unreachable.lock().unwrap() {
            Err(offline())
        } else {
            Ok(Box::new(Stream { head, script, clock: self.clock.clone() }))
        };
        Box::pin(async move { answer })
    }

    fn wake(&self) {}
}

impl Speak for Fakes {
    /// 60 ms of sound for each character, made in 10 ms.
    fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>> {
        self.said.lock().unwrap().push(utterance.text.clone());
        let clock = self.clock.clone();
        let cached = Phrase::lines().contains(&(utterance.language, utterance.text.clone()));
        let mut speaks = self.speaks.lock().unwrap();
        let voiceless = *self.voiceless.lock().unwrap() || *speaks == Some(0);
        *speaks = speaks.and_then(|left| left.checked_sub(1));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if voiceless {
                return Err(TtsError::Gone);
            }
            let now = clock.now();
            Ok(Spoken {
                samples: vec![0.1; utterance.text.chars().count() * RATE_OUT as usize * 60 / 1_000],
                rate: RATE_OUT,
                lead_silence: Duration::ZERO,
                first_pcm: now,
                done: now,
                voice: "voice".into(),
                fallback: false,
                cached,
            })
        })
    }

    fn prepare(&self, text: String, _language: Language) {
        self.prepared.lock().unwrap().push(text);
    }
}

impl Player for Fakes {
    fn begin(&self, turn: u64) {
        if *self.speakerless.lock().unwrap() {
            let _ = self.events.send(ended(turn, self.clock.now(), Duration::ZERO, false));
        }
        self.played.lock().unwrap().push_back((turn, 0));
    }

    fn push(&self, turn: u64, _rate: u32, samples: &[f32]) {
        let mut played = self.played.lock().unwrap();
        let (_, length) = played.iter_mut().find(|(of, _)| *of == turn).expect("begin comes first");
        if *length == 0 {
            let _ = self.events.send(PlaybackEvent::FirstAudible { turn, at: self.clock.now() });
        }
        *length += samples.len();
    }

    fn finish(&self, turn: u64) {
        if *self.speakerless.lock().unwrap() {
            return;
        }
        let length = self.played.lock().unwrap().iter().find(|(of, _)| *of == turn).map_or(0, |(_, length)| *length);
        let heard = Duration::from_secs_f64(length as f64 / f64::from(RATE_OUT));
        let (events, clock) = (self.events.clone(), self.clock.clone());
        tokio::spawn(async move {
            tokio::time::sleep(heard).await;
            let _ = events.send(ended(turn, clock.now(), heard, true));
        });
    }

    fn cancel(&self, turn: u64) {
        // One second of it was heard.
        let _ = self.events.send(ended(turn, self.clock.now(), Duration::from_secs(1), false));
    }
}

fn ended(turn: u64, at: Mono, heard: Duration, completed: bool) -> PlaybackEvent {
    PlaybackEvent::Ended { turn, at, heard, completed, starved: 2, underruns: 1 }
}

fn usage() -> Usage {
    Usage {
        input_tokens: Some(20),
        cache_creation_input_tokens: Some(0),
        cache_read_input_tokens: Some(900),
        output_tokens: Some(30),
    }
}

fn offline() -> ClaudeError {
    ClaudeError::Offline { host: "api.example:443".into(), fault: "refused".into() }
}

struct Rig {
    fakes: Arc<Fakes>,
    wake: UnboundedSender<WakeEvent>,
    capture: UnboundedSender<CaptureEvent>,
    reports: UnboundedReceiver<TurnReport>,
    visible: watch::Receiver<Visible>,
    cancel: CancellationToken,
    force: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    settings: UnboundedSender<RunnerSettings>,
    warm: watch::Sender<bool>,
}

fn rules(mode: WakeMode, tries: u32) -> Rules {
    let endpoint = EndpointSettings {
        silence: Duration::from_millis(700),
        silence_min: Duration::from_millis(300),
        silence_max: Duration::from_millis(1_200),
        no_speech: Duration::from_secs(6),
        max_turn: Duration::from_secs(30),
        threshold: 0.5,
        vad: "earshot".into(),
        turn_model: None,
        turn_threshold: 0.5,
    };
    let speculation = SpeculationSettings { tries, after: Duration::from_millis(150), daily_tokens: 1_000 };
    Rules { mode, grace: Duration::from_millis(120), endpoint, speculation }
}

fn settings() -> RunnerSettings {
    RunnerSettings {
        rules: rules(WakeMode::Press, 0),
        preroll: Duration::from_millis(500),
        language: Language::En,
        history_exchanges: 4,
        history_idle: Duration::from_secs(600),
        log_words: false,
        model: "model".into(),
        stt_model: "ear".into(),
        turn_id_prefix: "test".into(),
        context: Arc::new(|_| "It is noon.".into()),
    }
}

impl Rig {
    fn new() -> Self {
        let (events, playback) = unbounded_channel();
        let (wake, wakes) = unbounded_channel();
        let (capture, frames) = unbounded_channel();
        let (reports_out, reports) = unbounded_channel();
        let (settings_in, new_settings) = unbounded_channel();
        let (visible_out, visible) = watch::channel(Visible::Starting);
        let fakes = Arc::new(Fakes {
            hears: Mutex::new(Ok("quelle heure est-il")),
            script: Mutex::new(vec![Script::Write("Il est midi. "), Script::Write("Bon appétit à tous.")]),
            unreachable: Mutex::new(false),
            voiceless: Mutex::new(false),
            speakerless: Mutex::new(false),
            partials: Mutex::new(Partials::Off),
            prosody: Mutex::default(),
            hearing: Mutex::new(Duration::from_millis(50)),
            clips: Mutex::default(),
            speaks: Mutex::new(None),
            asked: Mutex::default(),
            said: Mutex::default(),
            prepared: Mutex::default(),
            events,
            played: Mutex::default(),
            clock: Arc::new(PausedClock(tokio::time::Instant::now())),
        });
        let (warm, is_warm) = watch::channel(true);
        let stages = Stages {
            stt: fakes.clone(),
            prosody: Some(fakes.clone()),
            claude: fakes.clone(),
            tts: fakes.clone(),
            player: fakes.clone(),
            clock: fakes.clock.clone(),
            warm: is_warm,
        };
        let feeds = Feeds { wake: wakes, capture: frames, playback, settings: new_settings };
        let outlets = Outlets { reports: reports_out, visible: visible_out, overruns: Arc::new(|| 0) };
        let (cancel, force) = (CancellationToken::new(), CancellationToken::new());
        let running = tokio::spawn(run(settings(), stages, feeds, outlets, cancel.clone(), force.clone()));
        Rig { fakes, wake, capture, reports, visible, cancel, force, running, settings: settings_in, warm }
    }

    fn now(&self) -> Mono {
        self.fakes.clock.now()
    }

    async fn press(&self) {
        self.wake.send(WakeEvent::Pressed { source: Source::Button, at: self.now() }).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn hear(&self, ms: u64, speech: f32) {
        for _ in 0..ms / 16 {
            let start = self.now();
            tokio::time::sleep(Duration::from_millis(16)).await;
            let voiced_end = (speech > 0.5).then_some(self.now());
            let frame = Frame { start, samples: [speech; FRAME], speech, voiced_end };
            self.capture.send(CaptureEvent::Frame(Box::new(frame))).unwrap();
        }
        tokio::task::yield_now().await;
    }

    /// A question that ends by its silence.
    async fn question(&self) {
        self.press().await;
        self.hear(960, 0.9).await;
        self.hear(720, 0.0).await;
    }

    async fn report(&mut self) -> TurnReport {
        self.reports.recv().await.expect("a report")
    }

    fn said(&self) -> Vec<String> {
        self.fakes.said.lock().unwrap().clone()
    }
}

fn in_order(at: &Instants) -> Vec<Mono> {
    let all = [
        at.wake,
        at.speech_start,
        at.speech_end,
        at.commit,
        at.stt_final,
        at.llm_sent,
        at.llm_first_text,
        at.chunk_ready,
        at.tts_first_pcm,
        at.first_audible,
        at.tts_done,
        at.playback_end,
    ];
    all.into_iter().map(|instant| instant.expect("every instant of an answered turn")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_and_recorded_in_full() {
    let mut rig = Rig::new();
    rig.question().await;
    let report = rig.report().await;
    assert_eq!(
        (report.transcript.as_str(), report.reply.as_str()),
        ("quelle heure est-il", "Il est midi. Bon appétit à tous.")
    );
    assert_eq!(report.heard, report.reply);
    let instants = in_order(&report.instants);
    assert!(instants.is_sorted(), "{:?}", report.instants);
    let record = report.record.to_json();
    let nulls: Vec<&String> = record.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key).collect();
    assert_eq!(nulls, ["words_end"], "null in an answered turn, which was heard only when it was over");
    assert_eq!(record["outcome"], "answered");
    assert_eq!(record["source"], "endpoint");
    assert_eq!(record["turn_id"], "test-1");
    assert_eq!(record["cache_hit"], true);
    assert_eq!(
        (&record["underruns"], &record["starved"], &record["tts_cached"]),
        (&1.into(), &2.into(), &false.into())
    );
    assert!(!serde_json::to_string(&record).unwrap().contains("midi"), "no word in the record");
    assert_eq!(*rig.visible.borrow(), Visible::Idle);
}

#[tokio::test(start_paused = true)]
async fn the_first_chunk_is_spoken_while_claude_still_writes() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![
        Script::Write("Il est midi. "),
        Script::Write("Il fait beau. "),
        Script::Write("Et "),
        Script::Write("voilà."),
    ];
    rig.question().await;
    let at = rig.report().await.instants;
    assert!(at.first_audible < at.llm_done, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn the_voice_begins_with_a_likely_first_chunk_before_the_word_behind_it_is_there() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() =
        vec![Script::Write("Il"), Script::Write(" est"), Script::Write(" midi et quart.")];
    rig.question().await;
    let record = rig.report().await.record;
    assert_eq!(*rig.fakes.prepared.lock().unwrap(), ["Il est"]);
    assert_eq!(rig.said(), ["Il est", "midi et quart."]);
    assert_eq!(record.first_chunk_wait_ms, Some(200.0));
}

#[tokio::test(start_paused = true)]
async fn a_better_end_of_the_first_chunk_is_waited_for_but_not_for_long() {
    for (script, said, wait) in [
        ([Script::Write("Dans la cuisine i"), Script::Write("l fait chaud.")], "Dans la cuisine", 0.0..1.0),
        // The next word comes after 100 ms.
        ([Script::Write("Dans la c"), Script::Write("uisine il fait chaud.")], "Dans la", 25.0..27.0),
        // A number is never cut.
        (
            [Script::Write("Environ 4 0"), Script::Write("00 personnes sont là.")],
            "Environ 4 000 personnes",
            100.0..101.0,
        ),
    ] {
        let mut rig = Rig::new();
        *rig.fakes.script.lock().unwrap() = script.into();
        rig.question().await;
        let waited = rig.report().await.record.first_chunk_wait_ms.unwrap();
        assert_eq!(rig.said()[0], said);
        assert!(wait.contains(&waited), "{said}: {waited} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sentence_is_cut_only_where_the_sound_before_it_would_run_out() {
    let pieces = ["Oui. ", "Le train ", "part bientôt ", "de la gare ", "du nord."];
    let mut rig = Rig::new();
    // 240 ms of sound for the first chunk, and a piece each 100 ms.
    *rig.fakes.script.lock().unwrap() = pieces.map(Script::Write).into();
    rig.question().await;
    rig.report().await;
    assert_eq!(rig.said(), ["Oui.", "Le train part", "bientôt de la gare du nord."]);
    // With more sound ahead, the same sentence stays whole.
    let mut rig = Rig::new();
    let pieces = ["Oui, vraiment, tout de suite. ", "Le train ", "part bientôt ", "de la gare ", "du nord."];
    *rig.fakes.script.lock().unwrap() = pieces.map(Script::Write).into();
    rig.question().await;
    rig.report().await;
    assert_eq!(rig.said(), ["Oui,", "vraiment, tout de suite.", "Le train part bientôt de la gare du nord."]);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_before_claude_falls_silent_is_spoken() {
    let rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Write("Oui. Le train part bientôt de la g"), Script::Stall];
    rig.question().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.said(), ["Oui.", "Le train part bientôt"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_not_remembered() {
    let mut rig = Rig::new();
    rig.question().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(*rig.visible.borrow(), Visible::Speaking);
    rig.press().await;
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Interrupted);
    // 1 s of sound at 60 ms for each character: the first chunk takes 0.72 s, the next word fits.
    assert_eq!(report.heard, "Il est midi. Bon");
    rig.question().await;
    rig.report().await;
    let asked = rig.fakes.asked.lock().unwrap();
    let history: &[Message] = &asked[1].history;
    let history = serde_json::to_string(history).unwrap();
    assert!(history.contains("Il est midi. Bon") && !history.contains("appétit"), "{history}");
}

#[tokio::test(start_paused = true)]
async fn claude_out_of_reach_is_said_in_the_language_that_was_heard() {
    let mut rig = Rig::new();
    *rig.fakes.unreachable.lock().unwrap() = true;
    rig.question().await;
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Failed("offline".into()));
    assert_eq!(report.record.request_id, None);
    assert!(report.record.tts_cached, "the line was ready");
    assert_eq!(rig.said(), [Phrase::Offline.text(Language::Fr)]);
    assert!(report.instants.first_audible.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_spoken_as_far_as_it_came_and_then_excused() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Write("Il est midi. Il fait "), Script::BreakOff];
    rig.question().await;
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Failed("offline".into()));
    let said = rig.said();
    assert_eq!(said.last().map(String::as_str), Some(Phrase::CutShort.text(Language::Fr)));
    assert_eq!(said[..said.len() - 1].join(" "), "Il est midi. Il fait");
}

#[tokio::test(start_paused = true)]
async fn nothing_heard_is_said_and_silent() {
    let mut rig = Rig::new();
    *rig.fakes.hears.lock().unwrap() = Ok("");
    rig.question().await;
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Silent);
    assert_eq!(rig.said(), [Phrase::NothingHeard.text(Language::Fr)]);
    assert!(rig.fakes.asked.lock().unwrap().is_empty(), "silence is not sent to Claude");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_engine_is_said() {
    let mut rig = Rig::new();
    *rig.fakes.hears.lock().unwrap() = Err(SttError::Gone);
    rig.question().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Failed("stt".into()));
    assert_eq!(rig.said(), [Phrase::HearingFailed.text(Language::En)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_voice_the_turn_still_ends_with_its_record() {
    let mut rig = Rig::new();
    *rig.fakes.voiceless.lock().unwrap() = true;
    rig.question().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Failed("tts".into()));
    assert_eq!(*rig.visible.borrow(), Visible::Idle);
}

#[tokio::test(start_paused = true)]
async fn speech_right_after_the_commit_is_a_suspected_cut_off() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Stall];
    rig.question().await;
    rig.hear(200, 0.9).await;
    rig.press().await;
    assert!(rig.report().await.record.cut_off_suspected);
    let mut calm = Rig::new();
    calm.question().await;
    calm.hear(200, 0.0).await;
    assert!(!calm.report().await.record.cut_off_suspected);
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_a_running_answer_is_spoken_to_its_end() {
    let mut rig = Rig::new();
    rig.question().await;
    rig.cancel.cancel();
    assert_eq!(rig.report().await.record.outcome, Outcome::Answered);
    rig.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_forced_shutdown_interrupts_it() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Stall];
    rig.question().await;
    rig.cancel.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.force.cancel();
    assert_eq!(rig.report().await.record.outcome, Outcome::Interrupted);
    rig.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_microphone_shows_as_a_fault_and_its_return_mends_it() {
    let rig = Rig::new();
    rig.capture.send(CaptureEvent::Lost(crate::audio::AudioError::Permission { device: "hw:1".into() })).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*rig.visible.borrow(), Visible::Fault);
    rig.capture.send(CaptureEvent::Returned).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*rig.visible.borrow(), Visible::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_fails_in_the_middle_is_excused_at_once() {
    let mut rig = Rig::new();
    *rig.fakes.speaks.lock().unwrap() = Some(1);
    // Claude would go on for ever.
    let script = vec![Script::Write("Il est midi. "), Script::Write("Il fait beau dehors. Et "), Script::Stall];
    *rig.fakes.script.lock().unwrap() = script;
    rig.question().await;
    let before = rig.now();
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Failed("tts".into()));
    assert_eq!(rig.said().last().map(String::as_str), Some(Phrase::Failed.text(Language::Fr)));
    assert!(rig.now().since(before) < Duration::from_secs(10), "it waited for Claude");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_spoken_is_excused() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Emoji];
    rig.question().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Failed("empty".into()));
    assert_eq!(rig.said().last().map(String::as_str), Some(Phrase::Failed.text(Language::Fr)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_is_excused_and_its_turn_ends() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Stall];
    rig.question().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Failed("stuck".into()));
    assert_eq!(rig.said(), [Phrase::Failed.text(Language::Fr)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_absent_speaker_ends_as_a_failure() {
    let mut rig = Rig::new();
    *rig.fakes.speakerless.lock().unwrap() = true;
    rig.question().await;
    let before = rig.now();
    assert_eq!(rig.report().await.record.outcome, Outcome::Failed("speaker".into()));
    assert!(rig.now().since(before) < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_answer_tells_what_the_cache_gave_and_leaves_its_question() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::Write("Il "), Script::Stall];
    rig.question().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.press().await;
    let record = rig.report().await.record;
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert_eq!((record.cache_hit, record.cache_read_tokens, record.output_tokens), (Some(true), Some(900), None));
    assert_eq!(record.total_perceived_ms, None);
    rig.question().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.press().await;
    rig.report().await;
    let asked = rig.fakes.asked.lock().unwrap();
    assert!(serde_json::to_string(&asked[1].history).unwrap().contains("quelle heure"));
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_changes_nothing_of_it_keeps_conversation_and_pre_roll() {
    let mut rig = Rig::new();
    rig.question().await;
    rig.report().await;
    rig.hear(480, 0.0).await;
    let mut next = settings();
    next.rules.endpoint.silence = Duration::from_millis(600);
    rig.settings.send(next).unwrap();
    rig.question().await;
    rig.report().await;
    assert_eq!(rig.fakes.asked.lock().unwrap()[1].history.len(), 2);
    let clips = rig.fakes.clips.lock().unwrap();
    assert!(clips[1] > clips[0] + 400 * 16, "the pre-roll is in the clip: {clips:?}");
}

#[tokio::test(start_paused = true)]
async fn elio_does_not_take_its_own_voice_for_the_first_word() {
    let mut rig = Rig::new();
    rig.question().await;
    // The microphone hears the answer.
    while *rig.visible.borrow() != Visible::Speaking {
        rig.hear(16, 0.0).await;
    }
    rig.hear(800, 0.9).await;
    rig.press().await;
    rig.report().await;
    rig.question().await;
    rig.report().await;
    let clips = rig.fakes.clips.lock().unwrap();
    assert!(clips[1] <= clips[0] + FRAME, "the answer is in the next question's clip: {clips:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_failed_leaves_its_id_in_the_record() {
    let mut rig = Rig::new();
    *rig.fakes.script.lock().unwrap() = vec![Script::TimeOut];
    rig.question().await;
    let record = rig.report().await.record;
    assert_eq!(record.outcome, Outcome::Failed("timeout".into()));
    assert_eq!(record.request_id.as_deref(), Some("req_2"));
}

#[tokio::test(start_paused = true)]
async fn presses_in_a_storm_leave_an_idle_speaker_and_a_record_each() {
    let mut rig = Rig::new();
    for _ in 0..40 {
        rig.press().await;
        rig.hear(32, 0.9).await;
    }
    for number in 1..=20 {
        let report = rig.report().await;
        assert_eq!((report.turn, &report.record.outcome), (number, &Outcome::Interrupted));
    }
    assert_eq!(*rig.visible.borrow(), Visible::Idle);
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_a_press_stops_the_answer_and_begins_nothing() {
    let mut rig = Rig::new();
    rig.settings.send(RunnerSettings { rules: rules(WakeMode::Hold, 0), ..settings() }).unwrap();
    rig.press().await;
    rig.hear(480, 0.9).await;
    rig.wake.send(WakeEvent::Released { source: Source::Button, at: rig.now() }).unwrap();
    rig.hear(480, 0.0).await;
    rig.cancel.cancel();
    tokio::time::sleep(Duration::from_millis(1)).await;
    rig.press().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Interrupted);
    rig.running.await.unwrap();
}

#[path = "speculation_tests.rs"]
mod speculation;

/// A player that counts.
#[derive(Default)]
struct Counts(Mutex<(usize, usize)>);

impl Player for Counts {
    fn begin(&self, _turn: u64) {
        self.0.lock().unwrap().0 += 1;
    }

    fn push(&self, _turn: u64, _rate: u32, _samples: &[f32]) {}

    fn finish(&self, _turn: u64) {}

    fn cancel(&self, _turn: u64) {
        self.0.lock().unwrap().1 += 1;
    }
}

#[test]
fn a_silenced_turn_begins_no_sound_however_late_its_task_comes() {
    let spoken = || Spoken {
        samples: vec![0.1; 160],
        rate: RATE_OUT,
        lead_silence: Duration::ZERO,
        first_pcm: Mono::from_nanos(1),
        done: Mono::from_nanos(1),
        voice: "voice".into(),
        fallback: false,
        cached: false,
    };
    let player = Counts::default();
    let voice = crate::turn::voice::TurnVoice::new(1);
    voice.silence(&player);
    voice.push(&player, spoken());
    assert_eq!(*player.0.lock().unwrap(), (0, 1));
    assert!(!voice.begun());
}

#[tokio::test(start_paused = true)]
async fn who_asks_before_everything_is_loaded_is_told_so_and_answered_after_it() {
    let mut rig = Rig::new();
    rig.warm.send_replace(false);
    // Longer than any turn may be stuck.
    *rig.fakes.hearing.lock().unwrap() = Duration::from_secs(90);
    rig.question().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.said(), ["One moment, I am just starting up."]);
    assert_eq!(*rig.visible.borrow(), Visible::Thinking);
    let warm = rig.warm.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(79)).await;
        warm.send_replace(true);
    });
    let report = rig.report().await;
    assert_eq!(report.reply, "Il est midi. Bon appétit à tous.");
    let record = report.record.to_json();
    assert_eq!((&record["outcome"], &record["starting"]), (&"answered".into(), &true.into()));
    let waited = report.record.total_perceived_ms.unwrap();
    assert!(waited > 90_000.0, "the line is not the answer's first sound: {waited}");
    assert!(in_order(&report.instants).is_sorted());
    assert_eq!(*rig.visible.borrow(), Visible::Idle);

    rig.question().await;
    assert!(!rig.report().await.record.starting);
    assert_eq!(rig.said().iter().filter(|text| text.starts_with("One moment")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_end_of_the_line_and_a_quick_one_needs_no_line() {
    let mut rig = Rig::new();
    rig.warm.send_replace(false);
    assert_eq!(*rig.visible.borrow(), Visible::Starting);
    rig.question().await;
    rig.report().await;
    assert!(!rig.said().iter().any(|text| text.starts_with("One moment")), "50 ms are no wait");

    *rig.fakes.hearing.lock().unwrap() = Duration::from_millis(600);
    rig.question().await;
    let report = rig.report().await;
    // 34 characters of 60 ms, begun 410 ms after the commit.
    let line = Duration::from_millis(410 + 34 * 60);
    let first = report.instants.first_audible.unwrap().since(report.instants.commit.unwrap());
    assert!(first >= line && first < line + Duration::from_millis(50), "{first:?}");
    assert_eq!(report.heard, "Il est midi. Bon appétit à tous.");
}

#[tokio::test(start_paused = true)]
async fn a_press_stops_the_line_and_the_turn_behind_it() {
    let mut rig = Rig::new();
    rig.warm.send_replace(false);
    *rig.fakes.hearing.lock().unwrap() = Duration::from_secs(20);
    rig.question().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.press().await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Interrupted);
    assert_eq!(*rig.visible.borrow(), Visible::Starting);
    assert_eq!(rig.said().len(), 1);
}
