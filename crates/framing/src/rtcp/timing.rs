//! The figures of a reception report, as what they mean.

use std::time::Duration;

use paceline_types::NtpTime;

use super::ReceptionReport;

/// The middle 32 bits of a sender report's NTP time: what a receiver puts into
/// `last_sender_report` (RFC 3550 §6.4.1).
///
/// ```
/// use paceline_framing::rtcp::last_sr;
/// use paceline_framing::types::NtpTime;
///
/// assert_eq!(last_sr(NtpTime::from_bits(0xb44d_b705_2000_0000)), 0xb705_2000);
/// ```
#[must_use]
pub const fn last_sr(sent: NtpTime) -> u32 {
    (sent.to_bits() >> 16 & 0xffff_ffff) as u32
}

/// How long a receiver held a sender report, in units of 1/65,536 s: what it puts into
/// `delay` (RFC 3550 §6.4.1). Rounds down; 18 hours are the most that it can say.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtcp::delay_since_last_sr;
///
/// assert_eq!(delay_since_last_sr(Duration::from_millis(5_250)), 0x0005_4000);
/// ```
#[must_use]
pub fn delay_since_last_sr(delay: Duration) -> u32 {
    let units = delay.as_nanos() * u128::from(UNITS_PER_SECOND) / NANOS_PER_SECOND;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The span that so many units of 1/65,536 s are, as in `delay` (RFC 3550 §6.4.1).
/// Rounds up to nanoseconds, so that [`delay_since_last_sr`] gives the units again.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtcp::delay_to_duration;
///
/// assert_eq!(delay_to_duration(0x0005_4000), Duration::from_millis(5_250));
/// ```
#[must_use]
pub const fn delay_to_duration(units: u32) -> Duration {
    let units = units as u64;
    let nanos = (units % UNITS_PER_SECOND * NANOS_PER_SECOND as u64).div_ceil(UNITS_PER_SECOND);
    Duration::new(units / UNITS_PER_SECOND, nanos as u32)
}

/// The round trip that a report of our stream tells, if it comes in at `now`
/// (RFC 3550 §6.4.1); none if its sender had no report of ours.
///
/// `now` is of the clock that our sender reports tell. The figures are the peer's: they
/// can be lies, up to 9 hours. What would be less than nothing, as rounding makes it on
/// a short path, is zero.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtcp::{ReceptionReport, round_trip};
/// use paceline_framing::types::NtpTime;
///
/// let report = ReceptionReport {
///     last_sender_report: 0xb705_2000,
///     delay: 0x0005_4000,
///     ..Default::default()
/// };
/// let now = NtpTime::from_bits(0xb44d_b710_8000_0000);
/// assert_eq!(round_trip(now, &report), Some(Duration::from_millis(6_125)));
/// ```
#[must_use]
pub const fn round_trip(now: NtpTime, report: &ReceptionReport) -> Option<Duration> {
    if report.last_sender_report == 0 {
        return None;
    }
    let since = last_sr(now).wrapping_sub(report.last_sender_report);
    let units = since as i64 - report.delay as i64;
    // A report from before our clock was set, or of a sender report yet to come.
    if units < 0 || since > i32::MAX as u32 {
        return Some(Duration::ZERO);
    }
    Some(delay_to_duration(units as u32))
}

/// Packets lost since the beginning, less those that came twice: the field is signed
/// (RFC 3550 §6.4.1), where the `rtcp` crate's `total_lost` is not.
///
/// ```
/// use paceline_framing::rtcp::{ReceptionReport, cumulative_lost};
///
/// let report = ReceptionReport { total_lost: 0x00ff_fffe, ..Default::default() };
/// assert_eq!(cumulative_lost(&report), -2);
/// ```
#[must_use]
pub const fn cumulative_lost(report: &ReceptionReport) -> i32 {
    (report.total_lost << 8).cast_signed() >> 8
}

/// What goes into `total_lost`; 24 bits, beyond which it stays at the last number
/// (RFC 3550 §6.4.1, A.3).
///
/// ```
/// use paceline_framing::rtcp::total_lost;
///
/// assert_eq!(total_lost(-2), 0x00ff_fffe);
/// assert_eq!(total_lost(i64::MAX), 0x007f_ffff);
/// ```
#[must_use]
pub fn total_lost(lost: i64) -> u32 {
    let lost = lost.clamp(-(1 << 23), (1 << 23) - 1);
    (lost & 0x00ff_ffff) as u32
}

/// RFC 3550 §6.4.1: the unit of `delay` is the lowest bit of `last_sender_report`.
const UNITS_PER_SECOND: u64 = 1 << 16;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
