//! From raw edges to presses: on is believed at once, off when it has lasted.
//!
//! The kernel can debounce too, but then both edges come one period late, with a stamp that is late as well
//! (`debounce_work_func` in `gpiolib-cdev.c` stamps when its timer fires). Here a press costs no time at all, and a
//! release carries the stamp of the moment at which the contact opened.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::timeout;

use super::WakeError;
use super::line::{Edge, InputLine};
use crate::clock::Mono;

/// Calls `changed(active, at)` for every debounced change of `line`, alternating, beginning from the level `on`.
/// Returns only with the line's error. Dropping the future is safe.
///
/// The stamps decide, not the time at which this program gets the processor: a tap that was over before it was seen
/// still counts when it lasted longer than `debounce`.
pub(super) async fn watch<I: InputLine>(
    line: &mut I,
    mut on: bool,
    debounce: Duration,
    mut changed: impl FnMut(bool, Mono),
) -> Result<Infallible, WakeError> {
    let mut pending: Option<Edge> = None;
    loop {
        let edge = match pending.take() {
            Some(edge) => edge,
            None => line.edge().await?,
        };
        if edge.active == on {
            continue;
        }
        if on {
            let (off, next) = has_lasted(line, edge, debounce).await?;
            pending = next;
            if off {
                on = false;
                changed(false, edge.at);
            }
        } else {
            // Already inactive again: a bounce, or a spike from a relay nearby, unless the stamps say that it lasted.
            if !line.active()? {
                let next = line.edge().await?;
                pending = Some(next);
                if next.active || next.at.since(edge.at) < debounce {
                    continue;
                }
            }
            on = true;
            changed(true, edge.at);
        }
    }
}

/// After the edge `first` to inactive: whether the line then stayed still and inactive for `debounce`, and the edge
/// that ended the stillness, if one did.
async fn has_lasted<I: InputLine>(
    line: &mut I,
    first: Edge,
    debounce: Duration,
) -> Result<(bool, Option<Edge>), WakeError> {
    let mut last = first;
    loop {
        let Ok(next) = timeout(debounce, line.edge()).await else {
            return Ok((!line.active()?, None));
        };
        let next = next?;
        if next.at.since(last.at) >= debounce {
            return Ok((!last.active, Some(next)));
        }
        last = next;
    }
}
