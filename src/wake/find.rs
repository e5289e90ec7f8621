//! Finding a line among the chips of the machine, and saying what there is instead when it is not found.

use std::path::{Path, PathBuf};

use gpiocdev::chip::{self, Chip};
use rustix::io::Errno;

use super::WakeError;
use super::line::Role;
use crate::config::LineName;

/// A line that was found.
pub(super) struct Found {
    /// The chip's device file.
    pub chip: PathBuf,
    /// Offset on the chip.
    pub offset: u32,
}

impl Found {
    /// As a message names it.
    pub fn shown(&self) -> String {
        format!("{} line {}", base(&self.chip), self.offset)
    }
}

/// Finds the configured line.
pub(super) fn find(role: Role, line: &LineName) -> Result<Found, WakeError> {
    let chips =
        chip::chips().map_err(|error| WakeError::Failed { role, line: "/dev".into(), reason: error.to_string() })?;
    match line {
        LineName::Name(name) => by_name(role, name, &chips),
        LineName::Offset { chip, offset } => by_offset(role, chip, *offset, &chips),
    }
}

fn by_name(role: Role, name: &str, chips: &[PathBuf]) -> Result<Found, WakeError> {
    let mut names = Vec::new();
    let mut closed = None;
    for path in chips {
        match open(role, path) {
            Ok(chip) => {
                for info in chip.line_info_iter().into_iter().flatten().flatten() {
                    if info.name == name {
                        return Ok(Found { chip: path.clone(), offset: info.offset });
                    }
                    names.push(info.name);
                }
            }
            Err(error) => closed = Some(error),
        }
    }
    // The line may be on a chip that could not be opened: that is the thing to mend first.
    match closed {
        Some(error) => Err(error),
        None => Err(WakeError::NoLine { role, name: name.to_owned(), near: nearest(name, names, chips.len()) }),
    }
}

fn by_offset(role: Role, wanted: &str, offset: u32, chips: &[PathBuf]) -> Result<Found, WakeError> {
    let path = if wanted.starts_with('/') {
        chip::is_chip(wanted).ok()
    } else {
        let labelled = || chips.iter().find(|path| label(path).as_deref() == Some(wanted)).cloned();
        chips.iter().find(|path| base(path) == wanted).cloned().or_else(labelled)
    };
    let Some(path) = path else {
        return Err(WakeError::NoChip { role, chip: wanted.to_owned(), known: known(chips) });
    };
    let lines = open(role, &path)?.info().map(|info| info.num_lines).unwrap_or(u32::MAX);
    if offset >= lines {
        return Err(WakeError::NoOffset { role, chip: base(&path), offset, last: lines.saturating_sub(1) });
    }
    Ok(Found { chip: path, offset })
}

pub(super) fn open(role: Role, path: &Path) -> Result<Chip, WakeError> {
    Chip::from_path(path).map_err(|error| match errno(&error) {
        Some(Errno::ACCESS | Errno::PERM) => denied(role, path),
        _ => WakeError::Failed { role, line: base(path), reason: error.to_string() },
    })
}

/// The error of a file that this user may not open.
pub(super) fn denied(role: Role, chip: &Path) -> WakeError {
    WakeError::Denied { role, path: chip.display().to_string() }
}

/// The errno inside an error of the library, if it holds one.
pub(super) fn errno(error: &gpiocdev::Error) -> Option<Errno> {
    match error {
        gpiocdev::Error::Os(number) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(number)) => {
            Some(Errno::from_raw_os_error(number.0))
        }
        _ => None,
    }
}

fn label(chip: &Path) -> Option<String> {
    Some(Chip::from_path(chip).ok()?.info().ok()?.label)
}

fn base(chip: &Path) -> String {
    chip.file_name().unwrap_or(chip.as_os_str()).to_string_lossy().into_owned()
}

fn known(chips: &[PathBuf]) -> String {
    if chips.is_empty() {
        return "it has none".into();
    }
    let shown = chips.iter().map(|path| match label(path) {
        Some(label) => format!("{} [{label}]", base(path)),
        None => base(path),
    });
    format!("it has {}", shown.collect::<Vec<_>>().join(", "))
}

fn nearest(name: &str, mut names: Vec<String>, chips: usize) -> String {
    if chips == 0 {
        return "the machine has no GPIO chip".into();
    }
    names.retain(|other| !other.is_empty());
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return "no line of this machine has a name: give chip and offset".into();
    }
    let likeness = |other: &str| strsim::jaro_winkler(&other.to_lowercase(), &name.to_lowercase());
    names.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    names.truncate(3);
    format!("the nearest are `{}`", names.join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_offered() {
        let names = ["GPIO4", "", "BUTTON", "LED_ACT", "button2", "GPIO4"].map(String::from).to_vec();
        assert_eq!(nearest("buton", names, 1), "the nearest are `BUTTON`, `button2`, `GPIO4`");
        assert_eq!(nearest("x", vec![String::new()], 1), "no line of this machine has a name: give chip and offset");
        assert_eq!(nearest("x", vec![], 0), "the machine has no GPIO chip");
    }

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let error = by_offset(Role::Button, "gpiochip9", 3, &[]).err().map(|e| e.to_string());
        let said =
            "wake.button: there is no GPIO chip `gpiochip9` on this machine (it has none); `gpiodetect` lists them";
        assert_eq!(error.as_deref(), Some(said));
        let error = by_offset(Role::Led, "/dev/null", 3, &[]).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.starts_with("wake.led: there is no GPIO chip `/dev/null`")));
    }

    #[test]
    fn the_errno_is_found_in_either_kind_of_error() {
        let plain = gpiocdev::Error::from(std::io::Error::from_raw_os_error(13));
        assert_eq!(errno(&plain), Some(Errno::ACCESS));
        let busy = gpiocdev_uapi::Error::Os(gpiocdev_uapi::Errno(16));
        assert_eq!(errno(&gpiocdev::Error::Uapi(gpiocdev::UapiCall::GetLine, busy)), Some(Errno::BUSY));
        assert_eq!(errno(&gpiocdev::Error::NoGpioChips()), None);
    }
}
