//! From 48 kHz to the rate of a device that has no 48 kHz.

use std::f64::consts::PI;

/// Makes sound at 48 kHz one at another rate: a windowed sinc for each place that an output
/// frame can have between two input frames. Both rates are whole numbers, so there are only
/// so many.
///
/// Devices that take 48 kHz, and these are nearly all, need none. `Resampler` goes before it:
/// that follows the clock, this is a fixed ratio.
#[derive(Debug)]
pub(super) struct Conversion {
    /// The filters, one after the other.
    bank: Vec<f32>,
    taps: usize,
    phases: usize,
    /// Input frames to an output frame, in parts of `phases`.
    step: usize,
    /// Where the next output frame lies behind the start of the line, in the same unit.
    at: usize,
    line: Vec<f32>,
}

impl Conversion {
    /// One to `rate` frames a second; `None` if it would take more than 4 MiB of filters.
    pub(super) fn to(rate: u32) -> Option<Self> {
        let common = gcd(RATE, rate.max(1));
        let (phases, step) = ((rate.max(1) / common) as usize, (RATE / common) as usize);
        // Where frames get fewer, what they cannot carry must go: the filter is as much longer.
        let cutoff = (f64::from(rate.max(1)) / f64::from(RATE)).min(1.0);
        let taps = (f64::from(TAPS) / cutoff).ceil() as usize / 2 * 2;
        if phases.checked_mul(taps)? > MAX_BANK {
            return None;
        }
        let mut bank = Vec::with_capacity(phases * taps);
        for phase in 0..phases {
            let fraction = phase as f64 / phases as f64;
            let weights = (0..taps)
                .map(|tap| kernel(tap as f64 - (taps / 2 - 1) as f64 - fraction, cutoff, taps));
            let weights: Vec<f64> = weights.collect();
            let sum: f64 = weights.iter().sum();
            bank.extend(weights.iter().map(|weight| (weight / sum) as f32));
        }
        // What is handed to it at a time is no more than that; else it would grow once.
        let mut line = Vec::with_capacity(taps + USUAL);
        line.resize(taps - 1, 0.0);
        Some(Self { bank, taps, phases, step, at: 0, line })
    }

    /// Seconds by which it is late.
    pub(super) fn latency(&self) -> f64 {
        (self.taps / 2) as f64 / f64::from(RATE)
    }

    /// Takes all of `input` in, and adds what comes of it to `output`.
    pub(super) fn convert(&mut self, input: &[f32], output: &mut Vec<f32>) {
        self.line.extend_from_slice(input);
        loop {
            let from = self.at / self.phases;
            let Some(window) = self.line.get(from..from + self.taps) else { break };
            let phase = self.at % self.phases * self.taps;
            let filter = &self.bank[phase..phase + self.taps];
            output.push(window.iter().zip(filter).map(|(sample, weight)| sample * weight).sum());
            self.at += self.step;
        }
        let gone = (self.at / self.phases).min(self.line.len());
        self.line.drain(..gone);
        self.at -= gone * self.phases;
    }
}

/// A sinc that cuts at `cutoff` of half the input's rate, under a Blackman window.
fn kernel(distance: f64, cutoff: f64, taps: usize) -> f64 {
    let place = distance / (taps / 2) as f64;
    if place.abs() >= 1.0 {
        return 0.0;
    }
    let angle = PI * distance * cutoff;
    let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
    sinc * (0.42 + 0.5 * (PI * place).cos() + 0.08 * (2.0 * PI * place).cos())
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The clock of all sound here (RFC 7587 §4.1).
const RATE: u32 = 48_000;

/// As many as `Resampler` has.
const TAPS: u32 = 32;

/// 20 ms, and what the clock may add.
const USUAL: usize = 1_000;

/// 4 MiB of `f32`. 44.1 kHz takes 21 KiB; a rate that has nothing in common with 48 kHz, of
/// which there is no device, up to 6 MB.
const MAX_BANK: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of a tone, as it comes out at `rate`: its level, and that of all the rest.
    fn tone(hz: f64, rate: u32) -> (f64, f64) {
        let mut conversion = Conversion::to(rate).unwrap();
        let input: Vec<f32> =
            (0..48_000).map(|i| (2.0 * PI * hz * f64::from(i) / 48_000.0).sin() as f32).collect();
        let mut output = Vec::new();
        input.chunks(333).for_each(|piece| conversion.convert(piece, &mut output));
        let made = output.len() as i64 - i64::from(rate);
        assert!(made.abs() <= i64::from(rate / 1_000) + 1, "{made}");
        let heard = &output[output.len() / 2..];
        let (mut sin, mut cos) = (0.0, 0.0);
        let turn = |i: usize| 2.0 * PI * hz * i as f64 / f64::from(rate);
        for (i, &sample) in heard.iter().enumerate() {
            sin += f64::from(sample) * turn(i).sin() * 2.0 / heard.len() as f64;
            cos += f64::from(sample) * turn(i).cos() * 2.0 / heard.len() as f64;
        }
        let rest: f64 = heard
            .iter()
            .enumerate()
            .map(|(i, &it)| (f64::from(it) - sin * turn(i).sin() - cos * turn(i).cos()).powi(2))
            .sum();
        let power = (sin * sin + cos * cos) / 2.0;
        let decibels = |power: f64| 10.0 * (power + 1e-18).log10();
        (decibels(2.0 * power), decibels(rest / heard.len() as f64 / power))
    }

    #[test]
    fn a_tone_stays_that_tone_at_any_rate_of_a_device() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 192_000] {
            let (level, rest) = tone(1_000.0, rate);
            assert!(level.abs() < 0.1 && rest < -70.0, "{rate}: {level} dB, {rest} dB");
        }
        let (level, rest) = tone(12_000.0, 44_100);
        assert!(level.abs() < 0.2 && rest < -60.0, "{level} dB, {rest} dB");
    }

    #[test]
    fn what_a_rate_cannot_carry_is_taken_out() {
        let mut conversion = Conversion::to(16_000).unwrap();
        let input: Vec<f32> =
            (0..48_000).map(|i| (2.0 * PI * f64::from(i) * 0.25).sin() as f32).collect();
        let mut output = Vec::new();
        conversion.convert(&input, &mut output);
        let loudest = output[200..].iter().fold(0.0_f32, |most, it| most.max(it.abs()));
        assert!(loudest < 0.001, "12 kHz come through as {loudest}");
    }

    #[test]
    fn a_rate_that_would_take_too_much_memory_is_refused() {
        assert!(Conversion::to(47_999).is_none());
        assert!(Conversion::to(383_999).is_none());
        assert!(Conversion::to(0).is_none() || Conversion::to(1).is_none());
    }
}
