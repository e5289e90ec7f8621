//! What Whisper writes when nothing was said. It learnt from subtitles: in silence and noise it signs them, thanks for
//! watching, or turns in circles.

use super::engine::Heard;

/// Credits and closing words of videos, which nobody says to a speaker: a text that begins with one is dropped. In the
/// form of [`plain`]. Sources: the issue lists of Whisper and whisper.cpp, where these are the ones most often shown.
const CREDITS: &[&str] = &[
    "sous titres realises par",
    "sous titres realises para",
    "sous titres par",
    "sous titrage",
    "sous titreur com",
    "par soustitreur com",
    "sous titres fait par",
    "merci d avoir regarde",
    "merci d avoir visionne",
    "n oubliez pas de vous abonner",
    "abonnez vous",
    "a la prochaine video",
    "a bientot pour une nouvelle video",
    "a tres bientot pour une nouvelle video",
    "on se retrouve dans une prochaine video",
    "traduction de la communaute",
    "amara org",
    "subtitles by",
    "subtitled by",
    "captions by",
    "captioned by",
    "closed captioning",
    "transcription by",
    "transcribed by",
    "translated by",
    "thanks for watching",
    "thank you for watching",
    "thanks so much for watching",
    "thank you so much for watching",
    "thank you very much for watching",
    "please subscribe",
    "please like and subscribe",
    "like and subscribe",
    "don t forget to subscribe",
    "don t forget to like",
    "subscribe to my channel",
    "subscribe to our channel",
    "see you in the next video",
    "see you next video",
    "i ll see you in the next",
];

/// What somebody may well say, and what Whisper also writes into silence: dropped only where the model doubts.
const DOUBTFUL: &[&str] = &[
    "thank you",
    "thank you very much",
    "thank you bye",
    "thanks",
    "you",
    "bye",
    "bye bye",
    "okay",
    "ok",
    "oh",
    "so",
    "yeah",
    "the end",
    "the",
    "i",
    "hmm",
    "mm",
    "mmm",
    "uh",
    "um",
    "ah",
    "eh",
    "merci",
    "merci beaucoup",
    "merci a tous",
    "au revoir",
    "oui",
    "et",
    "euh",
    "bon",
    "voila",
    "c est parti",
    "musique",
    "music",
    "applause",
    "applaudissements",
    "silence",
    "generique",
];

/// OpenAI's own rule for a silent window: the model says that nobody speaks, and is unsure of what it wrote.
const NO_SPEECH: f32 = 0.6;
const UNSURE: f32 = -1.0;

/// However it came about, a text of this mean log-probability is not what was said.
const BABBLE: f32 = -1.5;

/// For [`DOUBTFUL`] texts a little doubt is enough.
const SOME_NO_SPEECH: f32 = 0.2;
const SOME_DOUBT: f32 = -0.6;

/// The text that was heard, normalised; empty where the model made it up.
pub(super) fn said(heard: &Heard) -> String {
    let text = spoken(&heard.text);
    let plain = plain(&text);
    let silent = heard.no_speech > NO_SPEECH && heard.avg_logprob < UNSURE;
    let doubted = heard.no_speech > SOME_NO_SPEECH || heard.avg_logprob < SOME_DOUBT;
    let made_up = plain.is_empty()
        || silent
        || heard.avg_logprob < BABBLE
        || CREDITS.iter().any(|credit| begins(&plain, credit))
        || (doubted && DOUBTFUL.contains(&plain.as_str()))
        || circles(&plain);
    if made_up { String::new() } else { text }
}

/// The text with single spaces and without what is marked as no speech: [BLANK_AUDIO], (music), *sighs*, ♪ la la ♪.
fn spoken(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut until = None;
    for c in text.chars() {
        match (until, c) {
            (Some(close), c) if c == close => until = None,
            (Some(_), _) => {}
            (None, '[') => until = Some(']'),
            (None, '(') => until = Some(')'),
            (None, '*') => until = Some('*'),
            (None, '♪') => until = Some('♪'),
            (None, '♫' | '\u{fffd}') => {}
            (None, c) => kept.push(c),
        }
        if until.is_some() && !kept.ends_with(' ') {
            kept.push(' ');
        }
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lower case, without accents and marks, words separated by one space: what the lists above are compared with.
fn plain(text: &str) -> String {
    let folded: String = text
        .to_lowercase()
        .chars()
        .map(|c| match c {
            'à' | 'â' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'î' | 'ï' => 'i',
            'ô' | 'ö' => 'o',
            'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            c if c.is_alphanumeric() => c,
            _ => ' ',
        })
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn begins(text: &str, phrase: &str) -> bool {
    text.strip_prefix(phrase).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The text is one word or phrase said again and again.
fn circles(plain: &str) -> bool {
    let words: Vec<&str> = plain.split(' ').collect();
    (1..=8).any(|unit| {
        let times = if unit == 1 { 6 } else { 4 };
        let repeated = words.windows(2 * unit).filter(|pair| pair[..unit] == pair[unit..]).count();
        // A unit said `times` times in a row is equal to its follower at this many places; it must be most of the text.
        repeated > (times - 2) * unit && (repeated + 2 * unit - 1) * 2 > words.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Language;

    fn heard(text: &str, no_speech: f32, avg_logprob: f32) -> String {
        let language = Language::En;
        said(&Heard { text: text.into(), language, audio_ctx: 112, no_speech, avg_logprob })
    }

    #[test]
    fn what_was_said_is_kept_and_its_spaces_made_single() {
        for (text, want) in [
            (" what time is it", "what time is it"),
            ("  Quelle  heure\nest-il ?", "Quelle heure est-il ?"),
            (" Thank you.", "Thank you."),
            (" merci", "merci"),
            (" no no no no", "no no no no"),
            (" [BLANK_AUDIO] What time is it? (music)", "What time is it?"),
            (" Sous-titrer un film, c'est difficile", "Sous-titrer un film, c'est difficile"),
            (" you are late", "you are late"),
        ] {
            assert_eq!(heard(text, 0.01, -0.1), want, "{text:?}");
        }
    }

    #[test]
    fn known_hallucinations_are_nothing() {
        for text in [
            "",
            " .",
            " ...",
            " [BLANK_AUDIO]",
            " (music)",
            " *applause*",
            " ♪♪",
            " ♪ la la la ♪",
            " ♪ la la la",
            " [Musique",
            " Thanks for watching!",
            " Thank you so much for watching, and see you soon.",
            " Sous-titres réalisés par la communauté d'Amara.org",
            " Sous-titres réalisés para la communauté d'Amara.org",
            " Sous-titrage Société Radio-Canada",
            " Sous-titrage ST' 501",
            " Merci d'avoir regardé cette vidéo !",
            " ❤️ par SousTitreur.com",
            " Abonnez-vous !",
            " Subtitles by the Amara.org community",
            " I'm sorry. I'm sorry. I'm sorry. I'm sorry. I'm sorry.",
            " no no no no no no no",
            " Et puis. Et puis. Et puis. Et puis. Et",
        ] {
            assert_eq!(heard(text, 0.01, -0.1), "", "{text:?}");
        }
    }

    #[test]
    fn doubt_decides_about_what_may_have_been_said() {
        assert_eq!(heard(" Thank you.", 0.3, -0.1), "");
        assert_eq!(heard(" Merci.", 0.0, -0.8), "");
        assert_eq!(heard(" You", 0.05, -0.2), "You");
        assert_eq!(heard(" turn on the lights", 0.3, -0.8), "turn on the lights");
        assert_eq!(heard(" turn on the lights", 0.7, -1.1), "");
        assert_eq!(heard(" turn on the lights", 0.7, -0.5), "turn on the lights");
        assert_eq!(heard(" turn on the lights", 0.0, -1.6), "");
    }
}
