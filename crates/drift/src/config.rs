//! What an estimator believes before it has seen anything, and its bounds.

use std::time::Duration;

/// What a [`DriftEstimator`](crate::DriftEstimator) believes beforehand, and what it bounds.
///
/// ```
/// use paceline_drift::DriftConfig;
///
/// // Both ends are disciplined by the same time server.
/// let config = DriftConfig::default().prior(20.0);
/// assert_eq!(config.prior_ppm(), 20.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftConfig {
    pub(crate) limit: f64,
    pub(crate) max_gap: Duration,
    pub(crate) prior: f64,
    pub(crate) shift_after: Duration,
    pub(crate) wander: f64,
}

impl DriftConfig {
    /// The largest drift that is ever stated, either way, in ppm. Defaults to 10,000.
    ///
    /// A sender that is further off than this is one that lies, or whose timestamps have
    /// another rate than the one declared; the estimate stays at the limit.
    ///
    /// Held to 1…100,000 ppm; what is not a number is the default.
    #[must_use]
    pub fn limit(mut self, ppm: f64) -> Self {
        self.limit = held(ppm, 1.0, 100_000.0, LIMIT);
        self
    }

    /// The longest silence, and the largest jump of the delay, after which the slope is
    /// still believed. Defaults to 10 s.
    ///
    /// After a longer one the estimator starts anew. A shorter bound forgets more often;
    /// a longer one takes a sender's restart for a very late packet.
    ///
    /// Held to 1 s…1 h.
    #[must_use]
    pub fn max_gap(mut self, gap: Duration) -> Self {
        self.max_gap = gap.clamp(Duration::from_secs(1), Duration::from_secs(3_600));
        self
    }

    /// The standard deviation of drifts before there is evidence, in ppm. Defaults to 300.
    ///
    /// Two beliefs scale with it. The answer is taken from one by which most clocks are
    /// within a tenth of it; the stated uncertainty from one by which 95 % are within 1.7
    /// times it, so that it is not too small for a bad clock. A smaller one makes the
    /// first minute calmer, and a sender that is far off believed later.
    ///
    /// Held to 1…10,000 ppm; what is not a number is the default.
    #[must_use]
    pub fn prior(mut self, ppm: f64) -> Self {
        self.prior = held(ppm, 1.0, 10_000.0, PRIOR);
        self
    }

    /// The standard deviation of drifts before there is evidence, in ppm.
    #[must_use]
    pub const fn prior_ppm(&self) -> f64 {
        self.prior
    }

    /// How long the delay must stay at another level to be a level shift rather than a
    /// busy queue. Defaults to 3 s.
    ///
    /// What came since the shift does not count meanwhile. Shorter takes congestion for
    /// route changes, which costs precision; longer withholds what came for longer.
    ///
    /// Held to 1…3.5 s, as so much is held back.
    #[must_use]
    pub fn shift_after(mut self, span: Duration) -> Self {
        self.shift_after = span.clamp(Duration::from_secs(1), Duration::from_millis(3_500));
        self
    }

    /// How fast a drift changes, in ppm a minute. Defaults to 0.7.
    ///
    /// It decides how much of the past counts, and is part of the stated error: a larger
    /// one follows a warming crystal faster, with more noise.
    ///
    /// Held to 0.001…100; what is not a number is the default.
    #[must_use]
    pub fn wander(mut self, ppm: f64) -> Self {
        self.wander = held(ppm, 0.001, 100.0, WANDER);
        self
    }
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            max_gap: Duration::from_secs(10),
            prior: PRIOR,
            shift_after: Duration::from_secs(3),
            wander: WANDER,
        }
    }
}

fn held(value: f64, least: f64, most: f64, default: f64) -> f64 {
    if value.is_nan() { default } else { value.clamp(least, most) }
}

/// The playout of this workspace resamples by ±1 % at most.
const LIMIT: f64 = 10_000.0;

/// Sound cards are within ±100 ppm as a rule; those of virtual machines and radio headsets
/// may be off by 500.
const PRIOR: f64 = 300.0;

/// Of a temperature that moves the drift by up to 1 ppm a minute either way the deviation
/// is 0.6; what was measured to state its error best over such ramps and none.
const WANDER: f64 = 0.7;
