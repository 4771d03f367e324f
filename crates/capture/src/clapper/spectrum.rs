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
    /// Of each tone, group by group: eight sines, then the eight cosines beside them.
    tables: Vec<Vec<f32>>,
}

impl Spectrum {
    pub(crate) fn new() -> Self {
        let table = |index: usize| {
            let step = TAU * frequency(index / TONES, index % TONES) / 48_000.0;
            let lanes = |from: usize| (from..from + LANES).map(|n| n as f32 * step);
            (0..FRAME_SAMPLES)
                .step_by(LANES)
                .flat_map(|from| lanes(from).map(f32::sin).chain(lanes(from).map(f32::cos)))
                .collect()
        };
        Self { tables: (0..GROUPS * TONES).map(table).collect() }
    }

    /// The amplitude of each tone of `group` in the 960 samples given.
    pub(crate) fn amplitudes(&self, group: usize, samples: &[f32]) -> [f32; TONES] {
        std::array::from_fn(|tone| {
            let table = &self.tables[group * TONES + tone];
            // Sums apart from each other, which the compiler makes into vectors.
            let (mut sine, mut cosine) = ([0.0; LANES], [0.0; LANES]);
            for (samples, table) in
                samples.chunks_exact(LANES).zip(table.as_chunks::<{ 2 * LANES }>().0)
            {
                for lane in 0..LANES {
                    sine[lane] += samples[lane] * table[lane];
                    cosine[lane] += samples[lane] * table[LANES + lane];
                }
            }
            let (sine, cosine): (f32, f32) = (sine.iter().sum(), cosine.iter().sum());
            2.0 * f32::hypot(sine, cosine) / FRAME_SAMPLES as f32
        })
    }
}

/// In Hz: 100 Hz apart, twice what 20 ms resolve, so that they do not leak into each
/// other; from 3 kHz on, above most of the energy of speech and below 7.5 kHz.
pub(crate) fn frequency(group: usize, tone: usize) -> f32 {
    (3_000 + 2_500 * group + 100 * tone) as f32
}

/// Samples that are multiplied at once: two vectors of SSE2, one of AVX. It divides
/// the samples of a symbol.
const LANES: usize = 8;
