//! Where a unit belongs: its number and its time, over all jumps of the stream.

use paceline_types::{Frequency, MediaTime, SeqNo};

use crate::Unit;

/// Maps the sender's numbers and media times to ones that never jump: numbers
/// that start at [`FIRST`], and nanoseconds of a clock that runs as fast as ours.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// The sender's number of what is number 0 here; wrapping.
    zero: u64,
    /// The same before the last jump, for all below `jumped`.
    zero_before: u64,
    jumped: u64,
    frequency: Frequency,
    /// A reading of both clocks.
    ticks: u64,
    nanos: i64,
    nanos_per_tick: f64,
    /// The newest unit.
    highest: u64,
    highest_time: i64,
    highest_ticks: u64,
    /// From one unit's time to the next one's, in nanoseconds.
    spacing: i64,
}

/// A unit's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) time: i64,
}

impl Timeline {
    /// Starts with a unit, of which the time is zero.
    pub(crate) fn new(seq: SeqNo, time: MediaTime) -> Self {
        let mut timeline = Self {
            zero: seq.get().wrapping_sub(FIRST),
            zero_before: 0,
            jumped: 0,
            frequency: time.frequency(),
            ticks: time.ticks(),
            nanos: 0,
            nanos_per_tick: 0.0,
            highest: FIRST,
            highest_time: 0,
            highest_ticks: time.ticks(),
            spacing: SPACING,
        };
        timeline.set_ratio(1.0);
        timeline
    }

    /// Where a unit belongs, unless it is more than `max_gap` from the newest one,
    /// or on another clock.
    pub(crate) fn place<T>(&self, unit: &Unit<T>, max_gap: u64) -> Option<Place> {
        if unit.time.frequency() != self.frequency {
            return None;
        }
        let seq = unit.seq.get().wrapping_sub(self.zero);
        let gap = seq.wrapping_sub(self.highest) as i64;
        let span = unit.time.ticks().wrapping_sub(self.ticks) as i64;
        let nanos = span as f64 * self.nanos_per_tick;
        // Years away: not to be counted with.
        let is_near = gap.unsigned_abs() <= max_gap && nanos.abs() < FAR;
        is_near.then(|| Place { seq, time: self.nanos + nearest(nanos) })
    }

    /// Takes note of a unit that belongs to the stream.
    #[inline]
    pub(crate) fn handle_unit(&mut self, place: Place, ticks: u64) {
        if place.seq <= self.highest {
            return;
        }
        let spacing = place.time - self.highest_time;
        if place.seq == self.highest + 1 && (1..MAX_SPACING).contains(&spacing) {
            self.spacing = spacing;
        }
        (self.highest, self.highest_time, self.highest_ticks) = (place.seq, place.time, ticks);
        // Else a stream would become far from its own start.
        if place.time - self.nanos > LONG {
            (self.ticks, self.nanos) = (ticks, place.time);
        }
    }

    /// The stream jumped, perhaps to another clock: `seq` follows the newest unit, and
    /// its `time` is `nanos`. Says where it belongs.
    pub(crate) fn jump(&mut self, seq: SeqNo, time: MediaTime, nanos: i64) -> Place {
        let ticks = time.ticks();
        self.nanos_per_tick *= f64::from(self.frequency.hz()) / f64::from(time.frequency().hz());
        self.frequency = time.frequency();
        self.zero_before = self.zero;
        self.jumped = self.highest + 1;
        self.zero = seq.get().wrapping_sub(self.jumped);
        (self.ticks, self.nanos) = (ticks, nanos);
        (self.highest, self.highest_time, self.highest_ticks) = (self.jumped, nanos, ticks);
        Place { seq: self.jumped, time: nanos }
    }

    /// From here on the sender's clock runs `ratio` times as fast as ours.
    pub(crate) fn set_ratio(&mut self, ratio: f64) {
        let span = self.highest_ticks.wrapping_sub(self.ticks) as i64;
        self.nanos += nearest(span as f64 * self.nanos_per_tick);
        self.ticks = self.highest_ticks;
        self.nanos_per_tick = 1e9 / (f64::from(self.frequency.hz()) * ratio);
    }

    /// From one reading of the sender's clock to another; far ones are clamped.
    pub(crate) fn span(&self, from: MediaTime, to: MediaTime) -> i64 {
        let span = to.ticks().wrapping_sub(from.ticks()) as i64;
        nearest((span as f64 * self.nanos_per_tick).clamp(-FAR, FAR))
    }

    /// The sender's number of what is `seq` here.
    #[inline]
    pub(crate) const fn number(&self, seq: u64) -> SeqNo {
        let zero = if seq < self.jumped { self.zero_before } else { self.zero };
        SeqNo::new(seq.wrapping_add(zero))
    }

    /// The first number after the last jump.
    #[inline]
    pub(crate) const fn jumped(&self) -> u64 {
        self.jumped
    }

    /// From one unit's time to the next one's.
    #[inline]
    pub(crate) const fn spacing(&self) -> i64 {
        self.spacing
    }

    /// Whether a unit is the newest, or the one after it.
    pub(crate) const fn is_next(&self, place: Place) -> bool {
        place.seq.wrapping_sub(self.highest) <= 1
    }

    /// When the unit after the newest should be, if the stream goes on.
    pub(crate) const fn next_time(&self) -> i64 {
        self.highest_time + self.spacing
    }

    /// The time of any reading of the sender's clock; far ones are clamped.
    pub(crate) fn time(&self, time: MediaTime) -> Option<i64> {
        let span = time.ticks().wrapping_sub(self.ticks) as i64;
        let nanos = nearest((span as f64 * self.nanos_per_tick).clamp(-FAR, FAR));
        (time.frequency() == self.frequency).then_some(self.nanos + nanos)
    }
}

/// Whole nanoseconds: 960 ticks of 48 kHz are 20 ms, not a nanosecond less.
const fn nearest(nanos: f64) -> i64 {
    (nanos + 0.5_f64.copysign(nanos)) as i64
}

/// Numbers start here, so that what was sent before the first one that came has
/// room below it.
pub(crate) const FIRST: u64 = 1 << 32;

/// Until two units in a row have shown it: 20 ms, as sound mostly comes in.
const SPACING: i64 = 20_000_000;

/// 200 ms; what is further apart is silence.
const MAX_SPACING: i64 = 200_000_000;

/// An hour in nanoseconds: what rounding to one of them does in it is nothing.
const LONG: i64 = 3_600_000_000_000;

/// 11 days in nanoseconds: far beyond any jump that is believed, and thousands of
/// such still fit an i64.
const FAR: f64 = 1e15;
