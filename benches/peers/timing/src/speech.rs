//! Sound that is as hard to stretch as speech: voiced, unvoiced and pauses, from a seed.
//!
//! On a steady tone every period is like the next and time-stretching always succeeds;
//! here the pitch glides, the formants change and a third of the time has no pitch at all.

use std::f64::consts::TAU;

use crate::random::Random;

/// `seconds` of mono sound at 48 kHz, full scale ±1.
pub(crate) fn synthesise(seconds: usize) -> Vec<f32> {
    let mut random = Random::new(SEED);
    let mut samples = Vec::with_capacity(seconds * RATE);
    while samples.len() < seconds * RATE {
        let ms = 60.0 + 180.0 * random.uniform();
        let count = (ms * RATE as f64 / 1e3) as usize;
        match random.below(10) {
            0..=5 => voiced(&mut samples, count, &mut random),
            6..=7 => unvoiced(&mut samples, count, &mut random),
            _ => samples.extend((0..count * 2).map(|_| (1e-4 * random.normal()) as f32)),
        }
    }
    samples.truncate(seconds * RATE);
    samples
}

/// As 16 bits.
pub(crate) fn to_i16(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0) as i16).collect()
}

/// Pulses of a gliding pitch through three formants.
fn voiced(samples: &mut Vec<f32>, count: usize, random: &mut Random) {
    let pitch = 90.0 + 130.0 * random.uniform();
    let glide = pitch * (random.uniform() - 0.5) * 0.4;
    let mut formants = [
        Resonator::new(300.0 + 500.0 * random.uniform(), 80.0),
        Resonator::new(900.0 + 1_300.0 * random.uniform(), 110.0),
        Resonator::new(2_300.0 + 900.0 * random.uniform(), 160.0),
    ];
    let mut phase = 0.0;
    for n in 0..count {
        let along = n as f64 / count as f64;
        // A period differs from the next by about 1 %, as the voice's does.
        phase += (pitch + glide * along) * (1.0 + 0.01 * random.normal()) / RATE as f64;
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase -= pulse;
        let source = pulse + 0.01 * random.normal();
        let sound: f64 = formants.iter_mut().map(|formant| formant.step(source)).sum();
        samples.push((0.6 * envelope(along) * sound).clamp(-1.0, 1.0) as f32);
    }
}

/// Noise through one wide resonance.
fn unvoiced(samples: &mut Vec<f32>, count: usize, random: &mut Random) {
    let mut band = Resonator::new(3_500.0 + 3_000.0 * random.uniform(), 1_500.0);
    for n in 0..count {
        let sound = band.step(random.normal());
        samples.push((0.03 * envelope(n as f64 / count as f64) * sound) as f32);
    }
}

fn envelope(along: f64) -> f64 {
    (along * 8.0).min((1.0 - along) * 8.0).clamp(0.0, 1.0)
}

/// Two poles at a frequency and a bandwidth in Hz.
#[derive(Debug)]
struct Resonator {
    gain: f64,
    feedback: (f64, f64),
    last: (f64, f64),
}

impl Resonator {
    fn new(hz: f64, bandwidth: f64) -> Self {
        let radius = (-TAU / 2.0 * bandwidth / RATE as f64).exp();
        let feedback = (2.0 * radius * (TAU * hz / RATE as f64).cos(), -radius * radius);
        // About one at the peak for noise, a tenth for pulses: formants fall off.
        Self { gain: (1.0 - radius) * 8.0, feedback, last: (0.0, 0.0) }
    }

    fn step(&mut self, input: f64) -> f64 {
        let output =
            self.gain * input + self.feedback.0 * self.last.0 + self.feedback.1 * self.last.1;
        self.last = (output, self.last.0);
        output
    }
}

const RATE: usize = 48_000;

/// Any: the day this was written.
const SEED: u64 = 20_261_121;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_loud_enough_to_stretch_and_never_clips_for_long() {
        let samples = synthesise(10);
        assert_eq!(samples.len(), 10 * RATE);
        let rms = (samples.iter().map(|s| f64::from(s * s)).sum::<f64>() / 480_000.0).sqrt();
        assert!((0.02..0.4).contains(&rms), "{rms}");
        let clipped = samples.iter().filter(|sample| sample.abs() >= 1.0).count();
        assert!(clipped < 480, "{clipped}");
    }
}
