//! A turn's beginnings: the person is heard, an answer is prepared in a pause, taken back or committed, a ready line is
//! said.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::Runner;
use crate::audio::Frame;
use crate::clock::Mono;
use crate::config::WakeMode;
use crate::stt::{Listener, SttError, Transcript};
use crate::tts::{Pause, Utterance};
use crate::turn::answer::{self, Job, Teller};
use crate::turn::guess::{Guess, Meter};
use crate::turn::hearing::TurnHearing;
use crate::turn::ledger::{Ledger, Starting};
use crate::turn::veto::Veto;
use crate::turn::voice::TurnVoice;
use crate::turn::{EndedBy, Endpointer, Finished, Hearing, Input, Phrase, Rules};

/// Who has finished and waits for the engines is told so after this long: an answer that comes sooner needs no excuse.
const PATIENCE: Duration = Duration::from_millis(400);

impl Runner {
    pub(super) fn listen(&mut self, turn: u64, wake: Mono) {
        // Frames from before the wake edge belong to the turn: nobody waits for a button before the first word. Those
        // from after it have been read already where the edge came late.
        let since = self.silent_since.max(wake - self.settings.preroll);
        let frames: Vec<Frame> = self.preroll.since(since).cloned().collect();
        let (stt, tasks) = (self.stages.stt.clone(), self.tasks.clone());
        let Rules { mode, endpoint, .. } = &self.settings.rules;
        let held = *mode == WakeMode::Hold;
        // In hold mode the button says when the person has finished.
        let model = self.stages.prosody.clone().filter(|_| !held);
        let veto = model.map(|model| Veto::new(model, endpoint.turn_threshold));
        let ledger = self.open(turn, wake);
        let listener = Listener::start(stt, &ledger.cancel, &tasks);
        let listener = if held { listener.without_beat() } else { listener };
        ledger.hearing = Some(TurnHearing::new(listener, veto));
        frames.iter().for_each(|frame| self.hear(frame));
    }

    /// A frame of the person's turn, if one is being heard.
    pub(super) fn hear(&mut self, frame: &Frame) {
        if self.machine.ears().is_none() {
            return;
        }
        let finished = self.hearing().and_then(|hearing| {
            hearing.push(frame);
            hearing.finished()
        });
        self.step(Input::Frame { heard: Hearing::from(frame), finished });
        let speech_end = self.machine.ears().and_then(Endpointer::speech_end);
        if let Some(hearing) = self.hearing().filter(|_| speech_end.is_some()) {
            hearing.spoken(speech_end);
        }
    }

    /// The button was let go: the person's turn ends soon.
    pub(super) fn hurry(&mut self) {
        if let Some(hearing) = self.hearing() {
            hearing.hurry();
        }
    }

    fn hearing(&mut self) -> Option<&mut TurnHearing> {
        self.current.as_mut()?.hearing.as_mut()
    }

    pub(super) fn commit(&mut self, turn: u64, by: EndedBy) {
        let now = self.now();
        let ears = self.machine.committed();
        let (speech_start, speech_end) = ears.map_or((None, None), |ears| (ears.speech_start(), ears.speech_end()));
        let finished = ears.and_then(Endpointer::finished).filter(|_| by == EndedBy::Endpoint);
        let Some(ledger) = self.current.as_mut() else { return };
        ledger.facts.source = by.as_str().to_owned();
        ledger.facts.words_end = finished.map(Finished::as_str);
        ledger.instants.commit = Some(now);
        ledger.instants.speech_start = speech_start;
        ledger.instants.speech_end = speech_end;
        if ledger.facts.starting {
            ledger.starting = Some(Starting::Due(now + PATIENCE));
        }
        let hearing = ledger.hearing.take();
        if let Some(guess) = ledger.guess.take() {
            ledger.facts.speculations += u32::from(guess.asked());
            ledger.answer = guess.task;
            ledger.answering = guess.cancel;
            ledger.voice = guess.voice;
            ledger.voice.release(&*self.stages.player);
            guess.news.into_iter().for_each(|news| self.note(turn, news));
            return;
        }
        let (voice, cancel) = (ledger.voice.clone(), ledger.answering.clone());
        let Some(heard) = hearing.map(|hearing| hearing.last_words(speech_end)) else { return };
        let task = self.answer(heard.boxed(), voice, Meter::default(), cancel);
        if let Some((task, ledger)) = task.zip(self.current.as_mut()) {
            ledger.answer = task;
        }
    }

    /// The person may have finished.
    pub(super) fn guess(&mut self, turn: u64) {
        if !self.prepare(turn) {
            // The commit waits for nothing.
            self.step(Input::Prepared);
        }
    }

    /// Begins to prepare the answer, where today's budget allows it.
    fn prepare(&mut self, turn: u64) -> bool {
        let now = self.now();
        if !self.budget.allows(now, self.settings.rules.speculation.daily_tokens) {
            return false;
        }
        let speech_end = self.machine.ears().and_then(|ears| ears.speech_end());
        let Some(heard) = self.hearing().map(|hearing| hearing.words(speech_end)) else { return false };
        let Some(cancel) = self.current.as_ref().map(|ledger| ledger.cancel.child_token()) else { return false };
        let (voice, meter) = (Arc::new(TurnVoice::held(turn)), Meter::default());
        let task = self.answer(heard.boxed(), voice.clone(), meter.clone(), cancel.clone());
        let Some((task, ledger)) = task.zip(self.current.as_mut()) else { return false };
        ledger.guess = Some(Guess { task, cancel, voice, meter, news: Vec::new() });
        true
    }

    /// The guess was wrong.
    pub(super) fn retract(&mut self) {
        let now = self.now();
        if let Some(hearing) = self.hearing() {
            hearing.go_on();
        }
        let wasted = self.current.as_mut().map_or(0, Ledger::drop_guess);
        self.budget.waste(now, wasted, self.settings.rules.speculation.daily_tokens);
    }

    /// Begins the answer to the words that `heard` gives; gives its task.
    fn answer(
        &mut self,
        heard: BoxFuture<'static, Result<Transcript, SttError>>,
        voice: Arc<TurnVoice>,
        meter: Meter,
        cancel: CancellationToken,
    ) -> Option<u32> {
        let history = self.memory.messages(self.now());
        let ledger = self.current.as_mut()?;
        let context = self.settings.context.clone();
        let task = ledger.new_task();
        let job = Job { heard, history, context, voice, meter, cancel };
        let teller = Teller { turn: ledger.turn, task, news: self.news.clone() };
        self.tasks.spawn(answer::answer(job, self.stages.clone(), teller));
        Some(task)
    }

    /// Tells the person that Elio is still starting, where that is so and due.
    pub(super) fn say_starting(&mut self) {
        let (now, starting) = (self.now(), self.starting());
        let Some(ledger) = self.current.as_mut() else { return };
        let waits = starting && !ledger.voice.begun();
        let Some(line) = ledger.starting_line(now).filter(|_| waits) else { return };
        let (text, language) = (Phrase::Starting.text(ledger.language).to_owned(), ledger.language);
        let cancel = ledger.answering.clone();
        let utterance = Utterance { text, language, first: true, pause: Pause::None, cancel };
        let answer = ledger.voice.clone();
        self.tasks.spawn(answer::say_starting(line, answer, utterance, self.stages.clone()));
    }

    pub(super) fn say(&mut self, turn: u64, phrase: Phrase) {
        if self.current.as_ref().is_none_or(|ledger| ledger.turn != turn) {
            let now = self.now();
            self.open(turn, now);
        }
        self.retract();
        let Some(ledger) = self.current.as_mut() else { return };
        let task = ledger.new_task();
        if ledger.answer == 0 {
            ledger.answer = task;
        }
        let teller = Teller { turn, task, news: self.news.clone() };
        ledger.answering.cancel();
        let (language, voice, cancel) = (ledger.language, ledger.voice.clone(), ledger.cancel.clone());
        self.tasks.spawn(answer::say(phrase, language, voice, cancel, self.stages.clone(), teller));
    }
}
