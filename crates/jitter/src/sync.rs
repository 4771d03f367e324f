//! Lip sync: one delay budget for the sound and the picture of a participant.

use std::time::{Duration, Instant};

use paceline_types::NtpTime;

/// Which of the two streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to hear or see")]
pub enum Media {
    /// The sound.
    Audio,
    /// The picture.
    Video,
}

/// A frame's capture, and when the network alone would have it played.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was captured, on the sender's wallclock.
    pub capture: NtpTime,
    /// When its jitter buffer would play it without lip sync.
    pub playout: Instant,
    /// How long that buffer delays by itself.
    pub delay: Duration,
}

/// The bounds of lip sync.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    max_delay: Duration,
    hysteresis: Duration,
}

impl SyncConfig {
    /// How far one stream may be held back for the other. Defaults to 300 ms.
    ///
    /// Beyond it the streams stay apart: a sender whose capture times are nonsense
    /// cannot hold its own sound back for ever.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How far apart the two may be before anything is moved. Defaults to 5 ms.
    ///
    /// A ninth of what people notice (45 ms, ITU-R BT.1359), and more than the
    /// noise of capture times, so that delays do not flutter.
    #[must_use]
    pub const fn hysteresis(mut self, hysteresis: Duration) -> Self {
        self.hysteresis = hysteresis;
        self
    }
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self { max_delay: Duration::from_millis(300), hysteresis: Duration::from_millis(5) }
    }
}

/// Makes sound and picture that were captured together due together, by holding
/// back whichever the network would have played first.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_jitter::types::NtpTime;
/// use paceline_jitter::{Media, Sample, StreamSync, SyncConfig};
///
/// let (now, ms) = (Instant::now(), Duration::from_millis);
/// let mut sync = StreamSync::new(SyncConfig::default());
/// let capture = NtpTime::from_unix(Duration::from_secs(1));
/// let sound = Sample { capture, playout: now + ms(60), delay: ms(50) };
/// let picture = Sample { capture, playout: now + ms(100), delay: ms(50) };
/// sync.handle_sample(Media::Audio, sound);
/// sync.handle_sample(Media::Video, picture);
/// // The picture is 40 ms behind: the sound waits 90 ms instead of 50.
/// assert_eq!(sync.min_playout_delay(Media::Audio).as_millis(), 90);
/// assert_eq!(sync.min_playout_delay(Media::Video), Duration::ZERO);
/// ```
#[derive(Debug)]
pub struct StreamSync {
    config: SyncConfig,
    audio: Option<Sample>,
    video: Option<Sample>,
    /// By how much the picture comes later than the sound, in microseconds.
    offset: Option<i64>,
}

impl StreamSync {
    /// One that has seen neither stream.
    #[must_use]
    pub const fn new(config: SyncConfig) -> Self {
        Self { config, audio: None, video: None, offset: None }
    }

    /// Takes in the latest frame of one stream.
    pub fn handle_sample(&mut self, media: Media, sample: Sample) {
        match media {
            Media::Audio => self.audio = Some(sample),
            Media::Video => self.video = Some(sample),
        }
        let (Some(audio), Some(video)) = (self.audio, self.video) else { return };
        let between = micros(video.playout, audio.playout);
        let measured = between - video.capture.micros_since(audio.capture);
        let hysteresis = self.config.hysteresis.as_micros() as u64;
        if self.offset.is_none_or(|offset| offset.abs_diff(measured) > hysteresis) {
            self.offset = Some(measured);
        }
    }

    /// The delay that a stream's jitter buffer must keep at least; zero if its own
    /// is enough.
    #[must_use]
    pub fn min_playout_delay(&self, media: Media) -> Duration {
        let offset = self.offset.unwrap_or(0);
        let (sample, behind) = match media {
            Media::Audio => (self.audio, offset),
            Media::Video => (self.video, -offset),
        };
        match (sample, u64::try_from(behind)) {
            (Some(sample), Ok(behind)) if behind > 0 => {
                sample.delay + Duration::from_micros(behind).min(self.config.max_delay)
            }
            _ => Duration::ZERO,
        }
    }
}

fn micros(later: Instant, earlier: Instant) -> i64 {
    later.saturating_duration_since(earlier).as_micros() as i64
        - earlier.saturating_duration_since(later).as_micros() as i64
}
