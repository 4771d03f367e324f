//! The bounds of the RTP of a connection.

use std::time::Duration;

use paceline_framing::rtp::{DepacketizerConfig, SenderConfig};

/// How media go over RTP, and what the peer can make us hold.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_mesh::{MeshConfig, RtpConfig};
///
/// let rtp = RtpConfig::default().max_gap(Duration::from_millis(200));
/// let config = MeshConfig::default().rtp(rtp);
/// ```
#[derive(Clone, Debug)]
pub struct RtpConfig {
    pub(crate) sender: SenderConfig,
    pub(crate) max_gap: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) max_packets: usize,
    pub(crate) max_early: usize,
    pub(crate) ask_interval: Duration,
}

impl RtpConfig {
    /// How our own media are paced and left out, to each peer.
    #[must_use]
    pub fn sender(mut self, config: SenderConfig) -> Self {
        self.sender = config;
        self
    }

    /// How long pictures wait for a packet that is missing before them. Defaults to 300 ms.
    ///
    /// A loss is seen with the next packet, asked for at the next turn of whoever asks, 30 ms
    /// later at most in `paceline_transport` and up to ten times, and back a round trip after
    /// that: with one of 100 ms and some queue there is time to ask twice. Shorter gives up
    /// what was on its way and costs a keyframe; longer lets pictures stand still for longer
    /// before one is asked for. It is below the 400 ms that a jitter buffer waits for what is
    /// late. Sound waits for nothing here: a jitter buffer puts it in order.
    #[must_use]
    pub const fn max_gap(mut self, gap: Duration) -> Self {
        self.max_gap = gap;
        self
    }

    /// Bytes held of each of a peer's two streams of pictures. Defaults to 4 MiB.
    ///
    /// Over it gaps are given up early.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Packets held of each of them. Defaults to 1,024. A frame of more never comes.
    #[must_use]
    pub const fn max_packets(mut self, packets: usize) -> Self {
        self.max_packets = packets;
        self
    }

    /// Bytes kept of what overtakes a peer's hello. Defaults to 256 KiB: a keyframe and what
    /// follows in a round trip.
    ///
    /// With less, who has just come waits for another keyframe.
    #[must_use]
    pub const fn max_early(mut self, bytes: usize) -> Self {
        self.max_early = bytes;
        self
    }

    /// After how long a request for a keyframe is repeated that brought none. Defaults to
    /// 500 ms, as often as an encoder here makes one. Two round trips if they are more, and
    /// each time twice as long, up to eight times this; and up to 2 s more while a frame is
    /// there in part, which may be the one.
    ///
    /// Such a request can be lost, which one over the channel cannot. Shorter costs a narrow
    /// path a second keyframe while the first is coming in; longer lets a picture stand still
    /// for longer when the request was lost.
    #[must_use]
    pub const fn ask_interval(mut self, interval: Duration) -> Self {
        self.ask_interval = interval;
        self
    }

    pub(crate) fn depacketizer(&self) -> DepacketizerConfig {
        DepacketizerConfig::default()
            .max_age(self.max_gap)
            .max_bytes(self.max_bytes)
            .max_packets(self.max_packets)
    }
}

impl Default for RtpConfig {
    fn default() -> Self {
        Self {
            sender: SenderConfig::default(),
            max_gap: Duration::from_millis(300),
            max_bytes: 4 << 20,
            max_packets: 1_024,
            max_early: 256 << 10,
            ask_interval: Duration::from_millis(500),
        }
    }
}
