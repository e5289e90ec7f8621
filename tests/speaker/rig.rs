//! The rig of these tests, and what can be measured on a recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elio::audio::Clip;
use elio::claude::ApiKey;
use elio::config::{Config, LoadOptions, load};
use elio::daemon::{Rig, RigOptions};
use elio::sim::{RequestRecord, Sim, SimOptions, Spread};
use elio::turn::Visible;
use tempfile::TempDir;

/// −50 dBFS of 16-bit samples.
pub const AUDIBLE: i16 = 104;
/// The recorded questions that are asked here, word for word.
pub const JOKE: (&str, &str) = ("en-joke.wav", "Tell me a joke.");
pub const WEATHER: (&str, &str) = ("fr-weather.wav", "Quel temps fait-il aujourd'hui ?");

/// Short answers, so that a turn takes few seconds.
const REPLIES: &str = r#"
[[rule]]
language = "en"
patterns = ["... joke ..."]
replies = ["The old clock went to the doctor because it felt run down. Nobody minded."]

[[rule]]
language = "fr"
patterns = ["... quelle heure ..."]
replies = ["Il est midi. Le repas est presque prêt, et il reste du pain."]

[[fallback]]
language = "en"
replies = ["No rule knows {words}."]

[[fallback]]
language = "fr"
replies = ["Aucune règle pour {words}."]
"#;

pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The demo's configuration with `set` over it.
pub fn config(set: &[&str]) -> Config {
    let set = set.iter().map(|one| (*one).to_owned()).collect();
    load(&LoadOptions { file: Some(repository("configs/demo.toml")), env: vec![], set }).unwrap().config
}

/// A recorded question.
pub fn clip(question: (&str, &str)) -> Clip {
    Clip::read(&repository("models/demo/questions").join(question.0)).unwrap()
}

/// A rig before a simulated Claude that answers shortly, and the folder of both.
pub async fn start(set: &[&str]) -> (Rig, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let replies = dir.path().join("replies.toml");
    std::fs::write(&replies, REPLIES).unwrap();
    let mut options = SimOptions::new(dir.path().join("sim"));
    options.ttft = Spread::always(50);
    options.tokens_per_second = 200.0;
    options.replies = Some(replies);
    options.log_words = true;
    let sim = Sim::start(options).await.unwrap();
    let mut config = config(set);
    config.claude.base_url = sim.base_url().to_owned();
    config.claude.ca_file = Some(sim.ca().to_owned());
    let key = ApiKey::new("simulated", "a test".to_owned()).unwrap();
    let rig = Rig::start(&config, RigOptions { key, sound_card: false, sim: Some(sim) }).await.unwrap();
    (rig, dir)
}

/// The questions that reached the simulated Claude, oldest first; it writes an account when the request has ended.
pub async fn questions(rig: &Rig, count: usize) -> Vec<RequestRecord> {
    for _ in 0..1_000 {
        let asked = rig.sim().unwrap().requests().into_iter().filter(|request| request.stream).collect::<Vec<_>>();
        if asked.len() >= count {
            return asked;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} questions never reached the simulated Claude");
}

/// Waits until the rig is idle; one that never is fails the test instead of holding it for ever.
pub async fn idle(rig: &mut Rig) {
    let idle = tokio::time::timeout(Duration::from_secs(20), rig.shows(Visible::Idle)).await;
    idle.expect("the speaker is idle again").unwrap();
}

/// Samples that can be heard: what is the same for the same words, however often the speaker ran dry between.
pub fn audible(samples: &[i16]) -> usize {
    samples.iter().filter(|sample| sample.unsigned_abs() >= AUDIBLE.unsigned_abs()).count()
}
