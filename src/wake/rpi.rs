//! Lines of a Raspberry Pi through rppal (feature `rppal`), instead of the GPIO character device.
//!
//! A line is a BCM number: that of `chip` and `offset` (the chip's name is not looked at), or the one in a name such
//! as `GPIO17`. rppal was retired in July 2025: this is for boards whose kernel has no GPIO character device v2.

use std::sync::{Mutex, PoisonError};

use rppal::gpio::{Gpio, InputPin, Level, OutputPin, Pin, Trigger};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::WakeError;
use super::line::{Edge, InputLine, Lines, OutputLine, Role, shown};
use crate::clock::Mono;
use crate::config::{Bias, LineName, LineSettings};

/// The lines of the board's header.
pub(super) struct RaspberryPi;

/// An input.
pub(super) struct Input {
    // The pin goes first: dropping it joins rppal's thread, which holds the sender of `edges`.
    pin: InputPin,
    edges: UnboundedReceiver<Edge>,
    role: Role,
    active_low: bool,
}

/// An output. rppal writes through `&mut`.
pub(super) struct Output {
    pin: Mutex<OutputPin>,
    active_low: bool,
}

impl Lines for RaspberryPi {
    type Input = Input;
    type Output = Output;

    fn input(&self, role: Role, line: &LineSettings) -> Result<Input, WakeError> {
        let pin = pin(role, &line.line)?;
        let number = pin.pin();
        let mut pin = match line.bias {
            Bias::AsIs | Bias::Disabled => pin.into_input(),
            Bias::PullUp => pin.into_input_pullup(),
            Bias::PullDown => pin.into_input_pulldown(),
        };
        let (sender, edges) = unbounded_channel();
        let active_low = line.active_low;
        pin.set_async_interrupt(Trigger::Both, None, move |event| {
            let active = (event.trigger == Trigger::RisingEdge) != active_low;
            let _ = sender.send(Edge { active, at: Mono::from_nanos(event.timestamp.as_nanos() as u64) });
        })
        .map_err(|error| refused(role, number, error))?;
        Ok(Input { pin, edges, role, active_low })
    }

    fn output(&self, role: Role, line: &LineSettings) -> Result<Output, WakeError> {
        let pin = pin(role, &line.line)?;
        let pin = if line.active_low { pin.into_output_high() } else { pin.into_output_low() };
        Ok(Output { pin: Mutex::new(pin), active_low: line.active_low })
    }
}

impl InputLine for Input {
    fn active(&mut self) -> Result<bool, WakeError> {
        Ok(self.pin.is_high() != self.active_low)
    }

    async fn edge(&mut self) -> Result<Edge, WakeError> {
        let (role, number) = (self.role, self.pin.pin());
        let ended = || WakeError::Failed { role, line: format!("GPIO{number}"), reason: "rppal's thread ended".into() };
        self.edges.recv().await.ok_or_else(ended)
    }
}

impl OutputLine for Output {
    fn set(&self, active: bool) -> Result<(), WakeError> {
        let level = if active != self.active_low { Level::High } else { Level::Low };
        self.pin.lock().unwrap_or_else(PoisonError::into_inner).write(level);
        Ok(())
    }
}

fn pin(role: Role, line: &LineName) -> Result<Pin, WakeError> {
    let number = bcm(line).ok_or_else(|| WakeError::Failed {
        role,
        line: shown(line),
        reason: "with rppal a line is a BCM number: `GPIO17`, or chip and offset".into(),
    })?;
    Gpio::new().and_then(|gpio| gpio.get(number)).map_err(|error| refused(role, number, error))
}

fn bcm(line: &LineName) -> Option<u8> {
    match line {
        LineName::Name(name) => name.strip_prefix("GPIO")?.parse().ok(),
        LineName::Offset { offset, .. } => (*offset).try_into().ok(),
    }
}

fn refused(role: Role, number: u8, error: rppal::gpio::Error) -> WakeError {
    let line = format!("GPIO{number}");
    match error {
        rppal::gpio::Error::PermissionDenied(path) => WakeError::Denied { role, path },
        rppal::gpio::Error::PinUsed(_) => WakeError::Busy { role, line, consumer: "another line of [wake]".into() },
        rppal::gpio::Error::UnknownModel => {
            let reason = "this is not a Raspberry Pi that rppal knows: use a build without the feature rppal".into();
            WakeError::Failed { role, line, reason }
        }
        other => WakeError::Failed { role, line, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_bcm_number() {
        let named = |name: &str| bcm(&LineName::Name(name.into()));
        assert_eq!(named("GPIO17"), Some(17));
        assert_eq!(named("button"), None);
        assert_eq!(named("GPIO999"), None);
        assert_eq!(bcm(&LineName::Offset { chip: "gpiochip0".into(), offset: 4 }), Some(4));
    }
}
