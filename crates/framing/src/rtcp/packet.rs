//! One packet of a datagram.

use bytes::Bytes;

use super::{
    FullIntraRequest, Goodbye, PictureLossIndication, ReceiverReport, Remb, SenderReport,
    SourceDescription, TransportFeedback, TransportLayerNack,
};

/// One packet of a compound, typed.
///
/// ```
/// use paceline_framing::rtcp::{self, Packet, PictureLossIndication};
///
/// let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: 2 };
/// let packets = [Packet::PictureLossIndication(pli)];
/// assert_eq!(rtcp::parse(rtcp::emit(&packets))?, packets);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Packet {
    /// FIR: a key frame, as a command (RFC 5104 §4.3.1).
    FullIntraRequest(FullIntraRequest),
    /// BYE: sources leave (RFC 3550 §6.6).
    Goodbye(Goodbye),
    /// Generic NACK: packets are lost (RFC 4585 §6.2.1).
    Nack(TransportLayerNack),
    /// PLI: a picture is lost (RFC 4585 §6.3.1).
    PictureLossIndication(PictureLossIndication),
    /// RR: what one who does not send received (RFC 3550 §6.4.2).
    ReceiverReport(ReceiverReport),
    /// REMB: what a receiver believes it can receive.
    Remb(Remb),
    /// SR: what a sender sent, and received (RFC 3550 §6.4.1).
    SenderReport(SenderReport),
    /// SDES: who the sources are (RFC 3550 §6.5).
    SourceDescription(SourceDescription),
    /// What arrived when, of all that a transport carried.
    TransportFeedback(TransportFeedback),
    /// Another type, which RFC 3550 §6.1 has us pass over.
    Unknown(Unknown),
}

/// A packet of a type, or feedback of a format, that is not one of ours: its octets.
///
/// ```
/// use paceline_framing::rtcp::Unknown;
///
/// // APP (RFC 3550 §6.7) of subtype 3.
/// let app = Unknown::new(b"\x83\xcc\x00\x02\x00\x00\x00\x07TEST"[..].into());
/// assert_eq!((app.packet_type(), app.count()), (204, 3));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown(Bytes);

impl Unknown {
    /// The packet with these octets, header and padding included.
    ///
    /// # Panics
    ///
    /// If the header is not of version 2, or its length is not that of `raw`. A type or
    /// format that is known here is not looked at: parsing then finds that.
    #[must_use]
    pub fn new(raw: Bytes) -> Self {
        assert!(raw.len() >= 4 && raw[0] >> 6 == 2, "an RTCP packet begins with its version");
        let words = usize::from(u16::from_be_bytes([raw[2], raw[3]]));
        assert_eq!(raw.len(), 4 + 4 * words, "an RTCP packet is as long as its header says");
        Self(raw)
    }

    /// `raw` is a whole packet, by its checked header.
    pub(super) const fn from_checked(raw: Bytes) -> Self {
        Self(raw)
    }

    /// The octets, header and padding included.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.0
    }

    /// The packet type (RFC 3550 §12.1).
    #[must_use]
    pub fn packet_type(&self) -> u8 {
        self.0[1]
    }

    /// The five bits that are a count, a subtype or a feedback format.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.0[0] & 0x1f
    }

    pub(super) fn is_padded(&self) -> bool {
        self.0[0] & 0x20 != 0
    }
}
