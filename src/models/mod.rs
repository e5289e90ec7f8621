//! The manifest of models, and verification against it: a name of the configuration in, checked files out.
//!
//! Opening a model looks at what is cheap (it is there, its size is the manifest's, it begins like what it should be);
//! [`WhisperModel::verify`] and [`VoiceModel::verify`] read every byte.

mod ggml;
mod manifest;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::{Language, ModelsSettings};
pub use manifest::{Entry, FileEntry, Kind, Manifest, VoiceKind};

/// The manifest of the repository, built in.
const BUILT_IN: &str = include_str!("../../models/manifest.toml");

/// What Whisper's own models need, for a file that the manifest does not know.
const AUDIO_CTX_MIN: u32 = 512;

/// Why a model cannot be used. Each is a fault of the configuration or of a file that it names: the caller shows the
/// line and exits with 78; trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest named in `models.manifest` cannot be used: the caller stops.
    #[error("models.manifest {path}: {fault}", path = path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// Neither a name of the manifest nor a file: the caller shows the names that exist.
    #[error("model {name}: no such name in the manifest and no such file; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of that kind, separated by commas.
        known: String,
    },
    /// A file is not there: the caller shows where it was looked for.
    #[error("model {model}: {file} is not in {dirs}: put the file there, it comes {from}")]
    Missing {
        /// The model.
        model: String,
        /// Its file.
        file: String,
        /// The folders, joined by `or`.
        dirs: String,
        /// Where it comes from: `from` an address, or `with Elio`.
        from: String,
    },
    /// The file is not what it should be: the caller has it replaced.
    #[error("model file {path} {fault}", path = path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the mend.
        fault: String,
    },
}

/// The models that can be opened by name or path.
#[derive(Debug)]
pub struct Models {
    manifest: Manifest,
    dirs: Vec<PathBuf>,
}

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
    file: Found,
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
    files: [Found; 2],
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
struct Found {
    path: PathBuf,
    sha256: Option<String>,
}

/// What [`WhisperModel::verify`] and [`VoiceModel::verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every byte is what the manifest says.
    Same,
    /// The manifest has no hash for (one of) its files.
    NotPinned,
}

impl Models {
    /// Reads the manifest that the settings name, or the one built in.
    pub fn open(settings: &ModelsSettings) -> Result<Models, ModelError> {
        let fault = |fault| ModelError::Manifest {
            path: settings.manifest.clone().unwrap_or_else(|| "models/manifest.toml".into()),
            fault,
        };
        let manifest = match &settings.manifest {
            None => Manifest::parse(BUILT_IN),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
                Manifest::parse(&text)
            }
        };
        Ok(Models { manifest: manifest.map_err(fault)?, dirs: settings.dirs.clone() })
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

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
        let file = check_size(path, entry.map(|e| &e.files[0]))?;
        let outline = ggml::outline(&file.path).map_err(|fault| bad(&file.path, format!("{fault}: replace it")))?;
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
        let onnx = check_size(onnx, entry.map(|e| &e.files[0]))?;
        check_onnx(&onnx.path)?;
        let json = check_size(json, entry.map(|e| &e.files[1]))?;
        if !head(&json.path)?.trim_ascii_start().starts_with(b"{") {
            return Err(bad(&json.path, "is not a JSON object: replace it".into()));
        }
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
        let onnx = check_size(path, entry.map(|e| &e.files[0]))?.path;
        check_onnx(&onnx)?;
        Ok(TurnModel { name: name_or_path.to_owned(), onnx })
    }

    /// Finds the network of a VAD model by its name in the manifest or by the path of its ONNX file. One that is not in
    /// the folders of models is taken from where Elio's own files lie.
    pub fn vad(&self, name_or_path: &str) -> Result<PathBuf, ModelError> {
        let vads = |entry: &&Entry| matches!(entry.kind, Kind::Vad);
        let (entry, path) = match self.manifest.models.iter().filter(vads).find(|e| e.name == name_or_path) {
            Some(entry) => {
                let file = &entry.files[0];
                (Some(entry), self.find(entry, file).or_else(|missing| with_elio(&file.file).ok_or(missing))?)
            }
            None => (None, self.as_path(name_or_path, vads)?),
        };
        let onnx = check_size(path, entry.map(|e| &e.files[0]))?.path;
        check_onnx(&onnx)?;
        Ok(onnx)
    }

    /// Looks for a file of the manifest in the folders of models.
    fn find(&self, entry: &Entry, file: &FileEntry) -> Result<PathBuf, ModelError> {
        let missing = || ModelError::Missing {
            model: entry.name.clone(),
            file: file.file.clone(),
            dirs: self.dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(" or "),
            from: file.url.as_ref().map_or_else(|| "with Elio".to_owned(), |url| format!("from {url}")),
        };
        self.dirs.iter().map(|dir| dir.join(&file.file)).find(|path| path.is_file()).ok_or_else(missing)
    }

    fn as_path(&self, name: &str, of_kind: impl Fn(&&Entry) -> bool) -> Result<PathBuf, ModelError> {
        let path = PathBuf::from(name);
        if path.is_file() {
            return Ok(path);
        }
        if path.exists() {
            return Err(bad(&path, "is not a file".into()));
        }
        if name.contains('/') {
            return Err(bad(&path, "does not exist: put the file there, or give a name of the manifest".into()));
        }
        let known: Vec<&str> = self.manifest.models.iter().filter(of_kind).map(|e| e.name.as_str()).collect();
        Err(ModelError::Unknown { name: name.into(), known: known.join(", ") })
    }
}

impl FileEntry {
    /// The file at `path` is this one, by name and size: a model that is given by path keeps what the manifest knows.
    fn is(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == self.file.as_str())
            && self.size.is_none_or(|size| fs::metadata(path).is_ok_and(|m| m.len() == size))
    }
}

impl WhisperModel {
    /// Compares every byte with the manifest. Blocking; reads the whole file.
    pub fn verify(&self) -> Result<Verified, ModelError> {
        verify(std::slice::from_ref(&self.file))
    }
}

impl VoiceModel {
    /// Compares every byte with the manifest. Blocking; reads both files.
    pub fn verify(&self) -> Result<Verified, ModelError> {
        verify(&self.files)
    }
}

/// A file of `models/demo`: in the repository above the program, or installed in `share/elio` beside its folder.
fn with_elio(file: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let above = program.ancestors().skip(1).flat_map(|dir| [dir.to_owned(), dir.join("share/elio")]);
    above.map(|dir| dir.join("models/demo").join(file)).find(|path| path.is_file())
}

fn verify(files: &[Found]) -> Result<Verified, ModelError> {
    for Found { path, sha256 } in files {
        let Some(want) = sha256 else { return Ok(Verified::NotPinned) };
        let found = sha256_of(path).map_err(|error| bad(path, format!("cannot be read: {error}")))?;
        if found != *want {
            return Err(bad(path, format!("is damaged: SHA-256 {found}, the manifest says {want}: replace it")));
        }
    }
    Ok(Verified::Same)
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn check_size(path: PathBuf, entry: Option<&FileEntry>) -> Result<Found, ModelError> {
    if let Some(want) = entry.and_then(|e| e.size) {
        let size = fs::metadata(&path).map_err(|error| bad(&path, format!("cannot be read: {error}")))?.len();
        if size != want {
            let what = if size < want { "is truncated" } else { "is another file" };
            return Err(bad(&path, format!("{what}: {size} bytes, the manifest says {want}: replace it")));
        }
    }
    Ok(Found { path, sha256: entry.and_then(|e| e.sha256.clone()) })
}

/// The first field of an ONNX model is its IR version, a varint: tag 0x08, then a small number.
fn check_onnx(path: &Path) -> Result<(), ModelError> {
    match head(path)?[..] {
        [0x08, 1..=0x20, ..] => Ok(()),
        [] => Err(bad(path, "is empty: replace it".into())),
        _ => Err(bad(path, "is not an ONNX model: replace it".into())),
    }
}

/// The JSON that belongs to an ONNX file given by path.
fn beside(onnx: &Path) -> Result<PathBuf, ModelError> {
    let mut piper = onnx.as_os_str().to_owned();
    piper.push(".json");
    let [piper, mms] = [PathBuf::from(piper), onnx.with_extension("json")];
    [&piper, &mms]
        .into_iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or_else(|| bad(&piper, "does not exist: the voice's JSON belongs beside its ONNX".into()))
}

/// The first bytes of a file, at most 64.
fn head(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(64).read_to_end(&mut bytes))
        .map_err(|error| bad(path, format!("cannot be read: {error}")))?;
    Ok(bytes)
}

fn bad(path: &Path, fault: String) -> ModelError {
    ModelError::Bad { path: path.into(), fault }
}
