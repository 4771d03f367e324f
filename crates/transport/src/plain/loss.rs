//! A target out of the loss that reports tell of, where nothing tells more.

use std::time::{Duration, Instant};

use paceline_types::Bitrate;

use crate::rtp::RtpConfig;

/// The loss-based half of Google's congestion control (draft-ietf-rmcat-gcc-02 §6): it falls
/// by half of what was lost, and rises to the most where nothing is.
#[derive(Debug)]
pub(super) struct LossControl {
    target: u64,
    min: u64,
    max: u64,
    raised: Option<Instant>,
}

impl LossControl {
    pub(super) fn new(rates: &RtpConfig) -> Self {
        let (min, max) = rates.bounds();
        let [target, min, max] = [rates.first_target(), min, max].map(Bitrate::bps);
        Self { target, min, max, raised: None }
    }

    pub(super) const fn target(&self) -> Bitrate {
        Bitrate::from_bps(self.target)
    }

    /// Takes a report's share of 256 that was lost; a new target if it is another.
    pub(super) fn handle_report(&mut self, now: Instant, fraction_lost: u8) -> Option<Bitrate> {
        let (before, lost) = (self.target, u64::from(fraction_lost));
        if lost > HIGH_LOSS {
            // By half of what was lost.
            self.target -= self.target / 512 * lost;
            self.raised = Some(now);
        } else if lost < LOW_LOSS {
            let due = |raised| now.saturating_duration_since(raised) >= INTERVAL;
            if self.raised.is_none_or(due) {
                self.target = self.target.saturating_add(self.target / 100 * RISE);
                self.raised = Some(now);
            }
        }
        self.target = self.target.clamp(self.min, self.max);
        (self.target != before).then(|| self.target())
    }
}

/// Above a tenth the target falls, below a fiftieth it rises (the draft's §6), of 256.
const HIGH_LOSS: u64 = 26;
const LOW_LOSS: u64 = 5;

/// By so many hundredths it rises, as libwebrtc's loss-based controller does: tenfold in half
/// a minute.
const RISE: u64 = 8;

/// It rises once a second: reports may come oftener.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    fn control(start: Bitrate, min: Bitrate, max: Bitrate) -> LossControl {
        let rates = RtpConfig::default().start_bitrate(start).min_bitrate(min).max_bitrate(max);
        LossControl::new(&rates)
    }

    #[test]
    fn loss_lowers_the_target_to_its_least_and_its_absence_raises_it_to_the_most() {
        let (start, min) = (Bitrate::from_kbps(2_000), Bitrate::from_kbps(300));
        let mut control = control(start, min, Bitrate::from_kbps(2_100));
        let mut now = Instant::now();
        // The start is not the most.
        assert_eq!(control.handle_report(now, 0), Some(Bitrate::from_kbps(2_100)));
        control.target = 2_000_000;
        // A quarter is lost: an eighth less.
        assert_eq!(control.handle_report(now, 64), Some(Bitrate::from_bps(1_750_016)));
        assert_eq!(control.handle_report(now, 12), None);
        for _ in 0..100 {
            control.handle_report(now, 255);
        }
        assert_eq!(control.target, 300_000);
        now += INTERVAL;
        assert_eq!(control.handle_report(now, 0), Some(Bitrate::from_kbps(324)));
        assert_eq!(control.handle_report(now + INTERVAL / 2, 0), None);
        for _ in 0..100 {
            now += INTERVAL;
            control.handle_report(now, 0);
        }
        assert_eq!(control.target, 2_100_000);
    }

    #[test]
    fn a_start_out_of_bounds_is_brought_into_them() {
        let [low, high] = [100, 900].map(Bitrate::from_kbps);
        assert_eq!(control(Bitrate::from_kbps(1), low, high).target(), low);
        assert_eq!(control(Bitrate::from_kbps(1_000), low, high).target(), high);
        // Of two that cross, the least counts.
        assert_eq!(control(low, high, low).target(), high);
    }
}
