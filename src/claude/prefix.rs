//! The frozen prefix: the system prompt, the same bytes in every request, so that the prompt cache hits; and its size
//! against the smallest one that the model caches.

use std::fmt;

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

    /// Its size, guessed from its length, against what `model` caches. It costs nothing: counting would take a request
    /// whose answer nobody needs, since the first response tells.
    pub fn check(&self, model: &str) -> PrefixCheck {
        let characters = self.characters as u64;
        // Some 4 characters a token in English and French; the 5.5 family makes about 30 % more tokens of a text.
        let likely = if model.starts_with("claude-haiku-5-5") { characters * 13 / 40 } else { characters / 4 };
        // No tokenizer in use takes fewer than 2 or more than 5 characters a token of such text.
        let size = Size::Guessed { least: characters / 5, likely, most: characters / 2 };
        PrefixCheck { model: model.to_owned(), size, floor: u64::from(min_cacheable(model)) }
    }
}

/// How large the prefix is, in tokens, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// From its length; the bounds are safe, the middle is a guess.
    Guessed {
        /// Not fewer.
        least: u64,
        /// Probably.
        likely: u64,
        /// Not more.
        most: u64,
    },
    /// The API counted so many tokens when it cached it.
    Counted(u64),
    /// The API cached nothing; the whole request had so many tokens.
    Uncached {
        /// Tokens of prefix and messages together.
        request: u64,
    },
}

impl Size {
    /// The one number for it.
    pub fn tokens(self) -> u64 {
        match self {
            Size::Guessed { likely: tokens, .. } | Size::Counted(tokens) | Size::Uncached { request: tokens } => tokens,
        }
    }
}

/// The prefix's size against the smallest one that the model caches. Its text is one line, with the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixCheck {
    /// `claude.model`
    pub model: String,
    /// The prefix.
    pub size: Size,
    /// The smallest prefix that the model caches, in tokens.
    pub floor: u64,
}

/// What a [`PrefixCheck`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The prefix is cached.
    Cached,
    /// Its length does not tell; the first response will.
    Unsure,
    /// Nothing is cached: every answer begins later and costs the whole prompt. The owner can mend it.
    TooSmall,
}

impl PrefixCheck {
    /// Whether the prefix is large enough.
    pub fn verdict(&self) -> Verdict {
        match self.size {
            Size::Counted(_) => Verdict::Cached,
            Size::Uncached { .. } => Verdict::TooSmall,
            Size::Guessed { least, .. } if least >= self.floor => Verdict::Cached,
            Size::Guessed { most, .. } if most < self.floor => Verdict::TooSmall,
            Size::Guessed { .. } => Verdict::Unsure,
        }
    }
}

impl fmt::Display for PrefixCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PrefixCheck { model, size, floor } = self;
        match size {
            Size::Guessed { least, likely, most } => {
                write!(f, "the prompt has about {likely} tokens (guessed from its length: {least} to {most})")?;
            }
            Size::Counted(tokens) => write!(f, "the prompt has {tokens} tokens by the API's count")?,
            Size::Uncached { request } => {
                write!(f, "the API cached nothing of the prompt (the whole request had {request} tokens)")?;
            }
        }
        write!(f, ", and {model} caches prompts of {floor} and more")?;
        if !FLOORS.iter().any(|(name, _)| model.starts_with(name)) {
            f.write_str(" (a guess, for Elio does not know this model)")?;
        }
        match self.verdict() {
            Verdict::Cached => Ok(()),
            Verdict::Unsure => f.write_str(": the first response will tell whether it is cached"),
            Verdict::TooSmall => {
                f.write_str(": answers begin later and cost the whole prompt; ")?;
                match floor.saturating_sub(size.tokens()) {
                    0 => f.write_str("its length is enough, so look at claude.model and at what claude.base_url names"),
                    missing => write!(
                        f,
                        "make claude.instructions_file some {missing} tokens longer or choose another claude.model"
                    ),
                }
            }
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({} characters)", self.characters)
    }
}

/// The smallest prefix of each model that Elio knows, in tokens.
const FLOORS: [(&str, u32); 2] = [("claude-haiku-5-5", 512), ("claude-haiku-4-5", 4096)];

/// The smallest prefix in tokens that `model` caches; below it nothing is cached, and no error says so. A model that
/// is not listed gets the largest floor known, so that a warning comes too often rather than never.
pub fn min_cacheable(model: &str) -> u32 {
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
        let check = prefix.check("claude-haiku-5-5");
        let Size::Guessed { least, likely, most } = check.size else { panic!("{check}") };
        assert!(least >= 900 && (least..most).contains(&likely), "{check}");
        assert_eq!(check.verdict(), Verdict::Cached);
    }

    #[test]
    fn a_prefix_that_is_too_small_is_told_with_the_numbers_and_the_mend() {
        let prefix = Prefix::new(&settings(), &[Language::En]).unwrap();
        let check = prefix.check("claude-haiku-4-5");
        assert_eq!(check.verdict(), Verdict::TooSmall);
        let text = check.to_string();
        let missing = 4096 - check.size.tokens();
        for part in ["guessed", "claude-haiku-4-5", "4096", &format!("{missing} tokens longer"), "claude.model"] {
            assert!(text.contains(part) && !text.contains('\n'), "{part}: {text}");
        }
        let seen = |size| PrefixCheck { size, ..prefix.check("claude-haiku-5-5") };
        let counted = seen(Size::Counted(1743));
        assert_eq!(counted.verdict(), Verdict::Cached);
        assert!(counted.to_string().contains("1743 tokens by the API's count"), "{counted}");
        // What the API says counts, whatever the length promises.
        let uncached = seen(Size::Uncached { request: 1760 });
        assert_eq!(uncached.verdict(), Verdict::TooSmall);
        assert!(uncached.to_string().contains("1760") && uncached.to_string().contains("base_url"), "{uncached}");
        let near = PrefixCheck { floor: 1500, ..prefix.check("claude-haiku-5-5") };
        assert_eq!(near.verdict(), Verdict::Unsure);
        assert!(prefix.check("claude-next-9").to_string().contains("does not know"));
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
