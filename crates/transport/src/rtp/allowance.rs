//! How much may be sent again.

use std::time::{Duration, Instant};

use paceline_types::Bitrate;

/// Bytes for what is sent again: as many as the target has, saved up for half a second at most.
///
/// A request of a few bytes asks for a megabyte, if the other end wants to; and a path that became
/// narrow drops what is then asked for, and would be given all of it once more.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    bytes: f64,
    /// When that was so.
    counted: Option<Instant>,
}

impl Allowance {
    /// Whether so many more bytes may go; they count then.
    pub(crate) fn take(&mut self, now: Instant, target: Bitrate, bytes: usize) -> bool {
        let rate = target.bps() as f64 / 8.0;
        let elapsed = self.counted.map_or(BURST, |at| now.saturating_duration_since(at));
        let saved = self.bytes + rate * elapsed.as_secs_f64();
        self.bytes = saved.min(rate * BURST.as_secs_f64());
        self.counted = self.counted.max(Some(now));
        let may_go = self.bytes >= bytes as f64;
        if may_go {
            self.bytes -= bytes as f64;
        }
        may_go
    }
}

/// What may go again at once, in time at the target's rate.
const BURST: Duration = Duration::from_millis(500);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_target_s_rate_saved_up_for_half_a_second() {
        let (mut allowance, begun) = (Allowance::default(), Instant::now());
        let target = Bitrate::from_kbps(800);
        let mut taken = |now: Instant, target| {
            (0..10_000).filter(|_| allowance.take(now, target, 1_000)).count()
        };
        // 100,000 bytes a second.
        assert_eq!(taken(begun, target), 50);
        assert_eq!(taken(begun, target), 0);
        assert_eq!(taken(begun + Duration::from_millis(100), target), 10);
        assert_eq!(taken(begun + Duration::from_secs(100), target), 50);
        // A clock that goes back gives nothing.
        assert_eq!(taken(begun, target), 0);
        assert_eq!(taken(begun + Duration::from_millis(100_010), target), 1);
        // Of what was saved no more is kept than the new target has.
        let later = begun + Duration::from_secs(200);
        assert_eq!(taken(later, Bitrate::from_kbps(80)), 5);
        assert_eq!(taken(later + Duration::from_secs(100), Bitrate::from_bps(0)), 0);
    }
}
