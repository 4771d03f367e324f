//! Which target is sent to, and when to go to the next.
//!
//! ```text
//!            start                         handle_up
//!  stopped ---------> waiting -> connecting ---------> live
//!     ^                  ^           |                  |
//!     |                  |           +---- failure -----+---- stop
//!     |                  |                     |                |
//!     |          retry or fallback          closing <-----------+
//!     |                  +---------------------+
//!     +--- stop, or no target is left ---------+-----> external
//! ```
//!
//! At most one attempt is open at a time: the next is opened when the one before has been
//! closed, or has had its time for it.

mod config;
mod output;
mod phase;

use std::collections::VecDeque;
use std::time::Instant;

pub use self::config::SupervisorConfig;
pub use self::output::{Output, SupervisorStats};
use self::phase::{Closing, Next, Phase, Sender};
use crate::{
    Attempt, Classifier, Event, Failure, FailureKind, FallbackReason, Health, LastErrors, Severity,
    State, Target, TransportState,
};

/// Keeps one sender going out of a list of targets.
///
/// It opens the first, tries again what may be over soon, and goes to the next when a target
/// is of no use. It never goes back: [`stop`](Self::stop) and [`start`](Self::start) do.
///
/// | group | calls |
/// |---|---|
/// | steering | [`start`](Self::start), [`stop`](Self::stop): each does nothing if it was done |
/// | input | [`handle_up`](Self::handle_up), [`handle_failure`](Self::handle_failure), [`handle_closed`](Self::handle_closed), [`handle_encode`](Self::handle_encode), [`handle_send`](Self::handle_send), [`handle_queue`](Self::handle_queue), [`handle_path`](Self::handle_path), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking at it | [`health`](Self::health), [`stats`](Self::stats) |
///
/// What is told of an attempt that is over, or is being closed, is counted as stale, and
/// nothing else.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_publish::{Failure, FailureKind, Output, Supervisor, SupervisorConfig, State};
///
/// let mut supervisor = Supervisor::new(2, SupervisorConfig::default());
/// let now = Instant::now();
/// supervisor.start(now);
/// let Some(Output::Open { attempt, target: 0 }) = supervisor.poll_output() else { panic!() };
///
/// // The first server wants another token: no use trying it again.
/// supervisor.handle_failure(now, attempt, Failure::from(FailureKind::AuthRefused));
/// let names: Vec<_> = std::iter::from_fn(|| supervisor.poll_output())
///     .filter_map(|output| match output {
///         Output::Event(event) => Some(event.name()),
///         _ => None,
///     })
///     .collect();
/// assert_eq!(names, ["transport_error", "fallback_triggered"]);
///
/// supervisor.handle_closed(now, attempt);
/// let Some(Output::Open { attempt, target: 1 }) = supervisor.poll_output() else { panic!() };
/// supervisor.handle_up(now, attempt);
/// assert_eq!(supervisor.health(now, 0).state, State::Live);
/// ```
#[derive(Debug)]
pub struct Supervisor {
    config: SupervisorConfig,
    senders: usize,
    classifier: Classifier,
    phase: Phase,
    /// When the state that [`Health`] tells began.
    since: Option<Instant>,
    /// The target that is tried, or that is tried when the open attempt is closed.
    target: usize,
    /// How often it was.
    tries: usize,
    attempts: u64,
    fallback: Option<FallbackReason>,
    /// When it was triggered, until it is completed.
    triggered: Option<Instant>,
    last_errors: LastErrors,
    now: Option<Instant>,
    outputs: VecDeque<Output>,
    stats: SupervisorStats,
}

impl Supervisor {
    /// One that supervises a list of `senders` targets, and is stopped.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn new(senders: usize, config: SupervisorConfig) -> Self {
        assert!(senders > 0, "no target to send to");
        Self {
            classifier: Classifier::new(config.failures.clone()),
            config,
            senders,
            phase: Phase::Stopped,
            since: None,
            target: 0,
            tries: 0,
            attempts: 0,
            fallback: None,
            triggered: None,
            last_errors: LastErrors::default(),
            now: None,
            outputs: VecDeque::new(),
            stats: SupervisorStats::default(),
        }
    }

    /// Begins with the first target, unless it is started. What still closes is awaited.
    ///
    /// After the list was exhausted it begins anew; while the application sends by its own
    /// path it is started, and nothing happens.
    pub fn start(&mut self, now: Instant) {
        let now = self.advance(now);
        let stopped = match &mut self.phase {
            Phase::Stopped => true,
            Phase::Open(Sender { closing: Some(closing), .. }) if closing.next == Next::Stop => {
                closing.next = Next::Try;
                false
            }
            _ => return,
        };
        (self.target, self.tries) = (0, 0);
        (self.fallback, self.triggered) = (None, None);
        if stopped {
            self.wait(now);
        }
    }

    /// Closes what is open, and opens nothing more until it is started.
    pub fn stop(&mut self, now: Instant) {
        // First of all: what is due would open something else.
        let now = self.latest(now);
        self.triggered = None;
        match &mut self.phase {
            Phase::Open(Sender { closing: Some(closing), .. }) => closing.next = Next::Stop,
            Phase::Open(_) => self.close(now, None, Next::Stop),
            Phase::Stopped => {}
            Phase::External | Phase::Waiting(_) => self.set_phase(now, Phase::Stopped),
        }
        self.advance(now);
    }

    /// Media flows.
    pub fn handle_up(&mut self, now: Instant, attempt: Attempt) {
        let now = self.advance(now);
        let Some(sender) = self.active(attempt) else {
            return;
        };
        if std::mem::replace(&mut sender.live, true) {
            return;
        }
        sender.deadline = None;
        let (target, after) = (sender.target, now.saturating_duration_since(sender.opened));
        self.since = Some(now);
        self.tell(Event::SenderStarted { attempt, target, after });
        if let Some(triggered) = self.triggered.take() {
            let after = now.saturating_duration_since(triggered);
            self.tell(Event::FallbackCompleted { target: Target::Sender(target), after });
        }
    }

    /// The path to the server was lost (ICE is disconnected), or is there again. For
    /// [`Health`] alone: nothing ends by it here. Whoever drives the sender says when a path
    /// has been gone for too long, by [`handle_failure`](Self::handle_failure); the client's
    /// `SfuSender` closes itself after its `path_timeout`.
    pub fn handle_path(&mut self, now: Instant, attempt: Attempt, up: bool) {
        self.advance(now);
        if let Some(sender) = self.active(attempt) {
            sender.path = up;
        }
    }

    /// Something went wrong. One that [is counted](FailureKind::is_counted) counts, any other
    /// ends the attempt.
    pub fn handle_failure(&mut self, now: Instant, attempt: Attempt, failure: Failure) {
        let now = self.advance(now);
        self.fail(now, attempt, failure);
    }

    /// Something was encoded, or the encoder said why not.
    pub fn handle_encode(&mut self, now: Instant, attempt: Attempt, outcome: Result<(), &str>) {
        let now = self.advance(now);
        if let Err(text) = outcome {
            self.fail(now, attempt, Failure::new(FailureKind::EncodeFailed, text));
        }
    }

    /// A packet was taken by the transport, or it said why not.
    pub fn handle_send(&mut self, now: Instant, attempt: Attempt, outcome: Result<(), &str>) {
        let now = self.advance(now);
        if let Err(text) = outcome {
            self.fail(now, attempt, Failure::new(FailureKind::SendFailed, text));
        }
    }

    /// `offered` more frames came to the queue since this was last called, and `dropped` were
    /// dropped from it. To be called for each frame, or a few times a second.
    pub fn handle_queue(&mut self, now: Instant, attempt: Attempt, offered: u64, dropped: u64) {
        let now = self.advance(now);
        if self.active(attempt).is_none() {
            return;
        }
        self.stats.queue_drops = self.stats.queue_drops.saturating_add(dropped);
        if self.classifier.handle_queue(now, offered, dropped) == Severity::Fatal {
            let counts = self.classifier.counts(now);
            let text = format!("{} of {} frames", counts.dropped, counts.offered);
            let failure = Failure::new(FailureKind::QueueDropped, &text);
            self.end(now, failure, Severity::Fatal, true);
        }
    }

    /// It is closed: because that was asked for, or by itself, which is a failure.
    pub fn handle_closed(&mut self, now: Instant, attempt: Attempt) {
        let now = self.advance(now);
        match &self.phase {
            Phase::Open(sender) if sender.attempt == attempt && sender.closing.is_some() => {
                self.closed(now);
            }
            Phase::Open(sender) if sender.attempt == attempt => {
                let failure = Failure::from(FailureKind::TransportClosed);
                self.end(now, failure, Severity::Fatal, false);
                self.closed(now);
            }
            _ => self.stats.stale += 1,
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Takes what has to be done next.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When time has to pass at the latest, if something waits for it.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::External | Phase::Stopped => None,
            Phase::Open(sender) => sender.deadline,
            Phase::Waiting(until) => *until,
        }
    }

    /// How it is. `degradation_level` is the caller's: how many rungs of quality are given
    /// up at the moment, 0 if none.
    #[must_use]
    pub fn health(&self, now: Instant, degradation_level: u32) -> Health {
        let (state, transport_state) = match &self.phase {
            Phase::External => (State::External, TransportState::Closed),
            Phase::Open(Sender { closing: Some(_), .. }) => {
                (State::Closing, TransportState::Closing)
            }
            Phase::Open(Sender { live: false, .. }) => {
                (State::Connecting, TransportState::Connecting)
            }
            Phase::Open(Sender { path: false, .. }) => (State::Live, TransportState::Interrupted),
            Phase::Open(_) => (State::Live, TransportState::Connected),
            Phase::Stopped => (State::Stopped, TransportState::Closed),
            Phase::Waiting(_) => (State::Waiting, TransportState::Closed),
        };
        let target = match &self.phase {
            Phase::External => Some(Target::External),
            Phase::Open(sender) => Some(Target::Sender(sender.target)),
            Phase::Stopped => None,
            Phase::Waiting(_) => Some(Target::Sender(self.target)),
        };
        Health {
            state,
            target,
            fallback_reason: self.fallback.clone(),
            degradation_level,
            transport_state,
            since: self.since.map_or_else(Default::default, |at| now.saturating_duration_since(at)),
            counts: self.classifier.counts(now),
            last_errors: self.last_errors.clone(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> SupervisorStats {
        self.stats
    }

    /// `now`, or the latest time that was ever told.
    fn latest(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |latest| latest.max(now));
        self.now = Some(now);
        now
    }

    /// Does what is due.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.latest(now);
        while self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            match &self.phase {
                Phase::Waiting(_) => self.open(now),
                Phase::Open(sender) if sender.closing.is_some() => {
                    self.stats.abandoned += 1;
                    self.closed(now);
                }
                _ => {
                    let failure = Failure::new(FailureKind::TimedOut, "no media in time");
                    let severity = failure.kind().severity(false);
                    self.end(now, failure, severity, true);
                }
            }
        }
        now
    }

    /// The open sender, if this attempt is it and it is not being closed.
    fn active(&mut self, attempt: Attempt) -> Option<&mut Sender> {
        match &mut self.phase {
            Phase::Open(sender) if sender.attempt == attempt && sender.closing.is_none() => {
                Some(sender)
            }
            _ => {
                self.stats.stale += 1;
                None
            }
        }
    }

    fn fail(&mut self, now: Instant, attempt: Attempt, failure: Failure) {
        let Some(sender) = self.active(attempt) else {
            return;
        };
        let (live, target) = (sender.live, sender.target);
        let kind = failure.kind();
        let severity = self.classifier.handle_failure(now, kind, live);
        let counts = self.classifier.counts(now);
        let first = match kind {
            FailureKind::EncodeFailed => {
                self.stats.encode_errors += 1;
                counts.encode_errors == 1
            }
            FailureKind::SendFailed => {
                self.stats.send_errors += 1;
                counts.send_errors == 1
            }
            _ => true,
        };
        if severity == Severity::Fatal || !kind.is_counted() {
            self.end(now, failure, severity, true);
        } else {
            self.note(attempt, target, failure, severity, first);
        }
    }

    /// Remembers a failure, and tells it if that is not too often.
    fn note(
        &mut self,
        attempt: Attempt,
        target: usize,
        failure: Failure,
        severity: Severity,
        tell: bool,
    ) {
        let encoding = failure.kind() == FailureKind::EncodeFailed;
        let last =
            if encoding { &mut self.last_errors.encode } else { &mut self.last_errors.transport };
        *last = Some(failure.clone());
        if tell && encoding {
            self.tell(Event::EncodeError { attempt, target, failure, severity });
        } else if tell {
            self.tell(Event::TransportError { attempt, target, failure, severity });
        }
    }

    /// The open attempt is of no use any more; `open` says whether it has to be closed.
    fn end(&mut self, now: Instant, failure: Failure, severity: Severity, open: bool) {
        let Phase::Open(Sender { attempt, target, .. }) = self.phase else {
            return;
        };
        self.note(attempt, target, failure.clone(), severity, true);
        let again = severity == Severity::Transient && self.tries < self.config.backoff.len();
        let next = if again { Next::Try } else { self.fall_back(now, &failure) };
        if open {
            self.close(now, Some(failure), next);
        } else if let Phase::Open(sender) = &mut self.phase {
            sender.closing = Some(Closing { failure: Some(failure), next });
        }
    }

    /// Gives up the target, and notes the next.
    fn fall_back(&mut self, now: Instant, failure: &Failure) -> Next {
        let from = Target::Sender(self.target);
        let (to, next) = if self.target + 1 < self.senders {
            (Some(Target::Sender(self.target + 1)), Next::Try)
        } else if self.config.external {
            (Some(Target::External), Next::External)
        } else {
            (None, Next::Stop)
        };
        let reason = FallbackReason {
            from,
            to,
            failure: failure.clone(),
            tries: self.tries as u32,
            counts: self.classifier.counts(now),
        };
        if to.is_some() {
            self.stats.fallbacks += 1;
            self.triggered.get_or_insert(now);
        } else {
            self.triggered = None;
        }
        if next == Next::Try {
            (self.target, self.tries) = (self.target + 1, 0);
        }
        self.fallback = Some(reason.clone());
        self.tell(Event::FallbackTriggered(reason));
        next
    }

    fn close(&mut self, now: Instant, failure: Option<Failure>, next: Next) {
        if let Phase::Open(sender) = &mut self.phase {
            sender.closing = Some(Closing { failure, next });
            sender.deadline = now.checked_add(self.config.close_timeout);
            self.since = Some(now);
            let attempt = sender.attempt;
            self.outputs.push_back(Output::Close { attempt });
        }
    }

    /// What was to be closed is closed, or had its time.
    fn closed(&mut self, now: Instant) {
        let Phase::Open(Sender { attempt, target, live, closing: Some(closing), .. }) =
            std::mem::replace(&mut self.phase, Phase::Stopped)
        else {
            return;
        };
        if live {
            self.tell(Event::SenderStopped { attempt, target, failure: closing.failure });
        }
        match closing.next {
            Next::External => {
                self.set_phase(now, Phase::External);
                let triggered = self.triggered.take().unwrap_or(now);
                let after = now.saturating_duration_since(triggered);
                self.tell(Event::FallbackCompleted { target: Target::External, after });
            }
            Next::Stop => self.set_phase(now, Phase::Stopped),
            Next::Try => self.wait(now),
        }
    }

    /// Waits for as long as it takes until the next try at the target, maybe not at all.
    fn wait(&mut self, now: Instant) {
        let wait = self.config.backoff.get(self.tries).copied().unwrap_or_default();
        if wait.is_zero() {
            return self.open(now);
        }
        self.set_phase(now, Phase::Waiting(now.checked_add(wait)));
    }

    fn open(&mut self, now: Instant) {
        self.classifier.clear();
        self.tries += 1;
        self.attempts += 1;
        self.stats.attempts += 1;
        let (attempt, target) = (Attempt::new(self.attempts), self.target);
        let deadline = now.checked_add(self.config.connect_timeout);
        let sender = Sender {
            attempt,
            target,
            opened: now,
            live: false,
            path: true,
            deadline,
            closing: None,
        };
        self.set_phase(now, Phase::Open(sender));
        self.outputs.push_back(Output::Open { attempt, target });
    }

    fn set_phase(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.since = Some(now);
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
