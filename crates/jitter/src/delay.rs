//! How long to wait: where delay and loss together cost least.
//!
//! A late unit has a price, so many milliseconds of delay. With what is known of
//! the delays, each delay D costs D + price · P(a unit is later than D), and the
//! least of that is the target. It is sought in a long memory and in a short one,
//! and the larger answer counts: so the delay grows with a burst within a second,
//! and what was rare but regular is not forgotten after it. The higher the price, the
//! rarer are the late units that decide, and the longer is the long memory.

use std::time::Duration;

use crate::histogram::Histogram;
use crate::stream::nanos;

/// Chooses the delay of a stream.
#[derive(Debug)]
pub(crate) struct DelayControl {
    /// Each with the price of a late unit, in milliseconds of delay.
    memories: [(Histogram, f32); 2],
    /// The transit that delays are counted from, in nanoseconds.
    base: i64,
    /// In milliseconds, and its bounds.
    target: i64,
    bounds: [i64; 2],
    /// Units since it was sought.
    since: u32,
}

impl DelayControl {
    /// `price` is the delay that is worth one late unit less in a hundred.
    ///
    /// The bounds are the least and the most that is of use: what comes later than the
    /// most is late whatever the delay is.
    pub(crate) fn new(price: Duration, bounds: [Duration; 2], base: i64, start: Duration) -> Self {
        let target = nanos(start) / MILLISECOND;
        let bounds = bounds.map(|bound| nanos(bound) / MILLISECOND);
        let seconds = price.as_secs_f32();
        let longer = (seconds / SHORT_PRICE).clamp(1.0, LONGEST);
        let of_one = |seconds: f32| seconds * 1_000.0 * 100.0;
        let mut memories = [
            (Histogram::new(LONG * longer), of_one(seconds)),
            (Histogram::new(SHORT), of_one(seconds.min(SHORT_PRICE))),
        ];
        for (memory, price) in &mut memories {
            // After so many units it is no more worth waiting for.
            let believed = PRIOR * target as f32 / *price;
            memory.add_weight((target - 1).max(0), believed.min(MAX_PRIOR));
        }
        Self { memories, base, target, bounds, since: 0 }
    }

    /// A unit took `transit`, and the fastest one `fastest`.
    #[inline]
    pub(crate) fn handle_unit(&mut self, transit: i64, fastest: i64) {
        let moved = (self.base - fastest) / MILLISECOND;
        if moved != 0 {
            self.base -= moved * MILLISECOND;
            self.memories.iter_mut().for_each(|(memory, _)| memory.shift(moved));
        }
        let delay = (transit - self.base) / MILLISECOND;
        self.memories.iter_mut().for_each(|(memory, _)| memory.add(delay));
        self.since += 1;
        if moved != 0 || self.since >= SEEK || delay >= self.target {
            self.since = 0;
            let best = |(memory, price): &(Histogram, f32)| {
                memory.cheapest(*price, self.bounds, self.target, SLACK)
            };
            self.target = self.memories.iter().map(best).max().unwrap_or(0);
        }
    }

    /// The network is another one: its fastest takes `base`, and the delays are
    /// spread as before.
    pub(crate) const fn handle_shift(&mut self, base: i64) {
        self.base = base;
    }

    /// In nanoseconds.
    #[inline]
    pub(crate) const fn target(&self) -> i64 {
        self.target * MILLISECOND
    }
}

/// Units in which 1/e of a delay's weight is left: 12 s of sound, at prices of up to
/// [`SHORT_PRICE`]. On generated traces the mean delay at 1 % loss changes by less than
/// 2 % from 500 to 5,000.
const LONG: f32 = 600.0;

/// The same, of the short memory: 1.2 s. From 50 to 500 it changes by less than 2 %.
const SHORT: f32 = 60.0;

/// In seconds of delay for a hundredth of loss. In a short memory a single late unit is
/// more than a hundredth; a higher price would have the delay follow each one.
const SHORT_PRICE: f32 = 0.05;

/// How many times as long the long memory may be: 20,000 units, enough to know one in a
/// thousand. Without it the mean delay at 0.5 % loss is 10 % more where delays have a
/// heavy tail.
const LONGEST: f32 = 33.0;

/// The configured start is believed for a second: so many units without one as late.
const PRIOR: f32 = 50.0;

/// It counts as no more than so many units.
const MAX_PRIOR: f32 = 2.0;

/// A shorter delay has to save so many milliseconds in all, or the delay would go to and
/// fro between two that cost the same, and be stretched all the time. Without it sound is
/// stretched for a fifth longer on the generated traces; the mean delay is the same
/// within 1 %.
const SLACK: f32 = 8.0;

/// The target is sought anew after so many units, and at each late one. Seeking
/// takes ten times as long as a unit.
const SEEK: u32 = 8;

const MILLISECOND: i64 = 1_000_000;
