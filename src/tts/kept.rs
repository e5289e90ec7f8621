//! Lines on disk: what Elio says of its own can be said before a voice is loaded, and where none can be any more. Only
//! those lines: no word of an answer is ever written.
//!
//! A file is a line in one voice: its name holds the hashes of both, its end the hash of all before it. What is damaged
//! or of another voice is as good as absent, and made anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Spoken, voice_name};
use crate::clock::Mono;
use crate::config::{Language, TtsSettings};
use crate::models::VoiceModel;

/// What a file begins with; another number for another layout.
const MAGIC: &[u8; 8] = b"ELIOPCM1";
/// Rate, lead of silence in ns, length of the voice's name.
const HEAD: usize = 8 + 4 + 8 + 2;
const HASH: usize = 32;
/// No line is longer: 20 s at 24 kHz.
const MOST: usize = 1_000_000;
/// Under `daemon.state_dir`.
const FOLDER: &str = "lines";

/// The lines that are kept on disk.
#[derive(Debug)]
pub struct KeptLines {
    folder: PathBuf,
    /// What the sound of each language depends on, as a hash; none: any voice will do.
    voices: Option<BTreeMap<Language, String>>,
}

impl KeptLines {
    /// Those of the configured voices. Reads no model: a voice is known by its name, and the size and time of its files.
    pub fn of(state_dir: &Path, settings: &TtsSettings, models: &[(Language, VoiceModel)]) -> KeptLines {
        let voice = |language| {
            let name = voice_name(settings, language).unwrap_or_default();
            let mut seed = format!("{name} {} {} ", settings.speed, settings.level_dbfs);
            let model = models.iter().find(|(of, _)| *of == language).map(|(_, model)| model);
            for file in model.iter().flat_map(|model| [&model.onnx, &model.json]) {
                let found = fs::metadata(file).map(|found| (found.size(), found.mtime(), found.mtime_nsec()));
                let _ = write!(seed, "{} {found:?} ", file.display());
            }
            hash(&seed)
        };
        let voices = [Language::En, Language::Fr].map(|language| (language, voice(language)));
        KeptLines { folder: state_dir.join(FOLDER), voices: Some(voices.into()) }
    }

    /// Those of any voice, for whoever has none of its own.
    pub fn of_any_voice(state_dir: &Path) -> KeptLines {
        KeptLines { folder: state_dir.join(FOLDER), voices: None }
    }

    /// The sound of a line; none: it is not there, or damaged.
    pub fn find(&self, language: Language, text: &str) -> Option<Spoken> {
        let path = match &self.voices {
            Some(_) => self.folder.join(self.name(language, text)?),
            None => {
                let begin = begin(language, text);
                let names = fs::read_dir(&self.folder).ok()?.flatten().map(|entry| entry.path());
                names.filter(|path| is_line(path)).find(|path| file_name(path).starts_with(&begin))?
            }
        };
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(MOST as u64 + 1).read_to_end(&mut bytes).ok()?;
        decode(&bytes)
    }

    /// Writes a line whole or not at all.
    ///
    /// # Errors
    /// The disk's; what was there before stays.
    pub fn write(&self, language: Language, text: &str, spoken: &Spoken) -> io::Result<()> {
        let Some(name) = self.name(language, text) else { return Ok(()) };
        let bytes = encode(spoken);
        if bytes.len() > MOST || spoken.fallback {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let (path, next) = (self.folder.join(&name), self.folder.join(format!("{name}.new")));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next);
        let written = written.and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        let placed =
            written.and_then(|()| fs::rename(&next, &path)).and_then(|()| File::open(&self.folder)?.sync_all());
        placed.inspect_err(|_| drop(fs::remove_file(&next)))
    }

    /// Removes what is none of `lines` in its voice of today.
    pub fn prune(&self, lines: &[(Language, String)]) {
        let wanted: Vec<String> = lines.iter().filter_map(|(language, text)| self.name(*language, text)).collect();
        for path in fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = file_name(&path);
            if (is_line(&path) || name.ends_with(".new")) && !wanted.contains(&name) {
                // It is only room on the disk.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn name(&self, language: Language, text: &str) -> Option<String> {
        let voice = self.voices.as_ref()?.get(&language)?;
        Some(format!("{}{voice}.pcm", begin(language, text)))
    }
}

fn begin(language: Language, text: &str) -> String {
    format!("{}-{}-", language.code(), hash(text))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_line(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pcm")
}

/// 16 hexadecimal digits.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn encode(spoken: &Spoken) -> Vec<u8> {
    let name = spoken.voice.as_bytes();
    let name = &name[..name.len().min(usize::from(u16::MAX))];
    let mut bytes = MAGIC.to_vec();
    bytes.extend(spoken.rate.to_le_bytes());
    bytes.extend((spoken.lead_silence.as_nanos() as u64).to_le_bytes());
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(name);
    bytes.extend(spoken.samples.iter().flat_map(|sample| ((sample * 32_767.0).round() as i16).to_le_bytes()));
    bytes.extend(Sha256::digest(&bytes));
    bytes
}

fn decode(bytes: &[u8]) -> Option<Spoken> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    if !body.starts_with(MAGIC) || Sha256::digest(body).as_slice() != sum {
        return None;
    }
    let (head, rest) = body.split_at_checked(HEAD)?;
    let rate = u32::from_le_bytes(head.get(8..12)?.try_into().ok()?);
    let lead = u64::from_le_bytes(head.get(12..20)?.try_into().ok()?);
    let name = u16::from_le_bytes(head.get(20..22)?.try_into().ok()?);
    let (name, samples) = rest.split_at_checked(usize::from(name))?;
    let samples = samples.as_chunks::<2>().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_767.0);
    let now = Mono::now();
    Some(Spoken {
        samples: samples.collect(),
        rate: (rate > 0).then_some(rate)?,
        lead_silence: Duration::from_nanos(lead),
        first_pcm: now,
        done: now,
        voice: String::from_utf8_lossy(name).into_owned(),
        fallback: false,
        cached: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "One moment, please.";

    fn spoken() -> Spoken {
        let then = Mono::from_nanos(1);
        Spoken {
            samples: vec![0.0, 0.5, -1.0, 1.0],
            rate: 22_050,
            lead_silence: Duration::from_millis(15),
            first_pcm: then,
            done: then,
            voice: "upmc".into(),
            fallback: false,
            cached: false,
        }
    }

    fn settings() -> TtsSettings {
        crate::config::Config::default().tts
    }

    fn kept(dir: &Path) -> KeptLines {
        KeptLines::of(dir, &settings(), &[])
    }

    fn only_file(dir: &Path) -> PathBuf {
        let files: Vec<PathBuf> = fs::read_dir(dir.join(FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn a_line_is_there_at_the_next_start_in_its_language_and_nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        assert!(kept(dir.path()).find(Language::En, TEXT).is_none());
        kept(dir.path()).write(Language::En, TEXT, &spoken()).unwrap();
        let found = kept(dir.path()).find(Language::En, TEXT).unwrap();
        assert_eq!((found.rate, found.lead_silence, found.voice.as_str()), (22_050, Duration::from_millis(15), "upmc"));
        assert!(found.cached && found.samples.iter().zip(spoken().samples).all(|(a, b)| (a - b).abs() < 1e-4));
        assert!(kept(dir.path()).find(Language::Fr, TEXT).is_none());
        assert!(kept(dir.path()).find(Language::En, "Another line.").is_none());
        assert_eq!(fs::metadata(only_file(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_damaged_is_as_good_as_absent_and_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let lines = kept(dir.path());
        lines.write(Language::En, TEXT, &spoken()).unwrap();
        let file = only_file(dir.path());
        let whole = fs::read(&file).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(lines.find(Language::En, TEXT).is_none(), "cut at {length}");
        }
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            fs::write(&file, bad).unwrap();
            assert!(lines.find(Language::En, TEXT).is_none(), "flipped at {at}");
        }
        lines.write(Language::En, TEXT, &spoken()).unwrap();
        assert!(lines.find(Language::En, TEXT).is_some());
    }

    #[test]
    fn another_voice_makes_its_own_and_the_old_one_serves_whoever_has_none() {
        let dir = tempfile::tempdir().unwrap();
        kept(dir.path()).write(Language::En, TEXT, &spoken()).unwrap();
        let faster = KeptLines::of(dir.path(), &TtsSettings { speed: 1.5, ..settings() }, &[]);
        assert!(faster.find(Language::En, TEXT).is_none());
        let any = KeptLines::of_any_voice(dir.path());
        assert!(any.find(Language::En, TEXT).is_some() && any.find(Language::Fr, TEXT).is_none());
        faster.write(Language::En, TEXT, &spoken()).unwrap();
        faster.prune(&[(Language::En, TEXT.to_owned())]);
        only_file(dir.path());
        assert!(faster.find(Language::En, TEXT).is_some() && kept(dir.path()).find(Language::En, TEXT).is_none());
    }

    #[test]
    fn a_disk_that_refuses_is_an_error_and_leaves_nothing_half_written() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the folder should be: every write fails, as on a full disk.
        fs::write(dir.path().join(FOLDER), "").unwrap();
        assert!(kept(dir.path()).write(Language::En, TEXT, &spoken()).is_err());
        assert!(kept(dir.path()).find(Language::En, TEXT).is_none());
        kept(dir.path()).prune(&[]);
        // A voice that failed is no voice to keep, and an endless line none either.
        let dir = tempfile::tempdir().unwrap();
        kept(dir.path()).write(Language::En, TEXT, &Spoken { fallback: true, ..spoken() }).unwrap();
        kept(dir.path()).write(Language::En, TEXT, &Spoken { samples: vec![0.0; MOST], ..spoken() }).unwrap();
        assert!(kept(dir.path()).find(Language::En, TEXT).is_none());
    }
}
