//! A route that changes moves the delay, and not the drift.

mod common;

use common::{Random, Sender, estimator, exponential, gaussian, rms};
use paceline_drift::State;

#[test]
fn a_step_of_50_ms_moves_the_estimate_by_less_than_three_sigma() {
    for delay in [gaussian, exponential] {
        for (seed, step) in (0..8).flat_map(|seed| [(seed, 50e3), (seed, -50e3)]) {
            let mut estimator = estimator();
            let mut sender = Sender::new(80.0, seed);
            sender.run(&mut estimator, 60, |random| 100e3 + delay(random));
            let before = estimator.estimate();
            let mut shifts = 0;
            for second in 0..30 {
                shifts += sender.run(&mut estimator, 1, |random| 100e3 + step + delay(random));
                let moved = estimator.estimate().ppm - before.ppm;
                let sigmas = moved.abs() / before.sigma;
                assert!(sigmas < 3.0, "{sigmas} sigma after {second} s of {step} µs");
            }
            assert_eq!(shifts, 1, "seed {seed}, {step} µs");
            assert_eq!(estimator.stats().shifts, 1);
        }
    }
}

#[test]
fn after_three_routes_the_drift_is_known_as_well() {
    let mut errors = Vec::new();
    for seed in 0..20 {
        let mut estimator = estimator();
        let mut sender = Sender::new(-60.0, seed);
        for level in [40e3, 90e3, 60e3, 75e3] {
            sender.run(&mut estimator, 30, |random| level + exponential(random));
        }
        assert_eq!(estimator.stats().resets, 0);
        errors.push(estimator.estimate().ppm + 60.0);
    }
    // Least squares without levels is off by some 200 ppm.
    assert!(rms(&errors) < 6.0, "{errors:?}");
}

#[test]
fn a_busy_queue_of_two_seconds_is_no_level_shift() {
    let mut estimator = estimator();
    let mut sender = Sender::new(80.0, 1);
    sender.run(&mut estimator, 60, exponential);
    let before = estimator.estimate();
    sender.run(&mut estimator, 2, |random| 100e3 + exponential(random));
    sender.run(&mut estimator, 20, exponential);
    assert_eq!(estimator.stats().shifts, 0);
    let moved = (estimator.estimate().ppm - before.ppm).abs();
    assert!(moved < 3.0 * before.sigma, "{moved} ppm");
}

/// Until a shift is certain the answer stays, and says why.
#[test]
fn a_shift_that_is_not_yet_certain_holds() {
    let mut estimator = estimator();
    let mut sender = Sender::new(80.0, 2);
    let delay = |random: &mut Random| 20e3 + 1e3 * random.normal();
    sender.run(&mut estimator, 20, delay);
    assert_ne!(estimator.estimate().state, State::Holding);
    sender.run(&mut estimator, 2, |random| 80e3 + delay(random));
    assert_eq!(estimator.estimate().state, State::Holding);
    sender.run(&mut estimator, 20, |random| 80e3 + delay(random));
    assert_eq!(estimator.estimate().state, State::Locked);
}

/// A path that shifts every four seconds leaves little, but memory is bounded and the
/// answer sane.
#[test]
fn shifts_without_end_do_no_harm() {
    let mut estimator = estimator();
    let mut sender = Sender::new(40.0, 3);
    for round in 0..300 {
        let level = 20e3 + 100e3 * f64::from(round % 2);
        sender.run(&mut estimator, 4, |random| level + 1e3 * random.normal());
    }
    assert!(estimator.stats().shifts > 100, "{:?}", estimator.stats());
    assert!((estimator.estimate().ppm - 40.0).abs() < 10.0, "{:?}", estimator.estimate());
}
