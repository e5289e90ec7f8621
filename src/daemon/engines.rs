//! The warm engines of a speaker: Whisper, the voices, Claude's client. Built once, from a checked configuration.

use thiserror::Error;

use crate::claude::{ApiKey, Claude, ClaudeError, Prefix};
use crate::clock::Mono;
use crate::config::{Config, Language, Provider, TtsSettings};
use crate::models::{ModelError, Models, VoiceModel};
use crate::stt::{SttError, Whisper};
use crate::tts::{Tts, TtsError, voice_name};
use crate::turn::Phrase;

/// An engine cannot start. Each is a matter of configuration or of a missing file: say it and exit.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A model is missing or is not what the manifest says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Whisper cannot load its model.
    #[error(transparent)]
    Stt(#[from] SttError),
    /// A voice cannot be loaded.
    #[error(transparent)]
    Tts(#[from] TtsError),
    /// No key, or Claude's client cannot be built.
    #[error(transparent)]
    Claude(#[from] ClaudeError),
    /// A loader thread died.
    #[error("a loader thread died: {0}")]
    Thread(String),
}

/// The engines, warm.
#[derive(Clone)]
pub struct Engines {
    /// Hearing.
    pub whisper: Whisper,
    /// The voices.
    pub tts: Tts,
    /// Claude.
    pub claude: Claude,
}

impl Engines {
    /// Finds the models, loads and warms both engines side by side, builds the client. No request is sent yet.
    pub async fn start(config: &Config, key: ApiKey) -> Result<Engines, EngineError> {
        let models = Models::open(&config.models)?;
        // Everything that can be refused cheaply is, before seconds are spent on loading.
        let whisper_model = models.whisper(&config.stt.model)?;
        let claude = Claude::new(&config.claude, key, Prefix::new(&config.claude, &config.language.listen)?)?;
        let shared = config.stt.gpu && cfg!(feature = "cuda") && config.tts.provider != Provider::Cpu;
        let (whisper, tts) = if shared {
            // On one GPU the larger comes first, and finds the memory in one piece: that is Whisper, in every pair of models
            // that a board runs.
            (start_whisper(config, whisper_model).await?, start_tts(config, models).await?)
        } else {
            let (whisper, tts) = tokio::join!(start_whisper(config, whisper_model), start_tts(config, models));
            (whisper?, tts?)
        };
        let engines = Engines { whisper, tts, claude };
        // After the warm-up, and behind all that is asked of the voice: nobody waits for it.
        engines.tts.keep(Phrase::lines());
        Ok(engines)
    }
}

async fn start_whisper(config: &Config, model: crate::models::WhisperModel) -> Result<Whisper, EngineError> {
    let (settings, listen) = (config.stt.clone(), config.language.listen.clone());
    let begun = Mono::now();
    let whisper = blocking(move || Ok(Whisper::start(&settings, model, &listen)?)).await?;
    log::info!("hearing is warm after {:.0} ms: {}", Mono::now().ms_since(begun), whisper.name());
    Ok(whisper)
}

async fn start_tts(config: &Config, models: Models) -> Result<Tts, EngineError> {
    let (settings, languages) = (config.tts.clone(), languages(config));
    blocking(move || start_voices(&settings, &models, &languages)).await
}

/// The languages that Elio may have to speak.
pub(super) fn languages(config: &Config) -> Vec<Language> {
    let mut languages = config.language.listen.clone();
    if !languages.contains(&config.language.speak) {
        languages.push(config.language.speak);
    }
    languages
}

/// Loads and warms the configured voices of `languages`. Blocking.
pub fn start_voices(settings: &TtsSettings, models: &Models, languages: &[Language]) -> Result<Tts, EngineError> {
    Ok(Tts::start(settings, voice_models(settings, models, languages)?)?)
}

/// The models of the configured voices, by language.
pub(super) fn voice_models(
    settings: &TtsSettings,
    models: &Models,
    languages: &[Language],
) -> Result<Vec<(Language, VoiceModel)>, ModelError> {
    let named = languages.iter().filter_map(|&language| Some((language, voice_name(settings, language)?)));
    named.map(|(language, name)| Ok((language, models.voice(name)?))).collect()
}

/// Keeps the warm models in memory, as far as RLIMIT_MEMLOCK allows: what their warming touched, and what a turn will touch.
pub fn lock_memory() {
    // Without ONFAULT all that is mapped becomes resident: a GiB with the demo's models, of buffers that whisper.cpp and
    // ONNX Runtime reserve and never use.
    let flags = rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::ONFAULT;
    if let Err(error) = rustix::mm::mlockall(flags) {
        log::info!("model memory is not locked ({error}): raise LimitMEMLOCK= to keep it from being swapped out");
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(EngineError::Thread(error.to_string())))
}
