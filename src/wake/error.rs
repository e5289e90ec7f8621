//! Why a GPIO line cannot be had or has stopped working, and what the technician does about it.

use super::line::Role;

/// What went wrong with a line. Every one but `Failed` is a fault of the configuration or of the installation: the
/// caller reports it and does not start. `Failed` may also come while running, inside [`super::WakeEvent::Lost`].
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// The chip that the configuration names is not there, or the machine has none.
    #[error("{role}: there is no GPIO chip `{chip}` on this machine ({known}); `gpiodetect` lists them")]
    NoChip {
        /// Which line.
        role: Role,
        /// As configured.
        chip: String,
        /// The chips that there are.
        known: String,
    },
    /// No chip has a line of that name.
    #[error("{role}: no GPIO line is named `{name}` ({near}); `gpioinfo` lists them")]
    NoLine {
        /// Which line.
        role: Role,
        /// As configured.
        name: String,
        /// The nearest names that there are.
        near: String,
    },
    /// The chip has fewer lines.
    #[error("{role}: {chip} has no line {offset}: its lines are 0 to {last}; `gpioinfo {chip}` lists them")]
    NoOffset {
        /// Which line.
        role: Role,
        /// Chip name.
        chip: String,
        /// As configured.
        offset: u32,
        /// The chip's last offset.
        last: u32,
    },
    /// Another program or a kernel driver holds the line.
    #[error("{role}: {line} is in use by `{consumer}`: free it there (or stop the other elio), or choose another line")]
    Busy {
        /// Which line.
        role: Role,
        /// Chip and offset.
        line: String,
        /// Who holds it, by its own label.
        consumer: String,
    },
    /// This user may not open the chip.
    #[error(
        "{role}: permission denied on {path}: add the user to the group `gpio` and install the udev rule \
         60-elio.rules that gives the chips to it"
    )]
    Denied {
        /// Which line.
        role: Role,
        /// Device file.
        path: String,
    },
    /// The kernel refused or lost the line for another reason.
    #[error("{role}: {line}: {reason}")]
    Failed {
        /// Which line.
        role: Role,
        /// Chip and offset, or the name.
        line: String,
        /// The kernel's words.
        reason: String,
    },
}
