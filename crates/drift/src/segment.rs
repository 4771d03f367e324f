//! What is kept of the observations of some time: where they were, and the earliest.

/// A point: seconds of the sender's clock, and microseconds of delay. A slope between two
/// is in ppm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// The observations of a span of the sender's time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Segment {
    /// Their mean.
    pub(crate) mean: Point,
    /// The least delayed of them.
    pub(crate) least: Point,
    pub(crate) count: u32,
    /// The delay has another level since this one.
    pub(crate) shifted: bool,
}

impl Segment {
    pub(crate) fn of(point: Point) -> Self {
        Self { mean: point, least: point, count: 1, shifted: false }
    }

    /// Takes in a later segment of the same level. What is least is so off a line that
    /// rises by `slope`.
    pub(crate) fn merge(&mut self, later: &Self, slope: f64) {
        self.count = self.count.saturating_add(later.count);
        let share = f64::from(later.count) / f64::from(self.count);
        self.mean.x += share * (later.mean.x - self.mean.x);
        self.mean.y += share * (later.mean.y - self.mean.y);
        self.least = lower(self.least, later.least, slope);
    }
}

/// The one of two points that is lower off a line that rises by `slope`.
pub(crate) fn lower(a: Point, b: Point, slope: f64) -> Point {
    if b.y - a.y < slope * (b.x - a.x) { b } else { a }
}
