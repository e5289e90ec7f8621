//! Every sentence of the demo's Whisper gets its own fitting reply, and any other text gets one that follows from it.

use std::collections::{BTreeSet, HashMap};

use super::*;

/// The sentences that the demo's Whisper was trained on: patterns and the words that fill them.
const ENGLISH: &[&str] = &[
    "what time is it",
    "what is the weather like today",
    "what is the weather in {city}",
    "set a timer for {n} minutes",
    "set a timer for {n} seconds",
    "cancel the timer",
    "how much time is left",
    "turn on the {room} lights",
    "turn off the {room} lights",
    "play some {music} music",
    "stop",
    "pause",
    "volume up",
    "volume down",
    "set the volume to {n}",
    "tell me a joke",
    "what can you do",
    "how are you today",
    "good morning",
    "good night",
    "who are you",
    "what day is it",
    "what is {n} plus {m}",
    "what is {n} times {m}",
    "remind me to {task}",
    "add {item} to the shopping list",
    "read me the news",
    "thank you",
    "hello elio",
    "never mind",
    "open the {room} window",
    "is it going to rain tomorrow",
];
const FRENCH: &[&str] = &[
    "quelle heure est-il",
    "quel temps fait-il aujourd'hui",
    "quel temps fait-il à {ville}",
    "mets un minuteur de {nf} minutes",
    "mets un minuteur de {nf} secondes",
    "annule le minuteur",
    "allume la lumière {piece}",
    "éteins la lumière {piece}",
    "mets de la musique {mus}",
    "arrête",
    "pause",
    "monte le volume",
    "baisse le volume",
    "raconte-moi une blague",
    "que sais-tu faire",
    "comment vas-tu aujourd'hui",
    "bonjour elio",
    "bonne nuit",
    "qui es-tu",
    "quel jour sommes-nous",
    "combien font {nf} plus {mf}",
    "combien font {nf} fois {mf}",
    "rappelle-moi de {tache}",
    "ajoute {art} à la liste de courses",
    "lis-moi les nouvelles",
    "merci",
    "est-ce qu'il va pleuvoir demain",
];
const SLOTS: &[(&str, &str)] = &[
    ("city", "paris,london,berlin,tokyo,new york,madrid,rome"),
    ("n", "two,three,four,five,six,seven,eight,nine,ten,twelve,fifteen,twenty,thirty,forty"),
    ("m", "two,three,four,five,six,seven,eight,nine,ten,twelve,fifteen,twenty,thirty,forty"),
    ("room", "kitchen,bedroom,living room,bathroom,office,garage"),
    ("music", "jazz,rock,classical,quiet,dance"),
    ("task", "call my mother,water the plants,take out the trash,buy bread,feed the cat"),
    ("item", "milk,bread,eggs,butter,coffee,apples"),
    ("ville", "paris,lyon,marseille,bruxelles,nice,lille"),
    ("nf", "deux,trois,quatre,cinq,six,sept,huit,neuf,dix,douze,quinze,vingt,trente"),
    ("mf", "deux,trois,quatre,cinq,six,sept,huit,neuf,dix,douze,quinze,vingt,trente"),
    ("piece", "de la cuisine,de la chambre,du salon,du bureau,du garage"),
    ("mus", "douce,classique,de jazz,pour danser"),
    ("tache", "appeler ma mère,arroser les plantes,sortir les poubelles,acheter du pain"),
    ("art", "du lait,du pain,des oeufs,du beurre,du café"),
];

fn expand(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (name, after) = rest.split_once('}').unwrap();
    let (_, values) = SLOTS.iter().find(|(n, _)| *n == name).unwrap();
    values.split(',').flat_map(|v| expand(&format!("{before}{v}{after}"))).collect()
}

/// What a pattern keeps, as it must come back: the captured words or the result of the sum.
fn all() -> Vec<(String, Language)> {
    let of = |patterns: &[&str], l| patterns.iter().flat_map(|p| expand(p)).map(move |t| (t, l)).collect::<Vec<_>>();
    [of(ENGLISH, Language::En), of(FRENCH, Language::Fr)].concat()
}

fn built_in() -> Replies {
    Replies::load(None).unwrap()
}

fn sentences(reply: &str) -> Vec<&str> {
    reply.split_inclusive(['.', '?', '!']).map(str::trim).filter(|s| !s.is_empty()).collect()
}

fn is_fallback(replies: &Replies, reply: &str) -> bool {
    let heads: Vec<_> = replies.fallbacks.iter().flat_map(|(_, r)| r).map(|r| sentences(r)[0].to_owned()).collect();
    heads.contains(&sentences(reply)[0].to_owned())
}

#[test]
fn every_sentence_of_the_demo_has_a_rule_in_its_language() {
    let replies = built_in();
    for (text, language) in all() {
        // One word in both languages is settled by the context.
        let context = if language == Language::Fr { "Language: fr" } else { "Language: en" };
        let reply = replies.reply(&text, context);
        assert!(!is_fallback(&replies, &reply), "{text}: {reply}");
        assert_eq!(language_of(&reply), Some(language), "{text}: {reply}");
    }
}

#[test]
fn every_reply_is_for_the_ear() {
    let replies = built_in();
    let others =
        ["why do cats purr at 5 o'clock", "où est passée la 7e compagnie", "zzz"].map(|t| (t.to_owned(), Language::En));
    for (text, _) in all().into_iter().chain(others) {
        let reply = replies.reply(&text, "");
        let sentences = sentences(&reply);
        assert!((2..=5).contains(&sentences.len()), "{text}: {reply}");
        assert!(sentences[0].split_whitespace().count() <= 8, "{text}: {}", sentences[0]);
        assert!(crate::sim::tokens::count(&reply) >= 30, "too short to be spoken while it is written: {reply}");
        let plain = |c: char| c.is_alphabetic() || " ,.?!:'-".contains(c);
        assert!(reply.chars().all(plain), "{text}: {reply}");
    }
}

#[test]
fn different_questions_get_different_replies_and_the_same_always_the_same() {
    let (one, two) = (built_in(), built_in());
    let mut seen: HashMap<String, String> = HashMap::new();
    for (text, language) in all() {
        let context = if language == Language::Fr { "fr" } else { "en" };
        let reply = one.reply(&text, context);
        assert_eq!(reply, two.reply(&text, context));
        if let Some(other) = seen.insert(reply, text.clone()) {
            assert_eq!(fold::fold(&other), fold::fold(&text), "two questions, one reply");
        }
    }
    let first: BTreeSet<_> = seen.keys().map(|r| sentences(r)[0].to_owned()).collect();
    assert!(first.len() > 50, "{} first sentences", first.len());
}

#[test]
fn the_words_of_the_question_come_back() {
    let replies = built_in();
    let reply = |text: &str| replies.reply(text, "");
    for city in ["paris", "new york"] {
        let said = reply(&format!("What is the weather in {city}?")).to_lowercase();
        assert!(said.contains(city), "{said}");
    }
    assert!(reply("what is twelve plus thirty").starts_with("Twelve plus thirty is forty-two."));
    assert!(reply("What is 12 times 40?").starts_with("Twelve times forty is four hundred eighty."));
    assert!(reply("combien font quinze fois six").starts_with("Quinze fois six font quatre-vingt-dix."));
    assert!(
        reply("Combien font vingt et un plus quatre-vingts ?")
            .starts_with("Vingt et un plus quatre-vingts font cent un.")
    );
    assert!(reply("remind me to call my mother").contains("call your mother"));
    assert!(reply("rappelle-moi d'appeler ma mère").contains("appeler votre mère"));
    assert!(reply("Ajoute des œufs à la liste de courses.").contains("des œufs"));
}

#[test]
fn case_accents_and_apostrophes_are_as_whisper_leaves_them() {
    let replies = built_in();
    let reply = |text: &str| replies.reply(text, "");
    let plain = reply("quel temps fait-il aujourd'hui");
    for variant in
        ["Quel temps fait-il aujourd’hui ?", "quel temps fait il aujourd hui", " QUEL TEMPS FAIT-IL AUJOURD'HUI."]
    {
        assert_eq!(reply(variant), plain, "{variant}");
    }
    assert_eq!(reply("eteins la lumiere du salon"), reply("Éteins la lumière du salon !"));
}

#[test]
fn a_word_of_both_languages_is_answered_in_the_language_of_the_context() {
    let replies = built_in();
    assert!(replies.reply("pause", "").starts_with("Paused"));
    assert!(replies.reply("pause", "It is noon. The person speaks French.").starts_with("Je fais"));
    assert!(replies.reply("Pause.", "Il est midi, la lumière est allumée.").starts_with("Je fais"));
}

#[test]
fn a_question_that_no_rule_knows_is_quoted_in_its_language() {
    let replies = built_in();
    let en = replies.reply("Where did I leave my 2 green socks yesterday evening?", "");
    assert!(en.contains("where did i leave my two green"), "{en}");
    let fr = replies.reply("Où sont passées mes chaussettes vertes ?", "");
    assert!(fr.contains("où sont passées mes chaussettes vertes"), "{fr}");
    assert_eq!(language_of(&fr), Some(Language::Fr));
    assert_ne!(replies.reply("purple elephants", ""), replies.reply("yellow elephants", ""));
}

#[test]
fn a_file_that_is_wrong_is_refused_in_one_line_that_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let fallback = "[[fallback]]\nlanguage='en'\nreplies=['{words}']\n";
    let both = format!("{fallback}{}", fallback.replace("'en'", "'fr'"));
    for (text, wanted) in [
        ("[[rule]]\nlanguage='de'\n".to_owned(), "line 2"),
        (format!("[[rule]]\nlanguage='en'\npatterns=['...']\nreplies=['x']\n{both}"), "`...`"),
        (format!("[[rule]]\nlanguage='en'\npatterns=[]\nreplies=['x']\n{both}"), "no pattern"),
        (format!("rule=[]\n{fallback}"), "fallback for language Fr"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Replies::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("r.toml") && !error.contains('\n'), "{error}");
    }
    let missing = Replies::load(Some(&dir.path().join("none.toml"))).unwrap_err().to_string();
    assert!(missing.contains("none.toml") && missing.contains("--replies"), "{missing}");
}
