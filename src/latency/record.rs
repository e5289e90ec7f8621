//! The latency record: one flat object for each turn, derived from what was stamped.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Instants;
use crate::clock::Mono;

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was spoken to its end.
    Answered,
    /// The person stopped it, or the daemon did at shutdown.
    Interrupted,
    /// Nothing was said.
    Silent,
    /// It failed; the kind is a word such as `offline`, `key`, `stt`.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered => f.write_str("answered"),
            Outcome::Interrupted => f.write_str("interrupted"),
            Outcome::Silent => f.write_str("silent"),
            Outcome::Failed(kind) => write!(f, "failed:{kind}"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "answered" => Outcome::Answered,
            "interrupted" => Outcome::Interrupted,
            "silent" => Outcome::Silent,
            other => Outcome::Failed(other.strip_prefix("failed:").unwrap_or(other).to_owned()),
        })
    }
}

/// What a turn knows besides its instants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Unique over restarts.
    pub turn_id: String,
    /// What ended the person's turn: `button`, `socket` or `endpoint`.
    pub source: String,
    /// Time that Whisper computed for the transcript.
    pub stt_compute: Option<Duration>,
    /// Silence before the first audible sample of the first chunk.
    pub tts_lead_silence: Option<Duration>,
    /// Requests that were sent before the commit.
    pub speculations: u32,
    /// Output tokens of answers that nobody heard.
    pub wasted_output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to the prompt cache.
    pub cache_write_tokens: Option<u64>,
    /// Input tokens neither read nor written.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// The request went over a connection that was already open.
    pub connection_reused: Option<bool>,
    /// Age of that connection.
    pub connection_age: Option<Duration>,
    /// Time spent waiting for a connection.
    pub connection_wait: Option<Duration>,
    /// The API's `request-id`.
    pub request_id: Option<String>,
    /// Claude's model.
    pub model: Option<String>,
    /// Whisper's model.
    pub stt_model: Option<String>,
    /// The voice that spoke.
    pub voice: Option<String>,
    /// The first chunk came from ready PCM.
    pub tts_cached: bool,
    /// Times that the speaker's buffer ran dry in this turn.
    pub underruns: u64,
    /// Gaps inside the answer, because the next sound was not there in time.
    pub starved: u64,
    /// Times that the microphone's buffer overflowed in this turn.
    pub overruns: u64,
    /// The person went on speaking within 1.5 s of the commit.
    pub cut_off_suspected: bool,
    /// How finished the words sounded that the turn ended by.
    pub words_end: Option<&'static str>,
    /// The turn began before everything was loaded.
    pub starting: bool,
    /// What was said; only where the configuration asks for words.
    pub transcript: Option<String>,
    /// What was answered and heard; only where the configuration asks for words.
    pub reply: Option<String>,
}

/// The latency record. Times are milliseconds; what did not happen is null. The first seven names are fixed by the
/// project's users, the order by the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `speech_end` → `stt_final`, never below 0.
    pub stt_ms: Option<f64>,
    /// `llm_sent` → `llm_first_text`.
    pub llm_ttft_ms: Option<f64>,
    /// `llm_sent` → `llm_done`.
    pub llm_total_ms: Option<f64>,
    /// `chunk_ready` → `tts_first_pcm`.
    pub tts_ttfb_ms: Option<f64>,
    /// `chunk_ready` → `tts_done`.
    pub tts_total_ms: Option<f64>,
    /// `speech_end` → `first_audible`: what the person waits.
    pub total_perceived_ms: Option<f64>,
    /// Some of the prompt was read from the cache; null where no answer began.
    pub cache_hit: Option<bool>,
    /// Unique over restarts.
    pub turn_id: String,
    /// `answered`, `interrupted`, `silent`, `failed:kind`.
    pub outcome: Outcome,
    /// What ended the person's turn: `button`, `socket` or `endpoint`.
    pub source: String,
    /// `speech_end` → `commit`.
    pub endpoint_ms: Option<f64>,
    /// `commit` − `llm_sent` when positive, else 0.
    pub llm_lead_ms: Option<f64>,
    /// `tts_first_pcm` → `commit` when positive, else 0: sound that was ready before the turn was.
    pub held_ms: Option<f64>,
    /// `total_perceived_ms` − `llm_ttft_ms`.
    pub perceived_beyond_ttft_ms: Option<f64>,
    /// `llm_first_text` → `chunk_ready`.
    pub first_chunk_wait_ms: Option<f64>,
    /// Silence that the voice left before the first audible sample.
    pub tts_lead_silence_ms: Option<f64>,
    /// `tts_first_pcm` → `first_audible`.
    pub audio_out_ms: Option<f64>,
    /// `llm_sent` → `first_audible`.
    pub llm_to_sound_ms: Option<f64>,
    /// Time that Whisper computed.
    pub stt_compute_ms: Option<f64>,
    /// `speech_start` → `speech_end`.
    pub speech_ms: Option<f64>,
    /// Requests that were sent before the commit.
    pub speculations: u32,
    /// Output tokens of answers that nobody heard.
    pub wasted_output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to the prompt cache.
    pub cache_write_tokens: Option<u64>,
    /// Input tokens neither read nor written.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// The request went over a connection that was already open.
    pub connection_reused: Option<bool>,
    /// Age of that connection when the request left.
    pub connection_age_ms: Option<f64>,
    /// Time spent waiting for a connection.
    pub connection_wait_ms: Option<f64>,
    /// The API's `request-id`.
    pub request_id: Option<String>,
    /// Claude's model.
    pub model: Option<String>,
    /// Whisper's model.
    pub stt_model: Option<String>,
    /// The voice that spoke.
    pub voice: Option<String>,
    /// The first chunk came from ready PCM.
    pub tts_cached: bool,
    /// Times that the speaker's buffer ran dry in this turn.
    pub underruns: u64,
    /// Gaps inside the answer, because the next sound was not there in time.
    // Records from before it was counted lie in spools.
    #[serde(default)]
    pub starved: u64,
    /// Times that the microphone's buffer overflowed in this turn.
    pub overruns: u64,
    /// The person went on speaking within 1.5 s of the commit.
    pub cut_off_suspected: bool,
    /// How finished the words sounded that the turn ended by: `sentence`, `unsure` or `open`; null where the button ended
    /// it, and where they were not heard by then.
    #[serde(default)]
    pub words_end: Option<String>,
    /// The turn began before everything was loaded: its times hold the wait for that.
    // Records from before it was told lie in spools.
    #[serde(default)]
    pub starting: bool,
    /// What was said, where the configuration asks for words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// What was answered and heard, where the configuration asks for words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

impl Record {
    /// Derives every difference from the instants.
    pub fn derive(at: &Instants, facts: Facts, outcome: Outcome) -> Self {
        let total_perceived_ms = ms(at.speech_end, at.first_audible);
        let llm_ttft_ms = ms(at.llm_sent, at.llm_first_text);
        Record {
            stt_ms: ms(at.speech_end, at.stt_final).map(|v| v.max(0.0)),
            llm_ttft_ms,
            llm_total_ms: ms(at.llm_sent, at.llm_done),
            tts_ttfb_ms: ms(at.chunk_ready, at.tts_first_pcm),
            tts_total_ms: ms(at.chunk_ready, at.tts_done),
            total_perceived_ms,
            cache_hit: facts.cache_read_tokens.map(|n| n > 0),
            turn_id: facts.turn_id,
            outcome,
            source: facts.source,
            endpoint_ms: ms(at.speech_end, at.commit),
            llm_lead_ms: ms(at.llm_sent, at.commit).map(|v| v.max(0.0)),
            held_ms: ms(at.tts_first_pcm, at.commit).map(|v| v.max(0.0)),
            perceived_beyond_ttft_ms: total_perceived_ms.zip(llm_ttft_ms).map(|(all, ttft)| round(all - ttft)),
            first_chunk_wait_ms: ms(at.llm_first_text, at.chunk_ready),
            tts_lead_silence_ms: facts.tts_lead_silence.map(millis),
            audio_out_ms: ms(at.tts_first_pcm, at.first_audible),
            llm_to_sound_ms: ms(at.llm_sent, at.first_audible),
            stt_compute_ms: facts.stt_compute.map(millis),
            speech_ms: ms(at.speech_start, at.speech_end),
            speculations: facts.speculations,
            wasted_output_tokens: facts.wasted_output_tokens,
            cache_read_tokens: facts.cache_read_tokens,
            cache_write_tokens: facts.cache_write_tokens,
            input_tokens: facts.input_tokens,
            output_tokens: facts.output_tokens,
            connection_reused: facts.connection_reused,
            connection_age_ms: facts.connection_age.map(millis),
            connection_wait_ms: facts.connection_wait.map(millis),
            request_id: facts.request_id,
            model: facts.model,
            stt_model: facts.stt_model,
            voice: facts.voice,
            tts_cached: facts.tts_cached,
            underruns: facts.underruns,
            starved: facts.starved,
            overruns: facts.overruns,
            cut_off_suspected: facts.cut_off_suspected,
            words_end: facts.words_end.map(str::to_owned),
            starting: facts.starting,
            transcript: facts.transcript,
            reply: facts.reply,
        }
    }

    /// The record as its JSON object, keys in order.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(map)) => map,
            // A struct of numbers, strings and booleans always serializes to an object.
            _ => serde_json::Map::new(),
        }
    }
}

/// Milliseconds between two instants, to the microsecond: below that the clock's reading is noise.
fn ms(from: Option<Mono>, to: Option<Mono>) -> Option<f64> {
    let (from, to) = from.zip(to)?;
    Some(round(to.ms_since(from)))
}

fn millis(d: Duration) -> f64 {
    round(d.as_secs_f64() * 1e3)
}

/// To the microsecond.
pub(super) fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Option<Mono> {
        Some(Mono::from_nanos(ms * 1_000_000))
    }

    fn instants() -> Instants {
        Instants {
            wake: at(1_000),
            speech_start: at(1_200),
            speech_end: at(2_000),
            commit: at(2_700),
            stt_final: at(2_750),
            llm_sent: at(2_751),
            llm_first_text: at(3_151),
            llm_done: at(4_000),
            chunk_ready: at(3_170),
            tts_first_pcm: at(3_185),
            tts_done: at(4_050),
            first_audible: at(3_230),
            playback_end: at(8_000),
        }
    }

    #[test]
    fn every_difference_is_the_one_of_the_design() {
        let facts = Facts { cache_read_tokens: Some(900), ..Facts::default() };
        let record = Record::derive(&instants(), facts, Outcome::Answered);
        assert_eq!(record.stt_ms, Some(750.0));
        assert_eq!(record.llm_ttft_ms, Some(400.0));
        assert_eq!(record.llm_total_ms, Some(1249.0));
        assert_eq!(record.tts_ttfb_ms, Some(15.0));
        assert_eq!(record.tts_total_ms, Some(880.0));
        assert_eq!(record.total_perceived_ms, Some(1230.0));
        assert_eq!(record.cache_hit, Some(true));
        assert_eq!(record.endpoint_ms, Some(700.0));
        assert_eq!(record.perceived_beyond_ttft_ms, Some(830.0));
        assert_eq!(record.first_chunk_wait_ms, Some(19.0));
        assert_eq!(record.audio_out_ms, Some(45.0));
        assert_eq!(record.llm_to_sound_ms, Some(479.0));
        assert_eq!(record.speech_ms, Some(800.0));
    }

    #[test]
    fn what_ran_before_the_commit_is_lead_and_hold_and_never_negative() {
        let early = Instants { llm_sent: at(2_200), stt_final: at(1_990), tts_first_pcm: at(2_600), ..instants() };
        let record = Record::derive(&early, Facts::default(), Outcome::Answered);
        assert_eq!((record.llm_lead_ms, record.held_ms, record.stt_ms), (Some(500.0), Some(100.0), Some(0.0)));
        let late = Record::derive(&instants(), Facts::default(), Outcome::Answered);
        assert_eq!((late.llm_lead_ms, late.held_ms), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn what_did_not_happen_is_null_and_its_key_is_there() {
        let record = Record::derive(&Instants::default(), Facts::default(), Outcome::Failed("offline".into()));
        let json = record.to_json();
        assert_eq!(json["total_perceived_ms"], serde_json::Value::Null);
        assert_eq!(json["outcome"], "failed:offline");
        let first: Vec<&str> = json.keys().take(7).map(String::as_str).collect();
        let fixed = "stt_ms llm_ttft_ms llm_total_ms tts_ttfb_ms tts_total_ms total_perceived_ms cache_hit";
        assert_eq!(first.join(" "), fixed);
        assert!(!json.contains_key("transcript"), "words only where they were asked for");
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let facts = Facts { turn_id: "t".into(), voice: Some("v".into()), ..Facts::default() };
        let record = Record::derive(&instants(), facts, Outcome::Interrupted);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        let before = text.replace(r#""starved":0,"#, "");
        assert!(before.len() < text.len() && serde_json::from_str::<Record>(&before).unwrap() == record);
    }
}
