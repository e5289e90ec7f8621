//! Whole turns on the rig: a plan of questions and pauses, played in real time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pauses::{self, Paused};
use super::{BenchError, Clips, Program, Rest, Rested, Sentence, ears, figures, rest, stops};
use crate::audio::{Clip, Vad};
use crate::claude::ApiKey;
use crate::clock::Mono;
use crate::config::{Config, WakeMode};
use crate::daemon::{REACTION, Rig, RigError, RigOptions, start_vad};
use crate::latency::Outcome;
use crate::sim::{Rng, Sim, SimOptions, Spread};
use crate::turn::{TurnReport, Visible};

/// A finger that goes up at the end of the speech does so this much after it, in ms: drawn evenly.
const RELEASE_MS: (u32, u32) = (0, 20);
/// Kept after a sentence with a pause, besides the pre-roll: its last word must not begin the next turn.
const REST: Duration = Duration::from_millis(200);
/// An answer of the simulated Claude, spoken: for the estimate alone.
const ANSWER: Duration = Duration::from_secs(6);
/// Loading and warming the models, for the estimate alone.
const WARMING: Duration = Duration::from_secs(2);

/// How turns end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The button is held, and released just after the acoustic end.
    Hold,
    /// The button is pressed, endpointing ends the turn.
    Endpoint,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Hold => "hold",
            Mode::Endpoint => "endpoint",
        })
    }
}

/// Who answers.
#[derive(Clone)]
pub enum Answers {
    /// The simulated Claude, started anew for each run; its seed grows by one each time.
    Simulated(Box<SimOptions>),
    /// The real one.
    Live(ApiKey),
}

/// What is to be measured.
pub struct Bench {
    /// The configuration; [`Mode`] sets `wake.mode`.
    pub config: Config,
    /// Who answers.
    pub answers: Answers,
    /// The recordings.
    pub clips: Clips,
    /// Questions of each run, the recordings in turn.
    pub requests: usize,
    /// Sentences with a pause in each run in endpoint mode.
    pub pauses: usize,
    /// Answers that are stopped by the button, in each run.
    pub stops: usize,
    /// Nobody speaks for so long after each question.
    pub between: Duration,
    /// A rest at the end of each run, and turns after it.
    pub rest: Option<Rest>,
    /// Of the pauses and of the finger's delay.
    pub seed: u64,
    /// This program, for what needs a process of its own.
    pub program: Program,
}

/// One question of a run.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Its record and what [`figures::derive`] adds.
    pub record: Map<String, Value>,
    /// The transcript is what the recording says.
    pub word_for_word: bool,
    /// Its request went over a connection that was opened after the wake edge.
    pub opened_in_turn: bool,
    /// That was opened after the end of speech: somebody waited for it.
    pub waited_for_handshake: bool,
}

impl Turn {
    /// `outcome` of the record.
    pub fn outcome(&self) -> &str {
        self.record.get("outcome").and_then(Value::as_str).unwrap_or_default()
    }

    /// The answer was spoken to its end.
    pub fn answered(&self) -> bool {
        self.outcome() == "answered"
    }
}

/// One sentence with a pause. Its answer is stopped as soon as the turn is committed.
#[derive(Clone, Debug)]
pub struct PauseTurn {
    /// Length of the pause.
    pub pause_ms: f64,
    /// Where the speech goes on, after the clip's begin.
    pub resumes_ms: f64,
    /// The turn ended before the speech went on; none where it heard nothing.
    pub cut_off: Option<bool>,
    /// `outcome` of the record.
    pub outcome: String,
}

/// What one run gave.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The questions, in order.
    pub turns: Vec<Turn>,
    /// The pauses, in order.
    pub pauses: Vec<PauseTurn>,
    /// From a press to the last sound, in ms, of each answer that was stopped; none where none was heard.
    pub stops: Vec<Option<f64>>,
    /// The turns after a rest.
    pub rested: Option<Rested>,
    /// Connections opened, the one at the start included.
    pub connections: u64,
}

impl Bench {
    /// About how long [`Bench::run`] takes.
    pub fn estimate(&self, mode: Mode) -> Duration {
        let ending = match mode {
            Mode::Hold => self.config.wake.grace,
            Mode::Endpoint => self.config.endpoint.silence,
        };
        let question = |sentence: &Sentence| super::clips::length(&sentence.sound) + ending + ANSWER;
        let asked = self.questions().map(question).map(|time| time + self.between);
        let more = self.clips.sentences.iter().cycle().take(self.stops + self.rested_turns()).map(question);
        let rests = self.rest.map(|rest| rest.time);
        let questions = asked.chain(more).chain(rests);
        let rest = self.config.capture.preroll + REST;
        let pauses = self.paused(mode, self.seed).map(|paused| paused.length() + ending.max(rest) + rest);
        WARMING + questions.chain(pauses).map(|turn| REACTION + turn).sum::<Duration>()
    }

    /// Questions that reach Claude in one run of a mode, besides the one that warms the cache.
    pub fn questions_sent(&self, mode: Mode) -> usize {
        self.requests + self.stops + self.rested_turns() + self.paused(mode, self.seed).count()
    }

    fn rested_turns(&self) -> usize {
        self.rest.map_or(0, |_| rest::TURNS)
    }

    /// One run: a speaker is started, asked and stopped. `told` is called after each turn.
    ///
    /// # Errors
    /// What keeps the speaker from starting; a turn that fails is a turn.
    pub async fn run(&self, mode: Mode, number: u64, told: &dyn Fn()) -> Result<Run, BenchError> {
        let seed = self.seed.wrapping_add(number);
        let mut rig = self.start(mode, seed).await?;
        let mut run = Run::default();
        let mut rng = Rng::new(seed);
        let mut vad = start_vad(&self.config).await;
        let finger = Spread::between(RELEASE_MS.0, RELEASE_MS.1);
        for sentence in self.questions() {
            let sound = self.sound(mode, sentence, finger.draw(&mut rng), &mut vad)?;
            let report = rig.ask(sound).await?.report;
            run.turns.push(turn(&report, &sentence.text));
            told();
            tokio::time::sleep(self.between).await;
        }
        for sentence in self.clips.sentences.iter().cycle().take(self.stops) {
            let sound = self.sound(mode, sentence, finger.draw(&mut rng), &mut vad)?;
            run.stops.push(stops::stop(&mut rig, mode, sound, &mut rng).await?);
            told();
        }
        for paused in self.paused(mode, seed) {
            run.pauses.push(self.pause(&mut rig, paused).await?);
            told();
        }
        if let Some(rest) = self.rest {
            run.rested = Some(self.rested(&mut rig, mode, rest, &mut vad, told).await?);
        }
        let claude = rig.engines.claude.clone();
        run.connections = claude.connection().opened_total;
        rig.stop().await;
        claude.close().await;
        Ok(run)
    }

    /// The recordings that are asked in each run.
    fn questions(&self) -> impl Iterator<Item = &Sentence> {
        self.clips.sentences.iter().cycle().take(self.requests)
    }

    fn paused(&self, mode: Mode, seed: u64) -> impl Iterator<Item = Paused> {
        let count = if mode == Mode::Endpoint { self.pauses } else { 0 };
        pauses::draw(&self.clips.sentences, count, seed)
    }

    async fn start(&self, mode: Mode, seed: u64) -> Result<Rig, BenchError> {
        let mut config = self.config.clone();
        config.wake.mode = match mode {
            Mode::Hold => WakeMode::Hold,
            Mode::Endpoint => WakeMode::Press,
        };
        let (key, sim) = match &self.answers {
            Answers::Live(key) => (key.clone(), None),
            Answers::Simulated(options) => {
                let sim = Sim::start(SimOptions { seed, ..(**options).clone() }).await?;
                config.claude.base_url = sim.base_url().to_owned();
                config.claude.ca_file = Some(sim.ca().to_owned());
                (ApiKey::new("simulated", "elio bench".to_owned()).map_err(RigError::from)?, Some(sim))
            }
        };
        Ok(Rig::start(&config, RigOptions { key, sound_card: false, sim }).await?)
    }

    /// What is played: in hold mode up to the moment at which the finger goes up, `after` the speech.
    pub(super) fn sound(
        &self,
        mode: Mode,
        sentence: &Sentence,
        after: Duration,
        vad: &mut Vad,
    ) -> Result<Clip, BenchError> {
        match mode {
            Mode::Hold => self.held(sentence, after, vad),
            Mode::Endpoint => Ok(sentence.sound.clone()),
        }
    }

    /// The clip up to the moment at which the finger goes up: the rig releases at a clip's end.
    fn held(&self, sentence: &Sentence, after: Duration, vad: &mut Vad) -> Result<Clip, BenchError> {
        let end =
            ears::hear(&sentence.sound, vad).speech_end(&self.config.endpoint).ok_or_else(|| BenchError::Clips {
                path: sentence.file.clone(),
                fault: "nobody is heard to speak in it; take it off the list, or record it louder".to_owned(),
            })?;
        Ok(ears::until(&sentence.sound, end + after))
    }

    async fn pause(&self, rig: &mut Rig, paused: Paused) -> Result<PauseTurn, BenchError> {
        let (length, resumes, pause) = (paused.length(), paused.resumes, paused.pause);
        rig.press();
        rig.shows(Visible::Listening).await?;
        tokio::time::sleep(REACTION).await;
        let end = rig.say(paused.sound).await;
        rig.leaves(Visible::Listening).await?;
        // The answer would only cost time: in press mode the button stops it.
        rig.press();
        let report = rig.answer().await?.report;
        let resumed = end - length + resumes;
        let heard = report.instants.speech_end.filter(|_| report.instants.commit.is_some());
        let quiet = end + self.config.capture.preroll + REST;
        tokio::time::sleep(quiet.since(Mono::now())).await;
        Ok(PauseTurn {
            pause_ms: pause.as_secs_f64() * 1e3,
            resumes_ms: resumes.as_secs_f64() * 1e3,
            // Not the commit's own instant: one that comes just after the first sound has not heard it either.
            cut_off: heard.map(|speech_end| speech_end < resumed),
            outcome: report.record.outcome.to_string(),
        })
    }
}

fn turn(report: &TurnReport, expected: &str) -> Turn {
    let (at, record) = (&report.instants, &report.record);
    let age = record.connection_age_ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1e3));
    let opened = at.llm_sent.zip(age).map(|(sent, age)| sent - age);
    let after = |from: Option<Mono>| opened.zip(from).is_some_and(|(opened, from)| opened > from);
    Turn {
        record: figures::derive(at, record),
        word_for_word: record.outcome == Outcome::Answered && report.transcript == expected,
        opened_in_turn: after(at.wake),
        waited_for_handshake: after(at.speech_end),
    }
}
