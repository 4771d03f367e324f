//! What must be so in every race, judged by what goes in and comes out alone.

use std::time::{Duration, Instant};

use paceline_publish::{Attempt, Event, Output, State, Target};

use super::Happening;

/// Keeps its own account of what is open, and says which rule an output breaks.
#[derive(Debug)]
pub(super) struct Rules {
    senders: usize,
    external: bool,
    /// What the application asked for last.
    wanted: bool,
    /// All that was opened, in order.
    opened: Vec<Attempt>,
    open: Option<Opened>,
    /// Where the run is, and how often it tried that.
    target: usize,
    tries: u32,
    /// A start was asked for while something was closing: the next run is at hand.
    again: bool,
    /// How the run is to end, if it is.
    over: Option<Option<Target>>,
    /// A fallback is on its way.
    falling: bool,
    live: bool,
    given_up: u64,
    started: u64,
}

#[derive(Clone, Copy, Debug)]
struct Opened {
    attempt: Attempt,
    /// Since when it closes.
    closing: Option<Instant>,
}

type Judged = Result<(), &'static str>;

impl Rules {
    pub(super) const fn new(senders: usize, external: bool) -> Self {
        Self {
            senders,
            external,
            wanted: false,
            opened: Vec::new(),
            open: None,
            target: 0,
            tries: 0,
            again: false,
            over: None,
            falling: false,
            live: false,
            given_up: 0,
            started: 0,
        }
    }

    pub(super) const fn given_up(&self) -> u64 {
        self.given_up
    }

    pub(super) const fn started(&self) -> u64 {
        self.started
    }

    pub(super) fn older_than(&self, attempt: Attempt, chance: u64) -> Option<Attempt> {
        let older = self.opened.partition_point(|&opened| opened < attempt);
        (older > 0).then(|| self.opened[chance as usize % older])
    }

    pub(super) fn handle_input(&mut self, now: Instant, happening: &Happening) {
        match happening {
            Happening::Start => {
                // What is exhausted is stopped; what was given to the application is not.
                let exhausted = self.over == Some(None);
                if !self.wanted || exhausted {
                    (self.wanted, self.again) = (true, true);
                }
            }
            Happening::Stop => {
                (self.wanted, self.again, self.falling) = (false, false, false);
            }
            Happening::Closed(attempt) => {
                if let Some(open) = &mut self.open
                    && open.attempt == *attempt
                {
                    // It has ended, whether it was asked to or not. That it had to be closed
                    // is known by now: a deadline before this has been handled.
                    open.closing = Some(now - CLOSE_TIMEOUT);
                }
            }
            _ => {}
        }
    }

    pub(super) fn handle_output(&mut self, now: Instant, output: &Output) -> Judged {
        match output {
            Output::Close { attempt } => {
                let Some(open) = self.open.as_mut().filter(|open| open.attempt == *attempt) else {
                    return Err("what is not open is closed");
                };
                if open.closing.replace(now).is_some() {
                    return Err("an attempt is closed twice");
                }
                Ok(())
            }
            Output::Event(event) => self.handle_event(event),
            Output::Open { attempt, target } => self.handle_open(now, *attempt, *target),
        }
    }

    fn handle_open(&mut self, now: Instant, attempt: Attempt, target: usize) -> Judged {
        if !self.wanted {
            return Err("something is opened after a stop");
        }
        let ended = |open: Opened| open.closing.is_some_and(|at| now - at >= CLOSE_TIMEOUT);
        if self.open.is_some_and(|open| !ended(open)) {
            return Err("two attempts are open at once");
        }
        if self.live {
            return Err("a sender is opened before the one before was told to have stopped");
        }
        if self.opened.last().is_some_and(|&last| last >= attempt) {
            return Err("a number of an attempt is used again");
        }
        if std::mem::take(&mut self.again) {
            (self.target, self.tries, self.over) = (0, 0, None);
        }
        if self.over.is_some() {
            return Err("something is opened after the last target");
        }
        if target != self.target {
            return Err("another target is opened than the one it is the turn of");
        }
        self.tries += 1;
        if self.tries > MAX_TRIES {
            return Err("a target is tried too often");
        }
        self.opened.push(attempt);
        self.open = Some(Opened { attempt, closing: None });
        Ok(())
    }

    fn handle_event(&mut self, event: &Event) -> Judged {
        match event {
            Event::FallbackCompleted { target, .. } => {
                if !std::mem::take(&mut self.falling) {
                    return Err("a fallback is completed that was not triggered");
                }
                let there = match target {
                    Target::External => self.over == Some(Some(Target::External)) && !self.live,
                    Target::Sender(place) => *place == self.target && self.live,
                };
                if there { Ok(()) } else { Err("a fallback is completed elsewhere") }
            }
            Event::FallbackTriggered(reason) => {
                self.given_up += 1;
                if reason.from != Target::Sender(self.target) || self.over.is_some() {
                    return Err("a target is given up whose turn it is not");
                }
                let next = self.target + 1;
                let to = if next < self.senders {
                    (self.target, self.tries) = (next, 0);
                    Some(Target::Sender(next))
                } else {
                    let to = self.external.then_some(Target::External);
                    self.over = Some(to);
                    to
                };
                self.falling = to.is_some();
                if reason.to == to { Ok(()) } else { Err("the wrong target is next") }
            }
            Event::SenderStarted { attempt, .. } => {
                self.started += 1;
                let open = self.open.is_some_and(|open| open.attempt == *attempt);
                if std::mem::replace(&mut self.live, true) || !open {
                    return Err("a sender is started that is not open, or twice");
                }
                Ok(())
            }
            Event::SenderStopped { attempt, .. } => {
                let open = self
                    .open
                    .is_some_and(|open| open.attempt == *attempt && open.closing.is_some());
                if !std::mem::replace(&mut self.live, false) || !open {
                    return Err("a sender is stopped that was not started, or is not closed");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Nothing more will happen.
    pub(super) fn handle_rest(&self, state: State) -> Judged {
        let expected = match (self.wanted, self.over) {
            (true, _) if self.again => return Err("it was started, and nothing was opened"),
            (false, _) | (true, Some(None)) => State::Stopped,
            (true, Some(_)) => State::External,
            (true, None) => State::Live,
        };
        if state != expected {
            return Err("it does not end as it was asked to");
        }
        if self.live != (state == State::Live) {
            return Err("senders are not stopped as often as they are started");
        }
        if state != State::Live && self.open.is_some_and(|open| open.closing.is_none()) {
            return Err("an attempt was never closed");
        }
        Ok(())
    }
}

/// The default of `SupervisorConfig::close_timeout`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// As many as the default of `SupervisorConfig::backoff` has.
const MAX_TRIES: u32 = 3;
