//! Playing a little faster or slower.

use super::taps::{self, PHASE_BITS, Phase, TAPS};

/// Plays mono sound faster or slower by up to 1 %.
///
/// A polyphase windowed sinc of 32 taps. Where the next output frame lies between
/// the input frames is kept in 32.32 fixed point: what is read follows from the ratio
/// by integers alone, and the ratio is off by at most 2⁻³³. So what is read is within
/// half a frame of the ratio asked for in 24 hours.
///
/// A change of ratio is slewed, by about 1 ppm in each frame, and the place never
/// jumps, so no change is a click. At exactly one, and as long as it never was
/// anything else, it is a delay of [`LATENCY`](Self::LATENCY) frames to the bit.
///
/// Several channels take one of these each; given the same calls they stay
/// together to the frame.
///
/// ```
/// use paceline_playout::Resampler;
///
/// let mut resampler = Resampler::new();
/// // The source's clock is fast: 1000.5 frames of it last as long as 1000 of ours.
/// resampler.set_ppm(500.0);
///
/// let input = vec![0.25; 2_000];
/// let mut output = [0.0; 1_000];
/// let done = resampler.resample(&input, &mut output);
/// assert_eq!(done.written, 1_000);
/// assert_eq!(done.read, 1_000); // not 1001: the ratio is still on its way
/// assert!((output[999] - 0.25).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct Resampler {
    /// Input frames; the window of the next output frame begins in the first one
    /// after `at`.
    line: Box<[f32; LINE]>,
    filled: usize,
    /// Where that window begins, in frames of 2⁻³² from the start of the line.
    at: u64,
    /// Input frames to an output frame, in the same unit.
    step: u64,
    target: u64,
}

/// How far a call of [`Resampler::resample`] came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Resampled {
    /// Input frames taken in, from the first on.
    pub read: usize,
    /// Output frames made, from the first on.
    pub written: usize,
}

impl Resampler {
    /// Frames of input by which the output is late: half the filter.
    pub const LATENCY: usize = TAPS / 2;

    /// The largest change of speed, in ppm: 1 %.
    pub const MAX_PPM: f64 = 10_000.0;

    /// One that has heard silence so far, at a ratio of one.
    #[must_use]
    pub fn new() -> Self {
        Self { line: Box::new([0.0; LINE]), filled: TAPS - 1, at: 0, step: ONE, target: ONE }
    }

    /// Asks for a speed: input frames to an output frame, less one, in ppm. So a
    /// source whose clock is fast has a positive one.
    ///
    /// It is clamped to ±[`MAX_PPM`](Self::MAX_PPM); not a number is zero.
    pub fn set_ppm(&mut self, ppm: f64) {
        self.target = step_for(ppm);
    }

    /// As [`set_ppm`](Self::set_ppm), at once.
    pub(crate) fn jump_to_ppm(&mut self, ppm: f64) {
        self.target = step_for(ppm);
        self.step = self.target;
    }

    /// Forgets what it heard, as if it had been silence. The speed stays.
    pub fn clear(&mut self) {
        self.line[..TAPS - 1].fill(0.0);
        self.filled = TAPS - 1;
        self.at = 0;
    }

    /// The speed that the next frame is played with, in ppm.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        (self.step as f64 / ONE as f64 - 1.0) * 1e6
    }

    /// Input frames that it takes to make the next `frames` of output.
    #[must_use]
    pub fn input_for(&self, frames: usize) -> usize {
        let Some(further) = frames.checked_sub(1) else { return 0 };
        let (mut at, mut step) = (self.at, self.step);
        if step == self.target {
            at += step * further as u64;
        } else {
            for _ in 0..further {
                at += step;
                step = slewed(step, self.target);
            }
        }
        (whole(at) + TAPS).saturating_sub(self.filled)
    }

    /// Makes output until it is full or the input is at its end, and takes in no
    /// more than that needs.
    ///
    /// A sample that is not a number, infinite or beyond ±10⁶ counts as zero.
    pub fn resample(&mut self, input: &[f32], output: &mut [f32]) -> Resampled {
        let mut done = Resampled::default();
        loop {
            done.written += self.make(&mut output[done.written..]);
            // In pieces: a sum over more frames than fit the line is not needed.
            let wanted = self.input_for((output.len() - done.written).min(LINE));
            let from = whole(self.at).min(self.filled);
            self.line.copy_within(from..self.filled, 0);
            self.filled -= from;
            self.at -= (from as u64) << FRACTION_BITS;
            let take = wanted.min(input.len() - done.read).min(LINE - self.filled);
            if take == 0 {
                return done;
            }
            let slots = &mut self.line[self.filled..self.filled + take];
            for (slot, &sample) in slots.iter_mut().zip(&input[done.read..]) {
                *slot = if sample.abs() <= LOUDEST { sample } else { 0.0 };
            }
            self.filled += take;
            done.read += take;
        }
    }

    /// Makes output as far as the line goes.
    fn make(&mut self, output: &mut [f32]) -> usize {
        let bank = taps::bank();
        let mut made = 0;
        for slot in output {
            let from = whole(self.at);
            let Some(window) = self.line[..self.filled].get(from..from + TAPS) else { break };
            let fraction = self.at as u32;
            *slot = if fraction == 0 {
                window[TAPS / 2 - 1]
            } else {
                let phase = (fraction >> (32 - PHASE_BITS)) as usize;
                // The 23 bits below are exact in f32.
                let between = (fraction << PHASE_BITS >> PHASE_BITS) as f32 * BETWEEN;
                interpolate(window, &bank[phase], &bank[phase + 1], between)
            };
            self.at += self.step;
            self.step = slewed(self.step, self.target);
            made += 1;
        }
        made
    }
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

/// The window filtered by what lies `between` two phases.
///
/// Eight sums side by side, which the compiler makes into vectors; filtering
/// twice is cheaper than to make the filter in between first.
#[inline]
fn interpolate(window: &[f32], phase: &Phase, next: &Phase, between: f32) -> f32 {
    let (mut here, mut there) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let pairs = phase.chunks_exact(LANES).zip(next.chunks_exact(LANES));
    for (samples, (phase, next)) in window.chunks_exact(LANES).zip(pairs) {
        for lane in 0..LANES {
            here[lane] += samples[lane] * phase[lane];
            there[lane] += samples[lane] * next[lane];
        }
    }
    let mut sum = 0.0;
    for lane in 0..LANES {
        sum += here[lane] + (there[lane] - here[lane]) * between;
    }
    sum
}

const fn whole(at: u64) -> usize {
    (at >> FRACTION_BITS) as usize
}

fn step_for(ppm: f64) -> u64 {
    let ppm = if ppm.is_nan() { 0.0 } else { ppm.clamp(-Resampler::MAX_PPM, Resampler::MAX_PPM) };
    ONE.saturating_add_signed((ppm * 1e-6 * ONE as f64).round() as i64)
}

fn slewed(step: u64, target: u64) -> u64 {
    target.clamp(step - SLEW, step + SLEW)
}

const FRACTION_BITS: u32 = 32;

/// A ratio of one.
const ONE: u64 = 1 << FRACTION_BITS;

/// What makes the bits of a fraction below the phase a number below one.
const BETWEEN: f32 = 1.0 / (1_u32 << (32 - PHASE_BITS)) as f32;

/// 2⁻²⁰ or 0.95 ppm a frame: 1 % in 0.2 s. No slope of it is heard, and a loop
/// that steers every 20 ms gets there within its tick.
const SLEW: u64 = 1 << 12;

/// Two vectors of SSE, one of AVX.
const LANES: usize = 8;

/// What a window of 32 can be summed of without an overflow, and louder than any
/// sound.
const LOUDEST: f32 = 1e6;

/// 20 ms and a window: what is copied at a time.
const LINE: usize = 1_024;
