//! Hold mode: the release, and the grace after it, end the person's turn.

use std::time::Duration;

use elio::latency::Outcome;

use super::rig::{self, JOKE, WEATHER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_release_and_the_grace_end_the_turn() {
    let (mut rig, _dir) = rig::start(&["wake.mode=hold"]).await;
    let mut before: Vec<String> = Vec::new();
    for question in [JOKE, WEATHER] {
        rig.press();
        tokio::time::sleep(Duration::from_millis(250)).await;
        let release = rig.say(rig::clip(question)).await;
        let spoken = rig.answer().await.unwrap();
        let (report, at) = (&spoken.report, &spoken.report.instants);
        assert_eq!((report.transcript.as_str(), &report.record.outcome), (question.1, &Outcome::Answered));
        assert_eq!(report.record.source, "button");
        let (end, commit) = (at.speech_end.unwrap(), at.commit.unwrap());
        assert!(commit >= release + Duration::from_millis(120), "the grace is kept");
        assert!(at.wake.unwrap() < at.speech_start.unwrap() && end <= release && end <= commit);
        assert!(at.stt_final.unwrap() >= end && at.first_audible.unwrap() >= commit);

        let asked = rig::questions(&rig, before.len() / 2 + 1).await;
        let asked = asked.last().unwrap();
        assert_eq!(asked.question.as_deref(), Some(question.1));
        assert_eq!(asked.history.as_ref(), Some(&before), "what was said before goes with the question");
        before.extend([report.transcript.clone(), report.heard.clone()]);
        rig::idle(&mut rig).await;
    }
}
