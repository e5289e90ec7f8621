//! Reads one key at a time: the last good value wins, every bad one becomes a fault.

use std::collections::BTreeMap;

use toml::Value;

use super::Effective;
use super::fault::{Fault, Origin, nearest};
use super::kind::Kind;

/// What one source says of one key.
#[derive(Debug)]
pub(super) struct Given {
    /// The value.
    pub value: Value,
    /// The value as it was written, fit to be shown.
    pub shown: String,
    /// The whole text, where it came from a flag or a variable.
    pub raw: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// All that was given, by key path; for each key from the lowest source to the highest.
pub(super) type AllGiven = BTreeMap<String, Vec<Given>>;

/// What the schema asks, key after key.
pub(super) struct Reader<'a> {
    given: &'a AllGiven,
    faults: Vec<Fault>,
    effective: Vec<Effective>,
}

impl<'a> Reader<'a> {
    /// A reader of what was given, with the faults that are known already.
    pub fn new(given: &'a AllGiven, faults: Vec<Fault>) -> Self {
        Self { given, faults, effective: Vec::new() }
    }

    /// The value of a key that always has one.
    pub fn get<T>(&mut self, key: &str, default: T, kind: Kind<T>) -> T {
        let (value, origin) = self.last_good(key, &kind, false).unwrap_or((None, Origin::Default));
        let value = value.unwrap_or(default);
        self.effective.push(Effective { key: key.into(), value: Some((kind.show)(&value)), origin });
        value
    }

    /// The value of a key that may have none; an empty text takes back what a lower source has set.
    pub fn opt<T>(&mut self, key: &str, kind: Kind<T>) -> Option<T> {
        let (value, origin) = self.last_good(key, &kind, true).unwrap_or((None, Origin::Default));
        self.effective.push(Effective { key: key.into(), value: value.as_ref().map(&kind.show), origin });
        value
    }

    /// Whether any source speaks of this key.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// A fault of the rule that binds `keys`, at the first of them that some source has set. Nothing is added where
    /// one of them, or a whole file, is faulty already: what was meant is not known then.
    pub fn rule(&mut self, keys: &[&str], message: impl Into<String>) {
        let unsure = |f: &Fault| f.key.as_deref().is_none_or(|key| keys.contains(&key));
        if self.faults.iter().any(unsure) {
            return;
        }
        let mut bound = keys.iter().filter_map(|key| self.effective.iter().find(|e| e.key == **key));
        let first = bound.clone().next();
        let Some(at) = bound.find(|e| e.origin != Origin::Default).or(first) else { return };
        let fault = Fault {
            origin: at.origin.clone(),
            key: Some(at.key.clone()),
            value: at.value.as_ref().map(Value::to_string),
            message: message.into(),
            nearest: None,
        };
        self.faults.push(fault);
    }

    /// The faults, and every key with its effective value.
    pub fn finish(self) -> (Vec<Fault>, Vec<Effective>) {
        (self.faults, self.effective)
    }

    fn last_good<T>(&mut self, key: &str, kind: &Kind<T>, may_be_empty: bool) -> Option<(Option<T>, Origin)> {
        let mut last = None;
        for given in self.given.get(key)? {
            let as_text = given.raw.as_ref().filter(|_| kind.textual && !given.value.is_str());
            let as_text = as_text.map(|raw| Value::String(raw.clone()));
            let value = as_text.as_ref().unwrap_or(&given.value);
            if may_be_empty && value.as_str() == Some("") {
                last = Some((None, given.origin.clone()));
            } else if let Some(value) = (kind.parse)(value, &given.origin) {
                last = Some((Some(value), given.origin.clone()));
            } else {
                let none = if may_be_empty { " (or \"\" for none)" } else { "" };
                self.faults.push(Fault {
                    origin: given.origin.clone(),
                    key: Some(key.into()),
                    value: Some(given.shown.clone()),
                    message: format!("allowed is {}{none}", kind.allowed),
                    nearest: nearest_word(value, &kind.words),
                });
            }
        }
        last
    }
}

/// The allowed word nearest to the first one that is not.
fn nearest_word(value: &Value, words: &[&'static str]) -> Option<String> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let wrong = items.iter().filter_map(Value::as_str).find(|word| !words.contains(word))?;
    nearest(wrong, words.iter().copied()).map(|word| format!("\"{word}\""))
}
