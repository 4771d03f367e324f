//! A stream of an aligner: what waits, and what was given last.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::aligned::{AlignerStats, Part, Slot, Take};

#[derive(Debug)]
pub(super) struct Lane<T, S, G> {
    pub(super) id: S,
    pub(super) peer: G,
    pub(super) take: Take,
    pub(super) interval: i64,
    pub(super) queue: VecDeque<(i64, T)>,
    pub(super) given: Option<(i64, T)>,
    /// The time of the newest frame ever queued, and when it came.
    pub(super) reached: Option<(i64, i64)>,
    /// From capture to playout.
    pub(super) lag: i64,
}

impl<T: Clone, S: Copy, G> Lane<T, S, G> {
    /// Whether what a set of `time` needs has come: the newest frame lasts until then.
    pub(super) fn covers(&self, time: i64) -> bool {
        self.reached.is_some_and(|(reached, _)| {
            reached >= time || reached.saturating_add(self.interval) > time
        })
    }

    /// Adds what this stream has for the set of `time`.
    pub(super) fn give(
        &mut self,
        time: i64,
        origin: Instant,
        stats: &mut AlignerStats,
        parts: &mut Vec<Part<S, T>>,
    ) {
        let stream = self.id;
        let mut fresh = 0;
        let mut newest = None;
        while self.queue.front().is_some_and(|&(at, _)| at <= time) {
            let Some((at, payload)) = self.queue.pop_front() else { break };
            fresh += 1;
            match self.take {
                Take::All => {
                    let slot = Slot::Fresh { at: instant(origin, at), payload };
                    parts.push(Part { stream, slot });
                }
                Take::Newest => newest = Some((at, payload)),
            }
        }
        let slot = match (self.take, newest) {
            (Take::All, _) if fresh > 0 => {
                stats.fresh += fresh;
                return;
            }
            (Take::All, _) => Slot::Missing,
            (Take::Newest, Some((at, payload))) => {
                stats.skipped += fresh - 1;
                self.given = Some((at, payload.clone()));
                Slot::Fresh { at: instant(origin, at), payload }
            }
            (Take::Newest, None) => match &self.given {
                Some((at, payload)) => {
                    Slot::Held { at: instant(origin, *at), payload: payload.clone() }
                }
                None => Slot::Missing,
            },
        };
        match &slot {
            Slot::Fresh { .. } => stats.fresh += 1,
            Slot::Held { .. } => stats.held += 1,
            Slot::Missing => stats.missing += 1,
        }
        parts.push(Part { stream, slot });
    }
}

/// The instant `nanos` after `origin`.
pub(super) fn instant(origin: Instant, nanos: i64) -> Instant {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    let moved = if nanos < 0 { origin.checked_sub(span) } else { origin.checked_add(span) };
    moved.unwrap_or(origin)
}
