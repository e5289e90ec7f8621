//! `elio ask`: one question in writing, the answer as it comes.

use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{CliError, Exit, Global, stdout};
use crate::claude::{Answer, AnswerEvent, ApiKey, Claude, ClaudeError, Prefix, Question, StopReason, Usage};
use crate::clock::Mono;
use crate::config::Config;

/// Arguments of `elio ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question
    #[arg(value_name = "TEXT", required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    text: Vec<String>,
    /// Language of the answer [default: that of the question]
    #[arg(long, value_name = "en|fr", value_parser = ["en", "fr"])]
    language: Option<String>,
}

/// Runs `elio ask`.
pub fn run(args: AskArgs, global: &Global) -> Result<(), CliError> {
    let config = global.load_config_or_demo()?.config;
    super::runtime()?.block_on(ask(args, &config, global.json))
}

async fn ask(args: AskArgs, config: &Config, as_json: bool) -> Result<(), CliError> {
    let key = ApiKey::find(&config.claude, |name| std::env::var(name).ok())?;
    let claude = Claude::new(&config.claude, key, Prefix::new(&config.claude, &config.language.listen)?)?;
    let context = match args.language.as_deref() {
        Some("fr") => "Answer in French.",
        Some(_) => "Answer in English.",
        None => "",
    };
    let question = Question { text: args.text.join(" "), context: context.to_owned(), ..Question::default() };
    let answer = claude.ask(question, CancellationToken::new()).await?;
    let told = tell(answer, as_json).await;
    claude.close().await;
    told
}

/// Prints the answer, or the one document about it.
async fn tell(mut answer: Answer, as_json: bool) -> Result<(), CliError> {
    let mut text = String::new();
    let mut first = None;
    let ended = loop {
        match answer.next().await {
            Some(AnswerEvent::Text { at, text: piece }) => {
                first.get_or_insert(at);
                text.push_str(&piece);
                if !as_json {
                    stdout::print(&piece)?;
                }
            }
            Some(AnswerEvent::Done { at, stop, usage, .. }) => break Ok((at, stop, usage)),
            Some(AnswerEvent::Failed(error)) => break Err(error),
            None => break Err(ClaudeError::Cancelled),
        }
    };
    if !as_json && !text.is_empty() {
        stdout::print("\n")?;
    }
    let (done, stop, usage) = ended?;
    if as_json {
        stdout::print(&format!("{}\n", document(&answer, &text, first, done, &stop, &usage)))?;
    }
    match stop {
        StopReason::Refusal => Err(CliError::new(Exit::Failed, "Claude declined to answer; ask in other words")),
        _ => Ok(()),
    }
}

fn document(answer: &Answer, text: &str, first: Option<Mono>, done: Mono, stop: &StopReason, usage: &Usage) -> Value {
    json!({
        "text": text,
        "llm_ttft_ms": first.map(|at| at.ms_since(answer.sent)),
        "llm_total_ms": done.ms_since(answer.sent),
        "cache_hit": usage.cache_hit(),
        "cache_read_tokens": usage.cache_read(),
        "cache_write_tokens": usage.cache_write(),
        "input_tokens": usage.input(),
        "output_tokens": usage.output(),
        "stop_reason": stop.as_str(),
        "connection_reused": answer.connection.reused,
        "connection_age_ms": answer.connection.age.as_secs_f64() * 1e3,
        "connection_wait_ms": answer.connection.wait.as_secs_f64() * 1e3,
        "request_id": answer.request_id,
        "model": answer.model,
    })
}
