//! How RTP is carried.

use std::time::Duration;

use paceline_types::Bitrate;

/// How RTP is carried.
///
/// ```
/// use paceline_transport::rtp::RtpConfig;
/// use paceline_transport::types::Bitrate;
///
/// let config = RtpConfig::default().start_bitrate(Bitrate::from_kbps(2_000)).max_nacks(5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RtpConfig {
    pub(crate) start_bitrate: Bitrate,
    pub(crate) min_bitrate: Bitrate,
    pub(crate) max_bitrate: Bitrate,
    pub(crate) nack_buffer: u16,
    pub(crate) nack_interval: Duration,
    pub(crate) max_nacks: u16,
    pub(crate) feedback_interval: Duration,
    pub(crate) report_interval: Duration,
    pub(crate) queue: usize,
}

impl RtpConfig {
    /// The target before anything is known of the path. Defaults to 1 Mbit/s; kept between
    /// [`min_bitrate`](Self::min_bitrate) and [`max_bitrate`](Self::max_bitrate).
    ///
    /// Too low, and the first seconds look poor; too high, and they queue up on a slow path
    /// until feedback tells.
    #[must_use]
    pub const fn start_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.start_bitrate = bitrate;
        self
    }

    /// The least that the target may be. Defaults to 100 kbit/s.
    ///
    /// A path that takes less is overrun.
    #[must_use]
    pub const fn min_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.min_bitrate = bitrate;
        self
    }

    /// The most that the target may be. Defaults to 50 Mbit/s.
    ///
    /// What the path takes beyond it is not used.
    #[must_use]
    pub const fn max_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.max_bitrate = bitrate;
        self
    }

    /// Packets of each stream that are kept to be sent again, and of which a receiver knows
    /// whether they came. Defaults to 1,024; rounded up to a power of two from 64 to 16,384.
    ///
    /// A receiver knows of 4,096 at most whether they came: a request for more cannot be written.
    /// What is asked for later is not sent again. 1,024 packets of 1,200 bytes are 1 s at
    /// 10 Mbit/s, and 1.2 MB of each stream's memory at most.
    #[must_use]
    pub const fn nack_buffer(mut self, packets: u16) -> Self {
        self.nack_buffer = packets;
        self
    }

    /// How often a packet that is missing is asked for. Defaults to 30 ms.
    ///
    /// Half of it is what a repair takes on average beyond one round trip. At least 1 ms, at most
    /// an hour.
    #[must_use]
    pub const fn nack_interval(mut self, interval: Duration) -> Self {
        self.nack_interval = interval;
        self
    }

    /// How often one packet is asked for before it is given up. Defaults to 10.
    ///
    /// Times [`nack_interval`](Self::nack_interval) it is for how long: 300 ms, which is two
    /// tries over a round trip of 150 ms, and longer than a picture can wait.
    #[must_use]
    pub const fn max_nacks(mut self, nacks: u16) -> Self {
        self.max_nacks = nacks;
        self
    }

    /// How often the receiver tells when each packet came (transport-wide congestion
    /// control). Defaults to 50 ms.
    ///
    /// Longer, and the sender learns later of a queue; shorter, and more is spent on telling.
    /// Above 250 ms he also grows more slowly, a quarter of a second's worth with each report,
    /// and what waits for longer than 2 s is forgotten before it is told of. At least 1 ms, at
    /// most an hour.
    #[must_use]
    pub const fn feedback_interval(mut self, interval: Duration) -> Self {
        self.feedback_interval = interval;
        self
    }

    /// How often a receiver report is sent (RFC 3550 §6.4.2). Defaults to 1 s. At least 1 ms,
    /// at most an hour.
    #[must_use]
    pub const fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }

    /// Packets that may wait in a [`Tap`](super::Tap), each way. Defaults to 1,024; at least 1.
    ///
    /// What does not fit is refused on the way out, and dropped and counted on the way in.
    #[must_use]
    pub const fn queue(mut self, packets: usize) -> Self {
        self.queue = packets;
        self
    }

    /// The least and the most that the target may be. Of two that cross, the least counts.
    pub(crate) fn bounds(&self) -> (Bitrate, Bitrate) {
        (self.min_bitrate, self.max_bitrate.max(self.min_bitrate))
    }

    /// The target before anything is known, within its bounds.
    pub(crate) fn first_target(&self) -> Bitrate {
        let (min, max) = self.bounds();
        self.start_bitrate.clamp(min, max)
    }
}

impl Default for RtpConfig {
    fn default() -> Self {
        Self {
            start_bitrate: Bitrate::from_kbps(1_000),
            min_bitrate: Bitrate::from_kbps(100),
            max_bitrate: Bitrate::from_kbps(50_000),
            nack_buffer: 1_024,
            nack_interval: Duration::from_millis(30),
            max_nacks: 10,
            feedback_interval: Duration::from_millis(50),
            report_interval: Duration::from_secs(1),
            queue: 1_024,
        }
    }
}
