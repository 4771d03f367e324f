//! What was acknowledged of late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When how much was acknowledged, and what was left.
#[derive(Debug, Default)]
pub(super) struct Acks {
    seen: VecDeque<Seen>,
    /// What was acknowledged when it was last looked at.
    delivered: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    delivered: u64,
    backlog: usize,
}

/// What happened from one acknowledgement to a later one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// Bits in a second that came through.
    pub(super) rate: f64,
    pub(super) span: Duration,
    /// Bytes more that are on their way, or wait.
    pub(super) growth: i64,
}

impl Acks {
    /// How it stands. Without anything new acknowledged it says nothing.
    pub(super) fn handle(&mut self, now: Instant, delivered: u64, backlog: usize) {
        let seen = Seen { at: now, delivered, backlog };
        if self.delivered.replace(delivered) == Some(delivered) {
            return;
        }
        match self.seen.back_mut() {
            // Another connection.
            Some(last) if delivered < last.delivered => self.seen.clear(),
            // Acknowledged in pieces: the latest counts, for what was there before it is
            // in it.
            Some(last) if now.saturating_duration_since(last.at) < STEP => {
                *last = Seen { at: last.at, ..seen };
                return;
            }
            _ => {}
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }

    /// What follows has nothing to do with what was before it.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// What came through since then: from the first acknowledgement after it, because
    /// what that confirms went before. `None` before there is another one.
    pub(super) fn since(&self, then: Instant) -> Option<Measured> {
        self.between(self.seen.partition_point(|seen| seen.at < then))
    }

    /// The same from the last acknowledgement before it, which says a little too little:
    /// there may have been nothing to acknowledge for a while.
    pub(super) fn around(&self, then: Instant) -> Option<Measured> {
        self.between(self.seen.partition_point(|seen| seen.at < then).checked_sub(1)?)
    }

    fn between(&self, first: usize) -> Option<Measured> {
        let (first, last) = (self.seen.get(first)?, self.seen.back()?);
        let span = last.at.saturating_duration_since(first.at);
        if span.is_zero() {
            return None;
        }
        let bits = last.delivered.saturating_sub(first.delivered) as f64 * 8.0;
        let growth = last.backlog as i64 - first.backlog as i64;
        Some(Measured { rate: bits / span.as_secs_f64(), span, growth })
    }

    /// Whether something was acknowledged all along since then, never later than `gap` after
    /// what was before it. What is not remembered any more was not.
    pub(super) fn are_steady(&self, then: Instant, now: Instant, gap: Duration) -> bool {
        let first = self.seen.partition_point(|seen| seen.at <= then);
        let mut before = then;
        for at in self.seen.range(first..).map(|seen| seen.at).chain([now]) {
            if at.saturating_duration_since(before) > gap {
                return false;
            }
            before = at;
        }
        true
    }

    /// When something was acknowledged last.
    pub(super) fn latest(&self) -> Option<Instant> {
        self.seen.back().map(|seen| seen.at)
    }
}

/// Engines acknowledge packet by packet.
const STEP: Duration = Duration::from_millis(5);

/// 1.3 s at the shortest steps: as long as anything here looks back.
const MAX_SEEN: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn the_rate_is_what_came_after_the_first_acknowledgement() {
        let start = Instant::now();
        let mut acks = Acks::default();
        for step in 0..=10_u32 {
            let at = start + Duration::from_millis(20) * step;
            acks.handle(at, u64::from(step) * 2_500, 10_000 + step as usize * 100);
        }
        let then = start + Duration::from_millis(50);
        let measured = acks.since(then).unwrap();
        assert_eq!(measured.span, Duration::from_millis(140));
        assert_eq!((measured.rate.round(), measured.growth), (1_000_000.0, 700));
        let then = start + Duration::from_millis(195);
        assert_eq!(acks.since(then), None);
        assert_eq!(acks.around(then).map(|measured| measured.growth), Some(100));
    }

    #[test]
    fn a_gap_at_the_beginning_within_or_at_the_end_is_not_steady() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut acks = Acks::default();
        for (step, ms) in [100, 200, 450, 550].into_iter().enumerate() {
            acks.handle(at(ms), step as u64 + 1, 0);
        }
        let gap = Duration::from_millis(150);
        let is_steady = |then, now| acks.are_steady(at(then), at(now), gap);
        assert!(!is_steady(100, 600), "within");
        assert!(is_steady(400, 700));
        assert!(!is_steady(400, 701), "at the end");
        assert!(!is_steady(250, 600), "at the beginning");
        assert!(!is_steady(600, 751), "nothing at all");
    }

    #[test]
    fn a_day_of_acknowledgements_is_256_of_them() {
        let start = Instant::now();
        let mut acks = Acks::default();
        for step in 0..100_000_u32 {
            acks.handle(start + Duration::from_millis(7) * step, u64::from(step), 0);
        }
        assert_eq!(acks.seen.len(), MAX_SEEN);
    }
}
