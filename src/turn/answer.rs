//! From the person's words to Elio's sound: ask, split, synthesize, queue. One task for each turn; it decides
//! nothing, it tells the runner what happened and when.
//!
//! Reading Claude's stream and synthesizing run side by side: the first chunk is spoken while Claude still writes, and
//! chunk n+1 is synthesized while n plays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Phrase;
use super::ahead::Ahead;
use super::guess::Meter;
use super::voice::{Player, SpokenFacts, TurnVoice};
use crate::claude::wire::Message;
use crate::claude::{
    AnswerEvent, AnswerHead, AnswerStream, Answerer, ClaudeError, ConnectionUse, Question, StopReason, Usage,
};
use crate::clock::{Clock, Mono};
use crate::config::Language;
use crate::prosody::Prosody;
use crate::stt::{SttError, Transcribe, Transcript};
use crate::tts::{Chunk, Pause, Speak, Splitter, Utterance};

/// So long after Claude's first text the first chunk ends wherever it can: before, only after a word that speech tolerates.
/// At a time to first token of 240 ms, voice and queue leave no more of 300.
const PATIENCE: Duration = Duration::from_millis(25);

/// The engines that a turn goes through.
#[derive(Clone)]
pub struct Stages {
    /// Hearing.
    pub stt: Arc<dyn Transcribe>,
    /// The turn model; none: the words alone say whether the person has finished.
    pub prosody: Option<Arc<dyn Prosody>>,
    /// Claude.
    pub claude: Arc<dyn Answerer>,
    /// The voice.
    pub tts: Arc<dyn Speak>,
    /// The speaker.
    pub player: Arc<dyn Player>,
    /// The clock of every instant.
    pub clock: Arc<dyn Clock>,
    /// False while engines are still being loaded: what is asked of those then waits for them.
    pub warm: watch::Receiver<bool>,
}

/// What happened in a turn's task.
pub(super) enum News {
    /// The transcript.
    Heard(Transcript),
    /// The transcript is empty.
    Nothing(Transcript),
    /// The request has left, and its headers are back.
    Asked(AnswerHead),
    /// Claude's first text; the counts that came before it (all but the output's).
    FirstText { at: Mono, usage: Usage },
    /// Claude's last event.
    Written { at: Mono, usage: Usage },
    /// The first chunk goes to the voice.
    ChunkReady(Mono),
    /// A chunk's sound is queued.
    Spoken { written: String, spoken: SpokenFacts },
    /// All sound is queued.
    Queued,
    /// A stage failed.
    Failed(Failure),
    /// A ready line could not be spoken.
    Voiceless(String),
}

/// What the task needs of its turn.
pub(super) struct Job {
    /// The words, once they are heard.
    pub(super) heard: BoxFuture<'static, Result<Transcript, SttError>>,
    pub(super) history: Vec<Message>,
    /// What the model is told of the moment, for the language that was heard.
    pub(super) context: Arc<dyn Fn(Language) -> String + Send + Sync>,
    pub(super) voice: Arc<TurnVoice>,
    pub(super) meter: Meter,
    pub(super) cancel: CancellationToken,
}

/// Sends news of one task of a turn.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) turn: u64,
    /// The tasks of a turn (guesses, the answer, ready lines) in the order of their begin.
    pub(super) task: u32,
    pub(super) news: UnboundedSender<(u64, u32, News)>,
}

impl Teller {
    fn tell(&self, news: News) {
        // A runner that is gone has no more use for news.
        let _ = self.news.send((self.turn, self.task, news));
    }
}

/// Why an answer ended early.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the record.
    pub(super) kind: String,
    /// For the person.
    pub(super) phrase: Phrase,
    /// For the log.
    pub(super) detail: String,
    /// The API's, of a request that failed.
    pub(super) request_id: Option<String>,
    /// The connection under it.
    pub(super) connection: Option<ConnectionUse>,
}

impl Failure {
    fn new(kind: &str, phrase: Phrase, detail: impl std::fmt::Display) -> Self {
        Failure { kind: kind.to_owned(), phrase, detail: detail.to_string(), request_id: None, connection: None }
    }

    fn of_claude(error: &ClaudeError, after_text: bool) -> Self {
        let phrase = if after_text { Phrase::CutShort } else { Phrase::for_claude(error) };
        let request_id = error.request_id().map(str::to_owned);
        Failure { request_id, connection: error.connection(), ..Failure::new(error.kind(), phrase, error) }
    }
}

/// Runs the turn to its last queued sample, or to its cancellation.
pub(super) async fn answer(job: Job, stages: Stages, teller: Teller) {
    let cancel = job.cancel.clone();
    if let Some(Err(failure)) = cancel.run_until_cancelled(run(job, &stages, &teller)).await {
        teller.tell(News::Failed(failure));
    }
}

async fn run(job: Job, stages: &Stages, teller: &Teller) -> Result<(), Failure> {
    let transcript = job.heard.await.map_err(|error| {
        // Asking again would not help.
        let phrase = if matches!(error, SttError::Gone) { Phrase::Stopped } else { Phrase::HearingFailed };
        Failure::new("stt", phrase, error)
    })?;
    if transcript.text.is_empty() {
        teller.tell(News::Nothing(transcript));
        return Ok(());
    }
    let language = transcript.language;
    let question = Question { text: transcript.text.clone(), history: job.history, context: (job.context)(language) };
    teller.tell(News::Heard(transcript));

    let asked = stages.claude.ask(question, job.cancel.clone()).await;
    let stream = asked.map_err(|error| Failure::of_claude(&error, false))?;
    teller.tell(News::Asked(stream.head().clone()));
    let (chunks, spoken_chunks) = unbounded_channel();
    let ahead = Mutex::new(Ahead::new(stages.tts.pace(language), stages.clock.now()));
    let reading = read(stream, language, chunks, &job.meter, &ahead, stages, teller);
    let speaking = speak(spoken_chunks, language, &job.voice, &job.cancel, &ahead, stages, teller);
    // A voice that fails ends the turn at once, for the person hears nothing more; a stream that fails does not: what
    // was written before is spoken, and the apology comes after it.
    let (read, audible) = tokio::try_join!(async { Ok(reading.await) }, speaking)?;
    read?;
    if audible.is_zero() {
        return Err(Failure::new("empty", Phrase::Failed, "the answer holds nothing that can be spoken"));
    }
    job.voice.finish(&*stages.player);
    teller.tell(News::Queued);
    Ok(())
}

/// Reads Claude's stream into chunks. Where the sound that is ahead would run out before the sentence ends, the chunk
/// does.
async fn read(
    mut stream: Box<dyn AnswerStream>,
    language: Language,
    chunks: UnboundedSender<Chunk>,
    meter: &Meter,
    ahead: &Mutex<Ahead>,
    stages: &Stages,
    teller: &Teller,
) -> Result<(), Failure> {
    let mut splitter = Splitter::new(language).least_first(stages.tts.pace(language).least_first());
    let mut texts = 0;
    let mut ready = 0;
    let mut hand_over = |new: Vec<Chunk>| {
        for chunk in new {
            let now = stages.clock.now();
            if ready == 0 {
                teller.tell(News::ChunkReady(now));
            }
            ready += 1;
            lock(ahead).given(chunk.text.chars().count(), now);
            // The voice has failed and says so itself.
            let _ = chunks.send(chunk);
        }
    };
    let mut likely = None;
    let mut patience: Option<Mono> = None;
    loop {
        let event = {
            let mut next = stream.next();
            loop {
                let due = splitter.waiting().map(|characters| match splitter.at_first() {
                    true => *patience.get_or_insert_with(|| stages.clock.now()),
                    false => lock(ahead).due(characters),
                });
                let wait = due.map(|due| due.since(stages.clock.now()));
                tokio::select! {
                    biased;
                    event = &mut next => break event,
                    () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                        hand_over(splitter.hurry().into_iter().collect());
                    }
                }
            }
        };
        match event {
            Some(AnswerEvent::Text { at, text }) => {
                if texts == 0 {
                    patience = Some(at + PATIENCE);
                    teller.tell(News::FirstText { at, usage: stream.usage() });
                }
                texts += 1;
                meter.text(&text);
                hand_over(splitter.push(&text));
                if splitter.at_first() && splitter.waiting().is_some() && patience.is_some_and(|due| due <= at) {
                    hand_over(splitter.hurry().into_iter().collect());
                }
                // The voice begins with the first chunk while Claude writes the word behind it.
                let next = splitter.likely_first();
                if next.is_some() && next != likely {
                    next.iter().for_each(|text| stages.tts.prepare(text.clone(), language));
                    likely = next;
                }
            }
            Some(AnswerEvent::Done { at, stop, usage, .. }) => {
                meter.counted(usage.output());
                teller.tell(News::Written { at, usage });
                hand_over(splitter.finish());
                if stop == StopReason::Refusal {
                    return Err(Failure::new("refused", Phrase::Refused, "the model refused to answer"));
                }
                return Ok(());
            }
            Some(AnswerEvent::Failed(error)) => {
                hand_over(splitter.finish());
                return Err(Failure::of_claude(&error, texts > 0));
            }
            None => break,
        }
    }
    let phrase = if texts > 0 { Phrase::CutShort } else { Phrase::Failed };
    Err(Failure::new("cut", phrase, "the stream ended without its last event"))
}

/// Synthesizes chunk after chunk and queues them; gives the length of all their sound.
async fn speak(
    mut chunks: UnboundedReceiver<Chunk>,
    language: Language,
    voice: &TurnVoice,
    cancel: &CancellationToken,
    ahead: &Mutex<Ahead>,
    stages: &Stages,
    teller: &Teller,
) -> Result<Duration, Failure> {
    let mut first = true;
    let mut audible = Duration::ZERO;
    while let Some(chunk) = chunks.recv().await {
        let utterance = Utterance { text: chunk.text, language, first, pause: chunk.pause, cancel: cancel.clone() };
        let spoken = stages.tts.speak(utterance).await.map_err(|error| Failure::new("tts", Phrase::Failed, error))?;
        let spoken = voice.push(&*stages.player, spoken);
        first = false;
        audible += spoken.audio;
        lock(ahead).spoken(spoken.audio, stages.tts.pace(language), stages.clock.now());
        teller.tell(News::Spoken { written: chunk.written, spoken });
    }
    Ok(audible)
}

fn lock(ahead: &Mutex<Ahead>) -> MutexGuard<'_, Ahead> {
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says by `line` that Elio is still starting, where the answer by `answer` has no sound yet; that waits until the line
/// has been played and the runner releases it.
pub(super) async fn say_starting(line: Arc<TurnVoice>, answer: Arc<TurnVoice>, utterance: Utterance, stages: Stages) {
    let cancel = utterance.cancel.clone();
    match cancel.run_until_cancelled(stages.tts.speak(utterance)).await {
        Some(Ok(spoken)) if answer.hold() => {
            line.push(&*stages.player, spoken);
            line.finish(&*stages.player);
        }
        // The LED is on, and the answer comes.
        Some(Err(error)) => log::warn!("nothing says that elio is still starting: {error}"),
        Some(Ok(_)) | None => {}
    }
}

/// Speaks a ready line after what is already queued.
pub(super) async fn say(
    phrase: Phrase,
    language: Language,
    voice: Arc<TurnVoice>,
    cancel: CancellationToken,
    stages: Stages,
    teller: Teller,
) {
    let utterance = Utterance {
        text: phrase.text(language).to_owned(),
        language,
        first: !voice.begun(),
        pause: Pause::None,
        cancel: cancel.clone(),
    };
    match cancel.run_until_cancelled(stages.tts.speak(utterance)).await {
        Some(Ok(spoken)) => {
            let spoken = voice.push(&*stages.player, spoken);
            voice.finish(&*stages.player);
            teller.tell(News::Spoken { written: String::new(), spoken });
            teller.tell(News::Queued);
        }
        Some(Err(error)) => teller.tell(News::Voiceless(error.to_string())),
        None => {}
    }
}
