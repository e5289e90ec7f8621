//! The model files: there, and every byte what the manifest says.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Finding, Patient};
use crate::config::Config;
use crate::models::{ModelError, Models, Verified};
use crate::tts::voice_name;

/// The value of `endpoint.vad` that is no model.
const EARSHOT: &str = "earshot";

/// What a configured model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whisper,
    Voice,
    Vad,
    Turn,
}

/// A configured model.
#[derive(Debug)]
pub(super) struct Model {
    kind: Kind,
    /// As the configuration names it.
    name: String,
    /// Bytes of its files; as the manifest says where they are not there; 0 where nobody knows.
    pub(super) bytes: u64,
}

/// Every model that the configuration names, each once.
pub(super) fn configured(config: &Config) -> Vec<Model> {
    let voices = config.language.listen.iter().chain([&config.language.speak]);
    let mut named = vec![(Kind::Whisper, config.stt.model.as_str())];
    named.extend(voices.filter_map(|&language| Some((Kind::Voice, voice_name(&config.tts, language)?))));
    named.extend((config.endpoint.vad != EARSHOT).then_some((Kind::Vad, config.endpoint.vad.as_str())));
    named.extend(config.endpoint.turn_model.as_deref().map(|name| (Kind::Turn, name)));
    let mut models: Vec<Model> = Vec::new();
    let manifest = Models::open(&config.models).ok();
    for (kind, name) in named {
        if models.iter().all(|model| model.name != name) {
            let there = manifest.as_ref().and_then(|models| files(models, kind, name).ok());
            let sizes = there.map(|files| files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum());
            let said = || {
                let entry = manifest.as_ref()?.manifest().get(name)?;
                Some(entry.files.iter().filter_map(|file| file.size).sum())
            };
            models.push(Model { kind, name: name.to_owned(), bytes: sizes.or_else(said).unwrap_or(0) });
        }
    }
    models
}

/// Its files, as they are opened.
fn files(models: &Models, kind: Kind, name: &str) -> Result<Vec<PathBuf>, ModelError> {
    Ok(match kind {
        Kind::Whisper => vec![models.whisper(name)?.path],
        Kind::Voice => {
            let voice = models.voice(name)?;
            vec![voice.onnx, voice.json]
        }
        Kind::Vad => vec![models.vad(name)?],
        Kind::Turn => vec![models.turn(name)?.onnx],
    })
}

/// Opens it and compares every byte with the manifest, or with what came first.
fn verify(models: &Models, kind: Kind, name: &str) -> Result<Verified, ModelError> {
    match kind {
        Kind::Whisper => models.whisper(name)?.verify(),
        Kind::Voice => models.voice(name)?.verify(),
        Kind::Vad | Kind::Turn => {
            // One that is not there is told in the words of its opening.
            files(models, kind, name)?;
            let Some(entry) = models.manifest().get(name) else { return Ok(Verified::Unknown) };
            let mut reports = models.verify(entry).into_iter();
            reports.try_fold(Verified::Published, |weakest, report| Ok(weakest.max(report.checked?.how())))
        }
    }
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let config = patient.config();
    let found = super::blocking(move || match Models::open(&config.models) {
        Ok(models) => configured(&config).iter().map(|model| one(&models, model)).collect(),
        Err(error) => vec![Finding::fault(error, "correct models.manifest, or leave the key out")],
    });
    found.await.unwrap_or_else(|error| vec![Finding::fault(error, "report this")])
}

fn one(models: &Models, model: &Model) -> Finding {
    let name = &model.name;
    let mb = super::finding::rounded(model.bytes as f64 / 1e6, 1);
    let finding = match verify(models, model.kind, name) {
        Ok(Verified::Published) => Finding::ok(format!("{name}: {mb} MB, the hash is the manifest's")),
        Ok(Verified::Pinned) => {
            Finding::ok(format!("{name}: {mb} MB, as it came first; nobody publishes a hash of it"))
        }
        Ok(Verified::Unknown) => {
            Finding::ok(format!("{name}: {mb} MB; there is nothing to compare it with, so it is taken as it is"))
        }
        // What cannot be had by that name is a matter of the configuration.
        Err(error @ (ModelError::Unknown { .. } | ModelError::Manifest { .. })) => {
            Finding::fault(error, "give one of these names, or the path of a file that is there")
        }
        Err(error) if name.contains('/') => Finding::fault(error, "put the file there again"),
        // Silero is the only one without which the speaker works: earshot takes its place.
        Err(error) if model.kind == Kind::Vad => Finding::warning(
            format!("{error}; until then earshot hears who speaks"),
            format!("`elio models fetch {name}`"),
        ),
        Err(error) => Finding::fault(error, format!("`elio models fetch {name}`")),
    };
    finding.figure("model", name.clone()).figure("bytes", model.bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::doctor::tests::demo;
    use crate::doctor::{Machine, Verdict};

    async fn found(set: &[&str]) -> Vec<Finding> {
        check(Arc::new(demo(Machine::this(), set))).await
    }

    #[tokio::test]
    async fn the_demos_models_are_whole() {
        let found = found(&[]).await;
        assert!(found.len() == 3 && found.iter().all(|finding| finding.verdict == Verdict::Ok), "{found:?}");
        assert!(found[2].figures["model"] == "silero-vad" && found[2].finding.contains("hash is the manifest's"));
    }

    #[tokio::test]
    async fn a_missing_one_and_a_damaged_one_name_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let set = format!("models.dirs=[\"{}\"]", dir.path().display());
        let missing = found(&[&set, "endpoint.vad=\"earshot\""]).await;
        assert_eq!(missing.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Fault; 2]);
        assert_eq!(missing[0].mend.as_deref(), Some("`elio models fetch whisper-demo`"));
        assert!(missing[0].figures["bytes"].as_u64() > Some(7_000_000), "what it will need is known");

        let silero = "silero_vad_16k_op15.onnx";
        let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(silero)).unwrap();
        let mut damaged = whole;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(dir.path().join(silero), damaged).unwrap();
        let damaged = &found(&[&set]).await[2];
        assert!(damaged.verdict == Verdict::Warning && damaged.finding.contains("is damaged"), "{damaged:?}");
        let unknown = &found(&["stt.model=\"whisper-nobody\""]).await[0];
        assert!(unknown.verdict == Verdict::Fault && unknown.finding.contains("known: "), "{unknown:?}");
    }
}
