//! From a slope with a standard error to a belief about the drift.

/// A mixture of normal distributions of the drift, in ppm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Belief<const N: usize> {
    /// Weight, mean and variance of each.
    parts: [(f64, f64, f64); N],
}

impl Belief<{ 1 + BAD.len() }> {
    /// What a measurement with the standard error `error` is answered from: most clocks are
    /// good. The more exact it is, the less is believed beforehand.
    pub(crate) fn answer(sigma: f64, error: f64) -> Self {
        let exact = error / (EXACT * sigma);
        let bad = SURPRISE + 1.0 / (1.0 + exact.powi(4)) * (1.0 - SURPRISE);
        let [a, b, c] = BAD.map(|(weight, scale)| (bad * weight, scale));
        Self::prior([(1.0 - bad, GOOD), a, b, c], sigma)
    }
}

/// A belief to doubt from.
pub(crate) type Doubt = Belief<{ DOUBT.len() }>;

impl Doubt {
    /// What is doubted from: any clock may be bad. Its deviation is `sigma`.
    pub(crate) fn doubt(sigma: f64) -> Self {
        Self::prior(DOUBT, sigma)
    }
}

impl<const N: usize> Belief<N> {
    fn prior(parts: [(f64, f64); N], sigma: f64) -> Self {
        let unit = sigma * sigma;
        Self { parts: parts.map(|(weight, scale)| (weight, 0.0, scale * scale * unit)) }
    }

    /// The belief after a measurement of `slope` with the standard error `error`.
    ///
    /// Each part is shrunk as a normal prior is, and weighs as much more as it foresaw
    /// the measurement. A small slope that may be noise is so taken for noise, and a
    /// large one for itself.
    pub(crate) fn given(self, slope: f64, error: f64) -> Self {
        let noise = error * error;
        let mut logs = self.parts.map(|(weight, mean, variance)| {
            let total = variance + noise;
            let off = slope - mean;
            weight.max(f64::MIN_POSITIVE).ln() - 0.5 * (total.ln() + off * off / total)
        });
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for log in &mut logs {
            *log = (*log - most).exp();
        }
        let sum: f64 = logs.iter().sum();
        let mut parts = self.parts;
        for ((weight, mean, variance), likelihood) in parts.iter_mut().zip(logs) {
            let gain = *variance / (*variance + noise);
            *weight = likelihood / sum;
            *mean += gain * (slope - *mean);
            *variance *= 1.0 - gain;
        }
        Self { parts }
    }

    /// Draws the parts toward zero where the measurement with the standard error `error`
    /// was too vague to tell between them.
    pub(crate) fn cautious(mut self, error: f64, sigma: f64) -> Self {
        let share = 1.0 / (1.0 + (error / (VAGUE * sigma)).powi(4));
        for (_, mean, _) in &mut self.parts {
            *mean *= share;
        }
        self
    }

    pub(crate) fn mean(&self) -> f64 {
        self.parts.iter().map(|(weight, mean, _)| weight * mean).sum()
    }

    pub(crate) fn sigma(&self) -> f64 {
        let mean = self.mean();
        let part = |&(weight, middle, variance): &(f64, f64, f64)| {
            weight * (variance + (middle - mean) * (middle - mean))
        };
        self.parts.iter().map(part).sum::<f64>().sqrt()
    }

    /// The value below which a share of `share` of the belief lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let reach = |sign: f64| {
            let far = |&(_, mean, variance): &(f64, f64, f64)| mean + sign * 8.0 * variance.sqrt();
            self.parts
                .iter()
                .map(far)
                .fold(sign * f64::NEG_INFINITY, |a, b| if sign > 0.0 { a.max(b) } else { a.min(b) })
        };
        let (mut low, mut high) = (reach(-1.0), reach(1.0));
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if self.below(middle) < share { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    fn below(&self, value: f64) -> f64 {
        let part = |&(weight, mean, variance): &(f64, f64, f64)| {
            weight * normal_below((value - mean) / variance.sqrt().max(f64::MIN_POSITIVE))
        };
        self.parts.iter().map(part).sum()
    }
}

/// The standard normal distribution function: Abramowitz and Stegun 26.2.17, whose error
/// is below 7.5e-8.
fn normal_below(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, term| t * (term + sum));
    let above = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { above } else { 1.0 - above }
}

/// The scale of good clocks, against the configured deviation of 300 ppm: 40 ppm.
const GOOD: f64 = 0.133;

/// Weight among them, and scale, of the parts of clocks that are not good; the last is for
/// those that are off by up to the limit.
///
/// These and the three numbers around them come from a sweep over drifts and standard
/// errors: no drift from 50 ppm on is, at any error, estimated more than 1.05 times worse
/// than by answering zero (one of 20 ppm: twice), and one that is measured to 25 ppm or
/// better is not estimated more than 1.1 times worse than it is measured.
const BAD: [(f64, f64); 3] = [(0.86, 0.4), (0.139, 1.17), (0.001, 10.0)];

/// The share of clocks that are not good.
const SURPRISE: f64 = 0.4;

/// The standard error, against the configured deviation, at which half is believed
/// beforehand: 50 ppm.
const EXACT: f64 = 0.167;

/// The standard error, against the configured deviation, at which a measurement is half
/// believed at all: 150 ppm.
const VAGUE: f64 = 0.5;

/// What is doubted from: 95 % of it within ±520 ppm, and a tail up to the limit, with a
/// deviation of 1 in all.
const DOUBT: [(f64, f64); 2] = [(0.997, 0.874), (0.003, 8.93)];

/// Halvings of an interval of at most 16 deviations: to within 1e-6 of one.
const BISECTIONS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_belief_is_as_wide_as_it_says() {
        let doubt = Belief::doubt(300.0);
        assert!((doubt.sigma() - 300.0).abs() < 1.0, "{}", doubt.sigma());
        let (low, high) = (doubt.quantile(0.025), doubt.quantile(0.975));
        assert!((low + high).abs() < 1e-3 && (high - 515.0).abs() < 15.0, "{low} {high}");
    }

    #[test]
    fn the_distribution_function_is_that_of_a_table() {
        for (z, below) in [(0.0, 0.5), (1.0, 0.841_345), (-1.959_964, 0.025), (3.0, 0.998_650)] {
            assert!((normal_below(z) - below).abs() < 1e-6, "{z}");
        }
    }

    /// The sweep from which the numbers are: over drift, error and chance.
    #[test]
    fn shrinking_is_never_worse_than_zero_and_seldom_than_the_measurement() {
        let nodes: Vec<f64> = (-30..=30).map(|node| f64::from(node) / 5.0).collect();
        let density = |z: f64| (-0.5 * z * z).exp();
        let mass: f64 = nodes.iter().map(|&z| density(z)).sum();
        for drift in [50.0, 100.0, 200.0, 350.0, 500.0] {
            for error in [1.0, 5.0, 10.0, 20.0, 40.0, 80.0, 150.0, 300.0, 1_000.0, 5_000.0] {
                let square = |&z: &f64| {
                    let belief = Belief::answer(300.0, error).given(drift + error * z, error);
                    let off = belief.cautious(error, 300.0).mean() - drift;
                    density(z) / mass * off * off
                };
                let risk = nodes.iter().map(square).sum::<f64>().sqrt();
                assert!(risk < 1.06 * drift, "{drift} ± {error}: {risk}");
                assert!(error > 20.0 || risk < 1.15 * error, "{drift} ± {error}: {risk}");
            }
        }
    }
}
