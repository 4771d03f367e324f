//! What RFC 3550 asks of a datagram beyond its packets.

use std::error::Error;
use std::fmt;

use super::{Packet, SdesChunk};

/// Packets that are no full compound.
///
/// ```
/// use paceline_framing::rtcp::{CompoundError, Goodbye, Packet, validate_compound};
///
/// let bye = Packet::Goodbye(Goodbye::default());
/// assert_eq!(validate_compound(&[bye]), Err(CompoundError::NoReport));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CompoundError {
    /// No source description has a CNAME.
    NoCname,
    /// The first packet is not a sender or receiver report.
    NoReport,
}

impl fmt::Display for CompoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCname => "the compound has no CNAME",
            Self::NoReport => "the compound does not begin with a report",
        })
    }
}

impl Error for CompoundError {}

/// Whether these packets are a full compound: a report first, and a CNAME somewhere
/// (RFC 3550 §6.1).
///
/// Where reduced-size RTCP was negotiated (`a=rtcp-rsize`), feedback need not be: do not
/// ask then (RFC 5506 §3.4.2). [`parse`](super::parse) takes both.
///
/// # Errors
///
/// What the packets lack.
///
/// ```
/// use paceline_framing::rtcp::{
///     Packet, ReceiverReport, SdesChunk, SdesItem, SourceDescription, validate_compound,
/// };
///
/// let report = Packet::ReceiverReport(ReceiverReport { ssrc: 7, ..Default::default() });
/// let chunks = vec![SdesChunk::new(7, [SdesItem::cname("a@b")])];
/// let sdes = Packet::SourceDescription(SourceDescription { chunks });
/// assert_eq!(validate_compound(&[report, sdes]), Ok(()));
/// ```
pub fn validate_compound(packets: &[Packet]) -> Result<(), CompoundError> {
    let (Some(Packet::SenderReport(_)) | Some(Packet::ReceiverReport(_))) = packets.first() else {
        return Err(CompoundError::NoReport);
    };
    let named = |packet: &Packet| match packet {
        Packet::SourceDescription(sdes) => {
            sdes.chunks.iter().any(|c| SdesChunk::cname(c).is_some())
        }
        _ => false,
    };
    if packets.iter().any(named) { Ok(()) } else { Err(CompoundError::NoCname) }
}
