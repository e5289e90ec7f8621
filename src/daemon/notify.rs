//! What systemd is told: ready, status, reloading, stopping, and that the microphone is still being read.
//!
//! The service is `Type=notify`, not `notify-reload`: that needs systemd 253, and JetPack 6 has 249.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The way to the service manager; without one, everything here does nothing.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The service manager that the environment names, and the watchdog period that it asks for.
    pub fn from_env() -> Notifier {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else { return Notifier::default() };
        Notifier::to(&address, sd_notify::watchdog_enabled()).unwrap_or_else(|error| {
            log::warn!("systemd cannot be told anything: NOTIFY_SOCKET {}: {error}", address.display());
            Notifier::default()
        })
    }

    /// The service manager at `address` (a path, or `@` and an abstract name), with its watchdog period.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn to(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let socket = UnixDatagram::unbound()?;
        match address.as_bytes().strip_prefix(b"@") {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect(address)?,
        }
        // A service manager that does not read must not stop the daemon.
        socket.set_nonblocking(true)?;
        Ok(Notifier { socket: Some(socket), watchdog })
    }

    /// The daemon is ready (also: the reload is done).
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // A newline would begin another assignment.
        self.tell(&[NotifyState::Status(&text.replace(['\n', '\r'], " "))]);
    }

    /// The configuration is being read again; [`Notifier::ready`] ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!("systemd is not told of the reload: {error}"),
        }
    }

    /// The daemon stops.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Feeds the watchdog, twice in each of its periods, as long as the counter `progress` moves; returns at `cancel`
    /// (which comes after the drain), or at once where no watchdog is asked for. A counter that stands still starves
    /// it, and systemd then starts the daemon anew.
    pub async fn watchdog(&self, progress: impl Fn() -> u64, cancel: CancellationToken) {
        let Some(period) = self.watchdog.filter(|period| !period.is_zero()) else { return };
        let mut ticks = interval(period / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = progress();
            if last.replace(now) == Some(now) {
                log::error!("the microphone's loop stands still: the watchdog is not fed");
            } else {
                self.tell(&[NotifyState::Watchdog]);
            }
        }
    }

    fn tell(&self, states: &[NotifyState]) {
        let Some(socket) = &self.socket else { return };
        let message: Vec<String> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = socket.send(message.join("\n").as_bytes()) {
            log::warn!("systemd is not told {}: {error}", message.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Manager(UnixDatagram);

    impl Manager {
        fn said(&self) -> Option<String> {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        }
    }

    fn manager(watchdog: Option<Duration>) -> (tempfile::TempDir, Manager, Notifier) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let notifier = Notifier::to(path.as_os_str(), watchdog).unwrap();
        (folder, Manager(socket), notifier)
    }

    #[test]
    fn each_message_is_what_systemd_reads() {
        let (_folder, manager, notifier) = manager(None);
        notifier.ready();
        assert_eq!(manager.said().as_deref(), Some("READY=1"));
        notifier.status("idle, claude connected\nREADY=1");
        assert_eq!(manager.said().as_deref(), Some("STATUS=idle, claude connected READY=1"));
        notifier.reloading();
        let said = manager.said().unwrap();
        let usec: u64 = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(usec > 0 && usec <= crate::clock::Mono::now().as_nanos() / 1000);
        notifier.stopping();
        assert_eq!(manager.said().as_deref(), Some("STOPPING=1"));
    }

    #[test]
    fn an_abstract_address_is_reached_and_an_absent_one_is_an_error() {
        let name = format!("elio-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::to(OsStr::new(&format!("@{name}")), None).unwrap();
        notifier.ready();
        let mut buffer = [0; 64];
        assert_eq!(socket.recv(&mut buffer).unwrap(), "READY=1".len());
        assert!(Notifier::to(OsStr::new("/nonexistent/notify"), None).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_twice_a_period_and_only_while_progress_is_made() {
        let (_folder, manager, notifier) = manager(Some(Duration::from_secs(10)));
        let (frames, cancel) = (AtomicU64::new(0), CancellationToken::new());
        let microphone = async {
            // Looked at one second after each feed, which come at 0, 5, 10… seconds.
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(manager.said().as_deref(), Some("WATCHDOG=1"));
            for reads in [1, 7, 0, 0, 3] {
                frames.fetch_add(reads, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(5)).await;
                assert_eq!(manager.said().as_deref(), (reads > 0).then_some("WATCHDOG=1"));
                assert_eq!(manager.said(), None);
            }
            cancel.cancel();
        };
        tokio::join!(notifier.watchdog(|| frames.load(Ordering::SeqCst), cancel.clone()), microphone);
    }

    #[tokio::test]
    async fn without_a_service_manager_nothing_happens() {
        let none = Notifier::default();
        none.ready();
        none.watchdog(|| 0, CancellationToken::new()).await;
    }
}
