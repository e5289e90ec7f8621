//! The sound's veto: words that seem to be all are not believed at once where the turn model hears that the speaker goes
//! on. It is asked once in each pause, behind nobody's back: whoever would not wait for it decides by the words.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Finished;
use crate::prosody::{AFTER, Prosody, ProsodyError, REACH};

/// What the turn model says of a turn's pauses.
pub(super) struct Veto {
    model: Arc<dyn Prosody>,
    /// Up to this probability of the end the speaker goes on.
    threshold: f32,
    /// The turn's newest sound.
    sound: VecDeque<f32>,
    pause: Pause,
}

enum Pause {
    /// None yet, or too short.
    Short,
    Asked(BoxFuture<'static, Result<f32, ProsodyError>>),
    Told {
        goes_on: bool,
    },
}

impl Veto {
    pub(super) fn new(model: Arc<dyn Prosody>, threshold: f32) -> Self {
        Self { model, threshold, sound: VecDeque::new(), pause: Pause::Short }
    }

    /// The turn's next sound.
    pub(super) fn push(&mut self, sound: &[f32]) {
        self.sound.extend(sound);
        let surplus = self.sound.len().saturating_sub(REACH);
        self.sound.drain(..surplus);
    }

    /// So long a silence came last. Speech that returns takes back what was said of the pause before it.
    pub(super) fn silence(&mut self, silence: Duration) {
        if silence < AFTER {
            self.pause = Pause::Short;
        } else if let Pause::Short = self.pause {
            self.pause = Pause::Asked(self.model.finished(self.sound.iter().copied().collect()));
        }
    }

    /// How finished words sound that seem to be so finished.
    pub(super) fn weigh(&mut self, words: Finished) -> Finished {
        if let Pause::Asked(answer) = &mut self.pause
            && let Some(answer) = answer.now_or_never()
        {
            let goes_on = match answer {
                Ok(probability) => {
                    log::debug!("turn model: finished with {probability:.2}");
                    probability <= self.threshold
                }
                Err(error) => {
                    log::warn!("{error}");
                    false
                }
            };
            self.pause = Pause::Told { goes_on };
        }
        match self.pause {
            Pause::Told { goes_on: true } if words == Finished::Sentence => Finished::Unsure,
            _ => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;

    const MS: usize = 16;
    const PAUSE: Duration = AFTER;
    const SPEECH: Duration = Duration::ZERO;
    type Reply = oneshot::Sender<Result<f32, ProsodyError>>;

    /// Keeps what it is asked; the test answers when it likes.
    #[derive(Default)]
    struct Fake(Mutex<Vec<(Vec<f32>, Reply)>>);

    impl Prosody for Fake {
        fn finished(&self, sound: Vec<f32>) -> BoxFuture<'static, Result<f32, ProsodyError>> {
            let (reply, answer) = oneshot::channel();
            self.0.lock().unwrap().push((sound, reply));
            Box::pin(async move { answer.await.unwrap_or(Err(ProsodyError::Gone)) })
        }
    }

    impl Fake {
        fn asked(&self) -> Option<(Vec<f32>, Reply)> {
            self.0.lock().unwrap().pop()
        }
    }

    fn veto() -> (Arc<Fake>, Veto) {
        let fake = Arc::new(Fake::default());
        (fake.clone(), Veto::new(fake, 0.5))
    }

    #[test]
    fn it_is_asked_once_in_a_pause_and_its_doubt_holds_until_somebody_speaks() {
        let (fake, mut veto) = veto();
        veto.push(&[0.5; 9_000 * MS]);
        veto.silence(Duration::from_millis(184));
        assert!(fake.asked().is_none(), "too early");
        veto.push(&[0.0; 16 * MS]);
        veto.silence(PAUSE);
        let (sound, reply) = fake.asked().unwrap();
        assert_eq!((sound.len(), sound[0], sound[sound.len() - 1]), (8_000 * MS, 0.5, 0.0));
        assert_eq!(veto.weigh(Finished::Sentence), Finished::Sentence, "not heard yet");
        reply.send(Ok(0.5)).unwrap();
        assert_eq!(veto.weigh(Finished::Sentence), Finished::Unsure);
        veto.silence(Duration::from_millis(600));
        assert!(fake.asked().is_none(), "once");
        assert_eq!(veto.weigh(Finished::Sentence), Finished::Unsure);
        veto.silence(SPEECH);
        assert_eq!(veto.weigh(Finished::Sentence), Finished::Sentence);
        veto.silence(PAUSE);
        assert!(fake.asked().is_some(), "the next pause");
    }

    #[test]
    fn it_only_ever_makes_a_sentence_unsure() {
        use Finished::{Open, Sentence, Unsure};
        for (probability, want) in [(0.0, [Unsure, Unsure, Open]), (0.51, [Sentence, Unsure, Open])] {
            let (fake, mut veto) = veto();
            veto.silence(PAUSE);
            fake.asked().unwrap().1.send(Ok(probability)).unwrap();
            assert_eq!([Sentence, Unsure, Open].map(|words| veto.weigh(words)), want);
        }
    }

    #[test]
    fn a_model_that_fails_leaves_it_to_the_words_and_speech_drops_its_work() {
        let (fake, mut veto) = veto();
        veto.silence(PAUSE);
        fake.asked().unwrap().1.send(Err(ProsodyError::Gone)).unwrap();
        assert_eq!(veto.weigh(Finished::Sentence), Finished::Sentence);
        veto.silence(SPEECH);
        veto.silence(PAUSE);
        let (_, reply) = fake.asked().unwrap();
        assert!(!reply.is_closed());
        veto.silence(Duration::from_millis(16));
        assert!(reply.is_closed());
    }
}
