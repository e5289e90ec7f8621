//! Fetching that fails: each fault is one line with its mend, and the old model is there still.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use elio::models::{FetchError, Fetcher, Patience};

use crate::house::{House, OLD, PATIENT, content, cut, fetcher, mirrored, serve, sha256, turn, voice};
use crate::server::{Piece, Reply, Seen, Server};

const MARK: &str = "\"one\"";

/// Fetches a model whose old file is there, from a server that misbehaves, and gives the fault.
async fn fault(wanted: &[u8], script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (FetchError, House, Server) {
    let server = Server::tls(script).await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(wanted))).old("turn.onnx");
    let fault = house.fetch("turn", &fetcher(&server)).await.unwrap_err();
    assert!(!fault.to_string().contains('\n'), "one line: {fault}");
    assert_eq!(house.read("turn.onnx").unwrap(), OLD, "the old model stays: {fault}");
    assert!(!house.names().contains(&"pins.toml".to_owned()));
    (fault, house, server)
}

#[tokio::test]
async fn another_file_of_the_same_size_is_refused_and_removed() {
    let (wanted, other) = (content(1), content(2));
    let (fault, house, server) = fault(&wanted, move |seen| serve(seen, &other, MARK)).await;
    let text = fault.to_string();
    assert!(matches!(fault, FetchError::Wrong { .. }), "{text}");
    for part in [sha256(&wanted), sha256(&content(2)), "the test says so".into(), "it was removed".into()] {
        assert!(text.contains(&part), "{part} is not in: {text}");
    }
    assert_eq!((house.names(), server.seen().len()), (vec!["turn.onnx".to_owned()], 1));
}

#[tokio::test]
async fn another_size_is_refused_before_it_comes() {
    let (fault, house, _) = fault(&content(1), move |seen| serve(seen, b"a login page", MARK)).await;
    assert!(fault.to_string().contains("the server has 12 bytes, the manifest says 300002"), "{fault}");
    assert!(matches!(fault, FetchError::Refused { .. }));
    assert_eq!(fs::metadata(house.dir().join("turn.onnx.part")).map_or(0, |part| part.len()), 0);
}

#[tokio::test]
async fn a_length_that_lies_and_no_ranges_end_after_the_tries() {
    let bytes = content(1);
    let (fault, _, server) = fault(&bytes.clone(), move |seen| {
        let mut plain = seen.clone();
        plain.headers.remove("range");
        match serve(&plain, &bytes, MARK) {
            // The promise of the head, and half of the body.
            Reply::Answer { status, headers, body } => {
                Reply::Answer { status, headers, body: body.into_iter().take(2).collect() }
            }
            other => other,
        }
    })
    .await;
    let text = fault.to_string();
    assert!(matches!(fault, FetchError::Cut { .. }) && text.contains("it goes on where it stopped"), "{text}");
    // Each one that got further than ever begins the count anew; there are two pieces to get.
    assert!((3..=9).contains(&server.seen().len()), "{}", server.seen().len());
}

#[tokio::test]
async fn a_body_without_a_length_that_ends_early_is_no_file() {
    let bytes = content(1);
    let (fault, _, _) = fault(&bytes.clone(), move |_| Reply::Answer {
        status: 200,
        headers: vec![],
        body: vec![Piece::Bytes(bytes[..1000].to_vec())],
    })
    .await;
    assert!(fault.to_string().contains("it ended after 1000 of 300002 bytes"), "{fault}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_off() {
    let (bytes, more) = (content(1), content(3));
    let (fault, house, _) = fault(&bytes.clone(), move |_| {
        let body = vec![Piece::Bytes(bytes.clone()), Piece::Bytes(more.clone()), Piece::Hang];
        Reply::Answer { status: 200, headers: vec![], body }
    })
    .await;
    assert!(fault.to_string().contains("longer than the 300002 bytes"), "{fault}");
    assert_eq!(house.names(), ["turn.onnx"]);
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_asked_for_twice() {
    let (fault, _, server) = fault(&content(1), |_| Reply::error(404, "x", "y")).await;
    let text = fault.to_string();
    assert!(text.contains("404 Not Found") && text.contains("--mirror"), "{text}");
    assert_eq!(server.seen().len(), 1);
    let (fault, _, _) = self::fault(&content(1), |_| Reply::error(401, "x", "y")).await;
    assert!(fault.to_string().contains("Elio never says it"), "{fault}");
}

#[tokio::test]
async fn a_server_that_stays_broken_ends_after_the_tries() {
    let (fault, _, server) = fault(&content(1), |_| Reply::error(503, "x", "y")).await;
    assert!(matches!(fault, FetchError::Cut { tries: 3, .. }), "{fault}");
    assert!(fault.to_string().contains("503 Service Unavailable"), "{fault}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn nobody_at_the_address_ends_after_the_tries() {
    let house = House::new(&turn("https://127.0.0.1:9/turn.onnx", Some(&content(1)))).old("turn.onnx");
    let fault = house.fetch("turn", &Fetcher::new(None, None, PATIENT).unwrap()).await.unwrap_err();
    assert!(matches!(fault, FetchError::Cut { .. }), "{fault}");
    assert_eq!(fault.to_string().matches("https://127.0.0.1:9").count(), 1, "the address once: {fault}");
    assert_eq!(house.read("turn.onnx").unwrap(), OLD);
}

#[tokio::test]
async fn a_redirect_out_of_tls_or_in_a_circle_is_not_followed() {
    let to = |place: &'static str| {
        move |_: &Seen| Reply::Answer { status: 302, headers: vec![("location", place.to_owned())], body: vec![] }
    };
    let (fault, _, server) = fault(&content(1), to("http://127.0.0.1:9/turn.onnx")).await;
    assert!(fault.to_string().contains("an address without TLS"), "{fault}");
    assert_eq!(server.seen().len(), 1);
    let (fault, _, _) = self::fault(&content(1), to("/again")).await;
    assert!(fault.to_string().contains("in a circle"), "{fault}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it_at_once() {
    let bytes = content(1);
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| serve(seen, &bytes, MARK)
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes))).old("turn.onnx");
    let fault = house.fetch("turn", &Fetcher::new(None, None, PATIENT).unwrap()).await.unwrap_err();
    assert!(matches!(&fault, FetchError::Tls { .. }), "{fault}");
    assert!(fault.to_string().contains("--ca-file"), "{fault}");
    assert_eq!((server.seen().len(), server.connections()), (0, 1), "no second try");
    assert_eq!(house.read("turn.onnx").unwrap(), OLD);
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_told_before_anything_comes() {
    let server = Server::tls(|_| Reply::error(500, "x", "y")).await;
    let size = format!("size={}\nsha256='{}'\n", 1_u64 << 60, "0".repeat(64));
    let manifest = turn(&format!("{}/turn.onnx", server.base_url), None);
    let house = House::new(&format!("{manifest}{size}")).old("turn.onnx");
    let fault = house.fetch("turn", &fetcher(&server)).await.unwrap_err();
    assert!(matches!(fault, FetchError::Full { .. }), "{fault}");
    assert!(fault.to_string().contains("make room"), "{fault}");
    assert_eq!((server.seen().len(), house.read("turn.onnx").unwrap()), (0, OLD.to_vec()));
}

#[tokio::test]
async fn a_voice_changes_both_its_files_or_none() {
    let (onnx, json, broken) = (content(1), b"{\"a\": 1}".to_vec(), AtomicUsize::new(1));
    let broken = std::sync::Arc::new(broken);
    let server = Server::tls({
        let (onnx, json, broken) = (onnx.clone(), json.clone(), std::sync::Arc::clone(&broken));
        move |seen| match seen.path.as_str() {
            "/voice.onnx" => serve(seen, &onnx, MARK),
            _ if broken.load(Ordering::SeqCst) == 1 => Reply::error(404, "x", "y"),
            _ => serve(seen, &json, MARK),
        }
    })
    .await;
    let house = House::new(&voice(&server.base_url, &onnx, &json)).old("voice.onnx").old("voice.json");
    house.fetch("voice", &fetcher(&server)).await.unwrap_err();
    assert_eq!((house.read("voice.onnx").unwrap(), house.read("voice.json").unwrap()), (OLD.to_vec(), OLD.to_vec()));
    broken.store(0, Ordering::SeqCst);
    house.fetch("voice", &fetcher(&server)).await.unwrap();
    assert_eq!((house.read("voice.onnx").unwrap(), house.read("voice.json").unwrap()), (onnx, json));
    let count = server.seen().iter().filter(|seen| seen.path == "/voice.onnx").count();
    assert_eq!(
        (count, house.names()),
        (1, vec!["voice.json".to_owned(), "voice.onnx".to_owned()]),
        "what came is not fetched again"
    );
}

#[tokio::test]
async fn a_mirror_that_lacks_a_file_or_has_another_one_changes_nothing() {
    let stick = tempfile::tempdir().unwrap();
    let house = House::new(&turn("https://127.0.0.1:9/turn.onnx", Some(&content(1)))).old("turn.onnx");
    let fetcher = mirrored(stick.path().to_str().unwrap(), None);
    let fault = house.fetch("turn", &fetcher).await.unwrap_err().to_string();
    assert!(fault.contains("turn.onnx: No such file"), "{fault}");
    fs::write(stick.path().join("turn.onnx"), content(2)).unwrap();
    let fault = house.fetch("turn", &fetcher).await.unwrap_err();
    assert!(matches!(fault, FetchError::Wrong { .. }), "{fault}");
    assert_eq!((house.read("turn.onnx").unwrap(), house.names()), (OLD.to_vec(), vec!["turn.onnx".to_owned()]));
}

/// The part of a cut download stays for the next try, and is nobody's model.
#[tokio::test]
async fn what_was_cut_off_is_never_opened_as_a_model() {
    let bytes = content(1);
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| cut(serve(seen, &bytes, MARK), 1000)
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    let once = Fetcher::new(None, server.ca_file.as_deref(), Patience { tries: 1, ..PATIENT }).unwrap();
    house.fetch("turn", &once).await.unwrap_err();
    assert!(house.read("turn.onnx.part").is_some_and(|part| part.len() <= 1000));
    let missing = house.models.turn("turn").unwrap_err().to_string();
    assert!(missing.contains("run `elio models fetch turn`"), "{missing}");
}
