//! The machine: observations in, drift out.

use std::time::{Duration, Instant};

use paceline_types::{MediaTime, NtpTime};
use tracing::debug;

use crate::DriftConfig;
use crate::estimate::{DriftStats, Estimate, State, Verdict};
use crate::fit::{self, Input, MAX_SEGMENTS, Slope};
use crate::history::History;
use crate::level::Level;
use crate::prior::Belief;
use crate::segment::{Point, Segment};

/// A reading of one of the sender's clocks.
#[derive(Clone, Copy, Debug)]
struct Reading {
    ticks: u64,
    /// Ticks in a second; the fixed point of NTP has 2³².
    hz: u64,
}

/// Where the estimator's time begins, and where it is.
#[derive(Clone, Copy, Debug)]
struct Course {
    arrival: Instant,
    start: Reading,
    last_arrival: Instant,
    last: Reading,
    last_at: Point,
}

/// Follows how fast the clock of one sender runs against ours.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_observation`](Self::handle_observation) or [`handle_capture`](Self::handle_capture), [`handle_discontinuity`](Self::handle_discontinuity) |
/// | output | [`estimate`](Self::estimate), [`ratio`](Self::ratio), [`rate_hz`](Self::rate_hz), [`stats`](Self::stats) |
///
/// Feed it the packets that came in order and for the first time, with the time each was
/// sampled. Leave out what was retransmitted, recovered, overtaken or duplicated, and the
/// first packet after a silence: those tell of the path, or of the sender's queue, and not
/// of its clock. On a reliable channel retransmissions cannot be seen; give capture times,
/// of which the least delayed count most.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_drift::types::{Frequency, MediaTime};
/// use paceline_drift::{DriftConfig, DriftEstimator, State};
///
/// let mut drift = DriftEstimator::new(DriftConfig::default());
/// let start = Instant::now();
/// // A clock that is 100 ppm fast: 20 ms of it last 19.998 ms.
/// for packet in 0..3_000 {
///     let arrival = start + Duration::from_micros(19_998) * packet;
///     let time = MediaTime::new(u64::from(packet) * 960, Frequency::AUDIO);
///     let _ = drift.handle_observation(arrival, time);
/// }
/// let estimate = drift.estimate();
/// assert!((estimate.ppm - 100.0).abs() < 0.5, "{estimate:?}");
/// assert_eq!(estimate.state, State::Locked);
/// assert!((drift.rate_hz(48_000.0) - 48_004.8).abs() < 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct DriftEstimator {
    config: DriftConfig,
    course: Option<Course>,
    /// Observations in a row that do not continue the course.
    strays: u32,
    /// What comes in now, until it is a segment long.
    open: Segment,
    /// Where that ends, in seconds of the sender.
    open_until: f64,
    /// Segments that may yet turn out to have another level, in a ring.
    recent: [Segment; RECENT],
    recent_start: usize,
    recent_len: usize,
    /// Of the last in `recent`, how many in a row are off the level, and which way.
    off: usize,
    side: i8,
    history: History,
    level: Level,
    /// When the next fit is due, in seconds of the sender.
    next_fit: f64,
    /// The slope in ppm of delay, for what need not be exact.
    about: f64,
    /// The step of the arrival stamps, in nanoseconds.
    step: u32,
    estimate: Estimate,
    stats: DriftStats,
}

impl DriftEstimator {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(config: DriftConfig) -> Self {
        Self {
            config,
            course: None,
            strays: 0,
            open: Segment::default(),
            open_until: 1.0 / PER_SECOND,
            recent: [Segment::default(); RECENT],
            recent_start: 0,
            recent_len: 0,
            off: 0,
            side: 0,
            history: History::new(),
            level: Level::default(),
            next_fit: FIRST_FIT,
            about: 0.0,
            step: 0,
            estimate: Estimate::prior(&config),
            stats: DriftStats::default(),
        }
    }

    /// Takes in that what was sampled at `time`, on the sender's media clock, arrived at
    /// `arrival`.
    ///
    /// Give all observations in one clock: another frequency starts the estimate anew.
    pub fn handle_observation(&mut self, arrival: Instant, time: MediaTime) -> Verdict {
        let hz = u64::from(time.frequency().hz());
        self.observe(arrival, Reading { ticks: time.ticks(), hz })
    }

    /// Takes in that what was captured at `capture`, on the sender's wallclock, arrived at
    /// `arrival`.
    ///
    /// A wallclock that is stepped makes a level shift; one that is slewed drifts.
    pub fn handle_capture(&mut self, arrival: Instant, capture: NtpTime) -> Verdict {
        self.observe(arrival, Reading { ticks: capture.to_bits(), hz: 1 << 32 })
    }

    /// Forgets everything but the counters: the sender has a new SSRC or its timestamps
    /// start anew.
    pub fn handle_discontinuity(&mut self) {
        self.stats.resets += 1;
        debug!(resets = self.stats.resets, "drift starts anew");
        *self = Self { stats: self.stats, ..Self::new(self.config) };
    }

    /// What is known of the drift.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// How many of our seconds a second of the sender lasts: what a resampler multiplies
    /// the number of its output frames by. Below one if the sender is fast.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        1.0 / (1.0 + self.estimate.ppm * 1e-6)
    }

    /// The sender's rate in our hertz, if it says it has `nominal`.
    #[must_use]
    pub fn rate_hz(&self, nominal: f64) -> f64 {
        nominal * (1.0 + self.estimate.ppm * 1e-6)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> DriftStats {
        self.stats
    }

    fn observe(&mut self, arrival: Instant, reading: Reading) -> Verdict {
        let Some(course) = &mut self.course else {
            self.begin(arrival, reading);
            return Verdict::Taken;
        };
        let at = course.point(arrival, reading);
        let gap = self.config.max_gap.as_secs_f64();
        let continues = course.last.hz == reading.hz
            && (at.y - course.last_at.y).abs() <= gap * 1e6
            && (at.x - course.last_at.x).abs() <= gap;
        if !continues {
            self.strays += 1;
            if self.strays < STRAYS {
                self.stats.ignored += 1;
                return Verdict::Ignored;
            }
            self.handle_discontinuity();
            self.begin(arrival, reading);
            return Verdict::Restarted;
        }
        self.strays = 0;
        if reading.ticks <= course.last.ticks {
            self.stats.ignored += 1;
            return Verdict::Ignored;
        }
        let since = arrival.max(course.last_arrival) - arrival.min(course.last_arrival);
        course.last = reading;
        course.last_arrival = arrival;
        course.last_at = at;
        self.step = common_step(self.step, since.subsec_nanos());
        self.stats.taken += 1;
        self.estimate.observations += 1;
        self.take(at)
    }

    fn begin(&mut self, arrival: Instant, reading: Reading) {
        self.course = Some(Course {
            arrival,
            start: reading,
            last_arrival: arrival,
            last: reading,
            last_at: Point::default(),
        });
        self.stats.taken += 1;
        self.estimate.observations = 1;
        self.estimate.state = State::Starting;
        self.open = Segment::of(Point::default());
    }

    /// Takes in an observation that continues the course.
    fn take(&mut self, at: Point) -> Verdict {
        if at.x < self.open_until {
            self.open.merge(&Segment::of(at), self.about);
            return Verdict::Taken;
        }
        // Segments are spans of the sender's time, on a grid of its own start.
        self.open_until = ((at.x * PER_SECOND).floor() + 1.0) / PER_SECOND;
        let whole = std::mem::replace(&mut self.open, Segment::of(at));
        let shifted = self.close(whole);
        if at.x >= self.next_fit {
            self.fit(at.x);
            self.next_fit = at.x + (at.x * FIT_SHARE).clamp(SHORTEST_FIT, LONGEST_FIT);
        }
        if shifted { Verdict::Shifted } else { Verdict::Taken }
    }

    /// Takes in a whole segment, and says whether it made a level shift certain.
    fn close(&mut self, segment: Segment) -> bool {
        if self.recent_len == RECENT {
            let oldest = self.recent[self.recent_start];
            self.recent_start = (self.recent_start + 1) % RECENT;
            self.recent_len -= 1;
            self.history.push(oldest, self.about);
        }
        self.recent[(self.recent_start + self.recent_len) % RECENT] = segment;
        self.recent_len += 1;
        let before = if self.off > 0 { self.side } else { 0 };
        let side = self.level.side(&segment, self.about, before);
        if side == 0 {
            // What was off was a busy queue, and counts as that.
            self.off = 0;
            self.level.take(&segment, self.about);
            return false;
        }
        self.off = if side == self.side { (self.off + 1).min(self.recent_len) } else { 1 };
        self.side = side;
        let first = (self.recent_start + self.recent_len - self.off) % RECENT;
        let since = segment.mean.x - self.recent[first].mean.x;
        if since < self.config.shift_after.as_secs_f64() && self.off < RECENT {
            return false;
        }
        self.recent[first].shifted = true;
        let off = self.off;
        let (start, len) = (self.recent_start, self.recent_len);
        let recent = &self.recent;
        let since_shift = (len - off..len).map(|index| &recent[(start + index) % RECENT]);
        self.level.move_to(since_shift, self.about);
        self.off = 0;
        self.stats.shifts += 1;
        debug!(shifts = self.stats.shifts, side, "the delay has another level");
        true
    }

    fn fit(&mut self, now: f64) {
        let (start, kept) = (self.recent_start, self.recent_len - self.off);
        let recent = (0..kept).map(|index| &self.recent[(start + index) % RECENT]);
        let mut segments = [Segment::default(); MAX_SEGMENTS];
        let len = self.history.lay_out(recent, self.about, &mut segments);
        let step = f64::from(self.step.min(LARGEST_STEP)) / 1e3;
        let Some(found) = self.narrow(&segments[..len], step) else { return };
        self.stats.fits += 1;

        // The delay falls where the sender is fast.
        let limit = self.config.limit;
        let drift = |slope: f64| 1e6 / (1.0 + slope * 1e-6) - 1e6;
        let slope = found.ppm.clamp(-0.5e6, 0.5e6);
        let ppm = drift(slope);
        self.level.tilt(now, self.about, slope.clamp(-limit, limit));
        self.about = slope.clamp(-limit, limit);
        let answer = Belief::answer(self.config.prior, found.error)
            .given(ppm, found.error)
            .cautious(found.error, self.config.prior);
        let doubt = Belief::doubt(self.config.prior).given(ppm, found.error);
        let answered = answer.mean().clamp(-limit, limit);
        self.estimate.ppm = answered;
        self.estimate.sigma = doubt.sigma().hypot(doubt.mean() - answered);
        self.estimate.doubt = doubt;
        self.estimate.measured = ppm.clamp(-limit, limit);
        self.estimate.error = found.error;
        self.estimate.span = Duration::from_secs_f64(now.max(0.0));
        self.estimate.state = if self.off > 0 {
            State::Holding
        } else if found.error <= LOCKED {
            State::Locked
        } else {
            State::Settling
        };
    }

    /// The best slope over all segments or, while that is better, over the later half of
    /// them: what is long past tells of a drift that was.
    fn narrow(&self, segments: &[Segment], step: f64) -> Option<Slope> {
        let mut found: Option<Slope> = None;
        let mut segments = segments;
        loop {
            let (first, last) = (segments.first()?, segments.last()?);
            let span = last.mean.x - first.mean.x;
            let slope = fit::best(Input { segments, about: self.about, step });
            let wandered = self.config.wander * span / 120.0;
            let slope = slope.map(|slope| Slope { error: slope.error.hypot(wandered), ..slope });
            match (found, slope) {
                (Some(before), Some(now)) if now.error < GAIN * before.error => found = Some(now),
                (None, Some(now)) => found = Some(now),
                _ => return found,
            }
            let half = segments.len() / 2;
            // A half is less exact, so it is only better by what the drift wandered.
            let matters = found.is_none_or(|found| wandered > MATTERS * found.error);
            if half < LEAST_HALF || !matters {
                return found;
            }
            segments = &segments[half..];
        }
    }
}

impl Course {
    /// Where an observation lies. Differences of whole numbers first, so that it does not
    /// matter where the sender's ticks start.
    fn point(&self, arrival: Instant, reading: Reading) -> Point {
        let ahead = i128::from(reading.ticks) - i128::from(self.start.ticks);
        // Further than 2⁶³ ticks is far enough.
        let ahead = i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX });
        let x = ahead as f64 / reading.hz as f64;
        let micros =
            |span: Duration| span.as_secs() as f64 * 1e6 + f64::from(span.subsec_nanos()) * 1e-3;
        let elapsed = match arrival.checked_duration_since(self.arrival) {
            Some(after) => micros(after),
            None => -micros(self.arrival.saturating_duration_since(arrival)),
        };
        Point { x, y: elapsed - x * 1e6 }
    }
}

/// The largest step that `step` and `span` are multiples of; 0 is a multiple of all.
fn common_step(step: u32, span: u32) -> u32 {
    if step == 1 || step > 1 && span.is_multiple_of(step) {
        return step;
    }
    let (mut a, mut b) = (step, span);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Segments in a second of the sender.
const PER_SECOND: f64 = 4.0;

/// Segments that are held back until it is known which level they have: 4 s.
const RECENT: usize = 16;

/// Observations in a row that continue nothing before the estimate starts anew: one may
/// be a stray, three are another clock.
const STRAYS: u32 = 3;

/// Seconds before the first fit.
const FIRST_FIT: f64 = 1.0;

/// A fit for each 24th of the time so far: the slope hardly moves meanwhile.
const FIT_SHARE: f64 = 1.0 / 24.0;

/// Seconds between fits at least.
const SHORTEST_FIT: f64 = 0.25;

/// Seconds between fits at most.
const LONGEST_FIT: f64 = 8.0;

/// ppm of standard error below which the estimate is locked: what it leaves uncorrected
/// moves a buffer by less than 20 ms in an hour.
const LOCKED: f64 = 5.0;

/// What a half must improve the error to, so that chance does not halve it.
const GAIN: f64 = 0.8;

/// The share of the error that wandering must have for a half to be asked: with less, it
/// cannot improve by as much.
const MATTERS: f64 = 0.6;

/// Segments in a half that is still asked.
const LEAST_HALF: usize = 12;

/// In nanoseconds. What a coarser step than 2 ms is of may be the packets, which then come
/// without any jitter.
const LARGEST_STEP: u32 = 2_000_000;
