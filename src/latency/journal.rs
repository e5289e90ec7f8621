//! One journal entry for each record: a fixed `MESSAGE_ID`, the object as the message, each key as a field.

use serde_json::{Map, Value};
use systemd_journal_logger::JournalLog;

/// `MESSAGE_ID` of every latency record: `journalctl MESSAGE_ID=…` finds them all.
pub const MESSAGE_ID: &str = "6f0e9c1b8d5a4f3e9a7c2d4b1e8f6035";

/// Log target of the records.
pub const RECORD_TARGET: &str = "elio::record";

/// Writes one entry. An error means that journald did not take it: the spool still holds the record.
pub(super) fn send(journal: &JournalLog, record: &Map<String, Value>, replayed: bool) -> std::io::Result<()> {
    let message = serde_json::to_string(record).map_err(std::io::Error::other)?;
    let fields = fields(record, replayed);
    journal.journal_send(
        &log::Record::builder()
            .level(log::Level::Info)
            .target(RECORD_TARGET)
            .args(format_args!("{message}"))
            .key_values(&fields)
            .build(),
    )
}

/// `MESSAGE_ID`, then `ELIO_` + the key in upper case for every key that is not null.
fn fields(record: &Map<String, Value>, replayed: bool) -> Vec<(String, String)> {
    let mut fields = vec![("MESSAGE_ID".to_owned(), MESSAGE_ID.to_owned())];
    for (key, value) in record.iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields.push((format!("ELIO_{}", key.to_ascii_uppercase()), text));
    }
    if replayed {
        fields.push(("ELIO_REPLAYED".to_owned(), "1".to_owned()));
    }
    fields
}

/// The `turn_id`s of the records that the journal holds, from `journalctl -o json` lines.
pub(super) fn turn_ids(lines: &str) -> impl Iterator<Item = String> + '_ {
    lines.lines().filter_map(|line| {
        let entry: Map<String, Value> = serde_json::from_str(line).ok()?;
        Some(entry.get("ELIO_TURN_ID")?.as_str()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Facts, Instants, Outcome, Record};

    #[test]
    fn each_key_that_is_not_null_is_a_field() {
        let facts = Facts { turn_id: "7-1".into(), cache_read_tokens: Some(5), ..Facts::default() };
        let record = Record::derive(&Instants::default(), facts, Outcome::Silent).to_json();
        let fields = fields(&record, true);
        assert_eq!(fields[0], ("MESSAGE_ID".into(), MESSAGE_ID.into()));
        assert!(fields.contains(&("ELIO_TURN_ID".into(), "7-1".into())));
        assert!(fields.contains(&("ELIO_OUTCOME".into(), "silent".into())));
        assert!(fields.contains(&("ELIO_CACHE_HIT".into(), "true".into())));
        assert!(fields.contains(&("ELIO_REPLAYED".into(), "1".into())));
        assert!(!fields.iter().any(|(key, _)| key == "ELIO_STT_MS"), "null has no field");
    }

    #[test]
    fn turn_ids_come_from_journalctl_lines_and_other_lines_are_passed_over() {
        let lines = "{\"ELIO_TURN_ID\":\"a\"}\nnot json\n{\"MESSAGE\":\"x\"}\n{\"ELIO_TURN_ID\":\"b\"}\n";
        assert_eq!(turn_ids(lines).collect::<Vec<_>>(), ["a", "b"]);
    }
}
