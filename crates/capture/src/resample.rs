//! Another sample rate, for a file that is loaded once.

use std::f64::consts::PI;

/// Brings samples from rate `from` to rate `to`, both in Hz.
///
/// A Blackman-windowed sinc of 32 zero crossings a side, its cut-off at 95 % of the
/// lower Nyquist frequency: a sine in the pass band keeps a signal-to-noise ratio of
/// more than 70 dB. It has no state to go on from, so it is for files, not for a
/// call.
pub(crate) fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let common = gcd(from, to);
    // `to` ticks of the output are `from` of the input: so many different places
    // between two input samples does an output sample have.
    let (step, phases) = (u64::from(from / common), u64::from(to / common));
    let cutoff = 0.95 * (f64::from(to) / f64::from(from)).min(1.0);
    let reach = (CROSSINGS / cutoff).ceil();
    let taps = 2 * reach as usize;
    let filters: Vec<Vec<f32>> = (0..phases)
        .map(|phase| {
            let fraction = phase as f64 / phases as f64;
            let at = |tap: usize| fraction + reach - 1.0 - tap as f64;
            (0..taps).map(|tap| kernel(at(tap), cutoff, reach) as f32).collect()
        })
        .collect();
    let count = samples.len() as u64 * phases / step;
    (0..count)
        .map(|index| {
            let filter = &filters[(index * step % phases) as usize];
            let first = (index * step / phases) as i64 + 1 - reach as i64;
            // Before the first sample and after the last there is silence.
            let skip = first.min(0).unsigned_abs() as usize;
            let inside = samples.get(first.max(0) as usize..).unwrap_or_default();
            filter[skip..].iter().zip(inside).map(|(tap, sample)| tap * sample).sum()
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn kernel(x: f64, cutoff: f64, reach: f64) -> f64 {
    let phase = PI * x / reach;
    let window = 0.42 + 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
    let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
    cutoff * sinc * window
}

const CROSSINGS: f64 = 32.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: f64, count: usize) -> Vec<f32> {
        (0..count).map(|n| (0.5 * (2.0 * PI * hz * n as f64 / rate).sin()) as f32).collect()
    }

    #[test]
    fn a_sine_stays_the_same_sine() {
        for from in [8_000, 16_000, 44_100, 96_000] {
            let input = sine(997.0, f64::from(from), from as usize);
            let output = resample(&input, from, 48_000);
            let ideal = sine(997.0, 48_000.0, output.len());
            let middle = 4_800..output.len() - 4_800;
            let error: f64 = middle.clone().map(|n| f64::from(output[n] - ideal[n]).powi(2)).sum();
            let snr = 10.0 * (0.125 * middle.len() as f64 / error).log10();
            assert!(snr > 70.0, "{from} Hz: {snr:.1} dB");
        }
    }
}
