//! The jitter buffer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use paceline_types::{MediaTime, SeqNo};
use tracing::debug;

use crate::JitterConfig;
use crate::transit::Transit;

/// What became of a frame given to [`JitterBuffer::handle_frame`]. What is not
/// queued is handed back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict<T> {
    /// A frame with its sequence number is already held.
    Duplicate(T),
    /// It, or a later frame, has been played or given up.
    Late(T),
    /// Its media time is nowhere near the stream's.
    Outlier(T),
    /// It will be played.
    Queued,
}

/// What a jitter buffer gives out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Output<T> {
    /// Frames that did not come in time. Each is told once.
    Lost {
        /// The first of them.
        first: SeqNo,
        /// How many.
        count: u64,
    },
    /// The next frame.
    Play {
        /// Its place.
        seq: SeqNo,
        /// When it should be played. Already past if it came late.
        due: Instant,
        /// What was put in.
        payload: T,
    },
}

/// Where a jitter buffer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Frames are held; none has been played.
    Buffering,
    /// Nothing has come yet.
    Empty,
    /// Frames are played as they fall due.
    Stable,
    /// The last frame has been played and the next has not come.
    Underrun,
}

/// Counts since the buffer was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JitterStats {
    /// Frames taken in. Not those refused.
    pub queued: u64,
    /// Frames given out.
    pub played: u64,
    /// Frames reported lost, and those a new start dropped. One that comes afterwards
    /// counts as late too.
    pub lost: u64,
    /// Frames refused because they came too late.
    pub late: u64,
    /// Frames refused because they had come before.
    pub duplicate: u64,
    /// Frames refused for their media time.
    pub outliers: u64,
    /// Times the buffer started anew because the stream jumped.
    pub resyncs: u64,
    /// Frames played before they were due because too many were held.
    pub early: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
    /// How long a frame as fast as the fastest waits now.
    pub delay: Duration,
}

/// Orders the frames of one stream and releases each when it is due.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_frame`](Self::handle_frame), [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`set_min_playout_delay`](Self::set_min_playout_delay) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// The delay follows the slowest frame of the last 10 s within the configured
/// bounds. It grows at once and shrinks by 5 % of the time that passes.
#[derive(Debug)]
pub struct JitterBuffer<T> {
    config: JitterConfig,
    frames: BTreeMap<SeqNo, (MediaTime, T)>,
    transit: Option<Transit>,
    /// The next sequence number to play.
    next: Option<SeqNo>,
    now: Option<Instant>,
    delay: Duration,
    min_playout_delay: Duration,
    outliers: u32,
    stats: JitterStats,
}

impl<T> JitterBuffer<T> {
    /// An empty buffer.
    #[must_use]
    pub fn new(config: JitterConfig) -> Self {
        Self {
            delay: config.min_delay,
            config,
            frames: BTreeMap::new(),
            transit: None,
            next: None,
            now: None,
            min_playout_delay: Duration::ZERO,
            outliers: 0,
            stats: JitterStats::default(),
        }
    }

    /// Takes in a frame that arrived at `now`, sampled at `time`.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        seq: SeqNo,
        time: MediaTime,
        payload: T,
    ) -> Verdict<T> {
        self.handle_timeout(now);
        let max_jump = self.config.max_jump;
        if let Some(transit) = &self.transit {
            let off = transit.relative(now, time) - transit.fastest();
            if off.unsigned_abs() > max_jump.as_nanos() as u64 {
                self.outliers += 1;
                if self.outliers < CONFIRM_JUMP {
                    self.stats.outliers += 1;
                    return Verdict::Outlier(payload);
                }
                debug!(%seq, "the stream jumped: starting anew");
                self.restart();
            }
        }
        self.outliers = 0;
        if self.next.is_some_and(|next| seq < next) {
            self.stats.late += 1;
            debug!(%seq, "frame is late");
            return Verdict::Late(payload);
        }
        let transit = self.transit.get_or_insert_with(|| Transit::new(now, time));
        transit.handle_frame(now, time);
        let wanted = transit.spread().clamp(self.config.min_delay, self.config.max_delay);
        self.delay = self.delay.max(wanted);
        if now.saturating_duration_since(self.due(time).unwrap_or(now)) > self.config.max_late {
            self.stats.late += 1;
            debug!(%seq, "frame is too late to play");
            return Verdict::Late(payload);
        }
        match self.frames.entry(seq) {
            Entry::Occupied(_) => {
                self.stats.duplicate += 1;
                Verdict::Duplicate(payload)
            }
            Entry::Vacant(slot) => {
                slot.insert((time, payload));
                self.stats.queued += 1;
                Verdict::Queued
            }
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let (Some(before), Some(transit)) = (self.now, &self.transit) {
            let wanted = transit.spread().clamp(self.config.min_delay, self.config.max_delay);
            let step = now.saturating_duration_since(before).mul_f64(SHRINK);
            self.delay = self.delay.saturating_sub(step).max(wanted);
        }
        self.now = self.now.max(Some(now));
    }

    /// Raises the playout delay above what the network needs, as lip sync asks.
    pub fn set_min_playout_delay(&mut self, delay: Duration) {
        self.min_playout_delay = delay;
    }

    /// Takes what is due, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<T>> {
        let (&seq, &(time, _)) = self.frames.first_key_value()?;
        let due = self.due(time)?;
        if due > self.now? {
            if self.frames.len() <= self.config.max_frames {
                return None;
            }
            self.stats.early += 1;
        }
        if let Some(first) = self.next.filter(|&next| next < seq) {
            let count = seq.get() - first.get();
            self.next = Some(seq);
            self.stats.lost += count;
            return Some(Output::Lost { first, count });
        }
        let (_, (_, payload)) = self.frames.pop_first()?;
        self.next = Some(seq.next());
        self.stats.played += 1;
        Some(Output::Play { seq, due, payload })
    }

    /// When the first held frame is due, if one is held.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (_, &(time, _)) = self.frames.first_key_value()?;
        self.due(time)
    }

    /// When a frame sampled at `time` is played by the network's need alone,
    /// without what lip sync adds; `None` before the first frame.
    #[must_use]
    pub fn playout_time(&self, time: MediaTime) -> Option<Instant> {
        Some(self.transit.as_ref()?.earliest(time) + self.delay)
    }

    /// How long it delays by itself, without what lip sync adds.
    #[must_use]
    pub const fn own_delay(&self) -> Duration {
        self.delay
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.transit, self.next, self.frames.is_empty()) {
            (None, ..) => State::Empty,
            (_, None, _) => State::Buffering,
            (_, _, true) => State::Underrun,
            _ => State::Stable,
        }
    }

    /// Counts since the buffer was made.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        JitterStats {
            jitter: self.transit.as_ref().map_or(Duration::ZERO, Transit::jitter),
            delay: self.delay.max(self.min_playout_delay),
            ..self.stats
        }
    }

    fn due(&self, time: MediaTime) -> Option<Instant> {
        let delay = self.delay.max(self.min_playout_delay);
        Some(self.transit.as_ref()?.earliest(time) + delay)
    }

    fn restart(&mut self) {
        self.stats.resyncs += 1;
        self.stats.lost += self.frames.len() as u64;
        self.frames.clear();
        self.transit = None;
        self.next = None;
        self.delay = self.config.min_delay;
    }
}

/// Outliers in a row after which a jump is believed (the two-in-a-row rule of RFC
/// 3550 A.1, with one more).
const CONFIRM_JUMP: u32 = 3;

/// The delay shrinks by at most 5 % of the time that passes: the largest change
/// of pace that playout can follow by stretching sound.
const SHRINK: f64 = 0.05;
