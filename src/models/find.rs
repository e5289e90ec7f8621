//! Where the files of a model lie.

use std::path::{Path, PathBuf};

use super::error::bad;
use super::{Entry, FileEntry, Kind, ModelError, Models};

impl Models {
    /// The model of that name.
    ///
    /// # Errors
    /// [`ModelError::Unknown`] names all that exist.
    pub fn entry(&self, name: &str) -> Result<&Entry, ModelError> {
        let all = || self.manifest.models.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
        self.manifest.get(name).ok_or_else(|| ModelError::Unknown { name: name.to_owned(), known: all() })
    }

    /// The folders that are looked through, in order.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Where a file of the manifest lies: in the first folder of models that has it; the voice detector's, which comes
    /// with Elio, else among Elio's own files.
    pub fn locate(&self, entry: &Entry, file: &FileEntry) -> Option<PathBuf> {
        let in_dirs = self.dirs.iter().map(|dir| dir.join(&file.file)).find(|path| path.is_file());
        in_dirs.or_else(|| if matches!(entry.kind, Kind::Vad) { with_elio(&file.file) } else { None })
    }

    /// All of it lies among Elio's own files, and nowhere else.
    pub fn is_with_elio(&self, entry: &Entry) -> bool {
        let in_dirs = |file: &FileEntry| self.dirs.iter().any(|dir| dir.join(&file.file).is_file());
        entry.files.iter().all(|file| !in_dirs(file) && self.locate(entry, file).is_some())
    }

    /// [`Models::locate`], where the file has to be there.
    pub(super) fn find(&self, entry: &Entry, file: &FileEntry) -> Result<PathBuf, ModelError> {
        self.locate(entry, file).ok_or_else(|| ModelError::Missing {
            model: entry.name.clone(),
            file: file.file.clone(),
            dirs: self.dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(" or "),
            mend: match &file.url {
                Some(url) => format!("run `elio models fetch {}`, it comes from {url}", entry.name),
                None => "put the file there, it comes with Elio".to_owned(),
            },
        })
    }

    /// A model that was given by its path.
    pub(super) fn as_path(&self, name: &str, of_kind: impl Fn(&&Entry) -> bool) -> Result<PathBuf, ModelError> {
        let path = PathBuf::from(name);
        if path.is_file() {
            return Ok(path);
        }
        if path.exists() {
            return Err(bad(&path, "is not a file"));
        }
        if name.contains('/') {
            return Err(bad(&path, "does not exist: put the file there, or give a name of the manifest"));
        }
        let known: Vec<&str> = self.manifest.models.iter().filter(of_kind).map(|e| e.name.as_str()).collect();
        Err(ModelError::Unknown { name: name.into(), known: known.join(", ") })
    }
}

/// The JSON that belongs to an ONNX file given by path.
pub(super) fn beside(onnx: &Path) -> Result<PathBuf, ModelError> {
    let mut piper = onnx.as_os_str().to_owned();
    piper.push(".json");
    let [piper, mms] = [PathBuf::from(piper), onnx.with_extension("json")];
    [&piper, &mms]
        .into_iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or_else(|| bad(&piper, "does not exist: the voice's JSON belongs beside its ONNX"))
}

/// A file of `models/demo`: in the repository above the program, or installed in `share/elio` beside its folder.
fn with_elio(file: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let above = program.ancestors().skip(1).flat_map(|dir| [dir.to_owned(), dir.join("share/elio")]);
    above.map(|dir| dir.join("models/demo").join(file)).find(|path| path.is_file())
}
