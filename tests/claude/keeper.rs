//! The keeper against the simulated API, both by one clock that the test moves: hours pass in no time.

use std::sync::{Arc, Mutex};

use elio::clock::{Clock, ManualClock, Mono};
use elio::sim::{Fault, FaultPlan, RequestRecord, Sim, SimHandle, SimOptions, Spread};

use futures_util::future::BoxFuture;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A clock that knows until when the keeper sleeps by it.
#[derive(Clone)]
struct KeepersClock {
    hand: ManualClock,
    asleep_until: Arc<Mutex<Option<Mono>>>,
}

impl Clock for KeepersClock {
    fn now(&self) -> Mono {
        self.hand.now()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'_, ()> {
        *self.asleep_until.lock().unwrap() = Some(at);
        let awake = Awake(self.asleep_until.clone());
        Box::pin(async move {
            self.hand.sleep_until(at).await;
            drop(awake);
        })
    }
}

/// Whoever slept does so no longer.
struct Awake(Arc<Mutex<Option<Mono>>>);

impl Drop for Awake {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = None;
    }
}

struct Home {
    sim: SimHandle,
    clock: KeepersClock,
    claude: Claude,
    _folder: tempfile::TempDir,
}

/// A server that closes connections after 400 s without a request, and a client that keeps its cache like this.
async fn home(keep_warm: KeepWarm) -> Home {
    home_with(keep_warm, |_| {}, Timing::default()).await
}

async fn home_with(keep_warm: KeepWarm, change: impl FnOnce(&mut SimOptions), timing: Timing) -> Home {
    let folder = tempfile::tempdir().unwrap();
    let clock = KeepersClock { hand: ManualClock::at(Mono::now()), asleep_until: Arc::default() };
    let mut options = SimOptions::new(folder.path());
    options.ttft = Spread::always(5);
    options.tokens_per_second = 5000.0;
    options.idle_timeout = Some(SECOND * 400);
    options.clock = Arc::new(clock.hand.clone());
    change(&mut options);
    let sim = Sim::start(options).await.unwrap();
    let mut settings = settings_of(sim.base_url(), Some(sim.ca().to_owned()));
    settings.keep_warm = keep_warm;
    let claude = client_timed(&settings, Timing { clock: Arc::new(clock.clone()), ..timing });
    Home { sim, clock, claude, _folder: folder }
}

impl Home {
    /// Requests that served the cache alone, and those that checked the connection.
    fn kept(&self) -> (usize, usize) {
        let count = |of: &dyn Fn(&RequestRecord) -> bool| self.sim.requests().iter().filter(|r| of(r)).count();
        (count(&|record| record.method == "POST" && !record.stream), count(&|record| record.method == "GET"))
    }

    /// The keeper has done what there is to do now.
    async fn at_rest(&self) {
        until(|| self.clock.asleep_until.lock().unwrap().is_some_and(|until| until > self.clock.now())).await;
    }

    /// This much later; the keeper has done what there was to do.
    async fn later(&self, time: Duration) {
        self.clock.hand.advance(time);
        self.at_rest().await;
    }

    /// The keeper has noticed that its connection goes, and has opened and checked this one.
    async fn opened(&self, number: u64) {
        let state = || self.claude.connection();
        until(|| state().opened_total == number && state().requests > 0).await;
        self.at_rest().await;
    }

    /// Asks; whether the connection was open and the prefix cached.
    async fn turn(&self) -> (bool, bool) {
        let answer = ask(&self.claude).await.unwrap();
        let reused = answer.connection.reused;
        let (text, end) = all(answer).await;
        let Some(AnswerEvent::Done { usage, .. }) = end else { panic!("{end:?}") };
        assert!(!text.is_empty());
        (reused, usage.cache_hit())
    }
}

#[tokio::test]
async fn fifty_turns_with_long_pauses_meet_an_open_connection_and_a_warm_cache() {
    let home = home(KeepWarm::Always).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for turn in 0..50 {
        // Each tenth pause is longer than the server leaves a connection idle, and longer than the cache lives.
        let steps = if turn % 10 == 9 { 3 } else { 0 };
        for _ in 0..steps {
            let (before, _) = home.kept();
            home.later(SECOND * 270).await;
            assert_eq!(home.kept().0, before + 1);
        }
        home.later(SECOND * 7).await;
        assert_eq!(home.turn().await, (true, true), "turn {turn}");
    }
    keeper.stop().await;
    // By the server's own count too.
    until(|| home.sim.requests().iter().filter(|record| record.stream).count() == 50).await;
    let records = home.sim.requests();
    let turns: Vec<_> = records.iter().filter(|record| record.stream).collect();
    assert!(turns.iter().all(|record| record.cache_hit && record.connection_request > 1));
    let misses = records.iter().filter(|record| record.method == "POST" && !record.cache_hit).count();
    assert_eq!(misses, 1, "the cache is written once, at boot");
    assert_eq!(home.sim.connections(), 2, "one at boot, and one after an hour");
}

#[tokio::test]
async fn a_server_that_closes_what_rests_is_met_with_a_new_connection_before_the_next_turn() {
    // Far below any interval of the keeper: it cannot keep this connection, only replace it.
    let home = home_with(KeepWarm::Always, |options| options.idle_timeout = Some(SECOND * 5), Timing::default()).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for turn in 0..50 {
        let closed = turn % 5 == 4;
        if closed {
            let opened = home.claude.connection().opened_total;
            home.later(SECOND * 6).await;
            home.opened(opened + 1).await;
        }
        assert_eq!(home.turn().await, (true, true), "turn {turn}");
    }
    keeper.stop().await;
    assert_eq!(home.sim.connections(), 11);
}

#[tokio::test]
async fn always_reads_the_cache_before_its_life_ends_and_counts_what_it_costs() {
    let home = home(KeepWarm::Always).await;
    let guessed = home.claude.keeping();
    assert!(!guessed.counted && guessed.cached.is_none() && guessed.tokens_24h == 0, "{guessed:?}");
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for read in 2..12 {
        home.later(SECOND * 269).await;
        assert_eq!(home.kept().0, read - 1, "nothing is read too early");
        home.later(SECOND).await;
        assert_eq!(home.claude.keeping().requests_24h, read as u64);
    }
    keeper.stop().await;
    let warmed: Vec<_> = home.sim.requests().into_iter().filter(|record| record.method == "POST").collect();
    assert_eq!(warmed.iter().map(|record| record.cache_hit).collect::<Vec<_>>(), [&[false][..], &[true; 10]].concat());
    let billed = warmed.iter().filter_map(|record| record.usage).map(|usage| {
        usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens + usage.output_tokens
    });
    let keeping = home.claude.keeping();
    assert_eq!(keeping.tokens_24h, billed.sum::<u64>());
    let prefix = warmed[1].usage.unwrap().cache_read_input_tokens;
    assert_eq!((keeping.prefix_tokens, keeping.most_tokens_a_day, keeping.counted), (prefix, 320 * prefix, true));
    // The next day has not spent anything yet.
    home.clock.hand.advance(SECOND * 86_400);
    assert_eq!(home.claude.keeping().tokens_24h, 0);
}

#[tokio::test]
async fn wake_keeps_the_cache_after_a_question_and_then_lets_it_go() {
    let home = home(KeepWarm::Wake).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    // Nobody has asked since the start: the connection is kept, the cache is not.
    home.later(SECOND * 270).await;
    assert_eq!(home.kept(), (1, 1));
    assert_eq!(home.turn().await, (true, true));
    // Fifteen minutes after a question: three times 270 s.
    for read in 2..5 {
        home.later(SECOND * 270).await;
        assert_eq!(home.kept(), (read, 1));
    }
    home.later(SECOND * 270).await;
    assert_eq!(home.kept(), (4, 2));
    keeper.stop().await;
    // The wake edge writes it again.
    home.clock.hand.advance(SECOND * 60);
    home.claude.wake();
    until(|| home.kept().0 == 5).await;
    assert_eq!(home.turn().await, (true, true));
}

#[tokio::test]
async fn never_reads_nothing_and_keeps_the_connection() {
    let home = home(KeepWarm::Never).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for _ in 0..8 {
        home.later(SECOND * 270).await;
    }
    assert_eq!((home.kept(), home.sim.connections()), ((0, 9), 1));
    assert_eq!(home.turn().await, (true, false), "no handshake, and nothing cached");
    assert_eq!(home.claude.keeping().most_tokens_a_day, 0);
    keeper.stop().await;
}

#[tokio::test]
async fn a_goaway_between_turns_is_met_with_a_new_connection() {
    let home = home(KeepWarm::Never).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for opened in 2..5 {
        home.later(SECOND * 60).await;
        home.sim.set_fault(Some(FaultPlan::times(Fault::Goaway, 1)));
        assert!(home.turn().await.0);
        home.opened(opened).await;
    }
    assert!(home.turn().await.0, "no handshake inside the next turn");
    keeper.stop().await;
}

#[tokio::test]
async fn a_goaway_during_a_turn_lets_its_answer_end_and_the_next_turn_finds_a_connection() {
    let slow = |options: &mut SimOptions| options.tokens_per_second = 20.0;
    let home = home_with(KeepWarm::Never, slow, Timing::default()).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    home.later(SECOND * 60).await;
    home.sim.set_fault(Some(FaultPlan::times(Fault::GoawayEarly, 1)));
    let mut first = ask(&home.claude).await.unwrap();
    assert!(matches!(first.next().await, Some(AnswerEvent::Text { .. })));
    home.opened(2).await;
    let second = ask(&home.claude).await.unwrap();
    assert!(second.connection.reused, "no handshake inside a turn that begins while the old answer still comes");
    for answer in [first, second] {
        let (_, end) = all(answer).await;
        assert!(matches!(end, Some(AnswerEvent::Done { .. })), "{end:?}");
    }
    keeper.stop().await;
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_its_answer_ends_on_it() {
    let slow = |options: &mut SimOptions| options.tokens_per_second = 20.0;
    let home = home_with(KeepWarm::Never, slow, Timing::default()).await;
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    for _ in 0..13 {
        home.later(SECOND * 270).await;
    }
    assert_eq!((home.kept(), home.sim.connections()), ((0, 14), 1));
    let mut first = ask(&home.claude).await.unwrap();
    assert!(matches!(first.next().await, Some(AnswerEvent::Text { .. })));
    home.later(SECOND * 90).await;
    assert_eq!(home.claude.connection().opened_total, 2);
    assert!(home.turn().await.0);
    let (_, end) = all(first).await;
    assert!(matches!(end, Some(AnswerEvent::Done { .. })), "{end:?}");
    keeper.stop().await;
    let turns: Vec<_> = home.sim.requests().into_iter().filter(|record| record.stream).collect();
    let mut connections: Vec<_> = turns.iter().map(|record| (record.connection, record.cancelled)).collect();
    connections.sort_unstable();
    assert_eq!(connections, [(1, false), (2, false)]);
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_replaced_while_nobody_asks() {
    let pings = Timing {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(300),
        ..Timing::default()
    };
    let home = home_with(KeepWarm::Never, |_| {}, pings).await;
    home.sim.set_fault(Some(FaultPlan::times(Fault::IdleDrop, 1)));
    let keeper = Keeper::of(&home.claude);
    home.at_rest().await;
    // Young connections are not opened again at once.
    home.clock.hand.advance(SECOND * 60);
    until(|| home.claude.connection().opened_total >= 2 && home.kept().1 >= 2).await;
    keeper.stop().await;
    let checks: Vec<_> = home.sim.requests().iter().map(|record| record.connection).collect();
    assert_eq!(checks[..2], [1, 2]);
}

#[tokio::test]
async fn a_turn_that_begins_during_a_re_read_does_not_wait_for_it() {
    // The re-read is not answered before the test ends.
    let server = Server::tls(|seen| match seen.body["max_tokens"].as_u64() {
        Some(0) => Reply::Hang,
        _ => healthy(seen),
    })
    .await;
    let claude = client(&server);
    claude.connect().await.unwrap();
    let keeper = Keeper::of(&claude);
    until(|| server.seen().iter().any(|seen| seen.body["max_tokens"] == 0)).await;
    let answer = ask(&claude).await.unwrap();
    assert!(answer.connection.reused);
    assert_eq!(all(answer).await.0, "In the cellar.");
    assert_eq!(server.connections(), 1);
    keeper.stop().await;
}

#[tokio::test]
async fn a_refused_re_read_is_tried_again_later_and_later_and_the_connection_is_kept_meanwhile() {
    let home = home(KeepWarm::Always).await;
    home.sim.set_fault(Some(FaultPlan::always(Fault::SpendCap)));
    let keeper = Keeper::of(&home.claude);
    // After 1, 2, 4 and 8 seconds.
    for (tries, wait) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        home.at_rest().await;
        assert_eq!(home.kept().0, tries);
        home.later(SECOND * wait - Duration::from_millis(1)).await;
        assert_eq!(home.kept().0, tries, "not before {wait} s");
        home.later(Duration::from_millis(1)).await;
    }
    assert_eq!(home.kept().0, 5);
    assert!(home.claude.connection().open);
    home.sim.set_fault(None);
    home.later(SECOND * 16).await;
    assert_eq!(home.claude.keeping().cached, Some(true));
    keeper.stop().await;
}
