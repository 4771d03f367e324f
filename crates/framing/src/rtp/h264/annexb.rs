//! The byte stream that H.264 encoders give and decoders take (ITU-T H.264, Annex B),
//! and the few bits of a NAL unit that packetizing needs.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use super::super::PacketizeError;

/// One NAL unit of a byte stream, without its start code.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Shares the frame's bytes. At least one byte.
    pub(super) bytes: Bytes,
    /// `nal_unit_type`, 1 to 23.
    pub(super) kind: u8,
}

/// The NAL units of an access unit, in order.
///
/// Zeros around a unit belong to the byte stream, not to it: no unit ends in one
/// (H.264 §7.4.1).
pub(super) fn units(data: &Bytes) -> Result<Vec<Unit>, PacketizeError> {
    let mut starts = memmem::find_iter(data, &START_CODE);
    let Some(mut start) = starts.next() else {
        return Err(malformed("it has no start code"));
    };
    if data[..start].iter().any(|&byte| byte != 0) {
        return Err(malformed("bytes come before the first start code"));
    }

    let mut units = Vec::new();
    for next in starts {
        units.push(unit(data, start + START_CODE.len()..next)?);
        start = next;
    }
    units.push(unit(data, start + START_CODE.len()..data.len())?);
    Ok(units)
}

fn unit(data: &Bytes, range: Range<usize>) -> Result<Unit, PacketizeError> {
    let bytes = &data[range.clone()];
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let Some(&header) = bytes[..len].first() else {
        return Err(malformed("a NAL unit is empty"));
    };
    let kind = header & KIND_MASK;
    if !(1..=LAST_KIND).contains(&kind) {
        return Err(malformed("a NAL unit's type is none that H.264 defines"));
    }
    Ok(Unit { bytes: data.slice(range.start..range.start + len), kind })
}

/// `seq_parameter_set_id` of an SPS (H.264 §7.3.2.1.1), at most 31.
pub(super) fn sps_id(sps: &[u8]) -> Result<u8, PacketizeError> {
    // The header, the profile, its constraints and the level, a byte each.
    let id = sps.get(4..).and_then(|rest| Bits::new(rest).exp_golomb());
    id.and_then(|id| u8::try_from(id).ok())
        .filter(|&id| id <= MAX_SPS_ID)
        .ok_or(malformed("an SPS has no valid id"))
}

/// `pic_parameter_set_id` of a PPS and the id of its SPS (H.264 §7.3.2.2).
pub(super) fn pps_ids(pps: &[u8]) -> Result<(u8, u8), PacketizeError> {
    let mut bits = Bits::new(&pps[1..]);
    let id = bits.exp_golomb().and_then(|id| u8::try_from(id).ok());
    let sps = bits.exp_golomb().and_then(|id| u8::try_from(id).ok());
    id.zip(sps.filter(|&sps| sps <= MAX_SPS_ID)).ok_or(malformed("a PPS has no valid ids"))
}

/// `pic_parameter_set_id` of a slice (H.264 §7.3.3), if it can be read.
pub(super) fn slice_pps_id(slice: &[u8]) -> Option<u8> {
    let mut bits = Bits::new(&slice[1..]);
    let _first_mb = bits.exp_golomb()?;
    let _slice_type = bits.exp_golomb()?;
    u8::try_from(bits.exp_golomb()?).ok()
}

const fn malformed(what: &'static str) -> PacketizeError {
    PacketizeError::Malformed { what }
}

/// Bits of a NAL unit's payload, without its emulation prevention bytes.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    zeros: u8,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter(), zeros: 0, byte: 0, left: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.bytes.next()?;
            if self.byte == EMULATION_PREVENTION && self.zeros >= 2 {
                self.zeros = 0;
                self.byte = *self.bytes.next()?;
            }
            self.zeros = if self.byte == 0 { self.zeros.saturating_add(1) } else { 0 };
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    /// ue(v), H.264 §9.1: as many bits follow the first one as zeros come before it.
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut len = 0;
        while self.bit()? == 0 {
            len += 1;
            if len > MAX_GOLOMB_ZEROS {
                return None;
            }
        }
        let mut code = 1;
        for _ in 0..len {
            code = code << 1 | self.bit()?;
        }
        Some(code - 1)
    }
}

/// H.264 §B.1.1: `start_code_prefix_one_3bytes`.
const START_CODE: [u8; 3] = [0, 0, 1];

/// H.264 §7.3.1: `nal_unit_type` is the low five bits of a unit's first byte.
pub(super) const KIND_MASK: u8 = 0x1f;

/// H.264 table 7-1: types over 23 are left to those who carry NAL units, and RFC 6184
/// §5.2 takes them.
pub(super) const LAST_KIND: u8 = 23;

/// H.264 §7.4.1: `emulation_prevention_three_byte`.
const EMULATION_PREVENTION: u8 = 3;

/// H.264 §7.4.2.1.1: the range of `seq_parameter_set_id`.
const MAX_SPS_ID: u8 = 31;

/// What fits 32 bits, and more than any value read here may have.
const MAX_GOLOMB_ZEROS: u32 = 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(data: &'static [u8]) -> Vec<Bytes> {
        let units = units(&Bytes::from_static(data)).unwrap();
        units.into_iter().map(|unit| unit.bytes).collect()
    }

    #[test]
    fn zeros_around_a_nal_unit_are_not_part_of_it() {
        let units =
            split(&[0, 0, 0, 0, 1, 0x67, 0, 7, 0, 0, 0, 0, 1, 0x68, 8, 0, 0, 1, 0x65, 5, 0]);
        assert_eq!(units, [&[0x67, 0, 7][..], &[0x68, 8], &[0x65, 5]]);
    }

    #[test]
    fn what_is_no_byte_stream_is_named() {
        for (data, what) in [
            (&[0x65, 1, 2, 3][..], "it has no start code"),
            (&[7, 0, 0, 1, 0x65], "bytes come before the first start code"),
            (&[0, 0, 1, 0, 0, 1, 0x65], "a NAL unit is empty"),
            (&[0, 0, 1], "a NAL unit is empty"),
            (&[0, 0, 1, 0x60, 1], "a NAL unit's type is none that H.264 defines"),
            (&[0, 0, 1, 0x78, 1], "a NAL unit's type is none that H.264 defines"),
        ] {
            let error = units(&Bytes::copy_from_slice(data)).unwrap_err();
            assert_eq!(error, malformed(what), "{data:?}");
        }
    }

    #[test]
    fn ids_are_read_across_emulation_prevention() {
        // 1 · 010 · 011 · 1: zero, one, two, zero.
        assert_eq!(pps_ids(&[0x68, 0b1010_0111]), Ok((0, 1)));
        assert_eq!(slice_pps_id(&[0x65, 0b1010_0111]), Some(2));
        // Sixteen zeros, and the 3 that keeps them from being a start code.
        let mut bits = Bits::new(&[0, 0, 3, 0b1000_0000, 0, 0b0100_0000]);
        assert_eq!(bits.exp_golomb(), Some((1 << 16) - 1));
        assert_eq!(bits.bit(), Some(1));
        assert_eq!(sps_id(&[0x67, 0x42, 0xc0, 0x1f, 0b0110_0000]), Ok(2));
    }

    #[test]
    fn a_parameter_set_without_an_id_is_malformed() {
        assert!(sps_id(&[0x67, 0x42, 0xc0, 0x1f]).is_err());
        // Id 32, and a code that never ends.
        assert!(sps_id(&[0x67, 0x42, 0xc0, 0x1f, 0b0000_0100, 0b0010_0000]).is_err());
        assert!(pps_ids(&[0x68]).is_err());
        assert!(pps_ids(&[0x68, 0, 0, 0, 0, 0, 1]).is_err());
        assert_eq!(slice_pps_id(&[0x65]), None);
    }
}
