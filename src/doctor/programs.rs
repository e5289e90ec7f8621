//! What Elio uses and does not contain: libonnxruntime and espeak-ng.

use std::fs;
use std::sync::Arc;

use super::{Finding, Machine, Patient};
use crate::config::Language;
use crate::onnx;

pub(super) async fn onnxruntime(patient: Arc<Patient>) -> Vec<Finding> {
    let configured = patient.config().tts.onnxruntime;
    let work = patient.clone();
    let opened = super::blocking(move || {
        onnx::environment(configured.as_deref())?;
        let file = mapped(&work.machine).ok_or("it was opened, and the kernel does not name its file")?;
        let version = fs::read(&file).ok().and_then(|bytes| version(&bytes));
        Ok::<_, String>((file, version))
    });
    vec![match opened.await.and_then(|opened| opened) {
        Ok((file, version)) => {
            let said = version
                .as_ref()
                .map_or_else(|| "of a version that it does not tell".to_owned(), |v| format!("version {v}"));
            Finding::ok(format!("{file}: {said}")).figure("file", file).figure("version", version)
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

/// The version of its symbols, `VERS_1.31.1`: the library's build information names a branch, which tells less.
fn version(library: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"VERS_";
    let places = library.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let texts = places.filter_map(|(at, _)| library.get(at + MARK.len()..)).map(|rest| {
        rest.iter()
            .map(|byte| char::from(*byte))
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .take(16)
            .collect::<String>()
    });
    texts.into_iter().find(|text| text.contains('.'))
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
    fn the_version_is_that_of_the_symbols() {
        assert_eq!(version(b"\0VERS_\0OrtGetApiBase\0VERS_1.31.1\0").as_deref(), Some("1.31.1"));
        assert_eq!(version(b"no library"), None);
    }

    #[tokio::test]
    async fn both_are_there_and_one_that_is_not_is_named() {
        let patient = Arc::new(demo(Machine::this(), &[]));
        let runtime = &onnxruntime(patient.clone()).await[0];
        assert!(runtime.verdict == Verdict::Ok && runtime.finding.contains("libonnxruntime.so"), "{runtime:?}");
        assert!(runtime.figures["version"].as_str().unwrap().starts_with("1."), "{runtime:?}");
        let espeak_ng = &espeak(patient).await[0];
        assert!(espeak_ng.verdict == Verdict::Ok && espeak_ng.finding.contains("fr-fr"), "{espeak_ng:?}");
        let patient = Arc::new(demo(Machine::this(), &["tts.espeak=\"/nowhere/espeak\""]));
        let none = &espeak(patient).await[0];
        assert!(none.verdict == Verdict::Fault && none.finding.contains("/nowhere/espeak"), "{none:?}");
    }
}
