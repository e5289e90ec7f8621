//! Never silent: whatever Claude does, the person is told, in the language that was heard; the speaker is idle again,
//! and the next question is answered.

use std::time::Duration;

use elio::audio::convert;
use elio::clock::Mono;
use elio::config::Language;
use elio::daemon::Rig;
use elio::latency::Outcome;
use elio::sim::{Fault, FaultPlan};
use elio::tts::{Pause, Utterance};
use elio::turn::Phrase;
use tokio_util::sync::CancellationToken;

use super::rig::{self, JOKE, WEATHER, audible};

/// A question's name, its words, and the language of the answer.
type Question = ((&'static str, &'static str), Language);

const EN: Question = (JOKE, Language::En);
const FR: Question = (WEATHER, Language::Fr);

/// Quick answers; a stalled one is given up soon, yet not where the machine is merely busy.
const SETTINGS: &[&str] = &["wake.mode=hold", "wake.grace=20ms", "claude.first_text_timeout=3s", "tts.speed=2"];

/// What the person is told.
enum Told {
    /// The ready line alone.
    Line(Phrase),
    /// The ready line after what had been written.
    After(Phrase),
}

/// One question under a fault; then one without it.
async fn fails(rig: &mut Rig, question: Question, fault: Fault, kind: &str, told: Told) {
    set(rig, Some(FaultPlan::always(fault)));
    let spoken = rig.ask(rig::clip(question.0)).await.unwrap();
    set(rig, None);
    let (report, record) = (&spoken.report, &spoken.report.record);
    assert_eq!(report.transcript, question.0.1, "{fault}");
    assert_eq!(record.outcome, Outcome::Failed(kind.to_owned()), "{fault}");
    let heard = audible(&spoken.recording.samples);
    let line = |phrase| line(rig, phrase, question.1);
    match told {
        Told::Line(phrase) => {
            let line = line(phrase).await;
            // The voice never speaks twice alike to the sample.
            assert!(heard.abs_diff(line) < line / 12, "{fault}: {heard} audible samples, the line has {line}");
            assert_eq!(report.reply, "", "{fault}");
        }
        Told::After(phrase) => {
            let line = line(phrase).await;
            assert!(heard > line * 11 / 12, "{fault}: {heard} audible samples, the line alone has {line}");
            assert!(report.instants.llm_first_text.is_some(), "{fault}");
        }
    }
    assert!(report.instants.first_audible.is_some() && record.total_perceived_ms.is_some(), "{fault}");
    rig::idle(rig).await;
    answered(rig, question).await;
}

/// A question that is answered.
async fn answered(rig: &mut Rig, question: Question) {
    let spoken = rig.ask(rig::clip(question.0)).await.unwrap();
    let report = &spoken.report;
    assert_eq!((report.transcript.as_str(), &report.record.outcome), (question.0.1, &Outcome::Answered));
    assert_eq!(report.heard, report.reply);
    assert!(audible(&spoken.recording.samples) > spoken.recording.rate as usize / 4);
    rig::idle(rig).await;
}

fn set(rig: &Rig, fault: Option<FaultPlan>) {
    rig.sim().unwrap().set_fault(fault);
}

/// Audible samples of a ready line, as the speaker plays them.
async fn line(rig: &Rig, phrase: Phrase, language: Language) -> usize {
    let text = phrase.text(language).to_owned();
    let cancel = CancellationToken::new();
    let utterance = Utterance { text, language, first: true, pause: Pause::None, cancel };
    let spoken = rig.engines.tts.speak(utterance).await.unwrap();
    let rate = rig.heard(Mono::now(), Mono::now()).rate;
    let samples = convert::resample(&spoken.samples, spoken.rate, rate);
    audible(&samples.iter().map(|sample| (sample * 32767.0).round() as i16).collect::<Vec<_>>())
}

/// Four speakers at the same time: a turn is mostly waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_claude_does_the_person_is_told_and_the_next_question_is_answered() {
    let speakers = [
        tokio::spawn(what_the_api_refuses()),
        tokio::spawn(what_the_owner_must_mend()),
        tokio::spawn(an_answer_that_breaks_off()),
        tokio::spawn(a_connection_that_goes_away()),
    ];
    for speaker in speakers {
        speaker.await.unwrap();
    }
}

async fn what_the_api_refuses() {
    let (mut rig, _dir) = rig::start(SETTINGS).await;
    fails(&mut rig, EN, Fault::Overloaded, "overloaded", Told::Line(Phrase::Busy)).await;
    fails(&mut rig, FR, Fault::RateLimit, "rate_limited", Told::Line(Phrase::Busy)).await;
    fails(&mut rig, EN, Fault::ServerError, "server", Told::Line(Phrase::Busy)).await;
    fails(&mut rig, FR, Fault::Timeout, "timeout", Told::Line(Phrase::Busy)).await;
    assert_eq!(rig.sim().unwrap().connections(), 1, "a refusal costs no connection");
}

async fn what_the_owner_must_mend() {
    let (mut rig, _dir) = rig::start(SETTINGS).await;
    fails(&mut rig, EN, Fault::Auth, "key", Told::Line(Phrase::Account)).await;
    fails(&mut rig, FR, Fault::Billing, "billing", Told::Line(Phrase::Account)).await;
    fails(&mut rig, EN, Fault::SpendCap, "spend_cap", Told::Line(Phrase::Account)).await;
    fails(&mut rig, FR, Fault::Refusal, "refused", Told::After(Phrase::Refused)).await;
}

async fn an_answer_that_breaks_off() {
    let (mut rig, _dir) = rig::start(SETTINGS).await;
    fails(&mut rig, EN, Fault::OverloadedMidStream, "overloaded", Told::After(Phrase::CutShort)).await;
    fails(&mut rig, FR, Fault::Cut, "cut", Told::After(Phrase::CutShort)).await;
    fails(&mut rig, EN, Fault::Stall, "timeout", Told::After(Phrase::CutShort)).await;
    fails(&mut rig, FR, Fault::SlowFirst, "timeout", Told::Line(Phrase::Offline)).await;
}

async fn a_connection_that_goes_away() {
    let (mut rig, _dir) = rig::start(SETTINGS).await;
    let connections = |rig: &Rig| rig.sim().unwrap().connections();
    // Dies under the question: nobody knows whether somebody worked on it, so it is not sent twice. The one of the answer
    // that was prepared in the pause, and the one of the turn that was over then.
    fails(&mut rig, EN, Fault::CutBeforeHeaders, "cut", Told::Line(Phrase::Failed)).await;
    let struck: Vec<_> = rig.sim().unwrap().requests().into_iter().filter(|request| request.fault.is_some()).collect();
    assert_eq!((struck.len(), connections(&rig)), (2, 3));

    // Closed in order after an answer: the next question has a new one.
    let before = connections(&rig);
    set(&rig, Some(FaultPlan::times(Fault::Goaway, 1)));
    answered(&mut rig, EN).await;
    answered(&mut rig, EN).await;
    assert!(connections(&rig) > before, "GOAWAY ends a connection");

    // Dropped by a router without a word: the wake edge looks for it while the person speaks, and a new connection
    // takes its place.
    rig.press();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The wake edge has had its own request: the fault strikes the question's.
    set(&rig, Some(FaultPlan::times(Fault::IdleDrop, 1)));
    rig.say(rig::clip(FR.0)).await;
    assert_eq!(rig.answer().await.unwrap().report.record.outcome, Outcome::Answered);
    rig::idle(&mut rig).await;
    let before = connections(&rig);
    // The question leaves on the new one, unless it is shorter than the check's patience: then it is given up aloud.
    let spoken = rig.ask(rig::clip(FR.0)).await.unwrap();
    let outcome = &spoken.report.record.outcome;
    assert!([Outcome::Answered, Outcome::Failed("timeout".into())].contains(outcome), "{outcome}");
    assert!(audible(&spoken.recording.samples) > spoken.recording.rate as usize / 4);
    rig::idle(&mut rig).await;
    answered(&mut rig, FR).await;
    assert_eq!(connections(&rig), before + 1);
}
