//! An answer that is prepared while the person may still go on: its work, its news, and what it may cost in a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::answer::News;
use super::voice::TurnVoice;
use crate::clock::Mono;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Output tokens that an answer has cost so far, counted while it is written: an answer that is broken off never tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// So much text has come. Claude writes some four bytes a token, and a piece has one at the least.
    pub(super) fn text(&self, text: &str) {
        self.0.fetch_add((text.len() as u64).div_ceil(4).max(1), Ordering::Relaxed);
    }

    /// The API's own count.
    pub(super) fn counted(&self, tokens: u64) {
        self.0.store(tokens, Ordering::Relaxed);
    }

    pub(super) fn tokens(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A prepared answer. Its sound waits in `voice`, its news in `news`, until the commit takes both over.
pub(super) struct Guess {
    /// The task that works on it, see [`Teller`](super::answer::Teller).
    pub(super) task: u32,
    pub(super) cancel: CancellationToken,
    pub(super) voice: Arc<TurnVoice>,
    pub(super) meter: Meter,
    pub(super) news: Vec<News>,
}

impl Guess {
    /// Claude was asked.
    pub(super) fn asked(&self) -> bool {
        self.news.iter().any(|news| matches!(news, News::Heard(_)))
    }

    /// What it costs where nobody hears it: (input, output) tokens. The input's count comes with the first text.
    pub(super) fn spent(&self) -> (u64, u64) {
        let input = self.news.iter().find_map(|news| match news {
            News::FirstText { usage, .. } => Some(usage.input() + usage.cache_write()),
            _ => None,
        });
        (input.unwrap_or_default(), self.meter.tokens())
    }
}

/// What guesses may cost in a day.
#[derive(Debug)]
pub(super) struct Budget {
    since: Mono,
    wasted: u64,
}

impl Budget {
    pub(super) fn new(now: Mono) -> Self {
        Budget { since: now, wasted: 0 }
    }

    /// A guess was wrong.
    pub(super) fn waste(&mut self, now: Mono, tokens: u64, daily: u64) {
        self.roll(now);
        let had = self.wasted < daily;
        self.wasted += tokens;
        if had && self.wasted >= daily {
            log::warn!(
                "{} tokens went into answers that nobody heard: none is prepared before a day has passed (speculation.daily_tokens)",
                self.wasted
            );
        }
    }

    /// Another guess may be made.
    pub(super) fn allows(&mut self, now: Mono, daily: u64) -> bool {
        self.roll(now);
        self.wasted < daily
    }

    fn roll(&mut self, now: Mono) {
        if now.since(self.since) >= DAY {
            (self.since, self.wasted) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_budget_and_the_next_one_a_new_one() {
        let now = Mono::from_nanos(1);
        let mut budget = Budget::new(now);
        assert!(budget.allows(now, 100));
        budget.waste(now, 99, 100);
        assert!(budget.allows(now, 100));
        budget.waste(now, 1, 100);
        assert!(!budget.allows(now, 100));
        assert!(!budget.allows(now + DAY - Duration::from_secs(1), 100));
        assert!(budget.allows(now + DAY, 100));
        assert!(!budget.allows(now + DAY, 0), "0 tokens a day are no guesses at all");
    }

    #[test]
    fn an_answer_that_breaks_off_is_counted_by_its_text_and_a_whole_one_by_the_api() {
        let meter = Meter::default();
        meter.text("It");
        meter.text(" is sunny");
        assert_eq!(meter.tokens(), 4);
        meter.counted(37);
        assert_eq!(meter.tokens(), 37);
    }
}
