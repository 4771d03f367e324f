//! Keeps a sum of voices within full scale.
//!
//! ```text
//! out
//!  1 |                  . - - - - - -   never reached
//!    |            . -
//! .75|        /          above it the peak is bent towards 1: 1 − ¼ / (1 + 4·(peak − ¾))
//!    |     /             below it nothing is touched, bit for bit
//!    |  /
//!    +--------+--------------------- peak
//!            .75
//! ```
//!
//! It is the gain that follows this curve, not each sample, so that a loud wave
//! keeps its shape. Attack: at once, for without a look at what comes next any
//! slower one would let a peak through. Release: 150 ms.

/// The limiter of one output, with the peak it remembers.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    /// The recent peak; never below the threshold.
    peak: f32,
}

impl Limiter {
    pub(crate) const fn new() -> Self {
        Self { peak: THRESHOLD }
    }

    /// The sample, at most ±1. It must be finite.
    pub(crate) fn limit(&mut self, sample: f32) -> f32 {
        self.peak = sample.abs().max(self.peak * RELEASE).max(THRESHOLD);
        if self.peak <= THRESHOLD {
            return sample;
        }
        let bent = 1.0 - ROOM / (1.0 + (self.peak - THRESHOLD) / ROOM);
        // Rounding may end a hair beyond 1.
        (sample * (bent / self.peak)).clamp(-1.0, 1.0)
    }
}

/// −2.5 dBFS: one voice at a usual level does not come near, two loud ones do.
const THRESHOLD: f32 = 0.75;

const ROOM: f32 = 1.0 - THRESHOLD;

/// e^(−1 / (0.15 s · 48 kHz)): short enough that a cough does not duck the next
/// word, long enough that the gain barely moves within a wave of 50 Hz.
const RELEASE: f32 = 0.999_861_1;

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear congruential generator (Knuth's MMIX).
    struct Lcg(u64);

    impl Lcg {
        fn bits(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 32) as u32
        }
    }

    #[test]
    fn no_finite_input_gets_over_full_scale() {
        let mut random = Lcg(7);
        let mut limiter = Limiter::new();
        for _ in 0..500_000 {
            // Any bit pattern: denormals, full scale, the largest number.
            let sample = f32::from_bits(random.bits());
            if sample.is_finite() {
                let out = limiter.limit(sample);
                assert!(out.abs() <= 1.0, "{sample} became {out}");
            }
        }
        assert!(limiter.limit(f32::MAX) <= 1.0 && limiter.limit(f32::MIN) >= -1.0);
    }

    #[test]
    fn below_the_threshold_nothing_is_touched() {
        let mut random = Lcg(3);
        let mut limiter = Limiter::new();
        for _ in 0..100_000 {
            let sample = (random.bits() as f32 / u32::MAX as f32 * 2.0 - 1.0) * THRESHOLD;
            assert_eq!(limiter.limit(sample).to_bits(), sample.to_bits());
        }
    }

    #[test]
    fn a_loud_sine_keeps_its_shape() {
        let mut limiter = Limiter::new();
        let (mut residual, mut energy) = (0.0_f64, 0.0_f64);
        let wave = |i: i32| (i as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin() * 2.0;
        let out: Vec<f32> = (0..48_000).map(|i| limiter.limit(wave(i))).collect();
        // After the first period the output is the input times a constant.
        let gain = out[1_200..].iter().copied().fold(0.0, f32::max) / 2.0;
        for (i, out) in out.iter().enumerate().skip(1_200) {
            residual += f64::from(out - wave(i as i32) * gain).powi(2);
            energy += f64::from(*out).powi(2);
        }
        assert!(residual < energy * 1e-4, "distortion is {}", (residual / energy).sqrt());
    }

    #[test]
    fn after_a_peak_the_gain_comes_back() {
        let mut limiter = Limiter::new();
        let _ = limiter.limit(4.0);
        assert!(limiter.limit(0.5) < 0.2);
        let last = (0..48_000).map(|_| limiter.limit(0.5)).last();
        assert_eq!(last, Some(0.5));
    }
}
