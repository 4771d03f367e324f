//! The payload format of VP9 (RFC 9628): a descriptor, and a fragment of a layer frame
//! behind it.
//!
//! ```text
//!       0 1 2 3 4 5 6 7
//!      +-+-+-+-+-+-+-+-+
//!      |I|P|L|F|B|E|V|Z|   always; ours: I and Z, never L and F
//! I:   |M|  picture ID |   ours: M, fifteen bits
//! M:   |  picture ID   |
//! L:   | TID |U| SID |D|
//! L,!F:|   TL0PICIDX   |
//! P,F: |   P_DIFF    |N|   one to three times, while N
//! V:   | N_S |Y|G|-|-|-|   ours: Y, on key frames
//! Y:   | width, height |   two octets each, N_S + 1 times
//! G:   |      N_G      |
//!      | TID |U| R |-|-|   N_G times, with R octets of P_DIFF behind each
//!      +-+-+-+-+-+-+-+-+
//! ```
//!
//! # What we send
//!
//! One spatial and one temporal layer, in non-flexible mode. Then there are no layer
//! indices to give, so `L` is 0 and TL0PICIDX, which comes with them, is absent
//! (RFC 9628 §4.2); and a scalability structure with `G` 0 says in this mode that there
//! is one temporal layer (§4.2.1). `Z` is 1: where no higher spatial layer is, none
//! refers to this one, which is all that §4.2 has it mean.
//!
//! Both directions are our own, as those of the `rtp` crate are wrong: its payloader
//! marks every frame as one that refers to no other; its depacketizer adds up the
//! references of all packets that it saw, refuses the third of one, takes reserved bits
//! for a picture group and knows five spatial layers of eight. The tests show each.

mod bitstream;
mod descriptor;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::bitstream::{KeyFrame, is_superframe, superframe_index};
use self::descriptor::{B, Descriptor, E, I, P, V, Y, Z};
use super::format::Assembled;
use super::picture_id::PictureIds;
use super::{PacketizeError, PayloadError};

/// Makes payloads, each with a picture ID of fifteen bits.
#[derive(Debug)]
pub(super) struct Payloader {
    picture_ids: PictureIds,
}

impl Payloader {
    /// The first frame gets the low fifteen bits of `first_picture_id`, which should be
    /// random (RFC 9628 §4.2 allows any).
    pub(super) const fn new(first_picture_id: u16) -> Self {
        Self { picture_ids: PictureIds::new(first_picture_id) }
    }

    /// Appends the payloads of a frame, each of at most `max` bytes, in order.
    ///
    /// All are as large as may be but the last. They share one allocation, so one that
    /// is kept keeps all of its frame. A frame that is refused has no picture ID.
    ///
    /// A key frame's first payload says its size, where the frame does so and two
    /// octets hold each side. That a frame is discardable is not said: without temporal
    /// layers the descriptor has no place for it.
    ///
    /// # Errors
    ///
    /// `Empty` and `Malformed`, where `key` is not what the frame's header says.
    ///
    /// # Panics
    ///
    /// If `max` leaves no room for a byte of a key frame: it must be 9 or more.
    pub(super) fn payloads(
        &mut self,
        data: &Bytes,
        key: bool,
        _discardable: bool,
        max: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<(), PacketizeError> {
        let room = max.saturating_sub(DESCRIPTOR);
        assert!(room > STRUCTURE, "a payload of {max} bytes has no room for VP9");
        if data.is_empty() {
            return Err(PacketizeError::Empty);
        }
        let key_frame = KeyFrame::parse(data);
        if key != key_frame.is_some() {
            return Err(PacketizeError::Malformed { what: "key or not, its header differs" });
        }
        let size = key_frame.and_then(|frame| frame.size);

        let [high, low] = self.picture_ids.octets();
        let common = I | Z | if key { 0 } else { P };
        let mut first = B | if size.is_some() { V } else { 0 };
        let before = if size.is_some() { STRUCTURE } else { 0 };
        let count = (before + data.len()).div_ceil(room);
        let mut buffer = BytesMut::with_capacity(before + data.len() + DESCRIPTOR * count);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let room = if first & V != 0 { room - STRUCTURE } else { room };
            let (fragment, after) = rest.split_at(room.min(rest.len()));
            let last = if after.is_empty() { E } else { 0 };
            buffer.put_slice(&[common | first | last, high, low]);
            if let (true, Some((width, height))) = (first & V != 0, size) {
                // N_S is 0: one spatial layer.
                buffer.put_u8(Y);
                buffer.put_u16(width);
                buffer.put_u16(height);
            }
            buffer.put_slice(fragment);
            out.push(buffer.split().freeze());
            first = 0;
            rest = after;
        }
        self.picture_ids.advance();
        Ok(())
    }
}

/// Whether a payload is provably the first of its picture: the beginning of a layer
/// frame with no spatial layer below it.
///
/// A picture may begin with a higher layer, where a middlebox took the lower ones; but
/// such a payload does not show it.
///
/// # Errors
///
/// Those of [`Descriptor::parse`].
pub(super) fn inspect(payload: &Bytes) -> Result<bool, PayloadError> {
    let descriptor = Descriptor::parse(payload)?;
    Ok(descriptor.begin && descriptor.spatial == 0 && !descriptor.above)
}

/// Joins the payloads of a picture: the layer frames of all spatial layers, the lowest
/// first.
///
/// One layer frame is given as it is. Several become a superframe, with the index that
/// decoders want behind them (VP9 bitstream specification, Annex B).
///
/// It is a key frame if the lowest layer's says that it refers to no earlier picture
/// *and* its header is that of a key frame: a frame may be intra-coded and still leave
/// the decoder's references as they were. VP9 has nothing to say that a frame is
/// discardable, so none is.
///
/// # Errors
///
/// `BadValue`, if a layer frame does not run from `B` to `E`, if the layers do not
/// ascend, if the lowest refers to one below, or if picture IDs differ. `Truncated`, if
/// there are no payloads. `Unsupported`, if one of several layer frames is a superframe
/// already. And what [`Descriptor::parse`] says.
pub(super) fn assemble(payloads: &[Bytes]) -> Result<Assembled, PayloadError> {
    let bad = |field, value| Err(PayloadError::BadValue { field, value });
    let mut sizes: Vec<usize> = Vec::new();
    let (mut picture_id, mut spatial) = (None, 0);
    let (mut open, mut inter) = (false, false);
    for payload in payloads {
        let descriptor = Descriptor::parse(payload)?;
        if let Some(id) = descriptor.picture_id
            && *picture_id.get_or_insert(id) != id
        {
            return bad("picture ID", id.into());
        }
        if descriptor.begin == open {
            return bad("B", descriptor.begin.into());
        }
        let len = payload.len() - descriptor.len;
        match sizes.last_mut() {
            Some(size) if open && descriptor.spatial == spatial => *size += len,
            Some(_) if open || descriptor.spatial <= spatial => {
                return bad("SID", descriptor.spatial.into());
            }
            Some(_) => sizes.push(len),
            None if descriptor.above => return bad("D", 1),
            None => {
                inter = descriptor.inter;
                sizes.push(len);
            }
        }
        spatial = descriptor.spatial;
        open = !descriptor.end;
    }
    if open {
        return bad("E", 0);
    }

    let index = match sizes[..] {
        [] => return Err(PayloadError::Truncated { field: "payload" }),
        [_] => Vec::new(),
        _ => superframe_index(&sizes)
            .ok_or(PayloadError::Unsupported { what: "a layer frame of more than 4 GiB" })?,
    };
    let mut data = Vec::with_capacity(sizes.iter().sum::<usize>() + index.len());
    for payload in payloads {
        data.extend_from_slice(&payload[Descriptor::parse(payload)?.len..]);
    }
    let mut rest = &data[..];
    for size in &sizes {
        let (frame, after) = rest.split_at(*size);
        if sizes.len() > 1 && is_superframe(frame) {
            return Err(PayloadError::Unsupported { what: "a superframe in a superframe" });
        }
        rest = after;
    }
    data.extend_from_slice(&index);
    let key = !inter && KeyFrame::parse(&data).is_some();
    Ok(Assembled { data: data.into(), key, discardable: false })
}

/// Bytes of the descriptor that we make: flags, picture ID.
const DESCRIPTOR: usize = 3;
/// RFC 9628 §4.2.1: bytes of the scalability structure that we make: flags, width,
/// height.
const STRUCTURE: usize = 5;
