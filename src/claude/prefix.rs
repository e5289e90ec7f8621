//! The frozen prefix: the system prompt, the same bytes in every request, so that the prompt cache hits.

use super::ClaudeError;
use super::wire::ContentBlock;
use crate::config::{ClaudeSettings, Language};

/// The built-in part of the system prompt. A changed byte empties every cache once: a snapshot test holds it.
const SYSTEM: &str = include_str!("system_prompt.txt");
/// Larger than this, house rules cost more than they help (characters).
const MOST_INSTRUCTIONS: usize = 40_000;

/// The system prompt of every request of this run, ending with the cache breakpoint.
#[derive(Clone)]
pub struct Prefix {
    system: Vec<ContentBlock>,
    characters: usize,
}

impl Prefix {
    /// The built-in prompt, a line about the languages that are listened for, and the owner's instructions file.
    ///
    /// # Errors
    ///
    /// [`ClaudeError::Setting`] where the instructions file cannot be read, is no UTF-8 or is too long.
    pub fn new(settings: &ClaudeSettings, listen: &[Language]) -> Result<Prefix, ClaudeError> {
        let mut text = SYSTEM.trim_end().to_owned();
        let names: Vec<&str> = listen.iter().map(|language| name(*language)).collect();
        if !names.is_empty() {
            text.push_str("\n\nIn this home people speak ");
            text.push_str(&names.join(" and "));
            text.push('.');
        }
        if let Some(path) = &settings.instructions_file {
            let setting = |fault: String| ClaudeError::Setting {
                key: "instructions_file",
                value: path.display().to_string(),
                fault,
            };
            let rules = std::fs::read_to_string(path).map_err(|error| setting(error.to_string()))?;
            let length = rules.chars().count();
            if length > MOST_INSTRUCTIONS {
                return Err(setting(format!("has {length} characters, at most {MOST_INSTRUCTIONS} are allowed")));
            }
            if !rules.trim().is_empty() {
                text.push_str("\n\nHouse rules of the owner, which come before the rules above\n");
                text.push_str(rules.trim());
            }
        }
        let characters = text.chars().count();
        let system = vec![ContentBlock::cached_text(text, settings.cache_ttl.as_str())];
        Ok(Prefix { system, characters })
    }

    pub(super) fn system(&self) -> Vec<ContentBlock> {
        self.system.clone()
    }

    /// At least this many tokens, counted low: no tokenizer in use makes fewer of plain English than one of 5 characters.
    pub fn least_tokens(&self) -> u32 {
        u32::try_from(self.characters / 5).unwrap_or(u32::MAX)
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prefix({} characters)", self.characters)
    }
}

/// The smallest prefix in tokens that `model` caches; below it nothing is cached, and no error says so. A model that
/// is not listed gets the largest floor known, so that a warning comes too often rather than never.
pub fn min_cacheable(model: &str) -> u32 {
    const FLOORS: [(&str, u32); 2] = [("claude-haiku-5-5", 512), ("claude-haiku-4-5", 4096)];
    FLOORS.iter().find(|(name, _)| model.starts_with(name)).map_or(4096, |(_, floor)| *floor)
}

fn name(language: Language) -> &'static str {
    match language {
        Language::En => "English",
        Language::Fr => "French",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::tests::settings;
    use crate::config::CacheTtl;

    fn bytes(prefix: &Prefix) -> String {
        serde_json::to_string(&prefix.system).unwrap()
    }

    #[test]
    fn the_bytes_are_frozen() {
        let prefix = Prefix::new(&settings(), &[Language::En, Language::Fr]).unwrap();
        insta::assert_snapshot!(bytes(&prefix));
        assert_eq!(bytes(&prefix), bytes(&Prefix::new(&settings(), &[Language::En, Language::Fr]).unwrap()));
    }

    #[test]
    fn it_is_long_enough_for_the_default_model() {
        let prefix = Prefix::new(&settings(), &[Language::En]).unwrap();
        let tokens = prefix.least_tokens();
        assert!(tokens >= 900 && tokens > min_cacheable("claude-haiku-5-5"), "{tokens} tokens");
    }

    #[test]
    fn the_prompt_keeps_its_own_rules() {
        for forbidden in ["http", "**", "```", "\t", "\r"] {
            assert!(!SYSTEM.contains(forbidden), "{forbidden:?}");
        }
        assert!(SYSTEM.chars().all(|c| c.is_ascii() || "àéèûù".contains(c)), "the prompt has an odd character");
    }

    #[test]
    fn the_owners_rules_end_it_under_the_same_breakpoint() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings();
        settings.cache_ttl = CacheTtl::OneHour;
        let path = folder.path().join("rules.txt");
        settings.instructions_file = Some(path.clone());
        let error = Prefix::new(&settings, &[]).unwrap_err();
        assert!(error.to_string().contains("instructions_file") && error.kind() == "config", "{error}");
        std::fs::write(&path, "Speak of the cat as Her Majesty.\n").unwrap();
        let text = bytes(&Prefix::new(&settings, &[]).unwrap());
        let end = r#"Her Majesty.","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#;
        assert!(text.ends_with(end), "{text}");
        assert_eq!(text.matches("cache_control").count(), 1);
        std::fs::write(&path, "x".repeat(MOST_INSTRUCTIONS + 1)).unwrap();
        assert!(Prefix::new(&settings, &[]).is_err());
    }

    #[test]
    fn each_model_has_its_floor() {
        assert_eq!(min_cacheable("claude-haiku-5-5"), 512);
        assert_eq!(min_cacheable("claude-haiku-4-5-20251001"), 4096);
        assert_eq!(min_cacheable("claude-next-9"), 4096);
    }
}
