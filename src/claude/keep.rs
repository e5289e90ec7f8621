//! Keeping warm: the prompt cache and the connection, at boot, at the wake edge and in the hours between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::client::{Claude, Inner};
use super::line::locked;
use super::wire::{ContentBlock, Message, Role};
use super::{ApiKind, ClaudeError, ConnectionState, Usage, min_cacheable};
use crate::clock::Mono;
use crate::config::{CacheTtl, KeepWarm};

/// The API's edge closes a connection that carried no request for 400 s; whether pings count is not documented.
const REQUEST_INTERVAL: Duration = Duration::from_secs(270);
/// At the wake edge a connection that carried nothing for this long is checked (it costs no token, and hides behind the
/// person's speech): a router may have dropped it silently.
const CHECK_AFTER: Duration = Duration::from_secs(2);
/// The cache is read again at the wake edge when it would end within this time.
const CACHE_MARGIN: Duration = Duration::from_secs(60);
/// A server that closes each connection at once is not called more often.
const REOPEN_INTERVAL: Duration = Duration::from_secs(5);
/// Waits between tries where the API cannot be reached: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);

/// What is known of the prompt cache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cache {
    /// When it was last written or read.
    used_at: Option<Mono>,
    /// Its counters stayed at 0: nothing is cached, and warming is in vain.
    in_vain: bool,
    warned: bool,
}

/// What the keeper does next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Prewarm,
    Connect,
    Wait(Duration),
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
        let state = inner.line.state();
        if (!state.open || Mono::now().since(inner.line.used_at()) > CHECK_AFTER)
            && let Err(error) = self.connect().await
        {
            log::warn!("claude: {error}");
            return;
        }
        let cache = *locked(&inner.cache);
        let ttl = inner.settings.cache_ttl;
        if inner.settings.keep_warm != KeepWarm::Never
            && cache.is_old(Mono::now(), ttl)
            && let Ok(_one) = inner.prewarming.try_lock()
            && let Err(error) = inner.prewarm().await
        {
            log::warn!("claude: the cache is not warm: {error}");
        }
    }

    /// Keeps connection and cache as `claude.keep_warm` says, from boot until `cancel`. A lost connection is opened
    /// again at once, so that no turn pays for the handshake.
    pub async fn keep(&self, cancel: CancellationToken) {
        let mut wait = FIRST_WAIT;
        loop {
            let inner = &self.inner;
            let now = Mono::now();
            let cache = *locked(&inner.cache);
            let prewarm_due = cache.due(now, inner.settings.keep_warm, inner.settings.cache_ttl);
            let step = step(now, &inner.line.state(), inner.line.used_at(), prewarm_due);
            let work = async {
                match step {
                    Step::Prewarm => self.prewarm().await.map(drop),
                    Step::Connect => self.connect().await,
                    Step::Wait(time) => {
                        tokio::select! {
                            () = tokio::time::sleep(time) => {}
                            () = inner.line.lost() => {}
                        }
                        return Ok(false);
                    }
                }
                .map(|()| true)
            };
            let result = tokio::select! {
                () = cancel.cancelled() => return,
                () = inner.stop.cancelled() => return,
                result = work => result,
            };
            match result {
                Ok(false) => {}
                Ok(true) => {
                    if wait > FIRST_WAIT {
                        log::info!("claude: {} is reached again", inner.line.host());
                    }
                    wait = FIRST_WAIT;
                }
                Err(error) => {
                    if wait == FIRST_WAIT {
                        log::warn!("claude: {error}");
                    }
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = inner.stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(LAST_WAIT);
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
        self.note_usage(&reply.usage, at);
        Ok(reply.usage)
    }

    /// Learns from the counts of a request, and warns once where the cache has no part in it.
    pub(super) fn note_usage(&self, usage: &Usage, at: Mono) {
        let mut cache = locked(&self.cache);
        if !usage.is_uncached() {
            *cache = Cache { used_at: Some(at), in_vain: false, ..*cache };
            return;
        }
        if !std::mem::replace(&mut cache.warned, true) {
            log::warn!(
                "claude: the prompt cache was neither read nor written: the whole request has {} tokens, and {} caches \
                 prefixes of {} and more; make claude.instructions_file longer or choose another claude.model",
                usage.all_input(),
                self.settings.model,
                min_cacheable(&self.settings.model)
            );
        }
        cache.in_vain = true;
    }
}

impl Cache {
    fn is_old(&self, now: Mono, ttl: CacheTtl) -> bool {
        let old = |at: Mono| now.since(at) > ttl.duration().saturating_sub(CACHE_MARGIN);
        !self.in_vain && self.used_at.is_none_or(old)
    }

    /// When the keeper is to warm it; none: not of its own accord.
    fn due(&self, now: Mono, keep_warm: KeepWarm, ttl: CacheTtl) -> Option<Mono> {
        match (keep_warm, self.used_at) {
            (KeepWarm::Never, _) | (KeepWarm::Wake, Some(_)) => None,
            _ if self.in_vain => None,
            (_, None) => Some(now),
            // 270 s of five minutes.
            (KeepWarm::Always, Some(at)) => Some(at + ttl.duration() * 9 / 10),
        }
    }
}

fn step(now: Mono, line: &ConnectionState, line_used: Mono, prewarm_due: Option<Mono>) -> Step {
    // A pre-warm is a request too: it opens the connection and keeps it.
    if prewarm_due.is_some_and(|due| due <= now) {
        return Step::Prewarm;
    }
    let request_due = match (line.open, line.opened_at) {
        (true, _) => line_used + REQUEST_INTERVAL,
        (false, Some(opened)) => opened + REOPEN_INTERVAL,
        (false, None) => now,
    };
    if request_due <= now {
        return Step::Connect;
    }
    let next = prewarm_due.map_or(request_due, |due| due.min(request_due));
    Step::Wait(next.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_nanos(10_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn used(seconds_ago: u64) -> Cache {
        Cache { used_at: Some(NOW - SECOND * seconds_ago as u32), ..Cache::default() }
    }

    #[test]
    fn boot_warms_unless_told_never_to() {
        let due = |keep_warm| Cache::default().due(NOW, keep_warm, CacheTtl::FiveMinutes);
        assert_eq!(due(KeepWarm::Always), Some(NOW));
        assert_eq!(due(KeepWarm::Wake), Some(NOW));
        assert_eq!(due(KeepWarm::Never), None);
    }

    #[test]
    fn always_comes_before_the_ttl_ends() {
        let due = |ttl| used(10).due(NOW, KeepWarm::Always, ttl).map(|due| due.since(NOW));
        assert_eq!(due(CacheTtl::FiveMinutes), Some(SECOND * 260));
        assert_eq!(due(CacheTtl::OneHour), Some(SECOND * 3230));
        assert_eq!(used(10).due(NOW, KeepWarm::Wake, CacheTtl::FiveMinutes), None);
    }

    #[test]
    fn what_caches_nothing_is_not_warmed() {
        let cache = Cache { in_vain: true, ..Cache::default() };
        assert_eq!(cache.due(NOW, KeepWarm::Always, CacheTtl::FiveMinutes), None);
        assert!(!cache.is_old(NOW, CacheTtl::FiveMinutes));
    }

    #[test]
    fn the_wake_edge_renews_after_four_minutes() {
        assert!(!used(240).is_old(NOW, CacheTtl::FiveMinutes));
        assert!(used(241).is_old(NOW, CacheTtl::FiveMinutes));
        assert!(!used(3000).is_old(NOW, CacheTtl::OneHour));
        assert!(Cache::default().is_old(NOW, CacheTtl::FiveMinutes));
    }

    #[test]
    fn one_step_at_a_time() {
        let ago = |seconds: u32| NOW - SECOND * seconds;
        let open = ConnectionState { open: true, opened_at: Some(ago(900)), ..ConnectionState::default() };
        let lost = ConnectionState { open: false, ..open };
        assert_eq!(step(NOW, &open, ago(0), Some(NOW)), Step::Prewarm);
        assert_eq!(step(NOW, &open, ago(270), None), Step::Connect);
        assert_eq!(step(NOW, &open, ago(100), None), Step::Wait(SECOND * 170));
        assert_eq!(step(NOW, &open, ago(100), Some(NOW + SECOND * 20)), Step::Wait(SECOND * 20));
        assert_eq!(step(NOW, &ConnectionState::default(), Mono::from_nanos(0), None), Step::Connect);
        assert_eq!(step(NOW, &lost, ago(0), None), Step::Connect);
        // A pre-warm that is due opens the lost connection too; one that was lost at once is not opened again at once.
        assert_eq!(step(NOW, &lost, ago(0), Some(ago(1))), Step::Prewarm);
        let lost_at_once = ConnectionState { opened_at: Some(ago(2)), ..lost };
        assert_eq!(step(NOW, &lost_at_once, ago(1), None), Step::Wait(SECOND * 3));
    }
}
