//! Made-up senders and paths.
#![allow(dead_code, reason = "each test uses some of it")]

use std::time::{Duration, Instant};

use paceline_drift::types::{Frequency, MediaTime};
use paceline_drift::{DriftConfig, DriftEstimator, Verdict};

/// Some instant: only spans from it count.
#[expect(clippy::disallowed_methods, reason = "there is no other way to get an instant")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }
}

/// A sender of a packet of sound each 20 ms, and a path. In microseconds.
pub(crate) struct Sender {
    pub(crate) start: Instant,
    pub(crate) first_tick: u64,
    /// How much faster its clock is than ours, in ppm.
    pub(crate) drift: f64,
    pub(crate) random: Random,
    pub(crate) packet: u64,
    pub(crate) elapsed: f64,
}

impl Sender {
    pub(crate) fn new(drift: f64, seed: u64) -> Self {
        let random = Random(seed.wrapping_mul(0x1234_5678_9abc_def1));
        Self { start: epoch(), first_tick: 77, drift, random, packet: 0, elapsed: 0.0 }
    }

    /// Lets a packet pass.
    pub(crate) fn skip(&mut self) {
        self.elapsed += 20e3 / (1.0 + self.drift * 1e-6);
        self.packet += 1;
    }

    /// The next packet, which takes `delay`.
    pub(crate) fn send(&mut self, delay: f64) -> (Instant, MediaTime) {
        let arrival = self.start + Duration::from_nanos(((self.elapsed + delay) * 1e3) as u64);
        let time = MediaTime::new(self.first_tick + self.packet * 960, Frequency::AUDIO);
        self.skip();
        (arrival, time)
    }

    /// Sends for `seconds`, with the delays that `delay` draws; says how many made a level
    /// shift certain.
    pub(crate) fn run(
        &mut self,
        to: &mut DriftEstimator,
        seconds: u64,
        mut delay: impl FnMut(&mut Random) -> f64,
    ) -> usize {
        let mut shifts = 0;
        for _ in 0..seconds * 50 {
            let delay = delay(&mut self.random);
            let (arrival, time) = self.send(delay);
            let verdict = to.handle_observation(arrival, time);
            assert_ne!(verdict, Verdict::Ignored);
            shifts += usize::from(verdict == Verdict::Shifted);
        }
        shifts
    }
}

pub(crate) fn estimator() -> DriftEstimator {
    DriftEstimator::new(DriftConfig::default())
}

/// A normal delay of 50 ms with a deviation of 5 ms.
pub(crate) fn gaussian(random: &mut Random) -> f64 {
    50e3 + 5e3 * random.normal()
}

/// An exponential delay with a mean of 20 ms.
pub(crate) fn exponential(random: &mut Random) -> f64 {
    20e3 * random.exponential()
}

/// The root of the mean square.
pub(crate) fn rms(errors: &[f64]) -> f64 {
    (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt()
}

/// Drifts that are each met, with a seed for each.
pub(crate) fn drifts(seeds: u64) -> impl Iterator<Item = (f64, u64)> {
    const DRIFTS: [f64; 8] = [-500.0, -200.0, -100.0, -50.0, 50.0, 100.0, 200.0, 500.0];
    (0..seeds).map(|seed| (DRIFTS[(seed % 8) as usize], seed))
}
