//! What the tests of the program share: the program itself, and a simulated Claude beside it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How long a test waits before it fails: `seconds`, or so many times that as `ELIO_TEST_PATIENCE` says for a slow machine.
pub fn patience(seconds: u64) -> Duration {
    let times = std::env::var("ELIO_TEST_PATIENCE").map_or(1, |times| times.parse().expect("a whole number"));
    Duration::from_secs(seconds * times)
}

/// `elio ARGS`, in an environment that holds nothing of Elio's.
pub fn elio(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.args(args).current_dir(repository()).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ELIO_") || name.starts_with("ANTHROPIC_")) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub fn output(command: &mut Command) -> Output {
    command.output().expect("elio starts")
}

/// Standard error of a command that must have failed with `code` in one clear line; gives the line.
#[track_caller]
pub fn one_line_of_failure(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("elio: ")).collect();
    assert_eq!(said.len(), 1, "one line that tells why:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    said[0].to_owned()
}

/// JSON on standard output of a command that must have succeeded.
#[track_caller]
pub fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    serde_json::from_slice(&output.stdout).expect("one JSON document on standard output")
}

/// The interpreter of an environment under `target/` that holds exactly what a file of pinned requirements says; made
/// once for each state of that file.
pub fn python(requirements: &str, name: &str) -> PathBuf {
    let wanted = repository().join(requirements);
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, installed) = (venv.join("bin/python"), venv.join("requirements.txt"));
    let same = std::fs::read(&installed).is_ok_and(|have| have == std::fs::read(&wanted).unwrap());
    if !same || !python.exists() {
        succeed("making the environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]);
        succeed("installing its packages", pip.arg(&wanted));
        // Last, so that an environment that was left half made is made anew.
        std::fs::copy(&wanted, &installed).unwrap();
    }
    python
}

fn succeed(what: &str, command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("{what}: {e}; python3 with its venv module is needed"));
    assert!(
        status.success(),
        "{what} failed (see above). Needed: Python 3.10 or newer with the venv module (Debian and Ubuntu: \
         `apt-get install python3-venv`) and, the first time, a way to the Python package index"
    );
}

/// A running `elio sim`; ends with the value.
pub struct SimProcess {
    child: Child,
    pub base_url: String,
    pub ca: String,
    pub dir: tempfile::TempDir,
}

impl SimProcess {
    pub fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut all = vec!["sim", "--listen", "127.0.0.1:0", "--dir"];
        let path = dir.path().to_str().expect("UTF-8").to_owned();
        all.push(&path);
        all.extend(args);
        let mut child = elio(&all).stdout(Stdio::piped()).spawn().expect("elio sim starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its ready line");
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        let text = |key: &str| ready[key].as_str().expect("a string").to_owned();
        Self { child, base_url: text("base_url"), ca: text("ca"), dir }
    }

    /// Its log of requests so far.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("requests.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Flags that lead a command to it.
    pub fn flags(&self) -> [String; 4] {
        let set = |key: &str, value: &str| format!("{key}=\"{value}\"");
        ["--set".into(), set("claude.base_url", &self.base_url), "--set".into(), set("claude.ca_file", &self.ca)]
    }
}

impl Drop for SimProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Samples of a 16-bit mono WAV file, and its rate.
pub fn wav(path: impl Into<PathBuf>) -> (Vec<i16>, u32) {
    let mut reader = hound::WavReader::open(path.into()).expect("a WAV file");
    let rate = reader.spec().sample_rate;
    (reader.samples::<i16>().map(|sample| sample.expect("16-bit samples")).collect(), rate)
}
