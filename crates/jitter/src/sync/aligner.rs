//! Frames of several peers that belong to one moment.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use paceline_types::{SenderId, StreamKey};

use super::aligned::{
    AlignVerdict, AlignedSet, AlignerConfig, AlignerStats, Cadence, Overflow, Stamp, Take,
};
use super::lane::{Lane, instant};
use super::nanos;

/// Gathers what several peers captured, stream by stream, into sets that belong to one
/// moment: for a mixer, a recorder, or whatever looks at all pictures at once.
///
/// ```text
///                     a set each 33 ms:    T₀        T₁        T₂        T₃
///  alice's picture    ────●─────────●──────┼●────────●┼────────●┼─────────┼──▶
///  alice's sound      ──●────●────●────●───┼●────●────●────●────●────●────●──▶
///  bob's picture      ───────●─────────●───┼────╳     ┼         ┼  (stalled)
///                                          │          │         │
///                      all are there: at once         │         at once: bob is not
///                                    bob is waited for, a       waited for any more,
///                                    deadline at most           his picture is held
/// ```
///
/// Behind jitter buffers and [`StreamSync`](super::StreamSync): a frame comes with the
/// instant at which it is played, and with its capture. Frames played at one instant
/// belong together, whatever their senders' clocks say; those of one peer are aligned
/// among themselves by capture, to the instant of the latest of his streams. With
/// [`AlignerConfig::wallclock`], capture times alone decide.
///
/// A set goes out at its time if each stream that runs has what the set needs, and else
/// as soon as it has, or when the deadline is over. A stream has what a set needs if its
/// newest frame covers the time of the set, or is after it.
///
/// | group | calls |
/// |---|---|
/// | members | [`add_stream`](Self::add_stream), [`remove_stream`](Self::remove_stream) |
/// | input | [`handle_frame`](Self::handle_frame), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_aligned`](Self::poll_aligned), until false |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_jitter::types::NtpTime;
/// use paceline_jitter::{
///     AlignVerdict, AlignedSet, Aligner, AlignerConfig, Cadence, Slot, Stamp, Take,
/// };
///
/// let (start, ms) = (Instant::now(), Duration::from_millis);
/// let mut aligner = Aligner::new(AlignerConfig::default(), Cadence::Every(ms(40)));
/// aligner.add_stream("alice", 1, Take::Newest, ms(40));
/// aligner.add_stream("bob", 2, Take::Newest, ms(40));
///
/// // Their clocks have nothing in common; when their frames are played has.
/// let (his, hers) = (NtpTime::from_unix(ms(5)), NtpTime::from_unix(ms(777_000)));
/// let stamp = |capture, at| Stamp { capture, due: start + ms(at) };
/// assert_eq!(aligner.handle_frame(start, "alice", stamp(hers, 0), 'A'), AlignVerdict::Queued);
/// assert_eq!(aligner.handle_frame(start, "bob", stamp(his, 0), 'B'), AlignVerdict::Queued);
///
/// let mut set = AlignedSet::new();
/// assert!(aligner.poll_aligned(&mut set));
/// assert_eq!(set.at, Some(start));
/// assert_eq!(set.parts[0].slot, Slot::Fresh { at: start, payload: 'A' });
/// assert_eq!(set.parts[1].slot, Slot::Fresh { at: start, payload: 'B' });
///
/// // Alice goes on, Bob does not: the set waits for him, but not for ever.
/// let later = start + ms(40);
/// let _ = aligner.handle_frame(later, "alice", stamp(hers + ms(40), 40), 'a');
/// assert!(!aligner.poll_aligned(&mut set));
/// aligner.handle_timeout(later + ms(100));
/// assert!(aligner.poll_aligned(&mut set));
/// assert_eq!(set.parts[0].slot, Slot::Fresh { at: later, payload: 'a' });
/// assert_eq!(set.parts[1].slot, Slot::Held { at: start, payload: 'B' });
/// ```
#[derive(Debug)]
pub struct Aligner<T, S = StreamKey, G = SenderId> {
    config: AlignerConfig,
    cadence: Cadence<S>,
    /// Ordered by name.
    streams: Vec<Lane<T, S, G>>,
    /// What nanoseconds are counted from: the first instant that was heard of.
    origin: Option<Instant>,
    now: i64,
    /// The time of the last set.
    last: Option<i64>,
    stats: AlignerStats,
}

impl<T: Clone, S: Copy + Debug + Ord, G: Copy + Debug + Eq> Aligner<T, S, G> {
    /// One without streams.
    #[must_use]
    pub fn new(config: AlignerConfig, cadence: Cadence<S>) -> Self {
        Self {
            config,
            cadence,
            streams: Vec::new(),
            origin: None,
            now: 0,
            last: None,
            stats: AlignerStats::default(),
        }
    }

    /// A stream of `peer` is there; it has a frame each `interval`. False if it was
    /// already, or if there are too many. It is waited for from its first frame on.
    pub fn add_stream(&mut self, stream: S, peer: G, take: Take, interval: Duration) -> bool {
        if self.streams.len() >= self.config.max_streams {
            return false;
        }
        let Err(at) = self.find(stream) else { return false };
        let lane = Lane {
            id: stream,
            peer,
            take,
            interval: nanos::span(interval),
            queue: VecDeque::with_capacity(self.config.max_frames.max(1)),
            given: None,
            reached: None,
            lag: 0,
        };
        self.streams.insert(at, lane);
        true
    }

    /// A stream is gone, and what waits of it. False if there was none.
    pub fn remove_stream(&mut self, stream: S) -> bool {
        let found = self.find(stream);
        if let Ok(at) = found {
            self.streams.remove(at);
        }
        found.is_ok()
    }

    /// Takes in the next frame of `stream`, in the order in which it is played.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        stream: S,
        stamp: Stamp,
        payload: T,
    ) -> AlignVerdict<T> {
        self.handle_timeout(now);
        let Ok(index) = self.find(stream) else { return AlignVerdict::Unknown(payload) };
        let lag = self.lag(now, stamp);
        let at = self.place(now, index, stamp);
        let max_ahead = nanos::span(self.config.max_ahead);
        if at.saturating_sub(self.now) > max_ahead {
            self.stats.ahead += 1;
            return AlignVerdict::Ahead(payload);
        }
        let patience =
            nanos::span(self.config.deadline).saturating_add(nanos::span(self.config.stall_after));
        if at < self.now.saturating_sub(patience) {
            self.stats.late += 1;
            return AlignVerdict::Late(payload);
        }
        let lane = &mut self.streams[index];
        // Frames of a stream keep their order, whatever their times say.
        let at = lane.reached.map_or(at, |(reached, _)| reached.max(at));
        if self.last.is_some_and(|last| at <= last.saturating_sub(lane.interval)) {
            self.stats.late += 1;
            return AlignVerdict::Late(payload);
        }
        if lane.queue.len() >= self.config.max_frames.max(1) {
            self.stats.overflow += 1;
            match self.config.overflow {
                Overflow::DropOldest => drop(lane.queue.pop_front()),
                Overflow::RefuseNewest => return AlignVerdict::Full(payload),
            }
        }
        lane.queue.push_back((at, payload));
        lane.lag = lag;
        lane.reached = Some((at, self.now));
        AlignVerdict::Queued
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let origin = *self.origin.get_or_insert(now);
        self.now = self.now.max(nanos::since(now, origin));
    }

    /// Fills `set` with the next set, if it is time and the set is complete, or its deadline
    /// is over.
    #[must_use]
    pub fn poll_aligned(&mut self, set: &mut AlignedSet<S, T>) -> bool {
        let (Some(origin), Some(time)) = (self.origin, self.next()) else { return false };
        let complete = self.is_complete(time);
        if self.now < self.goes_out(time, complete) {
            return false;
        }
        self.stats.sets += 1;
        self.stats.forced += u64::from(!complete);
        self.stats.skipped_sets += self.skipped(time);
        self.last = Some(time);
        set.at = Some(instant(origin, time));
        set.parts.clear();
        for lane in &mut self.streams {
            lane.give(time, origin, &mut self.stats, &mut set.parts);
        }
        true
    }

    /// When the next set goes out if nothing more comes: at its time if it is complete,
    /// else at its deadline; `None` if nothing runs.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let time = self.next()?;
        Some(instant(self.origin?, self.goes_out(time, self.is_complete(time))))
    }

    /// Whether a stream is known, has had frames, and is not waited for any more.
    #[must_use]
    pub fn is_stalled(&self, stream: S) -> bool {
        let lane = self.find(stream).map(|at| &self.streams[at]);
        let last = self.last.unwrap_or(i64::MIN);
        lane.is_ok_and(|lane| lane.reached.is_some() && !self.runs(lane, last))
    }

    /// Frames that wait. At most [`AlignerConfig::max_frames`] for each stream.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.streams.iter().map(|lane| lane.queue.len()).sum()
    }

    /// Counts since the aligner was made.
    #[must_use]
    pub const fn stats(&self) -> AlignerStats {
        self.stats
    }

    fn find(&self, stream: S) -> Result<usize, usize> {
        self.streams.binary_search_by(|lane| lane.id.cmp(&stream))
    }

    /// Where a frame lies on the common timeline.
    fn place(&mut self, now: Instant, index: usize, stamp: Stamp) -> i64 {
        let capture = nanos::wallclock(stamp.capture);
        if let Some((clock, latency)) = self.config.wallclock {
            let ago = nanos::wallclock(clock.at(now)).saturating_sub(capture);
            return self.now.saturating_sub(ago).saturating_add(nanos::span(latency));
        }
        let due = self.now.saturating_add(nanos::since(stamp.due, now));
        let lag = self.lag(now, stamp);
        let (peer, stall_after) = (self.streams[index].peer, nanos::span(self.config.stall_after));
        let latest = self
            .streams
            .iter()
            .filter(|lane| lane.peer == peer)
            .filter(|lane| lane.reached.is_some_and(|(_, came)| self.now - came <= stall_after))
            .fold(lag, |latest, lane| latest.max(lane.lag));
        // Further apart than that, their capture times are nonsense.
        let (behind, max_ahead) = (latest.saturating_sub(lag), nanos::span(self.config.max_ahead));
        if behind > max_ahead {
            return due;
        }
        // Nor do they have a frame refused that would not be by its own time.
        due.saturating_add(behind).min(due.max(self.now.saturating_add(max_ahead)))
    }

    /// From the capture of a frame, on its sender's clock, to its playout on ours.
    fn lag(&self, now: Instant, stamp: Stamp) -> i64 {
        let due = self.now.saturating_add(nanos::since(stamp.due, now));
        due.saturating_sub(nanos::wallclock(stamp.capture))
    }

    /// The time of the next set, as far as it is known.
    fn next(&self) -> Option<i64> {
        let queued = |lane: &Lane<T, S, G>| {
            let last = self.last;
            lane.queue.iter().map(|&(at, _)| at).find(|&at| last.is_none_or(|last| at > last))
        };
        let period = match self.cadence {
            Cadence::Stream(stream) => {
                return queued(&self.streams[self.find(stream).ok()?]);
            }
            Cadence::Every(period) => nanos::span(period).max(MIN_PERIOD),
        };
        let earliest = self.streams.iter().filter_map(queued).min();
        let Some(last) = self.last else { return earliest };
        let next = last.saturating_add(period);
        let runs = self.streams.iter().any(|lane| self.runs(lane, next));
        let stall_after = nanos::span(self.config.stall_after);
        match earliest {
            // Nobody had anything for a while: the cadence goes on where they do.
            Some(at) if at.saturating_sub(next) > stall_after => {
                Some(next.saturating_add((at - next) / period * period))
            }
            Some(_) => Some(next),
            None => runs.then_some(next),
        }
    }

    fn is_complete(&self, time: i64) -> bool {
        self.streams.iter().all(|lane| lane.covers(time) || !self.runs(lane, time))
    }

    /// Never before its time: who has not begun yet could still be a part of it.
    fn goes_out(&self, time: i64, complete: bool) -> i64 {
        let wait = if complete { 0 } else { nanos::span(self.config.deadline) };
        time.saturating_add(wait)
    }

    fn skipped(&self, time: i64) -> u64 {
        match (self.cadence, self.last) {
            (Cadence::Every(period), Some(last)) => {
                let period = nanos::span(period).max(MIN_PERIOD);
                ((time - last) / period - 1).unsigned_abs()
            }
            _ => 0,
        }
    }

    /// Whether a stream is near enough to `time` to be waited for.
    fn runs(&self, lane: &Lane<T, S, G>, time: i64) -> bool {
        let stall_after = nanos::span(self.config.stall_after);
        lane.reached.is_some_and(|(reached, _)| time.saturating_sub(reached) <= stall_after)
    }
}

/// A thousand sets a second at most.
const MIN_PERIOD: i64 = 1_000_000;
