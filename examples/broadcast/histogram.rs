//! Percentiles of as many figures as there are, in a fixed space.

/// Counts of figures in microseconds, by buckets that are at most 1 % wide.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }

    pub(crate) fn record(&mut self, micros: u32) {
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
    }

    /// The value in milliseconds below or at which `part` of the figures lie (nearest
    /// rank), as far as a bucket tells: its upper end.
    pub(crate) fn percentile(&self, part: f64) -> Option<f64> {
        let rank = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.buckets.iter().position(|&count| {
            below += count;
            below >= rank
        });
        found.map(|index| f64::from(upper(index)) / 1e3)
    }
}

/// Figures up to 128 have a bucket each; above, each power of two has 128.
fn bucket(micros: u32) -> usize {
    let shift = (u32::BITS - micros.leading_zeros()).saturating_sub(8);
    ((shift as usize) << 7) + (micros >> shift) as usize
}

/// The largest figure of a bucket.
fn upper(index: usize) -> u32 {
    let shift = (index >> 7).saturating_sub(1) as u32;
    let first = (index - ((shift as usize) << 7)) as u64;
    u32::try_from(((first + 1) << shift) - 1).unwrap_or(u32::MAX)
}

/// One more than the bucket of the largest figure.
const BUCKETS: usize = (24 << 7) + 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_in_a_bucket_that_ends_less_than_a_percent_above_it() {
        for micros in (0..5_000).chain((0..32).map(|bits| (1_u32 << bits) + 3)).chain([u32::MAX]) {
            let upper = upper(bucket(micros));
            assert!(upper >= micros, "{micros} {upper}");
            assert!(f64::from(upper - micros) <= f64::from(micros) * 0.01, "{micros} {upper}");
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_figures() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(0.5), None);
        for micros in 1..=100 {
            histogram.record(micros);
        }
        assert_eq!(histogram.percentile(0.5), Some(0.05));
        assert_eq!(histogram.percentile(0.99), Some(0.099));
        assert_eq!(histogram.percentile(1.0), Some(0.1));
        let mut sum = Histogram::new();
        sum.add(&histogram);
        sum.record(4);
        assert_eq!(sum.percentile(0.04), Some(0.004));
    }
}
