//! What is written down of the running turn: its sound, its instants and facts, and at its end its report.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::answer::News;
use super::guess::Guess;
use super::heard::{SpokenChunk, heard_text};
use super::hearing::TurnHearing;
use super::voice::{Player, TurnVoice};
use crate::audio::Frame;
use crate::claude::{ConnectionUse, Usage};
use crate::clock::Mono;
use crate::config::Language;
use crate::latency::{Facts, Instants, Outcome, Record};

/// Speech within this long after the commit says that the person had not finished.
const CUT_OFF: Duration = Duration::from_millis(1_500);
/// That many frames in a row: a single one is a noise.
const CUT_OFF_FRAMES: u32 = 3;

/// One finished turn.
#[derive(Clone)]
pub struct TurnReport {
    /// Its number since the start.
    pub turn: u64,
    /// The latency record.
    pub record: Record,
    /// The instants that it was derived from.
    pub instants: Instants,
    /// What was said; never logged.
    pub transcript: String,
    /// What Claude wrote, as far as it became sound; never logged.
    pub reply: String,
    /// What of it was heard.
    pub heard: String,
}

/// Shows no word: what was said must not reach a log by a stray `{:?}`.
impl std::fmt::Debug for TurnReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TurnReport");
        shown.field("turn", &self.turn).field("instants", &self.instants).finish_non_exhaustive()
    }
}

/// The playback number of the line that Elio is still starting in a turn: the answer has that of the turn, so that its
/// first audible sample is its own.
const STARTING: u64 = 1 << 63;

/// How far a turn is that began before everything was loaded.
pub(super) enum Starting {
    /// Who waits at this instant is told.
    Due(Mono),
    /// The line's sound.
    Told(Arc<TurnVoice>),
}

/// The running turn.
pub(super) struct Ledger {
    pub(super) turn: u64,
    /// Ends all work of the turn.
    pub(super) cancel: CancellationToken,
    /// Ends the work on the answer, and leaves that on a ready line.
    pub(super) answering: CancellationToken,
    pub(super) voice: Arc<TurnVoice>,
    /// The line that Elio is still starting: due then, or said.
    pub(super) starting: Option<Starting>,
    /// The person's turn, while it is heard.
    pub(super) hearing: Option<TurnHearing>,
    pub(super) language: Language,
    pub(super) instants: Instants,
    pub(super) facts: Facts,
    /// All of the turn's sound has left the speaker, or was dropped.
    pub(super) silent_again: bool,
    /// The answer that is prepared while the person may still go on.
    pub(super) guess: Option<Guess>,
    /// Tasks that were begun for the turn.
    pub(super) tasks: u32,
    /// The task of the answer that counts: news of an earlier one are of a guess that was wrong.
    pub(super) answer: u32,
    transcript: String,
    chunks: Vec<SpokenChunk>,
    heard: Duration,
    speech_after: u32,
}

impl Ledger {
    pub(super) fn new(turn: u64, wake: Mono, language: Language, cancel: CancellationToken, facts: Facts) -> Self {
        Self {
            turn,
            answering: cancel.child_token(),
            cancel,
            voice: Arc::new(TurnVoice::new(turn)),
            starting: None,
            hearing: None,
            language,
            instants: Instants { wake: Some(wake), ..Instants::default() },
            facts,
            silent_again: false,
            guess: None,
            tasks: 0,
            answer: 0,
            transcript: String::new(),
            chunks: Vec::new(),
            heard: Duration::ZERO,
            speech_after: 0,
        }
    }

    /// A frame from after the commit: does the person go on speaking? Once Elio is heard the microphone hears Elio.
    pub(super) fn watch(&mut self, frame: &Frame, threshold: f32) {
        let Some(commit) = self.instants.commit else { return };
        let speaks = self.instants.first_audible.is_some() || self.has_sounded();
        if frame.start < commit || frame.start.since(commit) > CUT_OFF || speaks {
            return;
        }
        self.speech_after = if frame.speech >= threshold { self.speech_after + 1 } else { 0 };
        self.facts.cut_off_suspected |= self.speech_after >= CUT_OFF_FRAMES;
    }

    /// The line that Elio is still starting, where it is due by `now`: a voice of its own.
    pub(super) fn starting_line(&mut self, now: Mono) -> Option<Arc<TurnVoice>> {
        let due = matches!(self.starting, Some(Starting::Due(at)) if at <= now);
        if !due {
            return None;
        }
        let line = Arc::new(TurnVoice::new(STARTING | self.turn));
        self.starting = Some(Starting::Told(line.clone()));
        Some(line)
    }

    /// Sound of it was queued.
    pub(super) fn has_sounded(&self) -> bool {
        self.voice.begun() || matches!(&self.starting, Some(Starting::Told(line)) if line.begun())
    }

    /// Drops the turn's sound, and all that may still come of it.
    pub(super) fn silence(&self, player: &dyn Player) {
        if let Some(Starting::Told(line)) = &self.starting {
            line.silence(player);
        }
        self.voice.silence(player);
    }

    /// Playback `number` has ended: where it was the line that Elio is still starting, the answer may be heard.
    pub(super) fn line_ended(&self, number: u64, player: &dyn Player) {
        if number == STARTING | self.turn {
            self.voice.release(player);
        }
    }

    /// Number of the task that begins now.
    pub(super) fn new_task(&mut self) -> u32 {
        self.tasks += 1;
        self.tasks
    }

    /// The guess was wrong, or nobody waits for it any more: its work ends. Gives the tokens that it cost, input and
    /// output.
    pub(super) fn drop_guess(&mut self) -> u64 {
        let Some(guess) = self.guess.take() else { return 0 };
        guess.cancel.cancel();
        let (input, output) = guess.spent();
        self.facts.speculations += u32::from(guess.asked());
        self.facts.wasted_output_tokens += output;
        input + output
    }

    /// Writes down what the turn's task tells.
    pub(super) fn note(&mut self, news: &News) {
        match news {
            News::Heard(transcript) | News::Nothing(transcript) => {
                self.language = transcript.language;
                self.instants.stt_final = Some(transcript.finished);
                self.facts.stt_compute = Some(transcript.compute);
                self.transcript.clone_from(&transcript.text);
            }
            News::Asked(head) => {
                self.instants.llm_sent = Some(head.sent);
                self.facts.model = Some(head.model.clone());
                self.facts.request_id.clone_from(&head.request_id);
                self.note_connection(head.connection);
            }
            News::FirstText { at, usage } => {
                self.instants.llm_first_text = Some(*at);
                self.note_input(usage);
            }
            News::Written { at, usage } => {
                self.instants.llm_done = Some(*at);
                self.note_input(usage);
                self.facts.output_tokens = Some(usage.output());
            }
            News::ChunkReady(at) => self.instants.chunk_ready = Some(*at),
            News::Spoken { written, spoken } => {
                if self.instants.tts_first_pcm.is_none() {
                    self.instants.tts_first_pcm = Some(spoken.first_pcm);
                    self.facts.tts_lead_silence = Some(spoken.lead_silence);
                    self.facts.voice = Some(spoken.voice.clone());
                    self.facts.tts_cached = spoken.cached;
                }
                self.instants.tts_done = Some(spoken.done);
                self.chunks.push(SpokenChunk { written: written.clone(), audio: spoken.audio });
            }
            News::Failed(failure) => {
                if let Some(id) = &failure.request_id {
                    self.facts.request_id = Some(id.clone());
                }
                if let Some(connection) = failure.connection {
                    self.note_connection(connection);
                }
            }
            News::Queued | News::Voiceless(_) => {}
        }
    }

    fn note_connection(&mut self, connection: ConnectionUse) {
        self.facts.connection_reused = Some(connection.reused);
        self.facts.connection_age = Some(connection.age);
        self.facts.connection_wait = Some(connection.wait);
    }

    fn note_input(&mut self, usage: &Usage) {
        self.facts.input_tokens = Some(usage.input());
        self.facts.cache_read_tokens = Some(usage.cache_read());
        self.facts.cache_write_tokens = Some(usage.cache_write());
    }

    /// The turn's sound ended after `heard` of it; so often the device ran dry, and so often the next sound was late.
    pub(super) fn played(&mut self, at: Mono, heard: Duration, underruns: u32, starved: u32) {
        self.instants.playback_end = Some(at);
        self.heard = heard;
        self.facts.underruns += u64::from(underruns);
        self.facts.starved += u64::from(starved);
        self.silent_again = true;
    }

    /// What was asked and what was heard of the answer, for the conversation's memory.
    pub(super) fn exchange(&self) -> (&str, String) {
        (&self.transcript, heard_text(&self.chunks, self.heard))
    }

    /// The report; words go into the record only when `log_words`.
    pub(super) fn close(self, outcome: Outcome, log_words: bool) -> TurnReport {
        let heard = heard_text(&self.chunks, self.heard);
        let reply = self.chunks.iter().map(|chunk| chunk.written.as_str()).collect::<String>().trim().to_owned();
        let mut facts = self.facts;
        if log_words {
            facts.transcript = Some(self.transcript.clone());
            facts.reply = Some(heard.clone());
        }
        let record = Record::derive(&self.instants, facts, outcome);
        TurnReport { turn: self.turn, record, instants: self.instants, transcript: self.transcript, reply, heard }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phrase;
    use super::super::answer::Failure;
    use super::*;

    #[test]
    fn a_request_that_failed_leaves_its_connection_and_its_id() {
        let cancel = CancellationToken::new();
        let mut ledger = Ledger::new(1, Mono::from_nanos(0), Language::En, cancel, Facts::default());
        let failure = |connection| Failure {
            kind: "cut".to_owned(),
            phrase: Phrase::Failed,
            detail: String::new(),
            request_id: Some("req_1".to_owned()),
            connection,
        };
        let used = ConnectionUse { reused: true, age: Duration::from_secs(9), ..ConnectionUse::default() };
        ledger.note(&News::Failed(failure(Some(used))));
        // A later failure of the same turn (the voice's, say) knows of no connection and takes nothing back.
        ledger.note(&News::Failed(failure(None)));
        let record = ledger.close(Outcome::Failed("cut".to_owned()), false).record;
        assert_eq!(record.request_id.as_deref(), Some("req_1"));
        let connection = (record.connection_reused, record.connection_age_ms, record.connection_wait_ms);
        assert_eq!(connection, (Some(true), Some(9000.0), Some(0.0)));
    }
}
