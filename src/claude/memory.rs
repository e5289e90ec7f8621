//! The conversation so far: bounded in exchanges and in idle time, and cut to what the person heard.
//!
//! It carries no cache breakpoint of its own: the prefix before it is cached anyway, a few short exchanges cost less to
//! read than to write at 1.25 times the price, and once the window is full its oldest exchange falls out each turn, so
//! that the bytes after the system prompt would never match again.

use std::collections::VecDeque;
use std::time::Duration;

use super::wire::{ContentBlock, Message, Role};
use crate::clock::Mono;

/// Stands for words that are not there: the API refuses an empty text block.
const NOT_HEARD: &str = "(The person heard nothing of this answer.)";
const NOT_UNDERSTOOD: &str = "(The question was not understood.)";

/// Bounded memory of exchanges. Its `Debug` shows no word.
pub struct Memory {
    exchanges: VecDeque<(String, String)>,
    most: usize,
    idle: Duration,
    last: Option<Mono>,
}

impl Memory {
    /// Keeps the last `exchanges` (question and answer), and forgets all after `idle` without a turn.
    pub fn new(exchanges: usize, idle: Duration) -> Self {
        Self { exchanges: VecDeque::new(), most: exchanges, idle, last: None }
    }

    /// The messages before the newest question: user and assistant in turn, beginning with the user and ending with the
    /// assistant, no text empty. Forgets first what is too old at `now`.
    pub fn messages(&mut self, now: Mono) -> Vec<Message> {
        if self.last.is_some_and(|last| now.since(last) > self.idle) {
            self.exchanges.clear();
        }
        let message = |role, text: &String| Message { role, content: vec![ContentBlock::text(text)] };
        self.exchanges
            .iter()
            .flat_map(|(question, answer)| [message(Role::User, question), message(Role::Assistant, answer)])
            .collect()
    }

    /// Keeps one exchange. `heard`: the part of the answer that was played; empty where nothing was.
    pub fn remember(&mut self, question: &str, heard: &str, now: Mono) {
        let or = |text: &str, otherwise: &str| match text.trim() {
            "" => otherwise.to_owned(),
            text => text.to_owned(),
        };
        // What had already been forgotten does not come back because of a new exchange.
        let _ = self.messages(now);
        self.exchanges.push_back((or(question, NOT_UNDERSTOOD), or(heard, NOT_HEARD)));
        while self.exchanges.len() > self.most {
            self.exchanges.pop_front();
        }
        self.last = Some(now);
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} exchanges)", self.exchanges.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages
            .iter()
            .map(|message| match message.content.as_slice() {
                [ContentBlock::Text(block)] => block.text.as_str(),
                other => panic!("one text block expected, not {other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_oldest_exchange_falls_out_and_an_idle_hour_clears_all() {
        let mut memory = Memory::new(2, Duration::from_secs(60));
        let start = Mono::from_nanos(1);
        for number in ["1", "2", "3"] {
            memory.remember(number, " yes ", start);
        }
        assert_eq!(texts(&memory.messages(start + Duration::from_secs(60))), ["2", "yes", "3", "yes"]);
        assert!(memory.messages(start + Duration::from_secs(61)).is_empty());
        memory.remember("4", "", start + Duration::from_secs(62));
        assert_eq!(texts(&memory.messages(start + Duration::from_secs(63))), ["4", NOT_HEARD]);
        assert!(!format!("{memory:?}").contains("yes"));
    }

    #[test]
    fn no_memory_at_all_is_a_memory() {
        let mut memory = Memory::new(0, Duration::from_secs(60));
        memory.remember("q", "a", Mono::from_nanos(1));
        assert!(memory.messages(Mono::from_nanos(2)).is_empty());
    }

    proptest! {
        #[test]
        fn roles_alternate_and_no_text_is_empty(
            most in 0usize..5,
            steps in prop::collection::vec(("[ a-z\n]{0,6}", "[ a-z\t]{0,6}", 0u64..100), 0..30),
        ) {
            let mut memory = Memory::new(most, Duration::from_secs(80));
            let mut now = Mono::from_nanos(1);
            for (question, heard, wait) in steps {
                now = now + Duration::from_secs(wait);
                memory.remember(&question, &heard, now);
                let messages = memory.messages(now);
                prop_assert!(messages.len() <= 2 * most && messages.len().is_multiple_of(2));
                for (index, message) in messages.iter().enumerate() {
                    let role = if index % 2 == 0 { Role::User } else { Role::Assistant };
                    prop_assert_eq!(message.role, role);
                }
                for text in texts(&messages) {
                    prop_assert!(!text.is_empty() && text.trim() == text);
                }
            }
        }
    }
}
