//! From one sound to another.

use std::f32::consts::FRAC_PI_2;

/// Fades from one sound to another with equal power: the gain of the old one follows a
/// quarter of a cosine, that of the new one a quarter of a sine, so that their squares
/// add up to one.
///
/// Of two sounds that have nothing to do with each other the energy stays constant; of
/// two that are the same it rises, by 3 dB in the middle, where both are at 0.707. Two
/// mixes of one call are between these: the same voices, some milliseconds apart. With
/// gains that add up to one the same sound would stay as it is, and others would sink by
/// 3 dB, which is heard as a hole.
///
/// ```
/// use paceline_playout::Crossfade;
///
/// let mut fade = Crossfade::new(960);
/// let (old, mut new) = ([1.0; 960], [0.0; 960]);
/// fade.mix(&old, &mut new, 1);
/// assert!(new[0] > 0.999 && new[959] < 0.001 && (new[480] - 0.707).abs() < 0.001);
/// assert!(fade.is_over());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Crossfade {
    len: usize,
    done: usize,
}

impl Crossfade {
    /// One over `len` samples of a channel. None is over at once.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self { len, done: 0 }
    }

    /// Whether only the new sound is heard.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.done >= self.len
    }

    /// Mixes what is left of `old` into `new`, both of `channels`, interleaved (none
    /// counts as one). What `old` lacks is silence; what is left of it when the fade is
    /// over is not looked at.
    pub fn mix(&mut self, old: &[f32], new: &mut [f32], channels: usize) {
        let channels = channels.max(1);
        let mut old = old.chunks(channels);
        for samples in new.chunks_mut(channels) {
            if self.is_over() {
                return;
            }
            let turned = (self.done as f32 + 0.5) / self.len as f32 * FRAC_PI_2;
            let (rising, falling) = turned.sin_cos();
            let before = old.next().unwrap_or(&[]);
            for (index, sample) in samples.iter_mut().enumerate() {
                let before = before.get(index).copied().unwrap_or(0.0);
                *sample = *sample * rising + before * falling;
            }
            self.done += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White noise of ±1, the same for the same seed.
    fn noise(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let sample = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(sample).collect()
    }

    fn decibels(power: f64, reference: f64) -> f64 {
        10.0 * (power / reference).log10()
    }

    /// The mean power in each tenth of the fade, over many pairs of sounds.
    fn powers(pair: impl Fn(u64) -> (Vec<f32>, Vec<f32>)) -> [f64; 10] {
        let mut powers = [0.0; 10];
        for seed in 1..=4_000 {
            let (old, mut new) = pair(seed);
            Crossfade::new(960).mix(&old, &mut new, 1);
            for (power, part) in powers.iter_mut().zip(new.chunks(96)) {
                *power += part.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>();
            }
        }
        powers.map(|power| power / (4_000.0 * 96.0))
    }

    #[test]
    fn the_energy_of_two_mixes_that_differ_stays_within_a_tenth_of_a_decibel() {
        let white = 1.0 / 3.0;
        for power in powers(|seed| (noise(2 * seed, 960), noise(2 * seed + 1, 960))) {
            let off = decibels(power, white);
            assert!(off.abs() < 0.1, "{off} dB");
        }
    }

    #[test]
    fn the_same_sound_rises_by_three_decibels_at_most() {
        let white = 1.0 / 3.0;
        let powers = powers(|seed| (noise(seed, 960), noise(seed, 960)));
        for power in powers {
            let off = decibels(power, white);
            assert!((-0.1..3.02).contains(&off), "{off} dB");
        }
        assert!(decibels(powers[5], white) > 2.8);
    }

    #[test]
    fn frames_of_any_length_make_the_same_fade() {
        let (old, new) = (noise(1, 1_920), noise(2, 1_920));
        let mut whole = new.clone();
        Crossfade::new(960).mix(&old, &mut whole, 2);
        let (mut parts, mut fade) = (new.clone(), Crossfade::new(960));
        for (old, new) in old.chunks(240).zip(parts.chunks_mut(240)) {
            fade.mix(old, new, 2);
        }
        assert_eq!(whole, parts);
        assert!(fade.is_over());
        let mut after = new.clone();
        fade.mix(&old, &mut after, 2);
        assert_eq!(after, new);
    }

    #[test]
    fn what_is_missing_is_silence() {
        let mut new = vec![1.0; 100];
        let mut fade = Crossfade::new(100);
        fade.mix(&[0.5; 10], &mut new, 0);
        assert!(new[50] < 0.72 && new[99] > 0.99);
        let mut none = vec![1.0; 10];
        Crossfade::new(0).mix(&[0.5; 10], &mut none, 1);
        assert_eq!(none, [1.0; 10]);
    }
}
