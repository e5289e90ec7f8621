//! Do the words so far sound as if the person had finished? The marks that Whisper writes tell the most; words after
//! which every sentence goes on, and numbers that are being dictated, tell against them.

use crate::config::Language;

/// How finished a text sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It ends like a sentence.
    Sentence,
    /// It may be all, or not.
    Unsure,
    /// Something is missing: a word after "the" or "et", the rest of a number.
    Open,
}

impl Finished {
    /// As the record writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Finished::Sentence => "sentence",
            Finished::Unsure => "unsure",
            Finished::Open => "open",
        }
    }
}

/// Words after which a sentence goes on, whatever mark is written.
const OPEN_EN: &[&str] = &[
    "the", "a", "an", "and", "or", "but", "nor", "because", "if", "whether", "while", "although", "than", "my", "your",
    "our", "their", "its", "every", "very", "i'm", "we're", "they're", "i'll", "i'd", "let's", "mr", "mrs", "ms", "dr",
    "um", "uh", "uhm", "er", "erm", "hmm",
];
const OPEN_FR: &[&str] = &[
    "le", "la", "les", "l", "un", "une", "des", "du", "de", "d", "au", "aux", "à", "et", "ou", "mais", "donc", "car",
    "que", "qu", "si", "parce", "lorsque", "lorsqu", "puisque", "dans", "sur", "sous", "chez", "en", "par", "vers",
    "entre", "sans", "mon", "ma", "mes", "ton", "ta", "tes", "sa", "ses", "notre", "nos", "votre", "vos", "leur",
    "leurs", "ce", "cet", "cette", "ces", "quel", "quelle", "quels", "quelles", "chaque", "très", "je", "j", "tu",
    "il", "ils", "ne", "n", "se", "s", "me", "m", "te", "t", "monsieur", "madame", "mme", "euh", "heu", "hum",
];

/// Words that rarely end a sentence: a question mark is believed after them, a full stop only half.
const RARE_EN: &[&str] = &[
    "to", "of", "with", "for", "from", "at", "into", "about", "between", "without", "during", "until", "under", "by",
    "as",
];
const RARE_FR: &[&str] = &["avec", "pour", "pendant", "depuis", "jusque", "quand", "comme", "qui"];

/// Number words; the tens and teens are two digits.
const DIGITS: &[&str] = &[
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh", "zéro", "un", "une", "deux",
    "trois", "quatre", "cinq", "sept", "huit", "neuf",
];
const TENS: &[&str] = &[
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
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "vingt",
    "vingts",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
];

/// Where one of these was said, a number after `for` or `de` lacks its unit.
const TIMERS: &[&str] = &["timer", "countdown", "minuteur", "minuterie", "rebours"];
/// Where one of these was said, some digits at the end are a part of a telephone number.
const PHONES: &[&str] =
    &["call", "dial", "phone", "number", "appelle", "appeler", "appelez", "compose", "composer", "téléphone", "numéro"];
/// Digits of the shortest number that is not one for emergencies, and of a usual one.
const PHONE: std::ops::Range<usize> = 4..10;

/// How finished `text` sounds. A text without a word is [`Finished::Unsure`].
pub fn how_finished(text: &str, language: Language) -> Finished {
    let text = text.trim().trim_end_matches(['"', '»', '”', '\'', ')', ' ']);
    let words: Vec<String> = text
        .to_lowercase()
        .replace('’', "'")
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
        .filter(|word| !word.is_empty())
        .collect();
    let Some(last) = words.last() else { return Finished::Unsure };
    if text.ends_with("..") || text.ends_with(['…', ',', ';', ':', '-', '–', '—']) {
        return Finished::Open;
    }
    if let Some(finished) = number(&words, language) {
        return finished;
    }
    // "d'un": what stands after the elision ends the text. "parle-m'en" is all.
    let elided = if last.contains('-') { last } else { last.rsplit('\'').next().unwrap_or(last) };
    let ends_with =
        |list: &[&str]| list.contains(&last.as_str()) || (language == Language::Fr && list.contains(&elided));
    let (open, rare) = match language {
        Language::En => (OPEN_EN, RARE_EN),
        Language::Fr => (OPEN_FR, RARE_FR),
    };
    let (open, rare) = (ends_with(open), ends_with(rare));
    match text.chars().last() {
        Some('?' | '!') if open => Finished::Unsure,
        Some('?' | '!') => Finished::Sentence,
        Some('.') if open => Finished::Open,
        Some('.') if rare => Finished::Unsure,
        Some('.') => Finished::Sentence,
        // A model that begins with a capital ends with a mark, where there is an end. Others write neither.
        _ if open || rare || text.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase) => Finished::Open,
        _ => Finished::Unsure,
    }
}

/// What a number at the end says, where it says anything: "a timer for 20", "call 06 12".
fn number(words: &[String], language: Language) -> Option<Finished> {
    let count = words.iter().rev().take_while(|word| digits(word) > 0).count();
    let (before, number) = words.split_at(words.len() - count);
    let first = number.first()?;
    let said = |list: &[&str]| before.iter().any(|word| word.split(['-', '\'']).any(|part| list.contains(&part)));
    let length: usize = number.iter().map(|word| digits(word)).sum();
    let after = before.last().map_or("", |word| word.rsplit('\'').next().unwrap_or(word));
    let quantity = match language {
        // Years have four digits.
        Language::En => (after == "in" && length < 4) || (after == "for" && said(TIMERS)),
        Language::Fr => after == "dans" || (matches!(after, "de" | "d" | "pour") && said(TIMERS)),
    };
    let begun = PHONE.contains(&length) || (length < PHONE.start && language == Language::Fr && first.starts_with('0'));
    if quantity || (begun && said(PHONES)) {
        return Some(Finished::Open);
    }
    // "un" and "une" are articles before they are numbers.
    (length >= PHONE.end && said(PHONES)).then_some(Finished::Sentence)
}

/// Digits of a number, written so or as a word; 0: it is none.
fn digits(word: &str) -> usize {
    if word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ',')) {
        return word.chars().filter(char::is_ascii_digit).count();
    }
    let mut length = 0;
    for part in word.split('-').filter(|part| !matches!(*part, "et" | "and")) {
        // "trente-quatre": the unit takes the place of the zero.
        length = match part {
            part if TENS.contains(&part) => 2,
            part if DIGITS.contains(&part) => length.max(1),
            _ => return 0,
        };
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(language: Language, finished: Finished, texts: &[&str]) {
        for text in texts {
            assert_eq!(how_finished(text, language), finished, "{text:?}");
        }
    }

    #[test]
    fn a_final_mark_ends_a_sentence() {
        use Language::{En, Fr};
        all(En, Finished::Sentence, &["What time is it?", "Stop!", "Turn it on.", "What is that for?", "Call her. "]);
        all(En, Finished::Sentence, &["He said \"Go.\"", "Wake me at 7 a.m.", "Set the volume to 20."]);
        all(Fr, Finished::Sentence, &["Quelle heure est-il ?", "Arrête-la.", "Baisse le son !", "Il y en a combien ?"]);
        all(Fr, Finished::Sentence, &["Où est-ce ?", "Mets le volume à 20.", "C'est qui ?", "Parle-m'en."]);
    }

    #[test]
    fn a_sentence_goes_on_after_these_words_and_marks() {
        use Language::{En, Fr};
        let open =
            ["turn on the", "Turn on the.", "play jazz and", "tell me,", "Well...", "I want to go to", "remind my"];
        all(En, Finished::Open, &open);
        all(En, Finished::Open, &["What is the weather in um", "Play something with"]);
        let open = ["allume la lumière de la", "Allume la.", "mets du jazz et", "Est-ce que", "parle-moi d’", "Euh…"];
        all(Fr, Finished::Open, &open);
        all(Fr, Finished::Open, &["Rappelle-moi qu'un", "Je voudrais,", "raconte une blague à mon", "je viens avec"]);
    }

    #[test]
    fn a_missing_mark_tells_only_of_a_model_that_writes_them() {
        use Language::{En, Fr};
        all(En, Finished::Open, &["What is the weather", "Turn on the light"]);
        all(Fr, Finished::Open, &["Quelle heure", "Écoute"]);
        all(
            En,
            Finished::Unsure,
            &["", " ", "...", "what is the weather", "turn on", "20 minutes", "I would like to."],
        );
        all(Fr, Finished::Unsure, &["quelle heure est-il", "Tu veux la ?", "Il faut venir avec."]);
    }

    #[test]
    fn a_number_that_is_being_dictated_is_not_all() {
        use Language::{En, Fr};
        let open =
            ["Set a timer for 20.", "set a timer for twenty", "Remind me in 10.", "Call 555 01.", "dial 0 7 9 4"];
        all(En, Finished::Open, &open);
        let open = [
            "Mets un minuteur de 10.",
            "mets une minuterie de vingt-cinq",
            "Rappelle-moi dans 5.",
            "Appelle le 06 12.",
        ];
        all(Fr, Finished::Open, &open);
        all(Fr, Finished::Open, &["Appelle le 06.", "compose le zéro six douze trente-quatre"]);
        all(En, Finished::Sentence, &["Who won in 1998?", "Call 112.", "Call 555 010 4477", "What is 12 times 12?"]);
        all(
            Fr,
            Finished::Sentence,
            &["Appelle le 15.", "Appelle le 06 12 34 56 78", "Mets un minuteur de 10 minutes."],
        );
        all(Fr, Finished::Open, &["mets-en une", "Donne-moi un."]);
    }
}
