//! Which of the other end's candidates go to the engine, and when.

use std::collections::VecDeque;

use paceline_types::Signal;

use crate::description::{Description, hash, ufrag_of};
use crate::signaling::{NegotiatorConfig, SignalVerdict};

/// Candidates by the description that they belong to (RFC 8838 §11: one of another
/// generation is not used).
#[derive(Debug)]
pub(crate) struct Candidates {
    config: NegotiatorConfig,
    /// What waits for a description, with the fragment it names.
    kept: VecDeque<(Option<u64>, Signal)>,
    /// Those given to the engine for the description in force.
    applied: Vec<u64>,
    /// Fragments of descriptions that were in force.
    past: Fragments,
    /// Fragments of offers that were ignored.
    ignored: Fragments,
    /// The latest description that came is not used, or not any more: what names none
    /// belongs to that.
    deaf: bool,
}

impl Candidates {
    pub(crate) fn new(config: NegotiatorConfig) -> Self {
        Self {
            config,
            kept: VecDeque::new(),
            applied: Vec::new(),
            past: Fragments::default(),
            ignored: Fragments::default(),
            deaf: false,
        }
    }

    /// Judges one; with `Applied` it is to go to the engine now. `current` is what is in
    /// force, and `awaits` says that a later description has come and is not yet.
    pub(crate) fn handle(
        &mut self,
        signal: Signal,
        current: Option<&Description>,
        awaits: bool,
    ) -> (SignalVerdict, Option<Signal>) {
        let Some((ufrag, id, bytes)) = parts(&signal) else { return (SignalVerdict::Stale, None) };
        if bytes > self.config.max_candidate_bytes {
            return (SignalVerdict::TooMuch, None);
        }
        let ours = match (ufrag, current) {
            (Some(ufrag), _) if self.ignored.contains(ufrag) => {
                return (SignalVerdict::Ignored, None);
            }
            (Some(ufrag), Some(current)) if current.ufrags.contains(&ufrag) => true,
            (Some(ufrag), _) if self.past.contains(ufrag) => return (SignalVerdict::Stale, None),
            (None, _) if self.deaf => return (SignalVerdict::Ignored, None),
            (None, Some(_)) => !awaits,
            _ => false,
        };
        if ours {
            let verdict = self.apply(id);
            let applies = verdict == SignalVerdict::Applied;
            return (verdict, applies.then_some(signal));
        }
        if self.kept.iter().any(|(_, other)| *other == signal) {
            return (SignalVerdict::Duplicate, None);
        }
        if self.kept.len() >= self.config.max_candidates {
            return (SignalVerdict::TooMuch, None);
        }
        self.kept.push_back((ufrag, signal));
        (SignalVerdict::Kept, None)
    }

    fn apply(&mut self, id: u64) -> SignalVerdict {
        if self.applied.contains(&id) {
            return SignalVerdict::Duplicate;
        }
        if self.applied.len() >= self.config.max_candidates {
            return SignalVerdict::TooMuch;
        }
        self.applied.push(id);
        SignalVerdict::Applied
    }

    /// A description is in force in place of `before`: what waited for it, in order.
    pub(crate) fn handle_description(
        &mut self,
        before: Option<&Description>,
        now: &Description,
    ) -> Vec<Signal> {
        let same = before.is_some_and(|before| before.ufrags == now.ufrags);
        if !same {
            self.applied.clear();
        }
        for &ufrag in before.into_iter().flat_map(|before| &before.ufrags) {
            if !now.ufrags.contains(&ufrag) {
                self.past.push(ufrag);
            }
        }
        let mut due = Vec::new();
        for (ufrag, signal) in std::mem::take(&mut self.kept) {
            match ufrag {
                Some(ufrag) if self.past.contains(ufrag) => {}
                Some(ufrag) if !now.ufrags.contains(&ufrag) => {
                    self.kept.push_back((Some(ufrag), signal));
                }
                _ => {
                    let id = parts(&signal).map(|(_, id, _)| id);
                    if id.is_some_and(|id| self.apply(id) == SignalVerdict::Applied) {
                        due.push(signal);
                    }
                }
            }
        }
        due
    }

    /// A description is not used, and with it what belongs to it.
    pub(crate) fn handle_ignored(&mut self, description: &Description) {
        self.deaf = true;
        for &ufrag in &description.ufrags {
            self.ignored.push(ufrag);
        }
        let ignored = &self.ignored;
        self.kept.retain(|(ufrag, _)| ufrag.is_some_and(|ufrag| !ignored.contains(ufrag)));
    }

    /// A description came that has to wait, maybe in place of another that waited.
    pub(crate) fn handle_waiting(&mut self, replaces: bool) {
        self.deaf = false;
        if replaces {
            self.kept.retain(|(ufrag, _)| ufrag.is_some());
        }
    }

    /// The connection is gone; with `all`, what waited is of no use either.
    pub(crate) fn handle_gone(&mut self, current: Option<&Description>, all: bool) {
        self.applied.clear();
        self.deaf |= current.is_some();
        for &ufrag in current.into_iter().flat_map(|current| &current.ufrags) {
            self.past.push(ufrag);
        }
        if all {
            self.kept.clear();
        }
    }
}

/// The fragment a candidate names, what it is known by, and its length.
fn parts(signal: &Signal) -> Option<(Option<u64>, u64, usize)> {
    let Signal::Candidate { candidate, mid, mline_index, ufrag } = signal else { return None };
    let place = u64::from(*mline_index) ^ hash(mid.as_bytes()).rotate_left(32);
    let id = hash(candidate.as_bytes()) ^ place;
    Some((ufrag_of(candidate, ufrag), id, candidate.len() + mid.len() + ufrag.len()))
}

/// The latest few fragments of a kind.
#[derive(Debug, Default)]
pub(crate) struct Fragments(VecDeque<u64>);

impl Fragments {
    pub(crate) fn push(&mut self, ufrag: u64) {
        if !self.contains(ufrag) {
            if self.0.len() == MAX_FRAGMENTS {
                self.0.pop_front();
            }
            self.0.push_back(ufrag);
        }
    }

    pub(crate) fn contains(&self, ufrag: u64) -> bool {
        self.0.contains(&ufrag)
    }
}

/// Generations that are remembered as over: more than the three restarts and three
/// calls that one interruption can bring.
const MAX_FRAGMENTS: usize = 8;
