//! When the next frame of a source is due.

use std::time::{Duration, Instant};

/// Ticks at an even rate from a start; a reader that is late skips what is past.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    interval: f64,
    next: u64,
}

impl Pace {
    /// `interval` is in seconds, and positive.
    pub(crate) fn new(start: Instant, interval: f64) -> Self {
        Self { start, interval, next: 0 }
    }

    /// When tick `index` is due.
    pub(crate) fn due(&self, index: u64) -> Instant {
        self.start + self.since_start(index)
    }

    /// How long after the start tick `index` is.
    pub(crate) fn since_start(&self, index: u64) -> Duration {
        Duration::from_secs_f64(index as f64 * self.interval)
    }

    /// The next tick, and how many had to be skipped because they are more than
    /// `late` past.
    pub(crate) fn advance(&mut self, now: Instant, late: Duration) -> (u64, u64) {
        let mut skipped = 0;
        let behind = now.saturating_duration_since(self.due(self.next));
        if behind > late {
            skipped = (behind.as_secs_f64() / self.interval) as u64;
        }
        let index = self.next + skipped;
        self.next = index + 1;
        (index, skipped)
    }

    /// When to call [`advance`](Self::advance) next.
    pub(crate) fn next_due(&self) -> Instant {
        self.due(self.next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn a_late_reader_skips_to_the_frame_that_is_due() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut pace = Pace::new(start, 0.04);
        assert_eq!(pace.advance(start, ms(40)), (0, 0));
        assert_eq!(pace.advance(start + ms(60), ms(40)), (1, 0));
        assert_eq!(pace.advance(start + ms(405), ms(40)), (10, 8));
        assert_eq!(pace.next_due(), start + ms(440));
    }
}
