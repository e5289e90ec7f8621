//! What the simulated model says: the rules of `models/demo/replies.toml`, applied to the text of the question.
//!
//! The same text always gets the same reply and the order of the requests plays no part. A rule has patterns and
//! replies; where it has several replies, the question's own words choose. A question that no rule knows gets a
//! fallback that quotes it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::fold;
use super::numbers::{self, Language, NumberReader};
use super::pattern::{Capture, Captures, Pattern};

/// The rules that are built in.
const BUILT_IN: &str = include_str!("../../models/demo/replies.toml");

/// Why a file of rules cannot be used.
#[derive(Debug, Error)]
pub enum RepliesError {
    /// The file cannot be read: correct the path.
    #[error("replies {path}: {source}; give a readable file to --replies")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a set of rules: correct the line.
    #[error("replies {path}: {reason}")]
    Rule {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<RawRule>,
    fallback: Vec<RawFallback>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    language: Language,
    patterns: Vec<String>,
    replies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFallback {
    language: Language,
    replies: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    language: Language,
    patterns: Vec<Pattern>,
    replies: Vec<String>,
}

/// All rules.
#[derive(Debug)]
pub struct Replies {
    rules: Vec<Rule>,
    fallbacks: Vec<(Language, Vec<String>)>,
    numbers: NumberReader,
}

impl Replies {
    /// The rules of a file, or the built-in ones.
    pub fn load(path: Option<&Path>) -> Result<Self, RepliesError> {
        let Some(path) = path else { return Self::parse(BUILT_IN, Path::new("(built in)")) };
        let text =
            std::fs::read_to_string(path).map_err(|source| RepliesError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, RepliesError> {
        let wrong = |reason: String| RepliesError::Rule { path: path.to_owned(), reason };
        let file: File = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |s| text.get(..s.start).map_or(0, |t| t.lines().count().max(1)));
            wrong(format!("line {line}: {}", e.message().replace('\n', " ")))
        })?;
        let rules = file.rule.into_iter().map(|raw| {
            if raw.patterns.is_empty() || raw.replies.is_empty() {
                return Err(format!("a rule has no {}", if raw.patterns.is_empty() { "pattern" } else { "reply" }));
            }
            let patterns = raw.patterns.iter().map(|p| Pattern::parse(p)).collect::<Result<_, _>>()?;
            Ok(Rule { language: raw.language, patterns, replies: raw.replies })
        });
        let rules = rules.collect::<Result<_, _>>().map_err(wrong)?;
        let fallbacks: Vec<_> = file.fallback.into_iter().map(|f| (f.language, f.replies)).collect();
        for language in [Language::En, Language::Fr] {
            if !fallbacks.iter().any(|(l, replies)| *l == language && !replies.is_empty()) {
                return Err(wrong(format!("there is no fallback for language {language:?}")));
            }
        }
        Ok(Self { rules, fallbacks, numbers: NumberReader::new(fold::fold) })
    }

    /// The reply to `question`. Where its words belong to no language (`pause`), `context` decides.
    pub fn reply(&self, question: &str, context: &str) -> String {
        let words = fold::words(question);
        let language = language_of(question).or_else(|| language_named(context)).unwrap_or(Language::En);
        let known = |wanted: bool| {
            self.rules.iter().filter(move |r| (r.language == language) == wanted).find_map(|rule| {
                let mut patterns = rule.patterns.iter();
                let captures = patterns.find_map(|p| p.captures(&words, question, rule.language, &self.numbers))?;
                Some((rule.language, &rule.replies, captures))
            })
        };
        let (language, replies, captures) = known(true).or_else(|| known(false)).unwrap_or_else(|| {
            let quoted = words.iter().take(7).filter_map(|word| {
                if !word.folded.contains(|c: char| c.is_numeric()) {
                    return question.get(word.place.clone()).map(str::to_lowercase);
                }
                // Digits are not for the ear; what is not a number alone is left out.
                self.numbers.read(&word.folded, language).map(|n| numbers::words(n, language))
            });
            let mut quoted = quoted.collect::<Vec<_>>().join(" ");
            if quoted.is_empty() {
                quoted = if language == Language::Fr { "rien" } else { "nothing" }.to_owned();
            }
            let captures = Captures::from([("words".to_owned(), Capture::Words(quoted))]);
            let fallback = self.fallbacks.iter().find(|(l, _)| *l == language).map(|(_, r)| r);
            (language, fallback.unwrap_or(&EMPTY), captures)
        });
        let choice = words
            .iter()
            .flat_map(|w| w.folded.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let chosen = (choice >> 32) as usize % replies.len().max(1);
        replies.get(chosen).map(|template| fill(template, &captures, language)).unwrap_or_default()
    }
}

static EMPTY: Vec<String> = Vec::new();

/// A template with its captures: `{name}`, `{name:title}`, `{name:you}` (first person becomes second), `{a+b}`, `{a-b}`,
/// `{a*b}`; numbers become words, and sentences begin with a capital.
fn fill(template: &str, captures: &Captures, language: Language) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('{') {
        let (placeholder, after) = tail.split_once('}').unwrap_or((tail, ""));
        out.push_str(before);
        out.push_str(&value(placeholder, captures, language));
        rest = after;
    }
    out.push_str(rest);
    capitals(&out)
}

fn value(placeholder: &str, captures: &Captures, language: Language) -> String {
    let number = |name: &str| match captures.get(name) {
        Some(Capture::Number(n)) => *n,
        _ => 0,
    };
    if let Some((a, b)) = placeholder.split_once('+') {
        return numbers::words(number(a) + number(b), language);
    }
    if let Some((a, b)) = placeholder.split_once('*') {
        return numbers::words(number(a) * number(b), language);
    }
    if let Some((a, b)) = placeholder.split_once('-') {
        let (a, b) = (number(a), number(b));
        let below_zero = if language == Language::Fr { "moins " } else { "minus " };
        return format!("{}{}", if b > a { below_zero } else { "" }, numbers::words(a.abs_diff(b), language));
    }
    let (name, filter) = placeholder.split_once(':').unwrap_or((placeholder, ""));
    match (captures.get(name), filter) {
        (Some(Capture::Number(n)), _) => numbers::words(*n, language),
        (Some(Capture::Words(words)), "title") => words.split(' ').map(capital).collect::<Vec<_>>().join(" "),
        (Some(Capture::Words(words)), "you") => words.split(' ').map(second_person).collect::<Vec<_>>().join(" "),
        (Some(Capture::Words(words)), _) => words.clone(),
        (None, _) => String::new(),
    }
}

fn second_person(word: &str) -> &str {
    match word {
        "my" => "your",
        "me" | "i" => "you",
        "myself" => "yourself",
        "mon" | "ma" => "votre",
        "mes" => "vos",
        "moi" => "vous",
        other => other,
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn capitals(text: &str) -> String {
    let mut begins = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if begins && c.is_alphabetic() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = matches!(c, '.' | '?' | '!') || (begins && !c.is_alphanumeric());
    }
    out
}

const FRENCH: &str = " quel quelle quels quelles est il elle le la les un une des du de et je tu moi mets que qui qu ce \
    combien comment pourquoi ou fait font demain bonjour bonsoir bonne merci raconte lis ajoute rappelle arrete monte \
    baisse allume eteins annule mon ma mes nous vous au aux dans pour avec sur oui non s n d l j y quand salut dis donne \
    combien parle ";
const ENGLISH: &str = " what who when where why how is are the an of to i you my me it in on off and set turn play tell \
    add read thank hello hi good open remind never volume up down yes no can do does did will would was were please \
    which give say timer much ";

/// The language that most words belong to; `None` where neither has more.
fn language_of(text: &str) -> Option<Language> {
    let (mut fr, mut en) = (0, 0);
    for word in fold::words(text) {
        let word = format!(" {} ", word.folded);
        fr += u32::from(FRENCH.contains(&word));
        en += u32::from(ENGLISH.contains(&word));
    }
    fr += 2 * u32::from(text.to_lowercase().contains(['é', 'è', 'ê', 'à', 'ç', 'ù', 'û', 'î', 'ô', 'œ']));
    match fr.cmp(&en) {
        std::cmp::Ordering::Greater => Some(Language::Fr),
        std::cmp::Ordering::Less => Some(Language::En),
        std::cmp::Ordering::Equal => None,
    }
}

/// The language that a context names (`Language: fr`, `The person speaks French`), or else is written in.
fn language_named(context: &str) -> Option<Language> {
    let words = fold::words(context);
    let named = words.iter().find_map(|w| match w.folded.as_str() {
        "fr" | "french" | "francais" => Some(Language::Fr),
        "en" | "english" | "anglais" => Some(Language::En),
        _ => None,
    });
    named.or_else(|| language_of(context))
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
