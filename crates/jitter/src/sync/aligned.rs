//! What an aligner takes and gives.

use std::time::{Duration, Instant};

use paceline_types::{NtpTime, WallClock};

/// How long an aligner waits, and how much it holds.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_jitter::AlignerConfig;
///
/// let config = AlignerConfig::default().deadline(Duration::from_millis(40));
/// ```
#[derive(Clone, Debug)]
pub struct AlignerConfig {
    pub(super) deadline: Duration,
    pub(super) max_ahead: Duration,
    pub(super) max_frames: usize,
    pub(super) max_streams: usize,
    pub(super) overflow: Overflow,
    pub(super) stall_after: Duration,
    pub(super) wallclock: Option<(WallClock, Duration)>,
}

impl AlignerConfig {
    /// How long after its time a set waits for streams that are missing. Defaults to
    /// 100 ms.
    ///
    /// A set that nothing is missing from does not wait. Longer, and one slow peer delays
    /// all; shorter, and what is late is left out.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How far ahead of now a frame may be. Defaults to 500 ms.
    ///
    /// One further ahead is handed back, so that a clock that is wrong fills no queue.
    /// Nor are the streams of a peer moved further for each other.
    #[must_use]
    pub const fn max_ahead(mut self, ahead: Duration) -> Self {
        self.max_ahead = ahead;
        self
    }

    /// Frames held for each stream. Defaults to 32: half a second of sound in packets of
    /// 20 ms, and a deadline besides. At least one.
    ///
    /// Over it [`overflow`](Self::overflow) decides. Room for them is taken when a stream
    /// is added.
    #[must_use]
    pub const fn max_frames(mut self, frames: usize) -> Self {
        self.max_frames = frames;
        self
    }

    /// Streams known at a time. Defaults to 64. One more is refused.
    #[must_use]
    pub const fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams;
        self
    }

    /// What gives way when a stream's queue is full. Defaults to the oldest frame.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How far behind a stream may be and still be waited for. Defaults to 250 ms.
    ///
    /// Until then each set is late by the deadline at most; afterwards none is, and the
    /// stream counts again with its next frame.
    #[must_use]
    pub const fn stall_after(mut self, after: Duration) -> Self {
        self.stall_after = after;
        self
    }

    /// The clocks of all peers are synchronised with `clock`: frames are aligned by their
    /// capture, `latency` later. Defaults to not so: frames are aligned by when they
    /// are played.
    ///
    /// `latency` must cover the slowest path and its jitter buffer, or frames are late.
    #[must_use]
    pub const fn wallclock(mut self, clock: WallClock, latency: Duration) -> Self {
        self.wallclock = Some((clock, latency));
        self
    }
}

impl Default for AlignerConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(100),
            max_ahead: Duration::from_millis(500),
            max_frames: 32,
            max_streams: 64,
            overflow: Overflow::DropOldest,
            stall_after: Duration::from_millis(250),
            wallclock: None,
        }
    }
}

/// When there is a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cadence<S> {
    /// One in each such span, from the first frame on. At least a millisecond.
    Every(Duration),
    /// One for each frame of this stream.
    Stream(S),
}

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// The oldest frame is dropped, and counted.
    DropOldest,
    /// The new frame is handed back, and counted.
    RefuseNewest,
}

/// Which frames of a stream go into a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Take {
    /// All since the last set, in order: sound.
    All,
    /// The newest, or again the one before if there is none: pictures.
    Newest,
}

/// When a frame was captured, and when it is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "two times that are handed over")]
pub struct Stamp {
    /// On the sender's wallclock.
    pub capture: NtpTime,
    /// As its jitter buffer says, with what lip sync asked for.
    pub due: Instant,
}

/// What became of a frame. What is not queued is handed back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum AlignVerdict<T> {
    /// It is too far ahead of now.
    Ahead(T),
    /// The queue of its stream is full.
    Full(T),
    /// The set that it belongs to is out.
    Late(T),
    /// It will be in a set.
    Queued,
    /// There is no such stream.
    Unknown(T),
}

/// What a set has of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Slot<T> {
    /// A frame that no set had before.
    Fresh {
        /// When it is played. Not after the set.
        at: Instant,
        /// What was put in.
        payload: T,
    },
    /// The frame of the set before: nothing newer is there.
    Held {
        /// When it was played: how old it is.
        at: Instant,
        /// What was put in.
        payload: T,
    },
    /// Nothing.
    Missing,
}

/// A stream's part of a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Part<S, T> {
    /// Whose.
    pub stream: S,
    /// What there is.
    pub slot: Slot<T>,
}

/// What belongs together. Kept by the caller and filled again and again, so that
/// nothing is allocated.
///
/// ```
/// use paceline_jitter::AlignedSet;
///
/// let set = AlignedSet::<&str, u32>::new();
/// assert!(set.at.is_none() && set.parts.is_empty());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AlignedSet<S, T> {
    /// The time of the set; `None` before it was filled.
    pub at: Option<Instant>,
    /// Ordered by stream. Of a stream with [`Take::All`] there may be several.
    pub parts: Vec<Part<S, T>>,
}

impl<S, T> AlignedSet<S, T> {
    /// One that is not filled yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { at: None, parts: Vec::new() }
    }
}

impl<S, T> Default for AlignedSet<S, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts since the aligner was made. Streams that left are still counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AlignerStats {
    /// Frames handed back for being too far ahead.
    pub ahead: u64,
    /// Sets that went out because of the deadline.
    pub forced: u64,
    /// Parts that were fresh.
    pub fresh: u64,
    /// Parts that were held over.
    pub held: u64,
    /// Frames handed back for being late.
    pub late: u64,
    /// Parts in which there was nothing.
    pub missing: u64,
    /// Frames dropped, or handed back, because a queue was full.
    pub overflow: u64,
    /// Sets that went out.
    pub sets: u64,
    /// Frames left out because a newer one was there.
    pub skipped: u64,
    /// Sets left out because no stream had anything for them.
    pub skipped_sets: u64,
}
