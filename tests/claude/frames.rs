//! An HTTP/2 server written out frame by frame, for what no ordinary one can be made to send on demand; and what the
//! client proves by it: when a request is sent once more.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::server::certified;
use super::*;

/// The client's first bytes (RFC 9113, 3.4).
const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

/// What the server does with a request that it has read to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Answer,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY that counts this request among those that it will not look at, and the end of the connection.
    GoawayBefore,
    /// GOAWAY that counts it among those that it works on, and the end of the connection.
    GoawayAfter,
    /// GOAWAY, and the answer only when the test says so.
    GoawayThenAnswer,
    /// The end of the connection.
    Close,
}

/// Connection and request on it, both from 1; and whether it is a POST.
type Script = fn((usize, usize), bool) -> Act;

struct Frames {
    base_url: String,
    ca_file: PathBuf,
    seen: Arc<Mutex<Vec<(usize, bool)>>>,
    /// Lets the answers of [`Act::GoawayThenAnswer`] go.
    go_on: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Frames {
    async fn start(script: Script) -> Frames {
        let (mut config, pem) = certified();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("https://{}", listener.local_addr().unwrap());
        let (seen, go_on) = (Arc::<Mutex<Vec<_>>>::default(), CancellationToken::new());
        let frames = Frames { base_url, ca_file, seen: seen.clone(), go_on: go_on.clone(), _folder: folder };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            for number in 1.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, seen, go_on) = (acceptor.clone(), seen.clone(), go_on.clone());
                tokio::spawn(async move {
                    // A client that leaves in the middle is no fault of this server.
                    let _ = serve(socket, acceptor, number, script, seen, go_on).await;
                });
            }
        });
        frames
    }

    fn client(&self) -> Claude {
        client_of(&settings_of(&self.base_url, Some(self.ca_file.clone())))
    }

    /// The connections of the POSTs, in order.
    fn posts(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().filter(|(_, post)| *post).map(|(connection, _)| *connection).collect()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat())
}

/// A whole response: HPACK's `:status: 200` (0x88) and a literal `content-type` (name 31 of the static table).
fn response(stream: u32, post: bool) -> Vec<u8> {
    let (kind, body) = if post {
        let Reply::Answer { body, .. } = answer(&["In ", "the ", "cellar."]) else { panic!() };
        let bytes = body.into_iter().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes,
            piece => panic!("{piece:?}"),
        });
        ("text/event-stream", bytes.collect::<Vec<_>>().concat())
    } else {
        ("application/json", b"{}".to_vec())
    };
    let headers = [&[0x88, 0x0f, 0x10, kind.len() as u8], kind.as_bytes()].concat();
    [frame(HEADERS, END_HEADERS, stream, &headers), frame(DATA, END_STREAM, stream, &body)].concat()
}

async fn serve(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    number: usize,
    script: Script,
    seen: Arc<Mutex<Vec<(usize, bool)>>>,
    go_on: CancellationToken,
) -> std::io::Result<()> {
    let mut tls: TlsStream<TcpStream> = acceptor.accept(socket).await?;
    tls.read_exact(&mut [0; PREFACE]).await?;
    tls.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let (mut requests, mut post) = (0, false);
    loop {
        let mut header = [0; 9];
        tls.read_exact(&mut header).await?;
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        tls.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes(stream);
        match kind {
            SETTINGS if flags & ACK == 0 => tls.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            PING if flags & ACK == 0 => tls.write_all(&frame(PING, ACK, 0, &payload)).await?,
            // The first header is `:method`; 3 of the static table is POST.
            HEADERS => post = payload[0] == 0x83,
            _ => {}
        }
        if !matches!(kind, HEADERS | DATA) || flags & END_STREAM == 0 {
            continue;
        }
        requests += 1;
        seen.lock().unwrap().push((number, post));
        match script((number, requests), post) {
            Act::Answer => tls.write_all(&response(stream, post)).await?,
            Act::Reset(code) => tls.write_all(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await?,
            Act::GoawayBefore => {
                tls.write_all(&goaway(stream - 2)).await?;
                return tls.shutdown().await;
            }
            Act::GoawayAfter => {
                tls.write_all(&goaway(stream)).await?;
                return tls.shutdown().await;
            }
            Act::GoawayThenAnswer => {
                tls.write_all(&goaway(stream)).await?;
                go_on.cancelled().await;
                tls.write_all(&response(stream, post)).await?;
            }
            Act::Close => return tls.shutdown().await,
        }
    }
}

#[tokio::test]
async fn what_provably_nobody_worked_on_is_sent_once_more() {
    fn refused((connection, request): (usize, usize), _: bool) -> Act {
        if (connection, request) == (1, 2) { Act::Reset(REFUSED_STREAM) } else { Act::Answer }
    }
    fn goaway((connection, request): (usize, usize), _: bool) -> Act {
        if (connection, request) == (1, 2) { Act::GoawayBefore } else { Act::Answer }
    }
    // Also on a connection that had carried nothing before.
    fn refused_at_once((connection, request): (usize, usize), _: bool) -> Act {
        if (connection, request) == (1, 1) { Act::Reset(REFUSED_STREAM) } else { Act::Answer }
    }
    for (script, check) in [(refused as Script, true), (goaway, true), (refused_at_once, false)] {
        let server = Frames::start(script).await;
        let claude = server.client();
        if check {
            claude.connect().await.unwrap();
        }
        let answer = ask(&claude).await.unwrap();
        assert!(!answer.connection.reused);
        assert_eq!(all(answer).await.0, "In the cellar.");
        assert_eq!(server.posts(), [1, 2]);
    }
}

#[tokio::test]
async fn what_somebody_may_have_worked_on_is_not() {
    fn reset((_, request): (usize, usize), _: bool) -> Act {
        if request == 2 { Act::Reset(INTERNAL_ERROR) } else { Act::Answer }
    }
    fn goaway((_, request): (usize, usize), _: bool) -> Act {
        if request == 2 { Act::GoawayAfter } else { Act::Answer }
    }
    fn close((_, request): (usize, usize), _: bool) -> Act {
        if request == 2 { Act::Close } else { Act::Answer }
    }
    for script in [reset as Script, goaway, close] {
        let server = Frames::start(script).await;
        let claude = server.client();
        claude.connect().await.unwrap();
        let error = ask(&claude).await.err().unwrap();
        assert_eq!((error.kind(), error.connection().unwrap().reused), ("cut", true));
        assert_eq!(server.posts(), [1]);
    }
}

#[tokio::test]
async fn it_is_sent_no_third_time() {
    let server = Frames::start(|_, post| if post { Act::Reset(REFUSED_STREAM) } else { Act::Answer }).await;
    let claude = server.client();
    claude.connect().await.unwrap();
    assert_eq!(ask(&claude).await.err().unwrap().kind(), "cut");
    assert_eq!(server.posts(), [1, 2]);
}

#[tokio::test]
async fn a_goaway_in_the_middle_of_an_answer_gets_a_new_connection_before_the_old_one_goes() {
    fn script((connection, request): (usize, usize), _: bool) -> Act {
        if (connection, request) == (1, 2) { Act::GoawayThenAnswer } else { Act::Answer }
    }
    let server = Frames::start(script).await;
    // The new connection may come at once, however young the old one is: the clock says so.
    let clock = elio::clock::ManualClock::at(elio::clock::Mono::now());
    let mut settings = settings_of(&server.base_url, Some(server.ca_file.clone()));
    settings.keep_warm = KeepWarm::Never;
    let claude = client_timed(&settings, Timing { clock: Arc::new(clock.clone()), ..Timing::default() });
    let keeper = Keeper::of(&claude);
    until(|| claude.connection().requests == 1).await;
    clock.advance(Duration::from_secs(60));
    let waiting = tokio::spawn(claude.ask(question(), CancellationToken::new()));
    // The answer has not begun, and nobody else asks: only the GOAWAY itself can tell.
    until(|| claude.connection().opened_total == 2 && claude.connection().requests == 1).await;
    assert!(!waiting.is_finished());
    let second = ask(&claude).await.unwrap();
    assert!(second.connection.reused, "no handshake inside this turn");
    assert_eq!(all(second).await.0, "In the cellar.");
    server.go_on.cancel();
    assert_eq!(all(waiting.await.unwrap().unwrap()).await.0, "In the cellar.");
    assert_eq!(server.posts(), [1, 2]);
    keeper.stop().await;
}
