//! Where a voice really computes: ONNX Runtime's own profile of one inference in a session made for it.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use super::error::TtsError;
use super::voice::Voice;
use crate::config::{Provider, TtsSettings};
use crate::models::VoiceModel;
use crate::onnx::{self, one_line};

/// What ran on one execution provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Nodes of the network.
    pub nodes: usize,
    /// The time that they took, in ms.
    pub ms: f64,
}

/// Where a voice ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoiceProof {
    /// The voice's name.
    pub voice: String,
    /// `tts.provider`
    pub asked: Provider,
    /// By ONNX Runtime's name of the execution provider, such as `CPUExecutionProvider`.
    pub providers: BTreeMap<String, Share>,
}

impl VoiceProof {
    /// Some of it ran on the provider that was asked for.
    pub fn as_asked(&self) -> bool {
        let name = match self.asked {
            Provider::Cpu => "CPUExecutionProvider",
            Provider::Cuda => "CUDAExecutionProvider",
            Provider::Tensorrt => "TensorrtExecutionProvider",
        };
        self.providers.contains_key(name)
    }
}

/// Runs a voice once, in a session of its own, and reads where each node ran. Blocking: it loads the voice.
///
/// # Errors
/// What a voice is refused for, and a profile that cannot be written or read.
pub fn prove(settings: &TtsSettings, model: &VoiceModel) -> Result<VoiceProof, TtsError> {
    let folder = std::env::temp_dir();
    let prefix = folder.join(format!("elio-profile-{}-{}", std::process::id(), crate::clock::Mono::now().as_nanos()));
    let environment = onnx::environment(settings.onnxruntime.as_deref()).map_err(TtsError::Runtime)?;
    // Loading it tries it with every id: that is the inference.
    let mut voice = Voice::load(&environment, model, settings, Some(&prefix))?;
    let fault = |fault: &dyn std::fmt::Display| {
        let place = folder.display();
        TtsError::Runtime(format!("its profile in {place} (TMPDIR) cannot be used: {}", one_line(fault)))
    };
    let file = voice.end_profile().map_err(|error| fault(&error))?;
    let text = fs::read_to_string(&file);
    // Left behind, it is a small file in a folder that is emptied.
    let _ = fs::remove_file(&file);
    let providers = read(&text.map_err(|error| fault(&error))?).map_err(|error| fault(&error))?;
    Ok(VoiceProof { voice: voice.name, asked: settings.provider, providers })
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    /// µs
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    #[serde(default)]
    provider: String,
}

fn read(profile: &str) -> Result<BTreeMap<String, Share>, serde_json::Error> {
    let events: Vec<Event> = serde_json::from_str(profile)?;
    let mut providers: BTreeMap<String, Share> = BTreeMap::new();
    // The fences before and after a node are events too, without work.
    let ran = |event: &&Event| event.cat == "Node" && event.name.ends_with("_kernel_time");
    for event in events.into_iter().filter(|event| ran(&event) && !event.args.provider.is_empty()) {
        let share = providers.entry(event.args.provider).or_default();
        share.nodes += 1;
        share.ms += event.dur / 1e3;
    }
    Ok(providers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_counts_where_it_ran() {
        let profile = r#"[
            {"cat": "Session", "name": "model_run", "dur": 900, "args": {}},
            {"cat": "Node", "name": "/a_fence_before", "dur": 1, "args": {"op_name": "Conv"}},
            {"cat": "Node", "name": "/a_kernel_time", "dur": 500, "args": {"provider": "CUDAExecutionProvider"}},
            {"cat": "Node", "name": "/b_kernel_time", "dur": 250, "args": {"provider": "CUDAExecutionProvider"}},
            {"cat": "Node", "name": "/c_kernel_time", "dur": 20, "args": {"provider": "CPUExecutionProvider"}}
        ]"#;
        let providers = read(profile).unwrap();
        assert_eq!(providers["CUDAExecutionProvider"], Share { nodes: 2, ms: 0.75 });
        assert_eq!(providers["CPUExecutionProvider"], Share { nodes: 1, ms: 0.02 });
        let proof = |asked| VoiceProof { voice: "v".into(), asked, providers: providers.clone() };
        assert_eq!([Provider::Cuda, Provider::Tensorrt].map(|asked| proof(asked).as_asked()), [true, false]);
        assert!(read("[{").is_err());
    }
}
