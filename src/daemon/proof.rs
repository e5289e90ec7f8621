//! Where both models really compute, found by running each once: what `elio bench` prints beside its figures.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::engines::{EngineError, blocking, languages, voice_models};
use crate::config::{Config, Provider};
use crate::models::Models;
use crate::stt::{Hardware, Whisper};
use crate::tts::{self, VoiceProof};

/// Where Whisper ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SttProof {
    /// The model's name.
    pub model: String,
    /// `stt.gpu`
    pub gpu_asked: bool,
    /// This program was built with the feature `cuda`.
    pub gpu_built: bool,
    /// What whisper.cpp says of it.
    pub hardware: Hardware,
    /// One inference of two seconds of sound, in ms.
    pub two_seconds_ms: f64,
}

/// Where the models ran. Its text is a line for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Hearing.
    pub stt: SttProof,
    /// Each voice once; espeak-ng, which has no model, is none.
    pub voices: Vec<VoiceProof>,
}

impl Proof {
    /// Loads each model beside whatever runs, runs it and lets it go.
    ///
    /// # Errors
    /// What `elio run` would be refused for, and a profile that cannot be written.
    pub async fn find(config: &Config) -> Result<Proof, EngineError> {
        let config = config.clone();
        blocking(move || {
            let models = Models::open(&config.models)?;
            let whisper = Whisper::start(&config.stt, models.whisper(&config.stt.model)?, &config.language.listen)?;
            let stt = SttProof {
                model: whisper.name().to_owned(),
                gpu_asked: config.stt.gpu,
                gpu_built: cfg!(feature = "cuda"),
                hardware: whisper.hardware().clone(),
                two_seconds_ms: whisper.warm().second.as_secs_f64() * 1e3,
            };
            drop(whisper);
            let mut voices: Vec<VoiceProof> = Vec::new();
            for (_, model) in voice_models(&config.tts, &models, &languages(&config))? {
                if voices.iter().all(|voice| voice.voice != model.name) {
                    voices.push(tts::prove(&config.tts, &model)?);
                }
            }
            Ok(Proof { stt, voices })
        })
        .await
    }

    /// The device or provider of each model, by its name, without the figures: the same on each run.
    pub fn places(&self) -> Vec<(String, String)> {
        let voices = self.voices.iter().map(|voice| {
            let names: Vec<&str> = voice.providers.keys().map(String::as_str).collect();
            (voice.voice.clone(), names.join(", "))
        });
        std::iter::once((self.stt.model.clone(), self.stt.place())).chain(voices).collect()
    }
}

impl SttProof {
    fn place(&self) -> String {
        let names: BTreeSet<&str> = self.hardware.weights_mb.keys().map(String::as_str).collect();
        if names.is_empty() {
            return "unknown (whisper.cpp was not heard)".to_owned();
        }
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SttProof { model, hardware, two_seconds_ms, .. } = &self.stt;
        let mb: f64 = hardware.weights_mb.values().sum();
        write!(
            f,
            "{model} ran on {}: {mb:.1} MB of weights; 2 s of sound took {two_seconds_ms:.0} ms",
            self.stt.place()
        )?;
        match (self.stt.gpu_asked, self.stt.gpu_built, hardware.on_gpu()) {
            (true, true, Some(false)) => f.write_str("; stt.gpu is on, and it did not run on a GPU")?,
            (true, false, _) => f.write_str("; stt.gpu is on, and this program is built without the feature cuda")?,
            _ => {}
        }
        for voice in &self.voices {
            let nodes: usize = voice.providers.values().map(|share| share.nodes).sum();
            let ms: f64 = voice.providers.values().map(|share| share.ms).sum();
            let parts = voice.providers.iter().map(|(name, share)| {
                let of_time = share.ms / ms.max(f64::MIN_POSITIVE) * 100.0;
                format!("{name} {} of {nodes} nodes, {of_time:.0} % of {ms:.1} ms", share.nodes)
            });
            write!(f, "\n{} ran on {}", voice.voice, parts.collect::<Vec<_>>().join("; "))?;
            if !voice.as_asked() {
                let asked = match voice.asked {
                    Provider::Cpu => "cpu",
                    Provider::Cuda => "cuda",
                    Provider::Tensorrt => "tensorrt",
                };
                write!(f, "; tts.provider asks for {asked}, and none of it ran there")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::Share;

    #[test]
    fn a_wish_that_was_not_granted_is_told() {
        let cpu = Share { nodes: 211, ms: 25.0 };
        let mut proof = Proof {
            stt: SttProof {
                model: "small".into(),
                gpu_asked: true,
                gpu_built: true,
                hardware: Hardware { weights_mb: [("CPU".to_owned(), 190.0)].into(), gpu: None },
                two_seconds_ms: 900.0,
            },
            voices: vec![VoiceProof {
                voice: "v".into(),
                asked: Provider::Tensorrt,
                providers: [("CPUExecutionProvider".to_owned(), cpu)].into(),
            }],
        };
        let text = proof.to_string();
        for wanted in
            ["small ran on CPU", "did not run on a GPU", "211 of 211 nodes, 100 %", "asks for tensorrt, and none"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        proof.voices[0].providers.insert("TensorrtExecutionProvider".into(), Share { nodes: 3, ms: 75.0 });
        let text = proof.to_string();
        assert!(
            text.contains("CPUExecutionProvider 211 of 214 nodes, 25 % of 100.0 ms") && !text.contains("none of it")
        );
        assert_eq!(proof.places()[1].1, "CPUExecutionProvider, TensorrtExecutionProvider");
    }

    /// The tests' machines have no GPU that this would use: it says so, whatever was asked for.
    #[tokio::test]
    async fn the_demos_models_run_on_the_cpu_and_the_proof_says_so() {
        let options = crate::config::LoadOptions {
            file: Some("configs/demo.toml".into()),
            ..crate::config::LoadOptions::default()
        };
        let config = crate::config::load(&options).unwrap().config;
        let proof = Proof::find(&config).await.unwrap();
        assert!(!proof.voices.is_empty());
        for voice in &proof.voices {
            assert_eq!(voice.providers.keys().collect::<Vec<_>>(), ["CPUExecutionProvider"]);
            assert!(voice.providers["CPUExecutionProvider"].nodes > 10 && voice.as_asked());
        }
        assert!(proof.stt.two_seconds_ms > 0.0 && proof.stt.hardware.on_gpu() != Some(true));
    }
}
