//! A datagram's octets, as packets.

use ::shared::marshal::Unmarshal;
use bytes::{Buf, Bytes};

use super::fields::Fields;
use super::kind::{BYE, FMT_AFB, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TWCC, PSFB, RR, RTPFB, SDES, SR};
use super::{Goodbye, Packet, Remb, RtcpError, SourceDescription, TransportFeedback, Unknown};

/// The packets of a datagram: a compound (RFC 3550 §6.1), or a reduced-size one
/// (RFC 5506), which [`validate_compound`](super::validate_compound) tells apart.
///
/// Every length is checked against the octets that there are before it is believed.
/// What is returned shares `datagram` or has at most five times its size, beside the
/// packets themselves, of which there are [`MAX_PACKETS`] at most.
///
/// Emitting the packets again gives the same octets, but for these, which carry
/// nothing: padding; what fills a word at the end of an SDES chunk, a BYE's reason or a
/// TWCC packet; reserved bits of a FIR; the media source of a REMB, and the form of its
/// bitrate if it is not the shortest.
///
/// Padding is refused before the last packet (RFC 3550 §6.4.1), with one exception:
/// libwebrtc pads its TWCC packets to a word with one to three octets, wherever they
/// are. For the same reason the length of padding need not be a multiple of four.
///
/// # Errors
///
/// On the first packet that is malformed: the lengths of those after it, and so where
/// they begin, cannot be trusted. A type or feedback format that is not known is none.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtcp::{self, Packet};
///
/// // An empty receiver report, and a packet of a type that we do not know.
/// let bytes = Bytes::from_static(b"\x80\xc9\x00\x01\x00\x00\x00\x07\x80\xcf\x00\x00");
/// let packets = rtcp::parse(bytes.clone())?;
/// assert!(matches!(&packets[..], [Packet::ReceiverReport(_), Packet::Unknown(_)]));
/// assert_eq!(rtcp::emit(&packets), bytes);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
pub fn parse(datagram: Bytes) -> Result<Vec<Packet>, RtcpError> {
    if datagram.is_empty() {
        return Err(RtcpError::Empty);
    }
    if datagram.len() > MAX_COMPOUND {
        return Err(RtcpError::TooLarge { len: datagram.len(), max: MAX_COMPOUND });
    }
    let mut rest = Fields::new(datagram);
    let mut packets = Vec::new();
    while rest.len() > 0 {
        if packets.len() == MAX_PACKETS {
            return Err(RtcpError::TooManyPackets { max: MAX_PACKETS });
        }
        packets.push(packet(&mut rest)?);
    }
    Ok(packets)
}

/// The first packet of the octets that are left.
fn packet(rest: &mut Fields) -> Result<Packet, RtcpError> {
    let from = rest.clone();
    let first = rest.u8("header")?;
    let kind = rest.u8("header")?;
    let words = rest.u16("header")?;
    if first >> 6 != VERSION {
        return Err(RtcpError::UnknownVersion(first >> 6));
    }
    let mut body = rest.take(4 * usize::from(words), "packet")?;
    let count = first & 0x1f;
    let padded = first & 0x20 != 0;
    if padded {
        let len = body.last().copied().unwrap_or(0);
        let placed = rest.len() == 0 || (kind, count) == (RTPFB, FMT_TWCC);
        if !placed || len == 0 || usize::from(len) > body.len() {
            return Err(RtcpError::BadPadding { len });
        }
        body.truncate(body.len() - usize::from(len));
    }
    Ok(match (kind, count) {
        (SR, _) => Packet::SenderReport(report(kind, count, 24, body, "sender report")?),
        (RR, _) => Packet::ReceiverReport(report(kind, count, 4, body, "receiver report")?),
        (SDES, _) => Packet::SourceDescription(SourceDescription::parse(count, body)?),
        (BYE, _) => Packet::Goodbye(Goodbye::parse(count, body)?),
        (RTPFB, FMT_NACK) => Packet::Nack(feedback(kind, count, 4, body, "NACK")?),
        (RTPFB, FMT_TWCC) => Packet::TransportFeedback(TransportFeedback::parse(body)?),
        (PSFB, FMT_PLI) => Packet::PictureLossIndication(feedback(kind, count, 0, body, "PLI")?),
        (PSFB, FMT_FIR) => Packet::FullIntraRequest(feedback(kind, count, 8, body, "FIR")?),
        (PSFB, FMT_AFB) if Remb::is_in(&body) => Packet::Remb(Remb::parse(body)?),
        _ => {
            let len = 4 + 4 * usize::from(words);
            Packet::Unknown(Unknown::from_checked(from.rest().slice(..len)))
        }
    })
}

/// A report of `fixed` octets, `count` blocks, and whatever a profile adds in words.
fn report<T: Unmarshal>(
    kind: u8,
    count: u8,
    fixed: usize,
    body: Bytes,
    field: &'static str,
) -> Result<T, RtcpError> {
    let expected = fixed + REPORT_BLOCK * usize::from(count);
    if body.len() < expected {
        return Err(RtcpError::Truncated { field });
    }
    if !body.len().is_multiple_of(4) {
        return Err(RtcpError::TrailingBytes { field, len: body.len() - expected });
    }
    unmarshal(kind, count, body, field)
}

/// Feedback with entries of so many octets each, and one at least; or with none, if
/// that is zero.
fn feedback<T: Unmarshal>(
    kind: u8,
    format: u8,
    entry: usize,
    body: Bytes,
    field: &'static str,
) -> Result<T, RtcpError> {
    let Some(len) = body.len().checked_sub(SSRCS + entry) else {
        return Err(RtcpError::Truncated { field });
    };
    match len.checked_rem(entry).unwrap_or(len) {
        0 => unmarshal(kind, format, body, field),
        len => Err(RtcpError::TrailingBytes { field, len }),
    }
}

/// The crate's parser, on a header without padding: it takes that for content.
///
/// `body` was checked to have all that the count or the length asks for, in whole words.
/// The crate then finds nothing to refuse, and none of the sums that overflow in it gets
/// near: they need more than [`MAX_COMPOUND`].
fn unmarshal<T: Unmarshal>(
    kind: u8,
    count: u8,
    body: Bytes,
    field: &'static str,
) -> Result<T, RtcpError> {
    let words = u16::try_from(body.len() / 4).map_err(|_| RtcpError::Truncated { field })?;
    let [high, low] = words.to_be_bytes();
    let header = [VERSION << 6 | count, kind, high, low];
    T::unmarshal(&mut header.chain(body)).map_err(|_| RtcpError::Truncated { field })
}

/// RFC 768: octets that a UDP datagram can have, rounded up. Nobody sends so many; who
/// has a smaller bound has it where datagrams are received.
pub const MAX_COMPOUND: usize = 65_535;

/// Packets of one datagram. No RFC has it. A compound of a call has fewer than ten; the
/// smallest packet has four octets, and takes eighty in memory.
pub const MAX_PACKETS: usize = 256;

/// RFC 3550 §6.4.1.
pub(super) const VERSION: u8 = 2;

/// RFC 3550 §6.4.1: octets of a report block.
const REPORT_BLOCK: usize = 24;

/// RFC 4585 §6.1: octets of the two sources that all feedback begins with.
const SSRCS: usize = 8;
