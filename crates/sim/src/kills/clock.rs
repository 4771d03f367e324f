//! A clock of one's own, which goes a little too fast or too slow.

use std::time::{Duration, Instant};

use crate::epoch;

/// What one machine's clock shows at a time of the room.
///
/// Each begins somewhere else, so that an instant of one machine means nothing to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset: Duration,
    /// Its seconds in a million of the room's.
    speed: u64,
}

impl Clock {
    /// A clock that showed `offset` when the room was opened and is `ppm` fast.
    pub(super) fn new(offset: Duration, ppm: i32) -> Self {
        let speed = MILLION.saturating_add_signed(ppm.into());
        Self { offset, speed }
    }

    /// What it shows.
    pub(super) fn at(self, time: Duration) -> Instant {
        epoch() + self.offset + self.shown(time)
    }

    /// The first time at which it shows `instant`, or has.
    pub(super) fn when(self, instant: Instant) -> Duration {
        let shown = instant.saturating_duration_since(epoch() + self.offset).as_nanos() as u64;
        let mut time = Duration::from_nanos(shown * MILLION / self.speed);
        while self.shown(time) < Duration::from_nanos(shown) {
            time += Duration::from_nanos(1);
        }
        time
    }

    fn shown(self, time: Duration) -> Duration {
        // A room is open for minutes: 2⁴⁰ ns are 18 of them.
        Duration::from_nanos(time.as_nanos() as u64 * self.speed / MILLION)
    }
}

const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_as_soon_as_the_clock_shows_it_and_not_before() {
        for ppm in [-500, -1, 0, 1, 499, 500] {
            let clock = Clock::new(Duration::from_secs(1_000), ppm);
            for nanos in (0..60_000_000_000).step_by(777_777_777) {
                let instant = epoch() + Duration::from_secs(1_000) + Duration::from_nanos(nanos);
                let time = clock.when(instant);
                assert!(clock.at(time) >= instant, "{ppm} ppm at {nanos}");
                let before = time.saturating_sub(Duration::from_nanos(2));
                assert!(nanos == 0 || clock.at(before) < instant, "{ppm} ppm at {nanos}");
            }
        }
    }

    #[test]
    fn a_fast_clock_gains_what_it_is_said_to() {
        let clock = Clock::new(Duration::ZERO, 500);
        let shown = clock.at(Duration::from_secs(10)) - epoch();
        assert_eq!(shown, Duration::from_millis(10_005));
    }
}
