//! The line below all points, and how sure its slope is.
//!
//! Where delays end abruptly at their least, as those of a queue do, the points next to
//! the edge tell more than all the others. If excesses over the edge are exponential, the
//! likelihood of a slope is the exponential of the height of the supporting line of that
//! slope above the mean of the times: a function that is linear between the slopes of the
//! hull's edges, so that its mean and deviation (Pitman 1939) are sums over those.

use crate::fit::{MAX_SEGMENTS, Slope, caution};
use crate::segment::{Point, Segment, lower};

/// The slope of the lower edge of one level. `about` is one that is not far off.
pub(crate) fn slope(run: &[Segment], about: f64) -> Option<Slope> {
    if run.len() < MIN_SEGMENTS {
        return None;
    }
    let origin = run[0].least;
    let flat =
        |at: Point| Point { x: at.x - origin.x, y: at.y - origin.y - about * (at.x - origin.x) };
    let mut hull = [Point::default(); MAX_SEGMENTS];
    let mut least = [Point::default(); MAX_SEGMENTS];
    let mut len = 0;
    let (mut weight, mut middle) = (0.0, 0.0);
    for (segment, least) in run.iter().zip(&mut least) {
        let at = flat(segment.least);
        *least = at;
        while len > 1 && is_above(hull[len - 2], hull[len - 1], at) {
            len -= 1;
        }
        hull[len] = at;
        len += 1;
        weight += f64::from(segment.count);
        middle += f64::from(segment.count) * (segment.mean.x - origin.x);
    }
    let hull = &hull[..len];
    let middle = middle / weight;
    // The edge below the middle touches two points, and rises as the hull's likeliest line.
    let edge = hull.windows(2).find(|edge| edge[1].x > middle)?;
    let rise = rise(edge[0], edge[1]);
    let excess = |at: Point| (at.y - edge[0].y - rise * (at.x - edge[0].x)).max(0.0);

    // Points next to the edge, per microsecond of excess. If the density falls toward the
    // edge, longer segments have fewer: by a power of their length, which is taken further
    // to the hull, and which is itself uncertain.
    let (mut finest, mut rate, mut coarsest) = (None, f64::INFINITY, 0.0);
    let (mut count, mut doublings) = (run.len(), -1.0);
    while count >= MIN_POINTS {
        let sum: f64 = least[..count].iter().map(|&at| excess(at)).sum();
        let n = count as f64;
        coarsest = n * (n - 2.0) / sum;
        rate = coarsest.min(rate);
        finest.get_or_insert(coarsest);
        doublings += 1.0;
        count /= 2;
        for pair in 0..count {
            least[pair] = lower(least[2 * pair], least[2 * pair + 1], rise);
        }
    }
    let longest = run.len() as f64 / f64::exp2(doublings);
    let found = (finest? / coarsest).log2() / doublings;
    let noise = std::f64::consts::LOG2_E.powi(2) / (longest * doublings * doublings);
    let power = USUAL_POWER + (found - USUAL_POWER) * POWER_VARIANCE / (POWER_VARIANCE + noise);
    let rate = rate * (TOUCHING / longest).powf(power.max(0.0));
    let (ppm, error) = pitman(hull, middle, rate)?;
    Some(Slope { ppm: ppm + about, error: error * caution(run.len() as f64 - 2.0) })
}

/// Whether `b` is on or above the line from `a` to `c`.
fn is_above(a: Point, b: Point, c: Point) -> bool {
    (b.y - a.y) * (c.x - a.x) >= (c.y - a.y) * (b.x - a.x)
}

fn rise(a: Point, b: Point) -> f64 {
    (b.y - a.y) / (b.x - a.x)
}

/// Mean and deviation of the slope, of which the log-likelihood is `rate` times the height
/// of the supporting line at `middle`.
fn pitman(hull: &[Point], middle: f64, rate: f64) -> Option<(f64, f64)> {
    if !rate.is_finite() || rate <= 0.0 {
        return None;
    }
    let height = |slope: f64, at: Point| rate * (at.y + slope * (middle - at.x));
    let best = hull.windows(2).map(|edge| height(rise(edge[0], edge[1]), edge[0]));
    let best = best.fold(f64::NEG_INFINITY, f64::max);
    // Of each vertex, the slopes of the lines that touch only it. Over them the likelihood
    // falls exponentially from one end, `top`, toward the other.
    let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
    for (index, &at) in hull.iter().enumerate() {
        let left = index.checked_sub(1).map(|before| rise(hull[before], at));
        let right = hull.get(index + 1).map(|&after| rise(at, after));
        let growth = rate * (middle - at.x);
        let (top, sign) = if growth > 0.0 { (right?, -1.0) } else { (left?, 1.0) };
        let width = match (left, right) {
            (Some(left), Some(right)) => right - left,
            _ => f64::INFINITY,
        };
        let [m0, m1, m2] = falling(growth.abs(), width);
        let likelihood = (height(top, at) - best).exp();
        mass += likelihood * m0;
        first += likelihood * (top * m0 + sign * m1);
        second += likelihood * (top * top * m0 + 2.0 * top * sign * m1 + m2);
    }
    let mean = first / mass;
    let variance = second / mass - mean * mean;
    (variance > 0.0 && mean.is_finite()).then(|| (mean, variance.sqrt()))
}

/// The integrals of 1, u and u² times exp(−fall·u) over u from 0 to `width`.
fn falling(fall: f64, width: f64) -> [f64; 3] {
    let folds = fall * width;
    if folds < SHALLOW {
        // The exact forms cancel; here the series of three terms is off by folds³.
        let term = |power: i32| {
            let n = f64::from(power);
            width.powi(power) * (1.0 / n - folds / (n + 1.0) + folds * folds / (2.0 * (n + 2.0)))
        };
        return [term(1), term(2), term(3)];
    }
    let rest = (-folds).exp();
    // 0 · ∞ is nothing here: the exponential wins.
    let folds = if rest > 0.0 { folds } else { 0.0 };
    [
        (1.0 - rest) / fall,
        (1.0 - rest * (1.0 + folds)) / fall.powi(2),
        (2.0 - rest * (2.0 + folds * (2.0 + folds))) / fall.powi(3),
    ]
}

/// Fewer segments of a level say too little of how dense the points at the edge are.
const MIN_SEGMENTS: usize = 12;

/// Falls over less than this many e-folds are taken as a series.
const SHALLOW: f64 = 0.05;

/// Minima of which the mean excess is taken at least.
const MIN_POINTS: usize = 8;

/// Points that a hull's edge and its neighbours are made of.
const TOUCHING: f64 = 2.5;

/// The power of their length by which longer segments have fewer points at the edge: 0 if
/// excesses are exponential, 2/3 for a gamma distribution of shape 3, more for a normal one.
/// Between those before there is evidence, with this variance.
const USUAL_POWER: f64 = 0.4;

/// See [`USUAL_POWER`].
const POWER_VARIANCE: f64 = 0.09;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_integrals_are_the_sum() {
        for (fall, width) in [(0.0, 3.0), (0.01, 2.0), (0.02, 2.6), (1.0, 2.0), (5.0, 30.0)] {
            let found = falling(fall, width);
            let (mut sums, step) = ([0.0; 3], width / 100_000.0);
            for index in 0..100_000 {
                let u = (f64::from(index) + 0.5) * step;
                let term = (-fall * u).exp() * step;
                sums = [sums[0] + term, sums[1] + u * term, sums[2] + u * u * term];
            }
            for (found, sum) in found.into_iter().zip(sums) {
                assert!((found / sum - 1.0).abs() < 1e-4, "{fall} over {width}: {found} {sum}");
            }
        }
    }

    /// Of two vertices the likelihood falls to both sides of one edge: Laplace's
    /// distribution, if the mean time is amid them.
    #[test]
    fn one_edge_gives_laplace() {
        let hull = [Point { x: 0.0, y: 0.0 }, Point { x: 10.0, y: 20.0 }];
        let (mean, sigma) = pitman(&hull, 5.0, 0.1).unwrap();
        assert!((mean - 2.0).abs() < 1e-9, "{mean}");
        assert!((sigma - 2_f64.sqrt() / 0.5).abs() < 1e-9, "{sigma}");
    }

    #[test]
    fn points_in_line_have_no_error_to_state() {
        let segment = |x: f64| Segment::of(Point { x, y: 3.0 * x });
        let run: Vec<Segment> = (0..40).map(|index| segment(f64::from(index))).collect();
        assert_eq!(slope(&run, 0.0), None);
        assert_eq!(slope(&run[..3], 0.0), None);
    }
}
