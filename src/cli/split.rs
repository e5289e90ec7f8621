//! `elio split`: what the splitter would hand to the voice, without a voice.

use std::io::{self, Read};

use clap::Args;

use super::{CliError, Exit, Global, stdout};
use crate::config::Language;
use crate::tts::{Chunk, Splitter};

/// Arguments of `elio split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Language of the text, en or fr [default: language.speak of the configuration]
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    language: Option<Language>,
}

/// A language as it is written on the command line.
pub(super) fn language(code: &str) -> Result<Language, String> {
    match code {
        "en" => Ok(Language::En),
        "fr" => Ok(Language::Fr),
        _ => Err("the languages are en and fr".into()),
    }
}

/// Runs `elio split`: text on standard input, one chunk a line on standard output (`--json`: `{"chunks":[…]}`).
pub fn run(args: SplitArgs, global: &Global) -> Result<(), CliError> {
    let language = match args.language {
        Some(language) => language,
        None => global.load_config_or_demo()?.config.language.speak,
    };
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CliError::new(Exit::Failed, format!("standard input cannot be read as UTF-8: {error}")))?;
    let mut splitter = Splitter::new(language);
    let mut chunks: Vec<String> = splitter.push(&text).into_iter().map(spoken).collect();
    chunks.extend(splitter.finish().into_iter().map(spoken));
    let mut report = if global.json { serde_json::json!({ "chunks": chunks }).to_string() } else { chunks.join("\n") };
    if !report.is_empty() {
        report.push('\n');
    }
    stdout::print(&report)
}

fn spoken(chunk: Chunk) -> String {
    chunk.text
}
