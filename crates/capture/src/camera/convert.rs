//! From a camera's bytes to planes.

use super::driver::{Fourcc, Layout};

/// Why a buffer has no picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Damage {
    /// Its JPEG cannot be decoded.
    Jpeg,
    /// It is one of another size than was agreed.
    OtherSize,
    /// Fewer bytes than such a picture has.
    Short,
}

/// Writes the picture in `data` to `planes`, I420 of `size`, which is that of the layout made
/// even. Not for what is compressed.
///
/// # Errors
///
/// If `data` is too short.
pub(super) fn convert(
    layout: &Layout,
    data: &[u8],
    size: (u16, u16),
    planes: &mut [u8],
) -> Result<(), Damage> {
    let (width, height) = (usize::from(size.0), usize::from(size.1));
    let stride = row(layout);
    let rows = layout.size.1 as usize;
    let luma = stride.saturating_mul(rows);
    let (y, u, v) = split(planes, width, height);
    match layout.format {
        Fourcc::YUYV => {
            let data = data.get(..luma).ok_or(Damage::Short)?;
            yuyv(data, stride, width, (y, u, v));
        }
        Fourcc::NV12 => {
            let (from_y, chroma) = data.split_at_checked(luma).ok_or(Damage::Short)?;
            let chroma = chroma.get(..stride * rows.div_ceil(2)).ok_or(Damage::Short)?;
            copy(from_y, stride, y, width);
            let rows = chroma.chunks_exact(stride);
            for ((from, u), v) in
                rows.zip(u.chunks_exact_mut(width / 2)).zip(v.chunks_exact_mut(width / 2))
            {
                for ((pair, u), v) in from.chunks_exact(2).zip(u).zip(v) {
                    (*u, *v) = (pair[0], pair[1]);
                }
            }
        }
        _ => {
            let half = stride / 2;
            let (from_y, chroma) = data.split_at_checked(luma).ok_or(Damage::Short)?;
            let len = half * rows.div_ceil(2);
            let (from_u, rest) = chroma.split_at_checked(len).ok_or(Damage::Short)?;
            let from_v = rest.get(..len).ok_or(Damage::Short)?;
            copy(from_y, stride, y, width);
            copy(from_u, half, u, width / 2);
            copy(from_v, half, v, width / 2);
        }
    }
    if layout.full_range {
        let (y, chroma) = planes.split_at_mut(width * height);
        y.iter_mut().for_each(|sample| *sample = LIMITED_LUMA[usize::from(*sample)]);
        chroma.iter_mut().for_each(|sample| *sample = LIMITED_CHROMA[usize::from(*sample)]);
    }
    Ok(())
}

/// The three planes of a picture with even sides.
pub(super) fn split(
    planes: &mut [u8],
    width: usize,
    height: usize,
) -> (&mut [u8], &mut [u8], &mut [u8]) {
    let (y, chroma) = planes.split_at_mut(width * height);
    let (u, v) = chroma.split_at_mut(width * height / 4);
    (y, u, v)
}

/// Bytes from one row to the next: what the driver says, if a row fits in.
fn row(layout: &Layout) -> usize {
    let width = layout.size.0.next_multiple_of(2) as usize;
    let least = if layout.format == Fourcc::YUYV { width * 2 } else { width };
    least.max(layout.bytes_per_row as usize)
}

/// Copies rows of `width` bytes.
fn copy(from: &[u8], stride: usize, to: &mut [u8], width: usize) {
    for (from, to) in from.chunks_exact(stride).zip(to.chunks_exact_mut(width)) {
        to.copy_from_slice(&from[..width]);
    }
}

/// Two pixels in four bytes: luma, blue, luma, red. Of two rows the chroma is averaged.
fn yuyv(data: &[u8], stride: usize, width: usize, (y, u, v): (&mut [u8], &mut [u8], &mut [u8])) {
    let pairs = data.chunks_exact(stride * 2).zip(y.chunks_exact_mut(width * 2));
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    for ((pair, y), (u, v)) in pairs.zip(chroma) {
        let (upper, lower) = pair.split_at(stride);
        let (upper, lower) = (&upper[..width * 2], &lower[..width * 2]);
        let (y_upper, y_lower) = y.split_at_mut(width);
        for (from, to) in [(upper, y_upper), (lower, y_lower)] {
            for (from, to) in from.chunks_exact(2).zip(to) {
                *to = from[0];
            }
        }
        let mean = |a: u8, b: u8| u16::midpoint(u16::from(a), u16::from(b) + 1) as u8;
        let quads = upper.chunks_exact(4).zip(lower.chunks_exact(4));
        for (((upper, lower), u), v) in quads.zip(u).zip(v) {
            *u = mean(upper[1], lower[1]);
            *v = mean(upper[3], lower[3]);
        }
    }
}

/// From 0…255 to 16…235 (BT.601 §2.5.3).
const LIMITED_LUMA: [u8; 256] = limited(219, 0, 16);
/// From 0…255 around 128 to 16…240 (BT.601 §2.5.3).
const LIMITED_CHROMA: [u8; 256] = limited(224, 128, 128);

const fn limited(span: i32, centre: i32, to: i32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let scaled = (at as i32 - centre) * span;
        let half = if scaled < 0 { -127 } else { 127 };
        table[at] = (to + (scaled + half) / 255) as u8;
        at += 1;
    }
    table
}
