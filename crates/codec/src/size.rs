//! Which sizes pictures may have that are encoded: one rule for H.264, VP8 and VP9, and for
//! what makes pictures for them.

#[cfg(any(feature = "h264", feature = "vpx"))]
use crate::EncodeError;

/// Whether a picture is no larger than is encoded or decoded, either way up.
#[cfg(any(feature = "h264", feature = "scale", feature = "vpx"))]
pub(crate) const fn fits(width: usize, height: usize) -> bool {
    let (long, short) = if width > height { (width, height) } else { (height, width) };
    long <= MAX_LONG as usize && short <= MAX_SHORT as usize
}

/// Whether all of them can have a size.
#[cfg(any(feature = "h264", feature = "scale", feature = "vpx"))]
pub(crate) const fn is_encodable(width: u16, height: u16) -> bool {
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    even && width >= MIN_SIDE && height >= MIN_SIDE && fits(width as usize, height as usize)
}

/// The longest sides there are, width and height, of a picture that lies as this one.
pub(crate) const fn largest(width: u16, height: u16) -> (u16, u16) {
    if width >= height { (MAX_LONG, MAX_SHORT) } else { (MAX_SHORT, MAX_LONG) }
}

/// Refuses a size that not all of them can have, and says which is near.
#[cfg(any(feature = "h264", feature = "vpx"))]
pub(crate) fn check_size(width: u16, height: u16) -> Result<(), EncodeError> {
    if is_encodable(width, height) {
        return Ok(());
    }
    let (max_width, max_height) = largest(width, height);
    let nearest =
        ((width & !1).clamp(MIN_SIDE, max_width), (height & !1).clamp(MIN_SIDE, max_height));
    Err(EncodeError::Size { width, height, nearest })
}

/// What OpenH264's encoder is documented to take: level 5.2 of ITU-T H.264, Table A-1, is a
/// little more.
const MAX_LONG: u16 = 3_840;

const MAX_SHORT: u16 = 2_160;

/// OpenH264 refuses less.
pub(crate) const MIN_SIDE: u16 = 16;
