//! What VP8 and VP9 frames say of themselves before anything is decoded.
//!
//! libvpx makes place for whatever size a frame names, on Debian up to 16,384 × 16,384, which
//! is gigabytes. So the size is read here first, of every frame that libvpx is to see: a
//! packet of VP9 may hold several.

use super::Vpx;

/// What is known of a packet that may be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// It starts a decoder.
    pub(super) key: bool,
    /// The largest sides that any of its frames names; `None` if all are as large as what
    /// they refer to.
    pub(super) size: Option<(usize, usize)>,
    /// It has a superframe index, or needs none.
    pub(super) whole: bool,
}

/// A packet that no encoder makes, of a profile that is not decoded, or cut short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unreadable;

/// Reads the headers of a packet.
pub(super) fn read(codec: Vpx, data: &[u8]) -> Result<Header, Unreadable> {
    match codec {
        Vpx::Vp8 => read_vp8(data),
        Vpx::Vp9 => read_vp9(data),
    }
}

/// Writes after a frame of VP9 that it is the only one. Without, libvpx looks for another
/// where it finds the first to end, which only decoding it tells.
pub(super) fn push_index(frame: &[u8], packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(frame);
    packet.push(INDEX_OF_ONE);
    packet.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    packet.push(INDEX_OF_ONE);
}

/// RFC 6386 §9.1.
fn read_vp8(data: &[u8]) -> Result<Header, Unreadable> {
    let [tag, _, _, rest @ ..] = data else { return Err(Unreadable) };
    if tag & 1 != 0 {
        return Ok(Header { key: false, size: None, whole: true });
    }
    let &[0x9d, 0x01, 0x2a, width, wider, height, higher, ..] = rest else {
        return Err(Unreadable);
    };
    // The two bits above the 14 ask for scaling when shown.
    let side = |low, high| usize::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let size = (side(width, wider), side(height, higher));
    Ok(Header { key: true, size: Some(size), whole: true })
}

/// VP9 bitstream specification, Annex B: one frame, or several and an index of their sizes.
fn read_vp9(data: &[u8]) -> Result<Header, Unreadable> {
    let &marker = data.last().ok_or(Unreadable)?;
    if marker & 0xe0 != 0xc0 {
        return Ok(Header { whole: false, ..read_vp9_frame(data)? });
    }
    let (frames, width) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let at = data.len().checked_sub(2 + frames * width).ok_or(Unreadable)?;
    let (mut rest, index) = data.split_at(at);
    // What looks like an index and is none is an error to libvpx too.
    let [first, sizes @ .., _] = index else { return Err(Unreadable) };
    if *first != marker {
        return Err(Unreadable);
    }
    let mut all: Option<Header> = None;
    for size in sizes.chunks_exact(width) {
        let len = size.iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
        let (frame, others) = rest.split_at_checked(len).ok_or(Unreadable)?;
        rest = others;
        let one = read_vp9_frame(frame)?;
        let so_far = *all.get_or_insert(one);
        let size = match (so_far.size, one.size) {
            (Some((width, height)), Some((other_width, other_height))) => {
                Some((width.max(other_width), height.max(other_height)))
            }
            (size, other) => size.or(other),
        };
        all = Some(Header { size, ..so_far });
    }
    all.ok_or(Unreadable)
}

/// VP9 bitstream specification, §6.2 and §7.2, as far as the size.
fn read_vp9_frame(data: &[u8]) -> Result<Header, Unreadable> {
    let mut bits = Bits { data, at: 0 };
    let marker = bits.take(2)?;
    // Others than profile 0 have more than 8 bits, or more chroma than 4:2:0.
    let profile = bits.take(2)?;
    if marker != 2 || profile != 0 {
        return Err(Unreadable);
    }
    let mut header = Header { key: false, size: None, whole: true };
    let shows_existing = bits.flag()?;
    if shows_existing {
        return Ok(header);
    }
    header.key = !bits.flag()?;
    let (shown, error_resilient) = (bits.flag()?, bits.flag()?);
    if header.key {
        sync_code(&mut bits)?;
        // RGB has no 4:2:0.
        if bits.take(3)? == COLOR_SPACE_RGB {
            return Err(Unreadable);
        }
        let _range = bits.flag()?;
        header.size = Some(size(&mut bits)?);
        return Ok(header);
    }
    let intra_only = !shown && bits.flag()?;
    if !error_resilient {
        let _reset_context = bits.take(2)?;
    }
    if intra_only {
        sync_code(&mut bits)?;
        let _refreshed = bits.take(8)?;
        header.size = Some(size(&mut bits)?);
        return Ok(header);
    }
    let _refreshed_and_references = (bits.take(8)?, bits.take(3 * 4)?);
    for _ in 0..3 {
        let as_large_as_it = bits.flag()?;
        if as_large_as_it {
            return Ok(header);
        }
    }
    header.size = Some(size(&mut bits)?);
    Ok(header)
}

fn sync_code(bits: &mut Bits<'_>) -> Result<(), Unreadable> {
    if bits.take(24)? == SYNC_CODE { Ok(()) } else { Err(Unreadable) }
}

fn size(bits: &mut Bits<'_>) -> Result<(usize, usize), Unreadable> {
    Ok((bits.take(16)? as usize + 1, bits.take(16)? as usize + 1))
}

/// Bits from the highest of each byte to the lowest.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Result<bool, Unreadable> {
        let byte = self.data.get(self.at / 8).ok_or(Unreadable)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit != 0)
    }

    /// At most 32 of them.
    fn take(&mut self, count: u32) -> Result<u32, Unreadable> {
        (0..count).try_fold(0, |value, _| Ok(value << 1 | u32::from(self.flag()?)))
    }
}

/// VP9 bitstream specification, Annex B: one frame, whose size has four bytes.
const INDEX_OF_ONE: u8 = 0b1101_1000;

/// VP9 bitstream specification, §7.2.1.
const SYNC_CODE: u32 = 0x49_83_42;

/// VP9 bitstream specification, §7.2.2: `CS_RGB`.
const COLOR_SPACE_RGB: u32 = 7;
