//! Mean delay over late loss: the lower envelope of a sweep, read at a loss, and its spread.

use crate::metrics::BlockSums;
use crate::random::Random;

/// The points that no other beats in both, by rising late loss (%) and falling delay (ms).
pub(crate) fn envelope(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    sorted.retain(|&(_, delay)| {
        let better = delay < least;
        least = least.min(delay);
        better
    });
    sorted
}

/// The delay at which `late` % is lost, between the points of an envelope; its least delay
/// if it loses less everywhere, none if it loses more everywhere.
pub(crate) fn delay_at(envelope: &[(f64, f64)], late: f64) -> Option<f64> {
    let next = envelope.partition_point(|&(loss, _)| loss <= late);
    let &(loss, delay) = envelope.get(next.checked_sub(1)?)?;
    let Some(&(next_loss, next_delay)) = envelope.get(next) else {
        return Some(delay);
    };
    let along = (late - loss) / (next_loss - loss);
    Some(delay + along * (next_delay - delay))
}

/// The same, but the best it can do if it loses more everywhere.
fn delay_at_or_least_late(envelope: &[(f64, f64)], late: f64) -> Option<f64> {
    delay_at(envelope, late).or(envelope.first().map(|&(_, delay)| delay))
}

/// One system on one trace: the blocks of each point of its sweep.
pub(crate) type Sweep<'a> = Vec<&'a [BlockSums]>;

/// Two systems on one trace.
pub(crate) struct Pair<'a> {
    pub(crate) ours: Sweep<'a>,
    pub(crate) theirs: Sweep<'a>,
    /// The late loss in % at which they are compared; none is that of the first point of
    /// theirs, which is another in each replicate, but no less than [`LEAST_LATE`].
    pub(crate) late: Option<f64>,
}

/// 95 % interval of the geometric mean over traces of the ratio of two systems' delays, by
/// resampling blocks of 10 s of each trace; the same ones for both systems.
pub(crate) fn ratio_interval(pairs: &[Pair<'_>]) -> Option<(f64, f64)> {
    let mut random = Random::new(SEED);
    let mut ratios = Vec::with_capacity(REPLICATES);
    for _ in 0..REPLICATES {
        let mut logs = Vec::with_capacity(pairs.len());
        for Pair { ours, theirs, late } in pairs {
            let blocks = ours.iter().chain(theirs).map(|blocks| blocks.len()).max()?;
            let picks: Vec<usize> = (0..blocks).map(|_| random.below(blocks)).collect();
            let (ours, theirs) = (resampled(ours, &picks), resampled(theirs, &picks));
            let by_default = theirs.first().map_or(0.0, |&(late, _)| late.max(LEAST_LATE));
            let late = late.unwrap_or(by_default);
            let ours = delay_at_or_least_late(&envelope(&ours), late);
            let theirs = delay_at_or_least_late(&envelope(&theirs), late);
            if let (Some(ours), Some(theirs)) = (ours, theirs)
                && ours > 0.0
                && theirs > 0.0
            {
                logs.push((ours / theirs).ln());
            }
        }
        if !logs.is_empty() {
            ratios.push((logs.iter().sum::<f64>() / logs.len() as f64).exp());
        }
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios.get((share * ratios.len() as f64) as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

fn resampled(sweep: &Sweep<'_>, picks: &[usize]) -> Vec<(f64, f64)> {
    sweep
        .iter()
        .map(|blocks| {
            let mut sums = BlockSums::default();
            picks.iter().filter_map(|&pick| blocks.get(pick)).for_each(|block| sums.add(block));
            (sums.late(), sums.mean())
        })
        .collect()
}

/// The geometric mean; none of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (logs / values.len() as f64).exp())
}

/// Rarer losses than this are chance, in %: a minute has 3,000 packets.
pub(crate) const LEAST_LATE: f64 = 0.1;

/// Enough that the ends of a 95 % interval move by less than a hundredth.
const REPLICATES: usize = 1_000;

const SEED: u64 = 95;

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [(f64, f64); 5] =
        [(2.0, 50.0), (0.5, 100.0), (1.0, 120.0), (1.5, 60.0), (2.0, 70.0)];

    #[test]
    fn the_envelope_keeps_what_nothing_beats() {
        assert_eq!(envelope(&POINTS), [(0.5, 100.0), (1.5, 60.0), (2.0, 50.0)]);
        assert_eq!(envelope(&[]), []);
    }

    #[test]
    fn between_points_the_delay_is_interpolated_and_beyond_them_it_is_not_made_up() {
        let envelope = envelope(&POINTS);
        assert_eq!(delay_at(&envelope, 1.0), Some(80.0));
        assert_eq!(delay_at(&envelope, 0.5), Some(100.0));
        assert_eq!(delay_at(&envelope, 9.0), Some(50.0));
        assert_eq!(delay_at(&envelope, 0.4), None);
        assert_eq!(delay_at(&[], 1.0), None);
    }

    #[test]
    fn a_system_at_half_the_delay_has_an_interval_around_a_half() {
        let block = |delay: f64, late: f64| BlockSums {
            wall: 1_000.0,
            concealed: late,
            played: 1_000.0,
            delay: delay * 1_000.0,
            ..BlockSums::default()
        };
        let ours: Vec<_> = (0..20).map(|n| block(50.0 + f64::from(n % 3), 5.0)).collect();
        let theirs: Vec<_> = (0..20).map(|n| block(100.0 + f64::from(n % 5), 5.0)).collect();
        let pair = Pair { ours: vec![&ours[..]], theirs: vec![&theirs[..]], late: Some(1.0) };
        let (low, high) = ratio_interval(&[pair]).unwrap();
        assert!(low < high && low > 0.49 && high < 0.51, "{low} {high}");
    }

    #[test]
    fn the_geometric_mean_of_a_half_and_two_is_one() {
        assert_eq!(geometric_mean(&[0.5, 2.0]), Some(1.0));
        assert_eq!(geometric_mean(&[]), None);
    }
}
