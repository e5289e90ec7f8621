//! Written words into spoken ones: markdown and emoji go, symbols become words, a URL becomes its host.
//!
//! One word at a time, so that no markup has to be seen whole: `**` is dropped wherever it stands.

use std::borrow::Cow;

use crate::config::Language;

/// The spoken text of the chunk that is being made.
#[derive(Clone)]
pub(super) struct Speakable {
    language: Language,
    text: String,
    /// Inside the parentheses of `[text](target "title")`.
    in_target: bool,
    /// The currency of "$5", which is said after the amount: it waits for "million".
    currency: Option<char>,
}

impl Speakable {
    pub(super) fn new(language: Language) -> Self {
        Self { language, text: String::new(), in_target: false, currency: None }
    }

    /// Bytes of text so far.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Characters of text so far.
    pub(super) fn count(&self) -> usize {
        self.text.trim_start().chars().count()
    }

    /// Takes away what was spoken after `at`, with the currency that its last word may still get.
    pub(super) fn split_off(&mut self, at: usize) -> (String, Option<char>) {
        let rest = if self.text.is_char_boundary(at) { self.text.split_off(at) } else { String::new() };
        let currency = if rest.is_empty() { None } else { self.currency.take() };
        (rest, currency)
    }

    /// Gives back what [`Speakable::split_off`] took.
    pub(super) fn put_back(&mut self, rest: (String, Option<char>)) {
        (self.text, self.currency) = rest;
    }

    /// The text, which starts anew.
    pub(super) fn finish(&mut self) -> String {
        self.say_currency();
        let text = std::mem::take(&mut self.text);
        text.trim().trim_start_matches([',', ';', ':', ' ']).to_owned()
    }

    /// Ends the text as a sentence where it has no mark of its own.
    pub(super) fn end_line(&mut self) {
        self.say_currency();
        let length = self.text.trim_end_matches([' ', ',']).len();
        self.text.truncate(length);
        let last = self.text.trim_end_matches(['"', '”', '»', ')', '\'', '’', ' ']).chars().next_back();
        if last.is_some_and(char::is_alphanumeric) {
            self.text.push('.');
        }
    }

    /// `word` without the target of a markdown link.
    pub(super) fn without_link<'w>(&mut self, word: &'w str) -> Cow<'w, str> {
        let mut word = Cow::Borrowed(word);
        if self.in_target {
            let Some(end) = word.find(')') else { return Cow::Borrowed("") };
            self.in_target = false;
            word = Cow::Owned(word[end + 1..].to_owned());
        }
        while let Some(start) = word.find("](").or_else(|| word.find("][")) {
            let closer = if word[start + 1..].starts_with('(') { ')' } else { ']' };
            let opener = if closer == ')' { '(' } else { '[' };
            let mut depth = 0;
            let end = word[start + 1..].char_indices().find_map(|(at, c)| {
                depth += i32::from(c == opener) - i32::from(c == closer);
                (depth == 0).then_some(start + 1 + at + c.len_utf8())
            });
            self.in_target = end.is_none() && closer == ')';
            word = Cow::Owned(format!("{}{}", &word[..start], end.map_or("", |end| &word[end..])));
        }
        word
    }

    /// Takes the next word; true where it has a letter or a digit to speak.
    pub(super) fn word(&mut self, word: &str) -> bool {
        if matches!(word, ":)" | ":-)" | ";)" | ";-)" | ":(" | ":-(" | ":D" | ":-D" | ":P" | "<3" | ":/") {
            return false;
        }
        if matches!(word, "—" | "–" | "-" | "―" | "->" | "=>" | "→" | "⇒") {
            self.say_currency();
            self.comma();
            return false;
        }
        let mut spoken = String::new();
        match url(word) {
            Some((before, host, after)) => {
                spoken.extend(before.chars().filter(|&c| is_kept(c)));
                spoken.push_str(host);
                spoken.extend(after.chars().filter(|&c| is_kept(c)));
            }
            None => self.characters(word, &mut spoken),
        }
        let spoken = spoken.trim();
        if let Some(currency) = self.currency.take() {
            // "$5 million" is said "5 million dollars".
            let bare = spoken.trim_end_matches(|c: char| !c.is_alphanumeric());
            if is_magnitude(bare) {
                self.push(&format!("{bare} {}{}", self.currency_name(currency, true), &spoken[bare.len()..]));
                return true;
            }
            self.currency = Some(currency);
            self.say_currency();
        }
        self.push(spoken);
        self.currency = leading_currency(word);
        if !spoken.ends_with(char::is_numeric) {
            self.currency_before_mark();
        }
        spoken.contains(char::is_alphanumeric)
    }

    fn push(&mut self, spoken: &str) {
        if spoken.is_empty() {
            return;
        }
        if !self.text.is_empty() && !self.text.ends_with(' ') && !spoken.starts_with(',') {
            self.text.push(' ');
        }
        self.text.push_str(spoken);
    }

    /// A comma after the last word, where none stands.
    fn comma(&mut self) {
        if self.text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | '"' | '”' | '»')) {
            self.text.push(',');
        }
    }

    fn say_currency(&mut self) {
        if let Some(currency) = self.currency.take() {
            let start = self.text.rfind(' ').map_or(0, |at| at + 1);
            let amount = self.text.split_off(start);
            self.text.push_str(&self.amount(&amount, currency));
        }
    }

    /// "$5," has its mark after the amount: the currency goes between.
    fn currency_before_mark(&mut self) {
        if self.currency.is_some() {
            let length = self.text.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
            let marks = self.text.split_off(length);
            self.say_currency();
            self.text.push_str(&marks);
        }
    }

    fn characters(&mut self, word: &str, out: &mut String) {
        let word = word.replace("&amp;", "&").replace("<br>", " ").replace("<br/>", " ");
        let word = without_tags(&word);
        let chars: Vec<char> = word.chars().collect();
        let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
        let alone = chars.len() == 1;
        let has_words = word.contains(char::is_alphanumeric);
        let mut i = 0;
        let mut after_symbol = false;
        while let Some(&c) = chars.get(i) {
            let before = if i == 0 { ' ' } else { at(i - 1) };
            let after = at(i + 1);
            let between_digits = before.is_ascii_digit() && after.is_ascii_digit();
            let run = chars[i..].iter().take_while(|&&d| d == c).count();
            match c {
                '*' if between_digits || alone && self.text.ends_with(char::is_numeric) => {
                    after_symbol = self.symbol('×', out)
                }
                '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push(' '),
                '-' if run > 1 => {
                    if has_words && before.is_alphanumeric() {
                        out.push_str(", ");
                    }
                    i += run - 1;
                }
                '-' if alone || after == '>' => {}
                '=' if run > 2 || after == '>' => i += run - 1,
                '=' if run == 2 => {
                    after_symbol = self.symbol('=', out);
                    i += 1;
                }
                '+' | '=' | '×' | '÷' | '±' | '≈' | '≠' | '≤' | '≥' | '&' | '@' | '%' | '−' => {
                    after_symbol = self.symbol(c, out)
                }
                '<' | '>' if alone || between_digits || after.is_ascii_digit() => after_symbol = self.symbol(c, out),
                '~' | '#' if after.is_ascii_digit() && !before.is_alphanumeric() => after_symbol = self.symbol(c, out),
                '^' if after.is_ascii_digit() && before.is_alphanumeric() => after_symbol = self.symbol(c, out),
                '°' if matches!(before, 'n' | 'N') && i == 1 => {
                    out.clear();
                    after_symbol = self.symbol('#', out);
                }
                '°' => {
                    let unit = at(i + 1);
                    if matches!(unit, 'C' | 'F') && !at(i + 2).is_alphanumeric() {
                        i += 1;
                        after_symbol = self.symbol(if unit == 'C' { '℃' } else { '℉' }, out);
                    } else {
                        after_symbol = self.symbol('°', out);
                    }
                }
                '€' | '$' | '£' | '¥' if after.is_ascii_digit() => {}
                '€' | '$' | '£' | '¥' => self.amount_before(c, out),
                '–' | '—' | '―' if between_digits => {
                    out.push_str(match self.language {
                        Language::En => " to ",
                        Language::Fr => " à ",
                    });
                }
                '–' | '—' | '―' if before.is_alphanumeric() => out.push_str(", "),
                '|' if out.is_empty() => self.comma(),
                '|' if before.is_alphanumeric() => out.push_str(", "),
                '\u{a0}' | '\u{202f}' | '\u{2007}' => out.push(' '),
                '!' if after == '[' => {}
                _ if is_kept(c) => {
                    if after_symbol && c.is_alphanumeric() {
                        out.push(' ');
                    }
                    out.push(c);
                    after_symbol = false;
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// "5€" or "5 €": the currency after its amount.
    fn amount_before(&mut self, currency: char, out: &mut String) {
        let from_text = out.trim().is_empty();
        let line = if from_text { &mut self.text } else { &mut *out };
        let start = line.rfind(' ').map_or(0, |at| at + 1);
        let amount = line.split_off(start);
        if amount.ends_with(|c: char| c.is_numeric()) {
            let said = self.amount(&amount, currency);
            let line = if from_text { &mut self.text } else { out };
            line.push_str(&said);
        } else {
            // "5 millions d'€": no amount stands before it.
            line.push_str(&amount);
            let name = self.currency_name(currency, true);
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(name);
        }
    }

    /// An amount with its currency: "3.50" is said "3 dollars 50".
    fn amount(&self, amount: &str, currency: char) -> String {
        let cents = amount.rfind(['.', ',']).filter(|at| {
            let cents = &amount[at + 1..];
            *at > 0 && cents.len() == 2 && cents.bytes().all(|b| b.is_ascii_digit()) && currency != '¥'
        });
        let whole = cents.map_or(amount, |at| &amount[..at]);
        let name = self.currency_name(currency, !matches!(whole, "1" | "-1"));
        match cents.map(|at| &amount[at + 1..]) {
            None | Some("00") => format!("{whole} {name}"),
            Some(cents) => format!("{whole} {name} {}", cents.trim_start_matches('0')),
        }
    }

    fn currency_name(&self, currency: char, plural: bool) -> &'static str {
        match (self.language, currency, plural) {
            (_, '€', true) => "euros",
            (_, '€', false) => "euro",
            (_, '$', true) => "dollars",
            (_, '$', false) => "dollar",
            (Language::En, '£', true) => "pounds",
            (Language::En, '£', false) => "pound",
            (Language::Fr, '£', true) => "livres",
            (Language::Fr, '£', false) => "livre",
            _ => "yen",
        }
    }

    /// Writes the word for a symbol, and gives true: the next letter needs a space before it.
    fn symbol(&self, symbol: char, out: &mut String) -> bool {
        let english = self.language == Language::En;
        let word = match symbol {
            '+' => "plus",
            '−' if english => "minus",
            '−' => "moins",
            '=' if english => "equals",
            '=' => "égale",
            '×' if english => "times",
            '×' => "fois",
            '÷' if english => "divided by",
            '÷' => "divisé par",
            '±' if english => "plus or minus",
            '±' => "plus ou moins",
            '≈' | '~' if english => "about",
            '≈' | '~' => "environ",
            '≠' if english => "is not",
            '≠' => "n'est pas",
            '≤' if english => "at most",
            '≤' => "au plus",
            '≥' if english => "at least",
            '≥' => "au moins",
            '<' if english => "less than",
            '<' => "plus petit que",
            '>' if english => "greater than",
            '>' => "plus grand que",
            '&' if english => "and",
            '&' => "et",
            '@' if english => "at",
            '@' => "arobase",
            '%' if english => "percent",
            '%' => "pour cent",
            '#' if english => "number",
            '#' => "numéro",
            '^' if english => "to the power of",
            '^' => "puissance",
            '℃' if english => "degrees Celsius",
            '℃' => "degrés Celsius",
            '℉' if english => "degrees Fahrenheit",
            '℉' => "degrés Fahrenheit",
            _ if english => "degrees",
            _ => "degrés",
        };
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        out.push_str(word);
        true
    }
}

/// The currency of "$5" and "-£3.50".
fn leading_currency(word: &str) -> Option<char> {
    let mut chars = word.chars().skip_while(|c| !c.is_alphanumeric() && !matches!(c, '$' | '€' | '£' | '¥'));
    let currency = chars.next().filter(|c| matches!(c, '$' | '€' | '£' | '¥'))?;
    chars.next().filter(char::is_ascii_digit).map(|_| currency)
}

fn is_magnitude(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    matches!(singular, "thousand" | "million" | "billion" | "trillion" | "mille" | "milliard")
}

/// Splits a word that is a URL into what stands before it, its host, and what stands after it.
fn url(word: &str) -> Option<(&str, &str, &str)> {
    let start = word.find("://").map(|at| word[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |b| b + 1));
    let start = match start {
        // The character before the scheme may be longer than a byte.
        Some(start) => (start..word.len()).find(|&at| word.is_char_boundary(at))?,
        None => word.find("www.")?,
    };
    let (before, address) = word.split_at(start);
    let end = address.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '/').len();
    let (address, after) = address.split_at(end);
    // "…/Paris_(Texas)": the bracket is the address's own.
    let after = if address.contains('(') { after.strip_prefix(')').unwrap_or(after) } else { after };
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split(['/', ':', '?', '#', '|', '>', '<', ')', '*']).next().unwrap_or(host);
    let host = host.rsplit('@').next().unwrap_or(host);
    let host = host.strip_prefix("www.").unwrap_or(host);
    host.contains(char::is_alphanumeric).then_some((before, host, after))
}

/// Drops `<b>`, `</b>`.
fn without_tags(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let is_tag = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        match tag.find('>').filter(|_| is_tag) {
            Some(end) => rest = &tag[end + 1..],
            None => {
                out.push('<');
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Letters, digits, and the punctuation that a synthesizer knows what to do with.
fn is_kept(c: char) -> bool {
    let pictograph = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f000}'..='\u{1faff}');
    let accent = matches!(c, '\u{300}'..='\u{36f}');
    let punctuation = matches!(
        c,
        '.' | ',' | '!' | '?' | ';' | ':' | '…' | '\'' | '’' | '-' | '/' | '(' | ')' | '"' | '«' | '»' | '“' | '”'
    );
    c.is_alphanumeric() && !pictograph || accent || punctuation
}
