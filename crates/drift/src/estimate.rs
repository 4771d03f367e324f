//! What an estimator answers.

use std::time::Duration;

use crate::DriftConfig;
use crate::prior::{Belief, Doubt};

/// What became of an observation.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_drift::types::{Frequency, MediaTime};
/// use paceline_drift::{DriftConfig, DriftEstimator, Verdict};
///
/// let mut drift = DriftEstimator::new(DriftConfig::default());
/// let now = Instant::now();
/// let time = MediaTime::new(7, Frequency::AUDIO);
/// assert_eq!(drift.handle_observation(now, time), Verdict::Taken);
/// // The same again is a duplicate.
/// assert_eq!(drift.handle_observation(now, time), Verdict::Ignored);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It is not later than the one before, or does not continue the course: it does not
    /// count.
    Ignored,
    /// The third in a row that does not continue the course: the estimate starts anew,
    /// with this.
    Restarted,
    /// It counts, and makes certain that the delay has another level since some seconds.
    /// The slope is kept.
    Shifted,
    /// It counts.
    Taken,
}

/// How far an estimator has come.
///
/// ```
/// use paceline_drift::{DriftConfig, DriftEstimator, State};
///
/// let drift = DriftEstimator::new(DriftConfig::default());
/// assert_eq!(drift.estimate().state, State::Starting);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// There is no slope yet: the answer is the prior's.
    Starting,
    /// There is a slope, which is still uncertain by more than 5 ppm.
    Settling,
    /// The slope is certain to 5 ppm or better.
    Locked,
    /// The delay may just have moved to another level: the last seconds do not count
    /// until that is known.
    Holding,
}

/// How fast a sender's clock runs against ours, and how sure that is.
///
/// ```
/// use paceline_drift::{DriftConfig, DriftEstimator};
///
/// let estimate = DriftEstimator::new(DriftConfig::default().prior(300.0)).estimate();
/// assert_eq!(estimate.ppm, 0.0);
/// assert!((estimate.sigma - 300.0).abs() < 1.0);
/// let (low, high) = estimate.interval95();
/// assert!(low < -500.0 && high > 500.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// How much faster the sender's clock is than ours, in ppm; negative if it is slower.
    /// Of what may be noise most is taken for noise: this is the one to correct by.
    pub ppm: f64,
    /// The standard deviation of the truth about [`ppm`](Self::ppm), in ppm.
    pub sigma: f64,
    /// The slope as measured, in ppm, without what is believed beforehand. Zero before
    /// there is one.
    pub measured: f64,
    /// The standard error of [`measured`](Self::measured), in ppm, with what the drift may
    /// have wandered meanwhile. Infinite before there is one.
    pub error: f64,
    /// Observations since the start or the last restart.
    pub observations: u64,
    /// The sender's time over which they lie, when the slope was last fitted.
    pub span: Duration,
    /// How far the estimator has come.
    pub state: State,
    pub(crate) doubt: Doubt,
    pub(crate) limit: f64,
}

impl Estimate {
    /// What is known before there is evidence.
    pub(crate) fn prior(config: &DriftConfig) -> Self {
        let doubt = Belief::doubt(config.prior);
        Self {
            ppm: 0.0,
            sigma: doubt.sigma(),
            measured: 0.0,
            error: f64::INFINITY,
            observations: 0,
            span: Duration::ZERO,
            state: State::Starting,
            doubt,
            limit: config.limit,
        }
    }

    /// The interval that holds the truth 95 times of 100, from and to, in ppm.
    ///
    /// It is worked out when asked for, which takes some microseconds.
    #[must_use]
    pub fn interval95(&self) -> (f64, f64) {
        let at = |share| self.doubt.quantile(share).clamp(-self.limit, self.limit);
        (at(0.025).min(self.ppm), at(0.975).max(self.ppm))
    }
}

/// Counters of an estimator. None of them is reset.
///
/// ```
/// use paceline_drift::{DriftConfig, DriftEstimator};
///
/// let mut drift = DriftEstimator::new(DriftConfig::default());
/// drift.handle_discontinuity();
/// assert_eq!(drift.stats().resets, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DriftStats {
    /// Slopes that were fitted.
    pub fits: u64,
    /// Observations that did not count; not those that a restart dropped.
    pub ignored: u64,
    /// Restarts, by the caller or by three strays in a row.
    pub resets: u64,
    /// Level shifts; not those that were over before they were certain.
    pub shifts: u64,
    /// Observations that counted.
    pub taken: u64,
}
