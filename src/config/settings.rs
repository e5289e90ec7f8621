//! The checked configuration: what the rest of the house reads. A value that stands here is usable.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A language that Elio hears and speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

impl Language {
    /// ISO 639-1, as Whisper and the manifest write it.
    pub fn code(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Fr => "fr",
        }
    }
}

/// Everything that `elio.toml`, its drop-ins, the environment and the flags decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[language]`
    pub language: LanguageSettings,
    /// `[audio.capture]`
    pub capture: CaptureSettings,
    /// `[audio.playback]`
    pub playback: PlaybackSettings,
    /// `[wake]`
    pub wake: WakeSettings,
    /// `[endpoint]`
    pub endpoint: EndpointSettings,
    /// `[speculation]`
    pub speculation: SpeculationSettings,
    /// `[stt]`
    pub stt: SttSettings,
    /// `[claude]`
    pub claude: ClaudeSettings,
    /// `[tts]`
    pub tts: TtsSettings,
    /// `[latency]`
    pub latency: LatencySettings,
    /// `[daemon]`
    pub daemon: DaemonSettings,
    /// `[models]`
    pub models: ModelsSettings,
}

/// `[language]`
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageSettings {
    /// The language of the words that Elio speaks of its own (apologies, "one moment"), and of a turn in which no
    /// language was detected.
    pub speak: Language,
    /// The languages that may be heard, never empty. One: fixed. More: detected once in each turn among these.
    pub listen: Vec<Language>,
}

/// `[audio.capture]`
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureSettings {
    /// ALSA PCM name, `default` or `hw:1,0`.
    pub device: String,
    /// Rate to open the device at, in Hz; none: 16 kHz where the device offers it, else the cheapest to convert from.
    pub rate: Option<u32>,
    /// Channels to open; none: the fewest that it offers.
    pub channels: Option<u16>,
    /// The channel that is heard, from 0; none: the mean of all.
    pub channel: Option<u16>,
    /// Length of an ALSA period.
    pub period: Duration,
    /// Length of the ALSA buffer: how late the capture thread may come before an overrun.
    pub buffer: Duration,
    /// Sound kept from before the wake edge.
    pub preroll: Duration,
}

/// `[audio.playback]`
#[derive(Clone, Debug, PartialEq)]
pub struct PlaybackSettings {
    /// ALSA PCM name.
    pub device: String,
    /// Rate to open the device at, in Hz; none: 48 kHz where the device offers it, else the next common one.
    pub rate: Option<u32>,
    /// Channels to open; none: the fewest that it offers.
    pub channels: Option<u16>,
    /// Length of an ALSA period.
    pub period: Duration,
    /// Sound kept queued in the device while Elio speaks, and the most silence while it does not: that begins at two
    /// periods and grows where the device runs dry.
    pub buffer: Duration,
}

/// What the button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WakeMode {
    /// Talk while it is held; the release (plus the grace) ends the turn.
    Hold,
    /// Press, speak, endpointing ends the turn; press again: stop.
    Press,
}

/// `[wake]`
#[derive(Clone, Debug, PartialEq)]
pub struct WakeSettings {
    /// Hold or press.
    pub mode: WakeMode,
    /// After a release in hold mode: what is still said within it belongs to the turn.
    pub grace: Duration,
    /// The button's line; none: the control socket is the only button.
    pub button: Option<LineSettings>,
    /// The status LED's line, on while Elio listens, thinks or speaks.
    pub led: Option<LineSettings>,
    /// The mute switch's line; active means muted.
    pub mute: Option<LineSettings>,
    /// Edges closer together than this are one (mechanical bounce).
    pub debounce: Duration,
}

/// One GPIO line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSettings {
    /// Which line it is.
    pub line: LineName,
    /// The line is active when its level is low.
    pub active_low: bool,
    /// Internal pull resistor to ask for (inputs only).
    pub bias: Bias,
}

/// How a line is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineName {
    /// By its name, on whichever chip has it.
    Name(String),
    /// By chip (`gpiochip0`, a path or a label) and offset.
    Offset {
        /// Chip name.
        chip: String,
        /// Offset on the chip, from 0.
        offset: u32,
    },
}

/// Internal pull resistor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// Leave it as the board set it.
    AsIs,
    /// Pull up.
    PullUp,
    /// Pull down.
    PullDown,
    /// None.
    Disabled,
}

/// `[endpoint]`
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// Silence after speech that ends a turn in press mode, where the words do not tell whether they are all.
    pub silence: Duration,
    /// The same after words that end like a sentence; never longer than `silence`.
    pub silence_min: Duration,
    /// The same after words that must go on ("and", "the", a comma); never shorter than `silence`.
    pub silence_max: Duration,
    /// A press after which nobody speaks ends as "nothing was said" after this.
    pub no_speech: Duration,
    /// No turn is longer, in either mode.
    pub max_turn: Duration,
    /// VAD score from 0 to 1 at which a frame counts as speech.
    pub threshold: f32,
    /// VAD model, a name of the manifest or a path; "earshot": the detector that is built in.
    pub vad: String,
    /// Turn model, a name of the manifest or a path: where it hears that the speaker goes on, words that end like a
    /// sentence get `silence` and not `silence_min`. None: the words alone decide.
    pub turn_model: Option<String>,
    /// Probability from 0 to 1, as the turn model gives it, up to which it hears that the speaker goes on.
    pub turn_threshold: f32,
}

/// `[speculation]`
#[derive(Clone, Debug, PartialEq)]
pub struct SpeculationSettings {
    /// Answers that are prepared in one turn before it has ended; 0: none.
    pub tries: u32,
    /// Silence after which the first is begun.
    pub after: Duration,
    /// Tokens, input and output, of answers that nobody heard, in 24 hours; then nothing is prepared until the next.
    pub daily_tokens: u64,
}

/// `[stt]`
#[derive(Clone, Debug, PartialEq)]
pub struct SttSettings {
    /// Model: a name of the manifest, or the path of a ggml file.
    pub model: String,
    /// Threads of whisper.cpp; none: the number of big cores less one (the sound's), at most 4.
    pub threads: Option<u16>,
    /// Use the GPU where the program was built with it.
    pub gpu: bool,
    /// Hear while the person speaks, as often as this machine can; false: each turn once, when it is over.
    pub incremental: bool,
}

/// Effort of the model's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not sent, for models that refuse it.
    None,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `max`
    Max,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    /// Not sent, for models that think only when asked.
    Default,
    /// `{"type":"disabled"}`
    Disabled,
    /// `{"type":"adaptive"}`
    Adaptive,
}

/// Time to live of the cached prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheTtl {
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[serde(rename = "1h")]
    OneHour,
}

impl CacheTtl {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        }
    }

    /// Its length.
    pub fn duration(self) -> Duration {
        match self {
            CacheTtl::FiveMinutes => Duration::from_secs(300),
            CacheTtl::OneHour => Duration::from_secs(3600),
        }
    }
}

/// When the prefix is read again to keep it in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepWarm {
    /// At nine tenths of the TTL, day and night.
    Always,
    /// At the start, at the wake edge where the last use is old, and for `keep_warm_for` after the last question.
    Wake,
    /// Never, not even at boot.
    Never,
}

/// `[claude]`
#[derive(Clone, Debug, PartialEq)]
pub struct ClaudeSettings {
    /// Scheme, host and port of the API, without a path.
    pub base_url: String,
    /// PEM file of an authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// File that holds the API key and nothing else. Before it come systemd's credential `anthropic-api-key`;
    /// after it `ANTHROPIC_API_KEY`.
    pub key_file: Option<PathBuf>,
    /// Model id.
    pub model: String,
    /// Bound of the answer, in tokens.
    pub max_tokens: u32,
    /// Effort.
    pub effort: Effort,
    /// Thinking.
    pub thinking: Thinking,
    /// Passed through as `speed` when set (`fast`).
    pub speed: Option<String>,
    /// TTL of the cached prefix.
    pub cache_ttl: CacheTtl,
    /// When the prefix is kept warm.
    pub keep_warm: KeepWarm,
    /// With [`KeepWarm::Wake`]: for this long after the last question the prefix is read again before its TTL ends.
    pub keep_warm_for: Duration,
    /// File with house rules of the owner, added to the end of the system prompt (it is part of the frozen prefix).
    pub instructions_file: Option<PathBuf>,
    /// Exchanges (question and answer) that are remembered.
    pub history_exchanges: usize,
    /// The conversation is forgotten after this long without a turn.
    pub history_idle: Duration,
    /// Bound of the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// From the request to its first text; also the longest gap between two events of the stream.
    pub first_text_timeout: Duration,
}

/// ONNX Runtime execution provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// CPU.
    Cpu,
    /// CUDA, with the HEURISTIC convolution search.
    Cuda,
    /// TensorRT, then CUDA.
    Tensorrt,
}

/// `[tts]`
#[derive(Clone, Debug, PartialEq)]
pub struct TtsSettings {
    /// Voice for English: a name of the manifest, the path of an ONNX file, or `espeak-ng`.
    pub voice_en: String,
    /// Voice for French, likewise.
    pub voice_fr: String,
    /// Provider for the voices.
    pub provider: Provider,
    /// Threads of an inference; none: the number of big cores, at most 4.
    pub threads: Option<u16>,
    /// Speed: 1 is the voice's own, 2 twice as fast (0.5 to 2).
    pub speed: f32,
    /// Level of the speech, RMS in dBFS (−40 to −10).
    pub level_dbfs: f32,
    /// The espeak-ng program.
    pub espeak: PathBuf,
    /// libonnxruntime; none: looked for beside the program, then where the system keeps libraries.
    pub onnxruntime: Option<PathBuf>,
}

/// `[latency]`
#[derive(Clone, Debug, PartialEq)]
pub struct LatencySettings {
    /// Write what was said and answered into the record (off: no word leaves memory).
    pub log_words: bool,
}

/// `[daemon]`
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonSettings {
    /// Where the spool of records lives.
    pub state_dir: PathBuf,
    /// The control socket (`elio press`, `release`, `status`).
    pub socket: PathBuf,
    /// After SIGTERM, a turn may go on for this long.
    pub drain: Duration,
}

/// `[models]`
#[derive(Clone, Debug, PartialEq)]
pub struct ModelsSettings {
    /// Folders in which the files of the manifest are looked for, in order.
    pub dirs: Vec<PathBuf>,
    /// The manifest; none: the one built into the program.
    pub manifest: Option<PathBuf>,
}
