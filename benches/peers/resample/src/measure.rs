//! Numbers from what comes out.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::f64::consts::TAU;
use std::time::Instant;

use crate::contestant::{BLOCK, Contestant};

const RATE: f64 = 48_000.0;

/// Half of full scale.
const AMPLITUDE: f64 = 0.5;

/// Blocks after which any change of the ratio is over.
const SETTLE: usize = 20;

/// Frames that are looked at.
const LEN: usize = 1 << 15;

/// What became of a tone.
pub struct Tone {
    pub snr: f64,
    pub spur: f64,
    pub gain: f64,
}

impl Tone {
    /// The worst of both.
    pub fn worse(self, other: Self) -> Self {
        let gain = if self.gain.abs() > other.gain.abs() { self.gain } else { other.gain };
        Self { snr: self.snr.min(other.snr), spur: self.spur.max(other.spur), gain }
    }
}

fn input(hz: f64, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i as f64 * hz / RATE * TAU).sin() * AMPLITUDE) as f32).collect()
}

pub fn tone(who: &Contestant, hz: f64, ppm: f64) -> Tone {
    let mut running = who.start();
    running.set_ppm(ppm);
    let input = input(hz, LEN + (SETTLE + 4) * BLOCK * 2);
    let (mut read, mut block, mut sound) = (0, [0.0; BLOCK], Vec::new());
    for number in 0..SETTLE + LEN.div_ceil(BLOCK) {
        read += running.make(&input[read..], &mut block);
        if number >= SETTLE {
            sound.extend(block.map(f64::from));
        }
    }
    sound.truncate(LEN);

    let turn = hz * (1.0 + ppm * 1e-6) / RATE * TAU;
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, &x) in sound.iter().enumerate() {
        let (s, c) = (i as f64 * turn).sin_cos();
        (ss, sc, cc, xs, xc) = (ss + s * s, sc + s * c, cc + c * c, xs + x * s, xc + x * c);
    }
    let det = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / det, (xc * ss - xs * sc) / det);
    let amplitude = a.hypot(b);
    for (i, x) in sound.iter_mut().enumerate() {
        let (s, c) = (i as f64 * turn).sin_cos();
        *x -= a * s + b * c;
    }
    let rest = sound.iter().map(|x| x * x).sum::<f64>() / LEN as f64;
    Tone {
        snr: 10.0 * (amplitude * amplitude / 2.0 / rest).log10(),
        spur: 20.0 * (strongest_line(&sound) / amplitude).log10(),
        gain: 20.0 * (amplitude / AMPLITUDE).log10(),
    }
}

/// The amplitude of the strongest line in a sound of [`LEN`].
fn strongest_line(sound: &[f64]) -> f64 {
    let mut lines: Vec<(f64, f64)> = sound
        .iter()
        .enumerate()
        .map(|(i, x)| (x * (1.0 - (i as f64 / LEN as f64 * TAU).cos()), 0.0))
        .collect();
    transform(&mut lines);
    // The window halves a line, and its other half is the negative frequency.
    let most = lines[..LEN / 2].iter().map(|(re, im)| re.hypot(*im)).fold(0.0, f64::max);
    most / (LEN as f64 / 2.0)
}

/// A discrete Fourier transform of a power of two of points, in place.
fn transform(points: &mut [(f64, f64)]) {
    let len = points.len();
    let bits = len.trailing_zeros();
    for i in 0..len {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            points.swap(i, j);
        }
    }
    let mut size = 2;
    while size <= len {
        for half in points.chunks_exact_mut(size) {
            let (low, high) = half.split_at_mut(size / 2);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let (sin, cos) = (-TAU * k as f64 / size as f64).sin_cos();
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        size *= 2;
    }
}

/// The largest sixth difference while the ratio steps, in dB of the amplitude.
pub fn step(who: &Contestant) -> f64 {
    let mut running = who.start();
    let input = input(997.0, 400 * BLOCK);
    let (mut read, mut block, mut sound) = (0, [0.0; BLOCK], Vec::new());
    let steps = [0.0, 100.0, -100.0, 500.0, -500.0, 10_000.0, -10_000.0, 0.0];
    for number in 0..160 {
        if number % 20 == 10 {
            running.set_ppm(steps[number / 20]);
        }
        read += running.make(&input[read..], &mut block);
        if number >= 2 {
            sound.extend(block.map(f64::from));
        }
    }
    let difference =
        |w: &[f64]| w[0] - 6.0 * w[1] + 15.0 * w[2] - 20.0 * w[3] + 15.0 * w[4] - 6.0 * w[5] + w[6];
    let most = sound.windows(7).map(|w| difference(w).abs()).fold(0.0, f64::max);
    20.0 * (most / AMPLITUDE).log10()
}

/// Frames from going in to coming out.
pub fn latency(who: &Contestant) -> usize {
    let mut running = who.start();
    let at = 5 * BLOCK + 123;
    let mut input = vec![0.0; 20 * BLOCK];
    input[at] = 1.0;
    let (mut read, mut block, mut sound) = (0, [0.0; BLOCK], Vec::new());
    for _ in 0..10 {
        read += running.make(&input[read..], &mut block);
        sound.extend(block);
    }
    let peak = (0..sound.len()).max_by(|&a, &b| sound[a].abs().total_cmp(&sound[b].abs()));
    read - sound.len() + peak.unwrap_or(0) - at
}

/// Nanoseconds for a frame.
pub fn nanos(who: &Contestant) -> f64 {
    let mut running = who.start();
    running.set_ppm(100.0);
    let input = input(997.0, 4 * BLOCK);
    let mut block = [0.0; BLOCK];
    let mut second = || {
        for _ in 0..50 {
            std::hint::black_box(running.make(std::hint::black_box(&input), &mut block));
        }
    };
    second();
    let runs = (0..9).map(|_| {
        let start = Instant::now();
        second();
        start.elapsed().as_nanos() as f64 / (50 * BLOCK) as f64
    });
    runs.fold(f64::INFINITY, f64::min)
}

/// Allocations in 100 blocks.
pub fn allocations(who: &Contestant) -> u64 {
    let mut running = who.start();
    let input = input(997.0, 4 * BLOCK);
    let mut block = [0.0; BLOCK];
    let mut blocks = || {
        for number in 0..100 {
            running.set_ppm(f64::from(number % 7) * 100.0);
            running.make(&input, &mut block);
        }
    };
    blocks();
    allocation_counter::measure(blocks).count_total
}
