//! The control socket at the level of bytes, on a real Unix socket.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::config::WakeMode;
use crate::turn::Visible;

struct Daemon {
    folder: TempDir,
    path: PathBuf,
    cancel: CancellationToken,
    presses: UnboundedReceiver<WakeEvent>,
    status: watch::Sender<Status>,
    served: tokio::task::JoinHandle<Result<(), ControlError>>,
}

async fn daemon() -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");
    let socket = bind(&path).await.unwrap();
    let (cancel, (sender, presses)) = (CancellationToken::new(), unbounded_channel());
    let (status, seen) = watch::channel(Status::starting(WakeMode::Hold, Mono::now()));
    let served = tokio::spawn(serve(socket, cancel.clone(), sender, seen));
    Daemon { folder, path, cancel, presses, status, served }
}

/// Sends `bytes`, ends the sending side, and reads all that comes back.
async fn exchange(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    // A peer that has been refused may be gone before all of it is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn press_and_release_arrive_with_their_time() {
    let mut daemon = daemon().await;
    let before = Mono::now();
    let answer = exchange(&daemon.path, b"{\"verb\":\"press\"}\n{\"verb\":\"release\"}\n").await;
    let replies: Vec<Value> = answer.lines().map(parse).collect();
    assert_eq!(replies.len(), 2);
    assert!(replies.iter().all(|reply| reply["ok"] == json!(true)), "{answer}");
    let Some(WakeEvent::Pressed { source: Source::Socket, at: pressed }) = daemon.presses.recv().await else {
        panic!()
    };
    let Some(WakeEvent::Released { source: Source::Socket, at: released }) = daemon.presses.recv().await else {
        panic!()
    };
    assert!(before <= pressed && pressed <= released && released <= Mono::now());
}

#[tokio::test]
async fn the_status_is_the_newest_with_ages() {
    let mut daemon = daemon().await;
    let second = Duration::from_secs(1);
    daemon.status.send_modify(|status| {
        status.state = Visible::Speaking;
        status.since = Mono::now() - second;
        status.connected = Some(Mono::now() - second * 2);
        status.last_turn = Some(json!({"outcome": "answered", "total_perceived_ms": 812.5}));
        status.models.stt = "whisper-tiny".into();
        status.turns = 4;
    });
    // Without a newline too: the end of the stream ends the request.
    let answer = exchange(&daemon.path, br#"{"verb":"status"}"#).await;
    let report: Report = serde_json::from_str(&answer).unwrap();
    assert_eq!((report.state, report.turns), (Visible::Speaking, 4));
    assert!(report.since_ms >= 1000);
    assert!(report.connection.open && report.connection.age_ms.is_some_and(|age| age >= 2000));
    let reply = parse(&answer);
    assert_eq!(reply["ok"], json!(true));
    assert_eq!(reply["state"], json!("speaking"));
    assert_eq!(reply["mode"], json!("hold"));
    assert_eq!(reply["last_turn"]["total_perceived_ms"], json!(812.5));
    assert_eq!(reply["version"], json!(env!("CARGO_PKG_VERSION")));
    assert!(daemon.presses.try_recv().is_err());
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_in_words() {
    let mut daemon = daemon().await;
    for bad in
        [&b"hello\n"[..], b"{}\n", b"{\"verb\":\"reboot\"}\n", b"\n", b"\xff\xfe\n", b"[[[[", b"{\"verb\":\"press\""]
    {
        let reply = parse(&exchange(&daemon.path, bad).await);
        assert_eq!(reply["ok"], json!(false), "{bad:?}");
        let error = reply["error"].as_str().unwrap();
        assert!(error.starts_with("not a request like {\"verb\":\"press\"}") && !error.contains('\n'), "{error}");
    }
    let long = exchange(&daemon.path, &vec![b'x'; 100_000]).await;
    assert_eq!(parse(&long), json!({"ok": false, "error": "a request is one line of at most 1024 bytes"}));
    assert_eq!(exchange(&daemon.path, b"").await, "");
    // The connection outlives a bad line.
    let answer = exchange(&daemon.path, b"nonsense\n{\"verb\":\"press\"}\n").await;
    assert_eq!(answer.lines().map(|line| parse(line)["ok"].clone()).collect::<Vec<_>>(), [json!(false), json!(true)]);
    assert!(matches!(daemon.presses.try_recv(), Ok(WakeEvent::Pressed { .. })));
    assert!(daemon.presses.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn silent_peers_cannot_keep_the_others_out() {
    let daemon = daemon().await;
    let mut silent = Vec::new();
    for _ in 0..PEERS + 4 {
        let mut stream = UnixStream::connect(&daemon.path).await.unwrap();
        stream.write_all(b"{\"verb\":").await.unwrap();
        silent.push(stream);
    }
    let start = tokio::time::Instant::now();
    let answer = exchange(&daemon.path, b"{\"verb\":\"status\"}\n").await;
    assert_eq!(parse(&answer)["ok"], json!(true));
    assert!(start.elapsed() <= CONNECTION * 2, "{:?}", start.elapsed());
    let mut rest = Vec::new();
    assert_eq!(silent[0].read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn after_the_daemon_has_let_go_a_press_is_refused() {
    let mut daemon = daemon().await;
    daemon.presses.close();
    let reply = parse(&exchange(&daemon.path, b"{\"verb\":\"press\"}\n").await);
    assert_eq!(reply, json!({"ok": false, "error": "elio is stopping"}));
}

#[tokio::test]
async fn the_end_is_prompt_and_leaves_no_file() {
    let daemon = daemon().await;
    let mut open = UnixStream::connect(&daemon.path).await.unwrap();
    daemon.cancel.cancel();
    daemon.served.await.unwrap().unwrap();
    assert_eq!(open.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(fs::read_dir(daemon.path.parent().unwrap()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let daemon = daemon().await;
    let error = bind(&daemon.path).await.unwrap_err();
    assert!(matches!(error, ControlError::Running { .. }), "{error}");
    let said = format!("another elio is running (it answers on {}): stop it first", daemon.path.display());
    assert!(error.to_string().starts_with(&said), "{error}");
    assert_eq!(parse(&exchange(&daemon.path, b"{\"verb\":\"status\"}\n").await)["ok"], json!(true));
    assert_eq!(fs::read_dir(daemon.path.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_only_the_group_may_open_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    // What a killed daemon leaves: the file, with nobody behind it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let socket = bind(&path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    // Another has taken the place meanwhile: its file is not ours to remove.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody's").unwrap();
    drop(socket);
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let daemon = daemon().await;
    let file = daemon.folder.path().join("notes");
    fs::write(&file, "mine").unwrap();
    let error = bind(&file).await.unwrap_err().to_string();
    assert!(error.contains("notes exists and is not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let link = daemon.folder.path().join("link");
    symlink(&daemon.path, &link).unwrap();
    assert!(matches!(bind(&link).await, Err(ControlError::NotASocket { .. })));
    let below = file.join("control.sock");
    let error = bind(&below).await.unwrap_err();
    assert!(matches!(error, ControlError::Bind { .. }), "{error}");
    assert!(error.to_string().starts_with("daemon.socket: cannot listen on "), "{error}");
}
