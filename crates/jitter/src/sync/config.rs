//! The bounds of lip sync.

use std::time::Duration;

/// How far, how fast and how long streams are held back for each other.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_jitter::SyncConfig;
///
/// let config = SyncConfig::default().max_delay(Duration::from_millis(150));
/// ```
#[derive(Clone, Debug)]
pub struct SyncConfig {
    pub(super) audio_rate: u32,
    pub(super) enter: Duration,
    pub(super) leave: Duration,
    pub(super) max_delay: Duration,
    pub(super) max_lead: Duration,
    pub(super) max_offset: Duration,
    pub(super) max_streams: usize,
    pub(super) stale_after: Duration,
    pub(super) trim_rate: u32,
}

impl SyncConfig {
    /// By how much the pace of sound may change while it is moved, in millionths.
    /// Defaults to 50,000, which is 5 %: 50 ms of delay in a second.
    ///
    /// More is heard; less leaves lips apart for longer. Values above 1,000,000 are
    /// taken as that.
    #[must_use]
    pub const fn audio_rate(mut self, millionths: u32) -> Self {
        self.audio_rate = if millionths > ONE { ONE } else { millionths };
        self
    }

    /// How close to its place a stream must be to count as in sync. Defaults to 5 ms.
    ///
    /// A ninth of what people notice (45 ms, ITU-R BT.1359). It decides what
    /// [`SyncState`](super::SyncState) says, and stops nothing: a band in which nothing
    /// moves is an error that stays.
    #[must_use]
    pub const fn enter(mut self, enter: Duration) -> Self {
        self.enter = enter;
        self
    }

    /// How far off its place a stream that was in place must be before it is moved at
    /// full rate again. Defaults to 15 ms.
    ///
    /// Below it the [`trim_rate`](Self::trim_rate) serves. Lower, and the noise of
    /// sender reports is followed audibly; higher, and the noise of a first report stays
    /// for longer.
    #[must_use]
    pub const fn leave(mut self, leave: Duration) -> Self {
        self.leave = leave;
        self
    }

    /// How far one stream may be held back for another, above its own delay. Defaults
    /// to 300 ms.
    ///
    /// Beyond it the streams stay apart by what is left: a sender whose clock is nonsense
    /// cannot hold his own sound back for ever.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// By how much pictures may come before sound that its own network made late by more than
    /// 150 ms, while it is on its way back. Defaults to zero: pictures go with it.
    ///
    /// A queue that has drained leaves sound late for seconds, as it is not to be heard to
    /// hurry. From 125 ms on late sound is noticed (ITU-R BT.1359). With that, pictures over a
    /// link that became narrow are late for 3.7 s instead of 5.9; where delays come and go all the
    /// time, they move more often.
    #[must_use]
    pub const fn max_lead(mut self, lead: Duration) -> Self {
        self.max_lead = lead;
        self
    }

    /// How far apart two streams of a group may be and still be taken for a group.
    /// Defaults to 1 s.
    ///
    /// Beyond it the one that moved is [`Apart`](super::SyncState::Apart) and holds
    /// nobody back: its clock is broken, or not the one of the others.
    #[must_use]
    pub const fn max_offset(mut self, offset: Duration) -> Self {
        self.max_offset = offset;
        self
    }

    /// Streams known at a time. Defaults to 256; a stream is about 1 KiB.
    ///
    /// One more is refused, so that peers who join without end cost a bounded memory.
    #[must_use]
    pub const fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams;
        self
    }

    /// How long a stream may be silent before it holds nobody back. Defaults to 2 s.
    ///
    /// A camera that is switched off must not cost the sound its delay for good. Shorter,
    /// and the sound moves for every gap of a picture that is shown rarely.
    #[must_use]
    pub const fn stale_after(mut self, after: Duration) -> Self {
        self.stale_after = after;
        self
    }

    /// By how much the pace may change for the rest of an error, in millionths.
    /// Defaults to 2,000, which is 0.2 %: 2 ms of delay in a second.
    ///
    /// It is not heard (a semitone is 5.9 %), so it may always run, and no error stays.
    /// Values above 1,000,000 are taken as that.
    #[must_use]
    pub const fn trim_rate(mut self, millionths: u32) -> Self {
        self.trim_rate = if millionths > ONE { ONE } else { millionths };
        self
    }
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            audio_rate: 50_000,
            enter: Duration::from_millis(5),
            leave: Duration::from_millis(15),
            max_delay: Duration::from_millis(300),
            max_lead: Duration::ZERO,
            max_offset: Duration::from_secs(1),
            max_streams: 256,
            stale_after: Duration::from_secs(2),
            trim_rate: 2_000,
        }
    }
}

/// A pace that changes by its whole: what is moved stands still.
const ONE: u32 = 1_000_000;
