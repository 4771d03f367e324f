//! A frame as packets, for all who get it.

use std::sync::Arc;

use paceline_types::{Coding, EncodedFrame, MediaTime, NtpTime, SeqNo};

use super::{Packet, PacketizeError, Packetizer};

/// A frame that was made into packets once, for any number of [`Sender`](super::Sender)s.
/// Cloning shares them.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtp::{Codec, Packetized, Packetizer, PacketizerConfig};
/// use paceline_framing::types::{
///     AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
/// };
///
/// let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::Opus, 111, 7));
/// let packets = Packetized::new(&mut packetizer, &EncodedFrame {
///     stream: StreamId::AUDIO,
///     seq: SeqNo::new(0),
///     time: MediaTime::new(960, Frequency::AUDIO),
///     capture: NtpTime::default(),
///     coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
///     data: Bytes::from_static(&[0x78, 1, 2, 3]),
/// })?;
/// assert_eq!((packets.count(), packets.bytes()), (1, 4));
/// # Ok::<(), paceline_framing::rtp::PacketizeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Packetized {
    pub(super) packets: Arc<[Packet]>,
    pub(super) seq: SeqNo,
    pub(super) time: MediaTime,
    pub(super) capture: NtpTime,
    pub(super) kind: Kind,
    bytes: usize,
}

/// What a sender has to know of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Picture { key: bool, discardable: bool },
    Sound,
}

impl Packetized {
    /// Makes the next frame of a packetizer's stream into packets.
    ///
    /// # Errors
    ///
    /// Those of [`Packetizer::packetize`].
    ///
    /// # Panics
    ///
    /// As that.
    pub fn new(packetizer: &mut Packetizer, frame: &EncodedFrame) -> Result<Self, PacketizeError> {
        let packets = packetizer.packetize(frame)?;
        let kind = match frame.coding {
            Coding::Audio { .. } => Kind::Sound,
            Coding::Video { discardable, .. } => {
                Kind::Picture { key: frame.coding.is_key(), discardable }
            }
            _ => Kind::Picture { key: true, discardable: false },
        };
        Ok(Self {
            bytes: packets.iter().map(|packet| packet.payload.len()).sum(),
            packets: packets.into(),
            seq: frame.seq,
            time: frame.time,
            capture: frame.capture,
            kind,
        })
    }

    /// How many packets there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.packets.len()
    }

    /// Bytes of their payloads together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What holding it counts as: its payloads, and for each packet what its header and a
    /// shared buffer take.
    pub(super) fn cost(&self) -> usize {
        self.bytes + PACKET_OVERHEAD * self.packets.len()
    }
}

/// A packet's parsed header (176 bytes here) and that of a shared buffer (40).
const PACKET_OVERHEAD: usize = 216;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_covers_a_packet() {
        assert!(size_of::<Packet>() + 40 <= PACKET_OVERHEAD, "{}", size_of::<Packet>());
    }
}
