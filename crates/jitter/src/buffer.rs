//! The jitter buffer.

use std::time::{Duration, Instant};

use paceline_types::MediaTime;
use tracing::debug;

use crate::ring::{Held, Ring};
use crate::stream::Stream;
use crate::timeline::Place;
use crate::{JitterConfig, JitterStats, Output, State, Unit, Verdict};

/// Orders the units of one stream and releases each when it is due.
///
/// | group | calls |
/// |---|---|
/// | input | [`insert`](Self::insert) |
/// | steering | [`set_drift`](Self::set_drift), [`set_min_playout_delay`](Self::set_min_playout_delay), [`set_round_trip`](Self::set_round_trip) |
/// | output | [`poll`](Self::poll), until `Wait` or `Empty` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | state | [`state`](Self::state), [`stats`](Self::stats), [`own_delay`](Self::own_delay), [`pace`](Self::pace), [`held`](Self::held) |
///
/// The delay is the one at which it and the units that come later than it cost
/// least, at the [price](JitterConfig::loss_price) of the config. While it moves
/// there, the pace of playout differs from the sender's by at most
/// [`max_pace`](JitterConfig::max_pace). A unit that comes late and was not
/// overtaken is played all the same: then the delay has grown at once.
#[derive(Debug)]
pub struct JitterBuffer<T> {
    config: JitterConfig,
    ring: Ring<T>,
    /// What came when the ring had no room for it: it follows when there is.
    ahead: Option<Held<T>>,
    probation: Option<(i64, Unit<T>)>,
    /// Units in a row that do not belong to the stream.
    strays: u32,
    stream: Option<Stream>,
    min_playout_delay: Duration,
    round_trip: Option<Duration>,
    drift_ppm: f64,
    stats: JitterStats,
}

impl<T> JitterBuffer<T> {
    /// An empty buffer. It allocates here, and never again.
    #[must_use]
    pub fn new(config: JitterConfig) -> Self {
        Self {
            ring: Ring::new(config.capacity),
            config,
            ahead: None,
            probation: None,
            strays: 0,
            stream: None,
            min_playout_delay: Duration::ZERO,
            round_trip: None,
            drift_ppm: 0.0,
            stats: JitterStats::default(),
        }
    }

    /// Takes in a unit that arrived at `now`. An earlier `now` than before counts
    /// as the one before.
    pub fn insert(&mut self, now: Instant, unit: Unit<T>) -> Verdict<T> {
        let stream = self.stream.get_or_insert_with(|| {
            let mut stream = Stream::new(&self.config, now, &unit);
            stream.set_drift(self.drift_ppm);
            stream
        });
        let arrival = stream.arrival(now);
        let Some(place) = stream.place(&self.config, arrival, &unit) else {
            return self.handle_jump(arrival, unit);
        };
        self.strays = 0;
        if self.probation.take().is_some() {
            self.stats.outliers += 1;
        }
        self.handle_unit(arrival, place, unit)
    }

    /// A unit that does not belong to the stream, unless the one before it did not
    /// either and they belong together.
    fn handle_jump(&mut self, arrival: i64, unit: Unit<T>) -> Verdict<T> {
        self.strays = self.strays.saturating_add(1);
        let is_long = self.strays >= MAX_STRAYS;
        if let (Some(stream), Some((then, first))) = (&mut self.stream, self.probation.take()) {
            let pair = [(then, &first), (arrival, &unit)];
            if let Some(places) = stream.jump(&self.config, pair, is_long) {
                debug!(seq = %first.seq, "the stream jumped");
                self.stats.resyncs += 1;
                self.strays = 0;
                let [first_place, place] = places;
                // Whatever becomes of it has been counted.
                let _ = self.handle_unit(then, first_place, first);
                return self.handle_unit(arrival, place, unit);
            }
            self.stats.outliers += 1;
        }
        self.probation = Some((arrival, unit));
        Verdict::Probation
    }

    fn handle_unit(&mut self, arrival: i64, place: Place, unit: Unit<T>) -> Verdict<T> {
        let Some(stream) = &mut self.stream else { return Verdict::Late(unit.payload) };
        let seq = place.seq;
        let is_held = self.ring.holds(seq) || self.ahead.as_ref().is_some_and(|it| it.seq == seq);
        if is_held || stream.was_there(seq) {
            self.stats.duplicate += 1;
            return Verdict::Duplicate(unit.payload);
        }
        stream.handle_unit(arrival, place, &unit);
        let cap = self.config.max_delay.max(self.min_playout_delay);
        if !stream.can_play(&self.config, cap, arrival, place) {
            self.stats.late += 1;
            return Verdict::Late(unit.payload);
        }
        let Unit { time, marker, payload, .. } = unit;
        let (ticks, frequency) = (time.ticks(), time.frequency());
        let held = Held { seq, time: place.time, arrival, ticks, frequency, marker, payload };
        if self.ring.has_room_for(seq) {
            self.ring.insert(held);
        } else if self.ahead.is_none() && self.ring.first().is_some_and(|first| first.seq < seq) {
            self.ahead = Some(held);
        } else {
            self.stats.full += 1;
            return Verdict::Full(held.payload);
        }
        self.stats.queued += 1;
        Verdict::Queued
    }

    /// Takes what is due at `now`, in order.
    pub fn poll(&mut self, now: Instant) -> Output<T> {
        let Some(stream) = &mut self.stream else { return Output::Empty };
        let Some(first) = self.ring.first() else {
            // What a jump left behind will not come any more.
            let Some((first, count)) = stream.pass_over_lost(stream.jumped()) else {
                return Output::Empty;
            };
            self.stats.lost += count;
            return Output::Lost { first, count };
        };
        let step = stream.step_to(&self.config, self.min_playout_delay, first);
        let is_early = stream.nanos(now) < step.due;
        let ready = stream.ready(&self.config, self.round_trip, first, &step, self.ahead.is_some());
        if stream.nanos(now) < ready {
            return Output::Wait(stream.instant(ready));
        }
        if let Some((first, count)) = stream.pass_over_lost(first.seq) {
            stream.give_up_at(ready, &step);
            self.stats.lost += count;
            return Output::Lost { first, count };
        }
        let Some(held) = self.ring.pop_first() else {
            return Output::Empty;
        };
        stream.take_step(&held, &step);
        self.stats.played += 1;
        self.stats.early += u64::from(is_early);
        self.stats.waited += step.waited();
        let (seq, time) = (stream.number(held.seq), MediaTime::new(held.ticks, held.frequency));
        let due = stream.instant(step.due);
        if let Some(ahead) = self.ahead.take_if(|ahead| self.ring.has_room_for(ahead.seq)) {
            self.ring.insert(ahead);
        }
        self.stats.max_delay = self.stats.max_delay.max(stream.delay());
        Output::Play { seq, time, marker: held.marker, due, payload: held.payload }
    }

    /// When [`poll`](Self::poll) will give something out, if it will: until then it
    /// answers `Wait` with just this instant, and `Empty` if there is none.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stream = self.stream.as_ref()?;
        let Some(first) = self.ring.first() else { return stream.jump_to_tell() };
        let step = stream.step_to(&self.config, self.min_playout_delay, first);
        let is_full = self.ahead.is_some();
        let ready = stream.ready(&self.config, self.round_trip, first, &step, is_full);
        Some(stream.instant(ready))
    }

    /// By how many parts in a million the sender's media clock runs fast against
    /// ours (negative: slow). Zero until it is known; beyond ±10,000 it is clamped,
    /// and what is no number is ignored.
    pub fn set_drift(&mut self, ppm: f64) {
        if ppm.is_nan() || ppm == self.drift_ppm {
            return;
        }
        self.drift_ppm = ppm.clamp(-MAX_DRIFT, MAX_DRIFT);
        if let Some(stream) = &mut self.stream {
            stream.set_drift(self.drift_ppm);
        }
    }

    /// Raises the playout delay above what the network needs, as lip sync asks.
    pub fn set_min_playout_delay(&mut self, delay: Duration) {
        self.min_playout_delay = delay;
    }

    /// Missing units are asked for again, and come after a round trip, or are not
    /// (`None`, as at first).
    ///
    /// Then a gap is waited for when that costs less delay than the loss is worth.
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.round_trip = round_trip;
    }

    /// When a unit sampled at `time` is played by the network's need alone,
    /// without what lip sync adds; `None` before the first unit.
    #[must_use]
    pub fn playout_time(&self, time: MediaTime) -> Option<Instant> {
        let stream = self.stream.as_ref()?;
        stream.playout_time(&self.config, time)
    }

    /// How long a unit as fast as the fastest waits for the network's sake.
    #[must_use]
    pub fn own_delay(&self) -> Duration {
        self.stream.as_ref().map_or(self.config.min_delay, |stream| stream.own_delay(&self.config))
    }

    /// By how much the pace of playout differs from the sender's now: 0.05 while
    /// everything is played 5 % faster, −0.05 while slower.
    #[must_use]
    pub fn pace(&self) -> f64 {
        self.stream.as_ref().map_or(0.0, Stream::pace)
    }

    /// What waits to be played, in no order: of each unit that is queued its payload.
    pub fn held(&self) -> impl Iterator<Item = &T> {
        self.ring.iter().chain(&self.ahead).map(|held| &held.payload)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stream {
            None => State::Empty,
            Some(stream) if !stream.has_played() => State::Buffering,
            Some(_) if self.ring.is_empty() => State::Underrun,
            Some(_) => State::Stable,
        }
    }

    /// Counts since the buffer was made, and where it is now.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        let stream = self.stream.as_ref();
        JitterStats {
            jitter: stream.map_or(Duration::ZERO, Stream::jitter),
            delay: stream.map_or(Duration::ZERO, Stream::delay),
            target: self.own_delay().max(self.min_playout_delay),
            ..self.stats
        }
    }
}

/// In ppm: what a resampler follows, and far more than a clock is off.
const MAX_DRIFT: f64 = 10_000.0;

/// After so many in a row they are the stream, however they came: ten seconds of sound.
const MAX_STRAYS: u32 = 500;
