//! How fast to play so that as much waits as is to.

/// Steers what waits for a device: a loop of the second order on a smoothed level, as
/// `rate/control.rs` has for the queue of a source.
///
/// It is told the level before each push. What the device took and has not played is part of
/// it, so that there is no saw-tooth of the device's periods in it: 10 ms of that against
/// pushes of 20 ms, and 300 ppm, would be a wave of half a minute, which no smoothing takes
/// out.
///
/// Where the level is not what it is to be, it goes there along a slope, and the loop sees
/// only how far it is from that. Else the way there would be taken for the clock's doing.
#[derive(Clone, Debug)]
pub(super) struct LevelControl {
    /// The level, smoothed; seconds.
    mean: f64,
    /// What it is to be now; it moves slowly to what it is to become.
    reference: f64,
    /// Levels since the start.
    seen: u32,
    /// What the device's clock is slow by, found by the loop; 1 is twice.
    integral: f64,
}

impl LevelControl {
    pub(super) const fn new() -> Self {
        Self { mean: 0.0, reference: 0.0, seen: 0, integral: 0.0 }
    }

    /// The level has jumped, or is new. What is known of the clock stays.
    pub(super) const fn restart(&mut self) {
        self.seen = 0;
    }

    /// The level, smoothed; seconds.
    pub(super) const fn mean(&self) -> f64 {
        self.mean
    }

    /// What the device's clock is fast by, as far as is known; ppm.
    pub(super) const fn drift(&self) -> f64 {
        -self.integral * 1e6
    }

    /// A push comes when `level` seconds wait, and `target` are to: how fast to play what
    /// comes, in ppm.
    pub(super) fn steer(&mut self, level: f64, target: f64) -> f64 {
        self.seen = self.seen.saturating_add(1);
        self.mean += (level - self.mean) * SMOOTHING.max(1.0 / f64::from(self.seen));
        if self.seen < FEW || (self.mean - self.reference).abs() > FAR {
            self.reference = self.mean;
        }
        let step = ((target - self.reference) * EASE).clamp(-RAMP * PUSH, RAMP * PUSH);
        let error = self.mean - self.reference;
        self.integral = (self.integral + INTEGRAL * PUSH * error).clamp(-MAX_RATE, MAX_RATE);
        let proportional = PROPORTIONAL * error;
        // What is done on purpose need not be seen first. To let it rise is to play slower.
        self.reference += step;
        self.mean += step;
        (self.integral + proportional - step / PUSH).clamp(-MAX_RATE, MAX_RATE) * 1e6
    }
}

/// 0.5 %: sound cards are off by less than 300 ppm, and 9 cents are hardly heard.
const MAX_RATE: f64 = 0.005;

/// The loop has its corner at 0.02 Hz, ω = 0.126/s, and is critically damped: 2ω …
const PROPORTIONAL: f64 = 0.25;

/// … and ω². A level that wanders faster is not drift.
const INTEGRAL: f64 = 0.0158;

/// 8 ms: a level that is further off has jumped, for no clock gets there within the loop's
/// time. What it adds to the drift is no more than 0.2 % so.
const FAR: f64 = 0.008;

/// A time constant of 2 s at 50 pushes a second: 1 − e^(−20/2000).
const SMOOTHING: f64 = 0.01;

/// Pushes of 1 s: it starts to play as soon as enough waits, up to a push more than is to, and
/// before that the mean is that of a few.
const FEW: u32 = 50;

/// The slope to another level: 0.2 %, 3.5 cents …
const RAMP: f64 = 0.002;

/// … and the part of the way there that is gone in a push, if that is not too steep: a time
/// constant of 1 s, so that a small change of mind is no change of pitch.
const EASE: f64 = 0.02;

/// Seconds of a push.
const PUSH: f64 = 0.02;
