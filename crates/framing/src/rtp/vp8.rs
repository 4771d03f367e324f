//! The payload format of VP8 (RFC 7741): a descriptor, and a fragment of a frame
//! behind it.
//!
//! ```text
//!       0 1 2 3 4 5 6 7
//!      +-+-+-+-+-+-+-+-+
//!      |X|R|N|S|R| PID |   always
//! X:   |I|L|T|K|  RSV  |   ours: I alone
//! I:   |M|  PictureID  |   ours: M, fifteen bits
//! M:   |   PictureID   |
//! L:   |   TL0PICIDX   |   never ours
//! T/K: |TID|Y| KEYIDX  |   never ours
//!      +-+-+-+-+-+-+-+-+
//! ```
//!
//! Both directions are our own, as those of the `rtp` crate do less than the format
//! asks for: its payloader cannot say that nothing refers to a frame (`N`), begins
//! every stream at picture 0 and drops a frame without a word where the payload is too
//! small; its depacketizer takes fields of an earlier packet for fields of this one,
//! and refuses the small packet that a frame may end with. The tests below show each.

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use super::format::Assembled;
use super::picture_id::{self, PictureIds, octet};
use super::{PacketizeError, PayloadError};

/// Makes payloads, each with a picture ID of fifteen bits.
#[derive(Debug)]
pub(super) struct Payloader {
    picture_ids: PictureIds,
}

impl Payloader {
    /// The first frame gets the low fifteen bits of `first_picture_id`, which should be
    /// random (RFC 7741 §4.2 allows any).
    pub(super) const fn new(first_picture_id: u16) -> Self {
        Self { picture_ids: PictureIds::new(first_picture_id) }
    }

    /// Appends the payloads of a frame, each of at most `max` bytes, in order.
    ///
    /// All are as large as may be but the last. They share one allocation, so one that
    /// is kept keeps all of its frame. A frame that is refused has no picture ID.
    ///
    /// # Errors
    ///
    /// `Empty` and `Malformed`, where `key` is not what the frame's header says, or a
    /// key frame has no start code.
    ///
    /// # Panics
    ///
    /// If `max` leaves no room for a byte of the frame: it must be 5 or more.
    pub(super) fn payloads(
        &mut self,
        data: &Bytes,
        key: bool,
        discardable: bool,
        max: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<(), PacketizeError> {
        assert!(max > DESCRIPTOR, "a payload of {max} bytes has no room for VP8");
        let Some(&tag) = data.first() else { return Err(PacketizeError::Empty) };
        if key != is_key(tag) {
            return Err(PacketizeError::Malformed { what: "key or not, its header differs" });
        }
        if key && data.get(START_CODE_AT..).is_none_or(|rest| !rest.starts_with(&START_CODE)) {
            return Err(PacketizeError::Malformed { what: "a key frame without a start code" });
        }

        let [high, low] = self.picture_ids.octets();
        let mut first = X | S;
        if discardable {
            first |= N;
        }
        let room = max - DESCRIPTOR;
        let mut buffer =
            BytesMut::with_capacity(data.len() + DESCRIPTOR * data.len().div_ceil(room));
        for fragment in data.chunks(room) {
            buffer.put_slice(&[first, I, high, low]);
            buffer.put_slice(fragment);
            out.push(buffer.split().freeze());
            first &= !S;
        }
        self.picture_ids.advance();
        Ok(())
    }
}

/// Whether a payload is the first of its frame: the start of partition 0.
///
/// # Errors
///
/// `Truncated`, if the bytes end within the descriptor, or with it.
pub(super) fn inspect(payload: &Bytes) -> Result<bool, PayloadError> {
    Descriptor::parse(payload).map(|descriptor| descriptor.start)
}

/// Joins the payloads of a frame.
///
/// # Errors
///
/// `BadValue`, if the first is not the start of a frame or another is, if their picture
/// IDs differ, or if a key frame has no start code. `Truncated`, where
/// [`inspect`] gives it, if there are no payloads, or if a key frame ends within its
/// start code.
pub(super) fn assemble(payloads: &[Bytes]) -> Result<Assembled, PayloadError> {
    let mut len = 0;
    let mut discardable = false;
    let mut picture_id = None;
    for (index, payload) in payloads.iter().enumerate() {
        let descriptor = Descriptor::parse(payload)?;
        if descriptor.start != (index == 0) {
            let value = descriptor.start.into();
            return Err(PayloadError::BadValue { field: "S", value });
        }
        if let Some(id) = descriptor.picture_id
            && *picture_id.get_or_insert(id) != id
        {
            return Err(PayloadError::BadValue { field: "picture ID", value: id.into() });
        }
        // RFC 7741 §4.2 has N be a matter of the frame, so the first speaks for all.
        discardable |= index == 0 && descriptor.discardable;
        len += payload.len() - descriptor.len;
    }

    let mut data = Vec::with_capacity(len);
    for payload in payloads {
        data.extend_from_slice(&payload[Descriptor::parse(payload)?.len..]);
    }
    let Some(&tag) = data.first() else {
        return Err(PayloadError::Truncated { field: "payload" });
    };
    let key = is_key(tag);
    if key {
        let Some(code) = data.get(START_CODE_AT..START_CODE_AT + START_CODE.len()) else {
            return Err(PayloadError::Truncated { field: "start code" });
        };
        if code != START_CODE {
            let value = code.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
            return Err(PayloadError::BadValue { field: "start code", value });
        }
    }
    Ok(Assembled { data: data.into(), key, discardable })
}

/// What a descriptor says, as far as it matters here.
#[derive(Debug)]
struct Descriptor {
    /// It is the first of its frame.
    start: bool,
    discardable: bool,
    picture_id: Option<u16>,
    /// Bytes that it has.
    len: usize,
}

impl Descriptor {
    /// Reserved bits are not looked at, as RFC 7741 §4.2 has it.
    fn parse(payload: &[u8]) -> Result<Self, PayloadError> {
        let mut rest = payload;
        let first = octet(&mut rest, "payload descriptor")?;
        let extension = if first & X == 0 { 0 } else { octet(&mut rest, "extended control bits")? };
        let mut picture_id = None;
        if extension & I != 0 {
            picture_id = Some(picture_id::parse(&mut rest)?);
        }
        if extension & L != 0 {
            octet(&mut rest, "TL0PICIDX")?;
        }
        if extension & (T | K) != 0 {
            octet(&mut rest, "TID and KEYIDX")?;
        }
        if rest.is_empty() {
            return Err(PayloadError::Truncated { field: "payload" });
        }
        Ok(Self {
            start: first & (S | PID) == S,
            discardable: first & N != 0,
            picture_id,
            len: payload.len() - rest.len(),
        })
    }
}

/// RFC 6386 §9.1: the lowest bit of a frame's first octet is 0 for key frames.
const fn is_key(tag: u8) -> bool {
    tag & 1 == 0
}

/// RFC 7741 §4.2: a second octet of flags follows.
const X: u8 = 0x80;
/// RFC 7741 §4.2: no other frame refers to this one.
const N: u8 = 0x20;
/// RFC 7741 §4.2: a partition starts here.
const S: u8 = 0x10;
/// RFC 7741 §4.2: the partition's index.
const PID: u8 = 0x07;
/// RFC 7741 §4.2: a picture ID is present.
const I: u8 = 0x80;
/// RFC 7741 §4.2: TL0PICIDX is present.
const L: u8 = 0x40;
/// RFC 7741 §4.2: TID is present.
const T: u8 = 0x20;
/// RFC 7741 §4.2: KEYIDX is present.
const K: u8 = 0x10;
/// Bytes of the descriptor that we make: flags, flags, picture ID.
const DESCRIPTOR: usize = 4;
/// RFC 6386 §9.1: what a key frame has behind its three octets of frame tag.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
/// RFC 6386 §9.1.
const START_CODE_AT: usize = 3;
