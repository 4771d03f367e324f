//! Candidates for the slope: least squares over means and minima, and the hull.

use std::ops::Range;

use crate::hull;
use crate::segment::{Point, Segment, lower};

/// A slope in ppm of delay, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slope {
    pub(crate) ppm: f64,
    pub(crate) error: f64,
}

/// Points with weights, in runs of one level each.
struct Points {
    at: [Point; MAX_SEGMENTS],
    weight: [f64; MAX_SEGMENTS],
    /// Where a run ends; the last of them where the points do.
    ends: [usize; MAX_SEGMENTS],
    /// The mean of each run.
    middles: [Point; MAX_SEGMENTS],
    runs: usize,
    len: usize,
}

impl Points {
    const fn new() -> Self {
        Self {
            at: [Point { x: 0.0, y: 0.0 }; MAX_SEGMENTS],
            weight: [0.0; MAX_SEGMENTS],
            ends: [0; MAX_SEGMENTS],
            middles: [Point { x: 0.0, y: 0.0 }; MAX_SEGMENTS],
            runs: 0,
            len: 0,
        }
    }

    /// Makes room for another candidate's.
    fn clear(&mut self) {
        (self.runs, self.len) = (0, 0);
    }

    fn push(&mut self, at: Point, weight: f64) {
        self.at[self.len] = at;
        self.weight[self.len] = weight;
        self.len += 1;
    }

    fn end_run(&mut self) {
        if self.len > self.start(self.runs) {
            self.ends[self.runs] = self.len;
            self.runs += 1;
        }
    }

    /// Where a run starts.
    fn start(&self, run: usize) -> usize {
        run.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn run(&self, run: usize) -> Range<usize> {
        self.start(run)..self.ends[run]
    }

    /// Makes the lower one of each two points of a run, off a line that rises by `slope`.
    fn halve(&mut self, slope: f64) {
        let (runs, mut start) = (self.runs, 0);
        self.clear();
        for run in 0..runs {
            let end = self.ends[run];
            for pair in 0..(end - start) / 2 {
                let first = start + 2 * pair;
                let low = lower(self.at[first], self.at[first + 1], slope);
                self.push(low, 1.0);
            }
            start = end;
            self.end_run();
        }
    }

    /// Least squares with an intercept for each run. The standard error is that of the
    /// residuals, inflated as a first-order autoregression of them asks.
    fn least_squares(&mut self) -> Option<Slope> {
        let free = self.len.checked_sub(self.runs + 1)?;
        if free < MIN_FREE {
            return None;
        }
        let (mut sxx, mut sxy) = (0.0, 0.0);
        for index in 0..self.runs {
            let run = self.run(index);
            let (mut w, mut wx, mut wy) = (0.0, 0.0, 0.0);
            let origin = self.at[run.start];
            let (mut wxx, mut wxy) = (0.0, 0.0);
            for (at, weight) in self.at[run.clone()].iter().zip(&self.weight[run]) {
                let (x, y) = (at.x - origin.x, at.y - origin.y);
                w += weight;
                wx += weight * x;
                wy += weight * y;
                wxx += weight * x * x;
                wxy += weight * x * y;
            }
            self.middles[index] = Point { x: origin.x + wx / w, y: origin.y + wy / w };
            sxx += wxx - wx * wx / w;
            sxy += wxy - wx * wy / w;
        }
        if sxx <= 0.0 {
            return None;
        }
        let ppm = sxy / sxx;
        let (mut squares, mut products, mut pairs) = (0.0, 0.0, 0);
        for index in 0..self.runs {
            let (run, middle) = (self.run(index), self.middles[index]);
            let mut before = None;
            for (at, weight) in self.at[run.clone()].iter().zip(&self.weight[run]) {
                let off = (at.y - middle.y - ppm * (at.x - middle.x)) * weight.sqrt();
                squares += off * off;
                if let Some(before) = before {
                    products += before * off;
                    pairs += 1;
                }
                before = Some(off);
            }
        }
        let correlation = if squares > 0.0 && pairs > 0 {
            // A fitted line takes some correlation out of its residuals: Kendall 1954.
            let n = f64::from(pairs);
            let lag = products / squares;
            (lag + (1.0 + 3.0 * lag.max(0.0)) / n).clamp(0.0, MAX_CORRELATION)
        } else {
            0.0
        };
        let free = free as f64;
        // The tails of Student's distribution, as one factor.
        let variance = squares / (free - 2.0) * caution(free).powi(2);
        let inflation = (1.0 + correlation) / (1.0 - correlation);
        Some(Slope { ppm, error: (variance * inflation / sxx).sqrt() })
    }
}

/// What there is to fit.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) segments: &'a [Segment],
    /// What the slope is about.
    pub(crate) about: f64,
    /// The step of the arrival stamps, in microseconds.
    pub(crate) step: f64,
}

/// The best of the candidates over these segments.
pub(crate) fn best(input: Input<'_>) -> Option<Slope> {
    let (first, last) = (input.segments.first()?, input.segments.last()?);
    let span = last.mean.x - first.mean.x;
    if span <= 0.0 {
        return None;
    }
    // Two ends, each anywhere within a step, about two thirds of the span apart.
    let stamps = STAMPS * input.step / span;
    let mut blend = Blend::default();
    let mut points = Points::new();
    blend.take(means(input.segments, &mut points), 0.0);
    points.clear();
    for run in runs(input.segments) {
        run.iter().for_each(|segment| points.push(segment.least, 1.0));
        points.end_run();
    }
    while points.len >= MIN_MINIMA {
        blend.take(points.least_squares(), stamps);
        points.halve(input.about);
    }
    blend.take(hulls(input), stamps);
    blend.slope()
}

/// A mean of candidates, of which the exact ones count by far most. The one that looks best
/// is one whose error is underestimated; between equals the mean is better, and its error
/// that of any.
#[derive(Default)]
struct Blend {
    /// The least error so far, to which all weights are relative.
    least: f64,
    weight: f64,
    ppm: f64,
    error: f64,
}

impl Blend {
    fn take(&mut self, slope: Option<Slope>, floor: f64) {
        let Some(slope) = slope else { return };
        let error = slope.error.hypot(floor).max(LEAST_ERROR);
        if !slope.ppm.is_finite() || !error.is_finite() {
            return;
        }
        if self.weight == 0.0 || error < self.least {
            let fade = if self.weight == 0.0 { 0.0 } else { (error / self.least).powi(SHARPNESS) };
            self.least = error;
            self.weight *= fade;
            self.ppm *= fade;
            self.error *= fade;
        }
        let weight = (self.least / error).powi(SHARPNESS);
        self.weight += weight;
        self.ppm += weight * slope.ppm;
        self.error += weight * error;
    }

    fn slope(&self) -> Option<Slope> {
        (self.weight > 0.0)
            .then(|| Slope { ppm: self.ppm / self.weight, error: self.error / self.weight })
    }
}

/// Least squares over the means. The error is the largest of those at some lengths of
/// segments: what is correlated over seconds looks better than it is in short ones.
fn means(segments: &[Segment], points: &mut Points) -> Option<Slope> {
    let mut found: Option<Slope> = None;
    let mut group = 1;
    while group == 1 || segments.len() / group >= MIN_MEANS {
        points.clear();
        for run in runs(segments) {
            for part in run.chunks(group) {
                let mut whole = part[0];
                for later in &part[1..] {
                    whole.merge(later, 0.0);
                }
                points.push(whole.mean, f64::from(whole.count));
            }
            points.end_run();
        }
        let slope = points.least_squares();
        found = match (found, slope) {
            (Some(found), Some(slope)) => {
                Some(Slope { error: found.error.max(LONGER * slope.error), ..found })
            }
            (found, slope) => found.or(slope),
        };
        group *= 4;
    }
    found
}

/// The hull of each level, weighed by their precision.
fn hulls(input: Input<'_>) -> Option<Slope> {
    if input.segments.len() < MIN_HULL {
        return None;
    }
    let (mut weight, mut sum) = (0.0, 0.0);
    for run in runs(input.segments) {
        if let Some(slope) = hull::slope(run, input.about) {
            let precision = slope.error.powi(-2);
            if precision.is_finite() {
                weight += precision;
                sum += precision * slope.ppm;
            }
        }
    }
    (weight > 0.0).then(|| Slope { ppm: sum / weight, error: weight.sqrt().recip() })
}

/// How much larger an error is made that has so many degrees of freedom. A few points are
/// easily in line by chance, and such candidates are the ones that count.
pub(crate) fn caution(free: f64) -> f64 {
    1.0 + (CAUTION / free).powi(2)
}

/// The segments of each level.
fn runs(segments: &[Segment]) -> impl Iterator<Item = &[Segment]> {
    segments.chunk_by(|_, next| !next.shifted)
}

/// Segments that are fitted at once: the history, and what is not in it yet.
pub(crate) const MAX_SEGMENTS: usize = 82;

/// Fewer degrees of freedom say nothing of their own error.
const MIN_FREE: usize = 3;

/// Degrees of freedom at which an error is doubled: swept over the delays of the comparison,
/// for intervals that hold at every window.
const CAUTION: f64 = 7.0;

/// How far the error over longer segments, which is less certain, is believed.
const LONGER: f64 = 0.75;

/// Segments for a further look at the error of the means.
const MIN_MEANS: usize = 12;

/// Segments, of 8 s at the start, before there is a hull: three points that lie in line by
/// chance look like an edge.
const MIN_HULL: usize = 32;

/// Minima, of which the error of their line is the scatter.
const MIN_MINIMA: usize = 6;

/// Candidates weigh by this power of their precision: one of twice the error counts a
/// 64th.
const SHARPNESS: i32 = 6;

/// No error is smaller, in ppm: the arithmetic's.
const LEAST_ERROR: f64 = 1e-3;

/// Where an autoregression is no longer told from a walk.
const MAX_CORRELATION: f64 = 0.95;

/// √(2/12) / (2/3): the deviation of the difference of two ends that are each uniform
/// within a step, over two thirds of the span.
const STAMPS: f64 = 0.6;
