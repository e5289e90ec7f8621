//! Answers that are prepared in a pause: used where the person had finished, unheard and counted where not.

use super::*;

impl Rig {
    fn speculating(mode: WakeMode, daily_tokens: u64) -> Self {
        let rig = Rig::new();
        let mut rules = rules(mode, 3);
        rules.speculation.daily_tokens = daily_tokens;
        rig.settings.send(RunnerSettings { rules, ..settings() }).unwrap();
        rig
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_prepared_in_the_pause_is_heard_at_the_commit_and_not_before() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    rig.question().await;
    let report = rig.report().await;
    assert_eq!(report.record.outcome, Outcome::Answered);
    assert_eq!(report.reply, "Il est midi. Bon appétit à tous.");
    assert_eq!((report.record.speculations, report.record.wasted_output_tokens), (1, 0));
    assert!(report.record.llm_lead_ms.unwrap() > 300.0 && report.record.held_ms.unwrap() > 0.0, "{:?}", report.record);
    assert!(report.instants.first_audible >= report.instants.commit, "{:?}", report.instants);
    assert_eq!(rig.fakes.asked.lock().unwrap().len(), 1, "one request for the guess and the answer");
}

#[tokio::test(start_paused = true)]
async fn what_was_prepared_for_half_a_sentence_is_never_heard_and_its_tokens_are_counted() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.hear(560, 0.0).await;
    *rig.fakes.script.lock().unwrap() = vec![Script::Write("Il fait beau à Lyon.")];
    rig.hear(480, 0.9).await;
    rig.hear(720, 0.0).await;
    let report = rig.report().await;
    assert_eq!((report.reply.as_str(), report.heard.as_str()), ("Il fait beau à Lyon.", "Il fait beau à Lyon."));
    assert_eq!(report.record.speculations, 2);
    assert!(report.record.wasted_output_tokens > 0);
    let asked = rig.fakes.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].history.len(), 0, "nobody heard the first answer: it is no part of the conversation");
    let clips = rig.fakes.clips.lock().unwrap();
    assert!(clips[1] > clips[0] + 900 * 16, "the second guess heard the whole sentence: {clips:?}");
}

#[tokio::test(start_paused = true)]
async fn a_guess_that_fails_is_forgotten_and_the_commit_asks_anew() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    *rig.fakes.unreachable.lock().unwrap() = true;
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.hear(400, 0.0).await;
    *rig.fakes.unreachable.lock().unwrap() = false;
    rig.hear(320, 0.0).await;
    assert_eq!(rig.report().await.record.outcome, Outcome::Answered);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_means_no_guesses_and_the_same_answers() {
    let mut rig = Rig::speculating(WakeMode::Press, 0);
    rig.question().await;
    let record = rig.report().await.record;
    assert_eq!((record.outcome, record.speculations, record.llm_lead_ms), (Outcome::Answered, 0, Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn in_hold_mode_the_request_leaves_before_the_grace_is_over() {
    let mut rig = Rig::speculating(WakeMode::Hold, 1_000);
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.wake.send(WakeEvent::Released { source: Source::Button, at: rig.now() }).unwrap();
    rig.hear(480, 0.0).await;
    let record = rig.report().await.record;
    assert_eq!((record.outcome, record.speculations), (Outcome::Answered, 1));
    assert!(record.llm_lead_ms.unwrap() > 50.0, "{:?}", record.llm_lead_ms);
}

#[tokio::test(start_paused = true)]
async fn a_press_that_stops_the_turn_stops_the_guess() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.hear(560, 0.0).await;
    rig.press().await;
    let report = rig.report().await;
    assert_eq!((report.record.outcome, report.heard.as_str()), (Outcome::Interrupted, ""));
    assert_eq!(report.record.speculations, 1);
    assert!(rig.fakes.played.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sentence_heard_in_the_silence_is_answered_as_soon_as_the_sound_is_there() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    *rig.fakes.partials.lock().unwrap() = Partials::Pauses;
    *rig.fakes.hears.lock().unwrap() = Ok("Quelle heure est-il ?");
    rig.question().await;
    let record = rig.report().await.record;
    assert_eq!((&record.outcome, record.speculations), (&Outcome::Answered, 1));
    assert_eq!(record.words_end.as_deref(), Some("sentence"));
    // Asked for after 160 ms of silence, heard in 50; the first text comes 100 ms later, the voice takes 10.
    let endpoint = record.endpoint_ms.unwrap();
    assert!((319.0..321.0).contains(&endpoint) && record.held_ms.unwrap() < 1.0, "{record:?}");
    assert_eq!(rig.fakes.clips.lock().unwrap().len(), 1, "the words of the silence are those of the turn");
}

#[tokio::test(start_paused = true)]
async fn half_a_sentence_heard_in_the_silence_is_waited_for() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    *rig.fakes.partials.lock().unwrap() = Partials::Pauses;
    *rig.fakes.hears.lock().unwrap() = Ok("Quelle heure est-il à");
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.hear(1_120, 0.0).await;
    assert_eq!(*rig.visible.borrow(), Visible::Listening);
    rig.hear(96, 0.0).await;
    let record = rig.report().await.record;
    assert_eq!((&record.outcome, record.speculations), (&Outcome::Answered, 1));
    assert!(record.llm_lead_ms.unwrap() > 300.0, "the answer was prepared in the last part of the wait: {record:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sentence_whose_sound_goes_on_is_waited_for_like_one_that_does_not_tell() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    *rig.fakes.partials.lock().unwrap() = Partials::Pauses;
    *rig.fakes.hears.lock().unwrap() = Ok("Quelle heure est-il ?");
    rig.fakes.prosody.lock().unwrap().push_back(0.2);
    rig.question().await;
    let record = rig.report().await.record;
    let endpoint = record.endpoint_ms.unwrap();
    assert!((700.0..720.0).contains(&endpoint), "{record:?}");
    assert_eq!((&record.outcome, record.speculations), (&Outcome::Answered, 1), "the answer was prepared all the same");
}

#[tokio::test(start_paused = true)]
async fn what_the_sound_said_of_one_pause_is_forgotten_in_the_next() {
    let mut rig = Rig::speculating(WakeMode::Press, 1_000);
    *rig.fakes.partials.lock().unwrap() = Partials::Pauses;
    *rig.fakes.hears.lock().unwrap() = Ok("Quelle heure est-il ?");
    rig.fakes.prosody.lock().unwrap().push_back(0.2);
    rig.press().await;
    rig.hear(960, 0.9).await;
    rig.hear(400, 0.0).await;
    assert_eq!(*rig.visible.borrow(), Visible::Listening, "cut off");
    rig.hear(480, 0.9).await;
    rig.hear(720, 0.0).await;
    let record = rig.report().await.record;
    // A person who has just paused for 400 ms is given a quarter more.
    let endpoint = record.endpoint_ms.unwrap();
    assert!((495.0..520.0).contains(&endpoint), "{record:?}");
}
