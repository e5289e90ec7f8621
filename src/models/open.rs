//! Opening a model by its name in the manifest or by the path of its file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::bad;
use super::find::beside;
use super::{Entry, FileEntry, Kind, ModelError, Models, VoiceKind, ggml};
use crate::config::Language;

/// What Whisper's own models need, for a file that the manifest does not know.
const AUDIO_CTX_MIN: u32 = 512;

/// A Whisper model whose file is there and begins as it should.
#[derive(Clone, Debug)]
pub struct WhisperModel {
    /// Its name in the manifest, or the path that was given.
    pub name: String,
    /// The ggml file.
    pub path: PathBuf,
    /// The languages of Elio's that it knows.
    pub languages: Vec<Language>,
    /// The encoder context is never shorter, in positions of 20 ms.
    pub audio_ctx_min: u32,
    /// The encoder context is never longer, in positions of 20 ms.
    pub audio_ctx_max: u32,
    /// It can tell languages apart.
    pub multilingual: bool,
    pub(super) file: Found,
}

/// A voice whose files are there and begin as they should.
#[derive(Clone, Debug)]
pub struct VoiceModel {
    /// Its name in the manifest, or the path that was given.
    pub name: String,
    /// The network.
    pub onnx: PathBuf,
    /// What goes with it: Piper's configuration, or the token table of MMS-TTS.
    pub json: PathBuf,
    /// Whose interface it has.
    pub kind: VoiceKind,
    /// The languages that it speaks; every one where a path was given and the manifest does not know the file.
    pub languages: Vec<Language>,
    /// Rate of its sound in Hz, where the manifest says it.
    pub sample_rate: Option<u32>,
    /// The espeak-ng voice of each language, where the manifest says it.
    pub espeak: BTreeMap<Language, String>,
    pub(super) files: [Found; 2],
}

/// A turn model whose file is there and begins as it should.
#[derive(Clone, Debug)]
pub struct TurnModel {
    /// Its name in the manifest, or the path that was given.
    pub name: String,
    /// The network.
    pub onnx: PathBuf,
}

/// A file that was found, with what the manifest says of it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) entry: Option<FileEntry>,
    /// What to do where it is not what it should be.
    pub(super) mend: String,
}

impl Found {
    fn bad(&self, fault: String) -> ModelError {
        bad(&self.path, format!("{fault}: {}", self.mend))
    }
}

impl Models {
    /// Opens a Whisper model by its name in the manifest or by the path of a ggml file.
    pub fn whisper(&self, name_or_path: &str) -> Result<WhisperModel, ModelError> {
        let whispers = |entry: &&Entry| matches!(entry.kind, Kind::Whisper { .. });
        let (entry, path) = match self.manifest.models.iter().filter(whispers).find(|e| e.name == name_or_path) {
            Some(entry) => (Some(entry), self.find(entry, &entry.files[0])?),
            None => {
                let path = self.as_path(name_or_path, whispers)?;
                (self.manifest.models.iter().filter(whispers).find(|e| e.files[0].is(&path)), path)
            }
        };
        let name = entry.map_or(name_or_path, |e| &e.name).to_owned();
        let file = check_size(path, entry, 0)?;
        let outline = ggml::outline(&file.path).map_err(|fault| file.bad(fault))?;
        let audio_ctx_min = match entry.map(|e| &e.kind) {
            Some(Kind::Whisper { audio_ctx_min }) => *audio_ctx_min,
            _ => AUDIO_CTX_MIN,
        };
        let languages = match entry {
            Some(entry) => entry.languages.clone(),
            None if outline.multilingual => vec![Language::En, Language::Fr],
            None => vec![Language::En],
        };
        Ok(WhisperModel {
            name,
            path: file.path.clone(),
            languages,
            audio_ctx_min: audio_ctx_min.min(outline.audio_ctx_max),
            audio_ctx_max: outline.audio_ctx_max,
            multilingual: outline.multilingual,
            file,
        })
    }

    /// Opens a voice by its name in the manifest or by the path of its ONNX file; beside that stands `X.onnx.json`
    /// (Piper) or `X.json` (MMS-TTS).
    pub fn voice(&self, name_or_path: &str) -> Result<VoiceModel, ModelError> {
        let voices = |entry: &&Entry| matches!(entry.kind, Kind::Voice { .. });
        let (entry, onnx, json) = match self.manifest.models.iter().filter(voices).find(|e| e.name == name_or_path) {
            Some(entry) => (Some(entry), self.find(entry, &entry.files[0])?, self.find(entry, &entry.files[1])?),
            None => {
                let onnx = self.as_path(name_or_path, voices)?;
                let json = beside(&onnx)?;
                (self.manifest.models.iter().filter(voices).find(|e| e.files[0].is(&onnx)), onnx, json)
            }
        };
        let name = entry.map_or(name_or_path, |e| &e.name).to_owned();
        let onnx = check_size(onnx, entry, 0)?;
        check_onnx(&onnx.path).map_err(|fault| onnx.bad(fault))?;
        let json = check_size(json, entry, 1)?;
        check_json(&json.path).map_err(|fault| json.bad(fault))?;
        let (kind, sample_rate, espeak) = match entry.map(|e| &e.kind) {
            Some(Kind::Voice { voice, sample_rate, espeak }) => (*voice, Some(*sample_rate), espeak.clone()),
            _ if json.path.to_string_lossy().ends_with(".onnx.json") => (VoiceKind::Piper, None, BTreeMap::new()),
            _ => (VoiceKind::Mms, None, BTreeMap::new()),
        };
        Ok(VoiceModel {
            name,
            onnx: onnx.path.clone(),
            json: json.path.clone(),
            kind,
            languages: entry.map_or_else(|| vec![Language::En, Language::Fr], |e| e.languages.clone()),
            sample_rate,
            espeak,
            files: [onnx, json],
        })
    }

    /// Opens a turn model by its name in the manifest or by the path of its ONNX file.
    pub fn turn(&self, name_or_path: &str) -> Result<TurnModel, ModelError> {
        let turns = |entry: &&Entry| matches!(entry.kind, Kind::Turn);
        let (entry, path) = match self.manifest.models.iter().filter(turns).find(|e| e.name == name_or_path) {
            Some(entry) => (Some(entry), self.find(entry, &entry.files[0])?),
            None => (None, self.as_path(name_or_path, turns)?),
        };
        let onnx = check_size(path, entry, 0)?;
        check_onnx(&onnx.path).map_err(|fault| onnx.bad(fault))?;
        Ok(TurnModel { name: name_or_path.to_owned(), onnx: onnx.path })
    }

    /// Finds the network of a VAD model by its name in the manifest or by the path of its ONNX file. One that is not in
    /// the folders of models is taken from where Elio's own files lie.
    pub fn vad(&self, name_or_path: &str) -> Result<PathBuf, ModelError> {
        let vads = |entry: &&Entry| matches!(entry.kind, Kind::Vad);
        let (entry, path) = match self.manifest.models.iter().filter(vads).find(|e| e.name == name_or_path) {
            Some(entry) => (Some(entry), self.find(entry, &entry.files[0])?),
            None => (None, self.as_path(name_or_path, vads)?),
        };
        let onnx = check_size(path, entry, 0)?;
        check_onnx(&onnx.path).map_err(|fault| onnx.bad(fault))?;
        Ok(onnx.path)
    }
}

impl Entry {
    /// How a bad file of it is mended.
    pub(super) fn again(&self) -> String {
        match self.files.iter().any(|file| file.url.is_some()) {
            true => format!("replace it: `elio models fetch {}`", self.name),
            false => "replace it".to_owned(),
        }
    }
}

impl FileEntry {
    /// The file at `path` is this one, by name and size: a model that is given by path keeps what the manifest knows.
    fn is(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == self.file.as_str())
            && self.size.is_none_or(|size| fs::metadata(path).is_ok_and(|m| m.len() == size))
    }
}

/// Looks at a file as at an opening, by the name that it has. The fault completes "FILE ...".
pub(super) fn check_kind(path: &Path, entry: &Entry, file: &str) -> Result<(), String> {
    if file.ends_with(".onnx") {
        check_onnx(path)
    } else if file.ends_with(".json") {
        check_json(path)
    } else if matches!(entry.kind, Kind::Whisper { .. }) {
        ggml::outline(path).map(drop)
    } else {
        Ok(())
    }
}

fn check_size(path: PathBuf, entry: Option<&Entry>, file: usize) -> Result<Found, ModelError> {
    let mend = entry.map_or_else(|| "replace it".to_owned(), Entry::again);
    let entry = entry.and_then(|entry| entry.files.get(file)).cloned();
    if let Some(want) = entry.as_ref().and_then(|entry| entry.size) {
        let size = fs::metadata(&path).map_err(|error| bad(&path, format!("cannot be read: {error}")))?.len();
        if size != want {
            let what = if size < want { "is truncated" } else { "is another file" };
            return Err(bad(&path, format!("{what}: {size} bytes, the manifest says {want}: {mend}")));
        }
    }
    Ok(Found { path, entry, mend })
}

/// The first field of an ONNX model is its IR version, a varint: tag 0x08, then a small number.
fn check_onnx(path: &Path) -> Result<(), String> {
    match head(path)?[..] {
        [0x08, 1..=0x20, ..] => Ok(()),
        [] => Err("is empty".to_owned()),
        _ => Err("is not an ONNX model".to_owned()),
    }
}

fn check_json(path: &Path) -> Result<(), String> {
    match head(path)?.trim_ascii_start().starts_with(b"{") {
        true => Ok(()),
        false => Err("is not a JSON object".to_owned()),
    }
}

/// The first bytes of a file, at most 64.
fn head(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
}
