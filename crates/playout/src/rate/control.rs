//! How fast a source is to be played.

use paceline_types::PlayoutRate;
/// What is to be done in the next 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Order {
    /// For the resampler.
    pub(crate) ppm: f64,
    /// For the stretcher.
    pub(crate) stretch: f64,
}

/// Steers the level of one source's queue.
///
/// What it looks at is, for each frame, how long after it came it is played: what
/// was queued before it, and what is left of the tick. That has no saw-tooth of
/// ticks and frames in it, only the unevenness of the frames and the drift.
///
/// As long as no frame comes close to being late, the delay that there was at the
/// start is kept. When one does, the delay goes to where no frame can be late,
/// wherever between two ticks it comes: the cushion, and what frames come late by.
#[derive(Debug)]
pub(crate) struct RateControl {
    cushion: f64,
    bound: f64,
    asked: PlayoutRate,
    /// Frames seen and ticks played since the start.
    frames: u32,
    ticks: u32,
    /// The delay of frames, smoothed; samples.
    mean: f64,
    /// What it is to be now; it moves slowly to what it is to become.
    reference: f64,
    /// It is to become what is safe, not what it was.
    safe: bool,
    /// Until then, what it is to become.
    held: f64,
    /// Whether the level is brought near by stretching, and from which side.
    stretching: f64,
    /// The rest of the drift, found by the loop; 1 is twice as fast.
    integral: f64,
    spans: [Span; SPANS],
}

/// The frames of some seconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The most that a frame was later than the mean; samples.
    lateness: f64,
    /// The most that one was earlier; samples.
    earliness: f64,
    /// The least by which a frame could have been later; samples.
    spare: f64,
}

impl Span {
    const EMPTY: Self = Self { lateness: 0.0, earliness: 0.0, spare: f64::INFINITY };
}

impl RateControl {
    /// Of a source whose queue is to keep `cushion` samples and holds `bound`.
    pub(crate) const fn new(cushion: usize, bound: usize) -> Self {
        Self {
            cushion: cushion as f64,
            bound: bound as f64,
            asked: PlayoutRate { drift_ppm: 0.0, stretch: 0.0 },
            frames: 0,
            ticks: 0,
            mean: 0.0,
            reference: 0.0,
            safe: false,
            held: 0.0,
            stretching: 0.0,
            integral: 0.0,
            spans: [Span::EMPTY; SPANS],
        }
    }

    pub(crate) fn set(&mut self, rate: PlayoutRate) {
        let within = |x: f64, most: f64| if x.is_nan() { 0.0 } else { x.clamp(-most, most) };
        let drift_ppm = within(rate.drift_ppm, MAX_RATE * 1e6);
        // What is told now and was learned before is one drift, not two.
        let told = (drift_ppm - self.asked.drift_ppm) * 1e-6;
        if told * self.integral > 0.0 {
            self.integral -= told.signum() * told.abs().min(self.integral.abs());
        }
        self.asked = PlayoutRate { drift_ppm, stretch: within(rate.stretch, MAX_STRETCH) };
    }

    /// Starts anew, after a silence. What is known of the clock stays.
    pub(crate) fn restart(&mut self) {
        let Self { cushion, bound, asked, integral, .. } = *self;
        *self = Self { asked, integral, ..Self::new(cushion as usize, bound as usize) };
    }

    /// A frame came when `queued` samples were there and `until_tick` were left
    /// of the tick, less than nothing if it is overdue.
    pub(crate) fn observe(&mut self, queued: usize, until_tick: i64) {
        let (queued, until_tick) = (queued as f64, until_tick as f64);
        let delay = queued + until_tick;
        self.frames = self.frames.saturating_add(1);
        self.mean += (delay - self.mean) * SMOOTHING.max(1.0 / f64::from(self.frames));
        let span = &mut self.spans[0];
        // After it ran dry the mean is new, but to wait would be to run dry again.
        if self.frames >= if self.safe { 2 * FEW } else { ENOUGH } {
            span.lateness = span.lateness.max(self.mean - delay);
            span.earliness = span.earliness.max(delay - self.mean);
        }
        let served = ((queued + ELASTIC) / TICK).floor() * TICK;
        span.spare = span.spare.min(until_tick + served);
    }

    /// There was nothing left to play: what comes next has another delay, and is
    /// not to be as close to that again.
    pub(crate) const fn ran_dry(&mut self) {
        self.frames = 0;
        self.ticks = 0;
        self.safe = true;
        self.stretching = 0.0;
    }

    /// The queue got `samples` longer or shorter by other means than time.
    pub(crate) fn shift(&mut self, samples: f64) {
        self.mean += samples;
        self.reference += samples;
        self.held += samples;
    }

    /// A tick took what it needed and left `samples`.
    ///
    /// As long as everything is even and nothing drifts, there may be none. Else
    /// the delay rises to where some are always left.
    pub(crate) fn left(&mut self, samples: usize) {
        let missing = LEFT - samples as f64;
        let even = self.spans.iter().all(|span| span.lateness <= EVEN);
        let drifts = self.asked.drift_ppm != 0.0 || self.integral.abs() > EVEN_RATE;
        if missing > 0.0 && (drifts || !even) {
            self.held = self.held.max(self.mean + missing);
        }
    }

    /// The delay of frames, smoothed; samples.
    pub(crate) const fn level(&self) -> f64 {
        self.mean
    }

    /// 20 ms more are to be played.
    pub(crate) fn tick(&mut self) -> Order {
        self.ticks = self.ticks.saturating_add(1);
        let drift = self.asked.drift_ppm * 1e-6;
        if self.ticks.is_multiple_of(SPAN_TICKS) {
            self.spans.rotate_right(1);
            self.spans[0] = Span::EMPTY;
        }

        // What comes faster by as much lengthens what is queued; the stretcher takes
        // it out again.
        self.shift(self.asked.stretch * TICK);
        let known = (drift + self.integral).clamp(-MAX_RATE, MAX_RATE);
        // A fast clock needs a fast way out, and has less of the range left for it.
        let slope = (RAMP + known.abs()).min(0.95 * (MAX_RATE - known.abs()));
        if self.frames < FEW || (self.ticks < WARM_UP && !self.safe) {
            self.reference = self.mean;
            self.held = self.mean;
        }
        let target = if self.frames < FEW { self.mean } else { self.target(known, slope) };
        let step = ((target - self.reference) * EASE).clamp(-slope * TICK, slope * TICK);
        self.reference += step;
        let error = self.mean - self.reference;
        let proportional = (PROPORTIONAL * error / RATE).clamp(-MAX_PULL, MAX_PULL);
        let learned = error.clamp(-MAX_LEARNED, MAX_LEARNED);
        self.integral += INTEGRAL * TICK_SECONDS * learned / RATE;
        self.integral = self.integral.clamp(-MAX_RATE, MAX_RATE);
        // To let the level rise is to play slower.
        let rate = drift + self.integral + proportional - step / TICK;

        let far = self.mean - target;
        // While frames come slower there is no time to be gentle.
        let under = if self.asked.stretch < 0.0 { FAR_UNDER / 2.0 } else { FAR_UNDER };
        if !(-under..=FAR_OVER).contains(&far) {
            self.stretching = far.signum();
        } else if far * self.stretching < NEAR {
            // There, or beyond: a period is longer than what is left.
            self.stretching = 0.0;
        }
        let stretch = if self.stretching == 0.0 { 0.0 } else { far / STRETCH_TIME };
        Order {
            ppm: rate.clamp(-MAX_RATE, MAX_RATE) * 1e6,
            stretch: self.asked.stretch + stretch.clamp(-MAX_STRETCH, MAX_STRETCH),
        }
    }

    /// The delay to go to, for a source that is fast by `drift` and with no more
    /// than a `slope` of it.
    fn target(&mut self, drift: f64, slope: f64) -> f64 {
        let most = |of: fn(&Span) -> f64| self.spans.iter().map(of).fold(0.0, f64::max);
        let lateness = most(|span| span.lateness).min(MAX_LATENESS);
        let earliness = most(|span| span.earliness).min(MAX_LATENESS);
        let spare = self.spans.iter().map(|span| span.spare).fold(f64::INFINITY, f64::min);
        // The earliest must find room.
        let highest = (self.bound - TICK - earliness).max(0.0);
        let safe = (self.cushion + MARGIN * lateness + LEAST_MARGIN).min(highest);
        // Where frames come between two ticks moves by the drift while the level
        // rises by up to a tick.
        let guard = 0.5 * lateness + (drift.abs() + self.asked.stretch.abs()) * TICK / slope;
        let warm = self.ticks >= WARM_UP;
        self.safe |= spare < guard || (warm && self.held > safe);
        if self.safe { safe } else { self.held }
    }
}

/// Samples in a second.
const RATE: f64 = 48_000.0;

/// Samples in a tick.
const TICK: f64 = 960.0;

const TICK_SECONDS: f64 = 0.02;

/// What the resampler can do: 1 %.
const MAX_RATE: f64 = 0.01;

/// 5 %, for the jitter buffer and for the level each: hardly noticed in speech.
const MAX_STRETCH: f64 = 0.05;

/// The loop has its corner at 0.02 Hz, ω = 0.126/s, and is critically damped:
/// 2ω …
const PROPORTIONAL: f64 = 0.25;

/// … and ω². A level that wanders faster is not drift.
const INTEGRAL: f64 = 0.0158;

/// What the level may add to the drift: 0.2 %, 3.5 cents. 1 % is 17, which is
/// heard in music.
const MAX_PULL: f64 = 0.002;

/// 8 ms, where [`MAX_PULL`] is reached: an error beyond that is no sooner learned.
const MAX_LEARNED: f64 = 384.0;

/// The slope with which the level goes elsewhere: 0.1 %, a frame in 20 s, and the
/// drift.
const RAMP: f64 = 0.001;

/// The part of the way there that is gone in a tick, if it is not too steep: a
/// time constant of 1 s, so that a small change of mind is no change of pitch.
const EASE: f64 = 0.02;

/// 1 ms: what is to be left after a tick, by what the level wanders.
const LEFT: f64 = 48.0;

/// Samples: frames that are no later than this are even; they are counted in
/// samples …
const EVEN: f64 = 2.0;

/// … and a rate below 1 ppm is the rounding of that.
const EVEN_RATE: f64 = 1e-6;

/// Of lateness: the highest that was seen is not the highest there is.
const MARGIN: f64 = 1.05;

/// 0.5 ms: by what the level wanders.
const LEAST_MARGIN: f64 = 24.0;

/// 20 ms: later than that is no unevenness of threads, and is not waited for.
const MAX_LATENESS: f64 = 960.0;

/// Samples that a block may lack: the resampler makes up for 1 %.
const ELASTIC: f64 = 8.0;

/// A time constant of 2 s at 50 frames a second: 1 − e^(−20/2000).
const SMOOTHING: f64 = 0.01;

/// Frames of 0.1 s: before that there is no mean …
const FEW: u32 = 5;

/// … of 2 s: before that it says nothing of one frame …
const ENOUGH: u32 = 100;

/// … and before 2 s not where to go.
const WARM_UP: u32 = 100;

/// Spans of 2.5 s …
const SPAN_TICKS: u32 = 125;

/// … and so 10 s that count.
const SPANS: usize = 4;

/// 10 ms over what it is to be, the delay is worth a seam.
const FAR_OVER: f64 = 480.0;

/// 10 ms under it, it is worth one too, to be safe sooner.
const FAR_UNDER: f64 = 480.0;

/// 2 ms: near enough for the resampler.
const NEAR: f64 = 96.0;

/// Samples of 0.1 s: the time in which a far level would come near without a bound.
const STRETCH_TIME: f64 = 4_800.0;
