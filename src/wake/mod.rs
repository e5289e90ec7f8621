//! The wake button, the status LED and the mute line.
//!
//! The lines are those of the GPIO character device (`cdev.rs`), or of a Raspberry Pi through rppal (feature `rppal`,
//! `rpi.rs`). Both hand out raw edges with the kernel's stamps; `watch.rs` makes presses of them, so that a press means
//! the same on every board and no debounce period is added to its time. `inspect.rs` is what `elio doctor` asks.

#[cfg(not(feature = "rppal"))]
mod cdev;
mod error;
#[cfg(not(feature = "rppal"))]
mod find;
mod inspect;
mod line;
#[cfg(feature = "rppal")]
mod rpi;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Mono;
use crate::config::{Bias, WakeSettings};

pub use error::WakeError;
pub use inspect::{LineFacts, Press, blink, line_facts, line_value, press};
pub use line::Role;
use line::{InputLine, Lines, OutputLine};

/// The lines of this machine.
#[cfg(not(feature = "rppal"))]
use cdev::CharacterDevices as Board;
#[cfg(feature = "rppal")]
use rpi::RaspberryPi as Board;

/// Where a press came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The button's line.
    Button,
    /// The control socket.
    Socket,
}

/// What the wake room tells the daemon. `at` is the kernel's stamp of the edge (of the burst's first edge, where the
/// contact bounced), or the time of the request on the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeEvent {
    /// The button went down. From one source, presses and releases alternate.
    Pressed {
        /// Which button.
        source: Source,
        /// When.
        at: Mono,
    },
    /// The button went up; told when it has been up for the debounce period, stamped with when it went up.
    Released {
        /// Which button.
        source: Source,
        /// When.
        at: Mono,
    },
    /// The mute switch was moved.
    Muted {
        /// Its new position.
        muted: bool,
        /// When.
        at: Mono,
    },
    /// A line stopped working (the chip was unplugged) and is no longer watched; the others go on.
    Lost {
        /// One line that names the line and the reason.
        what: String,
    },
}

/// The lines of the wake room, held until it is stopped or dropped; then the LED is off and the lines are free again.
pub struct Wake {
    led: Option<Box<dyn OutputLine>>,
    muted: Arc<AtomicBool>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Wake {
    /// Requests the configured lines, reads the mute switch, and watches them until `cancel`. Without any line it does
    /// nothing: the control socket is then the only button. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A line that cannot be had; none is held then.
    pub fn start(
        settings: &WakeSettings,
        cancel: CancellationToken,
        events: UnboundedSender<WakeEvent>,
    ) -> Result<Wake, WakeError> {
        Self::start_on(&Board, settings, cancel, events)
    }

    fn start_on<L: Lines>(
        lines: &L,
        settings: &WakeSettings,
        cancel: CancellationToken,
        events: UnboundedSender<WakeEvent>,
    ) -> Result<Wake, WakeError> {
        let open = |role, line: &Option<_>| line.as_ref().map(|l| lines.input(role, l)).transpose();
        let button = open(Role::Button, &settings.button)?;
        let mute = open(Role::Mute, &settings.mute)?;
        let led = settings.led.as_ref().map(|l| lines.output(Role::Led, l)).transpose()?;

        let cancel = cancel.child_token();
        let tasks = TaskTracker::new();
        let muted = Arc::new(AtomicBool::new(false));
        if let (Some(mut button), Some(of)) = (button, &settings.button) {
            let held = button.active()?;
            if held {
                let pull = match of.bias {
                    Bias::PullUp | Bias::PullDown => ", or the board cannot set the internal pull: add a resistor",
                    Bias::AsIs | Bias::Disabled => ", or the line needs a pull resistor: set bias, or add one",
                };
                let line = line::shown(&of.line);
                log::warn!("wake.button: {line} reads as pressed at start: if it is not, active_low is wrong{pull}");
            }
            // What is held down from before the start is a jammed button or a wrong polarity, not a question: its
            // release is not told either.
            let mut spoken_for = !held;
            let told = events.clone();
            let changed = move |on: bool, at: Mono| {
                let source = Source::Button;
                if on || spoken_for {
                    let _ = told.send(if on {
                        WakeEvent::Pressed { source, at }
                    } else {
                        WakeEvent::Released { source, at }
                    });
                }
                spoken_for = true;
            };
            spawn(&tasks, &cancel, button, held, settings, changed, events.clone());
        }
        if let Some(mut mute) = mute {
            let level = mute.active()?;
            muted.store(level, Ordering::Relaxed);
            let (shared, told) = (muted.clone(), events.clone());
            let changed = move |muted: bool, at: Mono| {
                shared.store(muted, Ordering::Relaxed);
                let _ = told.send(WakeEvent::Muted { muted, at });
            };
            spawn(&tasks, &cancel, mute, level, settings, changed, events);
        }
        tasks.close();
        let led = led.map(|led| Box::new(led) as Box<dyn OutputLine>);
        Ok(Wake { led, muted, cancel, tasks })
    }

    /// Switches the status LED; does nothing where there is none. A failure is logged: a turn does not end for a lamp.
    pub fn led(&self, on: bool) {
        if let Some(Err(error)) = self.led.as_ref().map(|led| led.set(on)) {
            log::warn!("{error}");
        }
    }

    /// The position of the mute switch; false where there is none.
    pub fn muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Stops watching, switches the LED off and returns when the lines are free for another request (a reload).
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.cancel.cancel();
        // A line that is let go keeps its last level on many chips.
        self.led(false);
    }
}

fn spawn<I: InputLine>(
    tasks: &TaskTracker,
    cancel: &CancellationToken,
    mut line: I,
    level: bool,
    settings: &WakeSettings,
    changed: impl FnMut(bool, Mono) + Send + 'static,
    events: UnboundedSender<WakeEvent>,
) {
    let (cancel, debounce) = (cancel.clone(), settings.debounce);
    tasks.spawn(async move {
        let watched = cancel.run_until_cancelled(watch::watch(&mut line, level, debounce, changed)).await;
        if let Some(Err(error)) = watched {
            let _ = events.send(WakeEvent::Lost { what: error.to_string() });
        }
    });
}

#[cfg(test)]
mod tests;
