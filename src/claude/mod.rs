//! Claude: the frozen prefix, the request, the open connection, the SSE parser, the stream, the conversation memory.
//!
//! [`Claude`] asks; [`Answer`] is the stream of one answer; [`Memory`] is what was said before. What a turn needs of
//! them are the traits [`Answerer`] and [`AnswerStream`], so that a test can answer in their place.

mod answer;
mod cache;
mod client;
mod dial;
mod error;
mod goaway;
mod held;
mod keep;
mod key;
mod line;
mod memory;
mod prefix;
mod probe;
mod refusal;
pub mod sse;
mod timing;
mod usage;
pub mod wire;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, AnswerEvent, AnswerHead, StopReason};
pub use cache::Keeping;
pub use client::{Claude, Question};
pub use error::{ApiFault, ApiKind, ClaudeError};
pub use key::ApiKey;
pub use line::{ConnectionState, ConnectionUse};
pub use memory::Memory;
pub use prefix::{Prefix, PrefixCheck, Size, Verdict, min_cacheable};
pub use probe::{Probe, Step, probe};
pub use timing::Timing;
pub use wire::Usage;

/// What a turn needs of Claude.
pub trait Answerer: Send + Sync {
    /// Sends the question; resolves when the answer begins to come. Cancelling ends the request, also while its answer
    /// streams.
    fn ask(
        &self,
        question: Question,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Result<Box<dyn AnswerStream>, ClaudeError>>;

    /// The person is about to speak: whatever makes the first answer fast is to be done now. Returns at once.
    fn wake(&self);
}

/// The stream of one answer. Dropping it ends the request.
pub trait AnswerStream: Send {
    /// What is known before the first word.
    fn head(&self) -> &AnswerHead;

    /// The counts so far: those of the input are there from the first text on, that of the output with `Done`.
    fn usage(&self) -> Usage;

    /// The next event; none after `Done`, after `Failed` and after a cancel. Dropping the future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<AnswerEvent>>;
}

impl Answerer for Claude {
    fn ask(
        &self,
        question: Question,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Result<Box<dyn AnswerStream>, ClaudeError>> {
        let answer = Claude::ask(self, question, cancel);
        Box::pin(async move { Ok(Box::new(answer.await?) as Box<dyn AnswerStream>) })
    }

    fn wake(&self) {
        Claude::wake(self);
    }
}

impl AnswerStream for Answer {
    fn head(&self) -> &AnswerHead {
        self
    }

    fn usage(&self) -> Usage {
        Answer::usage(self)
    }

    fn next(&mut self) -> BoxFuture<'_, Option<AnswerEvent>> {
        Box::pin(Answer::next(self))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{CacheTtl, ClaudeSettings, Effort, KeepWarm, Thinking};

    /// Settings as the defaults have them.
    pub(super) fn settings() -> ClaudeSettings {
        ClaudeSettings {
            base_url: "https://api.anthropic.com".to_owned(),
            ca_file: None,
            key_file: None,
            model: "claude-haiku-5-5".to_owned(),
            max_tokens: 400,
            effort: Effort::Low,
            thinking: Thinking::Disabled,
            speed: None,
            cache_ttl: CacheTtl::FiveMinutes,
            keep_warm: KeepWarm::Wake,
            keep_warm_for: Duration::from_secs(900),
            instructions_file: None,
            history_exchanges: 6,
            history_idle: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(3),
            first_text_timeout: Duration::from_secs(8),
        }
    }
}
