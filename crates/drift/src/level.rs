//! Where the delay lies just now, and whether it has moved to another level.

use crate::segment::Segment;

/// The level of the delay off the drift, and how far segments stray from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Level {
    mean: Track,
    least: Track,
    seen: u32,
}

/// A quantity's running mean and variance, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    at: f64,
    variance: f64,
}

impl Track {
    fn take(&mut self, value: f64, share: f64) {
        let off = value - self.at;
        self.at += share * off;
        self.variance += share * ((1.0 - share) * off * off - self.variance);
    }

    /// How many deviations `value` is off.
    fn off(&self, value: f64) -> f64 {
        (value - self.at) / self.variance.sqrt().max(LEAST_DEVIATION)
    }
}

impl Level {
    /// Takes in a segment that belongs to it; `slope` is the drift.
    pub(crate) fn take(&mut self, segment: &Segment, slope: f64) {
        let (mean, least) = flat(segment, slope);
        self.seen = self.seen.saturating_add(1);
        let share = 1.0 / f64::from(self.seen.min(MEMORY));
        self.mean.take(mean, share);
        self.least.take(least, share);
    }

    /// Which way a segment is off this level, in its mean and in its least: −1, 0 or 1.
    /// After one that was off to the side `before`, less is enough.
    pub(crate) fn side(&self, segment: &Segment, slope: f64, before: i8) -> i8 {
        if self.seen < MIN_SEEN {
            return 0;
        }
        let (mean, least) = flat(segment, slope);
        let (mean, least) = (self.mean.off(mean), self.least.off(least));
        let unsure = 1.0 + UNSURE / f64::from(self.seen);
        let beyond = |side: i8| {
            let (of_mean, of_least) = if before == side { STAYS } else { LEAVES };
            let (mean, least) = (f64::from(side) * mean, f64::from(side) * least);
            mean > of_mean * unsure && least > of_least * unsure
        };
        i8::from(beyond(1)) - i8::from(beyond(-1))
    }

    /// Goes to where these segments are, as wide as it was.
    pub(crate) fn move_to<'a>(&mut self, segments: impl Iterator<Item = &'a Segment>, slope: f64) {
        let (mut mean, mut least, mut count) = (0.0, 0.0, 0.0);
        for segment in segments {
            let at = flat(segment, slope);
            mean += at.0;
            least += at.1;
            count += 1.0;
        }
        if count > 0.0 {
            self.mean.at = mean / count;
            self.least.at = least / count;
        }
    }

    /// The slope is another one: levels stay where they are at `x`.
    pub(crate) fn tilt(&mut self, x: f64, from: f64, to: f64) {
        self.mean.at += (from - to) * x;
        self.least.at += (from - to) * x;
    }
}

/// Mean and least of a segment, without the drift.
fn flat(segment: &Segment, slope: f64) -> (f64, f64) {
    (segment.mean.y - slope * segment.mean.x, segment.least.y - slope * segment.least.x)
}

/// Segments that the level remembers: 10 s.
const MEMORY: u32 = 40;

/// Segments before the level is known: 2 s.
const MIN_SEEN: u32 = 8;

/// Deviations off the level, of the mean and of the least, that are not chance. The least
/// strays far less, so it decides; the mean only has to agree.
const LEAVES: (f64, f64) = (1.0, 4.0);

/// The same for a segment that follows one that left, so that one in the middle does not
/// end a shift.
const STAYS: (f64, f64) = (0.0, 2.0);

/// Segments at which twice as many deviations are asked for, as those themselves are
/// hardly known.
const UNSURE: f64 = 8.0;

/// Below this a deviation is the arithmetic's: a level that never strayed.
const LEAST_DEVIATION: f64 = 100.0;
