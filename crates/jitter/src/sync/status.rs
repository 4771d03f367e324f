//! What lip sync says of itself.

use std::time::{Duration, Instant};

use paceline_types::MediaTime;

/// Which of the two kinds a stream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to hear or see")]
pub enum Media {
    /// The sound. It is moved slowly, as a change of pace is heard.
    Audio,
    /// The picture. It is moved at once: a frame is held, or skipped.
    Video,
}

/// What the jitter buffer of a stream wants by itself, without lip sync.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_jitter::Playout;
/// use paceline_jitter::types::{Frequency, MediaTime};
///
/// let (arrival, delay) = (Instant::now(), Duration::from_millis(50));
/// let time = MediaTime::new(960, Frequency::AUDIO);
/// let playout = Playout { time, due: arrival + delay, delay };
/// assert_eq!(playout.due - playout.delay, arrival);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "three numbers that are handed over")]
pub struct Playout {
    /// The frame. Its low 32 bits are the RTP timestamp, where there is one.
    pub time: MediaTime,
    /// When the buffer would play it by its own delay.
    pub due: Instant,
    /// How long that delay is.
    pub delay: Duration,
}

/// What lip sync asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SyncOutput<S> {
    /// The jitter buffer of a stream is to delay at least so long.
    MinPlayoutDelay {
        /// Whose.
        stream: S,
        /// How long. Zero if its own delay is enough.
        delay: Duration,
    },
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SyncState {
    /// No other stream of its group is there to be aligned with.
    Alone,
    /// It is too far from the others: it is not moved, or not as far as needed.
    Apart,
    /// It is on its way.
    Moving,
    /// Nothing has been heard of it for a while.
    Stale,
    /// It is where it should be.
    Synced,
    /// Its clock is not known, or no frame has come.
    Unknown,
}

/// One stream, as lip sync sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SyncStatus {
    /// Where it stands.
    pub state: SyncState,
    /// What its jitter buffer must delay at least; zero if its own delay is enough.
    pub min_playout_delay: Duration,
    /// How far it has to be moved yet, in nanoseconds; positive if it is early. Not what
    /// the budget withholds.
    pub error: i64,
    /// By how many parts per billion the sender's wallclock runs faster than the media
    /// clock, as far as known.
    pub slope: i64,
    /// By how much a reading of the wallclock is off, as a rule.
    pub noise: Duration,
    /// How many readings that rests on, after averaging. At most 32.
    pub readings: usize,
}

/// Counts since the machine was made. Streams that left are still counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SyncStats {
    /// Capture times taken in, outliers included.
    pub captures: u64,
    /// Readings of a wallclock that were ignored, those that a step was
    /// proved by included.
    pub outliers: u64,
    /// Playouts taken in. Not those of streams that are apart.
    pub playouts: u64,
    /// Inputs for a stream that is not known, or with a media time of another clock.
    pub refused: u64,
    /// Sender reports taken in, outliers included.
    pub reports: u64,
    /// Steps of a stream's wallclock, or of its media clock.
    pub steps: u64,
}
