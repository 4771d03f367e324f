//! The bitrate: what the path takes, and less while too much waits.

use std::time::{Duration, Instant};

use paceline_types::Bitrate;

use super::LadderConfig;

#[derive(Debug)]
pub(super) struct QueueLimit {
    target: u64,
    limit: Option<Limit>,
    /// How long what waits takes, as last said.
    delay: Duration,
}

/// Of a bitrate that was cut.
#[derive(Clone, Copy, Debug)]
struct Limit {
    bps: u64,
    /// When it was cut, or raised again.
    since: Instant,
    /// Since when little waits, while it does.
    calm: Instant,
}

impl QueueLimit {
    pub(super) fn new(target: Bitrate) -> Self {
        Self { target: target.bps(), limit: None, delay: Duration::ZERO }
    }

    pub(super) fn bitrate(&self) -> Bitrate {
        Bitrate::from_bps(self.limit.map_or(self.target, |limit| limit.bps.min(self.target)))
    }

    pub(super) fn is_limiting(&self) -> bool {
        self.limit.is_some()
    }

    pub(super) fn handle_target(&mut self, target: Bitrate) {
        self.target = target.bps();
        // The session has seen it too.
        self.limit = self.limit.filter(|limit| limit.bps < self.target);
    }

    /// Returns whether the bitrate is cut.
    pub(super) fn handle_delay(
        &mut self,
        now: Instant,
        delay: Duration,
        config: &LadderConfig,
    ) -> bool {
        let calm = self.is_calm(config);
        self.delay = delay;
        if let Some(limit) = &mut self.limit
            && !(calm && delay < config.max_queue / 2)
        {
            limit.calm = now;
        }
        self.handle_timeout(now, config);
        let recent = self
            .limit
            .is_some_and(|limit| now.saturating_duration_since(limit.since) < BETWEEN_CUTS);
        let low = self.bitrate() <= config.min_bitrate;
        if delay < config.max_queue || recent || low {
            return false;
        }
        let bps = (self.bitrate().bps() as f64 * config.queue_cut) as u64;
        self.limit = Some(Limit { bps: bps.max(config.min_bitrate.bps()), since: now, calm: now });
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, config: &LadderConfig) {
        if self.poll_timeout(config).is_none_or(|due| due > now) {
            return;
        }
        let target = self.target;
        self.limit = self.limit.and_then(|limit| {
            let bps = limit.bps.saturating_add((target / RAISES).max(1));
            (bps < target).then_some(Limit { bps, since: now, ..limit })
        });
    }

    pub(super) fn poll_timeout(&self, config: &LadderConfig) -> Option<Instant> {
        let limit = self.limit.filter(|_| self.is_calm(config))?;
        limit.since.max(limit.calm).checked_add(config.queue_recovery)
    }

    fn is_calm(&self, config: &LadderConfig) -> bool {
        self.delay < config.max_queue / 2
    }
}

/// What was encoded before a cut has to go out first: half the time in which a queue at its
/// limit, filled at the rate it was cut to, drains.
const BETWEEN_CUTS: Duration = Duration::from_millis(500);
/// In how many raises a bitrate would come back from nothing (OBS: a tenth each time).
const RAISES: u64 = 10;
