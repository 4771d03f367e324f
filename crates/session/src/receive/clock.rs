//! How fast a sender's media clock runs.

use std::time::{Duration, Instant};

use paceline_drift::{DriftConfig, DriftEstimator};
use paceline_types::{PlayoutRate, SeqNo};

/// How fast the sender's media clock runs.
#[derive(Debug)]
pub(super) struct SenderClock {
    /// Kept apart: it is 4 KiB.
    pub(super) drift: Box<DriftEstimator>,
    /// The last frame that came in its turn, and when.
    last: Option<(SeqNo, Instant)>,
    /// What the buffer and lip sync were told last.
    pub(super) applied: Option<(f64, f64)>,
    /// What playout was told last.
    pub(super) told: PlayoutRate,
}

impl SenderClock {
    pub(super) fn new() -> Self {
        Self {
            drift: Box::new(DriftEstimator::new(DriftConfig::default())),
            last: None,
            applied: None,
            told: PlayoutRate::default(),
        }
    }

    /// The sender has started anew.
    pub(super) fn restart(&mut self) {
        self.last = None;
        self.drift.handle_discontinuity();
    }

    /// Whether a frame tells of the clock: not if it is out of order, or the first
    /// after a silence.
    pub(super) fn is_in_turn(&mut self, now: Instant, seq: SeqNo) -> bool {
        let last = self.last;
        if last.is_some_and(|(last, _)| seq <= last) {
            return false;
        }
        self.last = Some((seq, now));
        last.is_none_or(|(last, then)| {
            seq == last.next() && now.saturating_duration_since(then) < SILENCE
        })
    }
}

/// What comes after so long waited in the sender, or was not sent while nobody spoke.
const SILENCE: Duration = Duration::from_millis(200);
