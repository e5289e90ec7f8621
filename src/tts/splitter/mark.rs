//! What the end of a word says: nothing, a clause, a sentence. This is where "Dr." is no end.

use super::words::{self, Abbreviation};
use crate::config::Language;

/// The mark that a word ends with, in the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    None,
    Clause,
    Sentence,
}

impl Mark {
    /// The mark at the end of `word`; `next`: the first character of the next word on the line.
    pub(super) fn of(word: &str, next: Option<char>, language: Language) -> Mark {
        if matches!(word, "—" | "–" | "-" | "―") {
            return Mark::Clause;
        }
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_mark(c));
        let body = bare.trim_end_matches(is_mark);
        let marks = &bare[body.len()..];
        let goes_on = next.is_some_and(char::is_lowercase);
        // "Really?" she asked: a mark inside the quotes does not end the sentence around them.
        let quoted = word[bare.len()..].contains(['"', '”', '’', '\'', '»', ')', ']']);
        match marks.chars().next_back() {
            None => Mark::None,
            Some(',' | ';' | ':') => Mark::Clause,
            Some(_) if quoted && goes_on => Mark::Clause,
            Some('!' | '?') => Mark::Sentence,
            Some(_) if marks.contains('…') || marks.contains("..") => {
                if goes_on {
                    Mark::Clause
                } else {
                    Mark::Sentence
                }
            }
            Some(_) => full_stop(body.trim_start_matches(|c: char| !c.is_alphanumeric()), next, language),
        }
    }
}

fn full_stop(body: &str, next: Option<char>, language: Language) -> Mark {
    let Some(next) = next else { return Mark::Sentence };
    let ends = match words::abbreviation(body, language) {
        Some(Abbreviation::Never) => false,
        Some(Abbreviation::BeforeCapital) => !next.is_lowercase() && !next.is_numeric(),
        Some(Abbreviation::UnlessNumber) => !next.is_numeric(),
        // "th. 6", "ill. 2": no list has them all.
        None if next.is_numeric() && body.len() <= 3 && body.chars().all(char::is_lowercase) => false,
        None => !is_initials(body, language),
    };
    if ends { Mark::Sentence } else { Mark::None }
}

/// "J", "U.S", "J.-C".
fn is_initials(body: &str, language: Language) -> bool {
    let single = |part: &str| part.trim_start_matches('-').chars().count() == 1;
    if body == "I" && language == Language::En {
        return false;
    }
    body.split('.').all(single) && body.chars().any(char::is_alphabetic) && {
        body.contains('.') || body.chars().all(char::is_uppercase)
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ',' | ';' | ':')
}
