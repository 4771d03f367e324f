//! What is to be done to a voice.

/// What a [`Voice`](super::Voice) does to the microphone's sound, and how much. The defaults
/// are what a call with open loudspeakers wants.
///
/// When all three are off, sound goes through to the bit. When any is on, what is lower than
/// a voice is taken out too: hum and handling.
///
/// ```
/// use paceline_playout::{NoiseSuppression, VoiceConfig};
///
/// // A headset in a quiet room: no echo, and little noise.
/// let config = VoiceConfig::default().echo(false).noise(Some(NoiseSuppression::Low));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct VoiceConfig {
    pub(super) echo: bool,
    pub(super) noise: Option<NoiseSuppression>,
    pub(super) max_gain_db: Option<f32>,
    pub(super) full_band: bool,
}

impl VoiceConfig {
    /// Whether what the loudspeaker plays is taken out of what the microphone hears. Defaults
    /// to on.
    ///
    /// Off, others hear themselves, late, unless we wear a headset. On without a far end it
    /// changes nothing that is heard and costs its time all the same.
    #[must_use]
    pub const fn echo(mut self, on: bool) -> Self {
        self.echo = on;
        self
    }

    /// How much of a steady noise is taken out, or none. Defaults to
    /// [`High`](NoiseSuppression::High).
    ///
    /// The more, the more of a quiet voice goes with it.
    #[must_use]
    pub const fn noise(mut self, level: Option<NoiseSuppression>) -> Self {
        self.noise = level;
        self
    }

    /// How much a quiet voice is made louder at most, in dB; none leaves all as loud as it is.
    /// Defaults to 30 dB, up to 50; less than nothing, or not a number, is nothing.
    ///
    /// It starts with 15 dB or this, whichever is less, changes by 6 dB a second, and leaves
    /// noise below −50 dBFS; a limiter keeps what it makes within full scale. The more, the
    /// more of who is far away from the microphone is heard, wanted or not.
    #[must_use]
    pub const fn gain(mut self, max_db: Option<f32>) -> Self {
        self.max_gain_db = match max_db {
            Some(db) if db > MAX_GAIN_DB => Some(MAX_GAIN_DB),
            Some(db) if db > 0.0 => Some(db),
            Some(_) => Some(0.0),
            None => None,
        };
        self
    }

    /// Whether what is above 16 kHz is kept. Defaults to on.
    ///
    /// Off, all is done at 32 kHz, for less time: a voice hardly has more, music does.
    #[must_use]
    pub const fn full_band(mut self, on: bool) -> Self {
        self.full_band = on;
        self
    }

    /// Whether nothing is to be done.
    pub(super) const fn is_off(&self) -> bool {
        !self.echo && self.noise.is_none() && self.max_gain_db.is_none()
    }
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self {
            echo: true,
            noise: Some(NoiseSuppression::High),
            max_gain_db: Some(DEFAULT_GAIN_DB),
            full_band: true,
        }
    }
}

/// How much of a steady noise is taken out. What each does is measured with white noise at
/// −46 dBFS after 5 s.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NoiseSuppression {
    /// 7 dB.
    Low,
    /// 13 dB.
    Moderate,
    /// 17 dB.
    High,
    /// 19 dB, and a voice in it sounds of it.
    VeryHigh,
}

/// A voice at −50 dBFS becomes one of −20.
const DEFAULT_GAIN_DB: f32 = 30.0;

/// What the gain control of libwebrtc goes to (`AdaptiveDigital::max_gain_db`).
const MAX_GAIN_DB: f32 = 50.0;
