//! What a test may move: the clock by which connection and cache are kept, and the pings, which run on real time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// Times of the keeper.
#[derive(Clone)]
pub struct Timing {
    /// The clock of every instant, and of every wait between two requests.
    pub clock: Arc<dyn Clock>,
    /// A connection over which nothing came for this long is pinged (HTTP/2). It keeps the flow alive in a home router
    /// (some drop it after 60 s) and finds a dead one.
    pub ping_interval: Duration,
    /// A ping without an answer for this long ends the connection.
    pub ping_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(5),
        }
    }
}
