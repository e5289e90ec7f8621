//! The control socket: a Unix stream on which a person or a script presses the button and asks for the status.
//!
//! One JSON object on each line, `{"verb":"press"|"release"|"status"}`, each answered by one line: `{"ok":true,…}` with
//! the status, or `{"ok":false,"error":"…"}`. Who may open the socket file (mode 0660) may do all of it.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::status::{Report, Status};
use crate::clock::Mono;
use crate::wake::{Source, WakeEvent};

/// The longest request, in bytes.
const LINE: u64 = 1024;
/// A connection lives no longer, whatever its peer does or leaves undone.
const CONNECTION: Duration = Duration::from_secs(10);
/// Peers served at once; the others wait in the kernel's queue.
const PEERS: usize = 16;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The caller does not start: two daemons would share one microphone.
    #[error("another elio is running (it answers on {}): stop it first, or give this one its own daemon.socket", path.display())]
    Running {
        /// The socket.
        path: PathBuf,
    },
    /// The caller does not start; the file is somebody's and stays.
    #[error("daemon.socket: {} exists and is not a socket: remove it, or name another path", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The caller does not start.
    #[error("daemon.socket: cannot listen on {}: {source}: name a path in a folder that this user may write", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// While running: nobody can connect any more. The caller logs it and goes on without.
    #[error("the control socket {} accepts no more connections: {source}", path.display())]
    Accept {
        /// The socket.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum Request {
    /// Button down.
    Press,
    /// Button up.
    Release,
    /// Report.
    Status,
}

/// A bound socket; its file goes away with it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Binds the socket, in place of one that a dead daemon has left. Must be called inside a tokio runtime.
///
/// # Errors
/// As [`ControlError`] says; the file of another is never touched.
pub async fn bind(path: &Path) -> Result<ControlSocket, ControlError> {
    let failed = |source| ControlError::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ControlError::NotASocket { path: path.to_owned() }),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(failed(error)),
            // A full queue (EAGAIN) is a living daemon too.
            _ => return Err(ControlError::Running { path: path.to_owned() }),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    // Bound beside its place and moved there when its mode is right: nobody finds it open to all, nor missing.
    let mut beside = path.to_owned().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    let placed = fs::set_permissions(&beside, Permissions::from_mode(0o660))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| fs::metadata(path));
    match placed {
        Ok(placed) => Ok(ControlSocket { listener, path: path.to_owned(), inode: placed.ino() }),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(failed(error))
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers until `cancel`. Presses go to `presses` with the time of their arrival; a report tells the newest `status`.
///
/// # Errors
/// [`ControlError::Accept`], where the kernel refuses for a reason that does not pass.
pub async fn serve(
    socket: ControlSocket,
    cancel: CancellationToken,
    presses: UnboundedSender<WakeEvent>,
    status: watch::Receiver<Status>,
) -> Result<(), ControlError> {
    let peers = Arc::new(Semaphore::new(PEERS));
    let tasks = TaskTracker::new();
    let accept = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = peers.clone().acquire_owned().await else { return Ok(()) };
            match socket.listener.accept().await {
                Ok((stream, _)) => {
                    let (presses, status) = (presses.clone(), status.clone());
                    tasks.spawn(cancel.clone().run_until_cancelled_owned(async move {
                        let _ = timeout(CONNECTION, answer(stream, &presses, &status)).await;
                        drop(place);
                    }));
                }
                Err(error) if passes(&error) => {
                    log::warn!("control socket: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
                Err(source) => return Err(ControlError::Accept { path: socket.path.clone(), source }),
            }
        }
    };
    let result = cancel.run_until_cancelled(accept).await.unwrap_or(Ok(()));
    tasks.close();
    tasks.wait().await;
    result
}

/// Out of descriptors or memory, or a peer that was gone before it was accepted: worth another try.
fn passes(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::CONNABORTED | Errno::INTR | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// One peer, until it hangs up.
async fn answer(
    stream: UnixStream,
    presses: &UnboundedSender<WakeEvent>,
    status: &watch::Receiver<Status>,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        (&mut input).take(LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let reply = if !whole && line.len() as u64 == LINE {
            Err(format!("a request is one line of at most {LINE} bytes"))
        } else {
            serve_one(&line, presses, status)
        };
        output.write_all(&encode(reply)).await?;
        if !whole {
            return Ok(());
        }
    }
}

fn serve_one(
    line: &[u8],
    presses: &UnboundedSender<WakeEvent>,
    status: &watch::Receiver<Status>,
) -> Result<Report, String> {
    let now = Mono::now();
    let request = serde_json::from_slice(line)
        .map_err(|error| format!(r#"not a request like {{"verb":"press"}}, "release" or "status": {error}"#))?;
    let source = Source::Socket;
    let sent = match request {
        Request::Press => presses.send(WakeEvent::Pressed { source, at: now }),
        Request::Release => presses.send(WakeEvent::Released { source, at: now }),
        Request::Status => Ok(()),
    };
    match sent {
        Ok(()) => Ok(status.borrow().report(now)),
        Err(_) => Err("elio is stopping".into()),
    }
}

/// A reply as it goes over the wire.
#[derive(Serialize)]
struct Reply<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(flatten)]
    report: Option<&'a Report>,
}

fn encode(reply: Result<Report, String>) -> Vec<u8> {
    let reply = match &reply {
        Ok(report) => Reply { ok: true, error: None, report: Some(report) },
        Err(error) => Reply { ok: false, error: Some(error), report: None },
    };
    // Maps with string keys and finite numbers: serde_json has nothing to refuse in them.
    let mut bytes = serde_json::to_vec(&reply).unwrap_or_else(|_| br#"{"ok":false,"error":"no report"}"#.to_vec());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
