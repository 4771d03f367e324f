//! A gap over ten seconds and a discontinuity start anew; less does not.

mod common;

use std::time::Duration;

use common::{Sender, estimator, exponential};
use paceline_drift::types::{Frequency, MediaTime, NtpTime};
use paceline_drift::{DriftConfig, DriftEstimator, State, Verdict};

#[test]
fn a_silence_of_nine_seconds_keeps_the_slope_and_one_of_eleven_does_not() {
    for (seconds, kept) in [(9, true), (11, false)] {
        let mut estimator = estimator();
        let mut sender = Sender::new(100.0, 1);
        sender.run(&mut estimator, 60, exponential);
        (0..seconds * 50).for_each(|_| sender.skip());
        let (arrival, time) = sender.send(0.0);
        let first = estimator.handle_observation(arrival, time);
        assert_eq!(first == Verdict::Taken, kept);
        for _ in 0..3 {
            let (arrival, time) = sender.send(0.0);
            let _ = estimator.handle_observation(arrival, time);
        }
        let estimate = estimator.estimate();
        assert_eq!((estimate.ppm - 100.0).abs() < 4.0, kept, "{estimate:?}");
        assert_eq!(estimator.stats().resets, u64::from(!kept));
    }
}

#[test]
fn two_strays_are_ignored_and_the_third_starts_anew() {
    let mut estimator = estimator();
    let mut sender = Sender::new(100.0, 1);
    sender.run(&mut estimator, 30, exponential);
    let before = estimator.estimate();
    let jump = |sender: &mut Sender| {
        let (arrival, time) = sender.send(0.0);
        (arrival, MediaTime::new(time.ticks() + (1 << 40), Frequency::AUDIO))
    };
    for _ in 0..2 {
        let (arrival, time) = jump(&mut sender);
        assert_eq!(estimator.handle_observation(arrival, time), Verdict::Ignored);
    }
    let (arrival, time) = sender.send(0.0);
    assert_eq!(estimator.handle_observation(arrival, time), Verdict::Taken);
    assert_eq!(estimator.estimate().ppm, before.ppm);
    for expected in [Verdict::Ignored, Verdict::Ignored, Verdict::Restarted, Verdict::Taken] {
        let (arrival, time) = jump(&mut sender);
        assert_eq!(estimator.handle_observation(arrival, time), expected);
    }
    let estimate = estimator.estimate();
    assert_eq!((estimate.ppm, estimate.state, estimate.observations), (0.0, State::Starting, 2));
    assert_eq!(estimator.stats().ignored, 4);
}

#[test]
fn a_discontinuity_forgets_all_but_the_counters() {
    let mut estimator = estimator();
    let mut sender = Sender::new(100.0, 1);
    sender.run(&mut estimator, 30, exponential);
    estimator.handle_discontinuity();
    let fresh = DriftEstimator::new(DriftConfig::default()).estimate();
    assert_eq!(estimator.estimate(), fresh);
    assert_eq!((estimator.stats().resets, estimator.stats().taken), (1, 1_500));
    sender.drift = -200.0;
    sender.first_tick += 123_456_789_000;
    sender.run(&mut estimator, 60, exponential);
    assert!((estimator.estimate().ppm + 200.0).abs() < 5.0, "{:?}", estimator.estimate());
}

#[test]
fn what_is_not_later_does_not_count() {
    let mut estimator = estimator();
    let mut sender = Sender::new(0.0, 1);
    let old = sender.send(0.0);
    let new = sender.send(0.0);
    assert_eq!(estimator.handle_observation(new.0, new.1), Verdict::Taken);
    assert_eq!(estimator.handle_observation(new.0, old.1), Verdict::Ignored);
    assert_eq!(estimator.handle_observation(new.0, new.1), Verdict::Ignored);
    assert_eq!(estimator.estimate().observations, 1);
}

/// Media time and wallclock in turn are two clocks, of which neither continues the other.
#[test]
fn two_clocks_do_not_mix() {
    let mut estimator = estimator();
    let mut sender = Sender::new(0.0, 1);
    sender.run(&mut estimator, 5, |_| 0.0);
    let capture = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    let (arrival, _) = sender.send(0.0);
    assert_eq!(estimator.handle_capture(arrival, capture), Verdict::Ignored);
    let (arrival, time) = sender.send(0.0);
    let video = MediaTime::new(time.ticks(), Frequency::VIDEO);
    assert_eq!(estimator.handle_observation(arrival, video), Verdict::Ignored);
    assert_eq!(estimator.handle_observation(arrival, time), Verdict::Taken);
}

#[test]
fn bounds_are_those_of_the_config() {
    let config = DriftConfig::default()
        .limit(30.0)
        .max_gap(Duration::from_secs(2))
        .prior(f64::NAN)
        .shift_after(Duration::from_secs(1))
        .wander(f64::INFINITY);
    assert_eq!(config.prior_ppm(), DriftConfig::default().prior_ppm());
    let mut estimator = DriftEstimator::new(config);
    let mut sender = Sender::new(200.0, 1);
    sender.run(&mut estimator, 60, exponential);
    assert_eq!(estimator.estimate().ppm, 30.0);
    assert_eq!(estimator.estimate().interval95().1, 30.0);
    (0..150).for_each(|_| sender.skip());
    let (arrival, time) = sender.send(0.0);
    assert_eq!(estimator.handle_observation(arrival, time), Verdict::Ignored);
}
