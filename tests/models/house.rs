//! What the tests of fetching share: a manifest of small models, a folder for them, and a server that has their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use elio::config::ModelsSettings;
use elio::models::{Entry, FetchError, Fetched, Fetcher, Mirror, Models, News, Patience, Store};
use sha2::{Digest, Sha256};

use crate::server::{Piece, Reply, Seen, Server};

/// Never reached where nothing hangs; ends what would.
pub const PATIENT: Patience = Patience { stall: Duration::from_secs(60), backoff: Duration::from_millis(1), tries: 3 };

/// Begins like an ONNX file; another `seed`, another file.
pub fn content(seed: u8) -> Vec<u8> {
    let noise = (0_u32..300_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed);
    [0x08, 0x07].into_iter().chain(noise).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry of one file, `turn.onnx`, that is what `bytes` are; none: nobody publishes a hash.
pub fn turn(url: &str, bytes: Option<&[u8]>) -> String {
    let head = "[[model]]\nname='turn'\nkind='turn'\nuse='u'\nlicence='MIT'\nsource='s'\nlanguages=['en']\n";
    format!("{head}{}", file("turn.onnx", url, bytes))
}

/// An entry of two files.
pub fn voice(base: &str, onnx: &[u8], json: &[u8]) -> String {
    let head = "[[model]]\nname='voice'\nkind='voice'\ntype='mms'\nuse='u'\nlicence='MIT'\nsource='s'\n\
                languages=['en']\nsample_rate=16000\n";
    let onnx = file("voice.onnx", &format!("{base}/voice.onnx"), Some(onnx));
    format!("{head}{onnx}{}", file("voice.json", &format!("{base}/voice.json"), Some(json)))
}

fn file(name: &str, url: &str, bytes: Option<&[u8]>) -> String {
    let hash = bytes.map(|bytes| format!("size={}\nsha256='{}'\n", bytes.len(), sha256(bytes))).unwrap_or_default();
    format!("[[model.file]]\nfile='{name}'\nurl='{url}'\nverify='the test says so'\n{hash}")
}

/// A folder of models, and the manifest for it.
pub struct House {
    pub folder: tempfile::TempDir,
    pub models: Models,
}

impl House {
    pub fn new(manifest: &str) -> House {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.toml");
        fs::write(&path, manifest).unwrap();
        let settings = ModelsSettings { dirs: vec![folder.path().join("models")], manifest: Some(path) };
        House { models: Models::open(&settings).unwrap(), folder }
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub fn entry(&self, name: &str) -> &Entry {
        self.models.entry(name).unwrap()
    }

    /// Puts an old model there, which no fault may touch.
    pub fn old(self, name: &str) -> House {
        fs::create_dir_all(self.dir()).unwrap();
        fs::write(self.dir().join(name), OLD).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.dir().join(name)).ok()
    }

    /// What lies in the folder, but for the lock.
    pub fn names(&self) -> Vec<String> {
        let found = fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = found.filter(|name| name != ".lock").collect();
        names.sort();
        names
    }

    pub async fn fetch(&self, name: &str, with: &Fetcher) -> Result<Vec<Fetched>, FetchError> {
        let store = Store::open(&[self.dir()], &|_: News<'_>| {}).await?;
        with.fetch(&store, self.entry(name), &|_: News<'_>| {}).await
    }
}

/// Begins like an ONNX file, and is nobody's.
pub const OLD: &[u8] = &[0x08, 0x07, b'o', b'l', b'd'];

/// Fetches from this server and trusts it.
pub fn fetcher(server: &Server) -> Fetcher {
    patient(server, PATIENT)
}

pub fn patient(server: &Server, patience: Patience) -> Fetcher {
    Fetcher::new(None, server.ca_file.as_deref(), patience).unwrap()
}

pub fn mirrored(mirror: &str, ca_file: Option<&Path>) -> Fetcher {
    Fetcher::new(Some(mirror.parse::<Mirror>().unwrap()), ca_file, PATIENT).unwrap()
}

/// The first byte that a request asks for, where the server's content is still the one of its `If-Range`.
pub fn asked_from(seen: &Seen, mark: &str) -> Option<usize> {
    let text = |name: &str| Some(seen.headers.get(name)?.to_str().unwrap());
    let from = text("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().unwrap();
    (text("if-range") == Some(mark)).then_some(from)
}

/// A good server's answer: a range where one is asked for.
pub fn serve(seen: &Seen, bytes: &[u8], mark: &str) -> Reply {
    let whole = bytes.len();
    match asked_from(seen, mark) {
        Some(from) => answer(206, &bytes[from..], mark)
            .with("content-range", &format!("bytes {from}-{}/{whole}", whole - 1))
            .with("content-length", &(whole - from).to_string()),
        None => answer(200, bytes, mark).with("content-length", &whole.to_string()),
    }
}

fn answer(status: u16, bytes: &[u8], mark: &str) -> Reply {
    let body = bytes.chunks(65_536).map(|chunk| Piece::Bytes(chunk.to_vec())).collect();
    Reply::Answer { status, headers: vec![("etag", mark.to_owned())], body }
}

/// The same, cut off after its first `bytes`.
pub fn cut(reply: Reply, bytes: usize) -> Reply {
    let Reply::Answer { status, headers, body } = reply else { panic!("an answer") };
    let all: Vec<u8> =
        body.into_iter().flat_map(|piece| if let Piece::Bytes(bytes) = piece { bytes } else { vec![] }).collect();
    // The wait lets the bytes leave first.
    let body = vec![Piece::Bytes(all[..bytes].to_vec()), Piece::Wait(Duration::from_millis(50)), Piece::Die];
    Reply::Answer { status, headers, body }
}
