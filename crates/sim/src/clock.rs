//! Virtual time: one instant to count from, and the wallclock that goes with it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use paceline_types::{NtpTime, WallClock};

/// What all virtual time is counted from: the same instant in the whole process.
///
/// An [`Instant`] cannot be made, only read; so the clock is read here, once, and
/// nothing depends on what it says.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "an Instant to count from; its value means nothing")]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// The wallclock of every node: the same, and exact. At the [`epoch`] it is the
/// first of January 2025, UTC.
#[must_use]
pub fn wall_clock() -> WallClock {
    WallClock::new(epoch(), NtpTime::from_unix(Duration::from_secs(NEW_YEAR_2025)))
}

/// 2025-01-01T00:00:00Z in Unix time. A round day, and nothing else about it.
const NEW_YEAR_2025: u64 = 1_735_689_600;
