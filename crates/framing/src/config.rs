//! The bounds: on what a peer makes us hold, and on what waits for a peer.

use std::time::Duration;

use crate::QueuePolicy;

/// Limits on what one peer can make us hold. Whatever breaks one is dropped and
/// counted; the rest goes on.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::ReassemblyConfig;
///
/// let config = ReassemblyConfig::default().max_age(Duration::from_millis(250));
/// assert_eq!(config.max_packet_bytes(), 4 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct ReassemblyConfig {
    pub(crate) max_message: usize,
    pub(crate) max_packet: usize,
    pub(crate) max_control_packet: usize,
    pub(crate) max_unfinished: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_age: Duration,
}

impl ReassemblyConfig {
    /// Bytes of one message. Defaults to 16,384, the size that every data-channel
    /// implementation sends (RFC 8831 §6.6).
    ///
    /// A longer message is dropped: what we accept is what our hello says.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Bytes of one media packet, header included. Defaults to 4 MiB: a picture of
    /// 1024 × 1024 at four bytes a pixel just does not fit.
    ///
    /// A larger picture never arrives, however often it is sent.
    #[must_use]
    pub const fn max_packet(mut self, bytes: usize) -> Self {
        self.max_packet = bytes;
        self
    }

    /// Bytes of one control packet, header included. Defaults to 64 KiB, which is
    /// a report on 2,000 streams.
    ///
    /// It bounds what a peer can make us parse at once.
    #[must_use]
    pub const fn max_control_packet(mut self, bytes: usize) -> Self {
        self.max_control_packet = bytes;
        self
    }

    /// Packets of which some fragments are there. Defaults to 64; a sender that
    /// interleaves by class has three at a time.
    ///
    /// Over it, the oldest is dropped.
    #[must_use]
    pub const fn max_unfinished(mut self, packets: usize) -> Self {
        self.max_unfinished = packets;
        self
    }

    /// Bytes to hold for unfinished packets, headers and bookkeeping included.
    /// Defaults to 8 MiB, two of the largest packets.
    ///
    /// Over it, the oldest are dropped. Bookkeeping counts so that a flood of tiny
    /// fragments is not free. A packet whose last fragment has come is put together in
    /// one more piece: that is not counted, and there is one at a time.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long to wait for the rest of a packet of media. Defaults to 500 ms.
    ///
    /// Media that takes longer has missed its playout time; on a link so slow,
    /// large pictures never arrive. Control and an application's data are waited for
    /// within the bounds on packets and bytes: media go before them, for as long as they
    /// like.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// The limit on a media packet, for our hello.
    #[must_use]
    pub const fn max_packet_bytes(&self) -> usize {
        self.max_packet
    }
}

impl Default for ReassemblyConfig {
    fn default() -> Self {
        Self {
            max_message: 16_384,
            max_packet: 4 << 20,
            max_control_packet: 64 << 10,
            max_unfinished: 64,
            max_bytes: 8 << 20,
            max_age: Duration::from_millis(500),
        }
    }
}

/// Limits on what waits for one peer.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::{InterleaverConfig, QueuePolicy};
///
/// let max_age = Duration::from_millis(100);
/// let policy = QueuePolicy::DropToKeyframe { max_age, max_bytes: 1 << 20 };
/// let config = InterleaverConfig::default().video_policy(policy);
/// ```
#[derive(Clone, Debug)]
pub struct InterleaverConfig {
    pub(crate) data_policy: QueuePolicy,
    pub(crate) high_watermark: usize,
    pub(crate) low_watermark: usize,
    pub(crate) max_audio_age: Duration,
    pub(crate) max_audio_bytes: usize,
    pub(crate) max_control_bytes: usize,
    pub(crate) max_outstanding: usize,
    pub(crate) video_policy: QueuePolicy,
}

impl InterleaverConfig {
    /// What becomes of an application's data that wait. Defaults to
    /// [`QueuePolicy::Reliable`] with 4 s and 256 KiB. A message that is lost twice stops
    /// the channel for 3 s (RFC 9260 §6.3: 1 s, and then 2), and is no reason to give a peer
    /// up.
    ///
    /// More bytes let a slow peer fall further behind and cost that much for each; a
    /// shorter deadline gives up peers for shorter breaks of their link.
    #[must_use]
    pub const fn data_policy(mut self, policy: QueuePolicy) -> Self {
        self.data_policy = policy;
        self
    }

    /// How long sound may wait. Defaults to 400 ms, the most that ITU-T G.114
    /// tolerates from mouth to ear.
    ///
    /// Older sound is dropped, oldest first: the listener hears a gap, and what
    /// comes after it in time.
    #[must_use]
    pub const fn max_audio_age(mut self, age: Duration) -> Self {
        self.max_audio_age = age;
        self
    }

    /// Bytes of sound that may wait, bookkeeping included. Defaults to 512 KiB: 400 ms
    /// of two channels of 32-bit floats is 150 KiB.
    ///
    /// Over it the oldest sound is dropped. The newest may be larger than this if it
    /// waits alone.
    #[must_use]
    pub const fn max_audio_bytes(mut self, bytes: usize) -> Self {
        self.max_audio_bytes = bytes;
        self
    }

    /// Bytes of control that may wait, bookkeeping included. Defaults to 256 KiB, far more
    /// than a call makes in the time after which a silent peer is gone.
    ///
    /// Over it [`push`](crate::Interleaver::push) answers
    /// [`Verdict::Full`](crate::Verdict::Full): control is never left out, so the peer
    /// is to be given up.
    #[must_use]
    pub const fn max_control_bytes(mut self, bytes: usize) -> Self {
        self.max_control_bytes = bytes;
        self
    }

    /// The next message goes to the transport while fewer bytes than this are there.
    /// Defaults to 16 KiB: at most two messages of the usual limit are there at once,
    /// one on its way and one behind it.
    ///
    /// What is there can be neither overtaken nor shed. Less holds up the transport,
    /// more holds up sound behind pictures. It also bounds the rate: so much and a
    /// message in a round trip. One message more than this has to fit the transport's
    /// own limit, or messages are lost.
    ///
    /// [`set_window`](crate::Interleaver::set_window) takes its place once somebody has
    /// measured the path.
    #[must_use]
    pub const fn max_outstanding(mut self, bytes: usize) -> Self {
        self.max_outstanding = bytes;
        self
    }

    /// What becomes of pictures that wait. Defaults to [`QueuePolicy::DropToKeyframe`]
    /// with 250 ms and 1 MiB.
    ///
    /// Of a stream below 8 Mbit/s, 250 ms are less than 256 KiB, so the age is what
    /// bounds it. The bytes are there for a keyframe, which is as large as many other
    /// pictures and goes within 250 ms if the link is fast: with 256 KiB, one of 300 KiB
    /// would be shed for the picture that follows it. A peer that takes nothing costs
    /// this much, or one picture that is larger and what is left of another.
    #[must_use]
    pub const fn video_policy(mut self, policy: QueuePolicy) -> Self {
        self.video_policy = policy;
        self
    }

    /// Bytes that wait, of all classes together and with bookkeeping: as many as `high`
    /// or more are congestion, and that is over when no more than `low` are left.
    /// Defaults to 32 KiB and 128 KiB: what is in flight on a slow link, and what such a
    /// one of 2 Mbit/s takes half a second for.
    ///
    /// [`poll_watermark`](crate::Interleaver::poll_watermark) tells. Nothing else depends
    /// on them.
    ///
    /// # Panics
    ///
    /// If `low` is not below `high`.
    #[must_use]
    pub const fn watermarks(mut self, low: usize, high: usize) -> Self {
        assert!(low < high, "the low watermark is below the high one");
        self.low_watermark = low;
        self.high_watermark = high;
        self
    }
}

impl Default for InterleaverConfig {
    fn default() -> Self {
        Self {
            data_policy: QueuePolicy::Reliable {
                deadline: Duration::from_secs(4),
                max_bytes: 256 << 10,
            },
            high_watermark: 128 << 10,
            low_watermark: 32 << 10,
            max_audio_age: Duration::from_millis(400),
            max_audio_bytes: 512 << 10,
            max_control_bytes: 256 << 10,
            max_outstanding: 16 << 10,
            video_policy: QueuePolicy::DropToKeyframe {
                max_age: Duration::from_millis(250),
                max_bytes: 1 << 20,
            },
        }
    }
}
