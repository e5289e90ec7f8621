//! The token count of the simulated API: approximate, deterministic, and the same for prompts, for usage and for the
//! pace of the output.
//!
//! A piece is a word of up to seven letters together with the space before it; a longer word goes on in pieces of four
//! letters, a number in pieces of three digits, and every other sign is its own piece. Letters beyond ASCII count double, as they do
//! in real vocabularies. That gives about 4 characters a token in English and 3.5 in French.

use super::model::Model;

/// The kinds of characters that may share a piece.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Sign,
}

fn kind(c: char) -> Kind {
    match c {
        _ if c.is_alphabetic() => Kind::Letter,
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_whitespace() => Kind::Space,
        _ => Kind::Sign,
    }
}

/// The pieces of a text; put together they are the text.
pub fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut inside_word = false;
    while !rest.is_empty() {
        let length = piece_len(rest, inside_word);
        let (piece, tail) = rest.split_at(length);
        inside_word = piece.ends_with(char::is_alphabetic) && tail.starts_with(char::is_alphabetic);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Bytes of the piece at the head of `text`, which is not empty.
fn piece_len(text: &str, inside_word: bool) -> usize {
    let mut chars = text.char_indices();
    // One space goes with the word that follows it.
    if text.strip_prefix(' ').and_then(|t| t.chars().next()).is_some_and(|next| kind(next) != Kind::Space) {
        chars.next();
    }
    let Some((_, first)) = chars.next() else { return text.len() };
    let budget = match kind(first) {
        Kind::Letter if inside_word => 4,
        Kind::Letter => 7,
        Kind::Digit => 3,
        Kind::Space => 16,
        Kind::Sign => 1,
    };
    let cost = |c: char| if c.is_ascii() { 1 } else { 2 };
    let mut spent = cost(first);
    for (at, c) in chars {
        spent += cost(c);
        if kind(c) != kind(first) || spent > budget {
            return at;
        }
    }
    text.len()
}

/// Tokens of a text before the model's own factor.
pub fn count(text: &str) -> u64 {
    pieces(text).len() as u64
}

/// What `pieces` pieces cost on `model`. Applied to running totals, never to parts, so that parts add up.
pub fn scaled(pieces: u64, model: &Model) -> u64 {
    (pieces * model.token_percent).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_one_piece_with_their_space() {
        assert_eq!(pieces("The weather in Lyon, please."), ["The", " weather", " in", " Lyon", ",", " please", "."]);
        assert_eq!(pieces("  two\n\n"), ["  ", "two", "\n\n"]);
        assert_eq!(pieces("12345 "), ["123", "45", " "]);
        assert!(count("élémentaire") > count("elementaire"));
    }

    #[test]
    fn haiku_5_5_counts_thirty_percent_more() {
        let (new, old) = (model::find("claude-haiku-5-5").unwrap(), model::find("claude-haiku-4-5").unwrap());
        assert_eq!(scaled(1000, old), 1000);
        assert_eq!(scaled(1000, new), 1300);
        assert_eq!(scaled(1, new), 2);
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_text(text in "\\PC*|[a-zé ,.0-9\\n]*") {
            prop_assert_eq!(pieces(&text).concat(), text.clone());
            prop_assert!(pieces(&text).iter().all(|p| !p.is_empty()));
        }
    }
}
