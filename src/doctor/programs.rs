//! What Elio uses and does not contain: libonnxruntime and espeak-ng.

use std::sync::Arc;

use super::{Finding, Machine, Patient};
use crate::config::Language;
use crate::onnx;

pub(super) async fn onnxruntime(patient: Arc<Patient>) -> Vec<Finding> {
    let configured = patient.config().tts.onnxruntime;
    let opened = super::blocking(move || onnx::environment(configured.as_deref()).map(|_| ort::info().to_owned()));
    vec![match opened.await.and_then(|opened| opened) {
        Ok(info) => {
            let file = mapped(&patient.machine).unwrap_or_else(|| "a file that the kernel does not name".to_owned());
            Finding::ok(format!("{file}: {}", version(&info))).figure("file", file).figure("version", version(&info))
        }
        Err(error) => Finding::fault(error, "`make setup`, reinstall the package, or set tts.onnxruntime"),
    }]
}

/// The file of the library that this process has opened, by the kernel's word: links are resolved there.
fn mapped(machine: &Machine) -> Option<String> {
    let maps = machine.read("/proc/self/maps")?;
    let line = maps.lines().find(|line| line.contains("/libonnxruntime.so"))?;
    line.find('/').map(|at| line[at..].to_owned())
}

/// The branch in `ORT Build Info: git-branch=rel-1.31.1, git-commit-id=…, build type=…`.
fn version(info: &str) -> &str {
    let branch = info.split(['=', ',']).find_map(|part| part.trim().strip_prefix("rel-"));
    branch.unwrap_or_else(|| info.trim_start_matches("ORT Build Info:").trim())
}

pub(super) async fn espeak(patient: Arc<Patient>) -> Vec<Finding> {
    let config = patient.config();
    let program = &config.tts.espeak;
    let mend = "install the package espeak-ng, or set tts.espeak";
    let version = match patient.machine.run(program, &["--version"]).await {
        Ok(said) => said
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or("?")
            .to_owned(),
        Err(error) => return vec![Finding::fault(error, mend)],
    };
    let mut spoken = Vec::new();
    for language in &config.language.listen {
        let (voice, word) = match language {
            Language::En => ("en-us", "hello"),
            Language::Fr => ("fr-fr", "bonjour"),
        };
        match patient.machine.run(program, &["-q", "--ipa", "-v", voice, word]).await {
            Ok(phonemes) if !phonemes.trim().is_empty() => spoken.push(voice),
            Ok(_) => return vec![Finding::fault(format!("espeak-ng {version} has nothing to say in {voice}"), mend)],
            Err(error) => return vec![Finding::fault(format!("voice {voice}: {error}"), mend)],
        }
    }
    vec![Finding::ok(format!("espeak-ng {version} answers in {}", spoken.join(" and "))).figure("version", version)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::tests::demo;

    #[test]
    fn the_version_is_that_of_the_branch() {
        let info = "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=0123abc, build type=Release";
        assert_eq!(version(info), "1.31.1");
        assert_eq!(version("ORT Build Info: git-branch=main, x"), "git-branch=main, x");
    }

    #[tokio::test]
    async fn both_are_there_and_one_that_is_not_is_named() {
        let patient = Arc::new(demo(Machine::this(), &[]));
        let runtime = &onnxruntime(patient.clone()).await[0];
        assert!(runtime.verdict == Verdict::Ok && runtime.finding.contains("libonnxruntime.so"), "{runtime:?}");
        let espeak_ng = &espeak(patient).await[0];
        assert!(espeak_ng.verdict == Verdict::Ok && espeak_ng.finding.contains("fr-fr"), "{espeak_ng:?}");
        let patient = Arc::new(demo(Machine::this(), &["tts.espeak=\"/nowhere/espeak\""]));
        let none = &espeak(patient).await[0];
        assert!(none.verdict == Verdict::Fault && none.finding.contains("/nowhere/espeak"), "{none:?}");
    }
}
