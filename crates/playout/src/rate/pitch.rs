//! How long a piece of sound takes to be like itself again.

/// The shortest period looked for: 2.5 ms, a voice of 400 Hz.
pub(super) const SHORTEST: usize = 120;

/// The longest: 15 ms, a voice of 67 Hz (ITU-T G.711 Appendix I §1.2.1).
pub(super) const LONGEST: usize = 720;

/// Where to look for what is alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// Later in the sound.
    Ahead,
    /// Earlier.
    Behind,
}

/// The distance at which a piece of sound is most like itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// In samples.
    pub(super) len: usize,
    /// The correlation, normalised: 1 is the same but for loudness.
    pub(super) likeness: f32,
    /// The mean square of the piece.
    pub(super) power: f32,
}

/// Compares `window` samples from `at` with those `SHORTEST` to `longest` samples
/// away. `None` if that is beyond the sound, or not a range.
///
/// First a fourth of the samples tells about where, then all of them exactly: at
/// most 151 comparisons of a quarter window and 7 of a whole one.
pub(super) fn period(
    sound: &[f32],
    at: usize,
    window: usize,
    longest: usize,
    side: Side,
) -> Option<Period> {
    let window = window.min(MAX_WINDOW) / COARSE * COARSE;
    let longest = longest.min(LONGEST) / COARSE * COARSE;
    if longest < SHORTEST || window == 0 {
        return None;
    }
    let (from, to) = match side {
        Side::Ahead => (at, at + longest + window),
        Side::Behind => (at.checked_sub(longest)?, at + window),
    };
    let region = sound.get(from..to)?;
    let at = at - from;
    let place = |at: usize, len: usize| match side {
        Side::Ahead => at + len,
        Side::Behind => at - len,
    };

    let mut coarse = [0.0; (LONGEST + MAX_WINDOW) / COARSE];
    let coarse = &mut coarse[..region.len() / COARSE];
    for (slot, samples) in coarse.iter_mut().zip(region.chunks_exact(COARSE)) {
        *slot = samples.iter().sum();
    }
    let (_, about) =
        best(coarse, at / COARSE, window / COARSE, place, SHORTEST / COARSE, longest / COARSE)?;
    let about = about * COARSE;
    let (least, most) = (about.saturating_sub(COARSE - 1), about + COARSE - 1);
    let (likeness, len) = best(region, at, window, place, least.max(SHORTEST), most.min(longest))?;
    let piece = &region[at..at + window];
    Some(Period { len, likeness, power: dot(piece, piece) / window as f32 })
}

fn best(
    sound: &[f32],
    at: usize,
    window: usize,
    place: impl Fn(usize, usize) -> usize,
    shortest: usize,
    longest: usize,
) -> Option<(f32, usize)> {
    let piece = &sound[at..at + window];
    let power = dot(piece, piece);
    let likeness = |len: usize| {
        let from = place(at, len);
        let other = &sound[from..from + window];
        dot(piece, other) / (power * dot(other, other)).sqrt().max(f32::MIN_POSITIVE)
    };
    (shortest..=longest).map(|len| (likeness(len), len)).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Eight sums side by side, which the compiler makes into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Samples that are taken together at first: 12 kHz are enough for a pitch.
const COARSE: usize = 4;

/// The longest piece that is compared: 15 ms, a period of the lowest voice.
const MAX_WINDOW: usize = LONGEST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_of_a_voice_is_found_to_the_sample() {
        for true_len in [121, 200, 333, 480, 719] {
            let voice: Vec<f32> = (0..2_000)
                .map(|i| {
                    let angle = i as f32 / true_len as f32 * std::f32::consts::TAU;
                    angle.sin() + 0.5 * (2.0 * angle).cos() + 0.3 * (5.0 * angle).sin()
                })
                .collect();
            for (at, side) in [(0, Side::Ahead), (1_000, Side::Behind)] {
                let found = period(&voice, at, 480, LONGEST, side).expect("fits");
                let periods = (found.len as f32 / true_len as f32).round().max(1.0);
                assert!(found.len.abs_diff((periods * true_len as f32) as usize) <= 1, "{found:?}");
                assert!(found.likeness > 0.99, "{found:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_no_period() {
        let short = [0.5; 700];
        assert!(period(&short, 0, 480, 400, Side::Ahead).is_none());
        assert!(period(&short, 100, 480, 200, Side::Behind).is_none());
        assert!(period(&short, 0, 480, 119, Side::Ahead).is_none());
        assert!(period(&short, 0, 480, 200, Side::Ahead).is_some());
    }
}
