//! A call of a jitter buffer and what came of it, free of any epoch.

use std::time::{Duration, Instant};

use paceline_types::{MediaTime, SeqNo};

use crate::{JitterBuffer, JitterStats, Output, Unit, Verdict};

/// A call that a [`Log`](crate::replay::Log) holds. Times are in nanoseconds since the
/// first call with a time; negative if `now` was before that one's.
///
/// ```
/// use paceline_jitter::replay::Call;
///
/// assert!(matches!(Call::Poll { at: -5 }, Call::Poll { at } if at < 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// [`JitterBuffer::insert`].
    Insert {
        /// When, in nanoseconds.
        at: i64,
        /// What, without its payload.
        unit: Unit<()>,
    },
    /// [`JitterBuffer::poll`].
    Poll {
        /// When, in nanoseconds.
        at: i64,
    },
    /// [`JitterBuffer::set_drift`], in parts in a million.
    SetDrift(f64),
    /// [`JitterBuffer::set_min_playout_delay`].
    SetMinPlayoutDelay(Duration),
    /// [`JitterBuffer::set_round_trip`].
    SetRoundTrip(Option<Duration>),
    /// [`JitterBuffer::stats`], at the end of each log.
    Stats,
}

/// What came of a [`Call`]. Times are in nanoseconds, as a call's.
///
/// ```
/// use paceline_jitter::{Verdict, replay::Outcome};
///
/// assert_ne!(Outcome::Verdict(Verdict::Queued), Outcome::Verdict(Verdict::Late(())));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing comes of it: the call was a setter.
    Done,
    /// [`Output::Empty`].
    Empty,
    /// [`Output::Lost`].
    Lost {
        /// The first of the lost.
        first: SeqNo,
        /// How many.
        count: u64,
    },
    /// [`Output::Play`].
    Play {
        /// Its place.
        seq: SeqNo,
        /// Its media time.
        time: MediaTime,
        /// Its marker.
        marker: bool,
        /// When it should be played, in nanoseconds.
        due: i64,
    },
    /// The statistics at the end of the log.
    Stats(JitterStats),
    /// What became of a unit that was put in.
    Verdict(Verdict<()>),
    /// [`Output::Wait`].
    Wait {
        /// Until when, in nanoseconds.
        due: i64,
    },
}

impl Call {
    /// Makes the call; `None` if `epoch` is so early or late that there is no
    /// [`Instant`] for its time.
    pub(super) fn apply(self, buffer: &mut JitterBuffer<()>, epoch: Instant) -> Option<Outcome> {
        match self {
            Self::Insert { at, unit } => {
                let verdict = buffer.insert(instant(epoch, at)?, unit);
                return Some(Outcome::of_verdict(&verdict));
            }
            Self::Poll { at } => {
                let output = buffer.poll(instant(epoch, at)?);
                return Some(Outcome::of_output(&output, epoch));
            }
            Self::SetDrift(ppm) => buffer.set_drift(ppm),
            Self::SetMinPlayoutDelay(delay) => buffer.set_min_playout_delay(delay),
            Self::SetRoundTrip(round_trip) => buffer.set_round_trip(round_trip),
            Self::Stats => return Some(Outcome::Stats(buffer.stats())),
        }
        Some(Outcome::Done)
    }
}

impl Outcome {
    pub(super) const fn of_verdict<T>(verdict: &Verdict<T>) -> Self {
        Self::Verdict(match verdict {
            Verdict::Duplicate(_) => Verdict::Duplicate(()),
            Verdict::Full(_) => Verdict::Full(()),
            Verdict::Late(_) => Verdict::Late(()),
            Verdict::Probation => Verdict::Probation,
            Verdict::Queued => Verdict::Queued,
        })
    }

    pub(super) fn of_output<T>(output: &Output<T>, epoch: Instant) -> Self {
        match *output {
            Output::Empty => Self::Empty,
            Output::Lost { first, count } => Self::Lost { first, count },
            Output::Play { seq, time, marker, due, .. } => {
                Self::Play { seq, time, marker, due: nanos(epoch, due) }
            }
            Output::Wait(due) => Self::Wait { due: nanos(epoch, due) },
        }
    }
}

/// Nanoseconds from `epoch` to `instant`; those that do not fit are clamped.
pub(super) fn nanos(epoch: Instant, instant: Instant) -> i64 {
    let clamped = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    match instant.checked_duration_since(epoch) {
        Some(after) => clamped(after),
        None => -clamped(epoch.saturating_duration_since(instant)),
    }
}

fn instant(epoch: Instant, nanos: i64) -> Option<Instant> {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { epoch.checked_sub(span) } else { epoch.checked_add(span) }
}
