//! What the daemon shows: LED, `STATUS=`, control socket; and each turn's record on its way out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::notify::Notifier;
use super::status::Status;
use crate::audio::{Capture, Playback};
use crate::claude::Claude;
use crate::clock::Mono;
use crate::latency::RecordSink;
use crate::turn::{TurnReport, Visible};
use crate::wake::Wake;

/// The connection, the devices and the mute switch change without a turn: they are looked at this often.
const LOOK: Duration = Duration::from_secs(2);
/// Half a period of the LED that shows a fault.
pub(super) const BLINK: Duration = Duration::from_millis(500);

/// Where it is shown, and what is looked at.
pub(super) struct Publisher {
    pub(super) status: watch::Sender<Status>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) lines: Wake,
    pub(super) claude: Claude,
    pub(super) microphone: (String, Arc<Capture>),
    pub(super) speaker: (String, Arc<Playback>),
    /// What is being loaded, in words.
    pub(super) loading: watch::Receiver<String>,
    /// What the runner showed last.
    pub(super) visible: Visible,
    /// What systemd was told last.
    pub(super) told: String,
}

/// Shows what the turns do, and writes each record. Ends with the runner. `sink` comes when the records of former starts
/// are where they belong: that waits for `journalctl`, and records of this start wait behind it.
pub(super) async fn publish(
    mut to: Publisher,
    mut shown: watch::Receiver<Visible>,
    mut reports: UnboundedReceiver<TurnReport>,
    mut sink: JoinHandle<RecordSink>,
) {
    let mut look = tokio::time::interval(LOOK);
    let mut blink = tokio::time::interval(BLINK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    blink.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut lit, mut writer) = (false, None);
    loop {
        tokio::select! {
            changed = shown.changed() => {
                if changed.is_err() { break }
                to.visible = *shown.borrow_and_update();
                to.show();
            }
            Ok(()) = to.loading.changed() => to.show(),
            replayed = &mut sink, if writer.is_none() => match replayed {
                Ok(sink) => writer = Some(sink),
                // It has panicked, and said so: records go to the log alone.
                Err(_) => writer = Some(RecordSink::new(None, None, false)),
            },
            Some(report) = reports.recv(), if writer.is_some() => to.write(&report, &mut writer),
            _ = look.tick() => to.show(),
            _ = blink.tick(), if to.visible == Visible::Fault => {
                lit = !lit;
                to.lines.led(lit);
            }
        }
    }
    if writer.is_none() {
        writer = sink.await.ok();
    }
    while let Some(report) = reports.recv().await {
        to.write(&report, &mut writer);
    }
    to.lines.led(false);
}

impl Publisher {
    /// Tells LED, systemd and the control socket what has changed, if anything has.
    fn show(&mut self) {
        let connected = self.claude.connection();
        let state = match self.visible {
            Visible::Idle if !connected.open => Visible::Offline,
            other => other,
        };
        let (microphone, speaker) = (self.microphone.1.stats(), self.speaker.1.stats());
        let present = (microphone.present, speaker.present);
        let microphone = device_in_words(&self.microphone.0, microphone.present, &microphone.format);
        let speaker = device_in_words(&self.speaker.0, speaker.present, &speaker.format);
        let text = match (state, present) {
            (Visible::Starting, _) => format!("starting: {}", *self.loading.borrow()),
            (Visible::Fault, (false, _)) => format!("fault: microphone {microphone}"),
            (Visible::Fault, (_, false)) => format!("fault: speaker {speaker}"),
            _ => state.as_str().to_owned(),
        };
        if text != self.told {
            self.notifier.status(&text);
            if state != Visible::Fault {
                self.lines.led(matches!(state, Visible::Listening | Visible::Thinking | Visible::Speaking));
            }
            self.told = text;
        }
        let (muted, keeping) = (self.lines.muted(), self.claude.keeping());
        self.status.send_if_modified(|status| {
            let since = if status.state == state { status.since } else { Mono::now() };
            let connected = connected.opened_at.filter(|_| connected.open);
            let cache = Some(keeping);
            let next = Status { state, since, muted, connected, cache, microphone, speaker, ..status.clone() };
            let changed = *status != next;
            *status = next;
            changed
        });
    }

    fn write(&mut self, report: &TurnReport, sink: &mut Option<RecordSink>) {
        if let Some(sink) = sink {
            // It waits for the disk, and nothing that a turn does may wait behind it.
            tokio::task::block_in_place(|| sink.write(&report.record));
        }
        self.status.send_modify(|status| {
            status.turns = report.turn;
            status.last_turn = Some(report.record.to_json().into());
        });
    }
}

fn device_in_words(device: &str, present: bool, format: &str) -> String {
    if present { format!("{device} {format}") } else { format!("{device}: not there") }
}
