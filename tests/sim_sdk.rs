//! The official Python SDK against `elio sim`, without special treatment: `tests/sdk/check.py` in an environment of its
//! own under `target/`, which is made once for each state of `tests/sdk/requirements.txt`.

// Clippy knows a test by its attribute; these are the helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value};

mod common;

/// The faults that the script asks for; each gets a server.
const FAULTS: &[&str] = &[
    "crlf",
    "split-utf8",
    "ping-flood",
    "billing",
    "permission",
    "too-large",
    "rate-limit",
    "server-error",
    "unavailable",
    "timeout",
    "overloaded",
    "spend-cap",
    "rate-limit-short",
    "overloaded:1",
    "cut-before-headers:1",
    "overloaded-mid-stream",
    "cut",
    "refusal",
];

/// A running `elio sim`, stopped when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `elio sim`; the server, its base URL and its authority.
fn serve(dir: &Path, arguments: &[&str]) -> (Served, String, PathBuf) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.arg("sim").arg("--dir").arg(dir).args(["--ttft", "5..10", "--tokens-per-second", "5000"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let served = Served(child);
    let ready: Value = serde_json::from_str(&line).expect("elio sim gave no line; see its message above");
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    (served, text("base_url"), PathBuf::from(text("ca")))
}

#[test]
fn the_official_python_sdk_cannot_tell() {
    let python = common::python("tests/sdk/requirements.txt", "sdk-venv");
    let dir = tempfile::tempdir().unwrap();
    let (plain, plain_url, ca) = serve(&dir.path().join("plain"), &[]);
    let mut served = vec![plain];
    let mut sims = Map::from_iter([("plain".to_owned(), Value::from(plain_url))]);
    let others = FAULTS.iter().map(|f| (*f, vec!["--fault", f])).chain([("keyed", vec!["--key", "right"])]);
    for (name, arguments) in others {
        // One authority for all: a kept one is used again.
        let own = dir.path().join(name);
        std::fs::create_dir(&own).unwrap();
        std::fs::copy(dir.path().join("plain/authority.json"), own.join("authority.json")).unwrap();
        let (server, url, _) = serve(&own, &arguments);
        served.push(server);
        sims.insert(name.to_owned(), Value::from(url));
    }
    let mut check = Command::new(python);
    check
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/check.py"))
        .env("ELIO_SIMS", Value::from(sims).to_string());
    check.env("SSL_CERT_FILE", ca).env("NO_PROXY", "127.0.0.1,localhost").env_remove("ANTHROPIC_API_KEY");
    let status = check.env_remove("ANTHROPIC_BASE_URL").env_remove("ANTHROPIC_AUTH_TOKEN").status().unwrap();
    assert!(status.success(), "the SDK found a difference (see above)");

    let asked =
        |name: &str| std::fs::read_to_string(dir.path().join(name).join("requests.jsonl")).unwrap().lines().count();
    assert_eq!(asked("spend-cap"), 1, "the SDK was told not to come again");
    assert_eq!(asked("overloaded:1"), 2, "and here to come again");
}
