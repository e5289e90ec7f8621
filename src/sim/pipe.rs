//! The network between client and server: a delay in each direction, and a connection that goes silent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::spread::{Rng, Spread};

/// Bytes that may be under way in one direction.
const IN_FLIGHT: usize = 256 * 1024;

/// What the TLS layer reads and writes.
pub struct Pipe {
    wire: Wire,
    silent: Arc<AtomicBool>,
}

enum Wire {
    Direct(TcpStream),
    Delayed(DuplexStream),
}

impl Pipe {
    /// The socket itself, or the socket behind a delay drawn anew for every chunk (chunks never overtake each other).
    /// Once `silent` is set nothing is read any more and what is written is lost.
    pub fn new(socket: TcpStream, delay: Spread, rng: Rng, silent: Arc<AtomicBool>, tasks: &TaskTracker) -> Self {
        if delay.is_zero() {
            return Self { wire: Wire::Direct(socket), silent };
        }
        let (inner, outer) = tokio::io::duplex(IN_FLIGHT);
        let (from_client, to_client) = socket.into_split();
        let (from_server, to_server) = tokio::io::split(outer);
        let mut rng = rng;
        let mut there = Carrier::new(delay, &mut rng);
        // The kernel answers a TCP handshake at once; its round trip is charged to the first bytes that arrive.
        there.connected = Instant::now() + delay.draw(&mut rng) + delay.draw(&mut rng);
        let back = Carrier::new(delay, &mut rng);
        tasks.spawn(there.carry(from_client, to_server));
        tasks.spawn(back.carry(from_server, to_client));
        Self { wire: Wire::Delayed(inner), silent }
    }
}

/// One direction.
struct Carrier {
    delay: Spread,
    rng: Rng,
    /// Nothing is sent before.
    connected: Instant,
    /// Nothing arrives before, so that chunks keep their order.
    last: Instant,
}

impl Carrier {
    fn new(delay: Spread, rng: &mut Rng) -> Self {
        let now = Instant::now();
        Self { delay, rng: Rng::new(rng.next_u64()), connected: now, last: now }
    }

    /// Carries bytes until one end closes; what is under way still arrives.
    async fn carry(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let (tx, mut rx) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
        let read = async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(n) = from.read(&mut buffer).await {
                let Some(chunk) = buffer.get(..n).filter(|c| !c.is_empty()) else { break };
                let sent = Instant::now().max(self.connected);
                self.last = self.last.max(sent + self.delay.draw(&mut self.rng));
                if tx.send((self.last, chunk.to_vec())).await.is_err() {
                    break;
                }
            }
            // An end of file travels as long as the bytes before it.
            tokio::time::sleep_until(self.last.max(Instant::now() + self.delay.draw(&mut self.rng))).await;
        };
        let write = async move {
            while let Some((at, chunk)) = rx.recv().await {
                tokio::time::sleep_until(at).await;
                if to.write_all(&chunk).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            // The peer may have gone already.
            let _ = to.shutdown().await;
        };
        tokio::join!(read, write);
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.silent.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        match &mut self.wire {
            Wire::Direct(socket) => Pin::new(socket).poll_read(cx, buf),
            Wire::Delayed(duplex) => Pin::new(duplex).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.silent.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(buf.len()));
        }
        match &mut self.wire {
            Wire::Direct(socket) => Pin::new(socket).poll_write(cx, buf),
            Wire::Delayed(duplex) => Pin::new(duplex).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Direct(socket) => Pin::new(socket).poll_flush(cx),
            Wire::Delayed(duplex) => Pin::new(duplex).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Direct(socket) => Pin::new(socket).poll_shutdown(cx),
            Wire::Delayed(duplex) => Pin::new(duplex).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn bytes_arrive_in_order_and_not_before_the_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let tasks = TaskTracker::new();
        let began = Instant::now();
        let mut pipe = Pipe::new(socket, Spread::between(10, 30), Rng::new(1), Arc::default(), &tasks);
        for n in 0..50u8 {
            client.write_all(&[n]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut got = [0; 50];
        pipe.read_exact(&mut got).await.unwrap();
        assert_eq!(got.to_vec(), (0..50).collect::<Vec<u8>>());
        assert!(began.elapsed() >= Duration::from_millis(30), "the TCP round trip is charged");
        let began = Instant::now();
        pipe.write_all(b"back").await.unwrap();
        pipe.flush().await.unwrap();
        let mut got = [0; 4];
        client.read_exact(&mut got).await.unwrap();
        assert!(&got == b"back" && began.elapsed() >= Duration::from_millis(10));
        drop(pipe);
        assert_eq!(client.read(&mut got).await.unwrap(), 0, "the end arrives too");
    }
}
