//! The prompt cache: exact prefixes, breakpoints, look-back, floor and TTL, by the rules of the API.
//!
//! A prompt is a row of blocks (tools, then system, then messages); each block carries the hash of everything up to
//! and including itself. Only a breakpoint makes an entry; a later request finds it by looking back from its own
//! breakpoints, at most [`LOOK_BACK`] blocks each, the breakpoint itself being the first.

use std::collections::HashMap;
use std::time::Duration;

use super::model::Model;
use super::tokens;
use crate::clock::Mono;

/// Blocks that one breakpoint looks at.
pub const LOOK_BACK: usize = 20;

/// How long an entry lives without being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// `5m`
    FiveMinutes,
    /// `1h`
    OneHour,
}

impl Ttl {
    fn duration(self) -> Duration {
        match self {
            Ttl::FiveMinutes => Duration::from_secs(300),
            Ttl::OneHour => Duration::from_secs(3600),
        }
    }
}

/// SHA-256 of a prefix.
pub type PrefixHash = [u8; 32];

/// One block of a prompt.
#[derive(Clone, Debug)]
pub struct Block {
    /// Hash of the prompt up to the end of this block.
    pub prefix: PrefixHash,
    /// Pieces of the prompt up to the end of this block, before the model's factor.
    pub pieces: u64,
    /// A breakpoint after this block.
    pub breakpoint: Option<Ttl>,
}

/// How the input of one request was paid for; the four add up to the whole input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputUse {
    /// Tokens read from the cache.
    pub read: u64,
    /// Tokens written for five minutes.
    pub written_5m: u64,
    /// Tokens written for an hour.
    pub written_1h: u64,
    /// Tokens that the cache had no part in.
    pub uncached: u64,
    /// What [`Cache::store`] will make available.
    pending: Vec<(PrefixHash, Ttl)>,
}

/// All entries.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<PrefixHash, Entry>,
}

#[derive(Debug)]
struct Entry {
    ttl: Ttl,
    expires: Mono,
}

impl Cache {
    /// Reads what can be read (and refreshes it), and says what the request pays. `total_pieces` counts the whole
    /// prompt. Nothing new can be read by others until [`Cache::store`].
    pub fn read(&mut self, model: &Model, blocks: &[Block], total_pieces: u64, now: Mono) -> InputUse {
        let cost = |pieces| tokens::scaled(pieces, model);
        let breakpoints: Vec<(usize, &Block, Ttl)> = blocks
            .iter()
            .enumerate()
            .filter(|(_, b)| cost(b.pieces) >= model.cache_floor)
            .filter_map(|(at, b)| b.breakpoint.map(|ttl| (at, b, ttl)))
            .collect();

        let hit = breakpoints.iter().rev().find_map(|&(at, ..)| {
            let first = (at + 1).saturating_sub(LOOK_BACK);
            (first..=at).rev().find(|&p| blocks.get(p).is_some_and(|b| self.alive(&b.prefix, now)))
        });
        let mut paid = hit.and_then(|at| blocks.get(at)).map_or(0, |b| cost(b.pieces));
        let mut input = InputUse { read: paid, ..InputUse::default() };
        if let Some(block) = hit.and_then(|at| blocks.get(at)) {
            self.refresh(&block.prefix, now);
        }
        for (at, block, ttl) in breakpoints {
            if hit.is_some_and(|hit| at <= hit) {
                self.refresh(&block.prefix, now);
                continue;
            }
            let written = cost(block.pieces) - paid;
            match ttl {
                Ttl::FiveMinutes => input.written_5m += written,
                Ttl::OneHour => input.written_1h += written,
            }
            paid = cost(block.pieces);
            input.pending.push((block.prefix, ttl));
        }
        input.uncached = cost(total_pieces) - paid;
        input
    }

    /// Makes available what the request wrote: to be called when its response begins.
    pub fn store(&mut self, input: &InputUse, now: Mono) {
        self.entries.retain(|_, entry| entry.expires > now);
        for &(prefix, ttl) in &input.pending {
            self.entries.insert(prefix, Entry { ttl, expires: now + ttl.duration() });
        }
    }

    fn alive(&self, prefix: &PrefixHash, now: Mono) -> bool {
        self.entries.get(prefix).is_some_and(|entry| entry.expires > now)
    }

    fn refresh(&mut self, prefix: &PrefixHash, now: Mono) {
        if let Some(entry) = self.entries.get_mut(prefix).filter(|entry| entry.expires > now) {
            entry.expires = now + entry.ttl.duration();
        }
    }
}

impl InputUse {
    /// The whole input.
    pub fn total(&self) -> u64 {
        self.read + self.written_5m + self.written_1h + self.uncached
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;

    const START: Mono = Mono::from_nanos(1_000_000_000);

    fn at(seconds: u64) -> Mono {
        START + Duration::from_secs(seconds)
    }

    /// Blocks of `size` pieces each; the hash of block n depends on `names[..=n]`; `*` marks five minutes, `!` an hour.
    fn blocks(size: u64, names: &[&str]) -> Vec<Block> {
        let mut prefix = String::new();
        let mut pieces = 0;
        names
            .iter()
            .map(|name| {
                let plain = name.trim_end_matches(['*', '!']);
                prefix.push_str(plain);
                prefix.push('/');
                pieces += size;
                let mut hash = [0u8; 32];
                for (i, byte) in prefix.bytes().enumerate() {
                    hash[i % 32] = byte.wrapping_add(hash[i % 32].rotate_left(3));
                }
                let breakpoint = match name.chars().last() {
                    Some('*') => Some(Ttl::FiveMinutes),
                    Some('!') => Some(Ttl::OneHour),
                    _ => None,
                };
                Block { prefix: hash, pieces, breakpoint }
            })
            .collect()
    }

    /// One whole request on Haiku 4.5 (factor 1, floor 4,096): (read, 5m, 1h, uncached).
    fn ask(cache: &mut Cache, size: u64, names: &[&str], now: Mono) -> (u64, u64, u64, u64) {
        let blocks = blocks(size, names);
        let total = size * names.len() as u64 + 10;
        let input = cache.read(model::find("claude-haiku-4-5").unwrap(), &blocks, total, now);
        cache.store(&input, now);
        assert_eq!(input.total(), total, "input + read + write is all input");
        (input.read, input.written_5m, input.written_1h, input.uncached)
    }

    #[test]
    fn a_prefix_is_written_then_read_then_forgotten() {
        let cache = &mut Cache::default();
        assert_eq!(ask(cache, 5000, &["sys*", "q1"], at(0)), (0, 5000, 0, 5010));
        assert_eq!(ask(cache, 5000, &["sys*", "q2"], at(299)), (5000, 0, 0, 5010));
        // The read at 299 s began another five minutes.
        assert_eq!(ask(cache, 5000, &["sys*", "q3"], at(598)), (5000, 0, 0, 5010));
        assert_eq!(ask(cache, 5000, &["sys*", "q4"], at(898)), (0, 5000, 0, 5010));
    }

    #[test]
    fn an_hour_is_an_hour_and_a_read_refreshes_it() {
        let cache = &mut Cache::default();
        assert_eq!(ask(cache, 5000, &["sys!", "q"], at(0)), (0, 0, 5000, 5010));
        assert_eq!(ask(cache, 5000, &["sys!", "q"], at(3599)), (5000, 0, 0, 5010));
        assert_eq!(ask(cache, 5000, &["sys!", "q"], at(7198)), (5000, 0, 0, 5010));
        assert_eq!(ask(cache, 5000, &["sys!", "q"], at(10_798)), (0, 0, 5000, 5010));
    }

    #[test]
    fn below_the_floor_nothing_is_cached_and_nothing_says_so() {
        let cache = &mut Cache::default();
        for _ in 0..2 {
            assert_eq!(ask(cache, 4095, &["sys*"], at(0)), (0, 0, 0, 4105));
        }
        assert_eq!(ask(cache, 4096, &["sys*"], at(0)), (0, 4096, 0, 10));
        // Haiku 5.5: 512 tokens are 394 pieces.
        let new = model::find("claude-haiku-5-5").unwrap();
        assert_eq!(Cache::default().read(new, &blocks(393, &["s*"]), 393, START).written_5m, 0);
        assert_eq!(Cache::default().read(new, &blocks(394, &["s*"]), 394, START).written_5m, 513);
    }

    #[test]
    fn a_change_before_the_breakpoint_loses_everything_after_it() {
        let cache = &mut Cache::default();
        ask(cache, 5000, &["tools*", "system*", "m1*"], at(0));
        assert_eq!(ask(cache, 5000, &["tools*", "system*", "m2*"], at(1)), (10_000, 5000, 0, 10));
        assert_eq!(ask(cache, 5000, &["tools*", "other*", "m1*"], at(2)), (5000, 10_000, 0, 10));
        assert_eq!(ask(cache, 5000, &["other*", "system*", "m1*"], at(3)), (0, 15_000, 0, 10));
    }

    #[test]
    fn a_breakpoint_that_moved_on_finds_the_entry_behind_it_within_twenty_blocks() {
        let row: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
        let upto = |n: usize| -> Vec<String> {
            row[..n].iter().enumerate().map(|(i, m)| if i + 1 == n { format!("{m}*") } else { m.clone() }).collect()
        };
        let names = |n| upto(n).iter().map(|s| s.to_owned()).collect::<Vec<_>>();
        let ask_n = |cache: &mut Cache, n: usize| {
            let names = names(n);
            ask(cache, 5000, &names.iter().map(String::as_str).collect::<Vec<_>>(), at(0))
        };
        let cache = &mut Cache::default();
        assert_eq!(ask_n(cache, 3), (0, 15_000, 0, 10));
        // Blocks 3..=22 are the twenty that a breakpoint after block 22 looks at.
        assert_eq!(ask_n(cache, 22), (15_000, 95_000, 0, 10));
        let cache = &mut Cache::default();
        ask_n(cache, 3);
        assert_eq!(ask_n(cache, 23), (0, 115_000, 0, 10));
    }

    #[test]
    fn hour_and_minutes_in_one_request_are_split_where_the_hour_ends() {
        let cache = &mut Cache::default();
        assert_eq!(ask(cache, 5000, &["tools!", "system", "m1*", "q"], at(0)), (0, 10_000, 5000, 5010));
        assert_eq!(ask(cache, 5000, &["tools!", "system", "m1*", "q"], at(10)), (15_000, 0, 0, 5010));
        assert_eq!(ask(cache, 5000, &["tools!", "system", "m1*", "q"], at(400)), (5000, 10_000, 0, 5010));
    }

    #[test]
    fn what_is_being_written_cannot_be_read_before_the_response_begins() {
        let model = model::find("claude-haiku-4-5").unwrap();
        let row = blocks(5000, &["sys*"]);
        let cache = &mut Cache::default();
        let first = cache.read(model, &row, 5000, at(0));
        assert_eq!(cache.read(model, &row, 5000, at(1)).read, 0);
        cache.store(&first, at(2));
        assert_eq!(cache.read(model, &row, 5000, at(3)).read, 5000);
    }
}
