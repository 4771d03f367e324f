//! Something that happens so many times a second, without drift.

use std::time::{Duration, Instant};

/// The n-th event is due n/rate seconds after the origin, however late the ones
/// before it were.
#[derive(Debug)]
pub(crate) struct Cadence {
    origin: Instant,
    rate: u32,
    next: u64,
}

impl Cadence {
    pub(crate) const fn new(origin: Instant, rate: u32) -> Self {
        Self { origin, rate, next: 0 }
    }

    /// The number of the next event.
    pub(crate) const fn number(&self) -> u64 {
        self.next
    }

    /// When the next event is due.
    pub(crate) fn at(&self) -> Instant {
        let rate = u64::from(self.rate);
        let nanos = self.next % rate * NANOS / rate;
        self.origin + Duration::new(self.next / rate, nanos as u32)
    }

    /// How many events are due and have not happened.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let Some(elapsed) = now.checked_duration_since(self.origin) else { return 0 };
        // Events are due on whole nanoseconds, rounded down: the number of n with
        // n·NANOS/rate < elapsed + 1.
        let happened = ((elapsed.as_nanos() + 1) * u128::from(self.rate)).div_ceil(NANOS.into());
        (happened as u64).saturating_sub(self.next)
    }

    /// Passes over `events`.
    pub(crate) const fn advance(&mut self, events: u64) {
        self.next += events;
    }
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

    use super::*;

    #[test]
    fn an_event_is_due_at_its_instant_and_not_before() {
        let origin = Instant::now();
        for rate in [1, 7, 24, 30, 50, 60] {
            let mut cadence = Cadence::new(origin, rate);
            for number in 0..200 {
                assert_eq!(cadence.number(), number);
                assert_eq!(cadence.due(cadence.at()), 1, "{rate} a second, {number}");
                let before = cadence.at().checked_sub(Duration::from_nanos(1)).unwrap();
                assert_eq!(cadence.due(before), 0, "{rate} a second, {number}");
                cadence.advance(1);
            }
        }
    }

    #[test]
    fn a_second_of_events_is_due_after_a_second() {
        let origin = Instant::now();
        let cadence = Cadence::new(origin, 50);
        assert_eq!(cadence.due(origin + Duration::from_secs(1)), 51);
    }
}
