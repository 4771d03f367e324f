//! What a receiver believes it can receive.

use bytes::{BufMut, Bytes, BytesMut};

use super::RtcpError;
use super::fields::Fields;

/// REMB: the bitrate that a receiver estimates for some streams together
/// (draft-alvestrand-rmcat-remb-03 §2.2). An application layer feedback message
/// (RFC 4585 §6.4).
///
/// Ours, not that of the `rtcp` crate, which reads a bitrate of zero as 8 Mbit/s, and
/// whose `Display` panics at the largest bitrates.
///
/// ```
/// use paceline_framing::rtcp::{self, Packet, Remb};
///
/// let remb = Remb { sender_ssrc: 1, bitrate: 2_500_000, ssrcs: vec![2] };
/// let packet = Packet::Remb(remb);
/// let bytes = rtcp::emit(std::slice::from_ref(&packet));
/// assert_eq!(rtcp::parse(bytes)?, [packet]);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Remb {
    /// Who estimates.
    pub sender_ssrc: u32,
    /// Bits per second. The wire has 18 bits of it and a power of two, so that emitting
    /// rounds down to those: by less than one part in 131,072.
    pub bitrate: u64,
    /// The streams, 255 at most.
    pub ssrcs: Vec<u32>,
}

impl Remb {
    /// Whether the FCI behind the two SSRCs of `body` is a REMB's. There are other
    /// messages in this place.
    pub(super) fn is_in(body: &Bytes) -> bool {
        body.get(8..12) == Some(&IDENTIFIER)
    }

    /// `body` is one that [`is_in`](Self::is_in) recognized.
    pub(super) fn parse(body: Bytes) -> Result<Self, RtcpError> {
        let mut fields = Fields::new(body);
        let sender_ssrc = fields.u32("REMB sender")?;
        // The draft has zero here. It has no meaning, so nothing else is worth a refusal.
        fields.u32("REMB media source")?;
        fields.u32("REMB identifier")?;
        let word = fields.u32("REMB bitrate")?;
        let (count, exponent, mantissa) =
            (word >> 24, word >> MANTISSA_BITS & 0x3f, u64::from(word & MANTISSA_MAX));
        // Six bits of exponent go beyond 64 bits, and beyond any link.
        if mantissa << exponent >> exponent != mantissa {
            return Err(RtcpError::BadValue { field: "REMB exponent", value: exponent.into() });
        }
        let mut ssrcs = Vec::with_capacity((fields.len() / 4).min(count as usize));
        for _ in 0..count {
            ssrcs.push(fields.u32("REMB stream")?);
        }
        fields.finish("REMB stream")?;
        Ok(Self { sender_ssrc, bitrate: mantissa << exponent, ssrcs })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        let count = u8::try_from(self.ssrcs.len()).expect("a REMB is about 255 streams at most");
        let exponent = (u64::BITS - self.bitrate.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let mantissa = (self.bitrate >> exponent) as u32;
        out.put_u32(self.sender_ssrc);
        out.put_u32(0);
        out.put_slice(&IDENTIFIER);
        out.put_u32(u32::from(count) << 24 | exponent << MANTISSA_BITS | mantissa);
        for &ssrc in &self.ssrcs {
            out.put_u32(ssrc);
        }
    }
}

/// draft-alvestrand-rmcat-remb-03 §2.2.
const IDENTIFIER: [u8; 4] = *b"REMB";

/// draft-alvestrand-rmcat-remb-03 §2.2: below the six bits of exponent.
const MANTISSA_BITS: u32 = 18;

const MANTISSA_MAX: u32 = (1 << MANTISSA_BITS) - 1;
