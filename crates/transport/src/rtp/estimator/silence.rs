//! What silence says of the path, and what a pause does not.

use std::time::{Duration, Instant};

use super::MAX_STEP;
use crate::rtp::unanswered::Unanswered;

/// How long is too long without a report of what was sent.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// What was sent of late, if whoever sends notes it.
    unanswered: Option<Unanswered>,
    /// How long what is sent waits for a report to be made, as a rule.
    interval: Option<Duration>,
    watch: Option<Watch>,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    at: Instant,
    wait: Duration,
    halved: u32,
    before: f64,
}

impl Silence {
    pub(super) fn heed(&mut self, unanswered: Unanswered) {
        self.unanswered = Some(unanswered);
    }

    /// Whether a report was lost before one that came so long after the last and told of what
    /// had waited for it so long.
    pub(super) fn is_one_missing(&mut self, passed: Option<Duration>, waited: Duration) -> bool {
        // After a pause, reports lie as far apart as what they tell of.
        let interval = passed.map_or(waited, |passed| passed.min(waited)).min(MAX_INTERVAL);
        let Some(usual) = self.interval else {
            self.interval = Some(interval).filter(|interval| !interval.is_zero());
            return false;
        };
        let weight = if interval < usual { 2 } else { 32 };
        self.interval = Some(usual * (weight - 1) / weight + interval / weight);
        interval > usual * 3 / 2
    }

    /// A report came, of something that had left so long ago. Returns the target before the
    /// silence that it ends, if there was one.
    pub(super) fn end(&mut self, now: Instant, took: Duration, target: f64) -> Option<f64> {
        let ended = self.watch.filter(|watch| watch.halved > 0).map(|watch| watch.before);
        let reports = self.interval.map_or(SILENCE, |interval| SILENCE.max(3 * interval));
        let wait = reports + 2 * took.min(MAX_ROUND_TRIP);
        self.watch = Some(Watch { at: now + wait, wait, halved: 0, before: target });
        self.try_anew(wait);
        ended
    }

    /// Whether whoever sends has noted that packets take another path now.
    pub(super) fn is_of_another_path(&self) -> bool {
        self.unanswered.as_ref().is_some_and(Unanswered::take_path)
    }

    /// The last report says nothing of what comes.
    pub(super) fn put_off(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.at = now + watch.wait;
            let wait = watch.wait;
            self.try_anew(wait);
        }
    }

    /// Whether the target, or the one that it is on its way back to, is to be halved.
    pub(super) fn handle_timeout(&mut self, now: Instant, target: f64) -> bool {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return false;
        }
        let Some(watch) = &mut self.watch else { return false };
        if watch.halved == 0 {
            // The last report may have cut it since the deadline was set.
            watch.before = target;
        }
        watch.halved += 1;
        watch.wait *= 2;
        watch.at = now + watch.wait;
        let wait = watch.wait;
        self.try_anew(wait);
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let watch = self.watch.filter(|watch| watch.halved < MAX_HALVED)?;
        let Some(unanswered) = &self.unanswered else { return Some(watch.at) };
        let (first, again) = unanswered.since()?;
        // As long after what began it: there was a pause before.
        Some(watch.at.max(first + watch.wait).max(again + watch.wait / 2))
    }

    #[cfg(test)]
    pub(super) fn before(&self) -> Option<f64> {
        self.watch.map(|watch| watch.before)
    }

    fn try_anew(&self, wait: Duration) {
        if let Some(unanswered) = &self.unanswered {
            unanswered.clear(wait / 2);
        }
    }
}

/// Without a report of what was sent for so long the target is halved, then after twice that:
/// ten reports of 50 ms, and five where they come each 100 ms, as mediasoup's, so that one lost
/// report or two is no silence. Where they come more seldom it is three of them.
pub(super) const SILENCE: Duration = Duration::from_millis(500);

/// And so many times: an eighth goes on while it is not known whether there is a path. When
/// reports come again it grows back to where it was.
const MAX_HALVED: u32 = 3;

/// Reports are not expected to lie further apart: eight times [`MAX_STEP`], which is what
/// libwebrtc allows at most (remote_estimator_proxy.cc: 250 ms).
const MAX_INTERVAL: Duration = MAX_STEP.saturating_mul(8);

/// What was sent is forgotten after so long, and no report of it is heeded (rtc-interceptor,
/// `DEFAULT_PRUNE_HORIZON`): a longer round trip is never seen.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(2);
