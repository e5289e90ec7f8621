//! Engines that may not be there yet: the daemon serves before its models are loaded, and a turn that needs one of them
//! waits for it.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Language, TtsSettings};
use crate::prosody::{Prosody, ProsodyError};
use crate::stt::{Clip, Partials, SttError, Transcribe, Transcript};
use crate::tts::{KeptLines, Pace, Pause, Speak, Spoken, TtsError, Utterance, espeak_line};
use crate::turn::Phrase;

/// Where an engine is put once it is warm. Dropped without one: it never comes.
pub(super) struct Slot<T: ?Sized>(watch::Sender<Option<Arc<T>>>);

/// An engine that may come.
pub(super) struct Late<T: ?Sized>(watch::Receiver<Option<Arc<T>>>);

/// A place for an engine, and the engine as a turn sees it.
pub(super) fn late<T: ?Sized>() -> (Slot<T>, Late<T>) {
    let (slot, engine) = watch::channel(None);
    (Slot(slot), Late(engine))
}

impl<T: ?Sized> Slot<T> {
    /// It is warm.
    pub(super) fn fill(&self, engine: Arc<T>) {
        self.0.send_replace(Some(engine));
    }
}

impl<T: ?Sized> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Late<T> {
    fn now(&self) -> Option<Arc<T>> {
        self.0.borrow().clone()
    }

    /// Waits for it; none: it never comes.
    async fn come(mut self) -> Option<Arc<T>> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Hearing.
pub(super) struct LateEar {
    engine: Late<dyn Transcribe>,
    name: String,
}

impl LateEar {
    /// `name`: the model's.
    pub(super) fn new(engine: Late<dyn Transcribe>, name: &str) -> Self {
        Self { engine, name: name.to_owned() }
    }
}

impl Transcribe for LateEar {
    fn transcribe(&self, clip: Clip, cancel: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>> {
        if let Some(engine) = self.engine.now() {
            return engine.transcribe(clip, cancel);
        }
        let engine = self.engine.clone();
        Box::pin(async move {
            match cancel.run_until_cancelled(engine.come()).await {
                Some(Some(engine)) => engine.transcribe(clip, cancel).await,
                Some(None) => Err(SttError::Gone),
                None => Err(SttError::Cancelled),
            }
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn partials(&self) -> Partials {
        // A turn that begins before it is known is heard when it is over.
        self.engine.now().map_or(Partials::Off, |engine| engine.partials())
    }
}

impl Prosody for Late<dyn Prosody> {
    fn finished(&self, sound: Vec<f32>) -> BoxFuture<'static, Result<f32, ProsodyError>> {
        // No turn waits for its verdict, so it is not asked later either.
        self.now().map_or_else(|| Box::pin(std::future::pending()) as _, |engine| engine.finished(sound))
    }
}

/// The voices. Until they are there, the lines that Elio says of its own come from the disk, or by espeak-ng.
pub(super) struct LateVoice {
    engine: Late<dyn Speak>,
    lines: HashSet<(Language, String)>,
    kept: Arc<KeptLines>,
    settings: TtsSettings,
}

impl LateVoice {
    pub(super) fn new(engine: Late<dyn Speak>, kept: Arc<KeptLines>, settings: TtsSettings) -> Self {
        Self { engine, lines: Phrase::lines().into_iter().collect(), kept, settings }
    }
}

impl Speak for LateVoice {
    fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>> {
        if let Some(engine) = self.engine.now() {
            return engine.speak(utterance);
        }
        let engine = self.engine.clone();
        let line = utterance.pause == Pause::None && self.lines.contains(&(utterance.language, utterance.text.clone()));
        let (kept, settings) = (self.kept.clone(), self.settings.clone());
        Box::pin(async move {
            if line {
                let (language, text) = (utterance.language, utterance.text.clone());
                let found = tokio::task::spawn_blocking(move || {
                    kept.find(language, &text).or_else(|| espeak_line(&settings, language, &text).ok())
                });
                // Neither is there: the voice says it when it is.
                if let Some(spoken) = found.await.unwrap_or_default() {
                    return if utterance.cancel.is_cancelled() { Err(TtsError::Cancelled) } else { Ok(spoken) };
                }
            }
            match utterance.cancel.run_until_cancelled(engine.come()).await {
                Some(Some(engine)) => engine.speak(utterance).await,
                Some(None) => Err(TtsError::Gone),
                None => Err(TtsError::Cancelled),
            }
        })
    }

    fn prepare(&self, text: String, language: Language) {
        if let Some(engine) = self.engine.now() {
            engine.prepare(text, language);
        }
    }

    fn touch(&self) {
        if let Some(engine) = self.engine.now() {
            engine.touch();
        }
    }

    fn pace(&self, language: Language) -> Pace {
        self.engine.now().map_or_else(Pace::default, |engine| engine.pace(language))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Mono;
    use crate::config::Config;

    struct Ear;

    impl Transcribe for Ear {
        fn transcribe(&self, clip: Clip, _: CancellationToken) -> BoxFuture<'static, Result<Transcript, SttError>> {
            let (text, finished) = (format!("{} samples", clip.samples.len()), Mono::from_nanos(1));
            let (language, audio, compute) = (Language::Fr, Duration::ZERO, Duration::ZERO);
            Box::pin(async move { Ok(Transcript { text, language, compute, audio, audio_ctx: 0, finished }) })
        }

        fn name(&self) -> &str {
            "ear"
        }

        fn partials(&self) -> Partials {
            Partials::Pauses
        }
    }

    struct Mouth;

    impl Speak for Mouth {
        fn speak(&self, utterance: Utterance) -> BoxFuture<'static, Result<Spoken, TtsError>> {
            Box::pin(async move { Ok(spoken(&utterance.text)) })
        }
    }

    fn spoken(voice: &str) -> Spoken {
        let then = Mono::from_nanos(1);
        Spoken {
            samples: vec![0.1; 100],
            rate: 16_000,
            lead_silence: Duration::ZERO,
            first_pcm: then,
            done: then,
            voice: voice.to_owned(),
            fallback: false,
            cached: false,
        }
    }

    fn clip() -> Clip {
        Clip { samples: vec![0.0; 7], language: None }
    }

    fn utterance(text: &str, cancel: &CancellationToken) -> Utterance {
        Utterance { text: text.into(), language: Language::En, first: true, pause: Pause::None, cancel: cancel.clone() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_before_an_engine_is_there_is_answered_when_it_is() {
        let (slot, engine) = late();
        let ear = LateEar::new(engine, "whisper");
        assert_eq!((ear.name(), ear.partials()), ("whisper", Partials::Off));
        let early = tokio::spawn(ear.transcribe(clip(), CancellationToken::new()));
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(!early.is_finished());
        slot.fill(Arc::new(Ear));
        assert_eq!(early.await.unwrap().unwrap().text, "7 samples");
        drop(slot);
        assert_eq!(ear.partials(), Partials::Pauses);
        assert!(ear.transcribe(clip(), CancellationToken::new()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_up_waits_no_longer_and_an_engine_that_never_comes_is_a_fault() {
        let (slot, engine) = late();
        let ear = LateEar::new(engine, "whisper");
        let cancel = CancellationToken::new();
        let early = tokio::spawn(ear.transcribe(clip(), cancel.clone()));
        tokio::task::yield_now().await;
        cancel.cancel();
        assert!(matches!(early.await.unwrap(), Err(SttError::Cancelled)));
        let early = tokio::spawn(ear.transcribe(clip(), CancellationToken::new()));
        drop(slot);
        assert!(matches!(early.await.unwrap(), Err(SttError::Gone)));
        assert!(matches!(ear.transcribe(clip(), CancellationToken::new()).await, Err(SttError::Gone)));
    }

    #[tokio::test]
    async fn a_line_comes_from_the_disk_then_by_espeak_and_an_answer_waits_for_its_voice() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Config::default().tts;
        let kept = Arc::new(KeptLines::of(dir.path(), &settings, &[]));
        let (slot, engine) = late();
        let nowhere = TtsSettings { espeak: "/nowhere".into(), ..settings.clone() };
        let (voice, mute) =
            (LateVoice::new(engine.clone(), kept.clone(), settings), LateVoice::new(engine, kept.clone(), nowhere));
        let cancel = CancellationToken::new();
        let line = Phrase::Starting.text(Language::En);
        let by_espeak = voice.speak(utterance(line, &cancel)).await.unwrap();
        assert!(by_espeak.fallback && by_espeak.samples.len() > 10_000);
        kept.write(Language::En, line, &spoken("last time")).unwrap();
        assert_eq!(mute.speak(utterance(line, &cancel)).await.unwrap().voice, "last time");

        let answer = tokio::spawn(mute.speak(utterance("It is noon.", &cancel)));
        let other = tokio::spawn(mute.speak(utterance(Phrase::Offline.text(Language::En), &cancel)));
        let given_up = CancellationToken::new();
        let dropped = tokio::spawn(mute.speak(utterance("It is one.", &given_up)));
        given_up.cancel();
        assert!(matches!(dropped.await.unwrap(), Err(TtsError::Cancelled)));
        slot.fill(Arc::new(Mouth));
        assert_eq!(answer.await.unwrap().unwrap().voice, "It is noon.");
        assert_eq!(other.await.unwrap().unwrap().voice, Phrase::Offline.text(Language::En));
        drop(slot);
        assert_eq!(mute.speak(utterance(line, &cancel)).await.unwrap().voice, line, "the voice itself, from now on");
    }
}
