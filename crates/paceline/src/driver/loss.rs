//! Whether sound of ours is lost on its way, by what its receivers report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_session::PathReport;
use paceline_types::{PeerId, StreamId};

/// Says whether sound has to be coded so that it survives loss: from the second frame on that
/// is lost within ten seconds, and as long as no half minute is without loss.
///
/// One frame now and then is made up well enough; to be ready for it costs all the others. To
/// and fro would be heard more than either: with each change an encoder begins anew.
#[derive(Debug, Default)]
pub(crate) struct SoundLoss {
    lost: BTreeMap<(PeerId, StreamId), u64>,
    next: Option<Instant>,
    latest: Option<Instant>,
    until: Option<Instant>,
}

impl SoundLoss {
    /// Whether it is time to look again: reports come once a second or so.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|at| at <= now)
    }

    /// What all who are there reported last. Says whether sound is lost.
    pub(super) fn handle_reports(
        &mut self,
        now: Instant,
        reports: &[(PeerId, StreamId, PathReport)],
    ) -> bool {
        self.next = now.checked_add(INTERVAL);
        let before = std::mem::take(&mut self.lost);
        let mut most = 0;
        for &(peer, stream, report) in reports {
            if matches!(stream, StreamId::AUDIO | StreamId::MIX_AUDIO) {
                let then = before.get(&(peer, stream)).copied().unwrap_or(0);
                // Who counts anew has lost nothing yet that is known of.
                most = most.max(report.lost.saturating_sub(then));
                self.lost.insert((peer, stream), report.lost);
            }
        }
        let is_on = self.until.is_some_and(|at| now < at);
        if most > 0 {
            let span = |at: Instant| now.saturating_duration_since(at);
            let is_second = most > 1 || self.latest.is_some_and(|at| span(at) <= TOGETHER);
            self.latest = Some(now);
            if is_on || is_second {
                self.until = now.checked_add(HOLD);
            }
        }
        self.until.is_some_and(|at| now < at)
    }
}

/// As often as it is looked at most: half of the interval of reports.
const INTERVAL: Duration = Duration::from_millis(500);

/// Two frames in so long are a loss of 0.4 %.
const TOGETHER: Duration = Duration::from_secs(10);

/// Ours: longer than losses of a radio link are apart.
const HOLD: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    struct Bench {
        start: Instant,
        loss: SoundLoss,
    }

    impl Bench {
        fn new() -> Self {
            Self { start: Instant::now(), loss: SoundLoss::default() }
        }

        /// What receivers have lost after so many seconds, of one stream.
        fn of(&mut self, at: u64, stream: StreamId, lost: &[u64]) -> bool {
            let report = |(n, &lost): (usize, &u64)| {
                let path = PathReport { lost, ..PathReport::default() };
                (PeerId::from_bytes([n as u8; 16]), stream, path)
            };
            let reports: Vec<_> = lost.iter().enumerate().map(report).collect();
            self.loss.handle_reports(self.start + Duration::from_secs(at), &reports)
        }

        fn at(&mut self, at: u64, lost: &[u64]) -> bool {
            self.of(at, StreamId::AUDIO, lost)
        }
    }

    #[test]
    fn the_second_loss_within_ten_seconds_counts_and_one_now_and_then_does_not() {
        let mut bench = Bench::new();
        for at in 0..20 {
            assert!(!bench.at(20 * at, &[0, at]), "one in 20 s");
        }
        assert!(!bench.at(400, &[1, 19]));
        assert!(bench.at(409, &[2, 19]));
        let mut bench = Bench::new();
        assert!(bench.at(0, &[0, 2]), "two at once");
    }

    #[test]
    fn it_lasts_until_nothing_was_lost_for_half_a_minute() {
        let mut bench = Bench::new();
        assert!(bench.at(0, &[2]));
        for at in (25..200).step_by(25) {
            assert!(bench.at(at, &[2 + at / 25]), "one in 25 s keeps it");
        }
        assert!(bench.at(204, &[9]));
        assert!(!bench.at(205, &[9]));
        assert!(!bench.at(230, &[10]));
    }

    #[test]
    fn who_comes_goes_or_counts_anew_has_lost_nothing_and_pictures_do_not_count() {
        let mut bench = Bench::new();
        assert!(!bench.of(0, StreamId::VIDEO, &[50]));
        assert!(!bench.of(1, StreamId::MIX_VIDEO, &[90]));
        assert!(!bench.at(20, &[1]));
        assert!(!bench.at(40, &[0]));
        assert!(!bench.at(60, &[]));
        assert!(bench.of(61, StreamId::MIX_AUDIO, &[0, 3]));
    }
}
