//! What is known of the prompt cache: when it ends, whether there is one at all, and what keeping it costs.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prefix::Size;
use super::{PrefixCheck, Usage};
use crate::clock::Mono;
use crate::config::{CacheTtl, ClaudeSettings, KeepWarm};

/// At the wake edge the cache is read again when it would end within this time.
const MARGIN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is known of the prompt cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// When it was last written or read.
    used_at: Option<Mono>,
    /// When the last question left.
    asked_at: Option<Mono>,
    /// What the API's counts said last of the prefix.
    pub(super) size: Option<Size>,
    spent: Spent,
}

impl Cache {
    /// A question leaves.
    pub(super) fn asked(&mut self, at: Mono) {
        self.asked_at = Some(at);
    }

    /// A request that left at `at` had these counts. Gives whether it is news that nothing is cached.
    pub(super) fn note(&mut self, usage: &Usage, at: Mono) -> bool {
        let news = !self.is_in_vain();
        if usage.is_uncached() {
            self.size = Some(Size::Uncached { request: usage.all_input() });
            return news;
        }
        // The prefix ends with the only breakpoint: what is cached is the prefix.
        self.size = Some(Size::Counted(usage.cache_read() + usage.cache_write()));
        self.used_at = self.used_at.max(Some(at));
        false
    }

    /// A request served nothing but the cache.
    pub(super) fn spend(&mut self, usage: &Usage, at: Mono) {
        self.spent.add(usage.all_input() + usage.output(), at);
    }

    /// Nothing is cached, and warming is in vain.
    fn is_in_vain(&self) -> bool {
        matches!(self.size, Some(Size::Uncached { .. }))
    }

    /// The wake edge is to warm it.
    pub(super) fn is_old(&self, now: Mono, ttl: CacheTtl) -> bool {
        let old = |at: Mono| now.since(at) > ttl.duration().saturating_sub(MARGIN);
        !self.is_in_vain() && self.used_at.is_none_or(old)
    }

    /// When the keeper is to warm it; none: not of its own accord.
    pub(super) fn due(&self, now: Mono, settings: &ClaudeSettings) -> Option<Mono> {
        if settings.keep_warm == KeepWarm::Never || self.is_in_vain() {
            return None;
        }
        let Some(used) = self.used_at else { return Some(now) };
        let due = used + interval(settings.cache_ttl);
        let likely = match settings.keep_warm {
            KeepWarm::Always => true,
            // A keeper that comes late (the network was away) has nothing to keep any more.
            _ => self.asked_at.is_some_and(|asked| due.max(now) <= asked + settings.keep_warm_for),
        };
        likely.then_some(due)
    }

    /// What keeping costs, and has cost in the day before `now`.
    pub(super) fn keeping(&self, check: &PrefixCheck, settings: &ClaudeSettings, now: Mono) -> Keeping {
        let counted = matches!(check.size, Size::Counted(_));
        let prefix_tokens = check.size.tokens();
        let times = |span: Duration, each: Duration| (span.as_nanos() / each.as_nanos().max(1)) as u64;
        let ttl = settings.cache_ttl;
        let (after_question, a_day) = match settings.keep_warm {
            _ if self.is_in_vain() => (0, 0),
            KeepWarm::Never => (0, 0),
            KeepWarm::Always => (0, times(DAY, interval(ttl))),
            // A person who presses as soon as the wake edge finds it old.
            KeepWarm::Wake => {
                (times(settings.keep_warm_for, interval(ttl)), times(DAY, ttl.duration().saturating_sub(MARGIN)))
            }
        };
        let (requests_24h, tokens_24h) = self.spent.last_day(now);
        Keeping {
            keep_warm: settings.keep_warm,
            cached: self.size.map(|_| counted),
            prefix_tokens,
            counted,
            cache_floor: check.floor,
            tokens_after_question: after_question * prefix_tokens,
            most_tokens_a_day: a_day * prefix_tokens,
            requests_24h,
            tokens_24h,
        }
    }
}

/// From one use of the cache to the re-read that keeps it: 270 s of five minutes.
fn interval(ttl: CacheTtl) -> Duration {
    ttl.duration() * 9 / 10
}

/// What keeping the prompt cached costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// `claude.keep_warm`
    pub keep_warm: KeepWarm,
    /// Whether the API caches the prompt; none: no response has told yet.
    pub cached: Option<bool>,
    /// The prompt's size.
    pub prefix_tokens: u64,
    /// The API has counted it; else it is guessed from the prompt's length.
    pub counted: bool,
    /// The smallest prompt that the model caches, in tokens.
    pub cache_floor: u64,
    /// With `keep_warm = "wake"`: tokens that are read after the last question of a conversation.
    pub tokens_after_question: u64,
    /// Tokens that are read in a day: exactly so with `"always"`, at most so with `"wake"`.
    pub most_tokens_a_day: u64,
    /// Requests of the last 24 hours that served nothing but the cache.
    pub requests_24h: u64,
    /// Their tokens, all kinds of input and output together.
    pub tokens_24h: u64,
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keeping { prefix_tokens, tokens_after_question, most_tokens_a_day, .. } = self;
        if self.cached == Some(false) {
            return f.write_str("the API caches nothing of the prompt, so nothing is kept: 0 tokens a day");
        }
        write!(f, "{prefix_tokens} tokens ({}), ", if self.counted { "counted" } else { "guessed" })?;
        match self.keep_warm {
            KeepWarm::Never => f.write_str("not kept: 0 tokens a day"),
            KeepWarm::Always => write!(f, "kept day and night: {most_tokens_a_day} tokens a day"),
            KeepWarm::Wake => write!(
                f,
                "kept after a question: {tokens_after_question} tokens each time, at most {most_tokens_a_day} a day"
            ),
        }
    }
}

/// Requests and tokens by the hour, for a day.
#[derive(Clone, Debug, Default)]
struct Spent(VecDeque<Hour>);

#[derive(Clone, Copy, Debug)]
struct Hour {
    /// Of the clock, from its start.
    number: u64,
    requests: u64,
    tokens: u64,
}

impl Hour {
    fn of(at: Mono) -> u64 {
        at.since(Mono::from_nanos(0)).as_secs() / HOUR.as_secs()
    }

    fn is_within_a_day_of(&self, now: Mono) -> bool {
        self.number + 24 > Self::of(now)
    }
}

impl Spent {
    fn add(&mut self, tokens: u64, at: Mono) {
        self.0.retain(|hour| hour.is_within_a_day_of(at));
        let number = Hour::of(at);
        match self.0.back_mut().filter(|hour| hour.number == number) {
            Some(hour) => (hour.requests, hour.tokens) = (hour.requests + 1, hour.tokens + tokens),
            None => self.0.push_back(Hour { number, requests: 1, tokens }),
        }
    }

    /// Requests and tokens of the last 24 hours, the running one among them.
    fn last_day(&self, now: Mono) -> (u64, u64) {
        let day = self.0.iter().filter(|hour| hour.is_within_a_day_of(now));
        day.fold((0, 0), |(requests, tokens), hour| (requests + hour.requests, tokens + hour.tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::Prefix;
    use crate::claude::tests::settings;

    const NOW: Mono = Mono::from_nanos(1_000_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn ago(seconds: u32) -> Option<Mono> {
        Some(NOW - SECOND * seconds)
    }

    fn used(seconds_ago: u32) -> Cache {
        Cache { used_at: ago(seconds_ago), ..Cache::default() }
    }

    fn kept(keep_warm: KeepWarm, cache_ttl: CacheTtl) -> ClaudeSettings {
        ClaudeSettings { keep_warm, cache_ttl, ..settings() }
    }

    fn usage(read: u64, written: u64) -> Usage {
        Usage {
            input_tokens: Some(8),
            cache_read_input_tokens: Some(read),
            cache_creation_input_tokens: Some(written),
            output_tokens: Some(0),
        }
    }

    #[test]
    fn boot_warms_unless_told_never_to() {
        let due = |keep_warm| Cache::default().due(NOW, &kept(keep_warm, CacheTtl::FiveMinutes));
        assert_eq!(due(KeepWarm::Always), Some(NOW));
        assert_eq!(due(KeepWarm::Wake), Some(NOW));
        assert_eq!(due(KeepWarm::Never), None);
    }

    #[test]
    fn always_comes_before_the_ttl_ends() {
        let due = |ttl| used(10).due(NOW, &kept(KeepWarm::Always, ttl)).map(|due| due.since(NOW));
        assert_eq!(due(CacheTtl::FiveMinutes), Some(SECOND * 260));
        assert_eq!(due(CacheTtl::OneHour), Some(SECOND * 3230));
        // Late, it comes at once.
        assert_eq!(used(400).due(NOW, &kept(KeepWarm::Always, CacheTtl::FiveMinutes)), ago(130));
    }

    #[test]
    fn wake_keeps_for_a_while_after_the_last_question_and_then_no_more() {
        let due = |asked, used| {
            let cache = Cache { asked_at: asked, used_at: ago(used), ..Cache::default() };
            cache.due(NOW, &kept(KeepWarm::Wake, CacheTtl::FiveMinutes)).map(|due| due.since(NOW))
        };
        assert_eq!(due(None, 10), None, "nobody has asked since the start");
        assert_eq!(due(ago(10), 10), Some(SECOND * 260));
        assert_eq!(due(ago(640), 10), Some(SECOND * 260), "the last one within the 15 minutes");
        assert_eq!(due(ago(641), 10), None);
        assert_eq!(due(ago(900), 300), Some(Duration::ZERO));
        assert_eq!(due(ago(901), 300), None, "too late to keep anything");
    }

    #[test]
    fn the_wake_edge_renews_after_four_minutes() {
        assert!(!used(240).is_old(NOW, CacheTtl::FiveMinutes));
        assert!(used(241).is_old(NOW, CacheTtl::FiveMinutes));
        assert!(!used(3000).is_old(NOW, CacheTtl::OneHour));
        assert!(Cache::default().is_old(NOW, CacheTtl::FiveMinutes));
    }

    #[test]
    fn what_caches_nothing_is_not_warmed_and_says_so_once() {
        let mut cache = Cache::default();
        assert!(cache.note(&usage(0, 0), NOW) && !cache.note(&usage(0, 0), NOW));
        assert_eq!(cache.due(NOW, &kept(KeepWarm::Always, CacheTtl::FiveMinutes)), None);
        assert!(!cache.is_old(NOW, CacheTtl::FiveMinutes));
        assert!(!cache.note(&usage(0, 900), NOW) && cache.note(&usage(0, 0), NOW), "it was cached in between");
    }

    #[test]
    fn the_cost_is_told_beforehand_and_counted_afterwards() {
        let settings = kept(KeepWarm::Always, CacheTtl::FiveMinutes);
        let prefix = Prefix::new(&settings, &[]).unwrap();
        let mut cache = Cache::default();
        let guessed = cache.keeping(&prefix.check(&settings.model), &settings, NOW);
        assert_eq!(guessed.most_tokens_a_day, 320 * guessed.prefix_tokens);
        assert!(!guessed.counted && guessed.cached.is_none() && guessed.to_string().contains("guessed"), "{guessed}");

        let mut at = NOW;
        cache.note(&usage(0, 1000), at);
        cache.spend(&usage(0, 1000), at);
        for _ in 0..320 {
            at = at + SECOND * 270;
            cache.note(&usage(1000, 0), at);
            cache.spend(&usage(1000, 0), at);
        }
        let check = PrefixCheck { size: cache.size.unwrap(), ..prefix.check(&settings.model) };
        let spent = cache.keeping(&check, &settings, at);
        assert_eq!((spent.prefix_tokens, spent.most_tokens_a_day, spent.cached), (1000, 320_000, Some(true)));
        assert!((307..=320).contains(&spent.requests_24h), "{spent:?}");
        assert_eq!(spent.tokens_24h, spent.requests_24h * 1008);
        assert_eq!(spent.to_string(), "1000 tokens (counted), kept day and night: 320000 tokens a day");
        assert_eq!(cache.keeping(&check, &settings, at + DAY).tokens_24h, 0);
        assert!(cache.spent.0.len() <= 24);

        let wake = cache.keeping(&check, &kept(KeepWarm::Wake, CacheTtl::FiveMinutes), at);
        assert_eq!((wake.tokens_after_question, wake.most_tokens_a_day), (3000, 360_000));
        let never = cache.keeping(&check, &kept(KeepWarm::Never, CacheTtl::FiveMinutes), at);
        assert_eq!((never.tokens_after_question, never.most_tokens_a_day), (0, 0));
    }
}
