//! Numbers in words, for voices that read letters alone.

use crate::config::Language;

/// The text with its numbers in words: "3,5", "1 000", "1,000", "10:30", "-5" and "2nd" in their language's way.
pub(super) fn in_words(text: &str, language: Language) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        if !c.is_ascii_digit() {
            if c == '-' && digit(i + 1) && (i == 0 || chars[i - 1].is_whitespace()) {
                out.push_str(if language == Language::En { "minus " } else { "moins " });
            } else {
                out.push(c);
            }
            i += 1;
            continue;
        }
        let mut number = String::new();
        let grouping = if language == Language::En { ',' } else { ' ' };
        loop {
            let group = digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4);
            match chars.get(i) {
                Some(d) if d.is_ascii_digit() => number.push(*d),
                Some(c) if *c == grouping && group && number.len() <= 12 => {}
                _ => break,
            }
            i += 1;
        }
        out.push_str(&cardinal(&number, language));
        // "3.5": the rest is said digit by digit. "10:30" is two numbers.
        if let (Some('.' | ','), true) = (chars.get(i), digit(i + 1)) {
            out.push_str(if language == Language::En { " point" } else { " virgule" });
            i += 1;
            while digit(i) {
                out.push(' ');
                out.push_str(&cardinal(&chars[i].to_string(), language));
                i += 1;
            }
        } else if chars.get(i) == Some(&':') && digit(i + 1) {
            out.push_str(if language == Language::En { " " } else { " heures " });
            i += 1;
        } else if chars.get(i).is_some_and(|c| c.is_alphabetic()) {
            out.push(' ');
        }
    }
    out
}

/// A number of any length; one too long to be a number is said digit by digit.
fn cardinal(digits: &str, language: Language) -> String {
    match digits.parse::<u64>() {
        Ok(number) if number < 1_000_000_000_000 && (digits == "0" || !digits.starts_with('0')) => {
            let mut words = Vec::new();
            match language {
                Language::En => english(number, &mut words),
                Language::Fr => french(number, &mut words),
            }
            words.join(" ")
        }
        _ => {
            let one = |d: char| cardinal(&d.to_string(), language);
            digits.chars().map(one).collect::<Vec<_>>().join(" ")
        }
    }
}

const ENGLISH: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const ENGLISH_TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const FRENCH: [&str; 20] = [
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize",
    "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
];
const FRENCH_TENS: [&str; 8] =
    ["vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt"];

fn english(number: u64, words: &mut Vec<String>) {
    let scale = [(1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred")];
    if let Some((size, name)) = scale.into_iter().find(|(size, _)| number >= *size) {
        english(number / size, words);
        words.push(name.into());
        if !number.is_multiple_of(size) {
            english(number % size, words);
        }
    } else if let Some(word) = ENGLISH.get(number as usize) {
        words.push((*word).into());
    } else {
        words.extend(ENGLISH_TENS.get(number as usize / 10 - 2).map(|word| (*word).to_owned()));
        if !number.is_multiple_of(10) {
            english(number % 10, words);
        }
    }
}

fn french(number: u64, words: &mut Vec<String>) {
    let scale = [(1_000_000_000, "milliard"), (1_000_000, "million"), (1_000, "mille"), (100, "cent")];
    if let Some((size, name)) = scale.into_iter().find(|(size, _)| number >= *size) {
        let many = number / size;
        // "mille", "cent", but "un million".
        if many > 1 || size >= 1_000_000 {
            french(many, words);
        }
        let plural = many > 1 && (size >= 1_000_000 || size == 100 && number.is_multiple_of(100));
        words.push(format!("{name}{}", if plural { "s" } else { "" }));
        if !number.is_multiple_of(size) {
            french(number % size, words);
        }
    } else if let Some(word) = FRENCH.get(number as usize) {
        words.push((*word).into());
    } else {
        let tens = number / 10;
        // 70 and 90 count on from 60 and 80.
        let rest = if matches!(tens, 7 | 9) { number % 10 + 10 } else { number % 10 };
        let name = FRENCH_TENS.get(tens as usize - 2).copied().unwrap_or_default();
        words.push(match (number, rest) {
            (80, _) => "quatre-vingts".into(),
            (_, 0) => name.into(),
            (_, 1 | 11) if tens < 8 => format!("{name} et {}", FRENCH[rest as usize]),
            _ => format!("{name}-{}", FRENCH.get(rest as usize).copied().unwrap_or_default()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Fr};

    #[test]
    fn numbers_are_said_as_each_language_says_them() {
        for (language, text, said) in [
            (
                En,
                "It is 10:30, 3.5 of 1,250 or -7.",
                "It is ten thirty, three point five of one thousand two hundred fifty or minus seven.",
            ),
            (En, "007 and 42", "zero zero seven and forty two"),
            (
                Fr,
                "71, 80, 81, 91, 99",
                "soixante et onze, quatre-vingts, quatre-vingt-un, quatre-vingt-onze, quatre-vingt-dix-neuf",
            ),
            (Fr, "1 234 et 3,14", "mille deux cent trente-quatre et trois virgule un quatre"),
            (Fr, "200, 21, 2 000 000, 10:30", "deux cents, vingt et un, deux millions, dix heures trente"),
        ] {
            assert_eq!(in_words(text, language), said);
        }
    }
}
