//! Every key with its default and its bounds, in the order of the printed file. The one place to add a key.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::*;
use super::reader::Reader;
use super::settings::*;

const LANGUAGES: Words<Language> = &[("en", Language::En), ("fr", Language::Fr)];
const MODES: Words<WakeMode> = &[("hold", WakeMode::Hold), ("press", WakeMode::Press)];
const BIASES: Words<Bias> =
    &[("as-is", Bias::AsIs), ("pull-up", Bias::PullUp), ("pull-down", Bias::PullDown), ("disabled", Bias::Disabled)];
const EFFORTS: Words<Effort> = &[
    ("none", Effort::None),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("max", Effort::Max),
];
const THINKING: Words<Thinking> =
    &[("default", Thinking::Default), ("disabled", Thinking::Disabled), ("adaptive", Thinking::Adaptive)];
const TTLS: Words<CacheTtl> = &[("5m", CacheTtl::FiveMinutes), ("1h", CacheTtl::OneHour)];
const KEEP_WARM: Words<KeepWarm> =
    &[("always", KeepWarm::Always), ("wake", KeepWarm::Wake), ("never", KeepWarm::Never)];
const PROVIDERS: Words<Provider> =
    &[("cpu", Provider::Cpu), ("cuda", Provider::Cuda), ("tensorrt", Provider::Tensorrt)];

/// Rates that ALSA devices have, in Hz.
const RATES: RangeInclusive<u32> = 4_000..=384_000;
const CHANNELS: RangeInclusive<u16> = 1..=32;
const THREADS: RangeInclusive<u16> = 1..=64;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Asks for every key.
pub(super) fn read(r: &mut Reader<'_>) -> Config {
    Config {
        language: language(r),
        capture: CaptureSettings {
            device: r.get("audio.capture.device", "default".into(), text()),
            rate: r.opt("audio.capture.rate", int(RATES)),
            channels: r.opt("audio.capture.channels", int(CHANNELS)),
            channel: r.opt("audio.capture.channel", int(0..=CHANNELS.end() - 1)),
            period: r.get("audio.capture.period", ms(10), time(ms(1)..=ms(100))),
            buffer: r.get("audio.capture.buffer", ms(200), time(ms(2)..=secs(5))),
            preroll: r.get("audio.capture.preroll", ms(500), time(ms(0)..=secs(5))),
        },
        playback: PlaybackSettings {
            device: r.get("audio.playback.device", "default".into(), text()),
            rate: r.opt("audio.playback.rate", int(RATES)),
            channels: r.opt("audio.playback.channels", int(CHANNELS)),
            period: r.get("audio.playback.period", ms(5), time(ms(1)..=ms(100))),
            buffer: r.get("audio.playback.buffer", ms(30), time(ms(2)..=secs(2))),
        },
        wake: wake(r),
        endpoint: endpoint(r),
        speculation: SpeculationSettings {
            tries: r.get("speculation.tries", 3, int(0..=10)),
            after: r.get("speculation.after", ms(150), time(ms(50)..=secs(2))),
            daily_tokens: r.get("speculation.daily_tokens", 50_000, int(0..=100_000_000)),
        },
        stt: SttSettings {
            model: r.get("stt.model", "whisper-base-q5_1".into(), model(".bin")),
            threads: r.opt("stt.threads", int(THREADS)),
            gpu: r.get("stt.gpu", false, flag()),
            incremental: r.get("stt.incremental", true, flag()),
        },
        claude: claude(r),
        tts: TtsSettings {
            voice_en: r.get("tts.voice_en", "en_US-lessac-medium".into(), model(".onnx")),
            voice_fr: r.get("tts.voice_fr", "fr_FR-siwis-medium".into(), model(".onnx")),
            provider: r.get("tts.provider", Provider::Cpu, choice(PROVIDERS)),
            threads: r.opt("tts.threads", int(THREADS)),
            speed: r.get("tts.speed", 1.0, float(0.5..=2.0)),
            level_dbfs: r.get("tts.level_dbfs", -20.0, float(-40.0..=-10.0)),
            espeak: r.get("tts.espeak", "espeak-ng".into(), program()),
            onnxruntime: r.opt("tts.onnxruntime", path()),
        },
        latency: LatencySettings { log_words: r.get("latency.log_words", false, flag()) },
        daemon: DaemonSettings {
            state_dir: r.get("daemon.state_dir", "/var/lib/elio".into(), path()),
            socket: r.get("daemon.socket", "/run/elio/control.sock".into(), path()),
            drain: r.get("daemon.drain", secs(5), time(ms(0)..=secs(300))),
        },
        models: ModelsSettings {
            dirs: r.get("models.dirs", vec![PathBuf::from("/var/lib/elio/models")], list(path())),
            manifest: r.opt("models.manifest", path()),
        },
    }
}

fn language(r: &mut Reader<'_>) -> LanguageSettings {
    let listen = r.get("language.listen", vec![Language::En, Language::Fr], list(choice(LANGUAGES)));
    // A French household that sets `listen` alone is answered in French.
    let speak = if listen.contains(&Language::En) { Language::En } else { Language::Fr };
    LanguageSettings { speak: r.get("language.speak", speak, choice(LANGUAGES)), listen }
}

fn wake(r: &mut Reader<'_>) -> WakeSettings {
    WakeSettings {
        mode: r.get("wake.mode", WakeMode::Press, choice(MODES)),
        grace: r.get("wake.grace", ms(120), time(ms(0)..=secs(2))),
        debounce: r.get("wake.debounce", ms(20), time(ms(0)..=ms(500))),
        button: line(r, "wake.button"),
        led: line(r, "wake.led"),
        mute: line(r, "wake.mute"),
    }
}

fn line(r: &mut Reader<'_>, section: &str) -> Option<LineSettings> {
    let key = |leaf| format!("{section}.{leaf}");
    let keys = ["name", "chip", "line", "active_low", "bias"].map(key);
    let keys = keys.each_ref().map(String::as_str);
    let [name_key, chip_key, line_key, active_low_key, bias_key] = keys;
    let name = r.opt(name_key, text());
    let chip = r.opt(chip_key, text());
    let offset = r.opt(line_key, int(0..=u32::from(u16::MAX)));
    let active_low = r.get(active_low_key, false, flag());
    let bias = r.get(bias_key, Bias::AsIs, choice(BIASES));
    let line = match (name, chip, offset) {
        (Some(name), None, None) => LineName::Name(name),
        (None, Some(chip), Some(offset)) => LineName::Offset { chip, offset },
        (None, None, None) => {
            // A line that was set and taken back is no fault, one that was never named is.
            let named = [name_key, chip_key, line_key].iter().any(|key| r.is_given(key));
            if !named && [active_low_key, bias_key].iter().any(|key| r.is_given(key)) {
                r.rule(&keys, format!("[{section}] needs name, or chip and line"));
            }
            return None;
        }
        (Some(_), ..) => {
            let mend = "take one back with \"\"";
            r.rule(&keys, format!("[{section}] is found by name, or by chip and line, not by both: {mend}"));
            return None;
        }
        (None, Some(_), None) | (None, None, Some(_)) => {
            r.rule(&keys[1..], format!("[{section}] needs chip and line together"));
            return None;
        }
    };
    Some(LineSettings { line, active_low, bias })
}

fn endpoint(r: &mut Reader<'_>) -> EndpointSettings {
    const SILENCE: RangeInclusive<Duration> = ms(100)..=secs(10);
    let silence = r.get("endpoint.silence", ms(750), time(SILENCE));
    EndpointSettings {
        silence,
        // Whoever sets `silence` alone, however short or long, has set enough.
        silence_min: r.get("endpoint.silence_min", ms(700).min(silence), time(SILENCE)),
        silence_max: r.get("endpoint.silence_max", ms(1_200).max(silence), time(SILENCE)),
        no_speech: r.get("endpoint.no_speech", secs(6), time(ms(500)..=secs(60))),
        max_turn: r.get("endpoint.max_turn", secs(30), time(secs(1)..=secs(120))),
        threshold: r.get("endpoint.threshold", 0.5, float(0.0..=1.0)),
        vad: r.get("endpoint.vad", "silero-vad".into(), model(".onnx")),
        turn_model: r.opt("endpoint.turn_model", model(".onnx")),
        turn_threshold: r.get("endpoint.turn_threshold", 0.5, float(0.0..=1.0)),
    }
}

fn claude(r: &mut Reader<'_>) -> ClaudeSettings {
    ClaudeSettings {
        base_url: r.get("claude.base_url", "https://api.anthropic.com".into(), base_url()),
        ca_file: r.opt("claude.ca_file", path()),
        key_file: r.opt("claude.key_file", path()),
        model: r.get("claude.model", "claude-haiku-5-5".into(), text()),
        max_tokens: r.get("claude.max_tokens", 300, int(1..=64_000)),
        effort: r.get("claude.effort", Effort::Low, choice(EFFORTS)),
        thinking: r.get("claude.thinking", Thinking::Disabled, choice(THINKING)),
        speed: r.opt("claude.speed", text()),
        cache_ttl: r.get("claude.cache_ttl", CacheTtl::FiveMinutes, choice(TTLS)),
        keep_warm: r.get("claude.keep_warm", KeepWarm::Wake, choice(KEEP_WARM)),
        keep_warm_for: r.get("claude.keep_warm_for", secs(900), time(ms(0)..=secs(86_400))),
        instructions_file: r.opt("claude.instructions_file", path()),
        history_exchanges: r.get("claude.history_exchanges", 8, int(0..=100)),
        history_idle: r.get("claude.history_idle", secs(600), time(ms(0)..=secs(86_400))),
        connect_timeout: r.get("claude.connect_timeout", secs(5), time(ms(100)..=secs(60))),
        first_text_timeout: r.get("claude.first_text_timeout", secs(8), time(ms(500)..=secs(120))),
    }
}
