//! What a jitter buffer takes and gives.

use std::time::{Duration, Instant};

use paceline_types::{MediaTime, SeqNo};

/// What is put in order: an RTP packet, a frame of a data channel, or anything
/// else with a number, a media time and a marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Unit<T> {
    /// Its place: +1 for each unit.
    pub seq: SeqNo,
    /// When it was sampled. Several units may share one.
    pub time: MediaTime,
    /// The marker bit of RTP (RFC 3550 §5.1).
    pub marker: bool,
    /// It was asked for again: it says nothing about the network's delay, only
    /// about what waiting for such ones is worth.
    pub retransmitted: bool,
    /// What is handed on.
    pub payload: T,
}

impl<T> Unit<T> {
    /// One without a marker, as it came at first.
    pub const fn new(seq: SeqNo, time: MediaTime, payload: T) -> Self {
        Self { seq, time, marker: false, retransmitted: false, payload }
    }
}

/// What became of a unit given to [`JitterBuffer::insert`](crate::JitterBuffer::insert).
/// What is not kept is handed back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict<T> {
    /// One with its sequence number is already held.
    Duplicate(T),
    /// There is no place for it: more is held than
    /// [`capacity`](crate::JitterConfig::capacity) and nothing was taken since.
    Full(T),
    /// It, or a later one, has been played or given up, or it came too late to be
    /// played.
    Late(T),
    /// Its number or its time is nowhere near the stream's. It is kept: if the
    /// next one continues it the stream has jumped and both are played, if there is
    /// room and time, else it is dropped.
    Probation,
    /// It will be played.
    Queued,
}

/// What a jitter buffer gives out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Output<T> {
    /// Nothing is held.
    Empty,
    /// Units that did not come in time. Each is told once, just before the first
    /// one after them is played.
    Lost {
        /// The first of them.
        first: SeqNo,
        /// How many.
        count: u64,
    },
    /// The next unit.
    Play {
        /// Its place.
        seq: SeqNo,
        /// Its media time.
        time: MediaTime,
        /// Its marker.
        marker: bool,
        /// When it should be played. In the past if the caller is late.
        due: Instant,
        /// What was put in.
        payload: T,
    },
    /// Nothing is due before this.
    Wait(Instant),
}

/// Where a jitter buffer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Units are held; none has been played.
    Buffering,
    /// Nothing has come yet.
    Empty,
    /// Units are played as they fall due.
    Stable,
    /// The last unit has been played and the next has not come.
    Underrun,
}

/// Counts since the buffer was made, and where it is now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct JitterStats {
    /// Units taken in. Not those refused.
    pub queued: u64,
    /// Units given out.
    pub played: u64,
    /// Units reported lost. One that comes afterwards counts as late too.
    pub lost: u64,
    /// Units refused because they came too late.
    pub late: u64,
    /// Units refused because they had come before.
    pub duplicate: u64,
    /// Units dropped because their number or time was nowhere near the stream's and
    /// the next one did not confirm it.
    pub outliers: u64,
    /// Times the stream jumped.
    pub resyncs: u64,
    /// Units played before they were due because too many were held.
    pub early: u64,
    /// Units refused because too many were held.
    pub full: u64,
    /// Time in which nothing was played because the next unit was late: by so much
    /// the delay grew at once.
    pub waited: Duration,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
    /// How long a unit as fast as the fastest waits now.
    pub delay: Duration,
    /// Where [`delay`](Self::delay) is going.
    pub target: Duration,
    /// The longest that it has been.
    pub max_delay: Duration,
}
