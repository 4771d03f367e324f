//! The interval holds the truth as often as it says.

mod common;

use common::{Random, Sender, drifts, estimator, exponential, gaussian};
use paceline_drift::State;

fn gamma(random: &mut Random) -> f64 {
    5e3 * (random.exponential() + random.exponential() + random.exponential())
}

/// Of 480 intervals, 95 % is 456; a binomial strays from it by 5.
#[test]
fn ninety_five_of_a_hundred_intervals_hold_the_truth() {
    let (mut held, mut within, mut all) = (0, 0, 0);
    for delay in [gaussian, exponential, gamma] {
        for (drift, seed) in drifts(40) {
            let mut estimator = estimator();
            let mut sender = Sender::new(drift, 1_000 + seed);
            for seconds in [6, 6, 13, 20] {
                sender.run(&mut estimator, seconds, delay);
                let estimate = estimator.estimate();
                let (low, high) = estimate.interval95();
                held += usize::from((low..=high).contains(&drift));
                within += usize::from((estimate.ppm - drift).abs() < 1.96 * estimate.sigma);
                all += 1;
            }
        }
    }
    assert_eq!(all, 480);
    assert!((442..=474).contains(&held), "{held} of {all}");
    assert!((442..=478).contains(&within), "{within} of {all}");
}

#[test]
fn before_there_is_evidence_the_answer_is_the_prior() {
    let mut estimator = estimator();
    let nothing = estimator.estimate();
    assert_eq!((nothing.ppm, nothing.state, nothing.observations), (0.0, State::Starting, 0));
    assert!(nothing.error.is_infinite());
    let (arrival, time) = Sender::new(300.0, 0).send(0.0);
    let _ = estimator.handle_observation(arrival, time);
    let one = estimator.estimate();
    assert_eq!((one.ppm, one.sigma, one.observations), (0.0, nothing.sigma, 1));
    assert_eq!((estimator.ratio(), estimator.rate_hz(48_000.0)), (1.0, 48_000.0));
}

#[test]
fn the_longer_it_is_watched_the_surer_it_is() {
    let mut estimator = estimator();
    let mut sender = Sender::new(120.0, 5);
    let mut before = estimator.estimate();
    for seconds in [15, 25, 40] {
        sender.run(&mut estimator, seconds, gaussian);
        let estimate = estimator.estimate();
        assert!(estimate.sigma < 0.7 * before.sigma, "{before:?}, then {estimate:?}");
        assert!(estimate.error < before.error && estimate.span > before.span);
        before = estimate;
    }
}
