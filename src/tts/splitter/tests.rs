//! A corpus of what goes wrong, in both languages, and what holds for any text.

use proptest::prelude::*;

use super::*;
use Language::{En, Fr};

/// The whole answer, pushed `step` characters at a time.
fn split_by(language: Language, text: &str, step: usize) -> (Vec<Chunk>, String) {
    let mut splitter = Splitter::new(language);
    let characters: Vec<char> = text.chars().collect();
    let mut chunks = Vec::new();
    for delta in characters.chunks(step) {
        chunks.extend(splitter.push(&delta.iter().collect::<String>()));
    }
    chunks.extend(splitter.finish());
    (chunks, splitter.tail().to_owned())
}

fn texts(language: Language, text: &str) -> Vec<String> {
    split_by(language, text, 1).0.into_iter().map(|chunk| chunk.text).collect()
}

/// How many characters have to be pushed for the first chunk to come out.
fn first_after(language: Language, text: &str) -> Option<usize> {
    let mut splitter = Splitter::new(language);
    text.char_indices().find(|(_, c)| !splitter.push(&c.to_string()).is_empty()).map(|(at, c)| at + c.len_utf8())
}

#[test]
fn corpus() {
    // The first chunk is set apart by "Well, then. " in most, so that the rest shows how sentences are cut.
    let cases: &[(Language, &str, &[&str])] = &[
        (En, "Yes. It is.", &["Yes.", "It is."]),
        (
            En,
            "It is half past three, and the weather is sunny.",
            &["It is", "half past three, and the weather is sunny."],
        ),
        (En, "The weather in Paris is sunny today", &["The weather", "in Paris is sunny today"]),
        (Fr, "La capitale de la France est Paris.", &["La capitale", "de la France est Paris."]),
        (En, "Sure, I can do that for you.", &["Sure,", "I can do that for you."]),
        // Numbers.
        (En, "Pi is 3.14159, more or less.", &["Pi is", "3.14159, more or less."]),
        (En, "Right. It is 10:30. Go.", &["Right.", "It is 10:30.", "Go."]),
        (Fr, "Oui. Il y en a 1 000 ou 1,5 million. Voilà.", &["Oui.", "Il y en a 1 000 ou 1,5 million.", "Voilà."]),
        (Fr, "Cela en fait bien 1 000 000 en tout", &["Cela en fait", "bien 1 000 000 en tout"]),
        (En, "42. That is the answer.", &["42.", "That is the answer."]),
        (En, "In 2024. Then 3.5 more. End", &["In 2024.", "Then 3.5 more.", "End"]),
        // Abbreviations and initials.
        (En, "Ask Dr. Smith. He knows.", &["Ask Dr. Smith.", "He knows."]),
        (
            En,
            "So. Fruit, e.g. pears, etc. are fine. Eat pears, plums, etc. Then rest.",
            &["So.", "Fruit, e.g. pears, etc. are fine.", "Eat pears, plums, etc.", "Then rest."],
        ),
        (En, "No. It is No. 5. No. Never.", &["No.", "It is No. 5.", "No.", "Never."]),
        (
            En,
            "So. J. K. Rowling wrote it at 5 p.m. in the U.S. of old. So do I. Bye.",
            &["So.", "J. K. Rowling wrote it at 5 p.m. in the U.S. of old.", "So do I.", "Bye."],
        ),
        (En, "Done. We met at 5 p.m. Then we ate.", &["Done.", "We met at 5 p.m.", "Then we ate."]),
        (
            Fr,
            "Oui. M. Dupont et Mme. Roy, p. ex. ceux-ci, viennent av. J.-C. ou après. Voilà.",
            &["Oui.", "M. Dupont et Mme. Roy, p. ex. ceux-ci, viennent av. J.-C. ou après.", "Voilà."],
        ),
        (Fr, "Voir art. 5. Puis cf. p. 3, etc. Fin.", &["Voir art. 5.", "Puis cf. p. 3, etc.", "Fin."]),
        // French spacing and guillemets.
        (Fr, "Bonjour ! Comment ça va ? Bien : merci.", &["Bonjour !", "Comment ça va ?", "Bien : merci."]),
        (Fr, "Bonjour\u{a0}! Ça va\u{202f}? Oui.", &["Bonjour !", "Ça va ?", "Oui."]),
        (Fr, "Voilà. Il a dit « Oui. » Puis rien.", &["Voilà.", "Il a dit « Oui. »", "Puis rien."]),
        (Fr, "Il est 10 % moins cher", &["Il est", "10 pour cent moins cher"]),
        // Quotes, brackets, ellipses.
        (
            En,
            "Well. \"Really?\" she asked. \"Yes.\" He left.",
            &["Well.", "\"Really?\" she asked.", "\"Yes.\"", "He left."],
        ),
        (En, "Well… I think so. Hm... Maybe not.", &["Well…", "I think so.", "Hm...", "Maybe not."]),
        (En, "Yes... but it (as you know. Really.) works.", &["Yes...", "but it (as you know.", "Really.) works."]),
        (En, "What?! No way!! Yes.", &["What?!", "No way!!", "Yes."]),
        // URLs and addresses.
        (
            En,
            "Look. See https://www.elio.example/a.b?c=d#e. Then (http://x.example/) go.",
            &["Look.", "See elio.example.", "Then (x.example) go."],
        ),
        (
            En,
            "Go. The site elio.example is up, mail me@elio.example now.",
            &["Go.", "The site elio.example is up, mail me at elio.example now."],
        ),
        // Markdown.
        (En, "**Hello!** How are *you*? Use `cargo run` now.", &["Hello!", "How are you?", "Use cargo run now."]),
        (En, "# Title\n\nSome text here.\n## Other\ntext", &["Title.", "Some text here.", "Other.", "text"]),
        (
            En,
            "Three things:\n- apples\n- **pears**, ripe\n* plums\n\nThat is all.",
            &["Three things:", "apples.", "pears, ripe.", "plums.", "That is all."],
        ),
        (
            En,
            "Steps:\n1. Open it.\n2. Close it\n3) Rest\nDone.",
            &["Steps:", "1. Open it.", "2. Close it.", "3) Rest.", "Done."],
        ),
        (
            En,
            "Read [the Elio guide](https://elio.example/guide \"A guide\") first. ![a cat](c.png) Fine.",
            &["Read the Elio guide first. a cat Fine."],
        ),
        (En, "Run:\n```bash\nls -la\ncd src\n```\nThen look.", &["Run:", "ls -la.", "cd src.", "Then look."]),
        (
            En,
            "| City | Temp |\n|---|---|\n| Paris | 20 |\n\nThat is it.",
            &["City, Temp.", "Paris, 20.", "That is it."],
        ),
        (En, "> Quoted words.\n> More.\n\n---\n\nAfter.", &["Quoted words.", "More.", "After."]),
        (En, "One line that\nwraps softly. End.", &["One line", "that wraps softly.", "End."]),
        (
            En,
            "Use snake_case and __init__ or 3 * 4 = 12 and 3*4.",
            &["Use snake case", "and init or 3 times 4 equals 12 and 3 times 4."],
        ),
        // Emoji and symbols.
        (En, "Great! 🎉 Let us go 👩‍👩‍👧 now. 🙂", &["Great!", "Let us go now."]),
        (
            En,
            "It is 20°C, or 68 °F, 50% off, R&D. A + B.",
            &["It is", "20 degrees Celsius, or 68 degrees Fahrenheit, 50 percent off, R and D.", "A plus B."],
        ),
        (
            En,
            "OK. It costs $5, €1, $3.50 or $5 million. Or 3£.",
            &["OK.", "It costs 5 dollars, 1 euro, 3 dollars 50 or 5 million dollars.", "Or 3 pounds."],
        ),
        (
            Fr,
            "Oui. Ça coûte 5 €, 3,50 € ou 1€. Par 20 °C, n° 5 & co.",
            &["Oui.", "Ça coûte 5 euros, 3 euros 50 ou 1 euro.", "Par 20 degrés Celsius, numéro 5 et co."],
        ),
        (Fr, "Il fait beau — vraiment. Entre 10–15 km.", &["Il fait", "beau, vraiment.", "Entre 10 à 15 km."]),
        (
            Fr,
            "Bon. À 180 °C (th. 6). Voir https://x.example/Paris_(Texas), ou 1 299,99 € — peut-être.",
            &["Bon.", "À 180 degrés Celsius (th. 6).", "Voir x.example, ou 1 299 euros 99, peut-être."],
        ),
        (En, "Well. It costs $1,299.99 — or so.", &["Well.", "It costs 1,299 dollars 99, or so."]),
        (En, "", &[]),
        (En, " \n 🙂 ** -- \n", &[]),
    ];
    let mut wrong = String::new();
    for (language, text, expected) in cases {
        let found = texts(*language, text);
        if found != *expected {
            wrong += &format!("{text:?}\n  found    {found:?}\n  expected {expected:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn pauses_follow_the_marks() {
    let (chunks, _) = split_by(En, "The weather in Paris is fine, today.\nAnd dry.\n\n- tea\n- milk", 3);
    let pauses: Vec<Pause> = chunks.iter().map(|chunk| chunk.pause).collect();
    use Pause::*;
    assert_eq!(pauses, [None, Sentence, Paragraph, Sentence, Sentence], "{chunks:?}");
}

#[test]
fn a_long_sentence_is_cut_at_clause_marks() {
    let clause = "and the little house on the hill was still there, ";
    let (chunks, _) = split_by(En, &format!("Yes. {}as ever.", clause.repeat(6)), 7);
    let words: Vec<usize> = chunks.iter().map(|chunk| chunk.text.split(' ').count()).collect();
    assert!(words[1..].iter().all(|&count| count <= SENTENCE_WORDS), "{words:?}");
    assert!(chunks[1..chunks.len() - 1].iter().all(|chunk| chunk.text.ends_with(',')), "{chunks:?}");
}

#[test]
fn a_sentence_without_marks_does_not_wait_for_ever() {
    let chunks = texts(En, &"stone river ".repeat(200));
    assert!(chunks.iter().all(|chunk| chunk.split(' ').count() <= SENTENCE_WORDS_MOST), "{chunks:?}");
}

#[test]
fn no_longer_wait_than_needed() {
    // The space after "Hello." could be the end of "Hello. »"; the letter after it decides.
    assert_eq!(first_after(En, "Hello. How are you?"), Some("Hello. H".len()));
    assert_eq!(first_after(En, "Only 3.5 degrees. So"), Some("Only 3.5 degrees. S".len()));
    assert_eq!(first_after(En, "Good morning, dear"), Some("Good morning, d".len()));
    assert_eq!(first_after(En, "The Eiffel Tower stands in"), Some("The Eiffel Tower s".len()));
    assert_eq!(first_after(En, "3."), None);
    assert_eq!(first_after(En, "Hello.\n\nHow"), Some("Hello.\n\nH".len()));
}

#[test]
fn a_first_chunk_without_a_mark_ends_at_the_second_word_that_tolerates_it() {
    let first = |language, text: &str| texts(language, text).swap_remove(0);
    for (language, text, expected) in [
        (En, "Today stays dry and mild.", "Today stays"),
        // Verbs that lean on what follows are good enough here.
        (En, "It is a quarter past nine.", "It is"),
        (En, "It is 20 degrees outside.", "It is"),
        (Fr, "Il est midi et quart.", "Il est"),
        (Fr, "Il y a deux chats ici.", "Il y a"),
        // Articles, prepositions, names, numbers are not.
        (En, "In the morning it rains.", "In the morning"),
        (En, "The Eiffel Tower stands in Paris.", "The Eiffel Tower"),
        (En, "About four hundred kilometres from here.", "About four hundred kilometres"),
        (Fr, "Dans la cuisine il fait chaud.", "Dans la cuisine"),
        (En, "Call 555 123 now please.", "Call 555 123 now"),
        // A clause, however short.
        (En, "Yes, a little rain tomorrow.", "Yes,"),
        (En, "Noon.", "Noon."),
    ] {
        assert_eq!(first(language, text), expected);
    }
}

#[test]
fn a_slow_voice_gets_a_longer_first_chunk_but_never_more_than_a_sentence() {
    let first = |least, text: &str| {
        let mut splitter = Splitter::new(En).least_first(least);
        let mut chunks = splitter.push(text);
        chunks.extend(splitter.finish());
        chunks.swap_remove(0).text
    };
    assert_eq!(first(5, "It is a quarter past nine."), "It is");
    assert_eq!(first(12, "The old house stands on the green hill."), "The old house");
    assert_eq!(first(14, "The old house stands on the green hill."), "The old house stands");
    assert_eq!(first(14, "Yes, the old house stands on the green hill."), "Yes, the old house");
    assert_eq!(first(1_000, "Yes. It stands on the hill."), "Yes.");
    let mut splitter = Splitter::new(En).least_first(20);
    assert_eq!((splitter.push("Yes, the old h"), splitter.waiting(), splitter.hurry()), (vec![], None, None));
    let words = "stone river ".repeat(20);
    assert_eq!(first(1_000, &words).split(' ').count(), FIRST_WORDS_MOST);
}

#[test]
fn a_hurried_first_chunk_ends_even_after_an_article_but_never_inside_a_number() {
    let mut splitter = Splitter::new(En);
    assert_eq!((splitter.push("In the m"), splitter.waiting()), (vec![], Some(6)));
    assert_eq!(splitter.hurry().unwrap().text, "In the");
    assert!(!splitter.at_first());
    assert_eq!(splitter.finish()[0].text, "m");

    let mut splitter = Splitter::new(En);
    assert!(splitter.push("Call the 555 123 n").is_empty());
    let chunk = splitter.hurry().unwrap();
    assert_eq!((chunk.text.as_str(), chunk.written.as_str(), chunk.pause), ("Call the", "Call the", Pause::None));
    let mut splitter = Splitter::new(En);
    assert!(splitter.push("About 4 000 b").is_empty());
    assert_eq!((splitter.waiting(), splitter.hurry()), (None, None));
}

#[test]
fn a_hurried_first_chunk_may_be_one_word_of_two_parts() {
    for (language, text, hurried, unhurried) in [
        (Fr, "Laissez-moi réfléchir. Vous avez raison.", "Laissez-moi", "Laissez-moi réfléchir."),
        (Fr, "J'ouvre la fenêtre du jardin.", "J'ouvre", "J'ouvre la fenêtre"),
        (En, "It's half past three.", "It's", "It's half past three."),
    ] {
        let mut splitter = Splitter::new(language);
        let begun = format!("{hurried} {}", &text[hurried.len() + 1..][..1]);
        assert!(splitter.push(hurried).is_empty());
        assert_eq!(splitter.likely_first().as_deref(), Some(hurried));
        assert!(splitter.push(&begun[hurried.len()..]).is_empty());
        assert_eq!(splitter.waiting(), Some(hurried.chars().count()));
        assert_eq!(splitter.hurry().unwrap().text, hurried);
        assert_eq!(texts(language, text)[0], unhurried);
    }
    let mut splitter = Splitter::new(Fr);
    assert!(splitter.push("Voilà").is_empty());
    assert_eq!((splitter.waiting(), splitter.likely_first()), (None, None), "one word of one part");
}

#[test]
fn a_hurried_chunk_ends_at_its_best_place_or_at_the_next_that_will_do() {
    let begin = |text: &str| {
        let mut splitter = Splitter::new(En);
        assert_eq!(splitter.push("Yes. It").len(), 1);
        assert_eq!(splitter.push(text), []);
        splitter
    };
    // A clause mark is better than a later word.
    let mut splitter = begin(" is dry there, but the hills are w");
    let chunk = splitter.hurry().unwrap();
    assert_eq!((chunk.text.as_str(), chunk.pause), ("It is dry there,", Pause::Clause));
    assert_eq!(splitter.waiting(), Some("but the hills are".len()));
    assert_eq!((splitter.hurry(), splitter.waiting()), (None, None));
    assert_eq!(splitter.push("et t")[0].text, "but the hills are wet");
    // Nothing will do yet: not after "the". It is asked once.
    let mut splitter = begin(" rains on the h");
    assert_eq!(splitter.hurry().unwrap().text, "It rains");
    assert_eq!((splitter.hurry(), splitter.waiting()), (None, None));
    assert_eq!(splitter.push("ills b")[0].text, "on the hills");
    // The currency belongs to what comes after the cut.
    let mut splitter = begin(" costs them $5");
    assert_eq!(splitter.push(" million "), []);
    assert_eq!(splitter.hurry().unwrap().text, "It costs");
    assert_eq!(splitter.finish()[0].text, "them 5 million dollars");
}

#[test]
fn the_likely_first_chunk_is_known_before_the_word_behind_it() {
    let mut splitter = Splitter::new(En);
    let mut likely = |delta: &str| {
        assert!(splitter.push(delta).is_empty(), "{delta}");
        splitter.likely_first()
    };
    assert_eq!(likely("The"), None);
    assert_eq!(likely(" kit").as_deref(), Some("The kit"));
    assert_eq!(likely("chen").as_deref(), Some("The kitchen"));
    assert_eq!(splitter.push(" light")[0].text, "The kitchen");
    assert_eq!(splitter.likely_first(), None);
}

fn deltas() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        "[a-zéà]{1,8}",
        " ",
        " ",
        "[.,!?;:…]",
        "[0-9]{1,3}",
        "\n",
        "[*_`#|>\\-()\\[\\]«»\"€$%°+=&/@~^<]",
        Just("\n- ".to_owned()),
        Just("\n1. ".to_owned()),
        Just("\n```\n".to_owned()),
        Just("**".to_owned()),
        Just("https://elio.example/a?b=1".to_owned()),
        Just("](x \"y\")".to_owned()),
        Just("Dr. ".to_owned()),
        Just(" etc. ".to_owned()),
        Just("🙂".to_owned()),
        Just("\u{a0}!".to_owned()),
        Just(" $5 million".to_owned()),
    ];
    prop::collection::vec(piece, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn deltas_never_decide(deltas in deltas(), french: bool, step in 1usize..12) {
        let language = if french { Fr } else { En };
        let mut splitter = Splitter::new(language);
        let mut chunks: Vec<Chunk> = deltas.iter().flat_map(|delta| splitter.push(delta)).collect();
        chunks.extend(splitter.finish());
        let text = deltas.concat();
        prop_assert_eq!((&chunks, splitter.tail()), (&split_by(language, &text, 1).0, splitter.tail()));
        prop_assert_eq!(&chunks, &split_by(language, &text, step).0);

        let written: String = chunks.iter().map(|chunk| chunk.written.as_str()).chain([splitter.tail()]).collect();
        prop_assert_eq!(&written, &text);
        for pair in chunks.windows(2) {
            prop_assert!(pair[1].written.starts_with(is_space), "cut inside a word: {pair:?}");
        }
        for chunk in &chunks {
            prop_assert!(chunk.text.contains(char::is_alphanumeric), "{chunk:?}");
            prop_assert!(!chunk.text.contains(['*', '`', '#', '|', '\n', '🙂', '_']), "{chunk:?}");
        }
    }

    #[test]
    fn hurry_loses_nothing_and_cuts_between_words(deltas in deltas(), hurries: u64, french: bool) {
        let mut splitter = Splitter::new(if french { Fr } else { En });
        let mut chunks = Vec::new();
        for (n, delta) in deltas.iter().enumerate() {
            chunks.extend(splitter.push(delta));
            let _ = splitter.likely_first();
            if hurries >> (n % 64) & 1 == 1 {
                let waited = splitter.waiting();
                let hurried = splitter.hurry();
                prop_assert!(waited.is_some() || hurried.is_none());
                chunks.extend(hurried);
            }
        }
        chunks.extend(splitter.finish());
        let written: String = chunks.iter().map(|chunk| chunk.written.as_str()).chain([splitter.tail()]).collect();
        prop_assert_eq!(written, deltas.concat());
        for pair in chunks.windows(2) {
            prop_assert!(pair[1].written.starts_with(is_space), "cut inside a word: {pair:?}");
            let numbers = pair[0].pause == Pause::None
                && pair[0].written.ends_with(|c: char| c.is_ascii_digit())
                && pair[1].written.trim_start().starts_with(|c: char| c.is_ascii_digit());
            prop_assert!(!numbers, "cut inside a number: {pair:?}");
        }
        prop_assert!(chunks.iter().all(|chunk| chunk.text.contains(char::is_alphanumeric)), "{chunks:?}");
    }

    #[test]
    fn any_text_at_all(text: String, step in 1usize..9) {
        let (chunks, tail) = split_by(Fr, &text, step);
        prop_assert_eq!(&chunks, &split_by(Fr, &text, 1).0);
        prop_assert_eq!(chunks.into_iter().map(|chunk| chunk.written).collect::<String>() + &tail, text);
    }

    #[test]
    fn plain_words_are_spoken_as_written(words in prop::collection::vec("[a-zA-Zéè']{1,9}", 1..60)) {
        let text = words.join(" ");
        prop_assume!(text.contains(char::is_alphabetic));
        let spoken = texts(En, &text).join(" ");
        let letters = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(letters(&spoken), letters(&text));
    }
}
