//! Lines of the GPIO character device (`/dev/gpiochip*`).

use std::time::Duration;

use gpiocdev::chip::Chip;
use gpiocdev::line::{EdgeDetection, EdgeKind, Value};
use gpiocdev::tokio::AsyncRequest;
use gpiocdev::{Error, Request};
use rustix::io::Errno;
use tokio::time::timeout;

use super::WakeError;
use super::find::{Found, denied, errno, find};
use super::line::{Edge, InputLine, Lines, OutputLine, Role, shown};
use crate::clock::Mono;
use crate::config::{Bias, LineSettings};

/// How often a quiet line is asked whether it is still there.
const PROBE: Duration = Duration::from_secs(5);

/// Every chip of the machine.
pub(super) struct CharacterDevices;

/// A requested line.
pub(super) struct Line<F> {
    request: F,
    role: Role,
    name: String,
}

impl Lines for CharacterDevices {
    type Input = Line<AsyncRequest>;
    type Output = Line<Request>;

    fn input(&self, role: Role, line: &LineSettings) -> Result<Self::Input, WakeError> {
        let found = find(role, &line.line)?;
        let bias = match line.bias {
            Bias::AsIs => None,
            Bias::PullUp => Some(gpiocdev::line::Bias::PullUp),
            Bias::PullDown => Some(gpiocdev::line::Bias::PullDown),
            Bias::Disabled => Some(gpiocdev::line::Bias::Disabled),
        };
        let request = |bias: Option<_>| {
            let mut builder = Request::builder();
            builder.on_chip(&found.chip).with_line(found.offset).with_consumer(consumer(role)).as_input();
            if line.active_low {
                builder.as_active_low();
            }
            builder.with_bias(bias).with_edge_detection(EdgeDetection::BothEdges).request()
        };
        let request = match request(bias) {
            Err(error) if bias.is_some() && matches!(errno(&error), Some(Errno::INVAL | Errno::NOTSUP | ENOTSUPP)) => {
                let line = shown(&line.line);
                log::warn!(
                    "{role}: {line} refuses the internal pull ({error}): it needs an external pull-up or pull-down"
                );
                request(None)
            }
            result => result,
        }
        .map_err(|error| refused(&found, role, &error))?;
        Ok(Line { request: AsyncRequest::new(request), role, name: found.shown() })
    }

    fn output(&self, role: Role, line: &LineSettings) -> Result<Self::Output, WakeError> {
        let found = find(role, &line.line)?;
        let mut builder = Request::builder();
        builder.on_chip(&found.chip).with_line(found.offset).with_consumer(consumer(role));
        if line.active_low {
            builder.as_active_low();
        }
        let request = builder.as_output(Value::Inactive).request().map_err(|error| refused(&found, role, &error))?;
        Ok(Line { request, role, name: found.shown() })
    }
}

impl<F> Line<F> {
    fn failed(&self, error: impl ToString) -> WakeError {
        WakeError::Failed { role: self.role, line: self.name.clone(), reason: error.to_string() }
    }
}

impl InputLine for Line<AsyncRequest> {
    fn active(&mut self) -> Result<bool, WakeError> {
        let value = self.request.as_ref().lone_value().map_err(|error| self.failed(error))?;
        Ok(value == Value::Active)
    }

    async fn edge(&mut self) -> Result<Edge, WakeError> {
        let event = loop {
            match timeout(PROBE, self.request.read_edge_event()).await {
                Ok(event) => break event.map_err(|error| self.failed(error))?,
                // Kernels up to 6.1 at least wake nobody when a chip is unplugged; any question then gives ENODEV.
                Err(_) => self.active().map(drop)?,
            }
        };
        Ok(Edge { active: event.kind == EdgeKind::Rising, at: Mono::from_nanos(event.timestamp_ns) })
    }
}

impl OutputLine for Line<Request> {
    fn set(&self, active: bool) -> Result<(), WakeError> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.request.set_lone_value(value).map(drop).map_err(|error| self.failed(error))
    }
}

/// The label under which the kernel shows the line as used.
fn consumer(role: Role) -> &'static str {
    match role {
        Role::Button => "elio-button",
        Role::Led => "elio-led",
        Role::Mute => "elio-mute",
    }
}

/// The error of a refused request, told as what it means.
fn refused(found: &Found, role: Role, error: &Error) -> WakeError {
    match errno(error) {
        Some(Errno::BUSY) => {
            let info = Chip::from_path(&found.chip).and_then(|chip| chip.line_info(found.offset));
            let consumer = info.map(|info| info.consumer).unwrap_or_default();
            let consumer = if consumer.is_empty() { "an unnamed consumer".into() } else { consumer };
            WakeError::Busy { role, line: found.shown(), consumer }
        }
        Some(Errno::ACCESS | Errno::PERM) => denied(role, &found.chip),
        _ => WakeError::Failed { role, line: found.shown(), reason: error.to_string() },
    }
}

/// The kernel's own ENOTSUPP, which has no place among the errors of C.
const ENOTSUPP: Errno = Errno::from_raw_os_error(524);
