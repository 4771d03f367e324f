//! How a loudspeaker is fed.

use std::time::Duration;

/// How much sound waits for a [`Loudspeaker`](super::Loudspeaker), and the bounds on it.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_playout::LoudspeakerConfig;
///
/// // A machine whose threads are late more often than not.
/// let config = LoudspeakerConfig::default().push_jitter(Duration::from_millis(60));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct LoudspeakerConfig {
    pub(super) period: Duration,
    pub(super) push_jitter: Duration,
    pub(super) slack: Duration,
    pub(super) max_queue: Duration,
    pub(super) open_timeout: Duration,
}

impl LoudspeakerConfig {
    /// How much sound the device is asked to take at a time. Defaults to 10 ms, from 2 to
    /// 100 ms.
    ///
    /// A device may take more or less; what counts is what it takes. PulseAudio then holds two
    /// of these, and its own default would be 2 s. Shorter, it wakes more often.
    #[must_use]
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period.clamp(Duration::from_millis(2), Duration::from_millis(100));
        self
    }

    /// By how much a push may be late. Defaults to 20 ms, up to 200 ms.
    ///
    /// What is to wait is this and two of the device's periods, or this and 20 ms if that is
    /// more. It is all delay; with less, a push that is late is heard as a gap.
    #[must_use]
    pub fn push_jitter(mut self, jitter: Duration) -> Self {
        self.push_jitter = jitter.min(Duration::from_millis(200));
        self
    }

    /// How much more than is to wait may wait. Defaults to 60 ms, from 40 to 500 ms.
    ///
    /// Over that, the oldest is dropped, down to what is to wait, and the seam crossfaded:
    /// nothing is heard later than that for long. Less than that goes by playing up to 0.5 %
    /// faster. A device that takes its sound unevenly needs more.
    #[must_use]
    pub fn slack(mut self, slack: Duration) -> Self {
        self.slack = slack.clamp(Duration::from_millis(40), Duration::from_millis(500));
        self
    }

    /// How much may wait in all, whatever the device takes at a time. Defaults to 500 ms, from
    /// 100 ms to 2 s.
    ///
    /// Memory for it is taken at once: 4 bytes a sample of the device's rate. Half of it is the
    /// most that is to wait, so a device that takes more than a fourth of it at a time has
    /// gaps.
    #[must_use]
    pub fn max_queue(mut self, queue: Duration) -> Self {
        self.max_queue = queue.clamp(Duration::from_millis(100), Duration::from_secs(2));
        self
    }

    /// How long to wait for the system to open a device or to list them. Defaults to 5 s, from
    /// 100 ms to 60 s.
    ///
    /// A sound server that hangs takes no longer than this of who calls. Shorter, one that is
    /// just starting up is not waited for.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout.clamp(Duration::from_millis(100), Duration::from_secs(60));
        self
    }
}

impl Default for LoudspeakerConfig {
    fn default() -> Self {
        Self {
            period: Duration::from_millis(10),
            push_jitter: Duration::from_millis(20),
            slack: Duration::from_millis(60),
            max_queue: Duration::from_millis(500),
            open_timeout: Duration::from_secs(5),
        }
    }
}
