//! The warm engines of a speaker: Whisper, the voices, Claude's client. Built once, from a checked configuration.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::mm::MlockAllFlags;
use thiserror::Error;

use super::late::{Late, Slot, late};
use crate::audio::Vad;
use crate::claude::{ApiKey, Claude, ClaudeError, Prefix};
use crate::clock::Mono;
use crate::config::{Config, Language, Provider, TtsSettings};
use crate::models::{ModelError, Models, TurnModel, VoiceModel, WhisperModel};
use crate::prosody::{self, Prosody, ProsodyError, SmartTurn};
use crate::stt::{SttError, Transcribe, Whisper};
use crate::tts::{Speak, Tts, TtsError, voice_name};
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
    /// Finds the models, loads and warms them, builds the client. No request is sent yet.
    pub async fn start(config: &Config, key: ApiKey) -> Result<Engines, EngineError> {
        // Everything that can be refused cheaply is, before seconds are spent on loading.
        let plan = Plan::find(config)?;
        let claude = build_claude(config, key)?;
        let Loaded { whisper, smart_turn, tts } = plan.load(config, &Slots::new().0, &|_| {}).await?;
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

/// Claude's client; it opens nothing.
pub(super) fn build_claude(config: &Config, key: ApiKey) -> Result<Claude, EngineError> {
    Ok(Claude::new(&config.claude, key, Prefix::new(&config.claude, &config.language.listen)?)?)
}

/// The models of a configuration, found and cheaply checked; nothing is loaded.
pub(super) struct Plan {
    pub(super) whisper: WhisperModel,
    turn_model: Option<TurnModel>,
    pub(super) voices: Vec<(Language, VoiceModel)>,
}

/// The models, warm.
pub(super) struct Loaded {
    pub(super) whisper: Whisper,
    pub(super) smart_turn: Option<SmartTurn>,
    pub(super) tts: Tts,
}

/// Where each engine is put as soon as it is warm.
pub(super) struct Slots {
    ear: Slot<dyn Transcribe>,
    prosody: Slot<dyn Prosody>,
    voice: Slot<dyn Speak>,
}

/// The engines that those slots will hold.
pub(super) struct LateEngines {
    pub(super) ear: Late<dyn Transcribe>,
    pub(super) prosody: Late<dyn Prosody>,
    pub(super) voice: Late<dyn Speak>,
}

impl Slots {
    pub(super) fn new() -> (Slots, LateEngines) {
        let ((ear, late_ear), (prosody, late_prosody), (voice, late_voice)) = (late(), late(), late());
        (Slots { ear, prosody, voice }, LateEngines { ear: late_ear, prosody: late_prosody, voice: late_voice })
    }
}

impl Plan {
    /// Finds the models.
    pub(super) fn find(config: &Config) -> Result<Plan, EngineError> {
        let models = Models::open(&config.models)?;
        let whisper = models.whisper(&config.stt.model)?;
        let turn_model = match &config.endpoint.turn_model {
            Some(name) => Some(models.turn(name).map_err(EngineError::TurnModel)?),
            None => None,
        };
        let voices = voice_models(&config.tts, &models, &languages(config))?;
        Ok(Plan { whisper, turn_model, voices })
    }

    /// There is a turn model.
    pub(super) fn has_turn_model(&self) -> bool {
        self.turn_model.is_some()
    }

    /// Loads and warms one model after the other, the largest first: on one GPU it finds the memory in one piece, and
    /// side by side each would measure the other's warm-up and not its own speed, by which turns are then heard and cut
    /// into chunks. `loading` is told in words what is on its way.
    pub(super) async fn load(
        self,
        config: &Config,
        slots: &Slots,
        loading: &(dyn Fn(String) + Sync),
    ) -> Result<Loaded, EngineError> {
        let Plan { whisper, turn_model, voices } = self;
        let (ear_name, ear_size) = (whisper.name.clone(), size(std::iter::once(&whisper.path)));
        let mut files: Vec<_> = voices.iter().map(|(_, voice)| &voice.onnx).collect();
        files.dedup();
        let voice_size = size(files.into_iter());
        let mut names: Vec<String> = voices.iter().map(|(_, voice)| voice.name.clone()).collect();
        names.dedup();
        let voice_name = if names.is_empty() { "espeak-ng".to_owned() } else { names.join(", ") };
        let ear = async || {
            loading(format!("loading {ear_name} ({})", megabytes(ear_size)));
            let whisper = load_whisper(config, whisper).await?;
            slots.ear.fill(Arc::new(whisper.clone()));
            Ok::<_, EngineError>(whisper)
        };
        let voice = async || {
            loading(format!("loading {voice_name} ({})", megabytes(voice_size)));
            let settings = config.tts.clone();
            let tts = blocking(move || Ok(Tts::start(&settings, voices)?)).await?;
            slots.voice.fill(Arc::new(tts.clone()));
            Ok::<_, EngineError>(tts)
        };
        let (whisper, tts) = if ear_size >= voice_size {
            let whisper = ear().await?;
            (whisper, voice().await?)
        } else {
            let tts = voice().await?;
            (ear().await?, tts)
        };
        if let Some(model) = &turn_model {
            loading(format!("loading {} ({})", model.name, megabytes(size(std::iter::once(&model.onnx)))));
        }
        let smart_turn = start_smart_turn(config, turn_model).await?;
        if let Some(model) = &smart_turn {
            slots.prosody.fill(Arc::new(model.clone()));
        }
        Ok(Loaded { whisper, smart_turn, tts })
    }
}

fn size<'a>(files: impl Iterator<Item = &'a PathBuf>) -> u64 {
    files.filter_map(|file| std::fs::metadata(file).ok()).map(|found| found.len()).sum()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
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
    lock(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT);
}

/// As [`lock_memory`], for what will be loaded later: before the sound devices run, since locking what is loaded holds up
/// whoever asks for memory meanwhile. False where that cannot be, so that what is there is to be locked when all is loaded:
/// with a limit that is a number every allocation beyond it would fail, and a GPU's driver maps far more than it uses.
pub(super) fn lock_future_memory(config: &Config) -> bool {
    let unlimited = rustix::process::getrlimit(rustix::process::Resource::Memlock).current.is_none();
    let gpu = (config.stt.gpu && cfg!(feature = "cuda")) || config.tts.provider != Provider::Cpu;
    if unlimited && !gpu {
        lock(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
    unlimited && !gpu
}

fn lock(flags: MlockAllFlags) {
    if let Err(error) = rustix::mm::mlockall(flags) {
        log::info!("model memory is not locked ({error}): raise LimitMEMLOCK= to keep it from being swapped out");
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(EngineError::Thread(error.to_string())))
}
