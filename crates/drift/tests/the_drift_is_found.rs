//! The drift is found, as well as the shape of the delay allows.

mod common;

use common::{Random, Sender, drifts, estimator, exponential, gaussian, rms};
use paceline_drift::types::NtpTime;
use paceline_drift::{State, Verdict};
use std::time::Duration;

/// The errors of the answer and of the measurement after `seconds`.
fn errors(seconds: u64, delay: fn(&mut Random) -> f64) -> (f64, f64) {
    let (mut answered, mut measured) = (Vec::new(), Vec::new());
    for (drift, seed) in drifts(80) {
        let mut estimator = estimator();
        Sender::new(drift, seed).run(&mut estimator, seconds, delay);
        let estimate = estimator.estimate();
        answered.push(estimate.ppm - drift);
        measured.push(estimate.measured - drift);
    }
    (rms(&answered), rms(&measured))
}

/// The Cramér–Rao bound is 77 ppm at 10 s, 14.9 at 30 s and 5.3 at 60 s; a mean of 80
/// squares is itself uncertain by 8 % of its root.
#[test]
fn gaussian_delay_is_measured_near_the_cramer_rao_bound() {
    for (seconds, bound) in [(10, 77.5), (30, 14.9), (60, 5.27)] {
        let (answered, measured) = errors(seconds, gaussian);
        assert!(measured < 1.25 * bound, "{seconds} s: measured to {measured}");
        assert!(measured > 0.7 * bound, "{seconds} s: {measured} is too good to be true");
        if seconds > 10 {
            assert!(answered < 1.3 * bound, "{seconds} s: answered to {answered}");
        }
    }
}

/// Least squares is off by 310 and 21 ppm, and the hull alone by 26 and 0.8.
#[test]
fn exponential_delay_is_measured_at_its_edge() {
    let (answered, measured) = errors(10, exponential);
    assert!(measured < 33.0, "10 s: {measured}");
    assert!(answered < 42.0, "10 s: {answered}");
    let (answered, _) = errors(60, exponential);
    assert!(answered < 1.1, "60 s: {answered}");
}

/// Whatever the drift, from 100 ppm on, and whatever the window.
#[test]
fn no_answer_is_worse_than_none() {
    for delay in [gaussian, exponential] {
        for drift in [-100.0, 100.0, 250.0] {
            let mut errors = [const { Vec::new() }; 8];
            for seed in 0..30 {
                let mut estimator = estimator();
                let mut sender = Sender::new(drift, seed);
                for errors in &mut errors {
                    sender.run(&mut estimator, 2, delay);
                    errors.push(estimator.estimate().ppm - drift);
                }
            }
            for (index, errors) in errors.iter().enumerate() {
                let (error, nothing) = (rms(errors), drift.abs());
                assert!(error < 1.05 * nothing, "{drift} ppm, {} s: {error}", 2 * index + 2);
            }
        }
    }
}

#[test]
fn a_percent_is_found_and_more_is_held_to_it() {
    for (drift, expected) in [(9_000.0, 9_000.0), (-9_000.0, -9_000.0), (30_000.0, 10_000.0)] {
        let mut estimator = estimator();
        Sender::new(drift, 1).run(&mut estimator, 60, exponential);
        let estimate = estimator.estimate();
        assert!((estimate.ppm - expected).abs() < 60.0, "{estimate:?}");
        let (low, high) = estimate.interval95();
        assert!(low >= -10_000.0 && high <= 10_000.0, "{low}…{high}");
    }
}

/// 1 ppm a minute for ten minutes: what is long past must not count.
#[test]
fn a_ramp_is_followed() {
    let mut errors = Vec::new();
    for seed in 0..8 {
        let mut estimator = estimator();
        let mut sender = Sender::new(50.0, seed);
        for _ in 0..600 {
            sender.run(&mut estimator, 1, gaussian);
            sender.drift += 1.0 / 60.0;
        }
        errors.push(estimator.estimate().ppm - sender.drift);
    }
    // Over all ten minutes least squares is behind by 5 ppm.
    assert!(rms(&errors) < 3.0, "{errors:?}");
}

#[test]
fn an_hour_is_locked_and_the_ratio_says_the_same() {
    let mut estimator = estimator();
    Sender::new(-80.0, 3).run(&mut estimator, 3_600, exponential);
    let estimate = estimator.estimate();
    assert_eq!(estimate.state, State::Locked);
    assert_eq!(estimate.observations, 3_600 * 50);
    assert!((estimate.ppm + 80.0).abs() < 2.0, "{estimate:?}");
    assert!((estimate.span.as_secs_f64() - 3_600.0).abs() < 10.0, "{estimate:?}");
    assert!((estimator.ratio() - (1.0 + 80e-6)).abs() < 2e-6);
    assert!((estimator.rate_hz(48_000.0) - 48_000.0 * (1.0 - 80e-6)).abs() < 0.1);
}

#[test]
fn capture_times_tell_the_same_as_media_times() {
    let mut sender = Sender::new(150.0, 9);
    let (mut media, mut capture) = (estimator(), estimator());
    let start = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    for packet in 0..3_000_u64 {
        let delay = exponential(&mut sender.random);
        let (arrival, time) = sender.send(delay);
        let captured = start + Duration::from_millis(20 * packet);
        assert_eq!(media.handle_observation(arrival, time), Verdict::Taken);
        assert_eq!(capture.handle_capture(arrival, captured), Verdict::Taken);
    }
    let (media, capture) = (media.estimate().ppm, capture.estimate().ppm);
    assert!((media - capture).abs() < 0.01, "{media} and {capture}");
    assert!((media - 150.0).abs() < 4.0, "{media}");
}
