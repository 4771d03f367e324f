//! How long a seam may take, and what it counts.

use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Epoch, VideoFrame};

/// The bounds of a [`Seam`](crate::Seam).
///
/// ```
/// use std::time::Duration;
///
/// use paceline_playout::SeamConfig;
///
/// let config = SeamConfig::default().max_delay(Duration::from_millis(300));
/// ```
#[derive(Clone, Debug)]
pub struct SeamConfig {
    pub(super) crossfade: Duration,
    pub(super) max_delay: Duration,
}

impl SeamConfig {
    /// How long one sound fades into another where they meet. Defaults to 20 ms, up to
    /// 60 ms; whole milliseconds count.
    ///
    /// Within one frame, so that one for which only one of both came is no step. Longer, the
    /// same voice is heard twice for longer, some milliseconds apart.
    #[must_use]
    pub const fn crossfade(mut self, span: Duration) -> Self {
        self.crossfade = if span.as_millis() > 60 { Duration::from_millis(60) } else { span };
        self
    }

    /// How much later than it is made what our own stage makes may be shown and heard.
    /// Defaults to 400 ms, up to 2 s.
    ///
    /// As a new host we are as far behind our own stage as we were behind the one of the
    /// host before, so that nothing is skipped. Where that is more than this, the rest is
    /// skipped. 400 ms is what a jitter buffer holds at most by default.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = if delay.as_secs() >= 2 { Duration::from_secs(2) } else { delay };
        self
    }
}

impl Default for SeamConfig {
    fn default() -> Self {
        Self { crossfade: Duration::from_millis(20), max_delay: Duration::from_millis(400) }
    }
}

/// What a [`Seam`](crate::Seam) has done since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SeamStats {
    /// Frames of a host of before that were not shown or heard, because one of a later
    /// host had been.
    pub stale_dropped: u64,
    /// Frames that were not shown or heard because what was made for the same time had
    /// been: of two mixes of it, one is enough.
    pub repeated: u64,
    /// Times that one sound faded into another.
    pub crossfades: u64,
    /// Frames of our own sound left out because all of it was silence, to be nearer to
    /// what is made.
    pub silence_cut: u64,
    /// How much later than it is made our own sound is heard now, or was last.
    pub delay: Duration,
}

/// What is to be shown or heard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SeamOutput {
    /// A picture.
    Picture {
        /// When. Not after the `now` of the call that gave it.
        at: Instant,
        /// Who made it hosted under this.
        epoch: Epoch,
        /// It.
        frame: VideoFrame,
        /// By our own stage.
        own: bool,
    },
    /// Sound, mono.
    Sound {
        /// From when on. Not after the `now` of the call that gave it.
        at: Instant,
        /// Who made it, or what it fades to, hosted under this.
        epoch: Epoch,
        /// It.
        frame: AudioFrame,
        /// By our own stage.
        own: bool,
    },
}
