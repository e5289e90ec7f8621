//! The patterns of the reply rules: words, and four signs.
//!
//! `word` itself; `word?` may be missing; `a|b` either; `...` any words or none; `{name}` one to eight words, kept;
//! `{name:n}` a number, kept.

use std::collections::BTreeMap;

use super::fold::{self, Word};
use super::numbers::{Language, NumberReader};

/// A pattern that can be compared with folded words.
#[derive(Debug)]
pub struct Pattern {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    Word { any_of: Vec<String>, optional: bool },
    Anything,
    Capture { name: String, number: bool },
}

/// What a capture kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Capture {
    /// Words as they were written.
    Words(String),
    /// A number.
    Number(u32),
}

/// The captures of one match.
pub type Captures = BTreeMap<String, Capture>;

/// Longest capture, in words.
const CAPTURE_WORDS: usize = 8;

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        for token in text.split_whitespace() {
            if token == "..." {
                items.push(Item::Anything);
            } else if let Some(inner) = token.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
                let (name, number) = match inner.strip_suffix(":n") {
                    Some(name) => (name, true),
                    None => (inner, false),
                };
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase()) {
                    return Err(format!("`{token}` in pattern `{text}`: a name is lower-case letters"));
                }
                items.push(Item::Capture { name: name.to_owned(), number });
            } else {
                items.extend(Self::literal(token).ok_or_else(|| format!("`{token}` in pattern `{text}` has no word"))?);
            }
        }
        match items.iter().any(|i| matches!(i, Item::Word { .. })) {
            true => Ok(Self { items }),
            false => Err(format!("pattern `{text}` has no word of its own and would match everything")),
        }
    }

    fn literal(token: &str) -> Option<Vec<Item>> {
        let (token, optional) = token.strip_suffix('?').map_or((token, false), |t| (t, true));
        let alternatives: Vec<Vec<Word>> = token.split('|').map(fold::words).collect();
        if let [words] = alternatives.as_slice() {
            let items = words.iter().map(|w| Item::Word { any_of: vec![w.folded.clone()], optional });
            return (!words.is_empty()).then(|| items.collect());
        }
        let single = |words: Vec<Word>| (words.len() == 1).then(|| fold_join(&words));
        let any_of = alternatives.into_iter().map(single).collect::<Option<Vec<_>>>()?;
        Some(vec![Item::Word { any_of, optional }])
    }

    /// Compares with the words of `text`; gives the captures when all words are used up.
    pub fn captures(&self, words: &[Word], text: &str, language: Language, numbers: &NumberReader) -> Option<Captures> {
        let mut captures = Captures::new();
        let question = Question { text, language, numbers };
        question.matches(&self.items, words, &mut captures).then_some(captures)
    }
}

fn fold_join(words: &[Word]) -> String {
    words.iter().map(|w| w.folded.as_str()).collect::<Vec<_>>().join(" ")
}

struct Question<'a> {
    text: &'a str,
    language: Language,
    numbers: &'a NumberReader,
}

impl Question<'_> {
    fn matches(&self, items: &[Item], words: &[Word], captures: &mut Captures) -> bool {
        let Some((item, items)) = items.split_first() else { return words.is_empty() };
        match item {
            Item::Anything => words_from(words, 0, words.len()).any(|(_, rest)| self.matches(items, rest, captures)),
            Item::Word { any_of, optional } => {
                let taken = words.split_first().filter(|(word, _)| any_of.contains(&word.folded));
                taken.is_some_and(|(_, rest)| self.matches(items, rest, captures))
                    || (*optional && self.matches(items, words, captures))
            }
            // Numbers as long as can be ("twenty five", not "twenty"), words as short as can be.
            Item::Capture { name, number: true } => {
                let mut ways: Vec<_> = words_from(words, 1, CAPTURE_WORDS).collect();
                ways.reverse();
                ways.into_iter().any(|(taken, rest)| {
                    let read = self.numbers.read(&fold_join(taken), self.language).map(Capture::Number);
                    self.keep(name, read, items, rest, captures)
                })
            }
            Item::Capture { name, number: false } => words_from(words, 1, CAPTURE_WORDS)
                .any(|(taken, rest)| self.keep(name, self.original(taken).map(Capture::Words), items, rest, captures)),
        }
    }

    /// Keeps `kept` under `name` when the rest matches too.
    fn keep(&self, name: &str, kept: Option<Capture>, items: &[Item], rest: &[Word], captures: &mut Captures) -> bool {
        let Some(kept) = kept else { return false };
        let matched = self.matches(items, rest, captures);
        if matched {
            captures.insert(name.to_owned(), kept);
        }
        matched
    }

    fn original(&self, taken: &[Word]) -> Option<String> {
        let (first, last) = (taken.first()?, taken.last()?);
        self.text.get(first.place.start..last.place.end).map(str::to_lowercase)
    }
}

/// Every way to take at least `least` and at most `most` words from the head.
fn words_from(words: &[Word], least: usize, most: usize) -> impl Iterator<Item = (&[Word], &[Word])> {
    (least..=most.min(words.len())).filter_map(|n| words.split_at_checked(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pattern: &str, text: &str, language: Language) -> Option<Captures> {
        let numbers = NumberReader::new(fold::fold);
        Pattern::parse(pattern).unwrap().captures(&fold::words(text), text, language, &numbers)
    }

    #[test]
    fn words_options_and_captures() {
        let found =
            kept("... weather in {city} today?", "Tell me the weather in New York today!", Language::En).unwrap();
        assert_eq!(found["city"], Capture::Words("new york".into()));
        assert!(kept("turn on|off the? lights", "turn off lights", Language::En).is_some());
        assert!(kept("turn on|off the? lights", "turn up the lights", Language::En).is_none());
        assert!(kept("what time is it", "what time is it now", Language::En).is_none());
    }

    #[test]
    fn numbers_are_kept_as_numbers_or_do_not_match() {
        let found =
            kept("combien font {a:n} plus {b:n}", "Combien font vingt et un plus quatre-vingt-dix ?", Language::Fr);
        let found = found.unwrap();
        assert_eq!((&found["a"], &found["b"]), (&Capture::Number(21), &Capture::Number(90)));
        assert!(kept("what is {a:n} plus {b:n}", "what is love plus two", Language::En).is_none());
    }

    #[test]
    fn what_a_person_wrote_is_kept_with_its_accents() {
        let found = kept("rappelle-moi de|d {task}", "Rappelle moi d'appeler ma mère.", Language::Fr).unwrap();
        assert_eq!(found["task"], Capture::Words("appeler ma mère".into()));
    }

    #[test]
    fn a_pattern_that_would_match_everything_is_refused() {
        for bad in ["...", "{x}", "", "{Bad}", "a | b", "?"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
