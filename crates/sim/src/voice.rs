//! Sound that tells when it was captured, through resampling, stretching and mixing.
//!
//! Each sender has three tones of his own. The first is steady; by how much the
//! other two are stronger or weaker than it are the cosine and the sine of an angle
//! that turns once in [`TURN`]. So any 20 ms that are heard tell when they were
//! captured, to a millisecond or two, whatever is heard besides.
//!
//! ```text
//! sender 1:  400, 500, 600 Hz     sender 2:  700, 800, 900 Hz     …
//! ```

use std::f32::consts::TAU;
use std::sync::OnceLock;
use std::time::Duration;

use paceline_types::SenderId;

/// Samples in 20 ms.
pub(crate) const SAMPLES: usize = 960;

/// How many senders have tones of their own.
pub(crate) const SENDERS: u32 = 30;

/// 20 ms of a sender's voice, the first sample of which is captured at `start`
/// since the epoch, and the last one `span` later.
pub(crate) fn sing(sender: SenderId, start: Duration, span: Duration) -> Vec<f32> {
    let wave = &tables().wave;
    let bins = bins(sender);
    let sample = |index: usize| {
        let at = start + span.mul_f32(index as f32 / SAMPLES as f32);
        let (sine, cosine) = angle(at).sin_cos();
        let strengths = [1.0, 1.0 + DEPTH * cosine, 1.0 + DEPTH * sine];
        let tones = strengths.iter().zip(bins);
        tones.map(|(strength, bin)| STRENGTH * strength * wave[index * bin % SAMPLES]).sum()
    };
    (0..SAMPLES).map(sample).collect()
}

/// When what is heard of a sender in the middle of these 20 ms was captured: how
/// long before `now`, since the epoch. `None` if he is not heard.
pub(crate) fn listen(samples: &[f32], sender: SenderId, now: Duration) -> Option<Duration> {
    let samples: &[f32; SAMPLES] = samples.try_into().ok()?;
    let [steady, cosine, sine] = bins(sender).map(|bin| strength(samples, bin));
    if steady < STRENGTH / 4.0 {
        return None;
    }
    let part = |strength: f32| (strength / steady - 1.0) / DEPTH;
    let (cosine, sine) = (part(cosine), part(sine));
    // A seam is in it: half is of another time.
    if !(0.85..1.15).contains(&cosine.hypot(sine)) {
        return None;
    }
    let turned = (angle(now) - sine.atan2(cosine)).rem_euclid(TAU) / TAU;
    // What seems to be from the future is from just now.
    Some(if turned > 0.98 { Duration::ZERO } else { TURN.mul_f32(turned) })
}

/// How strong the tone of a bin is.
fn strength(samples: &[f32; SAMPLES], bin: usize) -> f32 {
    let Tables { wave, window } = tables();
    let (mut real, mut imaginary) = (0.0, 0.0);
    let (mut cosine, mut sine) = (0, SAMPLES / 4);
    for (sample, weight) in samples.iter().zip(window) {
        let weighted = sample * weight;
        real += weighted * wave[cosine];
        imaginary += weighted * wave[sine];
        cosine = (cosine + bin) % SAMPLES;
        sine = (sine + bin) % SAMPLES;
    }
    // The window is a half in the mean, and so is the square of a tone.
    f32::hypot(real, imaginary) / (SAMPLES as f32 / 4.0)
}

fn angle(at: Duration) -> f32 {
    let turn = TURN.as_micros();
    (at.as_micros() % turn) as f32 / turn as f32 * TAU
}

/// Tones in steps of 50 Hz. They are 100 Hz apart, twice what the window needs.
fn bins(sender: SenderId) -> [usize; 3] {
    let first = 8 + 6 * (sender.get().wrapping_sub(1) % SENDERS) as usize;
    [first, first + 2, first + 4]
}

struct Tables {
    /// A period of a cosine.
    wave: [f32; SAMPLES],
    /// After Hann.
    window: [f32; SAMPLES],
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let wave = std::array::from_fn(|index| (index as f32 / SAMPLES as f32 * TAU).cos());
        Tables { wave, window: wave.map(|cosine| (1.0 - cosine) / 2.0) }
    })
}

/// Longer than anything is under way; the shorter, the more exact.
const TURN: Duration = Duration::from_millis(1_280);

/// So little that no limiter hears it when thirty sing.
const STRENGTH: f32 = 0.005;

const DEPTH: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn each_voice_in_a_choir_tells_when_it_was_captured() {
        for start in (0..6_000).step_by(7) {
            let start = Duration::from_millis(start);
            let mut choir = [0.0; SAMPLES];
            for sender in 1..=SENDERS {
                let delay = Duration::from_millis(u64::from(sender));
                let voice = sing(SenderId::new(sender), start + delay, FRAME);
                choir.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += sample);
            }
            let now = start + Duration::from_millis(150);
            for sender in 1..=SENDERS {
                let before = listen(&choir, SenderId::new(sender), now).expect("he sings");
                let expected = Duration::from_millis(140 - u64::from(sender));
                let error = before.abs_diff(expected);
                assert!(error < Duration::from_millis(2), "{sender}: {before:?}, {expected:?}");
            }
        }
    }

    #[test]
    fn who_does_not_sing_is_not_heard() {
        let voice = sing(SenderId::new(2), FRAME, FRAME);
        for sender in [1, 3, 4] {
            assert_eq!(listen(&voice, SenderId::new(sender), FRAME), None);
        }
        assert_eq!(listen(&[0.0; SAMPLES], SenderId::new(2), FRAME), None);
        assert_eq!(listen(&[], SenderId::new(2), FRAME), None);
    }

    #[test]
    fn a_voice_is_understood_half_a_frame_later_and_five_hundred_ppm_faster() {
        // Deep enough that straight lines between the samples do.
        let (sender, mut heard) = (SenderId::new(3), Vec::new());
        for frame in 0..100 {
            heard.extend(sing(sender, FRAME * frame, FRAME));
        }
        let faster: Vec<f32> = (0..90_000)
            .map(|index| {
                let at = f64::from(index) * 1.0005;
                let (whole, part) = (at as usize, at.fract() as f32);
                heard[whole] * (1.0 - part) + heard[whole + 1] * part
            })
            .collect();
        for start in (480..80_000).step_by(1_201) {
            let now = Duration::from_secs_f64((start as f64 + 480.0) / 48_000.0);
            let before = listen(&faster[start..][..SAMPLES], sender, now + FRAME);
            let expected = FRAME.saturating_sub(now.mul_f64(0.0005));
            let error = before.expect("he sings").abs_diff(expected);
            assert!(error < Duration::from_millis(3), "{start}: {before:?} {expected:?}");
        }
    }
}
