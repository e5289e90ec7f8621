//! One turn, read back from a line: an entry of `journalctl -o json`, or a record by itself.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::latency::{Facts, Instants, Outcome, Record};

/// Letters of a turn's name or outcome that are kept: whoever may write to the journal may write a record.
const LONGEST_TEXT: usize = 64;

/// What the history of a turn needs of its record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// When the journal took it; a record outside the journal does not say.
    pub time: Option<Timestamp>,
    /// Unique over restarts.
    pub turn_id: String,
    /// `answered`, `interrupted`, `silent`, `failed:kind`.
    pub outcome: String,
    /// What ended the person's turn.
    pub source: String,
    /// Written again after a power cut: `time` is that of the restart.
    pub replayed: bool,
    /// The stages in milliseconds, in the order of [`stages`]; none where the stage did not happen.
    pub ms: Vec<Option<f64>>,
}

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A turn.
    Turn(Turn),
    /// An entry of the journal that is no latency record, or the spool's mark of a start.
    Other,
    /// No JSON object, or a record that was torn.
    Damaged,
}

/// The names of the record's stages: every time in it, in its order.
pub fn stages() -> Vec<String> {
    let empty = Record::derive(&Instants::default(), Facts::default(), Outcome::Silent).to_json();
    empty.into_iter().map(|(key, _)| key).filter(|key| key.ends_with("_ms")).collect()
}

impl Turn {
    /// Reads one line.
    pub(super) fn read(line: &[u8], stages: &[String]) -> Line {
        let mut turn = Turn { ms: vec![None; stages.len()], ..Turn::default() };
        let mut json = serde_json::Deserializer::from_slice(line);
        let read = Fill { stages, turn: &mut turn, in_message: false }.deserialize(&mut json);
        match read.and_then(|whole| json.end().map(|()| whole)) {
            Ok(_) if !turn.turn_id.is_empty() && !turn.outcome.is_empty() => Line::Turn(turn),
            Ok(true) => Line::Other,
            Ok(false) | Err(_) => Line::Damaged,
        }
    }

    /// The time of one stage, by its place in [`stages`].
    pub(super) fn stage(&self, index: Option<usize>) -> Option<f64> {
        self.ms.get(index?).copied().flatten()
    }

    /// A record with this turn's times, for what draws from records.
    pub(super) fn record(&self, stages: &[String]) -> Option<Record> {
        let mut json = Record::derive(&Instants::default(), Facts::default(), Outcome::Silent).to_json();
        json.extend(stages.iter().cloned().zip(self.ms.iter().map(|ms| (*ms).into())));
        serde_json::from_value(json.into()).ok()
    }
}

/// Fills a turn from a JSON object; false where the object's message is a record that was torn.
struct Fill<'a> {
    stages: &'a [String],
    turn: &'a mut Turn,
    /// The object is an entry's message: it holds no further one.
    in_message: bool,
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of the journal, or a latency record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut whole = true;
        while let Some(key) = map.next_key_seed(KeyOf(self.stages))? {
            match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Stage(index) => {
                    let ms = map.next_value::<Field<'_>>()?.number();
                    if let (Some(place), Some(ms)) = (self.turn.ms.get_mut(index), ms) {
                        *place = Some(ms);
                    }
                }
                Key::Time => {
                    let micros = map.next_value::<Field<'_>>()?.text().and_then(|text| text.parse().ok());
                    self.turn.time = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
                }
                Key::Replayed => self.turn.replayed = map.next_value::<Field<'_>>()?.text().is_some(),
                Key::TurnId => self.turn.turn_id = map.next_value::<Field<'_>>()?.label(),
                Key::Outcome => self.turn.outcome = map.next_value::<Field<'_>>()?.label(),
                Key::Source => self.turn.source = map.next_value::<Field<'_>>()?.label(),
                Key::Message => {
                    let message = map.next_value::<Field<'_>>()?;
                    if let Some(text) = message.text().filter(|text| text.starts_with('{') && !self.in_message) {
                        let inner = Fill { stages: self.stages, turn: &mut *self.turn, in_message: true };
                        whole = inner.deserialize(&mut serde_json::Deserializer::from_str(text)).is_ok();
                    }
                }
            }
        }
        Ok(whole)
    }
}

/// What a key of the object means.
enum Key {
    Stage(usize),
    Time,
    Replayed,
    TurnId,
    Outcome,
    Source,
    Message,
    Unknown,
}

/// Tells keys: the record's own, `ELIO_` and the same in upper case, and the two of the journal that matter.
struct KeyOf<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        let field = key.strip_prefix("ELIO_");
        let is = |name: &str| field.map_or(key == name, |field| field.eq_ignore_ascii_case(name));
        Ok(match key {
            "__REALTIME_TIMESTAMP" => Key::Time,
            "MESSAGE" => Key::Message,
            "ELIO_REPLAYED" => Key::Replayed,
            _ if is("turn_id") => Key::TurnId,
            _ if is("outcome") => Key::Outcome,
            _ if is("source") => Key::Source,
            _ => self.0.iter().position(|stage| is(stage)).map_or(Key::Unknown, Key::Stage),
        })
    }
}

/// A value: text in the journal, text or a number in a record. The journal gives null for a field that is too long for
/// it (without `--all`), an array of bytes for one that is not printable, and an array for one that is there twice.
enum Field<'de> {
    Null,
    Number(f64),
    Text(Cow<'de, str>),
}

impl Field<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Field::Text(text) => Some(text),
            Field::Null | Field::Number(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        let number = match self {
            Field::Null => None,
            Field::Number(number) => Some(*number),
            Field::Text(text) => text.parse().ok(),
        };
        number.filter(|number| number.is_finite())
    }

    /// Text that may be shown on a terminal.
    fn label(&self) -> String {
        self.text().unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, an array or null")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(text.to_owned().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Field::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut bytes, mut first) = (Vec::new(), None);
        while let Some(element) = seq.next_element::<Field<'de>>()? {
            match element {
                Field::Number(byte) => bytes.push(byte as u8),
                Field::Text(text) => first = first.or(Some(text)),
                Field::Null => {}
            }
        }
        Ok(Field::Text(first.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned().into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(line: &str) -> Line {
        Turn::read(line.as_bytes(), &stages())
    }

    fn turn(line: &Value) -> Turn {
        match read(&line.to_string()) {
            Line::Turn(turn) => turn,
            other => panic!("{other:?}: {line}"),
        }
    }

    fn ms(turn: &Turn, stage: &str) -> Option<f64> {
        turn.stage(stages().iter().position(|name| name == stage))
    }

    const MESSAGE: &str =
        r#"{"stt_ms":12.5,"llm_ttft_ms":null,"turn_id":"7-1","outcome":"answered","source":"button"}"#;

    #[test]
    fn an_entry_is_read_by_its_message() {
        let entry = json!({"__REALTIME_TIMESTAMP": "1700000000000001", "MESSAGE": MESSAGE, "PRIORITY": "6"});
        let turn = turn(&entry);
        assert_eq!(turn.time.map(|time| time.as_microsecond()), Some(1_700_000_000_000_001));
        assert_eq!((turn.turn_id.as_str(), turn.outcome.as_str(), turn.source.as_str()), ("7-1", "answered", "button"));
        assert_eq!((ms(&turn, "stt_ms"), ms(&turn, "llm_ttft_ms"), turn.replayed), (Some(12.5), None, false));
    }

    #[test]
    fn every_way_in_which_the_journal_writes_a_field_is_read() {
        let bytes: Vec<u8> = MESSAGE.into();
        let whole = turn(&json!({ "MESSAGE": MESSAGE }));
        assert_eq!(turn(&json!({ "MESSAGE": bytes })), whole, "not printable: an array of bytes");
        assert_eq!(turn(&json!({ "MESSAGE": [MESSAGE, "second"] })), whole, "there twice: an array of texts");
        let fields = json!({
            "MESSAGE": null,
            "ELIO_STT_MS": "12.5", "ELIO_TURN_ID": "7-1", "ELIO_OUTCOME": "answered", "ELIO_SOURCE": ["button", "x"],
        });
        assert_eq!(turn(&fields), whole, "too long: null, and each key is a field of its own");
        let again = json!({ "MESSAGE": MESSAGE, "ELIO_REPLAYED": "1" });
        assert!(turn(&again).replayed);
    }

    #[test]
    fn a_record_by_itself_is_a_turn_without_a_time() {
        let facts =
            Facts { turn_id: "t".into(), stt_compute: Some(std::time::Duration::from_millis(9)), ..Facts::default() };
        let record = Record::derive(&Instants::default(), facts, Outcome::Failed("offline".into()));
        let turn = turn(&record.to_json().into());
        assert_eq!((turn.time, turn.outcome.as_str()), (None, "failed:offline"));
        assert_eq!(turn.record(&stages()).map(|record| record.stt_compute_ms), Some(Some(9.0)));
    }

    #[test]
    fn what_is_no_record_is_passed_over_and_what_is_torn_is_damaged() {
        for other in [r#"{"start":true}"#, r#"{"MESSAGE":"the key is in place","ELIO_STT_MS":"1"}"#, "{}"] {
            assert_eq!(read(other), Line::Other, "{other}");
        }
        let torn_message = json!({ "MESSAGE": "{\"stt_ms\":1,\"turn_i" }).to_string();
        for damaged in ["", "-- No entries --", "5", "[1]", r#"{"turn_id":"7-1","outc"#, "{}{}", &torn_message] {
            assert_eq!(read(damaged), Line::Damaged, "{damaged}");
        }
        assert_eq!(Turn::read(b"{\"turn_id\":\"\xff\"}", &stages()), Line::Damaged);
    }

    #[test]
    fn no_record_can_steer_a_terminal_or_lie_about_a_number() {
        let line = json!({
            "turn_id": "\u{1b}[2Jx", "outcome": "a".repeat(500), "stt_ms": "NaN", "endpoint_ms": {"a": [1]}, "held_ms": true,
        });
        let turn = turn(&line);
        assert_eq!((turn.turn_id.as_str(), turn.outcome.len()), ("[2Jx", LONGEST_TEXT));
        assert!(turn.ms.iter().all(Option::is_none));
    }

    #[test]
    fn the_stages_are_every_time_of_the_record_in_its_order() {
        let text = stages().join(" ");
        assert!(
            text.starts_with("stt_ms llm_ttft_ms llm_total_ms tts_ttfb_ms tts_total_ms total_perceived_ms"),
            "{text}"
        );
        assert!(
            text.contains("endpoint_ms llm_lead_ms held_ms perceived_beyond_ttft_ms first_chunk_wait_ms"),
            "{text}"
        );
    }
}
