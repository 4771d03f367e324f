//! The bounds of a jitter buffer.

use std::time::Duration;

/// How long frames wait, and how many may.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_jitter::JitterConfig;
///
/// let config = JitterConfig::default().min_delay(Duration::from_millis(80));
/// ```
#[derive(Clone, Debug)]
pub struct JitterConfig {
    pub(crate) min_delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) max_late: Duration,
    pub(crate) max_frames: usize,
    pub(crate) max_jump: Duration,
}

impl JitterConfig {
    /// How long a frame waits at least, counted from the fastest of the last 10 s.
    /// Defaults to 50 ms.
    ///
    /// A clean stream is played with exactly this delay.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// How far the delay may grow with the network's jitter. Defaults to 200 ms.
    ///
    /// Beyond it frames come too late and are lost; below it a conversation stays
    /// one (ITU-T G.114 asks for 150 ms mouth to ear, and tolerates 400).
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How long after its time a frame is still played. Defaults to 200 ms.
    ///
    /// A frame that is late plays at once if its successor has not been played;
    /// after this it is dropped, so that a stall does not become a slow replay.
    #[must_use]
    pub const fn max_late(mut self, late: Duration) -> Self {
        self.max_late = late;
        self
    }

    /// Frames held at most. Defaults to 128: more than two seconds of sound.
    ///
    /// Over it the oldest is played early, so a flood costs a bounded memory.
    #[must_use]
    pub const fn max_frames(mut self, frames: usize) -> Self {
        self.max_frames = frames;
        self
    }

    /// How far a frame's media time may be off before it is no jitter any more.
    /// Defaults to 2 s.
    ///
    /// Three such frames in a row, whatever their times, make the buffer start anew at
    /// the third; fewer are dropped, so that one hostile timestamp schedules nothing.
    #[must_use]
    pub const fn max_jump(mut self, jump: Duration) -> Self {
        self.max_jump = jump;
        self
    }
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(50),
            max_delay: Duration::from_millis(200),
            max_late: Duration::from_millis(200),
            max_frames: 128,
            max_jump: Duration::from_secs(2),
        }
    }
}
