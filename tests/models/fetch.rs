//! Fetching that goes well in the end: whole, resumed, redirected, mirrored, once only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use elio::models::{Algorithm, Did, Fetcher, Mirror, News, Patience, Store};

use crate::house::{House, PATIENT, asked_from, content, cut, fetcher, mirrored, patient, serve, sha256, turn, voice};
use crate::server::{Piece, Reply, Server};

const MARK: &str = "\"one\"";

#[tokio::test]
async fn a_model_is_fetched_once_and_kept() {
    let bytes = content(1);
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| serve(seen, &bytes, MARK)
    })
    .await;
    let house = House::new(&turn(&format!("{}/deep/turn.onnx", server.base_url), Some(&bytes)));
    let files = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((files.len(), files[0].did, files[0].first), (1, Did::Fetched, false));
    assert_eq!(files[0].checked.published, [Algorithm::Sha256]);
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
    assert_eq!(house.names(), ["turn.onnx"], "no part and no pin is left");
    let mode = fs::metadata(house.dir().join("turn.onnx")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644, "the service runs as another user");

    let again = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(again[0].did, Did::Kept);
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "what is right is not asked for again");
    assert_eq!(
        (seen[0].path.as_str(), seen[0].headers["accept-encoding"].to_str().unwrap()),
        ("/deep/turn.onnx", "identity")
    );
    for secret in ["authorization", "cookie", "x-api-key"] {
        assert!(!seen[0].headers.contains_key(secret), "{secret} is nobody's business");
    }
    assert!(house.models.turn("turn").is_ok(), "it is found where it was put");
}

#[tokio::test]
async fn a_file_that_is_wrong_is_replaced() {
    let bytes = content(1);
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| serve(seen, &bytes, MARK)
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes))).old("turn.onnx");
    let files = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(files[0].did, Did::Fetched);
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => cut(serve(seen, &bytes, MARK), 100_000),
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    let from = asked_from(&seen[1], MARK).expect("a range, of the content that had begun");
    assert!((1..=100_000).contains(&from), "{from}");
}

#[tokio::test]
async fn the_next_fetch_goes_on_with_what_the_last_one_left() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => cut(serve(seen, &bytes, MARK), 100_000),
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &patient(&server, Patience { tries: 1, ..PATIENT })).await.unwrap_err();
    assert_eq!(house.names(), ["turn.onnx.part", "turn.onnx.part.toml"]);
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert!(asked_from(&server.seen()[1], MARK).unwrap() > 0);
    assert_eq!((house.read("turn.onnx").unwrap(), house.names()), (bytes, vec!["turn.onnx".to_owned()]));
}

/// What the disk held after a power cut need not be what was written.
#[tokio::test]
async fn a_part_that_went_bad_on_the_disk_is_fetched_anew() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => cut(serve(seen, &bytes, MARK), 100_000),
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &patient(&server, Patience { tries: 1, ..PATIENT })).await.unwrap_err();
    let part = house.dir().join("turn.onnx.part");
    let len = fs::metadata(&part).unwrap().len() as usize;
    fs::write(&part, vec![0; len]).unwrap();
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
    assert_eq!(server.seen().len(), 3, "cut, gone on, anew");
}

#[tokio::test]
async fn a_file_that_changed_on_the_server_comes_anew() {
    let (old, new, tries) = (content(1), content(2), AtomicUsize::new(0));
    let server = Server::tls({
        let new = new.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => cut(serve(seen, &old, MARK), 100_000),
            _ => serve(seen, &new, "\"two\""),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&new)));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(house.read("turn.onnx").unwrap(), new, "nothing of the old one is in it");
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_all_again() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| {
            let mut plain = seen.clone();
            plain.headers.remove("range");
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 => cut(serve(&plain, &bytes, MARK), 100_000),
                _ => serve(&plain, &bytes, MARK),
            }
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((house.read("turn.onnx").unwrap(), server.seen().len()), (bytes, 2));
}

#[tokio::test]
async fn a_fault_of_the_server_that_passes_is_waited_for() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::error(500, "x", "y"),
            1 => Reply::error(429, "x", "y").with("retry-after", "0"),
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((house.read("turn.onnx").unwrap(), server.seen().len()), (bytes, 3));
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_another_goes_on() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => match cut(serve(seen, &bytes, MARK), 100_000) {
                Reply::Answer { status, headers, body } => {
                    let body = vec![body.into_iter().next().unwrap(), Piece::Hang];
                    Reply::Answer { status, headers, body }
                }
                other => other,
            },
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    // A busy machine may be silent for as long too: that costs a try and no more.
    let patience = Patience { stall: Duration::from_millis(500), tries: 100, ..PATIENT };
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &patient(&server, patience)).await.unwrap();
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
}

/// Hugging Face answers with the address of its file store.
#[tokio::test]
async fn a_redirect_is_followed_with_its_range() {
    let (bytes, tries) = (content(1), AtomicUsize::new(0));
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| match seen.path.as_str() {
            "/resolve/turn.onnx" => {
                Reply::Answer { status: 302, headers: vec![("location", "/store/af01".to_owned())], body: vec![] }
            }
            _ if tries.fetch_add(1, Ordering::SeqCst) == 0 => cut(serve(seen, &bytes, MARK), 100_000),
            _ => serve(seen, &bytes, MARK),
        }
    })
    .await;
    let house = House::new(&turn(&format!("{}/resolve/turn.onnx", server.base_url), Some(&bytes)));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(house.read("turn.onnx").unwrap(), bytes);
    let paths: Vec<String> = server.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/resolve/turn.onnx", "/store/af01", "/resolve/turn.onnx", "/store/af01"]);
    assert!(asked_from(&server.seen()[3], MARK).is_some(), "the range goes with it");
}

#[tokio::test]
async fn a_mirror_may_be_a_folder_or_an_address() {
    let (onnx, json) = (content(1), b"{\"a\": 1}".to_vec());
    let manifest = voice("https://127.0.0.1:9/nobody", &onnx, &json);
    let stick = tempfile::tempdir().unwrap();
    fs::write(stick.path().join("voice.onnx"), &onnx).unwrap();
    fs::write(stick.path().join("voice.json"), &json).unwrap();
    let house = House::new(&manifest);
    let files = house.fetch("voice", &mirrored(stick.path().to_str().unwrap(), None)).await.unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!((house.read("voice.onnx").unwrap(), house.read("voice.json").unwrap()), (onnx.clone(), json.clone()));

    let script = {
        let (onnx, json) = (onnx.clone(), json.clone());
        move |seen: &crate::server::Seen| match seen.path.as_str() {
            "/models/voice.onnx" => serve(seen, &onnx, MARK),
            "/models/voice.json" => serve(seen, &json, MARK),
            _ => Reply::error(404, "x", "y"),
        }
    };
    let secure = Server::tls(script.clone()).await;
    let plain = Server::plain(script).await;
    for (server, path) in [(&secure, "models"), (&plain, "models/")] {
        let house = House::new(&manifest);
        let mirror = format!("{}/{path}", server.base_url);
        house.fetch("voice", &mirrored(&mirror, server.ca_file.as_deref())).await.unwrap();
        assert_eq!(house.read("voice.onnx").unwrap(), onnx, "{mirror}");
    }
}

#[test]
fn what_is_no_mirror_is_refused() {
    for (mirror, want) in [
        ("/nonexistent/stick", "is no folder"),
        ("ftp://host/models", "begins with http"),
        ("https://me:secret@host/models", "no user name"),
        ("https://host/models?token=1", "begins with http"),
    ] {
        let fault = mirror.parse::<Mirror>().unwrap_err().to_string();
        assert!(fault.contains(want), "{fault}");
    }
    let fault = Fetcher::new(None, Some("/nonexistent/ca.pem".as_ref()), PATIENT).unwrap_err().to_string();
    assert!(fault.starts_with("authority /nonexistent/ca.pem: cannot be read"), "{fault}");
}

#[tokio::test]
async fn of_two_fetches_at_once_one_waits_and_finds_all_done() {
    let bytes = content(1);
    let server = Server::tls({
        let bytes = bytes.clone();
        move |seen| serve(seen, &bytes, MARK)
    })
    .await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), Some(&bytes)));
    let first = Store::open(&[house.dir()], &|_: News<'_>| {}).await.unwrap();
    let (waited, fetcher) = (AtomicUsize::new(0), fetcher(&server));
    let second = async {
        let news = |news: News<'_>| {
            if matches!(news, News::Waiting { .. }) {
                waited.fetch_add(1, Ordering::SeqCst);
            }
        };
        let store = Store::open(&[house.dir()], &news).await.unwrap();
        fetcher.fetch(&store, house.entry("turn"), &|_: News<'_>| {}).await.unwrap()
    };
    let ahead = async {
        while waited.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let done = fetcher.fetch(&first, house.entry("turn"), &|_: News<'_>| {}).await.unwrap();
        drop(first);
        done
    };
    let (ahead, behind) = tokio::join!(ahead, second);
    assert_eq!((ahead[0].did, behind[0].did, server.seen().len()), (Did::Fetched, Did::Kept, 1));
    assert_eq!(waited.load(Ordering::SeqCst), 1, "it says once that it waits");
    assert_eq!(behind[0].checked.sha256, sha256(&bytes));
}
