//! Every word that Elio speaks of its own, in each language.

use crate::claude::ClaudeError;
use crate::config::Language;

/// A ready line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phrase {
    /// The turn held no words.
    NothingHeard,
    /// The mute switch is on.
    Muted,
    /// The microphone is gone.
    MicrophoneLost,
    /// Hearing failed.
    HearingFailed,
    /// No connection to Claude.
    Offline,
    /// Claude is overloaded, or asks to wait.
    Busy,
    /// Key, billing, permission, spend cap: the owner has to act.
    Account,
    /// Claude refused to answer.
    Refused,
    /// The answer broke off.
    CutShort,
    /// Anything else.
    Failed,
    /// Hearing or the voice is not loaded yet: the answer comes later.
    Starting,
    /// Elio has given up: only its owner can start it again.
    Stopped,
}

impl Phrase {
    /// All of them.
    pub const ALL: [Phrase; 12] = [
        Phrase::NothingHeard,
        Phrase::Muted,
        Phrase::MicrophoneLost,
        Phrase::HearingFailed,
        Phrase::Offline,
        Phrase::Busy,
        Phrase::Account,
        Phrase::Refused,
        Phrase::CutShort,
        Phrase::Failed,
        Phrase::Starting,
        Phrase::Stopped,
    ];

    /// The line for a failure of Claude before its first word.
    pub fn for_claude(error: &ClaudeError) -> Phrase {
        match error.kind() {
            // The API itself says that it was too slow: the internet is there.
            "timeout" if matches!(error, ClaudeError::Api(_)) => Phrase::Busy,
            "offline" | "tls" | "timeout" => Phrase::Offline,
            "overloaded" | "rate_limited" | "server" => Phrase::Busy,
            "key" | "billing" | "forbidden" | "spend_cap" | "not_found" => Phrase::Account,
            "refused" => Phrase::Refused,
            // A connection that was cut, too: nothing of an answer was heard that could have a lost rest.
            _ => Phrase::Failed,
        }
    }

    /// Every line in every language, for a voice to keep; what is said most often comes first.
    pub fn lines() -> Vec<(Language, String)> {
        let both = |phrase: Phrase| [Language::En, Language::Fr].map(|of| (of, phrase.text(of).to_owned()));
        Phrase::ALL.into_iter().flat_map(both).collect()
    }

    /// The words.
    pub fn text(self, language: Language) -> &'static str {
        match language {
            Language::En => self.english(),
            Language::Fr => self.french(),
        }
    }

    fn english(self) -> &'static str {
        match self {
            Phrase::NothingHeard => "I did not hear anything.",
            Phrase::Muted => "My microphone is off. Switch it on, then ask again.",
            Phrase::MicrophoneLost => "I have lost my microphone. Please check its cable.",
            Phrase::HearingFailed => "I could not understand that. Please say it again.",
            Phrase::Offline => "I cannot reach the internet. Please check the network, then ask again.",
            Phrase::Busy => "I cannot answer right now. Please ask again in a minute.",
            Phrase::Account => "My account needs attention. Please look at the journal of this speaker.",
            Phrase::Refused => "I cannot help with that.",
            Phrase::CutShort => "Sorry, the rest of my answer was lost.",
            Phrase::Failed => "Sorry, something went wrong. Please ask again.",
            Phrase::Starting => "One moment, I am just starting up.",
            Phrase::Stopped => "I have stopped working. Please look at the journal of this speaker.",
        }
    }

    fn french(self) -> &'static str {
        match self {
            Phrase::NothingHeard => "Je n'ai rien entendu.",
            Phrase::Muted => "Mon micro est coupé. Rallumez-le, puis reposez la question.",
            Phrase::MicrophoneLost => "J'ai perdu mon micro. Vérifiez son câble, s'il vous plaît.",
            Phrase::HearingFailed => "Je n'ai pas compris. Répétez, s'il vous plaît.",
            Phrase::Offline => "Je n'arrive pas à joindre internet. Vérifiez le réseau, puis reposez la question.",
            Phrase::Busy => "Je ne peux pas répondre pour l'instant. Reposez la question dans une minute.",
            Phrase::Account => "Mon compte demande votre attention. Regardez le journal de cette enceinte.",
            Phrase::Refused => "Je ne peux pas vous aider pour cela.",
            Phrase::CutShort => "Désolé, la suite de ma réponse s'est perdue.",
            Phrase::Failed => "Désolé, quelque chose n'a pas marché. Reposez la question, s'il vous plaît.",
            Phrase::Starting => "Un instant, je démarre tout juste.",
            Phrase::Stopped => "J'ai cessé de fonctionner. Regardez le journal de cette enceinte.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::claude::{ApiFault, ApiKind};

    #[test]
    fn an_api_that_is_slow_is_no_missing_internet_and_a_cut_before_the_first_word_no_lost_rest() {
        let (host, after) = ("h:443".to_owned(), Duration::from_secs(8));
        let silent =
            ClaudeError::Timeout { host: host.clone(), awaited: "response", after, request_id: None, connection: None };
        assert_eq!(Phrase::for_claude(&silent), Phrase::Offline);
        let slow = ClaudeError::Api(Box::new(ApiFault {
            kind: ApiKind::of_status(504, false),
            status: Some(504),
            message: String::new(),
            request_id: None,
            retry_after: None,
            should_retry: None,
            subject: host.clone(),
            connection: None,
        }));
        assert_eq!(Phrase::for_claude(&slow), Phrase::Busy);
        let cut = ClaudeError::Cut { host, fault: String::new(), request_id: None, connection: None };
        assert_eq!(Phrase::for_claude(&cut), Phrase::Failed);
    }

    #[test]
    fn each_line_differs_and_ends_as_a_sentence_in_both_languages() {
        let mut seen = std::collections::HashSet::new();
        for phrase in Phrase::ALL {
            for language in [Language::En, Language::Fr] {
                let text = phrase.text(language);
                assert!(text.ends_with('.'), "{text}");
                assert!(seen.insert(text), "{text} is there twice");
            }
        }
    }
}
