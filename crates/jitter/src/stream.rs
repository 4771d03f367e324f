//! One stream's time: where a unit belongs and when it is due.

use std::time::{Duration, Instant};

use paceline_types::{MediaTime, SeqNo};

use crate::delay::DelayControl;
use crate::ring::Held;
use crate::seen::{DEPTH, Seen};
use crate::timeline::{Place, Timeline};
use crate::transit::Transit;
use crate::{JitterConfig, Unit};

/// What is known of a stream since its first unit. Times are in nanoseconds since
/// that.
#[derive(Debug)]
pub(crate) struct Stream {
    origin: Instant,
    now: i64,
    timeline: Timeline,
    transit: Transit,
    delay: DelayControl,
    /// From a unit's media time to its playout.
    offset: i64,
    /// The next number to play, and the latest time that was played.
    next: Option<u64>,
    last_time: i64,
    /// What is before the next one was given up.
    is_after_loss: bool,
    seen: Seen,
    /// The run of units that came too late to be played.
    too_late: Option<TooLate>,
    pace: f64,
    /// The stream may have begun with what was held for us: so many units more that are no
    /// faster than those before, and it has not.
    backlog: u32,
    /// Until then a retransmission was waited for that did not come.
    waited_until: i64,
}

/// Since when, and the last one's arrival and media time, how many, and the transit of
/// the fastest of them.
#[derive(Clone, Copy, Debug)]
struct TooLate {
    since: i64,
    last: i64,
    last_time: i64,
    count: u32,
    fastest: i64,
}

/// How a unit is played.
#[derive(Debug)]
pub(crate) struct Step {
    /// When.
    pub(crate) due: i64,
    /// From its media time to then.
    offset: i64,
    /// How much of that is because it came late.
    waited: i64,
    pace: f64,
}

impl Step {
    pub(crate) const fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.unsigned_abs())
    }
}

impl Stream {
    pub(crate) fn new<T>(config: &JitterConfig, now: Instant, unit: &Unit<T>) -> Self {
        let (least, most) = (config.min_delay.min(config.max_delay), config.max_delay);
        let start = config.start_delay.clamp(least, most);
        Self {
            origin: now,
            now: 0,
            timeline: Timeline::new(unit.seq, unit.time),
            transit: Transit::new(0, 0),
            delay: DelayControl::new(config.loss_price, [least, most], 0, start),
            offset: 0,
            next: None,
            last_time: 0,
            is_after_loss: false,
            seen: Seen::default(),
            too_late: None,
            pace: 0.0,
            backlog: BACKLOG,
            waited_until: i64::MIN,
        }
    }

    /// Where a unit belongs, unless it is nowhere near the rest.
    pub(crate) fn place<T>(
        &self,
        config: &JitterConfig,
        arrival: i64,
        unit: &Unit<T>,
    ) -> Option<Place> {
        let place = self.timeline.place(unit, u64::from(config.max_gap))?;
        let slower = arrival - place.time - self.transit.fastest();
        let is_near = slower.abs() <= nanos(config.max_jump);
        // The number says that it is old, the time that it is new.
        let is_odd = self.next.is_some_and(|next| place.seq < next)
            && place.time > self.last_time + self.timeline.spacing() / 2;
        (is_near && !is_odd || self.is_replayed(place)).then_some(place)
    }

    /// Whether number and time both are those of a unit that was to be played not long
    /// ago: however late it comes, it is no jump.
    fn is_replayed(&self, place: Place) -> bool {
        let Some(next) = self.next.filter(|&next| place.seq < next) else { return false };
        let (back, spacing) = (next - 1 - place.seq, self.timeline.spacing());
        back < DEPTH && (self.last_time - back as i64 * spacing - place.time).abs() <= spacing / 2
    }

    /// Two units that are not near the rest: if they belong together the stream
    /// goes on with them. `is_long` if that has been so for long.
    pub(crate) fn jump<T>(
        &mut self,
        config: &JitterConfig,
        [(then, first), (now, second)]: [(i64, &Unit<T>); 2],
        is_long: bool,
    ) -> Option<[Place; 2]> {
        // What was lost before the last jump must be told by its old number first.
        let is_through = self.next.is_some_and(|next| next >= self.timeline.jumped());
        let follows = (1..=2).contains(&second.seq.get().wrapping_sub(first.seq.get()));
        if !is_through || !follows {
            return None;
        }
        // What an outage held up comes all at once, and is late; a sender that starts
        // anew sends in its time.
        let is_old = |unit| {
            let place = self.timeline.place(unit, u64::from(config.max_gap));
            place.is_some_and(|place| now - place.time - self.transit.fastest() > 0)
        };
        let apart = self.timeline.span(first.time, second.time);
        if !is_long && is_old(first) && now - then < apart / 2 {
            return None;
        }
        // The network is the same: it goes on where the next one would have been, if
        // it came in time for that, and else in the middle of what it may be late.
        let (fastest, most) = (self.transit.fastest(), nanos(config.max_delay));
        let goes_on = self.timeline.next_time();
        let slower = then - goes_on - fastest;
        let time = if (0..=most).contains(&slower) {
            goes_on
        } else {
            then - fastest - (self.offset - fastest).clamp(0, most) / 2
        };
        let mut timeline = self.timeline.clone();
        let first = timeline.jump(first.seq, first.time, time);
        let second = timeline.place(second, u64::from(config.max_gap))?;
        if (now - then - apart).abs() > nanos(config.max_jump) {
            return None;
        }
        self.timeline = timeline;
        Some([first, second])
    }

    /// Whether a unit of this number, which is behind what is to be played, has been
    /// here before.
    pub(crate) fn was_there(&self, seq: u64) -> bool {
        self.next.is_some_and(|next| seq < next && self.seen.contains(next, seq))
    }

    /// Takes note of what a unit tells of the network.
    #[inline]
    pub(crate) fn handle_unit<T>(&mut self, arrival: i64, place: Place, unit: &Unit<T>) {
        self.now = arrival;
        let transit = arrival - place.time;
        if self.backlog > 0 {
            self.backlog -= 1;
            if !self.timeline.is_next(place) {
                // What was held comes in its order.
                self.backlog = 0;
            } else if transit < self.transit.fastest() - self.timeline.spacing() / 2 {
                // What comes faster than it was sampled was held, and says nothing of how
                // long the network takes.
                self.backlog = BACKLOG;
                self.delay.handle_shift(transit);
            }
        }
        // One asked for again that is faster than the fastest shows that it was not.
        if !unit.retransmitted || transit < self.transit.fastest() {
            self.transit.handle_unit(arrival, transit);
        }
        self.delay.handle_unit(transit, self.transit.fastest());
        self.timeline.handle_unit(place, unit.time.ticks());
    }

    /// Whether a unit that came at `arrival` may still be played.
    #[inline]
    pub(crate) fn can_play(
        &mut self,
        config: &JitterConfig,
        cap: Duration,
        arrival: i64,
        place: Place,
    ) -> bool {
        if let Some(next) = self.next
            && place.seq < next
        {
            self.seen.insert(next, place.seq);
            return false;
        }
        let late = arrival - place.time - self.offset;
        let is_in_time = self.next.is_none()
            || late <= 0
            || late <= nanos(config.max_late)
                && self.offset + late - self.transit.fastest() <= nanos(cap);
        if is_in_time {
            self.too_late = None;
            return true;
        }
        let transit = arrival - place.time;
        let (last, last_time) = (arrival, place.time);
        let first = TooLate { since: arrival, last, last_time, count: 0, fastest: transit };
        // After a pause in which none were sampled it is what the pause held up.
        let goes_on =
            |run: &TooLate| arrival - run.last < SHIFT_PAUSE.max(2 * (place.time - run.last_time));
        let run = self.too_late.filter(goes_on).unwrap_or(first);
        let TooLate { since, count, fastest, .. } = run;
        let (count, fastest) = (count.saturating_add(1), fastest.min(transit));
        self.too_late = Some(TooLate { since, last, last_time, count, fastest });
        if count < SHIFT_UNITS || arrival - since < SHIFT_TIME {
            return false;
        }
        // So late for so long: the route is another one, and all before is history.
        self.too_late = None;
        self.transit.restart(arrival, fastest);
        self.delay.handle_shift(fastest);
        self.offset = fastest + self.own(config);
        true
    }

    /// When and how the first unit that is held is played.
    pub(crate) fn step_to<T>(&self, config: &JitterConfig, sync: Duration, held: &Held<T>) -> Step {
        let fastest = self.transit.fastest();
        let want = fastest + self.own(config).max(nanos(sync));
        let passed = (held.time - self.last_time).max(0);
        let is_next = self.next == Some(held.seq) && !self.is_after_loss;
        let is_after_silence = is_next && passed > SILENCE * self.timeline.spacing()
            || config.talkspurts && held.marker;
        let at_once = self.next.is_none() || is_after_silence || config.max_pace >= 1.0;
        let moved = if at_once {
            want - self.offset
        } else {
            let most = (passed as f64 * config.max_pace) as i64;
            (want - self.offset).clamp(-most, most)
        };
        let cap = nanos(config.max_delay).max(nanos(sync));
        // What is faster than all that is remembered does not wait longer for it.
        let fastest = fastest.min(held.arrival - held.time);
        // To be due before now would be to be played faster than the pace.
        let least = self.offset.min(self.now - held.time);
        let offset = (self.offset + moved).max(least).min(fastest + cap);
        // It came late, or what is missing before it was waited for.
        let late = held.arrival.max(self.waited_until) - held.time - offset;
        // At first there is nothing that it could be late for.
        let waited = if self.next.is_none() { 0 } else { late.max(0) };
        let pace = if at_once || passed == 0 {
            0.0
        } else {
            (self.offset - offset) as f64 / passed as f64
        };
        Step { due: held.time + offset + waited, offset: offset + waited, waited, pace }
    }

    /// From when on the first unit that is held, or what is missing before it, is
    /// given out.
    pub(crate) fn ready<T>(
        &self,
        config: &JitterConfig,
        round_trip: Option<Duration>,
        held: &Held<T>,
        step: &Step,
        is_full: bool,
    ) -> i64 {
        if is_full {
            return step.due.min(held.arrival);
        }
        let comes = round_trip.and_then(|it| self.retransmission(config, it, held, step));
        comes.map_or(step.due, |comes| comes.max(step.due)).min(END_OF_TIME)
    }

    /// Until when to wait for what is missing before `held`, if it pays.
    fn retransmission<T>(
        &self,
        config: &JitterConfig,
        round_trip: Duration,
        held: &Held<T>,
        step: &Step,
    ) -> Option<i64> {
        let (round_trip, next) = (nanos(round_trip), self.next?);
        let missing = held.seq.checked_sub(next).filter(|&missing| missing > 0)?;
        // It was missed, and asked for, when the one after it came.
        let comes = held.arrival + round_trip + self.transit.jitter() as i64;
        let wait = comes - step.due;
        // Waiting x ms costs x ms of delay, which go at `max_pace`: x²/(2·pace) in
        // all. What is lost costs `loss_price` for each per cent.
        let lost = missing as f64 * self.timeline.spacing() as f64;
        let worth = 200.0 * config.max_pace * nanos(config.loss_price) as f64 * lost;
        let most = (worth.sqrt() as i64).min(nanos(config.max_late));
        // Nothing is played later than the most delay.
        let cap = self.transit.fastest() + nanos(config.max_delay);
        (wait <= most && comes - held.time <= cap).then_some(comes)
    }

    /// Gives up what is missing before `seq`.
    #[inline]
    pub(crate) fn pass_over_lost(&mut self, seq: u64) -> Option<(SeqNo, u64)> {
        let next = self.next.filter(|&next| next < seq)?;
        // Told by old number up to a jump, and by new number from there on.
        let jumped = self.timeline.jumped();
        let end = if next < jumped { seq.min(jumped) } else { seq };
        self.seen.advance(end - next);
        self.next = Some(end);
        self.is_after_loss = true;
        Some((self.timeline.number(next), end - next))
    }

    /// What is missing before the first unit that is held was waited for until `ready`.
    pub(crate) fn give_up_at(&mut self, ready: i64, step: &Step) {
        if ready > step.due {
            self.waited_until = ready;
        }
    }

    /// The first unit that is held has been played.
    #[inline]
    pub(crate) fn take_step<T>(&mut self, held: &Held<T>, step: &Step) {
        self.seen.advance(1);
        self.seen.insert(held.seq + 1, held.seq);
        self.next = Some(held.seq + 1);
        self.is_after_loss = false;
        self.waited_until = i64::MIN;
        self.last_time = self.last_time.max(held.time);
        self.offset = step.offset;
        self.pace = step.pace;
    }

    pub(crate) fn set_drift(&mut self, ppm: f64) {
        self.timeline.set_ratio(1.0 + ppm * 1e-6);
    }

    pub(crate) const fn has_played(&self) -> bool {
        self.next.is_some()
    }

    #[inline]
    pub(crate) const fn number(&self, seq: u64) -> SeqNo {
        self.timeline.number(seq)
    }

    pub(crate) const fn pace(&self) -> f64 {
        self.pace
    }

    pub(crate) fn jitter(&self) -> Duration {
        Duration::from_nanos(self.transit.jitter() as u64)
    }

    /// How long a unit as fast as the fastest waits now.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos((self.offset - self.transit.fastest()).max(0).unsigned_abs())
    }

    #[inline]
    pub(crate) fn own_delay(&self, config: &JitterConfig) -> Duration {
        Duration::from_nanos(self.own(config).unsigned_abs())
    }

    pub(crate) fn playout_time(&self, config: &JitterConfig, time: MediaTime) -> Option<Instant> {
        let time = self.timeline.time(time)?;
        Some(self.instant(time + self.transit.fastest() + self.own(config)))
    }

    /// The first number after the last jump.
    pub(crate) const fn jumped(&self) -> u64 {
        self.timeline.jumped()
    }

    /// Since when there is something to tell of what was before the last jump.
    pub(crate) fn jump_to_tell(&self) -> Option<Instant> {
        let next = self.next?;
        (next < self.timeline.jumped()).then(|| self.instant(self.now))
    }

    #[inline]
    pub(crate) fn nanos(&self, now: Instant) -> i64 {
        clamped(now.saturating_duration_since(self.origin), END_OF_TIME)
    }

    /// The same, but never before the last unit's.
    #[inline]
    pub(crate) fn arrival(&self, now: Instant) -> i64 {
        self.now.max(self.nanos(now))
    }

    #[inline]
    pub(crate) fn instant(&self, nanos: i64) -> Instant {
        let span = Duration::from_nanos(nanos.max(0).unsigned_abs());
        self.origin.checked_add(span).unwrap_or(self.origin)
    }

    /// The delay for the network's sake.
    #[inline]
    fn own(&self, config: &JitterConfig) -> i64 {
        self.delay.target().max(nanos(config.min_delay)).min(nanos(config.max_delay))
    }
}

/// Clamped to 11 days, so that sums of some cannot overflow.
pub(crate) const fn nanos(span: Duration) -> i64 {
    clamped(span, 1_000_000_000_000_000)
}

/// Without the u128 of `as_nanos`, which takes longer than all else here.
#[inline]
const fn clamped(span: Duration, most: i64) -> i64 {
    if span.as_secs() >= most.unsigned_abs() / 1_000_000_000 {
        return most;
    }
    span.as_secs() as i64 * 1_000_000_000 + span.subsec_nanos() as i64
}

/// 31 years after the first unit the clock stands still, so that sums of some
/// instants cannot overflow.
const END_OF_TIME: i64 = 1_000_000_000_000_000_000;

/// A backlog can come in parts, as many at a time as may be in flight; between two
/// parts are one or two units that are no faster.
const BACKLOG: u32 = 5;

/// After a step in time of so many units there was silence (an outage loses units,
/// a silence does not).
const SILENCE: i64 = 3;

/// So many units in a row that came too late to be played…
const SHIFT_UNITS: u32 = 3;

/// …over so long mean that the network has become slower for good, in nanoseconds.
/// What queued up in an outage comes at once.
const SHIFT_TIME: i64 = 500_000_000;

/// So far apart they are no run, unless they were sampled half as far apart or more.
const SHIFT_PAUSE: i64 = 200_000_000;
