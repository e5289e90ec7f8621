//! Hearing a turn while it is spoken: sound goes in as it comes, partial texts come out, and at the end there is mostly
//! nothing left to do.
//!
//! The decoder could be spared some steps by checking the former run's tokens in one batch, but whisper-rs gives the
//! logits of a batch's first row alone, and most of a run is the encoder's work, which nothing of a former run helps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::partials::Hearing;
use super::{Partial, SttError, Transcribe, Transcript};

/// Hears one turn. All its work ends with it and with the last of the texts that were asked of it.
pub struct Listener {
    shared: Arc<Shared>,
    work: Arc<DropGuard>,
}

struct Shared {
    stt: Arc<dyn Transcribe>,
    hearing: Mutex<Hearing>,
    partials: watch::Sender<Option<Partial>>,
    /// A run is due.
    due: Notify,
    /// A run has ended.
    ended: watch::Sender<()>,
    /// Ends all work of this turn.
    cancel: CancellationToken,
}

impl Listener {
    /// Begins a turn. `cancel` ends all its work; the task that hears it is of `tasks` and ends with the turn.
    /// Called in a tokio runtime.
    pub fn start(stt: Arc<dyn Transcribe>, cancel: &CancellationToken, tasks: &TaskTracker) -> Listener {
        let cancel = cancel.child_token();
        let shared = Arc::new(Shared {
            hearing: Mutex::new(Hearing::new(stt.partials())),
            stt,
            partials: watch::channel(None).0,
            due: Notify::new(),
            ended: watch::channel(()).0,
            cancel: cancel.clone(),
        });
        tasks.spawn(work(shared.clone()));
        Listener { shared, work: Arc::new(cancel.drop_guard()) }
    }

    /// Hears in silences and at the end alone: for a turn whose end no partial decides, where a run of the beat would only
    /// be in the way of the last one.
    pub fn without_beat(self) -> Listener {
        self.shared.hearing().without_beat();
        self
    }

    /// Takes the turn's next sound: mono, 16 kHz, full scale 1.
    pub fn push(&self, samples: &[f32]) {
        self.shared.change(|hearing| hearing.push(samples));
    }

    /// Tells the acoustic end as it is known by now, in samples from the turn's first; 0 while nobody has spoken.
    pub fn spoken(&self, spoken: usize) {
        self.shared.change(|hearing| hearing.spoken(spoken));
    }

    /// The turn will end soon (the button was let go): on a slow machine too the first 80 ms of silence are heard as its
    /// end.
    pub fn hurry(&self) {
        self.shared.change(Hearing::hurry);
    }

    /// Nobody waits any more for a text that was asked for: its run makes way like any other.
    pub fn go_on(&self) {
        self.shared.change(Hearing::go_on);
    }

    /// What was heard so far, newest only.
    pub fn partials(&self) -> watch::Receiver<Option<Partial>> {
        self.shared.partials.subscribe()
    }

    /// The newest partial, where it was made of all that has been said.
    pub fn settled(&self) -> Option<Partial> {
        self.shared.hearing().settled().cloned()
    }

    /// The text of the turn's first `cut` samples, whose acoustic end is at `spoken` (0: nobody spoke). It comes
    ///
    /// * at once from the newest partial, where only silence came after it,
    /// * else from the run on its way, if that covers all that was said,
    /// * else from a run on the clip; one that is on its way is stopped for it at its next step.
    ///
    /// The call decides, not the first poll. Whatever a run gives is there for the next call too.
    pub fn hear(&self, spoken: usize, cut: usize) -> impl Future<Output = Result<Transcript, SttError>> + Send + use<> {
        let (shared, work) = (self.shared.clone(), self.work.clone());
        let mut ended = shared.ended.subscribe();
        // What comes later is not asked for.
        let cut = shared.hearing().ask(cut);
        let mut answer = shared.answer(spoken, cut);
        async move {
            let _work = work;
            loop {
                if let Some(answer) = answer {
                    return answer;
                }
                tokio::select! {
                    biased;
                    _ = ended.changed() => answer = shared.answer(spoken, cut),
                    () = shared.cancel.cancelled() => return Err(SttError::Cancelled),
                }
            }
        }
    }

    /// The turn is over: [`hear`](Listener::hear), and no other run begins.
    pub fn finish(
        self,
        spoken: usize,
        cut: usize,
    ) -> impl Future<Output = Result<Transcript, SttError>> + Send + use<> {
        self.shared.hearing().close();
        self.hear(spoken, cut)
    }
}

impl Shared {
    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, spoken: usize, cut: usize) -> Option<Result<Transcript, SttError>> {
        let mut hearing = self.hearing();
        let answer = hearing.answer(spoken, cut);
        if hearing.due() {
            self.due.notify_one();
        }
        answer
    }

    fn change(&self, change: impl FnOnce(&mut Hearing)) {
        let mut hearing = self.hearing();
        change(&mut hearing);
        hearing.make_way();
        if hearing.due() {
            self.due.notify_one();
        }
    }
}

/// One run after another, while some are due. The next one waits for the last: two are never queued.
async fn work(shared: Arc<Shared>) {
    loop {
        let run = shared.hearing().begin(&shared.cancel);
        let Some((clip, cancel)) = run else {
            tokio::select! {
                biased;
                () = shared.cancel.cancelled() => return,
                () = shared.due.notified() => continue,
            }
        };
        let answer = shared.stt.transcribe(clip, cancel).await;
        let partial = shared.hearing().heard(answer).cloned();
        if partial.is_some() {
            shared.partials.send_replace(partial);
        }
        shared.ended.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::clock::Mono;
    use crate::config::Language;
    use crate::stt::{Clip, Partials};

    const MS: usize = 16;
    type Reply = oneshot::Sender<Result<Transcript, SttError>>;

    /// Hands each clip to the test, which answers when it likes.
    struct Fake(mpsc::UnboundedSender<(Clip, CancellationToken, Reply)>);

    impl Transcribe for Fake {
        fn transcribe(
            &self,
            clip: Clip,
            cancel: CancellationToken,
        ) -> BoxFuture<'static, Result<Transcript, SttError>> {
            let (reply, answer) = oneshot::channel();
            self.0.send((clip, cancel.clone(), reply)).unwrap();
            Box::pin(async move {
                tokio::select! {
                    biased;
                    answer = answer => answer.unwrap_or(Err(SttError::Gone)),
                    () = cancel.cancelled() => Err(SttError::Cancelled),
                }
            })
        }

        fn name(&self) -> &str {
            "fake"
        }

        fn partials(&self) -> Partials {
            Partials::Steady(Duration::from_millis(300))
        }
    }

    struct Turn {
        listener: Listener,
        asked: mpsc::UnboundedReceiver<(Clip, CancellationToken, Reply)>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    }

    fn turn() -> Turn {
        let (tell, asked) = mpsc::unbounded_channel();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let listener = Listener::start(Arc::new(Fake(tell)), &cancel, &tasks);
        Turn { listener, asked, tasks, cancel }
    }

    fn said(text: &str) -> Result<Transcript, SttError> {
        Ok(Transcript {
            text: text.into(),
            language: Language::Fr,
            compute: Duration::from_millis(30),
            audio: Duration::ZERO,
            audio_ctx: 112,
            finished: Mono::from_nanos(1),
        })
    }

    fn hum(ms: usize) -> Vec<f32> {
        (0..ms * MS).map(|n| ((n % 80) as f32 / 80.0 - 0.5) * 0.4).collect()
    }

    /// Says 600 ms and is silent for 100 ms: a run on all of it is due.
    fn speak(listener: &Listener) -> usize {
        listener.push(&vec![0.0; 400 * MS]);
        listener.push(&hum(600));
        listener.spoken(1_000 * MS);
        listener.push(&vec![0.0; 100 * MS]);
        1_000 * MS
    }

    #[tokio::test]
    async fn what_was_heard_in_the_silence_is_the_answer_at_once() {
        let Turn { listener, mut asked, tasks, .. } = turn();
        let mut partials = listener.partials();
        let spoken = speak(&listener);
        let (clip, _, reply) = asked.recv().await.unwrap();
        assert_eq!(clip.samples.len(), 1_100 * MS);
        assert_eq!(listener.settled(), None);
        reply.send(said("quelle heure est-il")).unwrap();
        partials.changed().await.unwrap();
        let partial = partials.borrow_and_update().clone().unwrap();
        assert_eq!((partial.covers, partial.spoken, partial.stable_words), (1_100 * MS, spoken, 0));
        assert_eq!(listener.settled(), Some(partial));
        listener.push(&vec![0.0; 600 * MS]);
        // Ready at its first poll, without a task of the runtime in between.
        let heard = listener.finish(spoken, spoken + 240 * MS).now_or_never().unwrap().unwrap();
        assert_eq!((heard.text.as_str(), heard.audio), ("quelle heure est-il", Duration::from_millis(1_240)));
        assert!(asked.try_recv().is_err(), "nothing else was heard");
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn the_end_waits_for_the_run_that_covers_it() {
        let Turn { listener, mut asked, .. } = turn();
        let spoken = speak(&listener);
        let (_, _, reply) = asked.recv().await.unwrap();
        let mut answer = std::pin::pin!(listener.finish(spoken, spoken + 240 * MS));
        assert!(answer.as_mut().now_or_never().is_none());
        reply.send(said("merci")).unwrap();
        assert_eq!(answer.await.unwrap().text, "merci");
        assert!(asked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_run_that_cannot_serve_is_stopped_for_the_one_that_does() {
        let Turn { listener, mut asked, .. } = turn();
        speak(&listener);
        let (_, stopped, _reply) = asked.recv().await.unwrap();
        listener.push(&hum(200));
        let answer = listener.finish(1_300 * MS, 1_300 * MS);
        assert!(stopped.is_cancelled());
        let (clip, cancel, reply) = asked.recv().await.unwrap();
        assert_eq!((clip.samples.len(), cancel.is_cancelled()), (1_300 * MS, false));
        reply.send(said("all")).unwrap();
        assert_eq!(answer.await.unwrap().text, "all");
    }

    #[tokio::test]
    async fn a_partial_that_fails_leaves_the_whole_clip_to_whoever_asks() {
        let fail = || Err(SttError::Inference("no memory".into()));
        let Turn { listener, mut asked, .. } = turn();
        let spoken = speak(&listener);
        let (.., reply) = asked.recv().await.unwrap();
        reply.send(fail()).unwrap();
        // Nobody waits for that run by then.
        tokio::task::yield_now().await;
        let answer = tokio::spawn(listener.hear(spoken, spoken + 50 * MS));
        let (clip, _, reply) = asked.recv().await.unwrap();
        assert_eq!(clip.samples.len(), 1_050 * MS);
        reply.send(fail()).unwrap();
        assert!(matches!(answer.await.unwrap(), Err(SttError::Inference(_))), "nothing is left to try");
        let answer = tokio::spawn(listener.finish(spoken, spoken + 50 * MS));
        let (.., reply) = asked.recv().await.unwrap();
        reply.send(said("all")).unwrap();
        assert_eq!(answer.await.unwrap().unwrap().text, "all", "the next one tries again");
    }

    #[tokio::test]
    async fn a_text_that_was_asked_for_early_is_there_at_the_end() {
        let Turn { listener, mut asked, tasks, .. } = turn();
        listener.push(&vec![0.0; 400 * MS]);
        listener.push(&hum(200));
        listener.spoken(600 * MS);
        listener.push(&vec![0.0; 10 * MS]);
        // The button was let go: the words are wanted now.
        let early = listener.hear(600 * MS, 610 * MS);
        let (clip, wanted, reply) = asked.recv().await.unwrap();
        assert_eq!(clip.samples.len(), 610 * MS);
        listener.push(&vec![0.0; 110 * MS]);
        listener.spoken(600 * MS);
        assert!(!wanted.is_cancelled(), "the silence after it does not stop it");
        // The end of the turn does not take it from whoever waits for it.
        reply.send(said("merci")).unwrap();
        drop(listener);
        assert_eq!(early.await.unwrap().text, "merci");
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_ends_all_its_work() {
        let Turn { listener, mut asked, tasks, cancel } = turn();
        let spoken = speak(&listener);
        let (_, first, _reply) = asked.recv().await.unwrap();
        let answer = listener.finish(spoken, spoken + 240 * MS);
        cancel.cancel();
        assert!(matches!(answer.await, Err(SttError::Cancelled)));
        assert!(first.is_cancelled());
        tasks.close();
        tasks.wait().await;

        for finish in [false, true] {
            let Turn { listener, mut asked, tasks, .. } = turn();
            let spoken = speak(&listener);
            let (_, first, _reply) = asked.recv().await.unwrap();
            if finish {
                drop(listener.finish(spoken, spoken + 240 * MS))
            } else {
                drop(listener)
            }
            assert!(first.is_cancelled());
            tasks.close();
            tasks.wait().await;
        }
    }
}
