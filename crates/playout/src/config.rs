//! What a stage is to make, and the bounds on what it holds.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How a [`Stage`](crate::Stage) mixes, and the limits on what a peer can make it
/// hold.
///
/// ```
/// use paceline_playout::{ConfigError, StageConfig};
///
/// let config = StageConfig::default().width(1_280).height(720);
/// assert_eq!(config.validate(), Ok(()));
///
/// let odd = config.width(1_279);
/// assert_eq!(odd.validate(), Err(ConfigError::Odd { field: "width", value: 1_279 }));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StageConfig {
    cushion: Duration,
    frame_rate: u32,
    height: u16,
    max_audio_queue: Duration,
    max_sources: usize,
    mix_info_interval: Duration,
    width: u16,
}

impl StageConfig {
    /// Sound that a source must have queued before it is heard, at first and
    /// after each time it ran dry. Defaults to 20 ms, at most
    /// [`max_audio_queue`](Self::max_audio_queue); whole milliseconds count.
    ///
    /// It rides out the jitter of threads, not of the network: a jitter buffer
    /// has done that already. All of it is delay. Once a frame has come close to
    /// being late, it is also what is to be queued when the latest of the frames
    /// comes: with less than 20 ms, a frame that comes between two ticks at a bad
    /// place can still be late, and is concealed.
    #[must_use]
    pub const fn cushion(mut self, cushion: Duration) -> Self {
        self.cushion = cushion;
        self
    }

    /// Pictures of the mix in a second. Defaults to 30, from 1 to 60.
    ///
    /// The mix keeps this rate whatever rate its sources have; a source's
    /// picture waits for the next one, and a newer one replaces it.
    #[must_use]
    pub const fn frame_rate(mut self, frame_rate: u32) -> Self {
        self.frame_rate = frame_rate;
        self
    }

    /// Rows of the mix. Defaults to 360; even, from 16 to 1080.
    #[must_use]
    pub const fn height(mut self, height: u16) -> Self {
        self.height = height;
        self
    }

    /// Sound to hold for one source beyond what is due. Defaults to 60 ms, from
    /// 20 ms to 1 s; whole milliseconds count.
    ///
    /// A source whose clock is fast is played faster, and if it is far too much,
    /// shortened at its pitch. What is over this all the same is dropped, the
    /// oldest first, so that nobody is heard later than this; less than 5 ms over
    /// it are not worth a seam and stay.
    #[must_use]
    pub const fn max_audio_queue(mut self, max_audio_queue: Duration) -> Self {
        self.max_audio_queue = max_audio_queue;
        self
    }

    /// Sources to mix at a time. Defaults to 32, from 1 to 32.
    ///
    /// A further one is refused; nobody is put out for it.
    #[must_use]
    pub const fn max_sources(mut self, max_sources: usize) -> Self {
        self.max_sources = max_sources;
        self
    }

    /// How often to tell who is where and how loud. Defaults to 100 ms, from
    /// 20 ms to 10 s.
    ///
    /// It goes with a picture, so the first one that is due or later; a change
    /// of the layout is told at once.
    #[must_use]
    pub const fn mix_info_interval(mut self, mix_info_interval: Duration) -> Self {
        self.mix_info_interval = mix_info_interval;
        self
    }

    /// Pixels in a row of the mix. Defaults to 640; even, from 16 to 1920.
    #[must_use]
    pub const fn width(mut self, width: u16) -> Self {
        self.width = width;
        self
    }

    /// Whether a stage can be made of it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let max_queue = millis(self.max_audio_queue);
        within("width", self.width.into(), 16, 1_920)?;
        within("height", self.height.into(), 16, 1_080)?;
        within("frame_rate", self.frame_rate.into(), 1, 60)?;
        within("max_sources", self.max_sources as u64, 1, 32)?;
        within("max_audio_queue (ms)", max_queue, 20, 1_000)?;
        within("cushion (ms)", millis(self.cushion), 0, max_queue)?;
        within("mix_info_interval (ms)", millis(self.mix_info_interval), 20, 10_000)?;
        for (field, value) in [("width", self.width), ("height", self.height)] {
            if value % 2 != 0 {
                return Err(ConfigError::Odd { field, value });
            }
        }
        Ok(())
    }

    pub(crate) const fn rate(&self) -> u32 {
        self.frame_rate
    }

    pub(crate) const fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    pub(crate) const fn sources(&self) -> usize {
        self.max_sources
    }

    pub(crate) const fn info_interval(&self) -> Duration {
        self.mix_info_interval
    }

    /// Samples that make the cushion.
    pub(crate) fn cushion_samples(&self) -> usize {
        samples(self.cushion)
    }

    /// Samples that fill the queue of a source.
    pub(crate) fn queue_samples(&self) -> usize {
        samples(self.max_audio_queue)
    }
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            cushion: Duration::from_millis(20),
            frame_rate: 30,
            height: 360,
            max_audio_queue: Duration::from_millis(60),
            max_sources: 32,
            mix_info_interval: Duration::from_millis(100),
            width: 640,
        }
    }
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { field, value, min, max })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Only for a validated span: a second at most.
fn samples(span: Duration) -> usize {
    span.as_millis() as usize * 48
}

/// Why no stage can be made of a [`StageConfig`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A side of the picture is odd; its chroma planes have half its size.
    Odd {
        /// Which side.
        field: &'static str,
        /// What it is.
        value: u16,
    },
    /// A field is out of its bounds.
    OutOfRange {
        /// Which one, and its unit where it has one.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Odd { field, value } => {
                write!(f, "stage: {field} is {value}; set an even number")
            }
            Self::OutOfRange { field, value, min, max } => {
                write!(f, "stage: {field} is {value}; set it from {min} to {max}")
            }
        }
    }
}

impl Error for ConfigError {}
