//! What all connections share, and the loop that accepts them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SimOptions;
use super::cache::Cache;
use super::connection;
use super::fault::{Fault, FaultPlan, Stage};
use super::record::Log;
use super::replies::Replies;
use super::spread::{Rng, Spread};
use crate::clock::Mono;

/// What all connections share.
pub struct Server {
    pub(super) options: SimOptions,
    pub(super) log: Arc<Log>,
    pub(super) replies: Replies,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) cache: Mutex<Cache>,
    pub(super) fault: Mutex<Option<FaultPlan>>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Messages so far: the draw of each one's time to first token depends on it.
    messages: AtomicU64,
    identifiers: Mutex<Rng>,
}

impl Server {
    pub(super) fn new(options: SimOptions, log: Arc<Log>, replies: Replies, tls: Arc<rustls::ServerConfig>) -> Self {
        // Identifiers must differ from run to run, whatever the seed.
        let salt = Mono::now().as_nanos() ^ u64::from(std::process::id()).rotate_left(40);
        Self {
            fault: Mutex::new(options.fault),
            options,
            log,
            replies,
            tls,
            cache: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            messages: AtomicU64::new(0),
            identifiers: Mutex::new(Rng::new(salt)),
        }
    }

    /// An identifier such as `req_011C…`.
    pub(super) fn identifier(&self, prefix: &str) -> String {
        const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        let mut rng = self.identifiers.lock().unwrap_or_else(PoisonError::into_inner);
        let letters = (0..20).filter_map(|_| {
            let at = rng.next_u64() as usize % ALPHABET.len();
            ALPHABET.get(at).map(|&b| char::from(b))
        });
        format!("{prefix}_011C{}", letters.collect::<String>())
    }

    /// The time from the next message to its first token.
    pub(super) fn draw_first(&self) -> Duration {
        nth_draw(self.options.ttft, self.options.seed, self.messages.fetch_add(1, Ordering::Relaxed))
    }

    /// The fault that strikes a request at one of these stages, counted down.
    pub(super) fn take_fault(&self, stages: &[Stage]) -> Option<Fault> {
        let mut plan = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let struck = plan.as_mut().filter(|p| stages.contains(&p.fault.stage()))?;
        match &mut struck.remaining {
            Some(0) => return None,
            Some(n) => *n -= 1,
            None => {}
        }
        Some(struck.fault)
    }
}

/// Accepts connections until the server is stopped.
pub(super) async fn accept(server: Arc<Server>, listener: TcpListener) {
    loop {
        tokio::select! {
            () = server.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    server.tasks.spawn(connection::serve(server.clone(), socket, Mono::now()));
                }
                Err(error) => {
                    // Out of descriptors, mostly: a pause lets others be closed.
                    log::warn!("simulated API: cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// The time of message `n`: the same for the same seed, whatever was drawn before.
fn nth_draw(ttft: Spread, seed: u64, n: u64) -> Duration {
    ttft.draw(&mut Rng::new(seed.wrapping_add(n.wrapping_mul(0x2545_f491_4f6c_dd1d))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_repeat_with_the_seed_and_differ_within_a_run() {
        let run = |seed| (0..20).map(|n| nth_draw(Spread::between(182, 239), seed, n)).collect::<Vec<_>>();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let mut distinct = run(7);
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 20);
    }
}
