//! Pictures out of a native decoder's memory.

use bytes::Bytes;
use paceline_types::{Coding, PixelFormat, Pool};

use crate::DecodeError;
use crate::size::fits;

/// The planes of a picture without the padding that the decoder's own have, in a buffer of
/// the pool; with its width and height. `row` gives a row of plane 0, 1 or 2.
pub(crate) fn tight_planes<'a>(
    pool: &mut Pool,
    coding: Coding,
    (width, height): (usize, usize),
    row: impl Fn(usize, usize) -> Option<&'a [u8]>,
) -> Result<(u16, u16, Bytes), DecodeError> {
    check_size(coding, (width, height))?;
    let (narrow, short) = (width as u16, height as u16);
    let mut planes = pool.take(PixelFormat::I420.bytes(narrow, short));
    let mut rest = &mut planes[..];
    let chroma = (width.div_ceil(2), height.div_ceil(2));
    for (plane, (across, down)) in [(width, height), chroma, chroma].into_iter().enumerate() {
        for y in 0..down {
            let from = row(plane, y).ok_or(DecodeError::Size { coding, width, height })?;
            let (to, others) = rest.split_at_mut(across);
            to.copy_from_slice(from);
            rest = others;
        }
    }
    Ok((narrow, short, pool.share(planes)))
}

/// Refuses what is said to be larger than is decoded. 0 × 0 is what a byte stream from a file
/// says, which has its size within.
pub(crate) fn check_announced(coding: Coding, width: u16, height: u16) -> Result<(), DecodeError> {
    if (width, height) == (0, 0) {
        return Ok(());
    }
    check_size(coding, (width.into(), height.into()))
}

/// Refuses a picture without pixels, and one that is larger than is decoded.
pub(crate) fn check_size(
    coding: Coding,
    (width, height): (usize, usize),
) -> Result<(), DecodeError> {
    if width == 0 || height == 0 || !fits(width, height) {
        return Err(DecodeError::Size { coding, width, height });
    }
    Ok(())
}

/// Pictures of one decoder that wait to be shown, or are: 3 MB each at 1080p. What is
/// decoded besides is allocated.
pub(crate) const PICTURES: usize = 8;
