//! Something that happens so many times a second, without drift.

use std::time::{Duration, Instant};

/// The n-th event is due when the clock reads n/rate seconds, however late the ones
/// before it were.
#[derive(Debug)]
pub(crate) struct Cadence {
    origin: Instant,
    /// What the clock reads at the origin.
    reading: Duration,
    rate: u32,
    next: u64,
}

impl Cadence {
    /// One whose clock reads `reading` at `origin`. The first event is the one that is due
    /// then, or the next.
    pub(crate) fn new(origin: Instant, reading: Duration, rate: u32) -> Self {
        let next = before(reading, rate);
        Self { origin, reading, rate, next }
    }

    /// The number of the next event.
    pub(crate) const fn number(&self) -> u64 {
        self.next
    }

    /// When the next event is due.
    pub(crate) fn at(&self) -> Instant {
        let rate = u64::from(self.rate);
        let nanos = self.next % rate * NANOS / rate;
        let time = Duration::new(self.next / rate, nanos as u32);
        let at = match time.checked_sub(self.reading) {
            Some(after) => self.origin.checked_add(after),
            None => self.origin.checked_sub(self.reading - time),
        };
        at.unwrap_or(self.origin)
    }

    /// What the clock reads at `now`.
    pub(crate) fn read(&self, now: Instant) -> Duration {
        let ahead = self.origin.saturating_duration_since(now);
        (self.reading + now.saturating_duration_since(self.origin)).saturating_sub(ahead)
    }

    /// How many events are due and have not happened.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        if now < self.origin && self.at() > now {
            return 0;
        }
        // Events are due on whole nanoseconds, rounded down: those that come before the
        // next nanosecond.
        let read = self.read(now) + Duration::from_nanos(1);
        before(read, self.rate).saturating_sub(self.next)
    }

    /// Passes over `events`.
    pub(crate) const fn advance(&mut self, events: u64) {
        self.next += events;
    }

    /// Has the clock read `by` more from now on, or less. What has happened does not
    /// happen again.
    pub(crate) fn shift(&mut self, by: Duration, forward: bool) {
        self.reading = if forward { self.reading + by } else { self.reading.saturating_sub(by) };
    }
}

/// How many events are due before the clock reads `reading`: the number of n with
/// n·NANOS/rate < reading.
fn before(reading: Duration, rate: u32) -> u64 {
    (reading.as_nanos() * u128::from(rate)).div_ceil(NANOS.into()) as u64
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
            let mut cadence = Cadence::new(origin, Duration::ZERO, rate);
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
        let cadence = Cadence::new(origin, Duration::ZERO, 50);
        assert_eq!(cadence.due(origin + Duration::from_secs(1)), 51);
    }

    #[test]
    fn one_that_begins_in_the_middle_has_the_events_of_one_that_began_long_ago() {
        let origin = Instant::now();
        for rate in [7, 15, 30, 50] {
            for ms in [1, 19, 20, 33, 1_000, 86_400_001] {
                let reading = Duration::from_millis(ms);
                let mut long = Cadence::new(origin, Duration::ZERO, rate);
                long.advance(long.due(origin + reading - Duration::from_nanos(1)));
                let mut late = Cadence::new(origin + reading, reading, rate);
                for _ in 0..100 {
                    assert_eq!((late.number(), late.at()), (long.number(), long.at()));
                    late.advance(1);
                    long.advance(1);
                }
            }
        }
    }

    #[test]
    fn a_shifted_clock_repeats_nothing() {
        let origin = Instant::now();
        let mut cadence = Cadence::new(origin, Duration::from_secs(9), 50);
        cadence.advance(3);
        assert_eq!(cadence.number(), 453);
        cadence.shift(Duration::from_secs(5), false);
        assert_eq!(cadence.due(origin + Duration::from_secs(5)), 0);
        assert_eq!(cadence.at(), origin + Duration::from_millis(5_060));
        cadence.shift(Duration::from_millis(5_100), true);
        assert_eq!(cadence.number(), 453);
        assert_eq!(cadence.at(), origin.checked_sub(Duration::from_millis(40)).unwrap());
    }
}
