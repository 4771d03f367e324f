//! How fast a sender's clock runs against ours, and how sure that is.
//!
//! Two crystals never agree: a sender that is 100 ppm fast fills a buffer by 0.36 s an
//! hour. [`DriftEstimator`] takes when
//! packets arrived and when they were sampled, and answers with an [`Estimate`]: ppm, their
//! standard deviation, an interval, and how far it has come. Time is an argument; nothing
//! here allocates, reads a clock or knows a socket.
//!
//! # How
//!
//! Observations become segments of 0.25 s, of which the mean and the least delayed are
//! kept; when there are more than 64, each two become one. Candidates for the slope are
//! least squares over the means, least squares over the minima of 1, 2, 4 and 8 segments,
//! each with a standard error that allows for correlation, and the lower hull with the
//! deviation of its likelihood. They are blended by the sixth power of their precision:
//! where delay is Gaussian the means win, where it is a queue's the hull. The slope is then
//! shrunk toward zero as far as its error makes it doubtful.
//!
//! A delay that moves to another level for three seconds gets a new intercept and keeps its
//! slope; what came since does not count until that is certain. A discontinuity, or a gap
//! of more than 10 s, starts anew.
//!
//! # Example
//!
//! ```
//! use paceline_drift::{DriftConfig, DriftEstimator};
//!
//! let drift = DriftEstimator::new(DriftConfig::default());
//! assert_eq!(drift.estimate().ppm, 0.0);
//! assert_eq!(drift.ratio(), 1.0);
//! ```
//!
//! # Where to start reading
//!
//! `estimator` is the machine; `level` below it tells level shifts from busy queues, `fit`
//! and `hull` have the candidates, `prior` the shrinkage.

mod config;
mod estimate;
mod estimator;
mod fit;
mod history;
mod hull;
mod level;
mod prior;
mod segment;

pub use config::DriftConfig;
pub use estimate::{DriftStats, Estimate, State, Verdict};
pub use estimator::DriftEstimator;
pub use paceline_types as types;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
