//! Sound that is ready before it is asked for, and what the handles share with the voice's thread: the lines that Elio
//! says of its own are spoken once, when nothing else is to be spoken, and kept; and a first chunk that is likely to
//! come is computed while Claude still writes the word behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pace::Pace;
use super::{Spoken, Utterance};
use crate::clock::Mono;
use crate::config::Language;
use crate::onnx::Stop;

/// Samples that are kept at most: 8 MB, some 90 s at 22 kHz. The lines of both languages take about 60 s.
const KEPT: usize = 2_000_000;

/// A text in its language.
pub(super) type Line = (Language, String);

/// What the handles share with the thread.
#[derive(Default)]
pub(super) struct Ready {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lines: BTreeMap<Line, Spoken>,
    samples: usize,
    paces: BTreeMap<Language, Pace>,
    /// What the thread computes, or will, for a text that nobody has asked for yet.
    draft: Option<(Line, Arc<Stop>)>,
    /// What it computes because it has nothing else to do.
    idle: Option<Arc<Stop>>,
}

impl Ready {
    /// The sound of a line that is kept, as if it had been spoken now. A chunk that happens to have a line's words has
    /// a pause after it, and is none.
    pub(super) fn spoken(&self, utterance: &Utterance) -> Option<Spoken> {
        if utterance.pause != super::Pause::None {
            return None;
        }
        let line = (utterance.language, utterance.text.clone());
        let spoken = self.state().lines.get(&line)?.clone();
        let now = Mono::now();
        Some(Spoken { first_pcm: now, done: now, cached: true, ..spoken })
    }

    /// Keeps a line; false where there is no room for it.
    pub(super) fn keep(&self, line: Line, spoken: Spoken) -> bool {
        let mut state = self.state();
        let samples = state.samples + spoken.samples.len();
        let fits = samples <= KEPT;
        if fits && state.lines.insert(line, spoken).is_none() {
            state.samples = samples;
        }
        fits
    }

    /// The pace of a language's voice.
    pub(super) fn pace(&self, language: Language) -> Pace {
        self.state().paces.get(&language).copied().unwrap_or_default()
    }

    /// Changes it.
    pub(super) fn set_pace(&self, language: Language, change: impl FnOnce(&mut Pace)) {
        change(self.state().paces.entry(language).or_default());
    }

    /// A new draft takes the place of the last one, which ends.
    pub(super) fn draft(&self, line: Line, stop: Arc<Stop>) {
        let last = self.state().draft.replace((line, stop));
        if let Some((_, stop)) = last {
            stop.cancel();
        }
    }

    /// Something is to be spoken: what was begun for another text, or for none, ends.
    pub(super) fn make_way(&self, language: Language, text: &str) {
        let (other, idle) = {
            let mut state = self.state();
            // The right one stays known: where what waits for it is given up, the next text ends it.
            let other = state.draft.take_if(|((of, draft), _)| *of != language || draft != text);
            (other, state.idle.take())
        };
        for stop in other.map(|(_, stop)| stop).into_iter().chain(idle) {
            stop.cancel();
        }
    }

    /// What nobody waits for ends.
    pub(super) fn pause_lines(&self) {
        let idle = self.state().idle.take();
        if let Some(stop) = idle {
            stop.cancel();
        }
    }

    /// The thread is about to do something that nobody waits for: whoever comes ends it.
    pub(super) fn idle(&self, stop: Option<Arc<Stop>>) {
        self.state().idle = stop;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::Pause;
    use super::*;

    fn spoken(samples: usize) -> Spoken {
        let then = Mono::from_nanos(1);
        Spoken {
            samples: vec![0.1; samples],
            rate: 16_000,
            lead_silence: Default::default(),
            first_pcm: then,
            done: then,
            voice: "v".into(),
            fallback: false,
            cached: false,
        }
    }

    fn utterance(text: &str, pause: Pause) -> Utterance {
        let cancel = CancellationToken::new();
        Utterance { text: text.into(), language: Language::En, first: true, pause, cancel }
    }

    #[test]
    fn a_line_is_kept_in_its_language_and_its_memory_is_bounded() {
        let ready = Ready::default();
        assert!(ready.keep((Language::En, "Sorry.".into()), spoken(10)));
        let found = ready.spoken(&utterance("Sorry.", Pause::None)).unwrap();
        assert!(found.cached && found.first_pcm > Mono::from_nanos(1) && found.samples.len() == 10);
        assert!(ready.spoken(&utterance("Sorry.", Pause::Sentence)).is_none(), "that is a chunk of an answer");
        assert!(ready.spoken(&Utterance { language: Language::Fr, ..utterance("Sorry.", Pause::None) }).is_none());
        assert!(ready.keep((Language::En, "Long.".into()), spoken(KEPT - 10)));
        assert!(!ready.keep((Language::En, "More.".into()), spoken(1)));
        assert!(ready.spoken(&utterance("More.", Pause::None)).is_none());
    }

    #[test]
    fn what_is_wanted_ends_what_was_only_guessed() {
        let stop = || Stop::on(CancellationToken::new());
        let ready = Ready::default();
        let (right, wrong, idle) = (stop(), stop(), stop());
        ready.idle(Some(idle.clone()));
        ready.draft((Language::En, "The kit".into()), wrong.clone());
        ready.draft((Language::En, "The kitchen".into()), right.clone());
        assert!(wrong.is_cancelled() && !idle.is_cancelled());
        ready.make_way(Language::En, "The kitchen");
        assert!(idle.is_cancelled() && !right.is_cancelled());
        ready.make_way(Language::En, "Something else.");
        assert!(right.is_cancelled(), "the utterance that waited for it was cancelled");
        let other = stop();
        ready.draft((Language::Fr, "Il est".into()), other.clone());
        ready.make_way(Language::Fr, "Il était");
        assert!(other.is_cancelled());
    }
}
