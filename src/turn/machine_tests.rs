//! Every transition of the machine, and two properties that hold over any sequence of inputs.

use proptest::prelude::*;

use super::*;
use crate::config::EndpointSettings;

fn settings() -> EndpointSettings {
    EndpointSettings {
        silence: Duration::from_millis(700),
        silence_min: Duration::from_millis(300),
        silence_max: Duration::from_millis(1_200),
        no_speech: Duration::from_secs(6),
        max_turn: Duration::from_secs(30),
        threshold: 0.5,
        vad: "earshot".into(),
        turn_model: None,
        turn_threshold: 0.5,
    }
}

/// A machine with a hand on its clock.
struct Bench {
    machine: Machine,
    now: Mono,
    /// How the words sound, in every frame.
    finished: Option<Finished>,
}

impl Bench {
    fn new(mode: WakeMode) -> Self {
        Bench::speculating(mode, 0)
    }

    fn speculating(mode: WakeMode, tries: u32) -> Self {
        let speculation = SpeculationSettings { tries, after: Duration::from_millis(150), daily_tokens: 1_000 };
        let machine =
            Machine::new(Rules { mode, grace: Duration::from_millis(120), endpoint: settings(), speculation });
        Bench { machine, now: Mono::from_nanos(5_000_000_000), finished: None }
    }

    fn step(&mut self, input: Input) -> Vec<Command> {
        self.machine.step(self.now, input)
    }

    fn press(&mut self) -> Vec<Command> {
        self.step(Input::Press { at: self.now })
    }

    fn release(&mut self) -> Vec<Command> {
        self.step(Input::Release { at: self.now, by: EndedBy::Button })
    }

    /// Feeds frames for `ms`, all of `speech`; gives every command.
    fn hear(&mut self, ms: u64, speech: f32) -> Vec<Command> {
        let mut commands = Vec::new();
        for _ in 0..ms / 16 {
            let start = self.now;
            self.now = start + Duration::from_millis(16);
            let voiced_end = (speech > 0.5).then_some(self.now);
            let heard = Hearing { start, end: self.now, speech, voiced_end };
            commands.extend(self.step(Input::Frame { heard, finished: self.finished }));
        }
        commands
    }

    fn wait(&mut self, ms: u64) -> Vec<Command> {
        self.now = self.now + Duration::from_millis(ms);
        self.machine.tick(self.now)
    }

    /// A press-mode machine that thinks about turn 1.
    fn thinking(mode: WakeMode) -> Self {
        let mut bench = Bench::new(mode);
        bench.press();
        bench.hear(480, 0.9);
        let commands = match mode {
            WakeMode::Press => bench.hear(704, 0.0),
            WakeMode::Hold => {
                bench.release();
                bench.hear(128, 0.0)
            }
        };
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert_eq!(bench.machine.visible(), Visible::Thinking);
        bench
    }

    fn speaking(mode: WakeMode) -> Self {
        let mut bench = Bench::thinking(mode);
        bench.step(Input::SoundQueued(Duration::from_millis(500)));
        assert_eq!(bench.machine.visible(), Visible::Speaking);
        bench
    }
}

fn finish(turn: u64, outcome: Outcome) -> Command {
    Command::Finish { turn, outcome }
}

fn failed(kind: &str) -> Outcome {
    Outcome::Failed(kind.into())
}

#[test]
fn press_mode_listens_until_silence_then_commits() {
    let mut bench = Bench::new(WakeMode::Press);
    let wake = bench.now;
    assert_eq!(bench.press(), [Command::Listen { turn: 1, wake }]);
    assert_eq!(bench.machine.visible(), Visible::Listening);
    assert_eq!(bench.release(), [], "a release means nothing in press mode");
    assert_eq!(bench.hear(800, 0.9), []);
    assert_eq!(bench.hear(704, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
}

const GUESS: Command = Command::Guess { turn: 1 };
const RETRACT: Command = Command::Retract { turn: 1 };

#[test]
fn a_pause_begins_a_guess_that_the_commit_finds_standing() {
    let mut bench = Bench::speculating(WakeMode::Press, 3);
    bench.press();
    assert_eq!(bench.hear(800, 0.9), []);
    assert_eq!(bench.hear(144, 0.0), [], "too short a pause");
    assert_eq!(bench.hear(16, 0.0), [GUESS]);
    assert_eq!(bench.machine.visible(), Visible::Listening, "a guess is not seen");
    assert_eq!(bench.step(Input::Prepared), []);
    assert_eq!(bench.hear(544, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
}

#[test]
fn who_is_kept_waiting_by_nothing_but_the_answer_may_go_on_until_the_longest_silence() {
    let mut bench = Bench::speculating(WakeMode::Press, 3);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(1_184, 0.0), [GUESS]);
    assert_eq!(bench.hear(16, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
}

#[test]
fn a_sentence_whose_answer_is_prepared_ends_its_turn_at_once() {
    let commit = Command::Commit { turn: 1, by: EndedBy::Endpoint };
    let mut bench = Bench::speculating(WakeMode::Press, 3);
    bench.finished = Some(Finished::Sentence);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(400, 0.0), [GUESS], "nothing to play yet, so who goes on is not cut off");
    assert_eq!(bench.step(Input::Prepared), std::slice::from_ref(&commit), "between two frames");

    let mut early = Bench::speculating(WakeMode::Press, 3);
    early.finished = Some(Finished::Sentence);
    early.press();
    early.hear(800, 0.9);
    assert_eq!(early.hear(160, 0.0), [GUESS]);
    assert_eq!(early.step(Input::Prepared), [], "not before endpoint.silence_min");
    assert_eq!(early.hear(144, 0.0), [commit]);
}

#[test]
fn a_sentence_that_must_go_on_is_waited_for_and_its_answer_prepared_late() {
    let mut bench = Bench::speculating(WakeMode::Press, 3);
    bench.finished = Some(Finished::Open);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(688, 0.0), []);
    assert_eq!(bench.hear(496, 0.0), [GUESS]);
    assert_eq!(bench.step(Input::Prepared), []);
    assert_eq!(bench.hear(32, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
}

#[test]
fn who_pauses_long_is_waited_for_longer_in_the_next_turn_too() {
    let mut bench = Bench::new(WakeMode::Press);
    bench.finished = Some(Finished::Sentence);
    bench.press();
    bench.hear(480, 0.9);
    bench.finished = Some(Finished::Open);
    bench.hear(480, 0.0);
    bench.hear(480, 0.9);
    bench.finished = Some(Finished::Sentence);
    // A quarter more than the 480 ms before.
    assert_eq!(bench.hear(592, 0.0), []);
    assert_eq!(bench.hear(16, 0.0).len(), 1);
    bench.step(Input::Stop);
    bench.press();
    bench.hear(480, 0.9);
    assert_eq!(bench.hear(592, 0.0), []);
    assert_eq!(bench.hear(16, 0.0).len(), 1);
}

#[test]
fn speech_that_returns_takes_the_guess_back_and_the_next_pause_begins_another() {
    let mut bench = Bench::speculating(WakeMode::Press, 2);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(320, 0.0), [GUESS]);
    assert_eq!(bench.hear(320, 0.9), [RETRACT]);
    assert_eq!(bench.hear(320, 0.0), [GUESS]);
    assert_eq!(bench.hear(320, 0.9), [RETRACT]);
    // The turn's tries are spent: it is committed without one.
    assert_eq!(bench.hear(704, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
}

#[test]
fn the_next_turn_has_its_own_guesses() {
    let mut bench = Bench::speculating(WakeMode::Press, 1);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(320, 0.0), [GUESS]);
    assert_eq!(bench.press(), [Command::Cancel { turn: 1 }, finish(1, Outcome::Interrupted)]);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.hear(320, 0.0), [Command::Guess { turn: 2 }]);
}

#[test]
fn a_release_begins_the_guess_and_the_grace_may_take_it_back() {
    let mut bench = Bench::speculating(WakeMode::Hold, 3);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.release(), [GUESS]);
    assert_eq!(bench.hear(16, 0.9), [], "a soft last consonant");
    assert_eq!(bench.hear(112, 0.0), [Command::Commit { turn: 1, by: EndedBy::Button }]);

    bench.step(Input::Played);
    bench.press();
    bench.hear(800, 0.9);
    assert_eq!(bench.release(), [Command::Guess { turn: 2 }]);
    let last_word = bench.hear(128, 0.9);
    assert_eq!(last_word, [Command::Retract { turn: 2 }, Command::Commit { turn: 2, by: EndedBy::Button }]);
}

#[test]
fn nobody_guesses_before_a_word_was_said() {
    for mode in [WakeMode::Press, WakeMode::Hold] {
        let mut bench = Bench::speculating(mode, 3);
        bench.press();
        assert_eq!(bench.hear(1_600, 0.0), []);
        assert_eq!(bench.release(), []);
    }
}

#[test]
fn an_answer_that_was_played_ends_the_turn() {
    let mut bench = Bench::speaking(WakeMode::Press);
    assert_eq!(bench.step(Input::Played), [finish(1, Outcome::Answered)]);
    assert_eq!(bench.machine.visible(), Visible::Idle);
    assert!(bench.machine.deadline().is_none());
}

#[test]
fn hold_mode_commits_after_the_grace_with_what_was_said_in_it() {
    let mut bench = Bench::new(WakeMode::Hold);
    bench.press();
    assert_eq!(bench.hear(480, 0.9), []);
    assert_eq!(bench.hear(1_600, 0.0), [], "a pause ends nothing while the button is held");
    bench.release();
    assert_eq!(bench.hear(96, 0.9), []);
    assert_eq!(bench.machine.ears().unwrap().speech_end(), Some(bench.now));
    assert_eq!(bench.hear(32, 0.0), [Command::Commit { turn: 1, by: EndedBy::Button }]);
}

#[test]
fn the_grace_ends_without_frames_too() {
    let mut bench = Bench::new(WakeMode::Hold);
    bench.press();
    bench.release();
    assert_eq!(bench.wait(319), []);
    assert_eq!(bench.wait(1), [Command::Commit { turn: 1, by: EndedBy::Button }]);
}

#[test]
fn a_press_within_the_grace_goes_on_with_the_turn() {
    let mut bench = Bench::new(WakeMode::Hold);
    bench.press();
    bench.release();
    bench.hear(48, 0.9);
    assert_eq!(bench.press(), []);
    assert_eq!(bench.hear(2_000, 0.9), []);
    assert_eq!(bench.machine.visible(), Visible::Listening);
}

#[test]
fn a_second_press_in_press_mode_stops_each_phase() {
    let mut listening = Bench::new(WakeMode::Press);
    listening.press();
    for mut bench in [listening, Bench::thinking(WakeMode::Press), Bench::speaking(WakeMode::Press)] {
        assert_eq!(bench.press(), [Command::Cancel { turn: 1 }, finish(1, Outcome::Interrupted)]);
        assert!(bench.machine.is_idle());
    }
}

#[test]
fn a_press_in_hold_mode_barges_in_with_the_next_turn() {
    for mut bench in [Bench::thinking(WakeMode::Hold), Bench::speaking(WakeMode::Hold)] {
        let wake = bench.now;
        let expected =
            [Command::Cancel { turn: 1 }, finish(1, Outcome::Interrupted), Command::Listen { turn: 2, wake }];
        assert_eq!(bench.press(), expected);
    }
}

#[test]
fn a_second_press_while_held_is_nothing() {
    let mut bench = Bench::new(WakeMode::Hold);
    bench.press();
    assert_eq!(bench.press(), []);
    assert_eq!(bench.machine.turn(), 1);
}

#[test]
fn nobody_speaks_after_a_press() {
    let mut bench = Bench::new(WakeMode::Press);
    bench.press();
    assert_eq!(bench.hear(6_000, 0.0), [Command::Say { turn: 1, phrase: Phrase::NothingHeard }]);
    assert_eq!(bench.step(Input::Played), [finish(1, Outcome::Silent)]);
}

#[test]
fn an_empty_transcript_is_said_and_recorded_as_silent() {
    let mut bench = Bench::thinking(WakeMode::Hold);
    assert_eq!(bench.step(Input::Nothing), [Command::Say { turn: 1, phrase: Phrase::NothingHeard }]);
    assert_eq!(bench.step(Input::Played), [finish(1, Outcome::Silent)]);
}

#[test]
fn the_longest_turn_commits_in_both_modes() {
    for mode in [WakeMode::Hold, WakeMode::Press] {
        let mut bench = Bench::new(mode);
        bench.press();
        assert_eq!(bench.hear(30_000, 0.9), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
    }
}

#[test]
fn a_failure_is_said_and_then_recorded() {
    for mut bench in [Bench::thinking(WakeMode::Press), Bench::speaking(WakeMode::Press)] {
        let commands = bench.step(Input::Failed { kind: "offline".into(), phrase: Phrase::Offline });
        assert_eq!(commands, [Command::Say { turn: 1, phrase: Phrase::Offline }]);
        assert_eq!(bench.step(Input::SoundQueued(Duration::from_millis(500))), []);
        assert_eq!(bench.step(Input::Played), [finish(1, failed("offline"))]);
    }
}

#[test]
fn a_failure_that_cannot_be_said_still_ends_the_turn() {
    let mut bench = Bench::thinking(WakeMode::Press);
    bench.step(Input::Failed { kind: "tts".into(), phrase: Phrase::Failed });
    assert_eq!(bench.step(Input::Voiceless), [Command::Cancel { turn: 1 }, finish(1, failed("tts"))]);
}

#[test]
fn a_ready_line_that_never_comes_out_ends_by_its_deadline() {
    let mut bench = Bench::thinking(WakeMode::Press);
    bench.step(Input::Nothing);
    assert_eq!(bench.wait(19_999), []);
    assert_eq!(bench.wait(1), [Command::Cancel { turn: 1 }, finish(1, Outcome::Silent)]);
}

#[test]
fn a_turn_without_progress_is_given_up_and_progress_moves_the_bound() {
    for mut bench in [Bench::thinking(WakeMode::Press), Bench::speaking(WakeMode::Press)] {
        assert_eq!(bench.wait(59_000), []);
        bench.step(Input::Progress);
        assert_eq!(bench.wait(59_000), []);
        assert_eq!(bench.wait(1_000), [Command::Say { turn: 1, phrase: Phrase::Failed }]);
        assert_eq!(bench.step(Input::Played), [finish(1, failed("stuck"))]);
    }
}

#[test]
fn an_answer_may_be_longer_than_any_bound() {
    let long = Duration::from_secs(180);
    let mut bench = Bench::speaking(WakeMode::Press);
    bench.step(Input::SoundQueued(long));
    assert_eq!(bench.wait(180_000), [], "it still plays");
    let mut broken = Bench::speaking(WakeMode::Press);
    broken.step(Input::SoundQueued(long));
    broken.step(Input::Failed { kind: "cut".into(), phrase: Phrase::CutShort });
    assert_eq!(broken.wait(180_000), [], "the apology waits for its turn in the queue");
    let cancelled = [Command::Cancel { turn: 1 }, finish(1, failed("cut"))];
    assert_eq!(broken.wait(21_000), cancelled);
}

#[test]
fn sound_that_was_played_before_its_news_came_ends_the_turn() {
    let mut bench = Bench::thinking(WakeMode::Press);
    assert_eq!(bench.step(Input::Played), [finish(1, Outcome::Answered)]);
}

#[test]
fn a_lost_microphone_is_said_while_it_is_needed() {
    let mut bench = Bench::new(WakeMode::Press);
    assert_eq!(bench.step(Input::MicrophoneLost), [], "an idle speaker shows it, and says nothing");
    bench.step(Input::MicrophoneReturned);
    bench.press();
    let say = [Command::Say { turn: 1, phrase: Phrase::MicrophoneLost }];
    assert_eq!(bench.step(Input::MicrophoneLost), say);
    assert_eq!(bench.step(Input::Played), [finish(1, failed("microphone"))]);
    let mut frozen = Bench::new(WakeMode::Hold);
    frozen.press();
    assert_eq!(frozen.wait(4_999), []);
    assert_eq!(frozen.wait(1), say, "a microphone that gives no frames is lost too");
}

#[test]
fn a_press_while_the_microphone_is_away_is_answered() {
    for mode in [WakeMode::Press, WakeMode::Hold] {
        let mut bench = Bench::new(mode);
        bench.step(Input::MicrophoneLost);
        assert_eq!(bench.press(), [Command::Say { turn: 1, phrase: Phrase::MicrophoneLost }]);
        assert_eq!(bench.step(Input::Played), [finish(1, failed("microphone"))]);
        bench.step(Input::MicrophoneReturned);
        let wake = bench.now;
        assert_eq!(bench.press(), [Command::Listen { turn: 2, wake }]);
    }
}

#[test]
fn a_lost_speaker_ends_the_turn_at_once() {
    let mut bench = Bench::speaking(WakeMode::Press);
    assert_eq!(bench.step(Input::SpeakerLost), [Command::Cancel { turn: 1 }, finish(1, failed("speaker"))]);
    assert_eq!(bench.step(Input::SpeakerLost), []);
}

#[test]
fn mute_stops_listening_and_a_press_while_muted_is_answered() {
    let mut bench = Bench::new(WakeMode::Press);
    bench.press();
    assert_eq!(bench.step(Input::Mute(true)), [Command::Cancel { turn: 1 }, finish(1, Outcome::Interrupted)]);
    assert_eq!(bench.machine.visible(), Visible::Muted);
    assert_eq!(bench.press(), [Command::Say { turn: 2, phrase: Phrase::Muted }]);
    assert_eq!(bench.step(Input::Played), [finish(2, failed("muted"))]);
    bench.step(Input::Mute(false));
    assert_eq!(bench.machine.visible(), Visible::Idle);
    let wake = bench.now;
    assert_eq!(bench.press(), [Command::Listen { turn: 3, wake }]);
}

#[test]
fn mute_lets_an_answer_end() {
    let mut bench = Bench::speaking(WakeMode::Press);
    assert_eq!(bench.step(Input::Mute(true)), []);
    assert_eq!(bench.step(Input::Played), [finish(1, Outcome::Answered)]);
}

#[test]
fn a_running_turn_ends_by_the_settings_it_began_with() {
    let mut bench = Bench::new(WakeMode::Press);
    bench.press();
    bench.hear(480, 0.9);
    let rules = Rules { mode: WakeMode::Hold, ..bench.machine.rules.clone() };
    bench.machine.configure(rules);
    assert_eq!(bench.hear(704, 0.0), [Command::Commit { turn: 1, by: EndedBy::Endpoint }]);
    bench.step(Input::Stop);
    bench.press();
    assert_eq!(bench.hear(2_000, 0.0), [], "the next turn is held");
}

#[test]
fn stop_ends_whatever_runs() {
    let mut bench = Bench::speaking(WakeMode::Hold);
    assert_eq!(bench.step(Input::Stop), [Command::Cancel { turn: 1 }, finish(1, Outcome::Interrupted)]);
    assert_eq!(bench.step(Input::Stop), []);
}

#[test]
fn news_of_stages_mean_nothing_to_an_idle_machine() {
    let mut bench = Bench::new(WakeMode::Press);
    let failure = Input::Failed { kind: "x".into(), phrase: Phrase::Failed };
    for input in [
        Input::Nothing,
        Input::Progress,
        Input::SoundQueued(Duration::from_millis(500)),
        Input::Played,
        failure,
        Input::Voiceless,
    ] {
        assert_eq!(bench.step(input), []);
    }
    assert_eq!(bench.release(), []);
    assert!(bench.machine.is_idle());
}

fn any_input() -> impl Strategy<Value = (u8, bool, u16)> {
    (0u8..14, any::<bool>(), 0u16..2_000)
}

proptest! {
    /// Every turn that began is finished once, in order, and nothing is commanded for a turn after its end.
    #[test]
    fn a_turn_ends_exactly_once(mode in any::<bool>(), script in prop::collection::vec(any_input(), 1..80)) {
        let mut bench = Bench::new(if mode { WakeMode::Hold } else { WakeMode::Press });
        let (mut finished, mut guesses, mut standing) = (0, 0, false);
        let mut script_end = vec![(12, false, 0)];
        let mut all = script;
        all.append(&mut script_end);
        for (what, flag, ms) in all {
            let mut commands = bench.wait(u64::from(ms));
            commands.extend(match what {
                0 | 1 => bench.press(),
                2 => bench.release(),
                3 | 4 => bench.hear(u64::from(ms), if flag { 0.9 } else { 0.0 }),
                5 => bench.step(Input::Mute(flag)),
                6 => bench.step(Input::Nothing),
                7 => bench.step(Input::SoundQueued(Duration::from_millis(500))),
                8 => bench.step(Input::Played),
                9 => bench.step(Input::Failed { kind: "k".into(), phrase: Phrase::Failed }),
                10 => bench.step(Input::Voiceless),
                11 => bench.step(if flag { Input::MicrophoneLost } else { Input::SpeakerLost }),
                13 => bench.step(if flag { Input::MicrophoneReturned } else { Input::Prepared }),
                _ => bench.step(Input::Stop),
            });
            for command in commands {
                let turn = match &command {
                    Command::Listen { turn, .. } | Command::Commit { turn, .. } | Command::Say { turn, .. }
                    | Command::Cancel { turn } | Command::Finish { turn, .. } | Command::Guess { turn }
                    | Command::Retract { turn } => *turn,
                };
                // Guesses take turns with their ends, and there are no more of them than the rules allow.
                match &command {
                    Command::Listen { .. } => (guesses, standing) = (0, false),
                    Command::Guess { .. } => {
                        prop_assert!(!standing && guesses < 3);
                        (guesses, standing) = (guesses + 1, true);
                    }
                    Command::Retract { .. } => prop_assert!(std::mem::replace(&mut standing, false)),
                    _ => {}
                }
                prop_assert_eq!(turn, finished + 1, "{:?}", command);
                if let Command::Finish { .. } = command {
                    finished += 1;
                }
            }
            prop_assert_eq!(bench.machine.is_idle(), finished == bench.machine.turn());
            prop_assert!(bench.machine.is_idle() || bench.machine.deadline().is_some(), "a phase without a deadline");
        }
        prop_assert!(bench.machine.is_idle());
    }
}
