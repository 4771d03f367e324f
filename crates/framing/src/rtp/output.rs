//! What a depacketizer says.

use bytes::Bytes;
use paceline_types::{MediaTime, SeqNo};

use super::PayloadError;

/// A frame, whole.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtp::Frame;
///
/// /// How long `earlier` is to be shown.
/// fn shown(earlier: &Frame, next: &Frame) -> Duration {
///     next.time.saturating_since(earlier.time)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// When it was sampled: the RTP timestamp (RFC 3550 §5.1), extended so that it does
    /// not wrap. Its low 32 bits are those of the packets; it can be before that of the
    /// frame before, as RFC 3550 allows and pictures that are predicted from later ones
    /// need.
    pub time: MediaTime,
    /// The sequence number of its first packet, extended. Its low 16 bits are those of
    /// the packet.
    pub first_seq: SeqNo,
    /// How many packets it came in, those of padding not counted.
    pub packets: usize,
    /// A decoder can start with it.
    pub key: bool,
    /// Nothing else depends on it, as its payload says.
    pub discardable: bool,
    /// The marker bit of its last packet. For sound: a talkspurt begins (RFC 3551 §4.1).
    pub marker: bool,
    /// The encoded bytes; for H.264 an Annex B byte stream.
    pub data: Bytes,
}

/// What comes out of a [`Depacketizer`](super::Depacketizer), in the order of sequence numbers: each number
/// from the first one on is in exactly one of these, unless it was padding's.
///
/// ```
/// use paceline_framing::rtp::Output;
///
/// /// Whether a decoder that gets its frames from here must ask for a key frame.
/// fn lost_something(output: &Output) -> bool {
///     !matches!(output, Output::Frame(_))
/// }
/// # assert!(lost_something(&Output::Restart { first: Default::default() }));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Packets that came, and are of no use: their frame is not whole, or is none. A run
    /// can be named in parts.
    Dropped {
        /// The first of them.
        first: SeqNo,
        /// How many, one behind the other. Padding between them counts.
        count: u64,
    },
    /// A frame of which every packet came.
    Frame(Frame),
    /// Packets that did not come in time, or whose payload was none. Each is named once;
    /// a run can be named in parts.
    Missing {
        /// The first of them.
        first: SeqNo,
        /// How many, one behind the other.
        count: u64,
    },
    /// The sender goes on with numbers far from the earlier ones. What is between is not
    /// missing: it was sent long ago, or never.
    Restart {
        /// The number it goes on with: larger than all before, with the low 16 bits of
        /// the packet's.
        first: SeqNo,
    },
}

/// What became of a packet given to [`Depacketizer::handle_packet`](super::Depacketizer::handle_packet).
///
/// ```
/// use std::time::Instant;
///
/// use paceline_framing::rtp::{Codec, Depacketizer, DepacketizerConfig, Packet, Verdict};
///
/// let mut sound = Depacketizer::new(7, Codec::Opus, DepacketizerConfig::default());
/// let stray = Packet::default();
/// assert_eq!(sound.handle_packet(Instant::now(), stray), Verdict::OtherSource);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It is held already.
    Duplicate,
    /// Its number is far from the others. It is held alone, and is believed when the one
    /// with the next number comes before another such.
    Jumped,
    /// It is before the beginning, or it was given out, dropped or given up as missing.
    Late,
    /// It is no payload of the codec. Its number is missing from now on: a good packet
    /// with it is late or a duplicate.
    Malformed(PayloadError),
    /// It is of another source than this machine is for.
    OtherSource,
    /// It is held, or was used.
    Queued,
}

/// Counts since it was made.
///
/// ```
/// use paceline_framing::rtp::DepacketizerStats;
///
/// /// The share of packets that did not come in time, as far as is known.
/// fn loss(stats: DepacketizerStats, received: u64) -> f64 {
///     let missing = stats.missing - stats.malformed_packets.min(stats.missing);
///     missing as f64 / (missing + received).max(1) as f64
/// }
/// assert_eq!(loss(DepacketizerStats::default(), 10), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DepacketizerStats {
    /// Frames dropped because it cannot be told whether they are whole. Not those of
    /// which no packet came.
    pub broken_frames: u64,
    /// Packets of frames that were dropped, and those that jumped and were not believed.
    /// Not those that are counted as `duplicate`, `late` or `malformed_packets`.
    pub dropped_packets: u64,
    /// Packets that were held already.
    pub duplicate: u64,
    /// Frames given out.
    pub frames: u64,
    /// Packets that came too late, those that came again too late included.
    pub late: u64,
    /// Frames of which every packet came, and which were none all the same.
    pub malformed_frames: u64,
    /// Packets that were no payload of the codec.
    pub malformed_packets: u64,
    /// Numbers named by [`Output::Missing`]. A packet among them that comes later is
    /// counted as `late` too, one that was malformed as `malformed_packets`.
    pub missing: u64,
    /// Packets of another source.
    pub other_source: u64,
    /// Packets that were padding and nothing else. Not those that are counted above.
    pub padding: u64,
    /// How often the stream went on with other numbers.
    pub restarts: u64,
}
