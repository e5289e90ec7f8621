//! What a technician wants to know of a line: who holds it, what it reads, whether a press arrives and how it bounces.

use std::time::Duration;

use tokio::time::{sleep, timeout};

#[cfg(not(feature = "rppal"))]
use super::find::{find, open};
use super::line::{InputLine, Lines, OutputLine, Role};
use super::{Board, WakeError};
use crate::clock::Mono;
use crate::config::LineSettings;

/// A contact that was let go and has been quiet for this long does not bounce any more.
const QUIET: Duration = Duration::from_millis(200);
/// How long the LED is on, and off, when it blinks.
const BLINK: Duration = Duration::from_millis(150);

/// What is known of a line without touching it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFacts {
    /// Chip and offset, or what the configuration calls it.
    pub place: String,
    /// Its name, empty where it has none.
    pub name: String,
    /// Who holds it, by its own label; none: nobody.
    pub consumer: Option<String>,
    /// The internal pull resistor, as the kernel has it: `pull-up`, `pull-down`, `disabled`, `as-is`.
    pub bias: &'static str,
}

/// Finds a line and reads what the kernel knows of it; it stays with whoever holds it.
///
/// # Errors
/// It is not there, or this user may not look.
#[cfg(not(feature = "rppal"))]
pub fn line_facts(role: Role, settings: &LineSettings) -> Result<LineFacts, WakeError> {
    use gpiocdev::line::Bias;
    let found = find(role, &settings.line)?;
    let info = open(role, &found.chip)?.line_info(found.offset).map_err(|error| WakeError::Failed {
        role,
        line: found.shown(),
        reason: error.to_string(),
    })?;
    let bias = match info.bias {
        Some(Bias::PullUp) => "pull-up",
        Some(Bias::PullDown) => "pull-down",
        Some(Bias::Disabled) => "disabled",
        None => "as-is",
    };
    let consumer =
        info.used.then(|| if info.consumer.is_empty() { "the kernel".into() } else { info.consumer.clone() });
    Ok(LineFacts { place: found.shown(), name: info.name, consumer, bias })
}

/// As configured: rppal knows no consumers and no names.
///
/// # Errors
/// None.
#[cfg(feature = "rppal")]
pub fn line_facts(_role: Role, settings: &LineSettings) -> Result<LineFacts, WakeError> {
    Ok(LineFacts { place: super::line::shown(&settings.line), name: String::new(), consumer: None, bias: "as-is" })
}

/// Takes an input, reads whether it is active, and lets it go. Must be called inside a tokio runtime.
///
/// # Errors
/// It cannot be had.
pub fn line_value(role: Role, settings: &LineSettings) -> Result<bool, WakeError> {
    Board.input(role, settings)?.active()
}

/// Takes the LED, blinks it three times, and lets it go, off.
///
/// # Errors
/// It cannot be had or set.
pub async fn blink(settings: &LineSettings) -> Result<(), WakeError> {
    let led = Board.output(Role::Led, settings)?;
    for _ in 0..3 {
        led.set(true)?;
        sleep(BLINK).await;
        led.set(false)?;
        sleep(BLINK).await;
    }
    Ok(())
}

/// One press of the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Edges that the contact gave beyond the two of a clean press.
    pub bounces: u32,
    /// The longer of the two bursts in which it bounced.
    pub bounced_for: Duration,
    /// From the first edge to the last one.
    pub held: Duration,
    /// It was let go within the time.
    pub released: bool,
}

/// Takes the button's line and waits for one press, up to `limit`; none: nobody pressed. Must be called inside a tokio
/// runtime.
///
/// # Errors
/// The line cannot be had, or was lost meanwhile.
pub async fn press(settings: &LineSettings, limit: Duration) -> Result<Option<Press>, WakeError> {
    press_on(&mut Board.input(Role::Button, settings)?, limit).await
}

pub(super) async fn press_on(line: &mut impl InputLine, limit: Duration) -> Result<Option<Press>, WakeError> {
    let mut edges: Vec<Mono> = Vec::new();
    let mut down = false;
    loop {
        let patience = if edges.is_empty() || down { limit } else { QUIET };
        let Ok(edge) = timeout(patience, line.edge()).await else { break };
        let edge = edge?;
        // Whoever held it from before lets it go first.
        if edge.active || !edges.is_empty() {
            edges.push(edge.at);
            down = edge.active;
        }
    }
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Ok(None) };
    // The longest time without an edge is the hold; what lies before and behind it is bounce.
    let hold = edges.windows(2).map(|pair| pair[1].since(pair[0])).enumerate().max_by_key(|(_, gap)| *gap);
    let at = hold.map_or(0, |(at, _)| at);
    let burst =
        |from: Option<&Mono>, to: Option<&Mono>| from.zip(to).map_or(Duration::ZERO, |(from, to)| to.since(*from));
    let bounced_for = burst(Some(first), edges.get(at)).max(burst(edges.get(at + 1), Some(last)));
    let clean = if down { 1 } else { 2 };
    let bounces = u32::try_from(edges.len().saturating_sub(clean)).unwrap_or(u32::MAX);
    Ok(Some(Press { bounces, bounced_for, held: last.since(*first), released: !down }))
}
