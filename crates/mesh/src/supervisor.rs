//! Who may be connected to now, and how long each step may take.

use std::collections::BTreeMap;
use std::time::Instant;

use paceline_types::PeerId;

use crate::reason::Phase;
use crate::{MeshConfig, Reason};

/// Turns: at most so many connections are made at a time, and who comes above that
/// waits until one of them ends.
#[derive(Debug)]
pub(crate) struct Supervisor {
    max: usize,
    busy: usize,
    next_ticket: u64,
    waiting: BTreeMap<u64, PeerId>,
}

impl Supervisor {
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, busy: 0, next_ticket: 0, waiting: BTreeMap::new() }
    }

    /// Takes a place at once, unless all are taken or somebody waits for one.
    pub(crate) fn begin(&mut self) -> bool {
        let free = self.busy < self.max && self.waiting.is_empty();
        self.busy += usize::from(free);
        free
    }

    /// Puts a peer at the end of those who wait; what it comes to is its ticket.
    pub(crate) fn wait(&mut self, peer: PeerId) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, peer);
        ticket
    }

    pub(crate) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    pub(crate) const fn end(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    /// Whose turn it is, with the place taken for him.
    pub(crate) fn next(&mut self) -> Option<PeerId> {
        if self.busy >= self.max {
            return None;
        }
        let (_, peer) = self.waiting.pop_first()?;
        self.busy += 1;
        Some(peer)
    }

    pub(crate) const fn busy(&self) -> usize {
        self.busy
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// A connection that is being made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joining {
    pub(crate) phase: Phase,
    began: Instant,
    since: Instant,
}

impl Joining {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { phase: Phase::Offer, began: now, since: now }
    }

    /// Anew, by another offer: that gives him no more time in all.
    pub(crate) const fn again(self, now: Instant) -> Self {
        Self { phase: Phase::Offer, began: self.began, since: now }
    }

    pub(crate) fn enter(&mut self, now: Instant, phase: Phase) {
        if phase != self.phase {
            (self.phase, self.since) = (phase, now);
        }
    }

    pub(crate) fn deadline(&self, config: &MeshConfig) -> Option<(Instant, Reason)> {
        let opened_by = self.began.checked_add(config.open_timeout);
        let (step, reason) = match self.phase {
            Phase::Offer => (self.since.checked_add(config.offer_timeout), Reason::Offer),
            Phase::Answer => (self.since.checked_add(config.answer_timeout), Reason::Answer),
            Phase::Open => (None, Reason::Open),
        };
        let step = step.map(|at| (at, reason));
        let open = opened_by.map(|at| (at, Reason::Open));
        [step, open].into_iter().flatten().min_by_key(|&(at, _)| at)
    }
}
