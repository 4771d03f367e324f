//! A short train of padding that shows what a path takes when nothing else does.

use std::time::{Duration, Instant};

use crate::path::{MIN_INTERVAL, rate};

/// Padding that may be sent now, all of it at once: by up to so much over the window, but
/// never over the largest one.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_mesh::{Pacer, PacerConfig, Probe};
///
/// let now = Instant::now();
/// let mut pacer = Pacer::new(PacerConfig::default());
/// pacer.handle_sent(now, 100);
/// // A peer who is sent little, for a while.
/// let at = pacer.poll_timeout().expect("there is room for more");
/// assert_eq!(pacer.poll_probe(at), Some(Probe { bytes: 32 << 10 }));
/// for _ in 0..2 {
///     pacer.handle_sent(at, 16 << 10);
/// }
/// assert_eq!(pacer.poll_probe(at), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to a probe")]
pub struct Probe {
    /// How much, headers included.
    pub bytes: usize,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster {
    at: Instant,
    start: u64,
    end: u64,
    /// Bytes that were outstanding before it: some of them were in its way.
    ahead: u64,
    /// Its first acknowledgement, and the bytes of it.
    first: Option<(Instant, u64)>,
    best: u64,
}

impl Cluster {
    /// One that is sent now, from the byte `start` on.
    pub(crate) const fn new(now: Instant, start: u64, bytes: usize, ahead: u64) -> Self {
        let end = start.saturating_add(bytes as u64);
        Self { at: now, start, end, ahead, first: None, best: 0 }
    }

    /// Something was sent, from the byte `from` on. What of the probe did not go at once is
    /// no part of it.
    pub(crate) fn handle_sent(&mut self, now: Instant, from: u64) {
        if self.at < now {
            self.end = self.end.min(from);
        }
    }

    /// All up to the byte `delivered` is acknowledged.
    ///
    /// A probe's bytes come at the rate of the path, one behind the other: so long does the
    /// rest take after the first. Acknowledgements that were held up on their way say too
    /// much; no more can have come than all that was on its way, in the time beyond the
    /// way itself.
    pub(crate) fn handle_acked(&mut self, now: Instant, delivered: u64, way: Duration) {
        let acked = delivered.min(self.end).saturating_sub(self.start);
        if acked == 0 {
            return;
        }
        let &mut (first_at, first_bytes) = self.first.get_or_insert((now, acked));
        // The last acknowledgement may be late on purpose (RFC 9260 §6.2: 200 ms), so one
        // that has half of it counts too.
        if acked >= (self.end - self.start) / 2 && acked > first_bytes {
            let rest = rate(acked - first_bytes, now.saturating_duration_since(first_at));
            let beyond = now.saturating_duration_since(self.at).saturating_sub(way);
            let all = if beyond < MIN_INTERVAL { rest } else { rate(self.ahead + acked, beyond) };
            self.best = self.best.max(rest.min(all));
        }
    }

    /// Whether all of it is acknowledged, or none of it was sent.
    pub(crate) fn is_over(&self, now: Instant, delivered: u64) -> bool {
        delivered >= self.end && (self.end > self.start || self.at < now)
    }

    /// What it showed, in bytes a second; 0 for nothing.
    pub(crate) const fn rate(&self) -> u64 {
        self.best
    }
}
