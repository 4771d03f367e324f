//! What one stream of a group means for the others.

use std::fmt::Debug;
use std::ops::Range;

use tracing::debug;

use super::map::{Reading, Source};
use super::nanos;
use super::stream::Presumed;
use super::{Media, StreamSync};

impl<S: Copy + Debug + Ord, G: Copy + Debug + Ord> StreamSync<S, G> {
    /// The wallclock of a stream was read. If it stepped, its group is presumed to.
    pub(super) fn handle_reading(&mut self, at: usize, media: i64, wall: i64, source: Source) {
        let group = self.group_of(at);
        let max_offset = nanos::span(self.config.max_offset);
        let stream = &mut self.streams[at];
        let (by, since) = match stream.map.handle_reading(media, wall, source) {
            Reading::Outlier => {
                self.stats.outliers += 1;
                return;
            }
            Reading::Fits => {
                let Some(presumed) = stream.presumed else { return };
                if wall > presumed.since.saturating_add(STEP_MARGIN) {
                    // The clock of this stream did not step: that of the other did, alone.
                    stream.presumed = None;
                    if let Some(place) = &mut stream.place {
                        place.lag = place.lag.saturating_add(presumed.by);
                        if presumed.by.saturating_abs() > max_offset {
                            // It has to show its place anew before it counts.
                            place.at = LONG_AGO;
                        }
                    }
                }
                return;
            }
            Reading::Stepped { by, since } => (by, since),
        };
        self.stats.steps += 1;
        debug!(stream = ?stream.id, by, "the sender's clock stepped");
        let presumed = stream.presumed.take().map_or(0, |presumed| presumed.by);
        let rest = by.saturating_sub(presumed);
        if presumed != 0 && rest.saturating_abs() <= SAME_STEP {
            // The step that others saw: with their measure of it, nothing moves.
            stream.map.shift(presumed);
            return;
        }
        stream.map.shift(by);
        for (index, other) in self.streams[group.clone()].iter_mut().enumerate() {
            if let Some(place) = &mut other.place {
                place.lag = place.lag.saturating_sub(rest);
            }
            if group.start + index == at {
                continue;
            }
            let before = other.presumed.map_or(0, |presumed| presumed.by);
            let since = since.saturating_add(presumed).saturating_sub(before);
            other.presumed = Some(Presumed { by: before.saturating_add(rest), since });
        }
    }

    /// Gives every stream of a group its place at `now`.
    pub(super) fn align(&mut self, group: Range<usize>, now: i64) {
        let config = &self.config;
        let streams = &mut self.streams[group];
        let live = streams.iter().filter_map(|stream| stream.live(now, config));
        let (company, common) =
            live.fold((0, i64::MIN), |(n, lag), place| (n + 1, lag.max(place.lag)));
        let max_lead = nanos::span(config.max_lead);
        let mut pictures = common;
        let mut follow = false;
        for media in [Media::Audio, Media::Video] {
            for stream in streams.iter_mut().filter(|stream| stream.media == media) {
                let live = stream.live(now, config);
                // Pictures that may not lead wait for what is asked for, and for no more.
                let excess = if max_lead > 0 { stream.excess } else { 0 };
                let order = &mut stream.order;
                let Some(place) = live.or(stream.place) else { continue };
                if live.is_none() {
                    (order.company, order.moving) = (0, true);
                    order.steer(now, place, 0, media, config);
                    continue;
                }
                if order.company != company {
                    (order.company, order.moving) = (company, true);
                }
                match media {
                    Media::Audio => {
                        let behind = common.saturating_sub(place.lag);
                        order.steer(now, place, behind, media, config);
                        follow |= order.moving;
                        // Pictures stay with sound that is on its way back. If it is because
                        // it came late, and not for their sake that it waited, they are ahead
                        // of it by what is not noticed.
                        let delay = order.delay.max(place.own).saturating_add(excess);
                        stream.owned = place.own.max(stream.owned.min(order.delay));
                        let late = stream.owned.saturating_add(excess);
                        let lead = late.saturating_sub(COMFORT).clamp(0, max_lead);
                        let back = place.lag.saturating_add(delay - place.own - lead);
                        follow |= lead > 0;
                        pictures = pictures.max(back);
                    }
                    Media::Video => {
                        order.moving |= follow;
                        let behind = pictures.saturating_sub(place.lag);
                        order.steer(now, place, behind, media, config);
                    }
                }
            }
        }
    }
}

/// So long a delay disturbs no conversation (ITU-T G.114): pictures wait for sound that has
/// it, to the millisecond.
const COMFORT: i64 = 150_000_000;

/// Before every instant that is heard of.
const LONG_AGO: i64 = i64::MIN / 2;

/// A reading must be this much later than a step to say that there was none: more than
/// the noise of reports.
const STEP_MARGIN: i64 = 50_000_000;

/// Two streams have seen the same step if they differ by no more than the threshold
/// within which a reading is no outlier.
const SAME_STEP: i64 = 50_000_000;
