//! One stream that comes in: its jitter buffer, and what a change of host is to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_drift::Estimate;
use paceline_jitter::{JitterBuffer, JitterConfig, JitterStats, Media, Output};
use paceline_types::{
    EncodedFrame, Epoch, Frequency, NtpTime, PlayoutRate, SeqExtender, SeqNo, StreamKey,
};

use super::clock::SenderClock;
use super::{Clock, Due, ReceiveStats};
use crate::SessionConfig;

/// A frame that waits.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) frame: EncodedFrame,
    pub(super) epoch: Option<Epoch>,
    pub(super) arrival: Instant,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) extender: SeqExtender,
    pub(super) buffer: JitterBuffer<Queued>,
    /// What the host before left behind is played to its end first.
    draining: Option<JitterBuffer<Queued>>,
    /// The next frame goes on elsewhere, whatever its number is.
    pub(super) interrupted: bool,
    /// Second copies, of the other host of a handover; not more than [`MAX_OVERLAP`].
    pub(super) overlap: VecDeque<Queued>,
    /// The newest that a frame had.
    pub(super) epoch: Option<Epoch>,
    /// What lip sync knows it as.
    pub(super) synced: Clock,
    /// What lip sync asked for last.
    min_delay: Duration,
    /// The number played last.
    played: Option<SeqNo>,
    /// Somebody can go on only from a keyframe, and nobody was asked, for one waited.
    pub(super) counts_on_key: bool,
    overlapped: u64,
    restarts: u64,
    /// Counts of the buffers before, and what was lost when this host began, or the connection
    /// to him.
    before: JitterStats,
    pub(super) lost_before: u64,
    pub(super) clock: SenderClock,
    pub(super) frequency: Frequency,
    /// The newest frame, and how often the stream had jumped when it came.
    pub(super) newest: SeqNo,
    jumps: u64,
    pub(super) last_capture: NtpTime,
    /// There is a sender report that lip sync was not told of.
    pub(super) is_reported: bool,
    pub(super) bytes: u64,
    pub(super) frames: u64,
}

impl Stream {
    pub(super) fn new(
        config: &SessionConfig,
        media: Media,
        frequency: Frequency,
        (epoch, synced): (Option<Epoch>, Clock),
    ) -> Self {
        Self {
            extender: SeqExtender::new(),
            buffer: JitterBuffer::new(jitter_of(config, media)),
            draining: None,
            interrupted: false,
            overlap: VecDeque::new(),
            epoch,
            synced,
            min_delay: Duration::ZERO,
            played: None,
            counts_on_key: false,
            overlapped: 0,
            restarts: 0,
            before: JitterStats::default(),
            lost_before: 0,
            clock: SenderClock::new(),
            frequency,
            newest: SeqNo::default(),
            jumps: 0,
            last_capture: NtpTime::default(),
            is_reported: true,
            bytes: 0,
            frames: 0,
        }
    }

    pub(super) fn set_min_delay(&mut self, delay: Duration) {
        self.min_delay = delay;
        self.buffer.set_min_playout_delay(delay);
    }

    /// Takes note of the epoch of a frame of the mix.
    ///
    /// Who was handed the call goes on in its numbers, as his ballot follows the one
    /// before. Who was elected goes on some time after: his numbers and his clock are
    /// where he thinks they are, and to wait for what is missing is to wait for nobody.
    pub(super) fn handle_epoch(
        &mut self,
        config: &SessionConfig,
        media: Media,
        epoch: Option<Epoch>,
    ) {
        let is_newer = epoch > self.epoch;
        let follows = match (self.epoch, epoch) {
            (Some(old), Some(new)) if is_newer => {
                old.term() == new.term() && Some(new.ballot()) == old.ballot().checked_add(1)
            }
            _ => true,
        };
        if is_newer {
            self.epoch = epoch;
            self.clock.restart();
        }
        if !follows || std::mem::take(&mut self.interrupted) {
            self.restart(config, media);
        }
        if is_newer {
            self.lost_before = self.all_stats().lost;
        }
    }

    /// Goes on in a new buffer, with the delay that was found right.
    fn restart(&mut self, config: &SessionConfig, media: Media) {
        let delay = self.buffer.own_delay();
        let next = JitterBuffer::new(jitter_of(config, media).start_delay(delay));
        let buffer = std::mem::replace(&mut self.buffer, next);
        self.before = sum(self.before, buffer.stats());
        self.lost_before = self.before.lost;
        // It has counted what it holds as queued; of one that still drains, the rest goes.
        self.draining = Some(buffer);
        self.overlap.clear();
        self.played = None;
        self.interrupted = false;
        // Lip sync takes it for what it was told last.
        self.buffer.set_min_playout_delay(self.min_delay);
        self.jumps = 0;
        self.newest = SeqNo::default();
        self.clock.restart();
        self.restarts += 1;
    }

    /// A frame that is held already: by the other host of a handover, it is kept beside.
    pub(super) fn handle_second(&mut self, media: Media, second: Queued) {
        let seq = second.frame.seq;
        let is_due = self.played.is_none_or(|played| played < seq);
        let is_new = |held: &Queued| held.frame.seq != seq || held.epoch != second.epoch;
        if media == Media::Audio
            && second.epoch.is_some()
            && is_due
            && self.overlap.len() < MAX_OVERLAP
            && self.overlap.iter().all(is_new)
        {
            self.overlap.push_back(second);
        }
    }

    /// Takes what is due, what the host before left first.
    pub(super) fn poll_due(&mut self, now: Instant, key: StreamKey) -> Option<Due> {
        if let Some(draining) = &mut self.draining {
            match draining.poll(now) {
                Output::Play { payload, due, .. } => {
                    self.before.played += 1;
                    return Some(self.play(key, due, payload));
                }
                Output::Lost { count, .. } => {
                    self.before.lost += count;
                    // The host before lost it.
                    self.lost_before += count;
                    return Some(Due::Lost { stream: key, count });
                }
                Output::Wait(_) => return None,
                _ => self.draining = None,
            }
        }
        match self.buffer.poll(now) {
            Output::Play { payload, due, .. } => Some(self.play(key, due, payload)),
            Output::Lost { count, .. } => Some(Due::Lost { stream: key, count }),
            _ => None,
        }
    }

    /// Whether a keyframe waits to be played.
    pub(super) fn holds_key(&self) -> bool {
        let draining = self.draining.iter().flat_map(JitterBuffer::held);
        draining.chain(self.buffer.held()).any(|queued| queued.frame.coding.is_key())
    }

    fn play(&mut self, stream: StreamKey, due: Instant, first: Queued) -> Due {
        let seq = first.frame.seq;
        self.played = Some(seq);
        self.counts_on_key &= !first.frame.coding.is_key();
        let is_second = |it: &Queued| it.frame.seq == seq && it.epoch != first.epoch;
        let second = self.overlap.iter().position(is_second);
        let second = second.and_then(|index| self.overlap.remove(index));
        self.overlap.retain(|it| it.frame.seq > seq);
        let Some(second) = second else {
            let Queued { frame, epoch, arrival } = first;
            return Due::Play { stream, due, frame, epoch, arrival };
        };
        let (old, new) = if first.epoch < second.epoch { (first, second) } else { (second, first) };
        self.overlapped += 1;
        let epoch = new.epoch.unwrap_or_default();
        let arrival = new.arrival;
        Due::Crossfade { stream, due, arrival, old: old.frame, new: new.frame, epoch }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let draining = self.draining.as_ref().and_then(JitterBuffer::poll_timeout);
        draining.or_else(|| self.buffer.poll_timeout())
    }

    /// Of this buffer and those before.
    pub(super) fn all_stats(&self) -> JitterStats {
        sum(self.buffer.stats(), self.before)
    }

    /// Whether the stream has jumped since the last frame that was queued; `seq` is one.
    pub(super) fn has_jumped(&mut self, seq: SeqNo) -> bool {
        let jumps = self.buffer.stats().resyncs;
        let has = jumps != self.jumps;
        self.jumps = jumps;
        self.newest = if has { seq } else { self.newest.max(seq) };
        has
    }

    /// What playout is to be told, if it is something else than before.
    pub(super) fn poll_rate(&mut self) -> Option<PlayoutRate> {
        // What is less, the level of the queue tells in time.
        let pace = self.buffer.pace();
        let stretch = if pace.abs() < LEAST_STRETCH { 0.0 } else { pace };
        let rate = PlayoutRate { drift_ppm: self.clock.drift.estimate().ppm, stretch };
        let told = &mut self.clock.told;
        let is_news = (rate.drift_ppm - told.drift_ppm).abs() >= NEWS_PPM
            || (rate.stretch - told.stretch).abs() >= LEAST_STRETCH
            || (rate.stretch == 0.0) != (told.stretch == 0.0);
        is_news.then(|| {
            *told = rate;
            rate
        })
    }

    pub(super) fn stats(&self) -> ReceiveStats {
        let Estimate { ppm, sigma, observations, .. } = self.clock.drift.estimate();
        ReceiveStats {
            jitter: self.all_stats(),
            drift: (observations > 0).then_some((ppm, sigma)),
            bytes: self.bytes,
            frames: self.frames,
            overlapped: self.overlapped,
            restarts: self.restarts,
        }
    }
}

/// Pictures may move in time as they need to; sound only as it can be stretched.
fn jitter_of(config: &SessionConfig, media: Media) -> JitterConfig {
    match media {
        Media::Audio => config.jitter.clone(),
        Media::Video => config.jitter.clone().max_pace(1.0).talkspurts(false),
    }
}

/// The counts of both; where it stands is where `now` does.
fn sum(now: JitterStats, before: JitterStats) -> JitterStats {
    let mut sum = now;
    sum.queued += before.queued;
    sum.played += before.played;
    sum.lost += before.lost;
    sum.late += before.late;
    sum.duplicate += before.duplicate;
    sum.outliers += before.outliers;
    sum.resyncs += before.resyncs;
    sum.early += before.early;
    sum.full += before.full;
    sum.waited += before.waited;
    sum.max_delay = sum.max_delay.max(before.max_delay);
    sum
}

/// Ten times less than what moves the level of a queue by a sample in a second.
const NEWS_PPM: f64 = 2.0;

/// A fifth of the largest change of pace.
const LEAST_STRETCH: f64 = 0.01;

/// 160 ms of sound: four times what both hosts of a handover send.
pub(super) const MAX_OVERLAP: usize = 8;
