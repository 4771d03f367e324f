//! The bounds of a jitter buffer.

use std::time::Duration;

/// How long units wait, how many may, and what a late one is worth.
///
/// The default is for sound. [`video`](Self::video) is for pictures, which may
/// move in time without being heard to.
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
    pub(crate) capacity: usize,
    pub(crate) loss_price: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) max_gap: u32,
    pub(crate) max_jump: Duration,
    pub(crate) max_late: Duration,
    pub(crate) max_pace: f64,
    pub(crate) min_delay: Duration,
    pub(crate) start_delay: Duration,
    pub(crate) talkspurts: bool,
}

impl JitterConfig {
    /// For pictures: the delay moves at once, and the marker means nothing.
    #[must_use]
    pub const fn video() -> Self {
        Self { max_pace: 1.0, talkspurts: false, ..Self::audio() }
    }

    /// For sound; the same as [`default`](Self::default).
    #[must_use]
    pub const fn audio() -> Self {
        Self {
            capacity: 128,
            loss_price: Duration::from_millis(50),
            max_delay: Duration::from_millis(200),
            max_gap: 3_000,
            max_jump: Duration::from_secs(2),
            max_late: Duration::from_millis(200),
            max_pace: 0.05,
            min_delay: Duration::from_millis(20),
            start_delay: Duration::from_millis(20),
            talkspurts: true,
        }
    }

    /// Units held at most, from the first to the last by number, lost ones
    /// between them included. Defaults to 128: 2.5 s of sound in units of 20 ms.
    /// Rounded up to a power of two, from 2 to 65,536.
    ///
    /// One that lies further ahead has the oldest played early, so a flood costs a
    /// bounded memory. Packets of pictures need more: 512 for 4 Mbit/s.
    #[must_use]
    pub const fn capacity(mut self, units: usize) -> Self {
        self.capacity = units;
        self
    }

    /// How much longer everything may wait so that one in a hundred units less
    /// comes too late. Defaults to 50 ms.
    ///
    /// The delay is where the two together cost least: a higher price means more
    /// delay and fewer gaps. ITU-T G.107 has one per cent of loss, concealed, as bad
    /// as 150 ms more of delay while that is below 177 ms from mouth to ear, and as
    /// bad as 27 ms above (with the Bpl of 25.1 that G.113 gives G.711, and the linear fit
    /// of Cole and Rosenbluth, 2001).
    #[must_use]
    pub const fn loss_price(mut self, delay: Duration) -> Self {
        self.loss_price = delay;
        self
    }

    /// How far the delay may grow with the network's jitter, counted from the
    /// fastest unit of the last 10 s. Defaults to 200 ms, up to 2 s.
    ///
    /// Beyond it units come too late and are lost; below it a conversation stays
    /// one (ITU-T G.114 asks for 150 ms mouth to ear, and tolerates 400).
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = if delay.as_millis() > 2_000 { Duration::from_secs(2) } else { delay };
        self
    }

    /// How far a sequence number may be from the newest before two in a row have
    /// to confirm it. Defaults to 3,000 (RFC 3550 A.1, MAX_DROPOUT).
    ///
    /// Above it a single hostile number moves nothing.
    #[must_use]
    pub const fn max_gap(mut self, units: u32) -> Self {
        self.max_gap = units;
        self
    }

    /// How far a media time may be off before two in a row have to confirm it.
    /// Defaults to 2 s, up to 60 s.
    ///
    /// Above it a single hostile timestamp schedules nothing.
    #[must_use]
    pub const fn max_jump(mut self, jump: Duration) -> Self {
        self.max_jump = if jump.as_secs() >= 60 { Duration::from_secs(60) } else { jump };
        self
    }

    /// How long after its time a unit is still played. Defaults to 200 ms.
    ///
    /// A late unit that nothing has overtaken is played when it comes, and all
    /// after it as much later, within [`max_delay`](Self::max_delay). One that is
    /// later than this is refused, so that a stall does not become a slow replay.
    #[must_use]
    pub const fn max_late(mut self, late: Duration) -> Self {
        self.max_late = late;
        self
    }

    /// By how much the pace of playout may differ from the sender's while the
    /// delay moves. Defaults to 0.05, five per cent; from 0 to 1.
    ///
    /// What stretches sound (WSOLA) is hardly heard up to this. Pictures take 1.
    /// What is beyond is clamped, and what is no number counts as 0.
    #[must_use]
    pub const fn max_pace(mut self, pace: f64) -> Self {
        self.max_pace = if pace.is_nan() { 0.0 } else { pace.clamp(0.0, 1.0) };
        self
    }

    /// How long a unit waits at least, counted from the fastest of the last 10 s.
    /// Defaults to 20 ms, and is at most [`max_delay`](Self::max_delay).
    ///
    /// A clean stream is played with exactly this delay.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// What the delay is before the network is known. Defaults to 20 ms; clamped
    /// to [`min_delay`](Self::min_delay) and [`max_delay`](Self::max_delay).
    ///
    /// Too little, and the first second of a jittery stream stutters; too much,
    /// and the first second of a clean one is late by it.
    #[must_use]
    pub const fn start_delay(mut self, delay: Duration) -> Self {
        self.start_delay = delay;
        self
    }

    /// Whether a marker says that a talkspurt begins (RFC 3551 §4.1). Defaults to
    /// true; false for pictures, where it ends a frame (RFC 6184 §5.1).
    ///
    /// Before a talkspurt there was silence, in which the delay moves at once.
    #[must_use]
    pub const fn talkspurts(mut self, talkspurts: bool) -> Self {
        self.talkspurts = talkspurts;
        self
    }
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self::audio()
    }
}
