//! The drift estimator, driven by a script of operations.

use std::num::NonZeroU32;
use std::time::Duration;

use paceline_drift::types::{Frequency, MediaTime, NtpTime};
use paceline_drift::{DriftConfig, DriftEstimator, Verdict};

use crate::packets::epoch;

/// A sender that says anything: each step is an operation, a time and a number.
pub fn drift(mut script: &[u8]) {
    const LIMIT: f64 = 10_000.0;
    let mut drift = DriftEstimator::new(DriftConfig::default());
    let mut now = epoch() + Duration::from_secs(3_600);
    let mut ticks = 1_u64 << 32;
    let mut given = 0;
    while let Some((&[op, time, a, b], rest)) = script.split_first_chunk() {
        script = rest;
        let number = u64::from(u16::from_be_bytes([a, b]));
        match op % 6 {
            // Packets in a row, with jitter.
            0 => {
                for packet in 0..number % 300 {
                    now +=
                        Duration::from_micros(19_000 + u64::from(time) * 8 + packet * number % 977);
                    ticks += 960;
                    given += 1;
                    let time = MediaTime::new(ticks, Frequency::AUDIO);
                    let _ = drift.handle_observation(now, time);
                }
            }
            // One packet, anywhere.
            1 => {
                let ticks = (number << (time % 64)) ^ ticks.wrapping_mul(u64::from(op >> 3));
                given += 1;
                let _ = drift.handle_observation(now, MediaTime::new(ticks, Frequency::AUDIO));
            }
            // One of another clock.
            2 => {
                let hz = NonZeroU32::new(1 + (u32::from(time) << (op / 8 % 24)))
                    .unwrap_or(NonZeroU32::MIN);
                given += 1;
                let time = MediaTime::new(number << 24, Frequency::new(hz));
                let _ = drift.handle_observation(now - Duration::from_millis(number / 64), time);
            }
            3 => {
                given += 1;
                let capture = NtpTime::from_bits(number << (time % 64));
                let _ = drift.handle_capture(now, capture);
            }
            // Time passes: up to 17 minutes, or the delay moves.
            4 => now += Duration::from_millis(number * u64::from(time % 16)),
            _ => {
                if time == 0 {
                    drift.handle_discontinuity();
                } else {
                    ticks += number * u64::from(time);
                    given += 1;
                    let time = MediaTime::new(ticks, Frequency::AUDIO);
                    let before = drift.stats().resets;
                    let verdict = drift.handle_observation(now, time);
                    // It says so when it forgets.
                    let forgot = drift.stats().resets > before;
                    assert_eq!(verdict == Verdict::Restarted, forgot);
                }
            }
        }
        let estimate = drift.estimate();
        let (low, high) = estimate.interval95();
        assert!(estimate.ppm.abs() <= LIMIT && estimate.measured.abs() <= LIMIT, "{estimate:?}");
        assert!(-LIMIT <= low && low <= estimate.ppm && estimate.ppm <= high && high <= LIMIT);
        assert!(estimate.sigma.is_finite() && estimate.sigma >= 0.0, "{estimate:?}");
        assert!(estimate.error > 0.0, "{estimate:?}");
        assert!((0.98..1.02).contains(&drift.ratio()));
    }
    let stats = drift.stats();
    assert_eq!(stats.taken + stats.ignored, given, "each observation counts or does not");
}
