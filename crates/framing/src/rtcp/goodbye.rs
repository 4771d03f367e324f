//! Sources that leave.

use bytes::{BufMut, Bytes, BytesMut};

use super::RtcpError;
use super::fields::Fields;

/// BYE: sources that are no longer active (RFC 3550 §6.6).
///
/// Ours, not that of the `rtcp` crate: its BYE without a reason has four octets too
/// many and the padding bit, which may be set on the last packet of a compound only.
///
/// ```
/// use paceline_framing::rtcp::{self, Goodbye, Packet};
///
/// let bye = Packet::Goodbye(Goodbye { sources: vec![7], reason: Some("lunch".into()) });
/// let bytes = rtcp::emit(std::slice::from_ref(&bye));
/// assert_eq!(&bytes[..], b"\x81\xcb\x00\x03\x00\x00\x00\x07\x05lunch\x00\x00");
/// assert_eq!(rtcp::parse(bytes)?, [bye]);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Goodbye {
    /// SSRCs and CSRCs, 31 at most. None is valid, and means nothing.
    pub sources: Vec<u32>,
    /// Why, in UTF-8 that nobody has checked; 255 octets at most.
    pub reason: Option<Bytes>,
}

impl Goodbye {
    pub(super) fn parse(count: u8, body: Bytes) -> Result<Self, RtcpError> {
        let mut fields = Fields::new(body);
        let mut sources = Vec::with_capacity((fields.len() / 4).min(count.into()));
        for _ in 0..count {
            sources.push(fields.u32("BYE source")?);
        }
        if fields.len() == 0 {
            return Ok(Self { sources, reason: None });
        }
        let len = fields.u8("BYE reason length")?;
        let reason = fields.take(len.into(), "BYE reason")?;
        fields.finish_word("BYE reason")?;
        Ok(Self { sources, reason: Some(reason) })
    }

    /// The body, and the count for its header.
    pub(super) fn emit(&self, out: &mut BytesMut) -> usize {
        for &source in &self.sources {
            out.put_u32(source);
        }
        if let Some(reason) = &self.reason {
            let len = u8::try_from(reason.len());
            out.put_u8(len.expect("a BYE reason has 255 octets at most"));
            out.put_slice(reason);
            out.put_bytes(0, (1 + reason.len()).next_multiple_of(4) - 1 - reason.len());
        }
        self.sources.len()
    }
}
