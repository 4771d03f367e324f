//! Whatever a sender says, the estimate is finite and within its bounds.

mod common;

use std::num::NonZeroU32;
use std::time::Duration;

use common::epoch;
use paceline_drift::types::{Frequency, MediaTime, NtpTime};
use paceline_drift::{DriftConfig, DriftEstimator, Verdict};
use proptest::prelude::*;

fn check(drift: &DriftEstimator, limit: f64) {
    let estimate = drift.estimate();
    let (low, high) = estimate.interval95();
    assert!(estimate.ppm.abs() <= limit && estimate.measured.abs() <= limit, "{estimate:?}");
    assert!(low <= estimate.ppm && estimate.ppm <= high, "{low} {high} {estimate:?}");
    assert!(low >= -limit && high <= limit);
    assert!(estimate.sigma.is_finite() && estimate.sigma >= 0.0, "{estimate:?}");
    assert!(!estimate.error.is_nan() && estimate.error > 0.0, "{estimate:?}");
    assert!((0.8..1.2).contains(&drift.ratio()) && drift.rate_hz(48e3).is_finite());
}

#[derive(Clone, Debug)]
enum Step {
    Capture(i64, u64),
    Discontinuity,
    Media(i64, u64, u32),
    /// Packets in a row, each so many microseconds and ticks after the last.
    Stream(u64, u64, u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (-20_000_000_i64..20_000_000, any::<u64>()).prop_map(|(us, bits)| Step::Capture(us, bits)),
        Just(Step::Discontinuity),
        (-20_000_000_i64..20_000_000, any::<u64>(), 1_u32..)
            .prop_map(|(us, ticks, hz)| Step::Media(us, ticks, hz)),
        (0_u64..200_000, 0_u64..20_000, 1_u16..600)
            .prop_map(|(us, ticks, count)| Step::Stream(us, ticks, count)),
        (19_000_u64..21_000, Just(960), 100_u16..2_000)
            .prop_map(|(us, ticks, count)| Step::Stream(us, ticks, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn any_script_leaves_a_sane_estimate(
        steps in prop::collection::vec(step(), 1..30),
        limit in 1.0..100_000.0,
        prior in prop::num::f64::ANY,
        wander in prop::num::f64::ANY,
    ) {
        let config = DriftConfig::default().limit(limit).prior(prior).wander(wander);
        let mut drift = DriftEstimator::new(config);
        let mut now = epoch() + Duration::from_secs(1_000_000);
        let mut ticks = 0_u64;
        let mut given = 0;
        for step in steps {
            let shift = |us: i64| {
                let span = Duration::from_micros(us.unsigned_abs());
                if us < 0 { now - span } else { now + span }
            };
            match step {
                Step::Capture(us, bits) => {
                    given += 1;
                    let _ = drift.handle_capture(shift(us), NtpTime::from_bits(bits));
                }
                Step::Discontinuity => drift.handle_discontinuity(),
                Step::Media(us, ticks, hz) => {
                    given += 1;
                    let hz = Frequency::new(NonZeroU32::new(hz).expect("from one on"));
                    let _ = drift.handle_observation(shift(us), MediaTime::new(ticks, hz));
                }
                Step::Stream(us, each, count) => {
                    for index in 0..count {
                        given += 1;
                        now += Duration::from_micros(us + u64::from(index % 7) * 300);
                        ticks += each;
                        let time = MediaTime::new(ticks, Frequency::AUDIO);
                        let _ = drift.handle_observation(now, time);
                    }
                }
            }
            check(&drift, limit);
        }
        let stats = drift.stats();
        prop_assert_eq!(stats.taken + stats.ignored, given);
    }

    /// The largest and the least numbers there are.
    #[test]
    fn extremes_do_not_overflow(
        readings in prop::collection::vec((0_usize..6, any::<bool>()), 1..60),
    ) {
        let extremes = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
        let mut drift = DriftEstimator::new(DriftConfig::default());
        let start = epoch();
        for (index, (which, far)) in readings.into_iter().enumerate() {
            let days = if far { 36_500 } else { 0 };
            let at = start + Duration::from_secs(days * 86_400 + index as u64);
            let hz = Frequency::new(NonZeroU32::MIN);
            let verdict = drift.handle_observation(at, MediaTime::new(extremes[which], hz));
            prop_assert_ne!(verdict, Verdict::Shifted);
            check(&drift, 10_000.0);
        }
    }
}
