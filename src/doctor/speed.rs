//! Loads each model and runs it: how fast it is here, warm. One at a time, and only where there is memory for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::finding::rounded;
use super::{Finding, Patient, models, space};
use crate::audio::{FRAME, RATE, Vad};
use crate::clock::Mono;
use crate::config::{Config, Language};
use crate::daemon::{Proof, start_voices};
use crate::models::Models;
use crate::prosody::SmartTurn;
use crate::tts::VoiceFigures;

/// A model that takes more than this part of the time of its sound makes people wait.
const SLOW: f64 = 0.5;

impl Patient {
    /// Where Whisper and the voices really ran, found once by running them.
    pub(super) async fn proof(&self) -> &Result<Proof, String> {
        let config = self.config();
        let prove = || async move { Proof::find(&config).await.map_err(|error| error.to_string()) };
        self.proof.get_or_init(prove).await
    }

    /// Why no model may be loaded beside what runs.
    pub(super) async fn no_room(&self) -> Option<String> {
        let models: u64 = models::configured(&self.config()).iter().map(|model| model.bytes).sum();
        let (free, needed) = (space::available(&self.machine)?, space::needed(models));
        let stop = if self.running().await.is_some() { ": `systemctl stop elio` first" } else { "" };
        (free < needed).then(|| {
            format!(
                "{} MB of memory are available, loading the models takes {} MB{stop}",
                free / 1_000_000,
                needed / 1_000_000
            )
        })
    }
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    if let Some(reason) = patient.no_room().await {
        return vec![Finding::skipped(reason)];
    }
    let config = patient.config();
    let mut findings = match patient.proof().await {
        Ok(proof) => vec![whisper(proof)],
        // The check of the models says which file is missing.
        Err(error) => return vec![Finding::fault(error, "look at the checks models, onnxruntime and espeak above")],
    };
    let rest = super::blocking(move || {
        let mut findings = voices(&config);
        findings.extend(vad(&config));
        findings.extend(turn(&config));
        findings
    });
    findings.extend(rest.await.unwrap_or_else(|error| vec![Finding::fault(error, "report this")]));
    findings
}

fn whisper(proof: &Proof) -> Finding {
    let ms = proof.stt.two_seconds_ms;
    let name = &proof.stt.model;
    speed(name, Duration::from_secs_f64(ms / 1e3), Duration::from_secs(2), "a smaller stt.model, or stt.gpu")
}

fn voices(config: &Config) -> Vec<Finding> {
    let languages: Vec<Language> = config.language.listen.clone();
    let started = Models::open(&config.models)
        .map_err(|error| error.to_string())
        .and_then(|models| start_voices(&config.tts, &models, &languages).map_err(|error| error.to_string()));
    match started {
        Ok(tts) => {
            let one = |voice: &VoiceFigures| {
                speed(&voice.name, voice.longest, voice.longest_audio, "a smaller voice, or tts.provider")
            };
            tts.warm().voices.iter().map(one).collect()
        }
        Err(error) => vec![Finding::fault(error, "look at the checks models, onnxruntime and espeak above")],
    }
}

fn vad(config: &Config) -> Option<Finding> {
    let name = &config.endpoint.vad;
    let network: PathBuf = Models::open(&config.models).ok()?.vad(name).ok()?;
    Some(match Vad::silero(&network, config.tts.onnxruntime.as_deref()) {
        Ok(mut vad) => {
            // Noise of no level in particular: it must not rest.
            let frame: [f32; FRAME] = std::array::from_fn(|n| (n as f32 * 0.7).sin() * 0.3);
            let frames = 124u32;
            let begun = Mono::now();
            for _ in 0..frames {
                vad.score(&frame);
            }
            let sound = Duration::from_secs_f64(f64::from(frames) * FRAME as f64 / f64::from(RATE));
            speed(name, begun.elapsed(), sound, "endpoint.vad = \"earshot\"")
        }
        Err(error) => Finding::warning(error, "endpoint.vad = \"earshot\", or fetch the model again"),
    })
}

fn turn(config: &Config) -> Option<Finding> {
    let name = config.endpoint.turn_model.as_ref()?;
    let model = Models::open(&config.models).ok()?.turn(name).ok()?;
    Some(match SmartTurn::start(model, config.tts.onnxruntime.as_deref()) {
        Ok(turn) => {
            let ms = rounded(turn.run().as_secs_f64() * 1e3, 1);
            let said = format!("{name}: {ms} ms for each pause");
            // It has from 200 ms into the pause to the end of the shortest wait.
            let late = Duration::from_millis(200) + turn.run() > config.endpoint.silence_min;
            let mend = "leave endpoint.turn_model out: its verdict comes too late here";
            if late { Finding::warning(said, mend) } else { Finding::ok(said) }.figure("ms", ms)
        }
        Err(error) => Finding::fault(error, "leave endpoint.turn_model out, or fetch the model again"),
    })
}

/// The finding about a model that took so long for so much sound.
fn speed(name: &str, took: Duration, sound: Duration, mend: &str) -> Finding {
    let factor = took.as_secs_f64() / sound.as_secs_f64().max(1e-3);
    let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3, 1);
    let said = format!(
        "{name}: {} ms for {} s of sound, {} of real time",
        ms(took),
        rounded(sound.as_secs_f64(), 2),
        rounded(factor, 3)
    );
    let finding = match factor > SLOW {
        true => Finding::warning(said, format!("{mend}; or see the check board for what slows this machine down")),
        false => Finding::ok(said),
    };
    finding.figure("model", name).figure("ms", ms(took)).figure("real_time_factor", rounded(factor, 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{demo, tree};
    use crate::doctor::{Machine, Verdict};

    #[test]
    fn what_is_slow_is_a_warning() {
        let (fast, slow) = (Duration::from_millis(100), Duration::from_millis(1100));
        assert_eq!(speed("m", fast, Duration::from_secs(2), "mend").verdict, Verdict::Ok);
        let slow = speed("m", slow, Duration::from_secs(2), "another");
        assert!(slow.verdict == Verdict::Warning && slow.mend.unwrap().starts_with("another"));
        assert_eq!(slow.figures["real_time_factor"], 0.55);
    }

    #[tokio::test]
    async fn nothing_is_loaded_where_memory_is_short() {
        let (_root, machine) = tree(&[("proc/meminfo", "MemAvailable: 1000 kB\n")]);
        let found = check(Arc::new(demo(machine, &[]))).await;
        assert!(found[0].verdict == Verdict::Skipped && found[0].finding.contains("1 MB of memory"), "{found:?}");
    }

    #[tokio::test]
    async fn each_of_the_demos_models_runs() {
        let found = check(Arc::new(demo(Machine::this(), &[]))).await;
        let names: Vec<&str> = found.iter().map(|finding| finding.figures["model"].as_str().unwrap()).collect();
        assert_eq!(names, ["whisper-demo", "voice-demo", "silero-vad"]);
        assert!(found.iter().all(|finding| finding.figures["real_time_factor"].as_f64().unwrap() > 0.0), "{found:?}");
    }
}
