//! The GPU: asked for, built in, and used by an inference. That a library lists a provider proves nothing.

use std::sync::Arc;

use super::service::Unit;
use super::{Finding, Patient, jetson};
use crate::config::Provider;
use crate::daemon::{Proof, SttProof};
use crate::tts::VoiceProof;

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let config = patient.config();
    if !config.stt.gpu && config.tts.provider == Provider::Cpu {
        let said = "not asked for: every model runs on the CPU";
        let jetson = jetson::is_one(&patient.machine);
        let mend = "stt.gpu = true (in a build with the feature cuda) and tts.provider = \"cuda\": see \
                    docs/boards/jetson-orin.md";
        return vec![if jetson { Finding::warning(format!("{said} of a Jetson"), mend) } else { Finding::ok(said) }];
    }
    // The inference runs in this process, which may open what the service may not.
    let mut findings: Vec<Finding> = shut(patient.unit().await).into_iter().collect();
    if let Some(reason) = patient.no_room().await {
        findings.push(Finding::skipped(reason));
        return findings;
    }
    match patient.proof().await {
        Ok(Proof { stt, voices }) => findings.extend(std::iter::once(hearing(stt)).chain(voices.iter().map(voice))),
        Err(error) => findings.push(Finding::fault(error, "look at the checks models, onnxruntime and espeak above")),
    }
    findings
}

/// What of the unit keeps the service from the GPU: its device files are closed, or CUDA may not write code at run time.
fn shut(unit: &Unit) -> Option<Finding> {
    let property = |name| unit.get(name).map_or("", String::as_str);
    let closed = matches!(property("DevicePolicy"), "closed" | "strict") && !property("DeviceAllow").contains("nv");
    let said = match (closed, property("MemoryDenyWriteExecute") == "yes") {
        (false, false) => return None,
        (true, _) => "elio.service may not open the GPU's devices: DevicePolicy is closed",
        (false, true) => "elio.service may not write code at run time, as CUDA does: MemoryDenyWriteExecute is on",
    };
    let mend = "`sudo install -D -m 644 -t /etc/systemd/system/elio.service.d /usr/share/elio/gpu.conf && \
                sudo systemctl daemon-reload && sudo systemctl restart elio`";
    Some(Finding::fault(said, mend))
}

fn hearing(stt: &SttProof) -> Finding {
    let SttProof { model, gpu_asked, gpu_built, hardware, .. } = stt;
    let place = hardware.weights_mb.keys().cloned().collect::<Vec<_>>().join(", ");
    let said =
        format!("{model} ran on {}", if place.is_empty() { "a device that whisper.cpp did not name" } else { &place });
    let finding = match (gpu_asked, gpu_built, hardware.on_gpu()) {
        (false, ..) => Finding::ok(format!("{said}; stt.gpu is off")),
        (true, false, _) => Finding::fault(
            format!("{said}: stt.gpu is on, and this program is built without the feature cuda"),
            "`make deb FEATURES=cuda` on the board and install that package, or stt.gpu = false",
        ),
        (true, true, Some(true)) => Finding::ok(said),
        (true, true, _) => Finding::fault(
            format!("{said}: stt.gpu is on, and the GPU was not used"),
            "`nvidia-smi` or `tegrastats` must see the GPU, and this user belong to the groups video and render",
        ),
    };
    finding.figure("asked", *gpu_asked).figure("built", *gpu_built).figure("used", hardware.on_gpu())
}

fn voice(voice: &VoiceProof) -> Finding {
    let nodes: usize = voice.providers.values().map(|share| share.nodes).sum();
    let parts = voice.providers.iter().map(|(name, share)| format!("{name} {} of {nodes} nodes", share.nodes));
    let said = format!("{} ran on {}", voice.voice, parts.collect::<Vec<_>>().join(", "));
    let finding = if voice.as_asked() {
        Finding::ok(said)
    } else {
        let asked = format!("{:?}", voice.asked).to_lowercase();
        Finding::fault(
            format!("{said}: tts.provider asks for {asked}, and none of it ran there"),
            "a libonnxruntime with that provider in tts.onnxruntime, with its CUDA and cuDNN; or tts.provider = \"cpu\"",
        )
    };
    finding.figure("model", voice.voice.clone()).figure("used", voice.as_asked())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::{demo, tree};
    use crate::stt::Hardware;
    use crate::tts::Share;

    fn stt(asked: bool, built: bool, device: &str) -> SttProof {
        SttProof {
            model: "small".into(),
            gpu_asked: asked,
            gpu_built: built,
            hardware: Hardware { weights_mb: [(device.to_owned(), 190.0)].into(), gpu: None },
            two_seconds_ms: 900.0,
        }
    }

    #[test]
    fn a_gpu_that_was_asked_for_and_not_used_is_a_fault() {
        assert_eq!(hearing(&stt(false, true, "CPU")).verdict, Verdict::Ok);
        assert_eq!(hearing(&stt(true, true, "CUDA0")).verdict, Verdict::Ok);
        let unused = hearing(&stt(true, true, "CPU"));
        assert!(unused.verdict == Verdict::Fault && unused.figures["used"] == false, "{unused:?}");
        assert!(hearing(&stt(true, false, "CPU")).mend.unwrap().contains("FEATURES=cuda"));
        let cpu = [("CPUExecutionProvider".to_owned(), Share { nodes: 211, ms: 25.0 })];
        let of = |asked| voice(&VoiceProof { voice: "v".into(), asked, providers: cpu.clone().into() });
        assert_eq!((of(Provider::Cpu).verdict, of(Provider::Cuda).verdict), (Verdict::Ok, Verdict::Fault));
    }

    #[test]
    fn a_unit_that_is_closed_to_the_gpu_is_a_fault_with_the_drop_in() {
        let unit = |properties: &[(&str, &str)]| {
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Unit>()
        };
        assert_eq!(shut(&unit(&[])), None, "no unit, no sandbox");
        let sound = ("DeviceAllow", "char-alsa rw char-gpiochip rw");
        let found = shut(&unit(&[("DevicePolicy", "closed"), sound, ("MemoryDenyWriteExecute", "yes")])).unwrap();
        assert!(found.verdict == Verdict::Fault && found.finding.contains("DevicePolicy"), "{found:?}");
        assert!(found.mend.unwrap().contains("gpu.conf"));
        assert_eq!(shut(&unit(&[("DevicePolicy", "auto"), ("MemoryDenyWriteExecute", "no")])), None);
        let own = [("DevicePolicy", "closed"), ("DeviceAllow", "char-alsa rw /dev/nvidia0 rw")];
        assert_eq!(shut(&unit(&own)), None);
        assert!(shut(&unit(&[own[0], own[1], ("MemoryDenyWriteExecute", "yes")])).unwrap().finding.contains("CUDA"));
    }

    #[tokio::test]
    async fn a_jetson_that_computes_on_its_cpu_is_told() {
        let (_root, jetson) = tree(&[("etc/nv_tegra_release", "# R36")]);
        assert_eq!(check(Arc::new(demo(jetson, &[]))).await[0].verdict, Verdict::Warning);
        let (_root, other) = tree(&[]);
        assert_eq!(check(Arc::new(demo(other, &[]))).await[0].verdict, Verdict::Ok);
    }
}
