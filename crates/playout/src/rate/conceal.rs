//! What is heard when there is nothing left to be heard.

use super::pitch::{self, LONGEST, SHORTEST, Side};

/// Goes on with the last pitch period while it fades, for 60 ms at most.
///
/// In the spirit of ITU-T G.711 Appendix I: repeat the period, hold it for 10 ms,
/// then fade. Its overlap at the seam takes 3.75 ms of delay to have the end of
/// what was heard at hand; here that is already gone, so instead the step that
/// would be there, in value and slope, is added to what follows, and fades.
///
/// ```text
///  heard ─────╮ the last period, again and again   ╭──── what comes next
///             │────╲__                            ╱│
///             │       ╲______                    ╱ │
///             └ 0 ──── 10 ms ──────── 60 ms      └5 ms
/// ```
#[derive(Debug)]
pub(crate) struct Concealer {
    /// The end of what was heard.
    recent: Box<[f32; RECENT]>,
    template: [f32; LONGEST],
    period: usize,
    /// The step to what is repeated, and the change of slope.
    step: f32,
    slope: f32,
    /// Samples made so far, and how many are not fading and how many there are.
    made: usize,
    hold: usize,
    end: usize,
}

impl Concealer {
    pub(crate) fn new() -> Self {
        Self {
            recent: Box::new([0.0; RECENT]),
            template: [0.0; LONGEST],
            period: SHORTEST,
            step: 0.0,
            slope: 0.0,
            made: 0,
            hold: 0,
            end: 0,
        }
    }

    /// Forgets what was heard, and makes nothing.
    pub(crate) fn clear(&mut self) {
        self.recent.fill(0.0);
        self.made = 0;
        self.end = 0;
    }

    /// Remembers what was heard, made up or not.
    pub(crate) fn hear(&mut self, sound: &[f32]) {
        let sound = &sound[sound.len().saturating_sub(RECENT)..];
        let kept = RECENT - sound.len();
        self.recent.copy_within(sound.len().., 0);
        self.recent[kept..].copy_from_slice(sound);
    }

    /// Starts to make up for what does not come.
    pub(crate) fn begin(&mut self) {
        self.start(HOLD, END);
    }

    /// Starts to fade for what must not be heard any more.
    pub(crate) fn begin_fade(&mut self) {
        self.start(0, FADE);
    }

    fn start(&mut self, hold: usize, end: usize) {
        let found = pitch::period(&*self.recent, RECENT - WINDOW, WINDOW, LONGEST, Side::Behind);
        // A hiss has no period; the longer what is repeated, the less it hums.
        let found = found.filter(|found| found.likeness >= VOICED);
        self.period = found.map_or(LONGEST, |found| found.len);
        let again = RECENT - self.period;
        let template = &mut self.template[..self.period];
        template.copy_from_slice(&self.recent[again..]);
        // The last quarter becomes what comes before the first (G.711 I §1.3).
        let seam = self.period / 4;
        for i in 0..seam {
            let rising = (i + 1) as f32 / (seam + 1) as f32;
            let before = self.recent[again - seam + i];
            let slot = &mut template[self.period - seam + i];
            *slot = *slot * (1.0 - rising) + before * rising;
        }
        let last = |end: usize| (self.recent[end - 1], self.recent[end - 1] - self.recent[end - 2]);
        let ((value, slope), (value_again, slope_again)) = (last(RECENT), last(again));
        (self.step, self.slope) = (value - value_again, slope - slope_again);
        (self.made, self.hold, self.end) = (0, hold, end);
    }

    /// Makes the next samples.
    pub(crate) fn make(&mut self, sound: &mut [f32]) {
        for slot in sound {
            *slot = self.next();
        }
    }

    /// Fades from what would be made into `sound`.
    pub(crate) fn blend(&mut self, sound: &mut [f32]) {
        for (i, slot) in sound.iter_mut().take(FADE).enumerate() {
            let rising = (i + 1) as f32 / (FADE + 1) as f32;
            *slot = *slot * rising + self.next() * (1.0 - rising);
        }
    }

    /// Samples that can be made before there is only silence.
    pub(crate) const fn left(&self) -> usize {
        self.end.saturating_sub(self.made)
    }

    fn next(&mut self) -> f32 {
        if self.left() == 0 {
            return 0.0;
        }
        let levelled = 1.0 - (self.made + 1).min(FADE) as f32 / FADE as f32;
        let bent = 1.0 - (self.made + 1).min(BEND) as f32 / BEND as f32;
        let joint = self.step * levelled + self.slope * (self.made + 1) as f32 * bent * bent;
        let sample = self.template[self.made % self.period] + joint;
        self.made += 1;
        let faded = self.made.saturating_sub(self.hold) as f32 / (self.end - self.hold) as f32;
        sample * (1.0 - faded)
    }
}

/// 15 ms to compare, as much before it, and the quarter of a period to fade from.
const RECENT: usize = WINDOW + LONGEST + LONGEST / 4;

/// 15 ms: a period of the lowest voice.
const WINDOW: usize = LONGEST;

/// 10 ms (ITU-T G.711 Appendix I §1.3: the first 10 ms are not attenuated).
const HOLD: usize = 480;

/// 60 ms (the same: silent from there on).
const END: usize = 2_880;

/// 5 ms: too short to be heard as a fade, too long to be heard as a click.
pub(crate) const FADE: usize = 240;

/// 0.25 ms for the slope: longer, it would be heard as a thump.
const BEND: usize = 12;

/// Less alike than this, there is no pitch to keep.
const VOICED: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice of 150 Hz from sample `from` on.
    fn voice(from: usize, len: usize) -> Vec<f32> {
        let turn = |i: usize| i as f32 / 320.0 * std::f32::consts::TAU;
        (from..from + len).map(|i| 0.4 * turn(i).sin() + 0.2 * (3.0 * turn(i)).cos()).collect()
    }

    #[test]
    fn a_voice_goes_on_as_it_would_have() {
        let mut concealer = Concealer::new();
        concealer.hear(&voice(0, 3_000));
        concealer.begin();
        let mut made = [0.0; HOLD];
        concealer.make(&mut made);
        for (made, true_one) in made.iter().zip(voice(3_000, HOLD)) {
            assert!((made - true_one).abs() < 0.02, "{made} for {true_one}");
        }
    }

    #[test]
    fn there_is_silence_after_60_ms() {
        let mut concealer = Concealer::new();
        concealer.hear(&voice(0, 3_000));
        concealer.begin();
        let mut made = [0.0; END + 100];
        concealer.make(&mut made);
        let power = |range: &[f32]| range.iter().map(|sample| sample * sample).sum::<f32>();
        assert!(power(&made[480..960]) > 4.0 * power(&made[1_920..2_400]));
        assert!(made[2_700..END].iter().any(|&sample| sample != 0.0));
        assert!(made[END - 1..].iter().all(|&sample| sample == 0.0));
    }
}
