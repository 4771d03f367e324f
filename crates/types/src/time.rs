//! One type per notion of time, and the named conversions between them.

use std::num::NonZeroU32;
use std::ops::Add;
use std::time::{Duration, Instant};

/// Ticks of a media clock in a second.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Frequency(NonZeroU32);

impl Frequency {
    /// 48 kHz: sound (RFC 7587 §4.1).
    pub const AUDIO: Self = Self(NonZeroU32::new(48_000).expect("not zero"));
    /// 90 kHz: pictures (RFC 6184 §8.2.1).
    pub const VIDEO: Self = Self(NonZeroU32::new(90_000).expect("not zero"));

    /// A clock of `hz` ticks a second.
    #[must_use]
    pub const fn new(hz: NonZeroU32) -> Self {
        Self(hz)
    }

    /// Ticks in a second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0.get()
    }
}

/// A reading of a sender's sampling clock (the RTP timestamp of RFC 3550 §5.1),
/// extended so that it does not wrap.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MediaTime {
    ticks: u64,
    frequency: Frequency,
}

impl MediaTime {
    /// The reading `ticks` of a clock that runs at `frequency`.
    #[must_use]
    pub const fn new(ticks: u64, frequency: Frequency) -> Self {
        Self { ticks, frequency }
    }

    /// The reading in ticks.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.ticks
    }

    /// The clock's rate.
    #[must_use]
    pub const fn frequency(self) -> Frequency {
        self.frequency
    }

    /// How long after `earlier` this is; zero if it is not after.
    ///
    /// # Panics
    ///
    /// If the two clocks do not run at the same frequency.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        assert_eq!(self.frequency, earlier.frequency, "media times of one clock");
        ticks_to_duration(self.ticks.saturating_sub(earlier.ticks), self.frequency)
    }
}

impl Add<Duration> for MediaTime {
    type Output = Self;

    /// Rounds down to whole ticks.
    fn add(self, span: Duration) -> Self {
        let ticks = span.as_nanos() * u128::from(self.frequency.hz()) / 1_000_000_000;
        Self { ticks: self.ticks.saturating_add(ticks as u64), ..self }
    }
}

fn ticks_to_duration(ticks: u64, frequency: Frequency) -> Duration {
    let hz = u64::from(frequency.hz());
    let nanos = ticks % hz * 1_000_000_000 / hz;
    Duration::new(ticks / hz, nanos as u32)
}

/// Wallclock time as NTP has it: seconds since 1900 in 32.32 fixed point
/// (RFC 5905 §6).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NtpTime(u64);

impl NtpTime {
    /// Seconds from the NTP epoch to the Unix epoch (RFC 868).
    const UNIX_OFFSET: u64 = 2_208_988_800;

    /// The time as the wire has it.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The time for the wire.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The time that is `since_unix` after the Unix epoch.
    #[must_use]
    pub fn from_unix(since_unix: Duration) -> Self {
        Self(0) + since_unix + Duration::from_secs(Self::UNIX_OFFSET)
    }

    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let bits = self.0.saturating_sub(earlier.0);
        let nanos = ((bits & 0xffff_ffff) * 1_000_000_000 + (1 << 31)) >> 32;
        Duration::from_secs(bits >> 32) + Duration::from_nanos(nanos)
    }

    /// Microseconds from `other` to this, negative if `other` is later.
    #[must_use]
    pub fn micros_since(self, other: Self) -> i64 {
        let forward = self.saturating_since(other).as_micros() as i64;
        forward - other.saturating_since(self).as_micros() as i64
    }

    /// Milliseconds since the NTP epoch, as a clapper mark carries them.
    #[must_use]
    pub fn millis(self) -> u64 {
        (self.0 >> 32) * 1_000 + (((self.0 & 0xffff_ffff) * 1_000) >> 32)
    }
}

impl Add<Duration> for NtpTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let fraction = (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add(span.as_secs() << 32).wrapping_add(fraction))
    }
}

/// Where the monotonic clock and the wallclock touch: what a machine is given so
/// that it can stamp wallclock times without reading a clock.
///
/// Taken once, so a step of the system's clock does not tear a call.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    instant: Instant,
    ntp: NtpTime,
}

impl WallClock {
    /// At `instant` it was `ntp`.
    #[must_use]
    pub const fn new(instant: Instant, ntp: NtpTime) -> Self {
        Self { instant, ntp }
    }

    /// The wallclock time at `now`.
    #[must_use]
    pub fn at(&self, now: Instant) -> NtpTime {
        match now.checked_duration_since(self.instant) {
            Some(after) => self.ntp + after,
            None => {
                let before = NtpTime(0) + (self.instant - now);
                NtpTime(self.ntp.0.saturating_sub(before.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_survives_ntp_within_a_microsecond() {
        let start = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
        let span = Duration::new(3, 123_456_789);
        let back = (start + span).saturating_since(start);
        assert!(back.abs_diff(span) < Duration::from_micros(1), "{back:?}");
        assert_eq!(start.micros_since(start + Duration::from_millis(5)), -5_000);
    }

    #[test]
    fn an_hour_of_pictures_has_no_rounding_drift() {
        let start = MediaTime::new(7, Frequency::VIDEO);
        let hour = Duration::from_secs(3_600);
        assert_eq!((start + hour).saturating_since(start), hour);
    }
}
