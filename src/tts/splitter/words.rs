//! What the splitter knows of each language's words: abbreviations, and the words after which nobody pauses.

use crate::config::Language;

/// What a full stop after an abbreviation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Never the end: something always follows ("Dr.").
    Never,
    /// The end where a capital follows ("etc.").
    BeforeCapital,
    /// The end unless a number follows ("No. 5", and "No.").
    UnlessNumber,
}

/// The abbreviation that `body` (without its last full stop) is.
pub(super) fn abbreviation(body: &str, language: Language) -> Option<Abbreviation> {
    // Titles are told from words by their capital: "Gen." and "gen".
    let title = match language {
        Language::En => matches!(
            body,
            "Mr" | "Mrs" | "Ms" | "Dr" | "Prof" | "St" | "Mt" | "Gen" | "Sen" | "Gov" | "Capt" | "Lt" | "Rev" | "Mx"
        ),
        Language::Fr => matches!(body, "M" | "MM" | "Mme" | "Mlle" | "Dr" | "Pr" | "Me" | "St" | "Ste" | "Mgr"),
    };
    if title {
        return Some(Abbreviation::Never);
    }
    match (language, body.to_lowercase().as_str()) {
        (_, "cf" | "pp" | "p" | "vs" | "approx" | "e.g" | "i.e") => Some(Abbreviation::Never),
        (Language::Fr, "ex" | "env" | "av" | "apr" | "tél" | "c.-à-d" | "bd") => Some(Abbreviation::Never),
        (_, "etc" | "min" | "max" | "sec" | "al" | "a.m" | "p.m" | "inc" | "ltd" | "jr" | "sr" | "dept" | "est") => {
            Some(Abbreviation::BeforeCapital)
        }
        (_, "no" | "nos" | "fig" | "vol" | "art" | "ch" | "sept" | "oct" | "nov") => Some(Abbreviation::UnlessNumber),
        (Language::En, "jan" | "feb" | "aug" | "dec") => Some(Abbreviation::UnlessNumber),
        (Language::Fr, "janv" | "févr" | "avr" | "juil" | "déc") => Some(Abbreviation::UnlessNumber),
        _ => None,
    }
}

/// How well speech tolerates a seam after a word without a mark, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seam {
    /// Inside a number, between a title and its name: never.
    Never,
    /// After an article, a preposition, a pronoun, inside a name: only where waiting costs more.
    Poor,
    /// After a verb that leans on what follows ("It is", "Il y a"): where sound is wanted soon.
    Fair,
    /// After any other word.
    Good,
}

impl Seam {
    /// The seam after `word`, before a word that begins with `next`.
    pub(super) fn of(word: &str, next: char, language: Language) -> Seam {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = bare.to_lowercase();
        let is_in = |list: &str| list.split_whitespace().any(|w| w == lower);
        let (numbers, clinging, leaning) = lists(language);
        // Its unit, or its rest, follows.
        if bare.ends_with(char::is_numeric) || is_in(numbers) {
            return Seam::Never;
        }
        let opens = next.is_alphabetic() || matches!(next, '(' | '"' | '«' | '“' | '*' | '_' | '`' | '[');
        let in_name = next.is_uppercase() && bare.starts_with(char::is_uppercase);
        if is_in(leaning) && (opens || next.is_numeric()) {
            Seam::Fair
        } else if opens && !in_name && !is_in(clinging) && bare.chars().all(|c| !c.is_numeric()) && !bare.is_empty() {
            Seam::Good
        } else {
            Seam::Poor
        }
    }
}

/// Numbers and titles; words that cling to the next one (articles, prepositions, pronouns, conjunctions, degrees);
/// verbs that lean on it.
fn lists(language: Language) -> (&'static str, &'static str, &'static str) {
    match language {
        Language::En => (
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen \
             eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion \
             mr mrs ms dr st",
            "a an the this that these those my your his her its our their some any no every each another \
             of to in on at by for from with without into onto over under about between through during as than like \
             and or but nor so if when while because since until although whether where who which what whose how \
             i you he she it we they there \
             half past quarter not very too more most less quite rather just only also really",
            "is are was were be been being am has have had do does did will would can could shall should may might must \
             i'm you're he's she's it's we're they're i'll you'll it'll we'll i've you've i'd you'd that's there's here's",
        ),
        Language::Fr => (
            "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt trente \
             quarante cinquante soixante cent cents mille million millions milliard milliards \
             m. mme dr",
            "le la les l un une des du de d au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre vos \
             leur leurs quel quelle quels quelles chaque quelques plusieurs tout toute tous toutes aucun aucune \
             à en dans sur sous par pour avec sans chez vers entre depuis pendant avant après contre comme selon \
             et ou mais ni car donc si que qu qui dont où quand lorsque puisque parce quoi \
             je j tu il elle on nous vous ils elles me m te t se s y n ne c \
             pas plus moins très trop assez bien aussi encore déjà \
             d'un d'une qu'il qu'elle qu'un qu'une s'il l'un l'une",
            "est sont était étaient sera seront suis es sommes êtes été être a ai as avons avez ont avait aura avoir \
             peut peux peuvent pouvez va vais vont fait font doit dois c'est j'ai n'est n'a",
        ),
    }
}
