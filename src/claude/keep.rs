//! Keeping warm: the prompt cache and the connection, at boot, at the wake edge and in the hours between. No turn waits
//! for any of it: a question takes the connection that is there, beside whatever the keeper does on it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::client::{Claude, Inner};
use super::line::locked;
use super::prefix::Size;
use super::wire::{ContentBlock, Message, Role};
use super::{ApiKind, ClaudeError, ConnectionState, Keeping, PrefixCheck, Usage, Verdict};
use crate::clock::Mono;
use crate::config::KeepWarm;

/// The API's edge closes a connection that carried no request for 400 s; whether pings count is not documented.
const REQUEST_INTERVAL: Duration = Duration::from_secs(270);
/// A connection of this age is replaced: the edge's machines come and go, and so do the addresses of its name.
const MOST_AGE: Duration = Duration::from_secs(3600);
/// At the wake edge a connection that carried nothing for this long is checked (it costs no token, and hides behind the
/// person's speech): a router may have dropped it silently.
const CHECK_AFTER: Duration = Duration::from_millis(250);
/// A check that takes longer gets a new connection beside it, so that the question finds a path that works.
const SLOW_CHECK: Duration = Duration::from_millis(750);
/// A server that closes each connection at once is not called more often.
const REOPEN_INTERVAL: Duration = Duration::from_secs(5);
/// Waits between tries where the API cannot be reached: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);
/// What keeping has cost is logged this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// What the keeper does next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Prewarm,
    Connect,
    Renew,
    WaitUntil(Mono),
}

/// How something fares that is tried again and again.
#[derive(Debug)]
struct Tries {
    /// In words, for the log.
    what: &'static str,
    /// Not again before.
    not_before: Mono,
    wait: Duration,
    /// Kind of the trouble that was logged.
    trouble: Option<&'static str>,
}

impl Tries {
    fn new(what: &'static str) -> Self {
        Self { what, not_before: Mono::from_nanos(0), wait: FIRST_WAIT, trouble: None }
    }

    /// Nobody waits for this: it is a line in the log when it changes, and no more.
    fn failed(&mut self, error: &ClaudeError, now: Mono) {
        if self.trouble.replace(error.kind()) != Some(error.kind()) {
            log::warn!("claude: {}: {error}", self.what);
        }
        self.not_before = now + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }

    fn succeeded(&mut self) {
        if self.trouble.is_some() {
            log::info!("claude: {}: it works again", self.what);
        }
        *self = Tries::new(self.what);
    }
}

impl Claude {
    /// Writes the prefix into the prompt cache, or reads it there, which keeps it for another TTL. Bills no output.
    ///
    /// # Errors
    ///
    /// As [`Claude::connect`].
    pub async fn prewarm(&self) -> Result<Usage, ClaudeError> {
        let _one = self.inner.prewarming.lock().await;
        self.inner.prewarm().await
    }

    /// What is due may have been done at the wake edge meanwhile.
    async fn prewarm_if_due(&self) -> Result<(), ClaudeError> {
        let inner = &self.inner;
        let _one = inner.prewarming.lock().await;
        let now = inner.now();
        match locked(&inner.cache).due(now, &inner.settings) {
            Some(due) if due <= now => {}
            _ => return Ok(()),
        }
        inner.prewarm().await.map(drop)
    }

    /// The prefix's size against what the model caches: the API's own count once it has answered, else a guess.
    pub fn prefix_check(&self) -> PrefixCheck {
        let Inner { prefix, settings, cache, .. } = &*self.inner;
        let guessed = prefix.check(&settings.model);
        PrefixCheck { size: locked(cache).size.unwrap_or(guessed.size), ..guessed }
    }

    /// What keeping the cache costs, and has cost.
    pub fn keeping(&self) -> Keeping {
        let check = self.prefix_check();
        locked(&self.inner.cache).keeping(&check, &self.inner.settings, self.inner.now())
    }

    /// The wake edge: opens or checks the connection and renews the cache where they are absent or old, beside the
    /// caller and while the person speaks. Returns at once; must be called within a tokio runtime.
    pub fn wake(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            log::error!("claude: woken outside the runtime");
            return;
        };
        let claude = self.clone();
        let stop = self.inner.stop.clone();
        let work = async move {
            let Ok(_one) = claude.inner.waking.try_lock() else { return };
            tokio::select! {
                () = stop.cancelled() => {}
                () = claude.freshen() => {}
            }
        };
        self.inner.tasks.spawn_on(work, &runtime);
    }

    async fn freshen(&self) {
        let inner = &self.inner;
        let open = inner.line.state().open;
        if !open || inner.now().since(inner.line.used_at()) > CHECK_AFTER {
            let beside = async {
                inner.timing.clock.sleep_until(inner.now() + SLOW_CHECK).await;
                if !open || inner.line.renew().await.is_err() {
                    // Then the check itself tells.
                    pending::<()>().await;
                }
            };
            let checked = tokio::select! {
                checked = self.connect() => checked,
                () = beside => Ok(()),
            };
            if let Err(error) = checked {
                log::warn!("claude: {error}");
                return;
            }
        }
        if inner.settings.keep_warm != KeepWarm::Never
            && locked(&inner.cache).is_old(inner.now(), inner.settings.cache_ttl)
            && let Ok(_one) = inner.prewarming.try_lock()
            && let Err(error) = inner.prewarm().await
        {
            log::warn!("claude: the cache is not warm: {error}");
        }
    }

    /// Keeps connection and cache as `claude.keep_warm` says, from boot until `cancel`. A connection that is lost, or that
    /// the server is about to close, is opened again at once, so that no turn pays for the handshake. For a daemon: a
    /// command that asks once does without.
    pub async fn keep(&self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.inner.stop.cancelled() => {}
            () = self.keep_on() => {}
        }
    }

    async fn keep_on(&self) {
        let inner = &self.inner;
        let check = self.prefix_check();
        match check.verdict() {
            Verdict::Cached => {}
            Verdict::Unsure => log::info!("claude: {check}"),
            Verdict::TooSmall => log::warn!("claude: {check}"),
        }
        log::info!("claude: the prompt cache: {}", self.keeping());
        let (mut connection, mut cache) = (Tries::new("the connection"), Tries::new("the prompt cache"));
        let mut report_at = inner.now() + REPORT_INTERVAL;
        let mut counted = false;
        loop {
            let now = inner.now();
            let keeping = self.keeping();
            if keeping.counted && !std::mem::replace(&mut counted, true) {
                log::info!("claude: the prompt cache: {keeping}");
            }
            if report_at <= now {
                report_at = now + REPORT_INTERVAL;
                let Keeping { requests_24h, tokens_24h, .. } = keeping;
                log::info!(
                    "claude: keeping the cache took {requests_24h} requests and {tokens_24h} tokens in 24 hours"
                );
            }
            let due = locked(&inner.cache).due(now, &inner.settings);
            let prewarm_due = due.map(|due| due.max(cache.not_before));
            let state = inner.line.state();
            match step(now, &state, inner.line.used_at(), connection.not_before, prewarm_due) {
                Step::Prewarm => match self.prewarm_if_due().await {
                    Ok(()) => {
                        connection.succeeded();
                        cache.succeeded();
                    }
                    Err(error @ ClaudeError::Api(_)) => cache.failed(&error, inner.now()),
                    Err(error) => connection.failed(&error, inner.now()),
                },
                Step::Connect => match self.connect().await {
                    Ok(()) => connection.succeeded(),
                    Err(error) => connection.failed(&error, inner.now()),
                },
                Step::Renew => match inner.line.renew().await {
                    Ok(()) => connection.succeeded(),
                    Err(error) => connection.failed(&error, inner.now()),
                },
                Step::WaitUntil(next) => {
                    tokio::select! {
                        () = inner.timing.clock.sleep_until(next.min(report_at)) => {}
                        () = inner.line.lost() => {}
                    }
                }
            }
        }
    }
}

impl Inner {
    async fn prewarm(self: &Arc<Self>) -> Result<Usage, ClaudeError> {
        let one_token = self.one_token.load(Ordering::Relaxed);
        let result = self.prewarm_with(u32::from(one_token)).await;
        let refused = |error: &ClaudeError| matches!(error, ClaudeError::Api(f) if f.kind == ApiKind::InvalidRequest);
        match result {
            Err(error) if !one_token && refused(&error) => {
                let usage = self.prewarm_with(1).await?;
                self.one_token.store(true, Ordering::Relaxed);
                log::info!("claude: pre-warming with max_tokens 1 from now on, because 0 was refused");
                Ok(usage)
            }
            result => result,
        }
    }

    async fn prewarm_with(&self, max_tokens: u32) -> Result<Usage, ClaudeError> {
        #[derive(Deserialize)]
        struct Reply {
            usage: Usage,
        }
        let hello = Message { role: Role::User, content: vec![ContentBlock::text("Hello.")] };
        let sent = self.exchange(&self.messages(vec![hello], max_tokens, false, Vec::new())?).await?;
        let at = sent.at;
        let reply: Reply = serde_json::from_slice(&self.document(sent).await?)
            .map_err(|_| self.protocol("a message that is no message".to_owned(), None))?;
        locked(&self.cache).spend(&reply.usage, at);
        self.note_usage(&reply.usage, at);
        Ok(reply.usage)
    }

    /// Learns from the counts of a request, and warns once where the cache has no part in it.
    pub(super) fn note_usage(&self, usage: &Usage, at: Mono) {
        if locked(&self.cache).note(usage, at) {
            let size = Size::Uncached { request: usage.all_input() };
            let check = PrefixCheck { size, ..self.prefix.check(&self.settings.model) };
            log::warn!("claude: {check}");
        }
    }
}

/// What is to be done at `now`. `used_at`: when bytes came last over the connection; `not_before`: no try to open it
/// earlier; `prewarm_due`: when the cache is to be read.
fn step(now: Mono, line: &ConnectionState, used_at: Mono, not_before: Mono, prewarm_due: Option<Mono>) -> Step {
    let prewarm_due = prewarm_due.map(|due| due.max(not_before));
    // A pre-warm is a request too: it opens the connection and keeps it.
    if prewarm_due.is_some_and(|due| due <= now) {
        return Step::Prewarm;
    }
    let (request_due, age_due) = match (line.open, line.opened_at) {
        (true, Some(opened)) => (used_at + REQUEST_INTERVAL, Some(opened + MOST_AGE)),
        (true, None) => (used_at + REQUEST_INTERVAL, None),
        (false, Some(opened)) => (opened + REOPEN_INTERVAL, None),
        (false, None) => (now, None),
    };
    let (request_due, age_due) = (request_due.max(not_before), age_due.map(|due| due.max(not_before)));
    if age_due.is_some_and(|due| due <= now) {
        return Step::Renew;
    }
    if request_due <= now {
        return Step::Connect;
    }
    Step::WaitUntil([age_due, prewarm_due].into_iter().flatten().fold(request_due, Mono::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_nanos(10_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const ANY: Mono = Mono::from_nanos(0);

    fn ago(seconds: u32) -> Mono {
        NOW - SECOND * seconds
    }

    fn open() -> ConnectionState {
        ConnectionState { open: true, opened_at: Some(ago(900)), ..ConnectionState::default() }
    }

    #[test]
    fn one_step_at_a_time() {
        let lost = ConnectionState { open: false, ..open() };
        let next = |line: &ConnectionState, used_at, prewarm_due| step(NOW, line, used_at, ANY, prewarm_due);
        assert_eq!(next(&open(), ago(0), Some(NOW)), Step::Prewarm);
        assert_eq!(next(&open(), ago(270), None), Step::Connect);
        assert_eq!(next(&open(), ago(100), None), Step::WaitUntil(NOW + SECOND * 170));
        assert_eq!(next(&open(), ago(100), Some(NOW + SECOND * 20)), Step::WaitUntil(NOW + SECOND * 20));
        assert_eq!(next(&ConnectionState::default(), ANY, None), Step::Connect);
        assert_eq!(next(&lost, ago(0), None), Step::Connect);
        // A pre-warm that is due opens the lost connection too; one that was lost at once is not opened again at once.
        assert_eq!(next(&lost, ago(0), Some(ago(1))), Step::Prewarm);
        let lost_at_once = ConnectionState { opened_at: Some(ago(2)), ..lost };
        assert_eq!(next(&lost_at_once, ago(1), None), Step::WaitUntil(NOW + SECOND * 3));
    }

    #[test]
    fn a_request_goes_and_a_new_connection_comes_before_the_edge_closes_the_old_one() {
        assert!(REQUEST_INTERVAL + Duration::from_secs(60) < Duration::from_secs(400), "room for some failed tries");
        let old = ConnectionState { opened_at: Some(ago(3600)), ..open() };
        assert_eq!(step(NOW, &old, ago(1), ANY, None), Step::Renew);
        let aging = ConnectionState { opened_at: Some(ago(3500)), ..open() };
        assert_eq!(step(NOW, &aging, ago(1), ANY, None), Step::WaitUntil(NOW + SECOND * 100));
        // Nothing is renewed that is not open.
        let lost = ConnectionState { open: false, ..old };
        assert_eq!(step(NOW, &lost, ago(1), ANY, None), Step::Connect);
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_is_told_once_for_each_change() {
        let error = |fault: &str| ClaudeError::Offline { host: "h:1".to_owned(), fault: fault.to_owned() };
        let mut tries = Tries::new("the connection");
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                tries.failed(&error("x"), NOW);
                tries.not_before.since(NOW).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(tries.trouble, Some("offline"));
        let lost = ConnectionState { open: false, ..open() };
        let until = Step::WaitUntil(NOW + SECOND * 60);
        assert_eq!(step(NOW, &lost, ago(0), tries.not_before, Some(ago(1))), until);
        assert_eq!(step(NOW, &ConnectionState::default(), ANY, tries.not_before, None), until);
        tries.succeeded();
        assert_eq!((tries.trouble, tries.wait), (None, FIRST_WAIT));
    }
}
