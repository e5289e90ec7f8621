//! The manifest: which model files exist, what they are for, and what they must be.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Algorithm;
use crate::config::Language;

/// Every model of a manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The models, in the order of the file.
    #[serde(rename = "model", default)]
    pub models: Vec<Entry>,
}

/// One model.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// What the configuration calls it.
    pub name: String,
    /// What it is for, in words.
    #[serde(rename = "use")]
    pub purpose: String,
    /// SPDX expression, or the licence in words.
    pub licence: String,
    /// Who publishes it.
    pub source: String,
    /// The languages among Elio's that it knows, never empty.
    pub languages: Vec<Language>,
    /// What depends on its kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// Its files, never empty.
    #[serde(rename = "file")]
    pub files: Vec<FileEntry>,
}

/// What a model is.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A ggml file of whisper.cpp.
    Whisper {
        /// The shortest encoder context, in positions of 20 ms, at which it hears well.
        audio_ctx_min: u32,
    },
    /// A VITS voice in ONNX.
    Voice {
        /// Whose interface the network has.
        #[serde(rename = "type")]
        voice: VoiceKind,
        /// Rate of its sound, in Hz.
        sample_rate: u32,
        /// The espeak-ng voice that gives its phonemes, by language; empty for a voice that reads characters.
        #[serde(default)]
        espeak: BTreeMap<Language, String>,
    },
    /// A Smart Turn v3 network in ONNX.
    Turn,
    /// A Silero VAD network in ONNX.
    Vad,
}

/// Whose interface a voice has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoiceKind {
    /// Piper: phonemes of espeak-ng, `X.onnx` and `X.onnx.json`.
    Piper,
    /// MMS-TTS: characters, `X.onnx` and `X.json`.
    Mms,
}

/// One file of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the folders of models.
    pub file: String,
    /// Where it is downloaded from, over HTTPS; none: it comes with Elio.
    pub url: Option<String>,
    /// Bytes; none: nobody publishes it.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal. Where there is none, the first download is pinned on the device.
    pub sha256: Option<String>,
    /// SHA-1 in lower-case hexadecimal.
    pub sha1: Option<String>,
    /// MD5 in lower-case hexadecimal.
    pub md5: Option<String>,
    /// Where size and hashes were read, or why there are none.
    pub verify: Option<String>,
}

impl FileEntry {
    /// The hashes that are given, strongest first.
    pub fn hashes(&self) -> impl Iterator<Item = (Algorithm, &str)> {
        let all = [(Algorithm::Sha256, &self.sha256), (Algorithm::Sha1, &self.sha1), (Algorithm::Md5, &self.md5)];
        all.into_iter().filter_map(|(algorithm, hash)| Some((algorithm, hash.as_deref()?)))
    }

    fn check(&self) -> Result<(), String> {
        let file = &self.file;
        if file.contains('/') {
            return Err(format!("{file}: a file name, not a path"));
        }
        for (algorithm, hash) in self.hashes() {
            let digits = algorithm.digits();
            if !(hash.len() == digits && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))) {
                let key = algorithm.name().to_lowercase().replace('-', "");
                return Err(format!("{file}: {key} is {digits} lower-case hexadecimal digits"));
            }
        }
        let hashed = self.hashes().next().is_some();
        if self.size.is_some() != hashed {
            return Err(format!("{file}: size and a hash are given together or not at all"));
        }
        if self.verify.is_none() && (!hashed || self.url.is_some()) {
            let why = if hashed { "says where the hash was read" } else { "says why there is no hash" };
            return Err(format!("{file}: `verify` {why}"));
        }
        if self.url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
            return Err(format!("{file}: url begins with https://"));
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads a manifest. The error says, in one line, what is wrong and in which model.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message().lines().collect::<Vec<_>>().join(", "))
        })?;
        let mut names = BTreeSet::new();
        for entry in &manifest.models {
            if !names.insert(&entry.name) {
                return Err(format!("model {}: the name stands twice", entry.name));
            }
            entry.check().map_err(|fault| format!("model {}: {fault}", entry.name))?;
        }
        Ok(manifest)
    }

    /// The model of that name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.name == name)
    }
}

impl Entry {
    fn check(&self) -> Result<(), String> {
        if self.languages.is_empty() {
            return Err("no language".into());
        }
        let files: Vec<&str> = self.files.iter().map(|f| f.file.as_str()).collect();
        match &self.kind {
            Kind::Whisper { .. } if files.len() != 1 => return Err("Whisper has one file".into()),
            Kind::Voice { .. } if !(files.len() == 2 && files[0].ends_with(".onnx") && files[1].ends_with(".json")) => {
                return Err("a voice has two files, the .onnx and then its .json".into());
            }
            Kind::Turn if files.len() != 1 => return Err("a turn model has one file".into()),
            Kind::Vad if files.len() != 1 => return Err("a VAD model has one file".into()),
            _ => {}
        }
        self.files.iter().try_for_each(FileEntry::check)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHISPER: &str = "[[model]]\nname='w'\nkind='whisper'\nuse='u'\nlicence='MIT'\nsource='s'\nlanguages=['en']\n\
                           audio_ctx_min=64\n";

    #[test]
    fn a_pinned_model_is_read() {
        let text = format!("{WHISPER}[[model.file]]\nfile='w.bin'\nsize=3\nsha256='{}'\n", "0".repeat(64));
        let manifest = Manifest::parse(&text).unwrap();
        let entry = manifest.get("w").unwrap();
        assert!(matches!(entry.kind, Kind::Whisper { audio_ctx_min: 64 }));
        assert_eq!(entry.files[0].size, Some(3));
        assert!(manifest.get("x").is_none());
    }

    #[test]
    fn each_fault_names_the_model_or_the_line() {
        let file = "[[model.file]]\nfile='w.bin'\nverify='none'\n";
        for (text, want) in [
            (format!("{WHISPER}{file}{WHISPER}{file}"), "model w: the name stands twice"),
            (format!("{WHISPER}[[model.file]]\nfile='a/b'\nverify='none'\n"), "model w: a/b: a file name, not a path"),
            (format!("{WHISPER}[[model.file]]\nfile='b'\n"), "model w: b: `verify` says why there is no hash"),
            (format!("{WHISPER}[[model.file]]\nfile='b'\nmd5='00'\n"), "model w: b: md5 is 32"),
            (format!("{WHISPER}{file}url='http://h/w.bin'\n"), "model w: w.bin: url begins with https://"),
            (
                format!("{WHISPER}[[model.file]]\nfile='b'\nurl='https://h/b'\nsize=1\nsha1='{}'\n", "0".repeat(40)),
                "model w: b: `verify` says where the hash was read",
            ),
            (format!("{WHISPER}[[model.file]]\nfile='b'\nsize=1\n"), "model w: b: size and a hash"),
            (format!("{WHISPER}[[model.file]]\nfile='b'\nsize=1\nsha256='AB'\n"), "model w: b: sha256 is 64"),
            (format!("{WHISPER}{file}{file}"), "model w: Whisper has one file"),
            (format!("{}{file}{file}", WHISPER.replace("whisper", "turn")), "model w: a turn model has one file"),
            (format!("{}{file}{file}", WHISPER.replace("whisper", "vad")), "model w: a VAD model has one file"),
            ("[[model]]\nname='w'\nkind='oracle'\n".to_string(), "line 1: "),
            ("[[model]\n".to_string(), "line 1: "),
        ] {
            let fault = Manifest::parse(&text).unwrap_err();
            assert!(fault.starts_with(want), "{fault:?} does not start with {want:?}");
            assert!(!fault.contains('\n'), "more than one line: {fault:?}");
        }
    }
}
