//! The effective configuration as a person or a script reads it: each value with where it came from.

use std::fmt::Write;

use serde_json::{Map, Value as Json};
use toml::Value;

use super::fault::split;
use super::{Loaded, Origin};

/// One key, its value in force (none: not set) and where that came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Such as `endpoint.silence`.
    pub key: String,
    /// As it would be written in the file; the user information of a URL is hidden.
    pub value: Option<Value>,
    /// Where it came from.
    pub origin: Origin,
}

impl Loaded {
    /// Valid TOML, a comment behind each value; read again it gives the same configuration.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut open = "";
        for Effective { key, value, origin } in &self.effective {
            let (section, leaf) = split(key);
            if section != open {
                let gap = if open.is_empty() { "" } else { "\n" };
                let _ = writeln!(out, "{gap}[{section}]");
                open = section;
            }
            let value = value.as_ref().map_or_else(|| "\"\"".to_owned(), Value::to_string);
            let _ = writeln!(out, "{leaf} = {value}  # {origin}");
        }
        out
    }

    /// `{"config": {…}, "origins": {"endpoint.silence": "default", …}}`; a key that is not set is null.
    pub fn to_json(&self) -> Json {
        let mut config = Map::new();
        let mut origins = Map::new();
        for Effective { key, value, origin } in &self.effective {
            let (section, leaf) = split(key);
            let mut at = Some(&mut config);
            for part in section.split('.') {
                let inside = at.map(|table| table.entry(part).or_insert_with(|| Json::Object(Map::new())));
                at = inside.and_then(Json::as_object_mut);
            }
            if let Some(table) = at {
                table.insert(leaf.into(), serde_json::to_value(value).unwrap_or(Json::Null));
            }
            origins.insert(key.clone(), origin.to_string().into());
        }
        serde_json::json!({ "config": config, "origins": origins })
    }
}
