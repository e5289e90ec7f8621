//! The control commands against a served control socket.

use std::os::unix::net::UnixListener;

use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Mono;
use crate::config::{KeepWarm, WakeMode};
use crate::daemon::control::{bind, serve};
use crate::daemon::status::{Connection, Models, Status};
use crate::turn::Visible;
use crate::wake::{Source, WakeEvent};

fn global() -> Global {
    Global { config: None, set: Vec::new(), json: false, verbose: 0 }
}

fn control(path: &Path) -> ControlArgs {
    ControlArgs { socket: Some(path.to_owned()) }
}

#[test]
fn a_held_press_is_a_press_and_a_release_that_long_after() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = runtime.block_on(bind(&path)).unwrap();
    let (sender, mut presses) = unbounded_channel();
    let (_status, seen) = watch::channel(Status::starting(WakeMode::Hold, Mono::now()));
    let cancel = CancellationToken::new();
    runtime.spawn(serve(socket, cancel.clone(), sender, seen));

    let hold = Duration::from_millis(80);
    press(PressArgs { control: control(&path), hold: Some(hold) }, &global()).unwrap();
    let Ok(WakeEvent::Pressed { source: Source::Socket, at: pressed }) = presses.try_recv() else { panic!() };
    let Ok(WakeEvent::Released { source: Source::Socket, at: released }) = presses.try_recv() else { panic!() };
    assert!(released.since(pressed) >= hold);

    run(Request::Release, control(&path), &global()).unwrap();
    assert!(matches!(presses.try_recv(), Ok(WakeEvent::Released { .. })));
    run(Request::Status, control(&path), &global()).unwrap();
    presses.close();
    let error = press(PressArgs { control: control(&path), hold: None }, &global()).unwrap_err();
    assert_eq!((error.exit, error.message.as_str()), (Exit::Failed, "elio is stopping"));
    cancel.cancel();
}

#[test]
fn where_no_speaker_runs_the_line_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let missing = run(Request::Status, control(&path), &global()).unwrap_err();
    drop(UnixListener::bind(&path).unwrap());
    let stale = run(Request::Status, control(&path), &global()).unwrap_err();
    for error in [missing, stale] {
        assert_eq!(error.exit, Exit::Unavailable);
        assert!(
            error.message.starts_with("the speaker is not running") && error.message.contains("systemctl start elio")
        );
    }
}

#[test]
fn who_may_not_open_the_socket_is_told_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    fs::write(&path, "").unwrap();
    let error = unreachable(&path, &ErrorKind::PermissionDenied.into());
    let group = group_of(&path);
    assert_eq!(error.exit, Exit::Unavailable);
    assert!(error.message.contains(&format!("usermod -aG {group} $USER")), "{}", error.message);
    assert_eq!(group_of(Path::new("/nonexistent")), "elio");
    assert_eq!(group_of(Path::new("/")), "root");
    assert_eq!(unreachable(&path, &ErrorKind::WouldBlock.into()).exit, Exit::TryAgain);
}

#[test]
fn an_answer_of_another_program_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = ["hello\n", "", "{\"ok\":true}\n"];
    let other = std::thread::spawn(move || {
        for answer in answers {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            io::Read::read(&mut peer, &mut request).unwrap();
            peer.write_all(answer.as_bytes()).unwrap();
        }
    });
    for _ in answers {
        let error = run(Request::Status, control(&path), &global()).unwrap_err();
        assert_eq!(error.exit, Exit::Failed);
        assert!(error.message.contains("another version") && !error.message.contains('\n'), "{}", error.message);
    }
    other.join().unwrap();
}

#[test]
fn the_table_is_for_a_person() {
    let report = Report {
        state: Visible::Idle,
        since_ms: 192_400,
        mode: WakeMode::Hold,
        muted: true,
        turns: 12,
        last_turn: Some(
            json!({"outcome": "answered", "total_perceived_ms": 812.4, "stt_ms": 120.2, "tts_ttfb_ms": null}),
        ),
        models: Models { stt: "whisper-base".into(), voice: String::new() },
        connection: Connection { open: true, age_ms: Some(61_000) },
        cache: Some(Keeping {
            keep_warm: KeepWarm::Always,
            cached: Some(true),
            prefix_tokens: 1743,
            counted: true,
            cache_floor: 512,
            tokens_after_question: 0,
            most_tokens_a_day: 557_760,
            requests_24h: 12,
            tokens_24h: 21_012,
        }),
        microphone: "hw:1,0, 16000 Hz".into(),
        speaker: "default".into(),
        version: "0.1.0".into(),
        ready_ms: Some(420),
        warm_ms: None,
    };
    let shown = "\
state       idle for 3m 12s
button      hold
microphone  hw:1,0, 16000 Hz (muted)
speaker     default
claude      connected for 1m 1s
cache       1743 tokens (counted), kept day and night: 557760 tokens a day; the last 24 hours took 21012 in 12 requests
whisper     whisper-base
voice       -
turns       12
started     ready after 420 ms, warm not yet
last turn   answered, perceived 812 ms, hearing 120 ms
version     0.1.0
";
    assert_eq!(table(&report), shown);
    let offline = Connection { open: false, age_ms: None };
    assert!(table(&Report { connection: offline, ..report }).contains("claude      not connected\n"));
}
