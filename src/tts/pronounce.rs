//! What neither espeak-ng nor a voice of characters reads rightly by itself: abbreviations, units after a number, and
//! in French the minus sign and the dot of an address.

use crate::config::Language;

/// The text with those written out.
pub(super) fn pronounce(text: &str, language: Language) -> String {
    let mut text = text.to_owned();
    if language == Language::Fr {
        for (written, said) in [
            ("p. ex.", "par exemple"),
            ("c.-à-d.", "c'est-à-dire"),
            ("av. J.-C.", "avant Jésus-Christ"),
            ("apr. J.-C.", "après Jésus-Christ"),
        ] {
            text = text.replace(written, said);
        }
    }
    let mut out = String::with_capacity(text.len());
    // Whether the word before was a number, and whether it was 1.
    let mut after_number = None;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let opening = word.len() - word.trim_start_matches(['(', '"', '«', '“', '\'']).len();
        let (before, rest) = word.split_at(opening);
        let bare = rest.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '.');
        let after = &rest[bare.len()..];
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(before);
        let last = words.peek().is_none();
        let said = match bare.strip_suffix('.') {
            Some(body) if !body.is_empty() => match stopped(body, language, after_number, words.peek().copied()) {
                // The full stop of the abbreviation is the sentence's too.
                Some(said) if last && after.is_empty() => format!("{said}."),
                Some(said) => said,
                None => format!("{}.", plain(body, language, after_number)),
            },
            _ => plain(bare, language, after_number),
        };
        out.push_str(&said);
        out.push_str(after);
        after_number = rest.ends_with(|c: char| c.is_numeric()).then_some(rest == "1");
    }
    out
}

/// A word that a full stop follows, where that is an abbreviation's.
fn stopped(body: &str, language: Language, after_number: Option<bool>, next: Option<&str>) -> Option<String> {
    use Language::{En, Fr};
    let before_number = next.is_some_and(|word| word.starts_with(|c: char| c.is_numeric()));
    let said = match (language, body) {
        (En, "Mr") => "Mister",
        (En, "Mrs") => "Missus",
        (En, "Ms") => "Miz",
        (_, "Dr") => "Doctor",
        (En, "Prof") => "Professor",
        (En, "St") => "Saint",
        (En, "e.g") => "for example",
        (En, "i.e") => "that is",
        (En, "approx") => "approximately",
        (_, "vs") => "versus",
        (_, "etc") => "et cetera",
        (_, "No" | "no") if before_number => {
            if language == En {
                "number"
            } else {
                "numéro"
            }
        }
        (_, "p") if before_number => "page",
        (_, "pp") if before_number => "pages",
        (_, "fig") if before_number => "figure",
        (_, "art") if before_number => "article",
        (Fr, "M") => "monsieur",
        (Fr, "MM") => "messieurs",
        (Fr, "Mme") => "madame",
        (Fr, "Mlle") => "mademoiselle",
        (Fr, "Pr") => "professeur",
        (Fr, "Me") => "maître",
        (Fr, "cf") => "confer",
        (Fr, "env") => "environ",
        (Fr, "tél") => "téléphone",
        _ if after_number.is_some() && unit(body, language, false).is_some() => return None,
        _ => {
            let one = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_alphabetic);
            let letters = body.split('.').all(one);
            return letters.then(|| body.replace('.', " "));
        }
    };
    Some(if language == Fr && body == "Dr" { "docteur".into() } else { said.into() })
}

fn plain(word: &str, language: Language, after_number: Option<bool>) -> String {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, name) = word.split_at(digits);
    if let Some(one) = after_number
        && let Some(unit) = unit(word, language, one)
    {
        return unit.to_owned();
    }
    if language == Language::Fr {
        if let Some(number) = word.strip_prefix('-').filter(|n| n.starts_with(|c: char| c.is_ascii_digit())) {
            return format!("moins {number}");
        }
        // "15h30"
        if !number.is_empty()
            && let Some(minutes) = name.strip_prefix('h').filter(|m| m.bytes().all(|b| b.is_ascii_digit()))
        {
            let hours = if matches!(number, "0" | "1") { "heure" } else { "heures" };
            return format!("{number} {hours} {minutes}").trim_end().to_owned();
        }
    }
    if !number.is_empty()
        && let Some(unit) = unit(name, language, number == "1")
    {
        return format!("{number} {unit}");
    }
    between_letters(word, language)
}

/// A unit, as it is said after a number.
fn unit(word: &str, language: Language, one: bool) -> Option<&'static str> {
    let (english, french) = match word {
        "km/h" => ("kilometers per hour", "kilomètres heure"),
        "m/s" => ("meters per second", "mètres par seconde"),
        "km" => ("kilometers", "kilomètres"),
        "m" => ("meters", "mètres"),
        "cm" => ("centimeters", "centimètres"),
        "mm" => ("millimeters", "millimètres"),
        "m²" => ("square meters", "mètres carrés"),
        "km²" => ("square kilometers", "kilomètres carrés"),
        "kg" => ("kilograms", "kilogrammes"),
        "g" => ("grams", "grammes"),
        "l" | "L" => ("liters", "litres"),
        "ml" => ("milliliters", "millilitres"),
        "min" => ("minutes", "minutes"),
        "ms" => ("milliseconds", "millisecondes"),
        "h" => ("hours", "heures"),
        "s" => ("seconds", "secondes"),
        "kW" => ("kilowatts", "kilowatts"),
        "kWh" => ("kilowatt hours", "kilowattheures"),
        "W" => ("watts", "watts"),
        "mph" if language == Language::En => ("miles per hour", ""),
        _ => return None,
    };
    let said = if language == Language::En { english } else { french };
    // Only single words lose their plural: "1 km/h" is rare.
    Some(if one && !said.contains(' ') { said.strip_suffix('s').unwrap_or(said) } else { said })
}

/// "and/or", "x²", and in French "elio.example".
fn between_letters(word: &str, language: Language) -> String {
    let chars: Vec<char> = word.chars().collect();
    let letter = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(|c| c.is_alphabetic());
    let mut out = String::with_capacity(word.len());
    for (i, &c) in chars.iter().enumerate() {
        match (c, language) {
            ('²', Language::En) => out.push_str(" squared"),
            ('²', Language::Fr) => out.push_str(" carré"),
            ('/', _) if letter(i.checked_sub(1)) && letter(Some(i + 1)) => out.push(' '),
            ('.', Language::Fr) if letter(i.checked_sub(1)) && letter(Some(i + 1)) => out.push_str(" point "),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Fr};

    #[test]
    fn what_is_written_short_is_said_in_full() {
        for (language, written, said) in [
            (En, "Ask Dr. Smith, e.g. now.", "Ask Doctor Smith, for example now."),
            (En, "Pears, plums, etc.", "Pears, plums, et cetera."),
            (
                En,
                "J. K. Rowling (of the U.S. press) wrote No. 5. No.",
                "J K Rowling (of the U S press) wrote number 5. No.",
            ),
            (
                En,
                "It goes 5 km/h, or 10km and/or 3 mph.",
                "It goes 5 kilometers per hour, or 10 kilometers and or 3 miles per hour.",
            ),
            (En, "I am at elio.example at 10:30.", "I am at elio.example at 10:30."),
            (
                Fr,
                "M. Roy, p. ex. sur elio.example à 15h30.",
                "monsieur Roy, par exemple sur elio point example à 15 heures 30.",
            ),
            (Fr, "Il fait -5 à 15 h 30, dans 20 m².", "Il fait moins 5 à 15 heures 30, dans 20 mètres carrés."),
            (Fr, "En 1 h, en 1h, il va à 50 km.", "En 1 heure, en 1 heure, il va à 50 kilomètres."),
            (Fr, "C'est fini. Bien : merci !", "C'est fini. Bien : merci !"),
        ] {
            assert_eq!(pronounce(written, language), said);
        }
    }
}
