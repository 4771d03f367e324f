//! A packet's wire form (RFC 3550 §5.1, header extensions of RFC 8285).
//!
//! The types are the `rtp` crate's; its parser is not used. It never panics, but takes
//! any version and a padding of nothing, lets an extension element reach into the
//! payload, and leaves to the payload what follows the element that ends a block. What
//! it parsed it may refuse to emit, or emit with a panic.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rtp::header::{EXTENSION_PROFILE_ONE_BYTE, EXTENSION_PROFILE_TWO_BYTE, Extension};

use super::{Header, Packet, PayloadError};

/// Parses what came in a datagram. The payload and the extensions share its bytes.
///
/// Padding is not part of the payload; the header still says that there was some.
/// Extensions of a form other than the two of RFC 8285 are one of id 0; so are those of
/// the two-byte form if its `appbits` are set (§4.3), which nobody defined yet.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtp::{self, PayloadError};
///
/// let packet = rtp::parse(Bytes::from_static(&[
///     0x80, 0xe0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1, b'l', b'a',
/// ]))?;
/// assert_eq!((packet.header.sequence_number, packet.header.marker), (7, true));
/// assert_eq!(packet.payload, "la");
///
/// let error = rtp::parse(Bytes::from_static(&[0x80, 0xe0])).unwrap_err();
/// assert_eq!(error, PayloadError::Truncated { field: "sequence number" });
/// # Ok::<(), PayloadError>(())
/// ```
///
/// # Errors
///
/// [`PayloadError`] if it is no RTP packet. RTCP, which may come by the same way
/// (RFC 5761 §4), has to be told apart before.
pub fn parse(mut datagram: Bytes) -> Result<Packet, PayloadError> {
    let first = datagram.try_get_u8().map_err(|_| truncated("version"))?;
    let version = first >> 6;
    if version != VERSION {
        return Err(bad("version", version.into()));
    }
    let second = datagram.try_get_u8().map_err(|_| truncated("payload type"))?;
    let sequence_number = datagram.try_get_u16().map_err(|_| truncated("sequence number"))?;
    let timestamp = datagram.try_get_u32().map_err(|_| truncated("timestamp"))?;
    let ssrc = datagram.try_get_u32().map_err(|_| truncated("SSRC"))?;
    let mut csrc = Vec::new();
    for _ in 0..first & CSRC_COUNT {
        csrc.push(datagram.try_get_u32().map_err(|_| truncated("CSRC"))?);
    }
    let mut header = Header {
        version,
        padding: first & PADDING != 0,
        extension: first & EXTENSION != 0,
        marker: second & MARKER != 0,
        payload_type: second & !MARKER,
        sequence_number,
        timestamp,
        ssrc,
        csrc,
        ..Header::default()
    };

    if header.extension {
        header.extension_profile =
            datagram.try_get_u16().map_err(|_| truncated("extension profile"))?;
        let words = datagram.try_get_u16().map_err(|_| truncated("extension length"))?;
        let len = 4 * usize::from(words);
        if len > datagram.len() {
            return Err(truncated("header extension"));
        }
        header.extensions = elements(header.extension_profile, datagram.split_to(len))?;
        // What `Header::set_extension` counts with.
        let len = header.get_extension_payload_len();
        header.extensions_padding = len.next_multiple_of(4) - len;
    }
    if header.padding {
        let Some(&padding) = datagram.last() else {
            return Err(truncated("padding"));
        };
        match datagram.len().checked_sub(padding.into()) {
            Some(len) if padding > 0 => datagram.truncate(len),
            _ => return Err(bad("padding", padding.into())),
        }
    }
    Ok(Packet { header, payload: datagram })
}

/// The elements of a header extension (RFC 8285 §4.2, §4.3).
fn elements(profile: u16, mut block: Bytes) -> Result<Vec<Extension>, PayloadError> {
    let one_byte = profile == EXTENSION_PROFILE_ONE_BYTE;
    if !one_byte && profile != EXTENSION_PROFILE_TWO_BYTE {
        return Ok(vec![Extension { id: 0, payload: block }]);
    }
    let mut elements = Vec::new();
    while let Ok(first) = block.try_get_u8() {
        let (id, len) = match first {
            // A byte of padding.
            0 => continue,
            // An id of 0 that has a length, and an id of 15: the rest is for nobody.
            0x01..=0x0f | 0xf0.. if one_byte => break,
            _ if one_byte => (first >> 4, 1 + usize::from(first & 0x0f)),
            id => {
                let len = block.try_get_u8().map_err(|_| truncated("extension element length"))?;
                (id, len.into())
            }
        };
        if len > block.len() {
            return Err(truncated("extension element"));
        }
        // Elements may be empty, and then we would hold far more than was sent.
        if elements.len() == MAX_ELEMENTS {
            return Err(PayloadError::TooMany { field: "extension elements", max: MAX_ELEMENTS });
        }
        elements.push(Extension { id, payload: block.split_to(len) });
    }
    Ok(elements)
}

/// The bytes of a packet, in one allocation.
///
/// The version is 2, whatever the header says. If it asks for padding, there are one to
/// four bytes of it, to a multiple of four.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtp::{self, Header, Packet};
///
/// let header = Header { sequence_number: 7, ssrc: 1, version: 2, ..Header::default() };
/// let packet = Packet { header, payload: Bytes::from_static(b"la") };
/// assert_eq!(rtp::parse(rtp::emit(&packet))?, packet);
/// # Ok::<(), rtp::PayloadError>(())
/// ```
///
/// # Panics
///
/// If the header has what the wire cannot say: more than 15 CSRCs; a payload type of more
/// than seven bits; an extension element whose id is not 1 to 14 or length not 1 to 16 (or
/// 1 to 255 and 0 to 255 in the two-byte form of RFC 8285 §4.3); extensions of another
/// form that are not one of whole 32-bit words; 2¹⁸ bytes of extensions.
#[must_use]
pub fn emit(packet: &Packet) -> Bytes {
    let Packet { header, payload } = packet;
    assert!(header.csrc.len() <= usize::from(CSRC_COUNT), "more than 15 CSRCs");
    assert!(header.payload_type < MARKER, "a payload type has seven bits");
    let extension = if header.extension { header.get_extension_payload_len() } else { 0 };
    let words = u16::try_from(extension.div_ceil(4)).expect("2^18 bytes of header extensions");

    let len = HEADER_LEN + 4 * header.csrc.len() + 4 + 4 * usize::from(words) + payload.len();
    let mut out = BytesMut::with_capacity(len + 4);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_u8(
        VERSION << 6
            | flag(header.padding, PADDING)
            | flag(header.extension, EXTENSION)
            | header.csrc.len() as u8,
    );
    out.put_u8(flag(header.marker, MARKER) | header.payload_type);
    out.put_u16(header.sequence_number);
    out.put_u32(header.timestamp);
    out.put_u32(header.ssrc);
    for &csrc in &header.csrc {
        out.put_u32(csrc);
    }
    if header.extension {
        out.put_u16(header.extension_profile);
        out.put_u16(words);
        put_elements(header, &mut out);
        out.put_bytes(0, extension.next_multiple_of(4) - extension);
    }
    out.put_slice(payload);
    if header.padding {
        let padding = 4 - payload.len() % 4;
        out.put_bytes(0, padding - 1);
        out.put_u8(padding as u8);
    }
    out.freeze()
}

fn put_elements(header: &Header, out: &mut BytesMut) {
    let profile = header.extension_profile;
    if profile != EXTENSION_PROFILE_ONE_BYTE && profile != EXTENSION_PROFILE_TWO_BYTE {
        let [extension] = &header.extensions[..] else {
            panic!("{} extensions of one form", header.extensions.len());
        };
        assert!(extension.payload.len().is_multiple_of(4), "an extension of broken words");
        out.put_slice(&extension.payload);
        return;
    }
    for Extension { id, payload } in &header.extensions {
        let len = payload.len();
        if profile == EXTENSION_PROFILE_ONE_BYTE {
            assert!((1..=14).contains(id), "an extension's id is {id}");
            assert!((1..=16).contains(&len), "an extension of {len} bytes");
            out.put_u8(id << 4 | (len - 1) as u8);
        } else {
            assert!(*id > 0, "an extension's id is 0");
            assert!(len <= 255, "an extension of {len} bytes");
            out.put_u8(*id);
            out.put_u8(len as u8);
        }
        out.put_slice(payload);
    }
}

const fn truncated(field: &'static str) -> PayloadError {
    PayloadError::Truncated { field }
}

const fn bad(field: &'static str, value: u64) -> PayloadError {
    PayloadError::BadValue { field, value }
}

/// RFC 3550 §5.1: the version.
pub(super) const VERSION: u8 = 2;

/// RFC 3550 §5.1: bytes before the CSRCs.
const HEADER_LEN: usize = 12;

/// RFC 8285 §4.3: as many as there are ids in the two-byte form.
const MAX_ELEMENTS: usize = 255;

/// RFC 3550 §5.1: P, in the first byte.
const PADDING: u8 = 0x20;

/// RFC 3550 §5.1: X, in the first byte.
const EXTENSION: u8 = 0x10;

/// RFC 3550 §5.1: CC, in the first byte.
const CSRC_COUNT: u8 = 0x0f;

/// RFC 3550 §5.1: M, in the second byte.
const MARKER: u8 = 0x80;
