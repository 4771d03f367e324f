//! The filter of the [`Resampler`](super::Resampler): a sinc, windowed by Kaiser's
//! window, looked up at 512 places between two frames.

use std::sync::LazyLock;

/// Frames that one output frame is made of.
pub(super) const TAPS: usize = 32;

/// Places between two input frames for which the filter is stored, as a power of
/// two. Between them it is interpolated along a line.
pub(super) const PHASE_BITS: u32 = 9;

/// The filter for one place between two frames.
pub(super) type Phase = [f32; TAPS];

const PHASES: usize = 1 << PHASE_BITS;

/// One phase more than there are, so that the last one has a neighbour.
static BANK: LazyLock<Box<[Phase]>> = LazyLock::new(|| (0..=PHASES).map(phase).collect());

/// The filters of all phases, 64 KiB shared by all resamplers.
pub(super) fn bank() -> &'static [Phase] {
    &BANK
}

fn phase(index: usize) -> Phase {
    let fraction = index as f64 / PHASES as f64;
    let ideal: [f64; TAPS] =
        std::array::from_fn(|tap| kernel((tap as f64 - (TAPS / 2 - 1) as f64) - fraction));
    // A constant comes out as itself, whatever the phase.
    let sum: f64 = ideal.iter().sum();
    ideal.map(|weight| (weight / sum) as f32)
}

/// The windowed sinc at `distance` frames from its middle.
///
/// It cuts at half the sampling rate. So at a whole distance it is zero and in the
/// middle one: at a ratio of one the resampler is a delay and nothing else.
fn kernel(distance: f64) -> f64 {
    if distance == 0.0 {
        return 1.0;
    }
    if distance.fract() == 0.0 {
        return 0.0;
    }
    let from_edge = 1.0 - (distance / (TAPS / 2) as f64).powi(2);
    let angle = std::f64::consts::PI * distance;
    angle.sin() / angle * bessel_i0(BETA * from_edge.max(0.0).sqrt()) / bessel_i0(BETA)
}

/// The modified Bessel function of the first kind and order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..64 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

/// The shape of Kaiser's window. Measured: with 11, a tone of 997 Hz is 121 dB over
/// what is added, one of 18 kHz 110; with 12.5, 132 and 121; with 13, 135 and 103,
/// for the transition begins below 18 kHz.
const BETA: f64 = 12.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_no_frames_the_filter_is_a_delay() {
        let mut delay = [0.0; TAPS];
        delay[TAPS / 2 - 1] = 1.0;
        assert_eq!(bank()[0], delay);
        delay.rotate_right(1);
        assert_eq!(bank()[PHASES], delay);
    }

    #[test]
    fn the_filter_is_the_same_forwards_and_backwards() {
        for (index, phase) in bank().iter().enumerate() {
            let mut mirrored = bank()[PHASES - index];
            mirrored.reverse();
            for (a, b) in phase.iter().zip(mirrored) {
                assert!((a - b).abs() < 1e-7, "{index}");
            }
        }
    }
}
