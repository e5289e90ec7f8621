//! `elio models list`

use std::fs;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::super::{CliError, Global, stdout};
use super::used;
use crate::config::Config;
use crate::models::{Algorithm, Entry, FileEntry, Kind, ModelError, Models, Pins};

/// How far a model is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Here,
    Missing,
    /// One of its files is missing, or has another size.
    Broken,
}

impl State {
    fn of(models: &Models, entry: &Entry) -> State {
        let found = entry.files.iter().map(|file| (file, models.locate(entry, file)));
        let right = |(file, path): (&FileEntry, Option<std::path::PathBuf>)| {
            let size = fs::metadata(path?).ok()?.len();
            Some(file.size.is_none_or(|want| want == size))
        };
        let files: Vec<Option<bool>> = found.map(right).collect();
        match files.iter().all(Option::is_none) {
            true => State::Missing,
            false if files.iter().all(|file| *file == Some(true)) => State::Here,
            false => State::Broken,
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Here => "here",
            State::Missing => "missing",
            State::Broken => "incomplete",
        }
    }
}

/// Prints every model of the manifest.
pub(super) fn run(config: &Config, models: &Models, global: &Global) -> Result<(), CliError> {
    let used = used(config);
    let entries = &models.manifest().models;
    let keys = |entry: &Entry| used.get(&entry.name).cloned().unwrap_or_default();
    if global.json {
        let documents =
            entries.iter().map(|entry| document(models, entry, &keys(entry))).collect::<Result<Vec<Value>, _>>()?;
        return stdout::print(&format!("{:#}\n", json!({ "dirs": models.dirs(), "models": documents })));
    }
    let mut text = String::new();
    for entry in entries {
        let keys = match keys(entry) {
            keys if keys.is_empty() => String::new(),
            keys => format!(" for {}", keys.join(", ")),
        };
        let languages: Vec<_> = entry.languages.iter().map(|language| language.code()).collect();
        text += &format!(
            "{} ({}, {}, {}): {}{keys}\n    {}\n    {}; {}\n    {}\n",
            entry.name,
            kind(entry),
            languages.join(" "),
            size(entry).map_or_else(|| "size unknown".to_owned(), |size| HumanBytes(size).to_string()),
            State::of(models, entry).word(),
            entry.purpose,
            entry.licence,
            entry.source,
            trust(models, entry)?,
        );
    }
    stdout::print(&text)
}

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Whisper { .. } => "whisper",
        Kind::Voice { .. } => "voice",
        Kind::Turn => "turn",
        Kind::Vad => "vad",
    }
}

fn size(entry: &Entry) -> Option<u64> {
    entry.files.iter().map(|file| file.size).sum()
}

/// By what it is told from another file: of several files, the weakest.
fn trust(models: &Models, entry: &Entry) -> Result<String, ModelError> {
    let weakest = entry.files.iter().map(|file| file.hashes().next().map(|(algorithm, _)| algorithm)).max_by_key(
        // None, no hash at all, is the weakest.
        |algorithm| algorithm.map_or(u8::MAX, |algorithm| algorithm as u8),
    );
    let source = entry.files.first().and_then(|file| file.verify.as_deref());
    let mut text = match weakest.flatten() {
        Some(algorithm) => format!("checked by {} at least", algorithm.name()),
        None => "no published hash".to_owned(),
    };
    if let Some(source) = source {
        text = format!("{text}: {source}");
    }
    let mut pinned = 0;
    for file in &entry.files {
        pinned += usize::from(pin(models, entry, file)?.is_some());
    }
    if weakest.flatten() != Some(Algorithm::Sha256) {
        text += match pinned == entry.files.len() {
            true => "; pinned here by its SHA-256",
            false => "; the first download is pinned here by its SHA-256",
        };
    }
    Ok(text)
}

fn pin(models: &Models, entry: &Entry, file: &FileEntry) -> Result<Option<String>, ModelError> {
    let Some(path) = models.locate(entry, file) else { return Ok(None) };
    let Some(folder) = path.parent() else { return Ok(None) };
    Ok(Pins::read(folder)?.get(file).map(|pin| pin.sha256.clone()))
}

fn document(models: &Models, entry: &Entry, keys: &[&str]) -> Result<Value, ModelError> {
    let mut files = Vec::new();
    for file in &entry.files {
        let hash = |algorithm| file.hashes().find(|(known, _)| *known == algorithm).map(|(_, hash)| hash);
        files.push(json!({
            "file": file.file, "url": file.url, "size": file.size, "sha256": hash(Algorithm::Sha256),
            "sha1": hash(Algorithm::Sha1), "md5": hash(Algorithm::Md5), "verify": file.verify,
            "path": models.locate(entry, file), "pin": pin(models, entry, file)?,
        }));
    }
    let languages: Vec<_> = entry.languages.iter().map(|language| language.code()).collect();
    Ok(json!({
        "name": entry.name, "kind": kind(entry), "languages": languages, "size": size(entry),
        "use": entry.purpose, "licence": entry.licence, "source": entry.source,
        "state": State::of(models, entry).word(), "used_by": keys, "files": files,
    }))
}
