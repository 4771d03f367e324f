//! How long a publisher's program waits for viewers that are behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::PeerId;

/// Who has much waiting for him is waited for, but briefly, and not again before he has
/// kept up for a while: a burst goes as fast as the viewers take it, and one that is stuck
/// or slow costs the others no more than that once.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    viewers: BTreeMap<PeerId, Viewer>,
}

#[derive(Clone, Copy, Debug)]
enum Viewer {
    /// Much waits for him, since then.
    Behind { since: Instant },
    /// He has kept up since then, and was waited for in vain before.
    Suspect { since: Instant },
    /// Much waits for him again, before that was forgotten.
    Slow,
}

impl Patience {
    pub(crate) fn handle_congested(&mut self, now: Instant, viewer: PeerId) {
        let next = match self.viewers.get(&viewer) {
            Some(Viewer::Suspect { since }) if now < *since + PAROLE => Viewer::Slow,
            _ => Viewer::Behind { since: now },
        };
        self.viewers.insert(viewer, next);
    }

    pub(crate) fn handle_drained(&mut self, now: Instant, viewer: PeerId) {
        let in_vain = match self.viewers.remove(&viewer) {
            Some(Viewer::Behind { since }) => now >= since + PATIENCE,
            Some(Viewer::Suspect { .. } | Viewer::Slow) => true,
            None => false,
        };
        if in_vain {
            self.viewers.insert(viewer, Viewer::Suspect { since: now });
        }
    }

    pub(crate) fn handle_gone(&mut self, viewer: PeerId) {
        self.viewers.remove(&viewer);
    }

    /// Until when somebody is waited for, if anybody is.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        let waited = |viewer: &Viewer| match viewer {
            Viewer::Behind { since } => Some(*since + PATIENCE),
            Viewer::Suspect { .. } | Viewer::Slow => None,
        };
        self.viewers.values().filter_map(waited).filter(|&at| at > now).max()
    }
}

/// Half of what waits at the high watermark (128 KiB) goes in this time at 10 Mbit/s.
const PATIENCE: Duration = Duration::from_millis(50);

/// Once in 5 s is one message in a hundred late for the others.
const PAROLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    const ANN: PeerId = PeerId::from_bytes([1; 16]);
    const BEN: PeerId = PeerId::from_bytes([2; 16]);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn who_catches_up_in_time_is_waited_for_each_time() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for turn in 0..10 {
            let now = start + ms(100) * turn;
            patience.handle_congested(now, ANN);
            assert_eq!(patience.until(now), Some(now + PATIENCE));
            patience.handle_drained(now + ms(40), ANN);
            assert_eq!(patience.until(now + ms(40)), None);
        }
    }

    #[test]
    fn who_does_not_is_waited_for_once_in_five_seconds_at_most() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let mut waited = Duration::ZERO;
        for turn in 0..200 {
            let now = start + ms(100) * turn;
            patience.handle_congested(now, ANN);
            waited += patience.until(now).map_or(Duration::ZERO, |until| until - now);
            patience.handle_drained(now + ms(90), ANN);
        }
        assert_eq!(waited, PATIENCE, "he was behind every tenth of a second for twenty");
        let now = start + ms(25_000);
        patience.handle_congested(now, ANN);
        assert_eq!(patience.until(now), Some(now + PATIENCE));
    }

    #[test]
    fn who_is_stuck_or_gone_is_not_waited_for() {
        let start = Instant::now();
        let mut patience = Patience::default();
        patience.handle_congested(start, ANN);
        patience.handle_congested(start + ms(20), BEN);
        assert_eq!(patience.until(start + ms(30)), Some(start + ms(20) + PATIENCE));
        patience.handle_gone(BEN);
        assert_eq!(patience.until(start + ms(30)), Some(start + PATIENCE));
        assert_eq!(patience.until(start + PATIENCE), None);
    }
}
