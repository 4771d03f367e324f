//! What the rounds say together.

use serde::Serialize;

/// A median and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Rounds that it rests on.
    pub(crate) rounds: usize,
}

impl Estimate {
    /// Of the rounds' values, by bootstrap of the median (percentile method); `None` of none.
    /// Values that are no numbers are left out.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let draw = |_| {
                    // xorshift64: the same numbers for everybody who runs this.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    values[(random % values.len() as u64) as usize]
                };
                median((0..values.len()).map(draw).collect())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[(share * (medians.len() - 1) as f64).round() as usize];
        let rounds = values.len();
        Some(Self { low: at(0.025), high: at(0.975), median: median(values), rounds })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[half - 1] + values[half]) / 2.0
    } else {
        values[half]
    }
}

const RESAMPLES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_its_own_median_and_interval() {
        let estimate = Estimate::of([3.0]);
        assert_eq!(estimate, Some(Estimate { median: 3.0, low: 3.0, high: 3.0, rounds: 1 }));
        assert_eq!(Estimate::of([f64::NAN]), None);
    }

    #[test]
    fn an_interval_holds_the_median_and_leaves_an_outlier_out() {
        let values = (1..=21).map(f64::from).chain([1e9]);
        let estimate = Estimate::of(values).expect("there are values");
        assert!((estimate.median - 11.5).abs() < 1e-9, "{estimate:?}");
        assert!(estimate.low > 3.0 && estimate.low < estimate.median, "{estimate:?}");
        assert!(estimate.high < 20.0 && estimate.high > estimate.median, "{estimate:?}");
    }
}
