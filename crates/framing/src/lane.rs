//! A queue under a policy.

use std::collections::BTreeSet;
use std::mem;
use std::time::Instant;

use paceline_types::StreamKey;

use crate::fragment::Flow;
use crate::queue::{Queue, cost};
use crate::{Cut, QueuePolicy, Verdict};

/// The packets of a class that has a policy.
#[derive(Debug)]
pub(crate) struct Lane {
    policy: QueuePolicy,
    pub(crate) queue: Queue,
    pub(crate) counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) full: u64,
    pub(crate) refused: u64,
    pub(crate) replaced: u64,
    pub(crate) shed: u64,
}

/// Streams of which only a keyframe is taken.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    streams: BTreeSet<StreamKey>,
    /// Those of them that nobody was told of yet.
    untold: BTreeSet<StreamKey>,
}

impl Lane {
    pub(crate) fn new(policy: QueuePolicy) -> Self {
        Self { policy, queue: Queue::default(), counts: Counts::default() }
    }

    pub(crate) fn clear(&mut self) {
        self.queue = Queue::default();
    }

    pub(crate) fn push(&mut self, now: Instant, cut: Cut, broken: &mut Broken) -> Verdict {
        if self.refuses(&cut, broken) {
            return Verdict::Shed;
        }
        match self.policy {
            QueuePolicy::DropToKeyframe { max_bytes, .. } => {
                while self.queue.held() + cost(&cut) > max_bytes && self.shed_oldest(broken) {}
                // What was shed just now may be what it builds on.
                if self.refuses(&cut, broken) {
                    return Verdict::Shed;
                }
                broken.handle_taken(&cut);
                self.queue.push(now, cut);
                Verdict::Queued
            }
            QueuePolicy::LatestWins { max_bytes } => self.replace(now, cut, max_bytes, broken),
            QueuePolicy::Reliable { max_bytes, .. } => {
                let held = self.queue.held();
                if self.overdue(now) || held > 0 && held + cost(&cut) > max_bytes {
                    return self.full(&cut, broken);
                }
                broken.handle_taken(&cut);
                self.queue.push(now, cut);
                Verdict::Queued
            }
        }
    }

    /// Leaves out what has waited too long.
    pub(crate) fn expire(&mut self, now: Instant, broken: &mut Broken) {
        let QueuePolicy::DropToKeyframe { max_age, .. } = self.policy else { return };
        while self
            .queue
            .oldest_whole()
            .is_some_and(|waiting| now.saturating_duration_since(waiting.since) > max_age)
        {
            self.shed_oldest(broken);
        }
    }

    /// When the oldest has waited longer than it may, if nothing may be left out.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        let QueuePolicy::Reliable { deadline, .. } = self.policy else { return None };
        // One that is never due is never overdue.
        self.queue.first()?.since.checked_add(deadline)
    }

    pub(crate) fn restart_deadlines(&mut self, now: Instant) {
        if matches!(self.policy, QueuePolicy::Reliable { .. }) {
            self.queue.restart(now);
        }
    }

    pub(crate) fn overdue(&self, now: Instant) -> bool {
        self.overdue_at().is_some_and(|at| at <= now)
    }

    fn replace(
        &mut self,
        now: Instant,
        cut: Cut,
        max_bytes: usize,
        broken: &mut Broken,
    ) -> Verdict {
        let mut places = Vec::new();
        let mut kept = self.queue.held();
        for (at, waiting) in self.queue.whole() {
            if waiting.cut.flow() != cut.flow() {
                continue;
            }
            if waiting.cut.is_needed() && !cut.stands_alone() {
                self.counts.refused += 1;
                broken.handle_left_out(&cut);
                return Verdict::Shed;
            }
            kept -= cost(&waiting.cut);
            places.push(at);
        }
        if kept > 0 && kept + cost(&cut) > max_bytes {
            return self.full(&cut, broken);
        }
        self.counts.replaced += places.len() as u64;
        for &at in places.iter().rev() {
            self.queue.remove(at);
        }
        broken.handle_taken(&cut);
        match places.first() {
            Some(&at) => self.queue.insert(at, now, cut),
            None => self.queue.push(now, cut),
        }
        Verdict::Queued
    }

    fn full(&mut self, cut: &Cut, broken: &mut Broken) -> Verdict {
        self.counts.full += 1;
        broken.handle_left_out(cut);
        Verdict::Full
    }

    fn refuses(&mut self, cut: &Cut, broken: &Broken) -> bool {
        let refused = broken.refuses(cut);
        self.counts.refused += u64::from(refused);
        refused
    }

    /// Sheds the oldest packet that is not begun, and what builds on it; `false`
    /// if there is none.
    fn shed_oldest(&mut self, broken: &mut Broken) -> bool {
        let oldest = self.queue.begun();
        let Some(cut) = self.queue.remove(oldest) else { return false };
        self.counts.shed += 1;
        if !cut.is_needed() {
            return true;
        }
        let mut at = oldest;
        while let Some(next) = self.queue.get(at) {
            if next.cut.flow() != cut.flow() {
                at += 1;
            } else if next.cut.stands_alone() {
                return true;
            } else {
                self.queue.remove(at);
                self.counts.shed += 1;
            }
        }
        broken.handle_left_out(&cut);
        true
    }
}

impl Broken {
    pub(crate) fn handle_left_out(&mut self, cut: &Cut) {
        if let (Some(Flow::Stream(stream)), true) = (cut.flow(), cut.is_needed())
            && self.streams.insert(stream)
        {
            self.untold.insert(stream);
        }
    }

    /// Whether there is one that nobody was told of.
    pub(crate) fn take_untold(&mut self) -> bool {
        !mem::take(&mut self.untold).is_empty()
    }

    fn handle_taken(&mut self, cut: &Cut) {
        if let (Some(Flow::Stream(stream)), true) = (cut.flow(), cut.stands_alone()) {
            self.streams.remove(&stream);
            self.untold.remove(&stream);
        }
    }

    fn refuses(&self, cut: &Cut) -> bool {
        let Some(Flow::Stream(stream)) = cut.flow() else { return false };
        !cut.stands_alone() && self.streams.contains(&stream)
    }
}
