//! `elio models`, as a person and a script use it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common;
use crate::house::{House, OLD, content, serve, sha256, turn};
use crate::server::Server;

/// `elio models ARGS`, with the house's manifest and folder.
fn elio(house: &House, args: &[&str]) -> Command {
    let mut command = common::elio(&["models"]);
    command.args(args);
    for (key, value) in [
        ("models.manifest", format!("{:?}", house.folder.path().join("manifest.toml"))),
        ("models.dirs", format!("[{:?}]", house.dir())),
        ("endpoint.turn_model", "turn".to_owned()),
        ("endpoint.vad", "earshot".to_owned()),
        ("tts.voice_en", "espeak-ng".to_owned()),
        ("tts.voice_fr", "espeak-ng".to_owned()),
    ] {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || common::output(&mut command)).await.unwrap()
}

fn stick(name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let stick = tempfile::tempdir().unwrap();
    fs::write(stick.path().join(name), bytes).unwrap();
    stick
}

async fn bytes_server() -> Server {
    Server::tls(|seen| serve(seen, &content(1), "\"one\"")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_names_it_fetches_what_the_configuration_needs() {
    let server = bytes_server().await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&content(1))));
    let ca = server.ca_file.clone().unwrap();
    let fetched = output(elio(&house, &["fetch", "--ca-file", ca.to_str().unwrap()])).await;
    let (out, err) = (String::from_utf8_lossy(&fetched.stdout), String::from_utf8_lossy(&fetched.stderr));
    assert!(fetched.status.success(), "{err}");
    assert!(out.contains("turn: ") && out.contains("fetched, SHA-256 as published"), "{out}");
    assert!(err.contains("turn.onnx: 292.97 KiB from https://127.0.0.1"), "{err}");
    assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "no bar where there is no terminal: {err:?}");
    assert_eq!(house.read("turn.onnx").unwrap(), content(1));

    let json = common::json(&output(elio(&house, &["fetch", "turn", "--json"])).await);
    assert_eq!((&json["ok"], &json["models"][0]["files"][0]["did"]), (&Value::Bool(true), &"kept".into()));
    assert_eq!(json["models"][0]["files"][0]["sha256"], sha256(&content(1)));

    let verified = common::json(&output(elio(&house, &["verify", "--json"])).await);
    let file = &verified["models"][0]["files"][0];
    assert_eq!((&file["ok"], &file["published"][0]), (&Value::Bool(true), &"sha256".into()));
}

/// The service owns the folder, and what a program that took it over put there must not move root's hand.
#[tokio::test(flavor = "multi_thread")]
async fn root_fetches_as_the_owner_of_the_folder() {
    let server = bytes_server().await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&content(1))));
    fs::create_dir_all(house.dir()).unwrap();
    if chown(house.dir(), Some(65_534), Some(65_534)).is_err() {
        println!("NOT RUN: a folder of somebody else: only root can make one");
        return;
    }
    fs::set_permissions(house.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let secret = house.folder.path().join("secret");
    fs::write(&secret, "root's").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    symlink(&secret, house.dir().join("turn.onnx.part")).unwrap();
    let ca = server.ca_file.clone().unwrap();
    let fetched = output(elio(&house, &["fetch", "--ca-file", ca.to_str().unwrap()])).await;
    let err = String::from_utf8_lossy(&fetched.stderr);
    assert!(fetched.status.success() && err.contains("as the user 65534"), "{err}");
    assert_eq!(house.read("turn.onnx").unwrap(), content(1));
    let owner = |file: &Path| fs::metadata(file).unwrap().uid();
    assert_eq!((owner(&house.dir().join("turn.onnx")), owner(&secret)), (65_534, 0));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "root's");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_used() {
    let server = bytes_server().await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&content(1))));
    let (proxy, asked) = proxy();
    let ca = server.ca_file.clone().unwrap();
    let mut command = elio(&house, &["fetch", "turn", "--ca-file", ca.to_str().unwrap()]);
    command.env("HTTPS_PROXY", proxy).env_remove("NO_PROXY").env_remove("no_proxy").env_remove("https_proxy");
    let fetched = output(command).await;
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let address = server.base_url.trim_start_matches("https://");
    assert!(asked.recv().unwrap().starts_with(&format!("CONNECT {address} ")));
}

/// An HTTP proxy that tunnels one connection, and tells what it was asked for.
fn proxy() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            near.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut far = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
        tell.send(head).unwrap();
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        let _ = std::io::copy(&mut near, &mut far);
    });
    (address, asked)
}

/// A limit on the size of files stops the writing as a full disk does, and needs no root and no disk.
#[test]
fn a_disk_that_fills_up_while_it_writes_leaves_the_old_model_and_no_part() {
    let house = House::new(&turn("https://127.0.0.1:9/turn.onnx", Some(&content(1)))).old("turn.onnx");
    let stick = stick("turn.onnx", &content(1));
    let fetch = elio(&house, &["fetch", "turn", "--mirror", stick.path().to_str().unwrap()]);
    let mut limited = Command::new("sh");
    // In blocks of 512 or 1024 bytes, whichever shell it is. Ignored, the signal becomes an error of the write.
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(fetch.get_program())
        .args(fetch.get_args());
    limited.current_dir(common::repository());
    let line = common::one_line_of_failure(&common::output(&mut limited), 1);
    assert!(line.contains("turn.onnx.part: no room: ") && line.contains("make room"), "{line}");
    assert_eq!((house.read("turn.onnx").unwrap(), house.names()), (OLD.to_vec(), vec!["turn.onnx".to_owned()]));
}

#[test]
fn verify_reports_every_fault_with_its_mend() {
    let manifest = [turn("https://127.0.0.1:9/turn.onnx", Some(&content(1))), second(&content(2))].concat();
    let house = House::new(&manifest).old("turn.onnx").old("second.onnx");
    let mut damaged = content(2);
    damaged[1000] ^= 1;
    fs::write(house.dir().join("second.onnx"), damaged).unwrap();
    let verified = common::output(&mut elio(&house, &["verify"]));
    let err = String::from_utf8_lossy(&verified.stderr);
    assert_eq!(verified.status.code(), Some(78), "{err}");
    assert!(err.contains("turn.onnx is truncated: 5 bytes") && err.contains("`elio models fetch turn`"), "{err}");
    assert!(err.contains("second.onnx is damaged: SHA-256") && err.contains("`elio models fetch second`"), "{err}");
    assert!(err.contains("the test says so"), "the source of the hash: {err}");

    let json = common::output(&mut elio(&house, &["verify", "--json", "second"]));
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &document["ok"]), (Some(78), &Value::Bool(false)));
    assert!(document["models"][0]["files"][0]["fault"].as_str().unwrap().contains("is damaged"));
    let line = common::one_line_of_failure(&common::output(&mut elio(&house, &["verify", "third"])), 78);
    assert!(line.contains("known: turn, second"), "{line}");
}

fn second(bytes: &[u8]) -> String {
    turn("https://127.0.0.1:9/second.onnx", Some(bytes))
        .replace("'turn", "'second")
        .replace("kind='second'", "kind='turn'")
}

#[test]
fn the_list_says_what_is_here_and_what_is_used() {
    let house = House::new(&turn("https://127.0.0.1:9/turn.onnx", None));
    let list =
        |house: &House| common::json(&common::output(&mut elio(house, &["list", "--json"])))["models"][0].clone();
    let missing = list(&house);
    assert_eq!((&missing["state"], &missing["used_by"][0]), (&"missing".into(), &"endpoint.turn_model".into()));
    let house = house.old("turn.onnx");
    let here = list(&house);
    assert_eq!(here["state"], "here");
    assert_eq!(here["files"][0]["path"].as_str().map(Path::new), Some(house.dir().join("turn.onnx").as_path()));
    assert_eq!(here["files"][0]["pin"], Value::Null);
    common::json(&common::output(&mut elio(&house, &["fetch", "--json"])));
    assert_eq!(list(&house)["files"][0]["pin"], sha256(OLD), "it was trusted as it lay there");
    let text = common::output(&mut elio(&house, &["list"]));
    let text = String::from_utf8_lossy(&text.stdout);
    for part in [
        "turn (turn, en, size unknown): here for endpoint.turn_model",
        "MIT",
        "no published hash: the test says so; pinned here",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// The list that the program has built in, with the default configuration.
#[test]
fn the_built_in_list_names_purpose_and_licence_of_each() {
    let list = common::output(&mut common::elio(&["models", "list"]));
    let text = String::from_utf8_lossy(&list.stdout);
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    for part in [
        "whisper-base-q5_1 (whisper, en fr, 56.94 MiB): ",
        " for stt.model",
        "CC BY-NC 4.0",
        "checked by MD5 at least",
        "for endpoint.vad",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let house = House::new(&turn("https://127.0.0.1:9/turn.onnx", None));
    let line =
        common::one_line_of_failure(&common::output(&mut elio(&house, &["fetch", "--mirror", "/nonexistent"])), 2);
    assert!(line.contains("mirror /nonexistent: is no folder"), "{line}");
    let line = common::one_line_of_failure(&common::output(&mut elio(&house, &["fetch", "nobody"])), 78);
    assert!(line.contains("known: turn"), "{line}");
}
