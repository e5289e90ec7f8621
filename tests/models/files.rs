//! The models of the repository against the manifest, and every kind of bad model file.

use std::fs;
use std::path::{Path, PathBuf};

use elio::config::{Language, ModelsSettings};
use elio::models::{ModelError, Models, Verified, VoiceKind};
use sha2::{Digest, Sha256};

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")
}

fn models(dirs: &[&Path]) -> Models {
    Models::open(&ModelsSettings { dirs: dirs.iter().map(PathBuf::from).collect(), manifest: None }).unwrap()
}

fn line(error: ModelError) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n'), "more than one line: {line}");
    line
}

#[test]
fn every_model_file_of_the_repository_is_the_one_of_the_manifest() {
    let models = models(&[&demo()]);
    let mut listed = Vec::new();
    for entry in &models.manifest().models {
        assert!(!entry.licence.is_empty() && !entry.source.is_empty() && !entry.purpose.is_empty(), "{}", entry.name);
        for file in &entry.files {
            let path = demo().join(&file.file);
            if path.exists() {
                assert_eq!(Some(fs::metadata(&path).unwrap().len()), file.size, "{}", file.file);
                listed.push(file.file.clone());
            } else {
                assert!(file.url.is_some(), "{}: no url", file.file);
            }
        }
    }
    for found in fs::read_dir(demo()).unwrap().map(|entry| entry.unwrap()) {
        let name = found.file_name().into_string().unwrap();
        let is_model = [".bin", ".onnx", ".json"].iter().any(|end| name.ends_with(end));
        assert!(!is_model || listed.contains(&name), "models/demo/{name} is not in the manifest");
    }
    assert_eq!(models.whisper("whisper-demo").unwrap().verify().unwrap(), Verified::Published);
    assert_eq!(models.voice("voice-demo").unwrap().verify().unwrap(), Verified::Published);
}

/// What issue and docs promise to be there, each with an address and with what it is told from another file by.
#[test]
fn the_manifest_has_the_models_that_the_docs_name() {
    let models = models(&[]);
    let pinned = |name: &str| {
        let entry = models.manifest().get(name).unwrap_or_else(|| panic!("{name} is not in the manifest"));
        entry.files.iter().all(|file| file.url.is_some() && file.hashes().next().is_some())
    };
    for name in ["whisper-tiny-q5_1", "whisper-base-q5_1", "whisper-small-q5_1", "whisper-large-v3-turbo-q5_0"] {
        assert!(pinned(name), "{name}");
    }
    for name in ["en_US-lessac-medium", "en_US-ljspeech-medium", "fr_FR-siwis-medium", "fr_FR-mls-medium"] {
        assert!(pinned(name), "{name}");
    }
    assert!(pinned("silero-vad") && pinned("smart-turn-v3.2"));
    // Of these nobody names a hash: they are pinned at the first download, and the manifest says so.
    for name in ["mms-tts-eng", "mms-tts-fra"] {
        let entry = models.manifest().get(name).unwrap();
        assert!(entry.files.iter().all(|file| file.hashes().next().is_none() && file.verify.is_some()), "{name}");
        assert!(entry.licence.contains("NC"), "{name}");
    }
}

#[test]
fn the_vad_model_is_found_without_a_folder_of_models() {
    let vad = models(&[]).vad("silero-vad").unwrap();
    let bytes = fs::read(&vad).unwrap();
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let known = models(&[]);
    assert_eq!(known.manifest().get("silero-vad").unwrap().files[0].sha256, Some(hash));
    assert_eq!(models(&[]).vad(vad.to_str().unwrap()).unwrap(), vad);
    let fault = line(models(&[]).vad("voice-demo").unwrap_err());
    assert!(fault.contains("no such name") && fault.ends_with("known: silero-vad"), "{fault}");
}

#[test]
fn a_name_gives_what_the_manifest_knows() {
    let models = models(&[Path::new("/nonexistent"), &demo()]);
    let whisper = models.whisper("whisper-demo").unwrap();
    assert_eq!((whisper.name.as_str(), whisper.audio_ctx_min, whisper.audio_ctx_max), ("whisper-demo", 64, 1500));
    assert!(whisper.multilingual);
    assert_eq!(whisper.languages, [Language::En, Language::Fr]);
    let voice = models.voice("voice-demo").unwrap();
    assert_eq!((voice.kind, voice.sample_rate), (VoiceKind::Piper, Some(16_000)));
    assert_eq!(voice.json, demo().join("voice-demo.onnx.json"));
    assert_eq!(voice.espeak[&Language::Fr], "fr-fr");
}

#[test]
fn a_path_is_taken_and_keeps_what_the_manifest_knows_of_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let models = models(&[]);
    let same = models.whisper(demo().join("whisper-demo-q5_1.bin").to_str().unwrap()).unwrap();
    assert_eq!((same.name.as_str(), same.audio_ctx_min), ("whisper-demo", 64));
    let own = dir.path().join("own.bin");
    fs::copy(demo().join("whisper-demo-q5_1.bin"), &own).unwrap();
    let own = models.whisper(own.to_str().unwrap()).unwrap();
    assert_eq!(own.audio_ctx_min, 512);
    assert_eq!(own.verify().unwrap(), Verified::Unknown);

    let voice = dir.path().join("v.onnx");
    fs::copy(demo().join("voice-demo.onnx"), &voice).unwrap();
    fs::write(dir.path().join("v.json"), "{}").unwrap();
    assert_eq!(models.voice(voice.to_str().unwrap()).unwrap().kind, VoiceKind::Mms);
    fs::copy(demo().join("voice-demo.onnx.json"), dir.path().join("v.onnx.json")).unwrap();
    assert_eq!(models.voice(voice.to_str().unwrap()).unwrap().kind, VoiceKind::Piper);
}

#[test]
fn what_is_missing_is_named_with_where_it_was_looked_for() {
    let models = models(&[Path::new("/srv/first"), Path::new("/srv/second")]);
    let fault = line(models.whisper("whisper-base-q5_1").unwrap_err());
    let command = "`elio models fetch whisper-base-q5_1`";
    for part in ["whisper-base-q5_1", "ggml-base-q5_1.bin", "/srv/first or /srv/second", command, "from https://"] {
        assert!(fault.contains(part), "{part} is not in: {fault}");
    }
    let fault = line(models.whisper("whisper-huge").unwrap_err());
    assert!(fault.contains("whisper-huge") && fault.contains("known: whisper-demo, whisper-tiny-q5_1"), "{fault}");
    assert!(!fault.contains("voice-demo"), "{fault}");
    let fault = line(models.voice("/srv/none.onnx").unwrap_err());
    assert!(fault.contains("/srv/none.onnx does not exist"), "{fault}");
    let fault = line(models.whisper(demo().to_str().unwrap()).unwrap_err());
    assert!(fault.contains("is not a file"), "{fault}");
}

#[test]
fn a_whisper_file_that_is_not_one_is_refused_before_it_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(demo().join("whisper-demo-q5_1.bin")).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let last = good.len() - 1;
    for (file, want) in [
        (b"# a text file\nthat is called a model\n".to_vec(), "it begins like a text file"),
        (with(0, &[0, 1, 2, 3]), "does not begin with ggml's magic"),
        (Vec::new(), "is empty"),
        (good[..20].to_vec(), "is truncated: it ends after 20 bytes"),
        (good[..100_000].to_vec(), "is truncated: it ends after 100000 bytes"),
        (good[..last].to_vec(), "is truncated"),
        ([good.as_slice(), b"more"].concat(), "4 bytes follow"),
        // Zero heads, which whisper.cpp would divide by; a billion layers; a mel count that no Whisper has.
        (with(16, &[0; 4]), "header does not describe a Whisper model"),
        (with(20, &[0xff; 4]), "header does not describe a Whisper model"),
        (with(40, &[81]), "header does not describe a Whisper model"),
        (with(48, &[79]), "mel filters do not fit"),
    ] {
        let path = dir.path().join("broken.bin");
        fs::write(&path, file).unwrap();
        let fault = line(models(&[]).whisper(path.to_str().unwrap()).unwrap_err());
        assert!(fault.contains(want) && fault.contains("broken.bin"), "{fault:?} does not say {want:?}");
    }
}

#[test]
fn a_file_of_the_manifest_with_another_size_or_content_says_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whisper-demo-q5_1.bin");
    let mut file = fs::read(demo().join("whisper-demo-q5_1.bin")).unwrap();
    fs::write(&path, &file[..4_000_000]).unwrap();
    let fault = line(models(&[dir.path()]).whisper("whisper-demo").unwrap_err());
    let told = format!("is truncated: 4000000 bytes, the manifest says {}", file.len());
    assert!(fault.contains(&told), "{fault}");

    *file.last_mut().unwrap() ^= 1;
    fs::write(&path, &file).unwrap();
    let models = models(&[dir.path()]);
    let mut files = models.manifest().models.iter().flat_map(|entry| &entry.files);
    let pinned = files.find(|file| file.file == "whisper-demo-q5_1.bin").unwrap().sha256.clone().unwrap();
    let fault = line(models.whisper("whisper-demo").unwrap().verify().unwrap_err());
    assert!(fault.contains("is damaged: SHA-256") && fault.contains(&pinned), "{fault}");
}

#[test]
fn a_voice_that_is_not_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let onnx = dir.path().join("v.onnx");
    let open = || line(models(&[]).voice(onnx.to_str().unwrap()).unwrap_err());
    fs::write(&onnx, "just text").unwrap();
    assert!(open().contains("v.onnx.json does not exist"), "{}", open());
    fs::write(dir.path().join("v.onnx.json"), "[]").unwrap();
    assert!(open().contains("v.onnx is not an ONNX model"), "{}", open());
    fs::write(&onnx, "").unwrap();
    assert!(open().contains("v.onnx is empty"), "{}", open());
    fs::copy(demo().join("voice-demo.onnx"), &onnx).unwrap();
    assert!(open().contains("v.onnx.json is not a JSON object"), "{}", open());
}

#[test]
fn a_manifest_of_ones_own_replaces_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("manifest.toml");
    let open = || Models::open(&ModelsSettings { dirs: vec![demo()], manifest: Some(path.clone()) });
    assert!(line(open().unwrap_err()).contains("manifest.toml: cannot be read"));
    fs::write(&path, "[[model]]\nname = 3\n").unwrap();
    assert!(line(open().unwrap_err()).contains("manifest.toml: line "));
    fs::write(
        &path,
        "[[model]]\nname='mine'\nkind='whisper'\nuse='u'\nlicence='MIT'\nsource='s'\nlanguages=['fr']\n\
         audio_ctx_min=200\n[[model.file]]\nfile='whisper-demo-q5_1.bin'\nverify='none'\n",
    )
    .unwrap();
    let models = open().unwrap();
    let mine = models.whisper("mine").unwrap();
    assert_eq!((mine.audio_ctx_min, mine.languages.as_slice()), (200, [Language::Fr].as_slice()));
    assert_eq!(mine.verify().unwrap(), Verified::Unknown);
    assert!(matches!(models.whisper("whisper-demo"), Err(ModelError::Unknown { .. })));
}
