//! Another sample rate, as the samples come.

use std::f64::consts::PI;

/// Brings a device's samples to 48 kHz.
///
/// A polyphase filter: a sinc under a Kaiser window, 48 of its zero crossings a side. Below 89 %
/// of the lower Nyquist frequency it is flat within 0.01 dB; what would fold is 80 dB down.
/// The sample that comes out n-th stands for the instant of the input's n·rate/48,000-th: the
/// filter delays when a sample can be had, by its 48 crossings, but not what it is of.
#[derive(Debug)]
pub(super) struct Resampler {
    /// `step` input samples are `phases` output samples.
    step: usize,
    phases: usize,
    /// Of each phase, side by side.
    filters: Vec<f32>,
    taps: usize,
    /// Input that is still needed, the oldest first.
    held: Vec<f32>,
    phase: usize,
}

impl Resampler {
    /// From `rate`, in Hz, which must be one of [`RATES`].
    pub(super) fn new(rate: u32) -> Self {
        let common = gcd(rate, OUTPUT_RATE);
        let (step, phases) = ((rate / common) as usize, (OUTPUT_RATE / common) as usize);
        if rate == OUTPUT_RATE {
            return Self { step, phases, filters: Vec::new(), taps: 1, held: Vec::new(), phase: 0 };
        }
        let lower = (f64::from(OUTPUT_RATE) / f64::from(rate)).min(1.0);
        let reach = (CROSSINGS / lower).ceil();
        let cutoff = lower * (1.0 - HALF_TRANSITION);
        let taps = 2 * reach as usize;
        let filters = (0..phases)
            .flat_map(|phase| {
                let fraction = phase as f64 / phases as f64;
                (0..taps).map(move |tap| {
                    kernel(fraction + reach - 1.0 - tap as f64, cutoff, reach) as f32
                })
            })
            .collect();
        // Before the first sample there was silence, up to the middle of the filter.
        let mut held = Vec::with_capacity(8 * taps + 4_096);
        held.resize(taps / 2 - 1, 0.0);
        Self { step, phases, filters, taps, held, phase: 0 }
    }

    /// Takes samples in and puts those that they make after what `output` has.
    pub(super) fn resample(&mut self, samples: &[f32], output: &mut Vec<f32>) {
        if self.filters.is_empty() {
            output.extend_from_slice(samples);
            return;
        }
        self.held.extend_from_slice(samples);
        let mut first = 0;
        while let Some(inputs) = self.held.get(first..first + self.taps) {
            let filter = &self.filters[self.phase * self.taps..][..self.taps];
            output.push(dot(filter, inputs));
            self.phase += self.step;
            first += self.phase / self.phases;
            self.phase %= self.phases;
        }
        // A step is at most four samples, the filter far longer: `first` is within.
        self.held.copy_within(first.., 0);
        self.held.truncate(self.held.len() - first);
    }

    /// How many input samples bring at least `count` more output samples, and few besides.
    pub(super) fn needed(&self, count: usize) -> usize {
        if self.filters.is_empty() {
            return count;
        }
        let last = (self.phase + count.saturating_sub(1) * self.step) / self.phases;
        (last + self.taps).saturating_sub(self.held.len())
    }
}

/// Eight sums side by side, which a compiler makes one instruction of.
fn dot(filter: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (filters, samples) = (filter.chunks_exact(8), samples.chunks_exact(8));
    let rest = filters.remainder().iter().zip(samples.remainder());
    let rest: f32 = rest.map(|(tap, sample)| tap * sample).sum();
    for (taps, samples) in filters.zip(samples) {
        for (sum, (tap, sample)) in sums.iter_mut().zip(taps.iter().zip(samples)) {
            *sum += tap * sample;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn kernel(x: f64, cutoff: f64, reach: f64) -> f64 {
    let inside = 1.0 - (x / reach) * (x / reach);
    let window = if inside > 0.0 { bessel(BETA * inside.sqrt()) / bessel(BETA) } else { 0.0 };
    let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
    cutoff * sinc * window
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

/// What a frame of sound has: RFC 7587 §4.1.
pub(super) const OUTPUT_RATE: u32 = 48_000;

/// Rates a device may be asked for, the best first: ours, then those that lose nothing, then
/// the others. Each makes a filter of at most 640 phases.
pub(super) const RATES: [u32; 12] = [
    48_000, 96_000, 192_000, 88_200, 176_400, 44_100, 32_000, 24_000, 22_050, 16_000, 11_025, 8_000,
];

const CROSSINGS: f64 = 48.0;

/// Kaiser's formulae for 80 dB: β = 0.1102 · (80 − 8.7), and a transition that is
/// (80 − 7.95) / (14.36 · 96) of the rate wide, here half of it, of the Nyquist frequency.
/// (J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", 1974)
const BETA: f64 = 7.857;
const HALF_TRANSITION: f64 = 0.052_3;

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, count: usize) -> Vec<f32> {
        let step = 2.0 * PI * hz / f64::from(rate);
        (0..count).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    }

    /// A second through the filter, in pieces of many sizes.
    fn through(rate: u32, input: &[f32]) -> Vec<f32> {
        let (mut resampler, mut output) = (Resampler::new(rate), Vec::new());
        let (mut rest, mut len) = (input, 1);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(len));
            resampler.resample(piece, &mut output);
            (rest, len) = (after, len * 7 % 1_031);
        }
        output
    }

    fn db(samples: impl Iterator<Item = f64>) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for sample in samples {
            sum += sample * sample;
            count += 1.0;
        }
        10.0 * (sum / count / 0.125_f64).log10()
    }

    #[test]
    fn a_sine_of_the_pass_band_comes_out_as_it_went_in_and_when() {
        for rate in RATES {
            let lower = f64::from(rate.min(OUTPUT_RATE)) / 2.0;
            for part in [0.02, 0.3, 0.6, 0.89] {
                let hz = lower * part;
                let output = through(rate, &sine(hz, rate, rate as usize));
                let ideal = sine(hz, OUTPUT_RATE, output.len());
                let middle = 4_800..output.len() - 4_800;
                let error = db(middle.map(|n| f64::from(output[n] - ideal[n])));
                assert!(error < -65.0, "{rate} Hz, {hz} Hz: {error:.1} dB");
            }
        }
    }

    #[test]
    fn what_would_fold_is_80_db_down() {
        for (rate, hz) in [(96_000, 24_100.0), (96_000, 40_000.0), (192_000, 30_000.0)] {
            let output = through(rate, &sine(hz, rate, rate as usize));
            let middle = 4_800..output.len() - 4_800;
            let level = db(middle.map(|n| f64::from(output[n])));
            assert!(level < -78.0, "{rate} Hz, {hz} Hz: {level:.1} dB");
        }
    }

    #[test]
    fn no_sample_is_made_or_lost() {
        for rate in RATES {
            let output = through(rate, &vec![0.25; rate as usize]);
            // The last ones wait for the other half of the filter.
            let lower = f64::from(rate.min(OUTPUT_RATE));
            let waiting = (CROSSINGS * f64::from(OUTPUT_RATE) / lower).ceil() as usize;
            assert!(
                (48_000 - waiting..=48_000).contains(&output.len()),
                "{rate}: {}",
                output.len()
            );
        }
    }

    #[test]
    fn what_it_says_it_needs_is_enough_and_little_more() {
        for rate in RATES {
            let (mut resampler, mut output) = (Resampler::new(rate), Vec::new());
            for _ in 0..100 {
                let before = output.len();
                let needed = resampler.needed(960);
                resampler.resample(&vec![0.0; needed], &mut output);
                let made = output.len() - before;
                let most = 960 + (48_000 / rate as usize);
                assert!((960..=most).contains(&made), "{rate}: {made}");
            }
        }
    }
}
