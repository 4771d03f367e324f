//! Whatever is told to a supervisor, in whatever order, and however late.
#![allow(clippy::disallowed_methods, reason = "where the virtual clock starts")]

use std::time::{Duration, Instant};

use paceline_publish::{
    Attempt, Event, Failure, FailureKind, Output, State, Supervisor, SupervisorConfig,
};
use proptest::prelude::*;

/// Something that is told to a supervisor; an attempt is given by how old it is, 0 for the
/// newest.
#[derive(Clone, Debug)]
enum Step {
    Closed(usize),
    Encode(usize, bool),
    Failure(usize, FailureKind),
    Pass(u64),
    Path(usize, bool),
    Queue(usize, u64, u64),
    Send(usize, bool),
    Start,
    Stop,
    Up(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly the newest.
    let age = prop_oneof![4 => Just(0), 1 => 1_usize..4];
    let kind = prop::sample::select(vec![
        FailureKind::AuthRefused,
        FailureKind::EncodeFailed,
        FailureKind::NegotiationFailed,
        FailureKind::QueueDropped,
        FailureKind::SendFailed,
        FailureKind::ServerClosed,
        FailureKind::TimedOut,
        FailureKind::TransportClosed,
        FailureKind::Unreachable,
    ]);
    prop_oneof![
        3 => age.clone().prop_map(Step::Closed),
        1 => (age.clone(), any::<bool>()).prop_map(|(age, ok)| Step::Encode(age, ok)),
        2 => (age.clone(), kind).prop_map(|(age, kind)| Step::Failure(age, kind)),
        2 => prop::sample::select(vec![0, 1, 999, 1_000, 1_999, 2_000, 4_000, 10_000])
            .prop_map(Step::Pass),
        1 => (age.clone(), any::<bool>()).prop_map(|(age, up)| Step::Path(age, up)),
        1 => (age.clone(), any::<u64>(), any::<u64>())
            .prop_map(|(age, offered, dropped)| Step::Queue(age, offered, dropped)),
        1 => (age.clone(), any::<bool>()).prop_map(|(age, ok)| Step::Send(age, ok)),
        2 => Just(Step::Start),
        1 => Just(Step::Stop),
        3 => age.prop_map(Step::Up),
    ]
}

/// A supervisor, all that came out of it, and what that means for what is open.
struct Bench {
    supervisor: Supervisor,
    now: Instant,
    told: Vec<Output>,
    attempts: Vec<Attempt>,
    /// Opened, neither said to be closed nor over its time for it.
    open: Option<(Attempt, Option<Instant>)>,
    wanted: bool,
    live: bool,
}

impl Bench {
    fn new(start: Instant, senders: usize, external: bool) -> Self {
        let config = SupervisorConfig::default().external(external);
        Self {
            supervisor: Supervisor::new(senders, config),
            now: start,
            told: Vec::new(),
            attempts: Vec::new(),
            open: None,
            wanted: false,
            live: false,
        }
    }

    fn attempt(&self, age: usize) -> Option<Attempt> {
        self.attempts.iter().rev().nth(age).copied()
    }

    fn take(&mut self, step: &Step) {
        let (now, text) = (self.now, |ok: bool| if ok { Ok(()) } else { Err("no") });
        match *step {
            Step::Start => {
                self.wanted = true;
                self.supervisor.start(now);
            }
            Step::Stop => {
                self.wanted = false;
                self.supervisor.stop(now);
            }
            Step::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.supervisor.handle_timeout(self.now);
            }
            Step::Closed(age)
            | Step::Encode(age, _)
            | Step::Failure(age, _)
            | Step::Path(age, _)
            | Step::Queue(age, ..)
            | Step::Send(age, _)
            | Step::Up(age) => {
                let Some(attempt) = self.attempt(age) else {
                    return;
                };
                match *step {
                    Step::Closed(_) => {
                        self.open = self.open.filter(|open| open.0 != attempt);
                        self.supervisor.handle_closed(now, attempt);
                    }
                    Step::Encode(_, ok) => self.supervisor.handle_encode(now, attempt, text(ok)),
                    Step::Failure(_, kind) => {
                        self.supervisor.handle_failure(now, attempt, Failure::from(kind));
                    }
                    Step::Path(_, up) => self.supervisor.handle_path(now, attempt, up),
                    Step::Queue(_, offered, dropped) => {
                        self.supervisor.handle_queue(now, attempt, offered, dropped);
                    }
                    Step::Send(_, ok) => self.supervisor.handle_send(now, attempt, text(ok)),
                    _ => self.supervisor.handle_up(now, attempt),
                }
            }
        }
        self.judge();
    }

    /// Two attempts are never open, nothing opens when it is stopped, started and stopped
    /// alternate, and no deadline is in the past.
    fn judge(&mut self) {
        while let Some(output) = self.supervisor.poll_output() {
            match &output {
                Output::Close { attempt } => {
                    // Both at once: an attempt that ended by itself is not closed.
                    assert_eq!(self.open, Some((*attempt, None)), "closed once, while open");
                    self.open = Some((*attempt, Some(self.now)));
                }
                Output::Event(Event::SenderStarted { .. }) => {
                    assert!(!std::mem::replace(&mut self.live, true), "started twice");
                }
                Output::Event(Event::SenderStopped { .. }) => {
                    assert!(std::mem::replace(&mut self.live, false), "stopped, not started");
                }
                Output::Event(_) => {}
                Output::Open { attempt, .. } => {
                    assert!(self.wanted, "opened after a stop");
                    assert!(!self.live, "opened before the one before has stopped");
                    let over = |at| self.now - at >= Duration::from_secs(1);
                    let free = self.open.is_none_or(|(_, at)| at.is_some_and(over));
                    assert!(free, "two attempts are open");
                    self.open = Some((*attempt, None));
                    self.attempts.push(*attempt);
                }
            }
            self.told.push(output);
        }
        assert!(self.supervisor.poll_timeout().is_none_or(|deadline| deadline > self.now));
    }

    fn state(&self) -> State {
        self.supervisor.health(self.now, 0).state
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// A second start does nothing after a first, nor a second stop.
    #[test]
    fn starting_or_stopping_twice_is_doing_it_once(
        senders in 1_usize..4,
        external in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let start = Instant::now();
        let (mut once, mut twice) =
            (Bench::new(start, senders, external), Bench::new(start, senders, external));
        for step in &steps {
            once.take(step);
            twice.take(step);
            if matches!(step, Step::Start | Step::Stop) {
                twice.take(step);
            }
            prop_assert_eq!(&once.told, &twice.told);
        }
        prop_assert_eq!(once.supervisor.health(once.now, 0), twice.supervisor.health(once.now, 0));
    }

    /// Only the newest attempt has a say.
    #[test]
    fn what_an_older_attempt_says_changes_nothing(
        senders in 1_usize..4,
        external in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let start = Instant::now();
        let (mut all, mut newest) =
            (Bench::new(start, senders, external), Bench::new(start, senders, external));
        for step in &steps {
            all.take(step);
            let old = matches!(
                step,
                Step::Closed(1..) | Step::Encode(1.., _) | Step::Failure(1.., _)
                    | Step::Path(1.., _) | Step::Queue(1.., ..) | Step::Send(1.., _)
                    | Step::Up(1..)
            );
            if !old {
                newest.take(step);
            }
            prop_assert_eq!(&all.told, &newest.told);
        }
        prop_assert_eq!(all.supervisor.health(all.now, 0), newest.supervisor.health(all.now, 0));
    }

    /// The last word counts, whatever was before and whatever is still closing.
    #[test]
    fn it_ends_as_the_last_word_says(
        senders in 1_usize..4,
        external in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        for last in [[Step::Start, Step::Stop, Step::Start], [Step::Stop, Step::Start, Step::Stop]] {
            let started = matches!(last[2], Step::Start);
            let mut bench = Bench::new(Instant::now(), senders, external);
            for step in steps.iter().chain(&last) {
                bench.take(step);
            }
            // Nobody says that what closes is closed.
            bench.take(&Step::Pass(1_000));
            if started {
                bench.take(&Step::Up(0));
            }
            prop_assert_eq!(bench.state(), if started { State::Live } else { State::Stopped });
            prop_assert_eq!(bench.live, started);
        }
    }
}
