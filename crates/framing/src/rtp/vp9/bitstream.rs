//! What of VP9 itself is needed to send and to join it.
//!
//! Sections are those of the *VP9 Bitstream & Decoding Process Specification*, v0.6.

/// What the uncompressed header of a key frame says (§6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct KeyFrame {
    /// Width and height in pixels, where the header has them and two octets hold each.
    pub(super) size: Option<(u16, u16)>,
}

impl KeyFrame {
    /// Reads the header, if it is a key frame's.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes: frame, at: 0 };
        if bits.take(2)? != FRAME_MARKER {
            return None;
        }
        let profile = bits.take(1)? | bits.take(1)? << 1;
        if profile == 3 {
            bits.take(1)?;
        }
        let (show_existing_frame, frame_type) = (bits.take(1)?, bits.take(1)?);
        let _show_and_resilience = bits.take(2)?;
        if show_existing_frame != 0 || frame_type != 0 || bits.take(24)? != SYNC_CODE {
            return None;
        }
        Some(Self { size: size(&mut bits, profile) })
    }
}

/// §6.2.2 (color config), then §6.2.3 (frame size).
fn size(bits: &mut Bits<'_>, profile: u32) -> Option<(u16, u16)> {
    let subsampled = profile % 2 == 1;
    if profile >= 2 {
        bits.take(1)?;
    }
    if bits.take(3)? != SRGB {
        bits.take(if subsampled { 4 } else { 1 })?;
    } else if subsampled {
        bits.take(1)?;
    } else {
        // Only profiles 1 and 3 have it.
        return None;
    }
    // A side of 65,536 is legal, and does not fit the scalability structure.
    let mut side = || u16::try_from(bits.take(16)? + 1).ok();
    Some((side()?, side()?))
}

/// Whether a frame is several already, with an index behind them (Annex B).
pub(super) fn is_superframe(frame: &[u8]) -> bool {
    let Some(&marker) = frame.last() else { return false };
    let size = 2 + (usize::from(marker >> 3 & 3) + 1) * (usize::from(marker & 7) + 1);
    let first = frame.len().checked_sub(size).map(|at| frame[at]);
    marker & 0xe0 == SUPERFRAME_MARKER && first == Some(marker)
}

/// The index that makes one superframe of up to eight frames of these sizes (Annex B).
///
/// `None`, if four octets cannot hold a size, or there are none or too many.
pub(super) fn superframe_index(sizes: &[usize]) -> Option<Vec<u8>> {
    let largest = u32::try_from(*sizes.iter().max()?).ok()?;
    let width = (4 - largest.leading_zeros() / 8).max(1) as usize;
    let count = u8::try_from(sizes.len()).ok().filter(|&count| count <= 8)?;
    let marker = SUPERFRAME_MARKER | (width as u8 - 1) << 3 | (count - 1);

    let mut index = vec![marker];
    for size in sizes {
        index.extend_from_slice(&size.to_le_bytes()[..width]);
    }
    index.push(marker);
    Some(index)
}

/// Bits, most significant first.
#[derive(Debug)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, up to 32.
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

/// §6.2: the first two bits of every frame.
const FRAME_MARKER: u32 = 2;
/// §6.2.1: what a key frame has behind its first bits.
const SYNC_CODE: u32 = 0x49_83_42;
/// §6.2.2: the color space without subsampling.
const SRGB: u32 = 7;
/// Annex B: the top three bits of the first and the last octet of an index.
const SUPERFRAME_MARKER: u8 = 0xc0;
