//! How much of each tone is in a stretch of sound.

use std::f32::consts::TAU;

use crate::source::FRAME_SAMPLES;

/// Tones of a group: two that lead in, sixteen that carry four bits each.
pub(crate) const TONES: usize = 18;

/// Groups of tones, for senders that share a slot.
pub(crate) const GROUPS: usize = 2;

/// Tables to measure the amplitude of each tone over a symbol of 20 ms.
#[derive(Debug)]
pub(crate) struct Spectrum {
    /// Cosine and sine of each tone, interleaved, group by group.
    tables: Vec<Vec<(f32, f32)>>,
}

impl Spectrum {
    pub(crate) fn new() -> Self {
        let table = |index: usize| {
            let step = TAU * frequency(index / TONES, index % TONES) / 48_000.0;
            (0..FRAME_SAMPLES).map(|n| (n as f32 * step).sin_cos()).collect()
        };
        Self { tables: (0..GROUPS * TONES).map(table).collect() }
    }

    /// The amplitude of each tone of `group` in the 960 samples given.
    pub(crate) fn amplitudes(&self, group: usize, samples: &[f32]) -> [f32; TONES] {
        std::array::from_fn(|tone| {
            let table = &self.tables[group * TONES + tone];
            let (sine, cosine) =
                samples.iter().zip(table).fold((0.0, 0.0), |(s, c), (x, (sin, cos))| {
                    (x.mul_add(*sin, s), x.mul_add(*cos, c))
                });
            2.0 * f32::hypot(sine, cosine) / FRAME_SAMPLES as f32
        })
    }
}

/// In Hz: 100 Hz apart, twice what 20 ms resolve, so that they do not leak into each
/// other; from 3 kHz on, above most of the energy of speech and below 7.5 kHz.
pub(crate) fn frequency(group: usize, tone: usize) -> f32 {
    (3_000 + 2_500 * group + 100 * tone) as f32
}
