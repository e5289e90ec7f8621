//! Markdown's lines: what a line is, decided at its first word, and where it ends.

use super::{Gap, is_space};

/// The line that is being read.
#[derive(Clone)]
pub(super) struct Line {
    kind: Kind,
    /// The next word is the first of its line.
    fresh: bool,
    /// Inside a code fence.
    fence: bool,
    /// The number that the next item of a numbered list has.
    next_item: u32,
}

/// What a word is for its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// To be spoken.
    Word,
    /// The number of a list item: spoken, and its full stop ends nothing.
    Number,
    /// Not spoken.
    Markup,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Heading, list item or table row: ends at its newline.
    Block,
    /// The line of a code fence itself, with the language after it: not spoken.
    Fence,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { kind: Kind::Plain, fresh: true, fence: false, next_item: 1 }
    }

    /// Takes the next word and says what it is.
    pub(super) fn word(&mut self, word: &str) -> Part {
        if self.kind == Kind::Fence && !self.fresh {
            return Part::Markup;
        }
        if !std::mem::replace(&mut self.fresh, false) {
            return Part::Word;
        }
        self.kind = if is_fence(word) { Kind::Fence } else { Kind::Plain };
        if self.kind == Kind::Fence {
            self.fence = !self.fence;
            return Part::Markup;
        }
        if self.fence {
            return Part::Word;
        }
        if word == ">" {
            self.fresh = true;
            return Part::Markup;
        }
        if word.starts_with('|') {
            self.kind = Kind::Block;
            return Part::Word;
        }
        if let Some(number) = self.item_number(word) {
            (self.kind, self.next_item) = (Kind::Block, number + 1);
            return Part::Number;
        }
        if matches!(word, "-" | "*" | "+" | "•") || word.bytes().all(|b| b == b'#') {
            self.kind = Kind::Block;
            return Part::Markup;
        }
        Part::Word
    }

    /// Takes what follows the word.
    pub(super) fn gap(&mut self, gap: Gap) {
        if matches!(gap, Gap::Line | Gap::Paragraph) {
            self.fresh = true;
        }
    }

    /// Whether the newline after `word`, of this line, ends it, or is no more than a space; `None`: `next_line` does
    /// not yet tell.
    pub(super) fn ends_at_newline(&self, word: &str, next_line: &str, finished: bool) -> Option<bool> {
        // `word` is not yet taken: it may be the one that says what the line is.
        let block = match self.fresh {
            true => matches!(word.as_bytes(), [b'|' | b'#', ..]) || is_fence(word),
            false => self.kind != Kind::Plain,
        };
        if self.fence || block {
            return Some(true);
        }
        let word_end = next_line.find(is_space);
        let word = &next_line[..word_end.unwrap_or(next_line.len())];
        let complete = word_end.is_some() || finished;
        let ends = match word.as_bytes() {
            [b'#' | b'|' | b'>', ..] => true,
            [b'-' | b'+' | b'*'] | [b'`'] | [b'`', b'`'] if !complete => return None,
            [b'-' | b'+' | b'*'] | [b'`', b'`', b'`', ..] | [b'-', b'-', ..] => true,
            [b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9' | b'.' | b')'] | [b'0'..=b'9', b'0'..=b'9', b'.' | b')']
                if !complete =>
            {
                return None;
            }
            _ => word.starts_with('•') || self.item_number(word).is_some(),
        };
        Some(ends)
    }

    /// The number of a list item. Lists begin at 1: "42." at the start of a line is an answer.
    fn item_number(&self, word: &str) -> Option<u32> {
        let number = word.strip_suffix(['.', ')']).filter(|digits| digits.len() <= 2)?.parse().ok()?;
        (number == 1 || number == self.next_item).then_some(number)
    }
}

fn is_fence(word: &str) -> bool {
    word.starts_with("```") && !word[3..].contains('`')
}
