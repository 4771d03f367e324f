//! Rolling windows: so many errors in so long, and a share of drops for so long.
//!
//! Both are bounded whatever the rate. [`ErrorWindow`] remembers the time of one error more
//! than it bears, which is all it takes to be exact. [`DropWindow`] adds up in buckets of a
//! five-hundredth of its span.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Whether there were more than `limit` errors within `span`.
#[derive(Debug)]
pub(crate) struct ErrorWindow {
    limit: usize,
    span: Duration,
    /// The times of the newest `limit + 1`, oldest first.
    errors: VecDeque<Instant>,
}

impl ErrorWindow {
    pub(crate) const fn new(limit: u32, span: Duration) -> Self {
        Self { limit: limit as usize, span, errors: VecDeque::new() }
    }

    /// Takes in an error. True if there are too many.
    pub(crate) fn handle_error(&mut self, now: Instant) -> bool {
        if self.errors.len() > self.limit {
            self.errors.pop_front();
        }
        // In order, for `count` to search.
        let now = self.errors.back().map_or(now, |&last| last.max(now));
        self.errors.push_back(now);
        self.count(now) as usize > self.limit
    }

    /// Errors younger than the span, `limit + 1` at most.
    pub(crate) fn count(&self, now: Instant) -> u32 {
        let old =
            self.errors.partition_point(|&error| now.saturating_duration_since(error) >= self.span);
        (self.errors.len() - old) as u32
    }

    pub(crate) fn clear(&mut self) {
        self.errors.clear();
    }
}

/// Whether a queue has dropped more than a share of its frames for as long as `span`.
#[derive(Debug)]
pub(crate) struct DropWindow {
    max_percent: u8,
    span: Duration,
    /// Oldest first; their starts are at least a bucket's width apart.
    buckets: VecDeque<Bucket>,
    pressure: Option<Pressure>,
}

#[derive(Debug)]
struct Bucket {
    start: Instant,
    offered: u64,
    dropped: u64,
}

/// Drops without a pause in between.
#[derive(Clone, Copy, Debug)]
struct Pressure {
    since: Instant,
    last: Instant,
}

impl DropWindow {
    pub(crate) const fn new(max_percent: u8, span: Duration) -> Self {
        Self { max_percent, span, buckets: VecDeque::new(), pressure: None }
    }

    /// Takes in what came to the queue and what it dropped. True if that has gone on for too
    /// long.
    pub(crate) fn handle_report(&mut self, now: Instant, offered: u64, dropped: u64) -> bool {
        self.add(now, offered, dropped);
        let pause = self.span / 2;
        let held = self.pressure.filter(|held| now.saturating_duration_since(held.last) < pause);
        self.pressure = if dropped == 0 {
            held
        } else {
            Some(Pressure { since: held.map_or(now, |held| held.since), last: now })
        };

        let long = |held: Pressure| now.saturating_duration_since(held.since) >= self.span;
        if !self.pressure.is_some_and(long) {
            return false;
        }
        let (offered, dropped) = self.sums(now);
        u128::from(dropped) * 100 > u128::from(offered) * u128::from(self.max_percent)
    }

    /// Frames offered and dropped within the span, to a bucket.
    pub(crate) fn sums(&self, now: Instant) -> (u64, u64) {
        let young = self.buckets.iter().filter(|bucket| !self.is_old(bucket, now));
        let (offered, dropped) = young.fold((0_u64, 0_u64), |(offered, dropped), bucket| {
            (offered.saturating_add(bucket.offered), dropped.saturating_add(bucket.dropped))
        });
        // What is dropped may have been offered before the span.
        (offered, dropped.min(offered))
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
        self.pressure = None;
    }

    fn add(&mut self, now: Instant, offered: u64, dropped: u64) {
        while self.buckets.front().is_some_and(|bucket| self.is_old(bucket, now)) {
            self.buckets.pop_front();
        }
        let width = (self.span / BUCKETS).max(Duration::from_nanos(1));
        match self.buckets.back_mut() {
            Some(last) if now.saturating_duration_since(last.start) < width => {
                last.offered = last.offered.saturating_add(offered);
                last.dropped = last.dropped.saturating_add(dropped);
            }
            _ => self.buckets.push_back(Bucket { start: now, offered, dropped }),
        }
    }

    fn is_old(&self, bucket: &Bucket, now: Instant) -> bool {
        now.saturating_duration_since(bucket.start) >= self.span
    }
}

/// Ours: a bucket of the default span is 10 ms. Reports that are further apart than that, as
/// those of 60 frames a second are, have one each, and the share is exact; fewer buckets made
/// a share of exactly a fifth look like more. All take 12 KB.
const BUCKETS: u32 = 500;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Twenty-five frames offered each second for `millis`, of which `of_25` are dropped.
    fn drop_for(window: &mut DropWindow, start: Instant, millis: u64, of_25: u64) -> Vec<bool> {
        let reports = (0..=millis / 40).map(|frame| {
            // Spread evenly: a drop whenever the running share passes a whole frame.
            let dropped = (frame + 1) * of_25 / 25 - frame * of_25 / 25;
            window.handle_report(start + ms(40 * frame), 1, dropped)
        });
        reports.collect()
    }

    #[test]
    fn one_error_more_than_the_limit_is_too_many() {
        for limit in [0, 1, 5, 50] {
            let start = Instant::now();
            let mut window = ErrorWindow::new(limit, SPAN);
            for nth in 1..=limit {
                assert!(!window.handle_error(start + ms(nth.into())), "{nth} of {limit}");
                assert_eq!(window.count(start + ms(nth.into())), nth);
            }
            assert!(window.handle_error(start + ms(60)), "one over {limit}");
        }
    }

    #[test]
    fn an_error_counts_for_just_less_than_the_window() {
        for (age, too_many) in [(SPAN - ms(1), true), (SPAN, false), (SPAN + ms(1), false)] {
            let start = Instant::now();
            let mut window = ErrorWindow::new(5, SPAN);
            for _ in 0..5 {
                assert!(!window.handle_error(start));
            }
            assert_eq!(window.handle_error(start + age), too_many, "after {age:?}");
            assert_eq!(window.count(start + age), if too_many { 6 } else { 1 });
        }
    }

    #[test]
    fn a_flood_of_errors_and_reports_take_no_more_memory_than_fifty() {
        let start = Instant::now();
        let mut errors = ErrorWindow::new(50, SPAN);
        let mut drops = DropWindow::new(20, SPAN / 2);
        for micros in 0..300_000 {
            let now = start + Duration::from_micros(70 * micros);
            errors.handle_error(now);
            drops.handle_report(now, u64::MAX, u64::MAX);
            assert!(errors.errors.len() <= 51 && drops.buckets.len() <= 501);
        }
        assert!(errors.errors.capacity() <= 128 && drops.buckets.capacity() <= 1_024);
    }

    #[test]
    fn more_than_a_fifth_dropped_for_five_seconds_is_too_much() {
        let start = Instant::now();
        let window = || DropWindow::new(20, ms(5_000));
        // 24 %: the first drop is the fifth frame, at 160 ms.
        let verdicts = drop_for(&mut window(), start, 10_000, 6);
        let first = verdicts.iter().position(|&verdict| verdict).unwrap();
        assert_eq!(40 * first, 5_160);
        // Exactly a fifth, for ever.
        assert!(!drop_for(&mut window(), start, 60_000, 5).contains(&true));
        // All of them, for 5 s less a frame.
        assert!(!drop_for(&mut window(), start, 4_960, 25).contains(&true));
    }

    #[test]
    fn pressure_is_too_long_from_its_last_millisecond_on() {
        for (after, too_much) in [(4_999, false), (5_000, true), (5_001, true)] {
            let start = Instant::now();
            let mut window = DropWindow::new(20, ms(5_000));
            for second in 0..5 {
                assert!(!window.handle_report(start + ms(1_000 * second), 10, 5));
            }
            assert_eq!(window.handle_report(start + ms(after), 10, 5), too_much, "{after} ms");
        }
    }

    #[test]
    fn short_pressure_is_borne_however_hard() {
        let start = Instant::now();
        let mut window = DropWindow::new(20, ms(5_000));
        for round in 0..20 {
            // Two seconds of nothing but drops (40 % of five seconds), then three of none.
            let round = start + ms(5_000 * round);
            assert!(!drop_for(&mut window, round, 1_960, 25).contains(&true));
            assert!(!drop_for(&mut window, round + ms(2_000), 2_960, 0).contains(&true));
        }
    }

    #[test]
    fn time_that_runs_backwards_and_spans_of_nothing_do_no_harm() {
        let (start, later) = (Instant::now(), Instant::now() + SPAN);
        for span in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let mut errors = ErrorWindow::new(1, span);
            let mut drops = DropWindow::new(100, span);
            for now in [later, start, later, start, start] {
                errors.handle_error(now);
                assert!(!drops.handle_report(now, 1, 1), "100 % is never too much");
            }
            assert!(errors.errors.len() <= 2 && drops.buckets.len() <= 5);
        }
    }
}
