//! One stream of a group: where it would play, and where it is told to.

use super::map::ClockMap;
use super::timeline::Timeline;
use super::{Media, SyncConfig, nanos};

#[derive(Debug)]
pub(super) struct Stream<S, G> {
    pub(super) id: S,
    pub(super) group: G,
    pub(super) media: Media,
    pub(super) timeline: Timeline,
    pub(super) map: ClockMap,
    pub(super) presumed: Option<Presumed>,
    /// When its jitter buffer last told of a frame, whether or not its clock was known.
    pub(super) heard: Option<i64>,
    pub(super) place: Option<Place>,
    /// The part of its delay that its own jitter buffer asked for, and that has not gone back.
    pub(super) owned: i64,
    /// How much later than that it is played, on its way there.
    pub(super) excess: i64,
    /// It is too far from the rest of its group to be one of it.
    pub(super) apart: bool,
    pub(super) order: Order,
}

/// A step of the wallclock that another stream of the group has seen and this one not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presumed {
    pub(super) by: i64,
    /// On this stream's wallclock: a reading later than this that fits its line says that
    /// there was none.
    pub(super) since: i64,
}

/// Where its jitter buffer would play a stream by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// From capture, on the sender's wallclock, to playout, on ours. Only differences
    /// within a group mean anything.
    pub(super) lag: i64,
    /// The buffer's own delay, which is part of it.
    pub(super) own: i64,
    /// When this was told.
    pub(super) at: i64,
}

impl<S, G> Stream<S, G> {
    /// Where the sender's wallclock stood at `media`, were there no step that this stream
    /// has not seen.
    pub(super) fn wallclock(&self, media: i64) -> Option<i64> {
        let by = self.presumed.map_or(0, |presumed| presumed.by);
        Some(self.map.wallclock(media)?.saturating_add(by))
    }

    /// Its place, unless nothing has been heard of it for long.
    pub(super) fn live(&self, now: i64, config: &SyncConfig) -> Option<Place> {
        self.place.filter(|place| now - place.at < nanos::span(config.stale_after))
    }
}

/// The delay that is asked of a jitter buffer, on its way to where it should be.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// In effect where it is above the buffer's own delay.
    pub(super) delay: i64,
    /// How far the delay in effect is from where it should be.
    pub(super) error: i64,
    /// What was said of it last.
    pub(super) told: i64,
    /// At full rate, not at that of small corrections.
    pub(super) moving: bool,
    pub(super) synced: bool,
    /// The budget keeps it from its place.
    pub(super) limited: bool,
    /// There is no sound to be stretched.
    pub(super) quiet: bool,
    /// How many streams it is aligned with, itself included.
    pub(super) company: usize,
    /// When the first frame will be played; until then nothing is heard of a change.
    pub(super) starts: Option<i64>,
    /// When it moved last.
    pub(super) moved_at: i64,
    /// Whether it was moving then.
    moved: bool,
}

impl Order {
    /// Moves towards a playout that comes `behind` later than the buffer's own.
    pub(super) fn steer(
        &mut self,
        now: i64,
        place: Place,
        behind: i64,
        media: Media,
        config: &SyncConfig,
    ) {
        let budget = nanos::span(config.max_delay);
        let (enter, leave) = (nanos::span(config.enter), nanos::span(config.leave));
        self.limited = behind.saturating_sub(budget) > leave;
        let limit = place.own.saturating_add(budget);
        let wanted = place.own.saturating_add(behind.clamp(0, budget));
        let before = self.delay.clamp(place.own, limit);
        self.error = wanted - before;
        if self.error.saturating_abs() > leave {
            self.moving = true;
            self.synced = false;
        }
        if self.starts.is_some_and(|starts| starts <= now) {
            self.starts = None;
        }
        let unheard = media == Media::Video || self.quiet || self.starts.is_some();
        self.delay = before;
        if self.moving != self.moved {
            // At a new rate from now on.
            (self.moved, self.moved_at) = (self.moving, now);
        }
        let passed = now - self.moved_at;
        if self.moving && unheard {
            self.delay = wanted;
            self.moved_at = now;
        } else if passed >= MIN_PASSED {
            let rate = if self.moving { config.audio_rate } else { config.trim_rate };
            // Nor is time in which nobody asked a credit for a jump.
            let step = passed.min(MAX_PASSED) * i64::from(rate) / 1_000_000;
            self.delay += self.error.clamp(-step, step);
            self.moved_at = now;
        }
        if let Some(starts) = &mut self.starts {
            *starts = starts.saturating_add(self.delay - before);
        }
        self.error = wanted - self.delay;
        if self.error == 0 {
            self.moving = false;
        }
        if self.error.saturating_abs() <= enter {
            self.synced = true;
        }
    }

    /// What the jitter buffer is asked for, given its own delay.
    pub(super) fn min_playout_delay(&self, own: i64) -> i64 {
        if self.delay > own { self.delay } else { 0 }
    }

    /// What to say, if there is anything new.
    pub(super) fn poll(&mut self, own: i64) -> Option<i64> {
        let delay = self.min_playout_delay(own);
        let change = (delay - self.told).saturating_abs();
        if change == 0 || (change < MIN_CHANGE && self.error != 0) {
            return None;
        }
        self.told = delay;
        Some(delay)
    }
}

/// Rates are applied from a millisecond on: less would round to nothing.
const MIN_PASSED: i64 = 1_000_000;
const MAX_PASSED: i64 = 100_000_000;

/// Changes are told from a millisecond on, and when they are done.
const MIN_CHANGE: i64 = 1_000_000;
