//! What a bench found, under which conditions: printed as a table, saved as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ears::{self, Point};
use super::figures::{self, ModeFigures};
use super::{Answers, Bench, BenchError, Mode, Run, machine, pauses};
use crate::config::{Language, Loaded};
use crate::daemon::{Proof, start_vad};
use crate::models::Models;
use crate::stt::Transcribe;
use crate::tts::voice_name;

/// Sections of the configuration that decide how long a turn takes.
const SECTIONS: [&str; 8] = ["audio.capture", "audio.playback", "claude", "endpoint", "language", "stt", "tts", "wake"];
/// Of them, what names a place of this machine.
const PLACES: [&str; 7] = ["base_url", "ca_file", "device", "espeak", "instructions_file", "key_file", "onnxruntime"];

/// What two benches must share to be compared, by group and name: `machine`, `elio`, `models`, `config`, `claude`,
/// `bench`.
pub type Conditions = BTreeMap<String, BTreeMap<String, Value>>;

/// What a bench found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// When, in UTC.
    pub made: String,
    /// Under which conditions.
    pub conditions: Conditions,
    /// Load averages of the machine before the bench, and after it.
    pub load: [Vec<f64>; 2],
    /// Where the models really ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// What an idle speaker takes, by name, where it was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub idle: BTreeMap<String, f64>,
    /// By mode.
    pub modes: BTreeMap<Mode, ModeFigures>,
    /// Of the endpoint setting, where it was replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// The wait against the cut-offs over the endpoint's waits: clips heard on injected time by VAD, Whisper and endpointer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Curve {
    /// By rising `endpoint.silence_min`, the words heard.
    pub by_words: Vec<Point>,
    /// By rising `endpoint.silence`, nothing else heard.
    pub by_silence: Vec<Point>,
    /// Sentences with a pause that each point heard.
    pub pauses: usize,
    /// Whole sentences that each point heard.
    pub sentences: usize,
    /// Acoustic end → first sound ready, median of the measured turns: no wait is shorter than this and the next.
    pub ready_ms: f64,
    /// What comes after both the endpoint and that, median of the measured turns.
    pub rest_ms: f64,
    /// `endpoint.silence_min` and `endpoint.silence` of the measured turns.
    pub measured_ms: [u64; 2],
}

impl Curve {
    /// The wait after an endpoint, in ms.
    pub fn total_ms(&self, endpoint_ms: f64) -> f64 {
        endpoint_ms.max(self.ready_ms) + self.rest_ms
    }
}

/// The conditions of a bench.
pub fn conditions(bench: &Bench, loaded: &Loaded, runs: u64) -> Conditions {
    let group = |facts: Vec<(&str, Value)>| facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let config = loaded.effective.iter().filter(|effective| {
        let (section, leaf) = effective.key.rsplit_once('.').unwrap_or_default();
        SECTIONS.contains(&section) && !PLACES.contains(&leaf) && effective.key != "wake.mode"
    });
    let config = config.map(|one| (one.key.clone(), serde_json::to_value(&one.value).unwrap_or_default())).collect();
    let claude = match &bench.answers {
        Answers::Live(_) => vec![("live", bench.config.claude.base_url.clone().into())],
        Answers::Simulated(options) => vec![
            ("ttft_ms", options.ttft.to_string().into()),
            ("tokens_per_second", options.tokens_per_second.into()),
            ("net_delay_ms", options.net_delay.to_string().into()),
            ("idle_timeout_s", options.idle_timeout.map(|time| time.as_secs_f64()).into()),
            ("replies", options.replies.as_ref().map(|file| file.display().to_string()).into()),
        ],
    };
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let sentences = &bench.clips.sentences;
    let with_words = sentences.iter().filter(|sentence| !sentence.boundaries().is_empty()).count();
    let setup = vec![
        ("clips", sentences.len().into()),
        ("clips_with_word_ends", with_words.into()),
        ("requests", bench.requests.into()),
        ("pauses", bench.pauses.into()),
        ("stops", bench.stops.into()),
        ("pause_between_s", bench.between.as_secs_f64().into()),
        ("rest_s", bench.rest.map(|rest| rest.time.as_secs_f64()).into()),
        ("pressure", bench.rest.map(|rest| rest.pressure).into()),
        ("seed", bench.seed.into()),
        ("runs", runs.into()),
    ];
    [
        ("machine", machine::describe()),
        ("elio", group(vec![("version", env!("CARGO_PKG_VERSION").into()), ("profile", profile.into())])),
        ("models", models(bench)),
        ("config", config),
        ("claude", group(claude)),
        ("bench", group(setup)),
    ]
    .into_iter()
    .map(|(name, group)| (name.to_owned(), group))
    .collect()
}

/// Name and size of each model: the same name may be another file tomorrow.
fn models(bench: &Bench) -> BTreeMap<String, Value> {
    let Ok(models) = Models::open(&bench.config.models) else { return BTreeMap::new() };
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let whisper = models.whisper(&bench.config.stt.model).ok();
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(whisper) = whisper {
        all.insert("stt".into(), json!({ "name": whisper.name, "bytes": size(&whisper.path) }));
    }
    let vad = models.vad(&bench.config.endpoint.vad).ok();
    let vad = vad.map_or(json!("earshot"), |path| json!({ "name": bench.config.endpoint.vad, "bytes": size(&path) }));
    all.insert("vad".into(), vad);
    for language in [Language::En, Language::Fr] {
        let voice = voice_name(&bench.config.tts, language).and_then(|name| models.voice(name).ok());
        let facts = voice.map_or(json!("espeak-ng"), |v| json!({ "name": v.name, "bytes": size(&v.onnx) }));
        all.insert(format!("voice_{}", language.code()), facts);
    }
    all
}

impl Report {
    /// Before the first run.
    pub fn begin(bench: &Bench, loaded: &Loaded, runs: u64) -> Report {
        Report {
            made: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
            conditions: conditions(bench, loaded, runs),
            load: [machine::load(), Vec::new()],
            ..Report::default()
        }
    }

    /// Takes where the models really ran; a report of another device is told apart by it.
    pub fn prove(&mut self, proof: Proof) {
        let places = proof.places().into_iter().map(|(model, place)| (model, place.into())).collect();
        self.conditions.insert("ran_on".to_owned(), places);
        self.proof = Some(proof);
    }

    /// Takes the runs of a mode.
    pub fn add(&mut self, mode: Mode, runs: &[Run]) {
        self.modes.insert(mode, figures::of_mode(mode, runs));
        self.load[1] = machine::load();
    }

    /// Replays the bench's clips, with `pauses` pauses, over many endpoint settings. Nothing comes of it without whole
    /// turns in endpoint mode, or without word ends.
    pub async fn replay(&mut self, bench: &Bench, pauses: usize, stt: Arc<dyn Transcribe>) {
        let settings = &bench.config.endpoint;
        let sentences = &bench.clips.sentences;
        let measured = self.modes.get(&Mode::Endpoint);
        let median = |stage: &str| measured.and_then(|mode| Some(mode.stages.get(stage)?.p50));
        let (Some(total), Some(ready_ms), Some(endpoint)) =
            (median("total_perceived_ms"), median("sound_ready_ms"), median("endpoint_ms"))
        else {
            return;
        };
        let sounds = sentences.iter().map(|sentence| &sentence.sound);
        let paused = pauses::draw(sentences, pauses, bench.seed);
        let replay = ears::Replay::listen(sounds, paused, settings, &mut start_vad(&bench.config).await, stt).await;
        // Where nothing is prepared in the silence, the sound is ready so long after its end instead.
        let ready_ms = if bench.config.speculation.tries > 0 { ready_ms } else { 0.0 };
        let by_words = replay.curve(settings, Some(Duration::from_secs_f64(ready_ms.max(0.0) / 1e3)));
        if by_words.is_empty() {
            return;
        }
        self.curve = Some(Curve {
            by_words,
            by_silence: replay.curve(settings, None),
            pauses,
            sentences: sentences.len(),
            ready_ms,
            rest_ms: (total - endpoint.max(ready_ms)).max(0.0),
            measured_ms: [settings.silence_min, settings.silence].map(|wait| wait.as_millis() as u64),
        });
    }

    /// Reads one that was saved.
    ///
    /// # Errors
    /// [`BenchError::Old`]
    pub fn read(path: &Path) -> Result<Report, BenchError> {
        let fault = |fault: String| BenchError::Old { path: path.to_owned(), fault };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let report: Report =
            serde_json::from_str(&text).map_err(|error| fault(format!("is no report of a bench: {error}")))?;
        if report.modes.is_empty() && report.idle.is_empty() {
            return Err(fault("is no report of a bench: no mode is in it".to_owned()));
        }
        Ok(report)
    }

    /// Saves it.
    ///
    /// # Errors
    /// [`BenchError::Write`]
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        std::fs::write(path, format!("{}\n", json!(self)))
            .map_err(|error| BenchError::Write { path: path.to_owned(), fault: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figure;

    #[test]
    fn a_report_reads_back_as_it_was_written_and_anything_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.json");
        let mut report = Report { made: "2026-11-20T14:00:00Z".into(), ..Report::default() };
        let mut figures = ModeFigures::default();
        figures.stages.insert("stt_ms".into(), Figure { n: 2, p50: 1.5, p95: 2.0, p99: 2.0, max: 2.0 });
        report.modes.insert(Mode::Endpoint, figures);
        report.curve = Some(Curve { measured_ms: [300, 700], ..Curve::default() });
        report.write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report);
        let whole = std::fs::read_to_string(&path).unwrap();
        for text in ["", "{}", "[1]", &whole[..whole.len() / 2]] {
            std::fs::write(&path, text).unwrap();
            let error = Report::read(&path).unwrap_err().to_string();
            assert!(error.contains("old.json") && error.contains("--out") && !error.contains('\n'), "{error}");
        }
    }
}
