//! `elio run` as systemd runs it: a real journald, the service manager's socket, the control socket, signals. Sound is
//! ALSA's own null device: a microphone in a silent room.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{SimProcess, elio, json, output, patience, repository};
use serde_json::Value;

use elio::daemon::milestone::{FAULT_ID, READY_ID, WARM_ID};

const KEY: &str = "sk-test-a-key-that-must-not-leak";

struct Speaker {
    child: Child,
    dir: tempfile::TempDir,
    /// What systemd was told, line by line.
    told: Arc<Mutex<Vec<String>>>,
    sim: Option<SimProcess>,
}

impl Speaker {
    /// Starts it and waits until everything is loaded.
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let speaker = Self::begin(prepare, |configuration| configuration);
        speaker.wait_until_warm();
        speaker
    }

    /// Starts it and waits until it is ready.
    fn begin(prepare: impl FnOnce(&Path), change: impl FnOnce(String) -> String) -> Self {
        let mut speaker = Self::begin_as("run", prepare, change);
        speaker.wait_until_told("READY=1");
        speaker
    }

    /// Starts `elio` with this subcommand. What `change` calls DIR is its folder.
    fn begin_as(subcommand: &str, prepare: impl FnOnce(&Path), change: impl FnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("journal")).unwrap();
        prepare(dir.path());
        let sim = SimProcess::start(&["--ttft", "20"]);
        let changed = change(configuration(dir.path(), &sim, "900ms"));
        std::fs::write(path("elio.toml"), changed.replace("DIR", &dir.path().display().to_string())).unwrap();
        let manager = UnixDatagram::bind(path("notify.sock")).unwrap();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = told.clone();
        // Ends with the test's process: nobody else holds the socket.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read) = manager.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                lines.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });

        let child = own_mounts()
            .arg("sh")
            .arg(repository().join("tests/common/journald.sh"))
            .arg(path("journal"))
            .arg(env!("CARGO_BIN_EXE_elio"))
            .args([subcommand, "--config"])
            .arg(path("elio.toml"))
            .env("ANTHROPIC_API_KEY", KEY)
            .env("NOTIFY_SOCKET", path("notify.sock"))
            .env("WATCHDOG_USEC", "1000000")
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare (util-linux) starts");
        Speaker { child, dir, told, sim: Some(sim) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[track_caller]
    fn wait_until_told(&mut self, line: &str) {
        let end = Instant::now() + patience(60);
        let mut ended = None;
        while Instant::now() < end && ended.is_none() {
            ended = self.child.try_wait().unwrap();
            if self.told.lock().unwrap().iter().any(|told| told == line) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let journal: Vec<_> =
            self.journal(&["SYSLOG_IDENTIFIER=elio"], 0).iter().map(|entry| entry["MESSAGE"].clone()).collect();
        panic!("systemd was not told {line}: {:?}; it ended: {ended:?}; {journal:?}", self.told.lock().unwrap());
    }

    #[track_caller]
    fn wait_until_warm(&self) {
        let end = Instant::now() + patience(60);
        let starting = |status: Value| status["warm_ms"].is_null() || status["state"] == "starting";
        while starting(self.ask("status")) {
            assert!(Instant::now() < end, "it never becomes warm: {:?}", self.told.lock().unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks over the control socket, without the time that a process takes.
    fn ask(&self, verb: &str) -> Value {
        let mut stream = UnixStream::connect(self.path("control.sock")).unwrap();
        writeln!(stream, r#"{{"verb":"{verb}"}}"#).unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap()
    }

    fn elio(&self, verb: &str) -> Value {
        let config = self.path("elio.toml");
        json(&output(&mut elio(&[verb, "--json", "--config", config.to_str().unwrap()])))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        // sh has become systemd-cat, and that elio: the child is the daemon itself.
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Entries of the journal that `matches` match, waiting until there are `at_least`.
    #[track_caller]
    fn journal(&self, matches: &[&str], at_least: usize) -> Vec<Value> {
        let end = Instant::now() + patience(30);
        loop {
            let mut command = Command::new("journalctl");
            command
                .arg("--directory")
                .arg(self.path("journal"))
                .args(["--output=json", "--all", "--quiet"])
                .args(matches);
            let text = String::from_utf8_lossy(&command.output().expect("journalctl starts").stdout).into_owned();
            let entries: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            if entries.len() >= at_least || Instant::now() > end {
                assert!(entries.len() >= at_least, "{matches:?}: {entries:?}");
                return entries;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    #[track_caller]
    fn wait_until_logged(&self, words: &str) {
        let end = Instant::now() + patience(20);
        while Instant::now() < end {
            let all = self.journal(&[], 0);
            if all.iter().any(|entry| entry["MESSAGE"].as_str().is_some_and(|message| message.contains(words))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{words:?} is not in the journal: {:?}", self.journal(&[], 0));
    }

    /// Waits for its end; gives the exit code.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + patience(30);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not end");
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let journald = std::fs::read_to_string(self.path("journal.pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = journald.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// `unshare`, up to the program that is to run where mounts are its own.
fn own_mounts() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

/// A journald of one's own needs a mount namespace, which some containers and hardened systems refuse to a user. Says
/// so where it is printed even for a test that passes.
fn can_run_journald() -> bool {
    let output = own_mounts().args(["test", "-x", "/lib/systemd/systemd-journald"]).output().expect("unshare starts");
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.lines().next().unwrap_or("systemd-journald is not installed");
        let _ = writeln!(std::io::stderr(), "NOT RUN, the service under a real journald: {reason}");
    }
    output.status.success()
}

fn configuration(dir: &Path, sim: &SimProcess, no_speech: &str) -> String {
    let models = repository().join("models/demo");
    format!(
        "[audio.capture]\ndevice = \"null\"\n[audio.playback]\ndevice = \"null\"\n\
         [endpoint]\nno_speech = \"{no_speech}\"\n\
         [stt]\nmodel = \"whisper-demo\"\n[tts]\nvoice_en = \"voice-demo\"\nvoice_fr = \"voice-demo\"\n\
         [claude]\nbase_url = \"{}\"\nca_file = \"{}\"\n\
         [daemon]\nstate_dir = \"{}\"\nsocket = \"{}\"\n[models]\ndirs = [\"{}\"]\n",
        sim.base_url,
        sim.ca,
        dir.join("state").display(),
        dir.join("control.sock").display(),
        models.display(),
    )
}

fn records(speaker: &Speaker, at_least: usize) -> Vec<Value> {
    speaker.journal(&["MESSAGE_ID=6f0e9c1b8d5a4f3e9a7c2d4b1e8f6035"], at_least)
}

#[test]
fn a_service_from_its_start_to_its_end() {
    if !can_run_journald() {
        return;
    }
    let mut speaker = Speaker::start(|_| {});

    // A press into silence: said, recorded, idle again.
    assert_eq!(speaker.elio("status")["state"], "idle");
    speaker.elio("press");
    assert_eq!(speaker.elio("status")["state"], "listening");
    let record = records(&speaker, 1).remove(0);
    assert_eq!(record["ELIO_OUTCOME"], "silent");
    assert_eq!(record["ELIO_SOURCE"], "socket");
    let message: Value = serde_json::from_str(record["MESSAGE"].as_str().unwrap()).unwrap();
    assert_eq!(message["turn_id"], record["ELIO_TURN_ID"]);
    let status = speaker.elio("status");
    assert_eq!((&status["state"], &status["turns"]), (&"idle".into(), &1.into()));
    assert_eq!(status["last_turn"]["outcome"], "silent");
    speaker.wait_until_told("STATUS=listening");
    speaker.wait_until_told("WATCHDOG=1");

    // A bad file leaves the running configuration in force; a good one is taken.
    let file = speaker.path("elio.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("900ms", "soon")).unwrap();
    speaker.signal(rustix::process::Signal::HUP);
    speaker.wait_until_logged("endpoint.no_speech");
    speaker.wait_until_logged("stays in force");
    std::fs::write(&file, good.replace("900ms", "600ms")).unwrap();
    speaker.signal(rustix::process::Signal::HUP);
    speaker.wait_until_logged("[endpoint] is in force");
    assert_eq!(speaker.elio("status")["state"], "idle");

    // Stop: the turn that listens is dropped and recorded, the socket is gone, the key was never written.
    speaker.elio("press");
    speaker.signal(rustix::process::Signal::TERM);
    assert_eq!(speaker.end(), Some(0));
    speaker.wait_until_told("STOPPING=1");
    let outcomes: Vec<Value> = records(&speaker, 2).iter().map(|record| record["ELIO_OUTCOME"].clone()).collect();
    assert_eq!(outcomes, ["silent", "interrupted"]);
    assert!(!speaker.path("control.sock").exists());
    let all = serde_json::to_string(&speaker.journal(&[], 1)).unwrap();
    assert!(!all.contains(KEY), "the key is in the journal");
    let spool = std::fs::read_to_string(speaker.path("state/records.jsonl")).unwrap();
    assert_eq!(spool.lines().filter(|line| line.contains("turn_id")).count(), 2);
}

#[test]
fn a_record_that_the_journal_lost_is_written_again() {
    if !can_run_journald() {
        return;
    }
    let speaker = Speaker::start(|dir| {
        std::fs::create_dir_all(dir.join("state")).unwrap();
        let record = "{\"turn_id\":\"before-the-power-cut-1\",\"outcome\":\"answered\"}\n";
        std::fs::write(dir.join("state/records.jsonl"), record).unwrap();
    });
    let record = records(&speaker, 1).remove(0);
    assert_eq!(record["ELIO_TURN_ID"], "before-the-power-cut-1");
    assert_eq!(record["ELIO_REPLAYED"], "1");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    if !can_run_journald() {
        return;
    }
    let mut speaker = Speaker::start(|_| {});
    speaker.signal(rustix::process::Signal::TERM);
    speaker.signal(rustix::process::Signal::INT);
    assert_eq!(speaker.end(), Some(0));
}

#[test]
fn an_idle_speaker_shows_that_claude_is_out_of_reach() {
    if !can_run_journald() {
        return;
    }
    let mut speaker = Speaker::start(|_| {});
    let status = speaker.elio("status");
    assert_eq!((&status["state"], &status["cache"]["keep_warm"]), (&"idle".into(), &"wake".into()));
    speaker.sim = None;
    speaker.wait_until_told("STATUS=offline");
    let status = speaker.elio("status");
    assert_eq!((&status["state"], &status["connection"]["open"]), (&"offline".into(), &false.into()));
}

#[test]
fn it_is_ready_before_its_models_are_loaded_and_serves_who_presses_by_then() {
    if !can_run_journald() {
        return;
    }
    // Two dozen lines are spoken behind it: by a voice of a few nodes, for they are a quarter of an hour of an emulator's work.
    let voice = format!("{:?}", repository().join("tests/data/mms/exported.onnx"));
    let mut speaker = Speaker::begin(|_| {}, |configuration| configuration.replace("\"voice-demo\"", &voice));
    let pressed = speaker.ask("press");
    assert_eq!((&pressed["ok"], &pressed["warm_ms"]), (&true.into(), &Value::Null));
    speaker.wait_until_told("STATUS=listening");
    // Nobody speaks: the turn ends as any other, and says of itself when it began.
    let record = records(&speaker, 1).remove(0);
    assert_eq!((&record["ELIO_OUTCOME"], &record["ELIO_STARTING"]), (&"silent".into(), &"true".into()));
    speaker.wait_until_warm();
    let told = speaker.told.lock().unwrap().clone();
    let place =
        |line: &str| told.iter().position(|told| told.starts_with(line)).unwrap_or_else(|| panic!("{line} {told:?}"));
    assert!(place("READY=1") < place("STATUS=starting: loading"), "{told:?}");

    let status = speaker.ask("status");
    let entry = |id, field| speaker.journal(&[&format!("MESSAGE_ID={id}")], 1)[0][field].as_str().unwrap().to_owned();
    assert_eq!(entry(READY_ID, "ELIO_READY_MS"), status["ready_ms"].to_string());
    assert_eq!(entry(WARM_ID, "ELIO_WARM_MS"), status["warm_ms"].to_string());
    assert!(status["ready_ms"].as_u64() < status["warm_ms"].as_u64());

    // Its own lines are kept for the next start.
    let end = Instant::now() + patience(60);
    let kept = || std::fs::read_dir(speaker.path("state/lines")).map_or(0, Iterator::count);
    while kept() < 24 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(kept(), 24, "a line in each language for each of twelve occasions");
    speaker.signal(rustix::process::Signal::TERM);
    assert_eq!(speaker.end(), Some(0));
}

#[test]
fn a_sound_card_that_is_not_there_is_a_state_that_everybody_can_see() {
    if !can_run_journald() {
        return;
    }
    let nowhere = |configuration: String| configuration.replacen("\"null\"", "\"hw:CARD=Nowhere\"", 1);
    let mut speaker = Speaker::begin(|_| {}, nowhere);
    speaker.wait_until_told("STATUS=fault: microphone hw:CARD=Nowhere: not there");
    speaker.wait_until_logged("audio.capture.device: it is tried again until it is there");
    let status = speaker.ask("status");
    assert_eq!((&status["state"], &status["speaker"].as_str().unwrap().starts_with("null ")), (&"fault".into(), &true));
    // Who presses is told, and the turn is recorded.
    speaker.ask("press");
    assert_eq!(records(&speaker, 1)[0]["ELIO_OUTCOME"], "failed:microphone");
    speaker.wait_until_warm();
    assert_eq!(speaker.ask("status")["state"], "fault");
    speaker.signal(rustix::process::Signal::TERM);
    assert_eq!(speaker.end(), Some(0));
}

/// A file of models/demo with its second half gone, and its size as it was.
fn half(name: &str, to: &Path) {
    let whole = std::fs::read(repository().join("models/demo").join(name)).unwrap();
    let mut bad = whole[..whole.len() / 2].to_vec();
    bad.resize(whole.len(), 0);
    std::fs::write(to, bad).unwrap();
}

#[test]
fn a_model_that_is_seen_to_be_damaged_keeps_it_from_starting_and_its_status_says_so() {
    if !can_run_journald() {
        return;
    }
    let broken = |dir: &Path| half("whisper-demo-q5_1.bin", &dir.join("broken.bin"));
    let mut speaker = Speaker::begin_as("run", broken, |of| of.replace("\"whisper-demo\"", "\"DIR/broken.bin\""));
    assert_eq!(speaker.end(), Some(78));
    let told = speaker.told.lock().unwrap();
    assert!(
        told.last().unwrap().starts_with("STATUS=fault: model file") && !told.contains(&"READY=1".into()),
        "{told:?}"
    );
}

#[test]
fn a_model_that_cannot_be_loaded_ends_it_with_the_code_that_systemd_does_not_try_again() {
    if !can_run_journald() {
        return;
    }
    // The right size and the right beginning: only loading it finds out.
    let broken = |dir: &Path| {
        half("voice-demo.onnx", &dir.join("broken.onnx"));
        std::fs::copy(repository().join("models/demo/voice-demo.onnx.json"), dir.join("broken.onnx.json")).unwrap();
    };
    let mut speaker = Speaker::begin_as("run", broken, |of| of.replace("\"voice-demo\"", "\"DIR/broken.onnx\""));
    speaker.wait_until_told("READY=1");
    assert_eq!(speaker.end(), Some(78));
    let told = speaker.told.lock().unwrap();
    let fault = |told: &String| told.starts_with("STATUS=fault: voice") && told.contains("broken.onnx");
    assert!(told.iter().any(fault), "{told:?}");
}

#[test]
fn a_service_that_has_given_up_says_so_without_led_card_or_a_right_configuration() {
    if !can_run_journald() {
        return;
    }
    let broken = |configuration: String| {
        let led = "[wake]\nled = { chip = \"gpiochip99\", line = 3 }\n";
        configuration.replace("device = \"null\"", "device = \"hw:CARD=Nowhere\"").replace("[stt]", "[stt]\ngpu = 7")
            + led
    };
    let mut speaker = Speaker::begin_as("fault", |_| {}, broken);
    let entry = speaker.journal(&[&format!("MESSAGE_ID={FAULT_ID}")], 1).remove(0);
    assert!(entry["MESSAGE"].as_str().unwrap().contains("journalctl -u elio"), "{entry}");
    speaker.wait_until_logged("hw:CARD=Nowhere");
    assert!(speaker.child.try_wait().unwrap().is_none(), "it stays until it is stopped");
    speaker.signal(rustix::process::Signal::TERM);
    assert_eq!(speaker.end(), Some(0));
}
