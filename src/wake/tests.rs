//! The wake room on scripted lines, with tokio's time paused.

use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::line::Edge;
use super::*;
use crate::config::{LineName, LineSettings, WakeMode};

const DEBOUNCE: Duration = Duration::from_millis(10);

/// The other end of a fake input: what a finger, a contact or the kernel does to it.
struct Finger {
    edges: UnboundedSender<Result<Edge, WakeError>>,
    level: Arc<AtomicBool>,
}

struct FakeInput {
    edges: UnboundedReceiver<Result<Edge, WakeError>>,
    level: Arc<AtomicBool>,
}

struct FakeLed(Arc<Mutex<Vec<bool>>>);

fn ms(at: u64) -> Mono {
    Mono::from_nanos(at * 1_000_000)
}

fn input(level: bool) -> (Finger, FakeInput) {
    let (sender, edges) = unbounded_channel();
    let level = Arc::new(AtomicBool::new(level));
    (Finger { edges: sender, level: level.clone() }, FakeInput { edges, level })
}

impl Finger {
    /// The contact changes; the kernel stamps it `at` milliseconds.
    fn moves(&self, active: bool, at: u64) {
        self.level.store(active, Ordering::SeqCst);
        self.edges.send(Ok(Edge { active, at: ms(at) })).unwrap();
    }
}

impl InputLine for FakeInput {
    fn active(&mut self) -> Result<bool, WakeError> {
        Ok(self.level.load(Ordering::SeqCst))
    }

    async fn edge(&mut self) -> Result<Edge, WakeError> {
        match self.edges.recv().await {
            Some(edge) => edge,
            None => std::future::pending().await,
        }
    }
}

impl OutputLine for FakeLed {
    fn set(&self, active: bool) -> Result<(), WakeError> {
        self.0.lock().unwrap().push(active);
        Ok(())
    }
}

/// A board with a button, a mute switch and a LED.
struct Board {
    button: Mutex<Option<FakeInput>>,
    mute: Mutex<Option<FakeInput>>,
    led: Arc<Mutex<Vec<bool>>>,
}

impl Lines for Board {
    type Input = FakeInput;
    type Output = FakeLed;

    fn input(&self, role: Role, _: &LineSettings) -> Result<FakeInput, WakeError> {
        let line = if role == Role::Button { &self.button } else { &self.mute };
        let busy = || WakeError::Busy { role, line: "chip line 1".into(), consumer: "another".into() };
        line.lock().unwrap().take().ok_or_else(busy)
    }

    fn output(&self, _: Role, _: &LineSettings) -> Result<FakeLed, WakeError> {
        Ok(FakeLed(self.led.clone()))
    }
}

struct Rig {
    wake: Wake,
    button: Finger,
    mute: Finger,
    led: Arc<Mutex<Vec<bool>>>,
    events: UnboundedReceiver<WakeEvent>,
}

fn settings() -> WakeSettings {
    let line =
        |name: &str| Some(LineSettings { line: LineName::Name(name.into()), active_low: true, bias: Bias::PullUp });
    WakeSettings {
        mode: WakeMode::Hold,
        grace: Duration::from_millis(120),
        button: line("button"),
        led: line("led"),
        mute: line("mute"),
        debounce: DEBOUNCE,
    }
}

fn rig(held: bool, muted: bool) -> Rig {
    let ((button, button_line), (mute, mute_line)) = (input(held), input(muted));
    let led = Arc::new(Mutex::new(Vec::new()));
    let board = Board { button: Mutex::new(Some(button_line)), mute: Mutex::new(Some(mute_line)), led: led.clone() };
    let (sender, events) = unbounded_channel();
    let wake = Wake::start_on(&board, &settings(), CancellationToken::new(), sender).unwrap();
    Rig { wake, button, mute, led, events }
}

async fn settle() {
    tokio::time::sleep(DEBOUNCE * 3).await;
}

fn pressed(at: u64) -> WakeEvent {
    WakeEvent::Pressed { source: Source::Button, at: ms(at) }
}

fn released(at: u64) -> WakeEvent {
    WakeEvent::Released { source: Source::Button, at: ms(at) }
}

#[tokio::test(start_paused = true)]
async fn a_press_is_told_at_once_and_a_release_when_it_has_lasted() {
    let mut rig = rig(false, false);
    let start = tokio::time::Instant::now();
    rig.button.moves(true, 1000);
    assert_eq!(rig.events.recv().await, Some(pressed(1000)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    rig.button.moves(false, 2000);
    assert_eq!(rig.events.recv().await, Some(released(2000)));
    assert_eq!(start.elapsed(), DEBOUNCE);
}

#[tokio::test(start_paused = true)]
async fn bounces_of_the_contact_are_one_press_and_one_release() {
    let mut rig = rig(false, false);
    for (active, at) in [(true, 100), (false, 101), (true, 102), (false, 104), (true, 105)] {
        rig.button.moves(active, at);
    }
    settle().await;
    for (active, at) in [(false, 500), (true, 501), (false, 502)] {
        rig.button.moves(active, at);
    }
    settle().await;
    assert_eq!(rig.events.try_recv(), Ok(pressed(100)));
    assert_eq!(rig.events.try_recv(), Ok(released(500)));
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_spike_is_no_press_and_a_flicker_is_no_release() {
    let mut rig = rig(false, false);
    rig.button.moves(true, 100);
    rig.button.moves(false, 101);
    settle().await;
    assert!(rig.events.try_recv().is_err());
    rig.button.moves(true, 200);
    settle().await;
    rig.button.moves(false, 300);
    rig.button.moves(true, 303);
    settle().await;
    assert_eq!(rig.events.try_recv(), Ok(pressed(200)));
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_the_processor_was_taken_is_judged_by_its_stamps() {
    let mut rig = rig(false, false);
    // All in the queue before the task runs: a tap, a second one, and the finger stays on.
    for (active, at) in [(true, 100), (false, 150), (true, 180), (false, 240), (true, 260), (false, 300)] {
        rig.button.moves(active, at);
    }
    settle().await;
    for expected in [pressed(100), released(150), pressed(180), released(240), pressed(260), released(300)] {
        assert_eq!(rig.events.try_recv(), Ok(expected));
    }
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_button_held_from_before_the_start_says_nothing_until_it_is_pressed_anew() {
    let mut rig = rig(true, false);
    rig.button.moves(false, 100);
    settle().await;
    assert!(rig.events.try_recv().is_err());
    rig.button.moves(true, 200);
    assert_eq!(rig.events.recv().await, Some(pressed(200)));
    rig.button.moves(false, 300);
    assert_eq!(rig.events.recv().await, Some(released(300)));
}

#[tokio::test(start_paused = true)]
async fn the_mute_switch_is_read_at_start_and_followed() {
    let mut rig = rig(false, true);
    assert!(rig.wake.muted());
    rig.mute.moves(false, 100);
    assert_eq!(rig.events.recv().await, Some(WakeEvent::Muted { muted: false, at: ms(100) }));
    assert!(!rig.wake.muted());
    rig.mute.moves(true, 200);
    assert_eq!(rig.events.recv().await, Some(WakeEvent::Muted { muted: true, at: ms(200) }));
    assert!(rig.wake.muted());
}

#[tokio::test(start_paused = true)]
async fn a_lost_line_is_told_and_the_others_go_on() {
    let mut rig = rig(false, false);
    let reason = "No such device (os error 19)".into();
    rig.button
        .edges
        .send(Err(WakeError::Failed { role: Role::Button, line: "gpiochip1 line 4".into(), reason }))
        .unwrap();
    let what = "wake.button: gpiochip1 line 4: No such device (os error 19)".into();
    assert_eq!(rig.events.recv().await, Some(WakeEvent::Lost { what }));
    rig.mute.moves(true, 5);
    assert_eq!(rig.events.recv().await, Some(WakeEvent::Muted { muted: true, at: ms(5) }));
}

#[tokio::test(start_paused = true)]
async fn the_led_follows_and_is_off_at_the_end() {
    let rig = rig(false, false);
    rig.wake.led(true);
    rig.wake.stop().await;
    assert_eq!(*rig.led.lock().unwrap(), [true, false]);
    // The lines were let go: their ends are closed.
    assert!(rig.button.edges.is_closed() && rig.mute.edges.is_closed());
}

#[tokio::test]
async fn without_lines_there_is_nothing_to_do() {
    let bare = WakeSettings { button: None, led: None, mute: None, ..settings() };
    let (sender, mut events) = unbounded_channel();
    let wake = Wake::start(&bare, CancellationToken::new(), sender).unwrap();
    wake.led(true);
    assert!(!wake.muted());
    wake.stop().await;
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn a_line_that_is_not_there_is_one_line_with_the_mend() {
    let (sender, _events) = unbounded_channel();
    let missing = LineName::Offset { chip: "gpiochip-none".into(), offset: 7 };
    let line = LineSettings { line: missing, active_low: true, bias: Bias::AsIs };
    let settings = WakeSettings { button: Some(line), ..settings() };
    let error = Wake::start(&settings, CancellationToken::new(), sender).err().unwrap().to_string();
    #[cfg(not(feature = "rppal"))]
    assert!(error.starts_with("wake.button: there is no GPIO chip `gpiochip-none` on this machine ("), "{error}");
    assert!(error.starts_with("wake.button: ") && !error.contains('\n'), "{error}");
}

#[test]
fn the_messages_name_the_line_and_the_mend() {
    let role = Role::Mute;
    let busy = WakeError::Busy { role, line: "gpiochip0 line 4".into(), consumer: "gpio-keys".into() };
    let said = "wake.mute: gpiochip0 line 4 is in use by `gpio-keys`: free it there (or stop the other elio), \
                or choose another line";
    assert_eq!(busy.to_string(), said);
    let denied = WakeError::Denied { role, path: "/dev/gpiochip0".into() }.to_string();
    assert!(denied.contains("/dev/gpiochip0") && denied.contains("group `gpio`") && !denied.contains('\n'), "{denied}");
    let line = WakeError::NoOffset { role, chip: "gpiochip0".into(), offset: 99, last: 53 }.to_string();
    assert!(line.contains("no line 99: its lines are 0 to 53"), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the contact does and however late it is seen, presses and releases alternate with rising stamps, and
    /// every hold that lasts longer than the debounce, after as long a rest, is there with its own stamp.
    #[test]
    fn presses_and_releases_alternate(
        phases in prop::collection::vec((1u64..40, 1u64..40, 0u64..60), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (changes, held) = runtime.block_on(async {
            let (finger, mut line) = input(false);
            let (mut now, mut rest, mut held) = (1000, 1000, Vec::new());
            let mut changes = Vec::new();
            let debounce = DEBOUNCE.as_millis() as u64;
            let play = async {
                for (on, off, late) in phases {
                    if rest >= debounce && on >= debounce {
                        held.push(ms(now));
                    }
                    finger.moves(true, now);
                    tokio::time::sleep(Duration::from_millis(on.saturating_sub(late))).await;
                    finger.moves(false, now + on);
                    tokio::time::sleep(Duration::from_millis(off.saturating_sub(late))).await;
                    now += on + off;
                    rest = off;
                }
                settle().await;
            };
            let changed = |on: bool, at: Mono| changes.push((on, at));
            tokio::select! {
                _ = watch::watch(&mut line, false, DEBOUNCE, changed) => unreachable!("the line has no error"),
                () = play => {}
            }
            (changes, held)
        });
        let mut last = (false, ms(0));
        for &(on, at) in &changes {
            prop_assert!(on != last.0 && at > last.1, "{:?}", changes);
            last = (on, at);
        }
        prop_assert!(!last.0, "left pressed: {:?}", changes);
        for at in held {
            prop_assert!(changes.contains(&(true, at)), "{:?} is missing in {:?}", at, changes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_press_is_described_by_its_raw_edges() {
    use super::inspect::press_on;
    let limit = Duration::from_secs(10);
    let (_finger, mut nobody) = input(false);
    assert_eq!(press_on(&mut nobody, limit).await.unwrap(), None);

    let (finger, mut line) = input(false);
    // Three edges within 2 ms, held for 300 ms, let go with three edges within 4 ms.
    for (active, at) in [(true, 0), (false, 1), (true, 2), (false, 300), (true, 301), (false, 304)] {
        finger.moves(active, at);
    }
    let press = press_on(&mut line, limit).await.unwrap().unwrap();
    let ms = Duration::from_millis;
    assert_eq!(press, Press { bounces: 4, bounced_for: ms(4), held: ms(304), released: true });

    let (finger, mut line) = input(true);
    finger.moves(false, 5);
    finger.moves(true, 900);
    let press = press_on(&mut line, limit).await.unwrap().unwrap();
    assert_eq!((press.bounces, press.released), (0, false), "the release of a press before it does not count");
}
