//! The person's turn while it is heard: frames go to the listener, how finished the words sound comes back.

use std::time::Duration;

use super::veto::Veto;
use super::{Finished, how_finished};
use crate::audio::{FRAME, Frame, RATE};
use crate::clock::Mono;
use crate::stt::{Listener, SttError, Transcript};

/// Sound kept after the acoustic end: Whisper needs some silence to end a word.
const TAIL: Duration = Duration::from_millis(240);

/// One turn's sound, from the pre-roll to the commit.
pub(super) struct TurnHearing {
    listener: Listener,
    /// The turn model's, where there is one and the silence decides.
    veto: Option<Veto>,
    /// Samples so far, and the capture time of the last one's end.
    samples: usize,
    newest: Option<Mono>,
}

impl TurnHearing {
    pub(super) fn new(listener: Listener, veto: Option<Veto>) -> Self {
        Self { listener, veto, samples: 0, newest: None }
    }

    pub(super) fn push(&mut self, frame: &Frame) {
        self.listener.push(&frame.samples);
        if let Some(veto) = &mut self.veto {
            veto.push(&frame.samples);
        }
        self.samples += frame.samples.len();
        self.newest = Some(frame.end());
    }

    /// The acoustic end as it is known by now.
    pub(super) fn spoken(&mut self, speech_end: Option<Mono>) {
        self.listener.spoken(self.place(speech_end));
        if let (Some(veto), Some((newest, end))) = (&mut self.veto, self.newest.zip(speech_end)) {
            veto.silence(newest.since(end));
        }
    }

    /// The button was let go.
    pub(super) fn hurry(&self) {
        self.listener.hurry();
    }

    /// The words that were asked for are not needed: the person goes on.
    pub(super) fn go_on(&self) {
        self.listener.go_on();
    }

    /// How finished all that was said sounds, to its words and, where there is a turn model, to its prosody; none: it is
    /// not heard yet.
    pub(super) fn finished(&mut self) -> Option<Finished> {
        let heard = self.listener.settled()?.transcript;
        let words = how_finished(&heard.text, heard.language);
        Some(self.veto.as_mut().map_or(words, |veto| veto.weigh(words)))
    }

    /// The words up to `speech_end`; none: nobody spoke, and all of the sound is heard.
    pub(super) fn words(
        &self,
        speech_end: Option<Mono>,
    ) -> impl Future<Output = Result<Transcript, SttError>> + Send + use<> {
        let (spoken, cut) = self.bounds(speech_end);
        self.listener.hear(spoken, cut)
    }

    /// [`TurnHearing::words`] of a turn that is over.
    pub(super) fn last_words(
        self,
        speech_end: Option<Mono>,
    ) -> impl Future<Output = Result<Transcript, SttError>> + Send + use<> {
        let (spoken, cut) = self.bounds(speech_end);
        self.listener.finish(spoken, cut)
    }

    /// The acoustic end, and where the clip ends.
    fn bounds(&self, speech_end: Option<Mono>) -> (usize, usize) {
        let spoken = self.place(speech_end);
        let cut = if speech_end.is_some() { (spoken + samples(TAIL)).max(FRAME) } else { self.samples };
        (spoken, cut)
    }

    /// An instant in samples from the turn's first. Counted from the newest frame: where the microphone lost some, time
    /// and samples differ before that.
    fn place(&self, at: Option<Mono>) -> usize {
        let behind = self.newest.zip(at).map(|(newest, at)| samples(newest.since(at)));
        behind.map_or(0, |behind| self.samples.saturating_sub(behind))
    }
}

fn samples(time: Duration) -> usize {
    (time.as_secs_f64() * f64::from(RATE)).round() as usize
}
