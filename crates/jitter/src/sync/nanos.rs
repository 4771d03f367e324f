//! Times as signed nanoseconds: what differs is subtracted, and nothing overflows.

use std::time::{Duration, Instant};

use paceline_types::NtpTime;

/// Nanoseconds from `origin` to `at`.
pub(super) fn since(at: Instant, origin: Instant) -> i64 {
    span(at.saturating_duration_since(origin)) - span(origin.saturating_duration_since(at))
}

/// A span; more than 146 years are taken as that, so that two may be added.
pub(super) fn span(span: Duration) -> i64 {
    span.as_nanos().min(i64::MAX as u128 / 2) as i64
}

/// A span; nothing is shorter than none.
pub(super) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Nanoseconds from the end of the first NTP era (2036) to `time`.
///
/// Read as a signed number, an NTP timestamp runs from 1968 to 2104 without a wrap
/// (RFC 5905 §6 leaves the era to the reader).
pub(super) fn wallclock(time: NtpTime) -> i64 {
    let bits = i128::from(time.to_bits().cast_signed());
    saturated((bits * 1_000_000_000) >> 32)
}

/// What fits.
pub(super) fn saturated(nanos: i128) -> i64 {
    nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
