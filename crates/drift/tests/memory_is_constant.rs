//! All memory is in the value, and it is small.

mod common;

use allocation_counter::measure;
use common::{Sender, estimator, exponential};
use paceline_drift::DriftEstimator;

#[test]
fn nothing_is_allocated() {
    let mut estimator = estimator();
    let mut sender = Sender::new(50.0, 1);
    let allocations = measure(|| {
        sender.run(&mut estimator, 200, exponential);
        sender.run(&mut estimator, 20, |random| 80e3 + exponential(random));
        estimator.handle_discontinuity();
        sender.run(&mut estimator, 20, exponential);
    });
    assert_eq!(allocations.count_total, 0);
    assert!(estimator.estimate().interval95().1 < 520.0);
}

#[test]
fn an_estimator_fits_into_8_kib() {
    assert!(size_of::<DriftEstimator>() <= 8 << 10, "{}", size_of::<DriftEstimator>());
}
