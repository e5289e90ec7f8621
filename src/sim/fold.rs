//! Text as the rules compare it: lower case, no accents, no punctuation, one word after the other, each with its place
//! in the original, so that a captured word is given back as it was written.

use std::ops::Range;

/// One folded word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Lower case, without accents.
    pub folded: String,
    /// Its bytes in the original text.
    pub place: Range<usize>,
}

/// The words of a text. Apostrophes and hyphens part words, so that `est-ce qu'il` is four words however it came.
pub fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut end_of_last = None;
    for (at, c) in text.char_indices() {
        if !c.is_alphanumeric() {
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some(word) if end_of_last == Some(at) => {
                fold_into(c, &mut word.folded);
                word.place.end = end;
            }
            _ => {
                let mut folded = String::new();
                fold_into(c, &mut folded);
                words.push(Word { folded, place: at..end });
            }
        }
        end_of_last = Some(end);
    }
    words
}

/// The folded words, joined by single spaces.
pub fn fold(text: &str) -> String {
    words(text).into_iter().map(|w| w.folded).collect::<Vec<_>>().join(" ")
}

fn fold_into(c: char, out: &mut String) {
    for c in c.to_lowercase() {
        match c {
            'à' | 'â' | 'ä' => out.push('a'),
            'é' | 'è' | 'ê' | 'ë' => out.push('e'),
            'î' | 'ï' => out.push('i'),
            'ô' | 'ö' => out.push('o'),
            'ù' | 'û' | 'ü' => out.push('u'),
            'ç' => out.push('c'),
            'œ' => out.push_str("oe"),
            'æ' => out.push_str("ae"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_apostrophes_and_punctuation_do_not_matter() {
        assert_eq!(fold("Est-ce qu’il va pleuvoir, demain ?"), "est ce qu il va pleuvoir demain");
        assert_eq!(fold("ÉTEINS la lumière"), fold("eteins la lumiere"));
        assert_eq!(fold("des œufs"), "des oeufs");
        assert_eq!(fold(" ?! "), "");
    }

    #[test]
    fn a_word_knows_where_it_stood() {
        let text = "Ma mère, là";
        let places: Vec<_> = words(text).into_iter().map(|w| &text[w.place]).collect();
        assert_eq!(places, ["Ma", "mère", "là"]);
    }
}
