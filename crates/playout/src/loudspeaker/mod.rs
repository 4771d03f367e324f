//! Loudspeakers: what the mix makes, heard.
//!
//! ```text
//!  the mix, each 20 ms            its clock          the device's clock
//!        │                            │
//!        ▼ push                       ▼
//!      Feed ── Resampler ── ring ── Drain ── callback, 1 to some 1,000 frames
//!                  ▲          │
//!                  ╰─ level ──╯
//! ```
//!
//! The two clocks are not one. What waits between them is kept at a level by playing up to
//! 0.5 % faster or slower; where that is not enough, the oldest is dropped, or there is
//! silence, and neither is a click. `Feed` and `Drain` read no clock and know no device:
//! time is an argument.

mod config;
mod conversion;
mod device;
mod drain;
mod error;
mod feed;
mod level;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_types::Device;
use ringbuf::HeapRb;
use ringbuf::traits::Split;

use self::conversion::Conversion;
use self::device::Playing;
use self::drain::Drain;
use self::feed::Feed;
use self::shared::{Shared, fade};

pub use config::LoudspeakerConfig;
pub use error::LoudspeakerError;

/// The loudspeakers that are there: those of PulseAudio, or of PipeWire in its place, when that
/// answers, else those of ALSA; on other systems the system's.
///
/// # Errors
///
/// [`LoudspeakerError::Unavailable`] if the system does not say, or not within 5 s.
pub fn loudspeakers() -> Result<Vec<Device>, LoudspeakerError> {
    device::list(LoudspeakerConfig::default().open_timeout)
}

/// A loudspeaker that plays what it is given, on all of its channels.
///
/// It takes 20 ms at a time, at any moment near enough to when they are due, and never waits.
/// When the device is gone, [`push`](Self::push) says so once; a new one is opened by
/// [`open`](Self::open).
///
/// A sound server may move it to another device when its own is pulled out. It then plays on
/// there, and is not gone.
///
/// ```no_run
/// use paceline_playout::{Loudspeaker, LoudspeakerConfig, LoudspeakerError};
///
/// let mut loudspeaker = Loudspeaker::open(None, LoudspeakerConfig::default())?;
/// // Each 20 ms:
/// loudspeaker.push(&[0.0; 960])?;
/// println!("{:?} wait to be heard", loudspeaker.stats().latency);
/// # Ok::<(), LoudspeakerError>(())
/// ```
pub struct Loudspeaker {
    playing: Playing,
    told: bool,
}

/// What a [`Loudspeaker`] has done since it was opened, and does now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoudspeakerStats {
    /// Times that nothing was left to play. The silence before the first sound is not one.
    pub underruns: u64,
    /// Silence played for them, until there was enough again.
    pub missing: Duration,
    /// Sound dropped because too much waited: the oldest when the device takes sound, the
    /// newest while it stands still and there is no room.
    pub dropped: Duration,
    /// From a push until the device takes the middle of it, smoothed over some seconds.
    pub latency: Duration,
    /// From then until it is heard, as the device says; 0 if it does not.
    pub device_latency: Duration,
    /// How much faster the device's clock is than the one of who pushes, as far as is known, in
    /// ppm; less than nothing if it is slower.
    pub rate_ppm: i32,
}

impl Loudspeaker {
    /// Opens one by an id of [`loudspeakers`], or the system's default.
    ///
    /// # Errors
    ///
    /// [`LoudspeakerError::UnknownDevice`] if there is none of that id,
    /// [`LoudspeakerError::Unavailable`] if there is none at all, it cannot be used, or the
    /// system does not answer in [time](LoudspeakerConfig::open_timeout).
    pub fn open(id: Option<&str>, config: LoudspeakerConfig) -> Result<Self, LoudspeakerError> {
        Ok(Self { playing: device::open(id, config)?, told: false })
    }

    /// Plays 20 ms, mono at 48 kHz, after what was pushed before.
    ///
    /// Samples that are not finite count as silence, what is over full scale is clipped. It
    /// never waits: what is too much is dropped, and counted.
    ///
    /// # Errors
    ///
    /// [`LoudspeakerError::Gone`] once, when the device is gone. From then on nothing is played
    /// and nothing said.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), LoudspeakerError> {
        let Some(reason) = self.playing.gone.get() else {
            self.playing.feed.push(device::now(), samples);
            return Ok(());
        };
        if self.told {
            return Ok(());
        }
        self.told = true;
        Err(LoudspeakerError::Gone { id: self.playing.id.clone(), reason: reason.clone() })
    }

    /// Whether the device is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.playing.gone.get().is_some()
    }

    /// What it is opened by, also when it was the default.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.playing.id
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> LoudspeakerStats {
        self.playing.feed.stats()
    }
}

impl fmt::Debug for Loudspeaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loudspeaker")
            .field("id", &self.playing.id)
            .field("gone", &self.playing.gone)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The two ends of what waits for a device of a `rate`, made at `epoch`: nothing that they are
/// given later is of before that.
fn pair(
    epoch: Instant,
    rate: u32,
    config: &LoudspeakerConfig,
    conversion: Option<Conversion>,
) -> (Feed, Drain) {
    let shared = Arc::new(Shared::new(epoch, rate));
    // Two pushes and a fade more than may wait.
    let most = config.max_queue + Duration::from_millis(40);
    let ring = HeapRb::new(shared.frames(most) as usize + fade(rate));
    let (into, out) = ring.split();
    let feed = Feed::new(into, shared.clone(), config.clone(), conversion);
    (feed, Drain::new(out, shared))
}

#[cfg(test)]
mod tests;
