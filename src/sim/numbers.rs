//! Numbers as a voice says them, both ways, in English and French: a spoken reply has no digits.

use std::collections::HashMap;

/// The languages of the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

const EN: [&str; 20] = [
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
const EN_TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const FR: [&str; 17] = [
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize",
    "quatorze", "quinze", "seize",
];
const FR_TENS: [&str; 10] =
    ["", "dix", "vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt"];

/// The words of a number below one million.
pub fn words(n: u32, language: Language) -> String {
    match language {
        Language::En => english(n),
        Language::Fr => french(n),
    }
}

fn at<'a>(table: &[&'a str], n: u32) -> &'a str {
    table.get(n as usize).copied().unwrap_or_default()
}

fn english(n: u32) -> String {
    let join = |head: String, rest: u32| if rest == 0 { head } else { format!("{head} {}", english(rest)) };
    match n {
        0..20 => at(&EN, n).to_owned(),
        20..100 if n.is_multiple_of(10) => at(&EN_TENS, n / 10).to_owned(),
        20..100 => format!("{}-{}", at(&EN_TENS, n / 10), at(&EN, n % 10)),
        100..1000 => join(format!("{} hundred", at(&EN, n / 100)), n % 100),
        _ => join(format!("{} thousand", english(n / 1000)), n % 1000),
    }
}

fn french(n: u32) -> String {
    let join = |head: String, rest: u32| if rest == 0 { head } else { format!("{head} {}", french(rest)) };
    match n {
        0..17 => at(&FR, n).to_owned(),
        80 => "quatre-vingts".to_owned(),
        71 => "soixante et onze".to_owned(),
        17..100 => {
            // Seventy and ninety count on from sixty and eighty; "et" joins one, but not after eighty.
            let tens = at(&FR_TENS, n / 10);
            let rest = if matches!(n / 10, 7 | 9) { n % 10 + 10 } else { n % 10 };
            match rest {
                0 => tens.to_owned(),
                1 if n < 80 => format!("{tens} et un"),
                _ => format!("{tens}-{}", french(rest)),
            }
        }
        100..200 => join("cent".to_owned(), n - 100),
        200..1000 if n.is_multiple_of(100) => format!("{} cents", at(&FR, n / 100)),
        200..1000 => join(format!("{} cent", at(&FR, n / 100)), n % 100),
        1000..2000 => join("mille".to_owned(), n - 1000),
        // Before "mille" neither "cents" nor "vingts" keeps its s.
        _ => join(format!("{} mille", french(n / 1000).replace("cents", "cent").replace("vingts", "vingt")), n % 1000),
    }
}

/// Reads numbers up to 999 from folded words.
#[derive(Debug)]
pub struct NumberReader(HashMap<(Language, String), u32>);

impl NumberReader {
    /// A reader that folds its own table with `fold`, the same function that folds the questions.
    pub fn new(fold: impl Fn(&str) -> String) -> Self {
        let both = [Language::En, Language::Fr];
        let mut table: HashMap<_, _> = both
            .iter()
            .flat_map(|&l| (0..1000).map(move |n| (l, n)))
            .map(|(l, n)| ((l, fold(&words(n, l))), n))
            .collect();
        for (language, word, n) in [(Language::Fr, "une", 1), (Language::En, "a hundred", 100)] {
            table.insert((language, word.to_owned()), n);
        }
        Self(table)
    }

    /// The number that the words (joined by single spaces) or digits say.
    pub fn read(&self, words: &str, language: Language) -> Option<u32> {
        words
            .parse()
            .ok()
            .filter(|n| *n < 1000)
            .or_else(|| self.0.get(&(language, words.replace(" and ", " "))).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        let en = |n| words(n, Language::En);
        let fr = |n| words(n, Language::Fr);
        assert_eq!((en(0), en(45), en(1600)), ("zero".into(), "forty-five".into(), "one thousand six hundred".into()));
        assert_eq!((fr(21), fr(70), fr(71)), ("vingt et un".into(), "soixante-dix".into(), "soixante et onze".into()));
        assert_eq!(
            (fr(80), fr(81), fr(97)),
            ("quatre-vingts".into(), "quatre-vingt-un".into(), "quatre-vingt-dix-sept".into())
        );
        assert_eq!(
            (fr(200), fr(225), fr(900)),
            ("deux cents".into(), "deux cent vingt-cinq".into(), "neuf cents".into())
        );
        assert_eq!((fr(1100), fr(80_000)), ("mille cent".into(), "quatre-vingt mille".into()));
    }

    #[test]
    fn what_is_said_is_read_back() {
        let reader = NumberReader::new(|w| w.replace('-', " ").replace('é', "e"));
        for language in [Language::En, Language::Fr] {
            for n in 0..1000 {
                let said = words(n, language).replace('-', " ").replace('é', "e");
                assert_eq!(reader.read(&said, language), Some(n), "{said}");
            }
        }
        assert_eq!(reader.read("15", Language::Fr), Some(15));
        assert_eq!(reader.read("one hundred and five", Language::En), Some(105));
        assert_eq!(reader.read("bread", Language::En), None);
    }
}
