//! Five turns in a row: one connection, the cache read each time.

use elio::latency::Outcome;

use super::rig::{self, JOKE, WEATHER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_turns_open_no_connection_and_read_the_cache() {
    let (mut rig, _dir) = rig::start(&["tts.speed=2"]).await;
    let before = rig.sim().unwrap().connections();
    let mut ids = std::collections::HashSet::new();
    for question in [JOKE, WEATHER, JOKE, WEATHER, JOKE] {
        let spoken = rig.ask(rig::clip(question)).await.unwrap();
        let record = &spoken.report.record;
        assert_eq!((spoken.report.transcript.as_str(), &record.outcome), (question.1, &Outcome::Answered));
        assert_eq!(record.source, "endpoint");
        assert_eq!((record.connection_reused, record.cache_hit), (Some(true), Some(true)));
        assert!(ids.insert(record.turn_id.clone()), "{} twice", record.turn_id);
        rig::idle(&mut rig).await;
    }
    assert_eq!(rig.sim().unwrap().connections(), before, "a handshake inside a turn");
    let asked = rig::questions(&rig, 5).await;
    assert_eq!(asked.iter().filter(|request| request.cache_hit).count(), 5, "by the server's own count");
}
