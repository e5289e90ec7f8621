//! The warm engines of a speaker: Whisper, the voices, Claude's client. Built once, from a checked configuration.

use std::sync::Arc;

use thiserror::Error;

use crate::audio::Vad;
use crate::claude::{ApiKey, Claude, ClaudeError, Prefix};
use crate::clock::Mono;
use crate::config::{Config, Language, Provider, TtsSettings};
use crate::models::{ModelError, Models, TurnModel, VoiceModel, WhisperModel};
use crate::prosody::{self, Prosody, ProsodyError, SmartTurn};
use crate::stt::{SttError, Whisper};
use crate::tts::{Tts, TtsError, voice_name};
use crate::turn::Phrase;

/// The value of `endpoint.vad` that is no model.
const EARSHOT: &str = "earshot";

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
    /// The turn model is missing or is not what the manifest says.
    #[error("endpoint.turn_model: {0}; or leave the key out")]
    TurnModel(ModelError),
    /// The turn model cannot be loaded.
    #[error(transparent)]
    Prosody(#[from] ProsodyError),
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
    /// The turn model, where one is configured.
    pub smart_turn: Option<SmartTurn>,
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
        let turn_model = match &config.endpoint.turn_model {
            Some(name) => Some(models.turn(name).map_err(EngineError::TurnModel)?),
            None => None,
        };
        let shared = config.stt.gpu && cfg!(feature = "cuda") && config.tts.provider != Provider::Cpu;
        let (whisper, tts) = if shared {
            // On one GPU the larger comes first, and finds the memory in one piece: that is Whisper, in every pair of models
            // that a board runs.
            (load_whisper(config, whisper_model).await?, start_tts(config, models).await?)
        } else {
            let (whisper, tts) = tokio::join!(load_whisper(config, whisper_model), start_tts(config, models));
            (whisper?, tts?)
        };
        // Beside those it would measure their warm-up and not its own speed.
        let smart_turn = start_smart_turn(config, turn_model).await?;
        let engines = Engines { whisper, smart_turn, tts, claude };
        // After the warm-up, and behind all that is asked of the voice: nobody waits for it.
        engines.tts.keep(Phrase::lines());
        Ok(engines)
    }

    /// The turn model, as a turn asks it.
    pub fn prosody(&self) -> Option<Arc<dyn Prosody>> {
        self.smart_turn.clone().map(|model| Arc::new(model) as Arc<dyn Prosody>)
    }
}

/// Loads and warms the configured Whisper alone.
///
/// # Errors
/// [`EngineError::Model`], [`EngineError::Stt`]
pub async fn start_whisper(config: &Config) -> Result<Whisper, EngineError> {
    load_whisper(config, Models::open(&config.models)?.whisper(&config.stt.model)?).await
}

/// The voice detector of `endpoint.vad`, warm; earshot, and a line in the log, where it cannot be had.
pub async fn start_vad(config: &Config) -> Vad {
    let (models, name) = (config.models.clone(), config.endpoint.vad.clone());
    let library = config.tts.onnxruntime.clone();
    let load = move || {
        if name == EARSHOT {
            return Vad::default();
        }
        let network = Models::open(&models).and_then(|models| models.vad(&name)).map_err(|error| error.to_string());
        let vad = network.and_then(|path| Vad::silero(&path, library.as_deref()).map_err(|error| error.to_string()));
        let vad = vad.inspect(|_| log::info!("voice detector {name} ready on the CPU, one thread"));
        vad.unwrap_or_else(|fault| {
            log::warn!(
                "endpoint.vad {name}: {fault}; until then {EARSHOT}, which is built in, hears who speaks (endpoint.vad = \
                 \"{EARSHOT}\" chooses it)"
            );
            Vad::default()
        })
    };
    // A thread that dies has said why.
    tokio::task::spawn_blocking(load).await.unwrap_or_default()
}

async fn load_whisper(config: &Config, model: WhisperModel) -> Result<Whisper, EngineError> {
    let (settings, listen) = (config.stt.clone(), config.language.listen.clone());
    let begun = Mono::now();
    let whisper = blocking(move || Ok(Whisper::start(&settings, model, &listen)?)).await?;
    log::info!("hearing is warm after {:.0} ms: {}", Mono::now().ms_since(begun), whisper.name());
    Ok(whisper)
}

async fn start_smart_turn(config: &Config, model: Option<TurnModel>) -> Result<Option<SmartTurn>, EngineError> {
    let Some(model) = model else { return Ok(None) };
    let library = config.tts.onnxruntime.clone();
    let started = blocking(move || Ok(SmartTurn::start(model, library.as_deref())?)).await?;
    let silence_min = config.endpoint.silence_min;
    let needed = prosody::AFTER + started.run();
    if needed > silence_min {
        log::warn!(
            "endpoint.turn_model: its verdict comes after {:.0} ms of silence, and endpoint.silence_min is {:.0} ms: it \
             comes too late where that long a silence ends a turn",
            needed.as_secs_f64() * 1e3,
            silence_min.as_secs_f64() * 1e3
        );
    }
    Ok(Some(started))
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
