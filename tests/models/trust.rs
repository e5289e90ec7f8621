//! Trust on first use: what nobody publishes a SHA-256 of is pinned when it comes first, and compared ever after.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use elio::models::{Did, FetchError, PIN_FILE};

use crate::house::{House, OLD, content, fetcher, serve, sha256, turn};
use crate::server::Server;

const MARK: &str = "\"one\"";

/// A server that has `content(seed)`.
async fn server(seed: &Arc<AtomicU8>) -> Server {
    let seed = Arc::clone(seed);
    Server::tls(move |seen| serve(seen, &content(seed.load(Ordering::SeqCst)), MARK)).await
}

#[tokio::test]
async fn the_first_download_is_pinned_and_another_one_is_refused() {
    let seed = Arc::new(AtomicU8::new(1));
    let server = server(&seed).await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), None));
    let first = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((first[0].did, first[0].first), (Did::Fetched, true));
    assert_eq!(first[0].checked.sha256, sha256(&content(1)));
    let pins = String::from_utf8(house.read(PIN_FILE).unwrap()).unwrap();
    assert!(pins.contains(&sha256(&content(1))) && pins.contains("turn.onnx"), "{pins}");

    let again = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((again[0].did, again[0].first, again[0].checked.pinned), (Did::Kept, false, true));

    // The publisher changes it, or somebody between.
    seed.store(2, Ordering::SeqCst);
    fs::write(house.dir().join("turn.onnx"), OLD).unwrap();
    let fault = house.fetch("turn", &fetcher(&server)).await.unwrap_err();
    let text = fault.to_string();
    assert!(matches!(fault, FetchError::Wrong { .. }), "{text}");
    for part in [sha256(&content(1)), sha256(&content(2)), "pins.toml".into(), "remove its lines".into()] {
        assert!(text.contains(&part), "{part} is not in: {text}");
    }
    assert_eq!(house.read("turn.onnx").unwrap(), OLD);
    let bad = house.models.verify(house.entry("turn"));
    assert!(bad[0].checked.as_ref().unwrap_err().to_string().contains("not the file that came first"));

    // The mend that the line names.
    fs::remove_file(house.dir().join(PIN_FILE)).unwrap();
    fs::remove_file(house.dir().join("turn.onnx")).unwrap();
    let trusted = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((trusted[0].first, house.read("turn.onnx").unwrap()), (true, content(2)));
}

#[tokio::test]
async fn what_was_put_there_by_hand_is_pinned_as_it_is() {
    let server = server(&Arc::new(AtomicU8::new(1))).await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), None)).old("turn.onnx");
    let files = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!((files[0].did, files[0].first, server.seen().len()), (Did::PinnedAsItWas, true, 0));
    assert_eq!(house.read("turn.onnx").unwrap(), OLD);
    assert!(house.models.verify(house.entry("turn"))[0].checked.as_ref().unwrap().pinned);

    let place = house.dir().join("turn.onnx");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o644, "the service may read it");
}

/// A network that wants a login answers every address with its page.
#[tokio::test]
async fn a_page_in_place_of_a_model_is_not_pinned() {
    let server = Server::tls(|seen| serve(seen, b"<html>Welcome to our hotel</html>", MARK)).await;
    let house = House::new(&turn(&format!("{}/turn.onnx", server.base_url), None));
    let fault = house.fetch("turn", &fetcher(&server)).await.unwrap_err().to_string();
    assert!(fault.contains("what came is not an ONNX model"), "{fault}");
    assert_eq!(house.names(), [""; 0]);
}

#[tokio::test]
async fn a_weak_hash_of_the_publishers_is_compared_and_the_sha_256_pinned() {
    let server = server(&Arc::new(AtomicU8::new(1))).await;
    let md5 = {
        use md5::Digest;
        md5::Md5::digest(content(1)).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let entry = turn(&format!("{}/turn.onnx", server.base_url), None);
    let house = House::new(&format!("{entry}size={}\nmd5='{md5}'\n", content(1).len()));
    let files = house.fetch("turn", &fetcher(&server)).await.unwrap();
    assert!(files[0].first && files[0].checked.published.len() == 1);
    let checked = house.models.verify(house.entry("turn")).remove(0).checked.unwrap();
    assert!(checked.pinned && checked.published == [elio::models::Algorithm::Md5]);

    let other = House::new(&format!("{entry}size={}\nmd5='{}'\n", content(1).len(), "0".repeat(32)));
    let fault = other.fetch("turn", &fetcher(&server)).await.unwrap_err().to_string();
    assert!(fault.contains(&format!("MD5 {md5}, the manifest says 000")), "{fault}");
    assert_eq!(other.names(), [""; 0]);
}

/// A newer Elio names another revision: the pin of the old one must not stand in its way.
#[tokio::test]
async fn a_new_address_is_trusted_anew() {
    let seed = Arc::new(AtomicU8::new(1));
    let server = server(&seed).await;
    let house = House::new(&turn(&format!("{}/1/turn.onnx", server.base_url), None));
    house.fetch("turn", &fetcher(&server)).await.unwrap();
    seed.store(2, Ordering::SeqCst);
    let newer = House::new(&turn(&format!("{}/2/turn.onnx", server.base_url), None));
    fs::create_dir_all(newer.dir()).unwrap();
    fs::copy(house.dir().join(PIN_FILE), newer.dir().join(PIN_FILE)).unwrap();
    let files = newer.fetch("turn", &fetcher(&server)).await.unwrap();
    assert!(files[0].first);
    assert_eq!(newer.read("turn.onnx").unwrap(), content(2));
}
