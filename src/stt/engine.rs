//! The warm model: one context, one state, and a greedy search of its own.
//!
//! `whisper_full` would encode a clip twice to detect its language (once at the context of the clip before it) and knows
//! no restriction to some languages. The parts below it do it with one encoding: the language and the no-speech
//! probability are read off the decoder's first step, as OpenAI's own implementation does, and the search goes on from
//! there. Nothing is lost by it: whisper.cpp's abort callback is asked after the encoder and between tokens, which is
//! where the search asks `stop` (and whisper-rs 0.16 hands that callback a pointer of the wrong type).

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState, WhisperTokenId,
};

use super::SttError;
use crate::config::Language;
use crate::models::WhisperModel;

/// Rate of every sample in this room, in Hz.
pub(super) const RATE: usize = 16_000;

/// Samples of one encoder position (20 ms).
const POSITION: usize = RATE / 50;

/// Positions that the context is longer than its clip: Whisper wants to see that the speech has ended.
const MARGIN: u32 = 24;

/// Contexts are multiples of this, so that clips of about one length share one shape (and one set of GPU kernels).
const STEP: u32 = 16;

/// The shortest clip that is given to whisper.cpp, which reads 200 samples ahead without looking at the length.
const SHORTEST: usize = RATE / 10;

/// What one run of the model gave.
#[derive(Debug)]
pub(super) struct Heard {
    /// Raw text, as the tokens spell it.
    pub text: String,
    /// Fixed, or the likeliest of the languages that are listened for.
    pub language: Language,
    /// Positions that were encoded.
    pub audio_ctx: u32,
    /// Probability, at the first step, that nothing was said.
    pub no_speech: f32,
    /// Mean log-probability of the tokens, the end among them.
    pub avg_logprob: f32,
}

/// A loaded model with the memory that it runs in.
pub(super) struct Engine {
    state: WhisperState,
    ctx: WhisperContext,
    threads: usize,
    /// The languages listened for, and their tokens.
    languages: Vec<(Language, WhisperTokenId)>,
    audio_ctx_min: u32,
    audio_ctx_max: u32,
}

impl Engine {
    /// Loads the model. `listen` is never empty and holds languages of the model only.
    pub(super) fn load(model: &WhisperModel, threads: usize, gpu: bool, listen: &[Language]) -> Result<Self, SttError> {
        // What whisper.cpp has to say goes to `log`, under the target `whisper_rs`.
        whisper_rs::install_logging_hooks();
        let fault = |fault: String| SttError::Load { path: model.path.clone(), fault };
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(gpu).flash_attn(gpu);
        let ctx = WhisperContext::new_with_params(&model.path, parameters)
            .map_err(|_| fault("the file is damaged (replace it), or memory is short".into()))?;
        let state = ctx.create_state().map_err(|error| fault(format!("no memory to run it in: {error}")))?;
        let languages = listen
            .iter()
            .filter_map(|language| Some((*language, ctx.token_lang(whisper_rs::get_lang_id(language.code())?))))
            .collect();
        let (audio_ctx_min, audio_ctx_max) = (model.audio_ctx_min, model.audio_ctx_max);
        Ok(Self { state, ctx, threads, languages, audio_ctx_min, audio_ctx_max })
    }

    /// The longest clip that one run takes, in samples.
    pub(super) fn longest(&self) -> usize {
        (self.audio_ctx_max - MARGIN.min(self.audio_ctx_max / 2)) as usize * POSITION
    }

    /// Hears one clip of at most [`Self::longest`] samples. `language`: none to detect it among those listened for.
    /// `stop` is asked before each step.
    pub(super) fn hear(
        &mut self,
        samples: &[f32],
        language: Option<Language>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Heard, SttError> {
        let audio_ctx = audio_ctx(samples.len(), self.audio_ctx_min, self.audio_ctx_max);
        let checked = || if stop() { Err(SttError::Cancelled) } else { Ok(()) };
        checked()?;
        self.prepare(samples, audio_ctx)?;
        checked()?;
        self.state.encode(0, self.threads).map_err(inference)?;
        checked()?;

        self.state.decode(&[self.ctx.token_sot()], 0, self.threads).map_err(inference)?;
        let logits = self.state.get_logits().map_err(inference)?;
        let no_speech = logprob(logits, self.ctx.token_nosp()).exp();
        let (language, token) = self
            .languages
            .iter()
            .filter(|(candidate, _)| language.is_none_or(|fixed| fixed == *candidate))
            .max_by(|(_, a), (_, b)| logit(logits, *a).total_cmp(&logit(logits, *b)))
            .copied()
            .ok_or_else(|| SttError::Inference("no language to listen for".into()))?;
        let mut past = 1;
        if self.ctx.is_multilingual() {
            // The task tokens in one batch; whisper-rs gives the first row of logits, so the last token goes alone.
            self.state.decode(&[token, self.ctx.token_transcribe()], past, self.threads).map_err(inference)?;
            past += 2;
        }
        let mut next = self.ctx.token_not();

        let end = self.ctx.token_eot();
        let most = most_tokens(samples.len()).min(self.ctx.n_text_ctx().max(16) as usize / 2 - 4);
        let (mut bytes, mut sum, mut count) = (Vec::new(), 0.0, 0);
        while count < most {
            self.state.decode(&[next], past, self.threads).map_err(inference)?;
            past += 1;
            checked()?;
            // Every token past the end is a special one or a timestamp: none of them can be said.
            let logits = self.state.get_logits().map_err(inference)?;
            let said = logits.get(..=end as usize).unwrap_or(logits);
            next = (0..).zip(said).max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(end, |(token, _)| token);
            sum += logprob(said, next);
            count += 1;
            if next == end {
                break;
            }
            bytes.extend_from_slice(self.ctx.token_to_bytes(next).map_err(inference)?);
        }
        let avg_logprob = sum / count.max(1) as f32;
        if !avg_logprob.is_finite() || !no_speech.is_finite() {
            return Err(SttError::Inference("the model computes no numbers: its weights are damaged".into()));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Heard { text, language, audio_ctx, no_speech, avg_logprob })
    }

    /// Computes the mel spectrogram and sets the encoder's context, which only `full` can: told to process 100 ms, it
    /// does both and then finds nothing left to encode.
    fn prepare(&mut self, samples: &[f32], audio_ctx: u32) -> Result<(), SttError> {
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_n_threads(self.threads as i32);
        params.set_audio_ctx(audio_ctx as i32);
        params.set_duration_ms(100);
        params.set_no_timestamps(true);
        params.set_print_progress(false);
        if samples.len() < SHORTEST {
            let mut longer = samples.to_vec();
            longer.resize(SHORTEST, 0.0);
            self.state.full(params, &longer).map_err(inference)
        } else {
            self.state.full(params, samples).map_err(inference)
        }
    }
}

/// The encoder context for a clip of `samples`, in positions of 20 ms.
pub(super) fn audio_ctx(samples: usize, min: u32, max: u32) -> u32 {
    let fitted = u32::try_from(samples.div_ceil(POSITION)).unwrap_or(u32::MAX).saturating_add(MARGIN);
    fitted.checked_next_multiple_of(STEP).unwrap_or(max).max(min).min(max)
}

/// Nobody says more tokens than this in a clip of `samples`: a search that does turns in circles.
fn most_tokens(samples: usize) -> usize {
    16 + samples * 12 / RATE
}

fn logit(logits: &[f32], token: WhisperTokenId) -> f32 {
    usize::try_from(token).ok().and_then(|i| logits.get(i)).copied().unwrap_or(f32::NEG_INFINITY)
}

/// Log-probability of a token under the softmax of `logits`.
fn logprob(logits: &[f32], token: WhisperTokenId) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|l| (l - max).exp()).sum();
    logit(logits, token) - max - sum.ln()
}

fn inference(error: whisper_rs::WhisperError) -> SttError {
    SttError::Inference(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_fits_the_clip() {
        assert_eq!(audio_ctx(0, 112, 1500), 112);
        assert_eq!(audio_ctx(RATE, 112, 1500), 112);
        // 2 s are 100 positions; with the margin 124, rounded 128.
        assert_eq!(audio_ctx(2 * RATE, 112, 1500), 128);
        assert_eq!(audio_ctx(2 * RATE, 512, 1500), 512);
        assert_eq!(audio_ctx(2 * RATE + 1, 0, 1500), 128);
        assert_eq!(audio_ctx(29 * RATE, 112, 1500), 1488);
        assert_eq!(audio_ctx(30 * RATE, 112, 1500), 1500);
        assert_eq!(audio_ctx(usize::MAX, 112, 1500), 1500);
    }

    #[test]
    fn log_probabilities_are_those_of_a_softmax() {
        let logits = [1000.0, 1000.0, f32::NEG_INFINITY];
        assert!((logprob(&logits, 1).exp() - 0.5).abs() < 1e-6);
        assert_eq!(logprob(&logits, 2), f32::NEG_INFINITY);
        assert_eq!(logprob(&logits, 3), f32::NEG_INFINITY);
    }

    /// `prepare` reaches the context by a side door: this fails where whisper.cpp closes it.
    #[test]
    fn the_encoder_works_at_the_context_that_it_is_given() {
        let settings = crate::config::ModelsSettings { dirs: vec!["models/demo".into()], manifest: None };
        let mut model = crate::models::Models::open(&settings).unwrap().whisper("whisper-demo").unwrap();
        let mut doubts = Vec::new();
        for audio_ctx in [112, 304, 112] {
            model.audio_ctx_min = audio_ctx;
            let mut engine = Engine::load(&model, 1, false, &[Language::En]).unwrap();
            let sound: Vec<f32> = (0..RATE).map(|n| (n % 128) as f32 / 640.0 - 0.1).collect();
            let heard = engine.hear(&sound, None, &|| false).unwrap();
            assert_eq!(heard.audio_ctx, audio_ctx);
            doubts.push(heard.no_speech);
        }
        assert!(doubts[0] == doubts[2] && doubts[0] != doubts[1], "{doubts:?}");
    }
}
