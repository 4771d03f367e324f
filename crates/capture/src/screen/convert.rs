//! From the server's pixels to planes.

use paceline_types::Rect;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420,
};

use super::canvas::Planes;

/// Writes `rect` of the picture, whose `pixels` (blue, green, red and one more) lie row behind
/// row without padding. All of `rect` is even.
///
/// # Errors
///
/// If the pixels are fewer than `rect` has, or it is not in the picture.
pub(super) fn convert(pixels: &[u8], planes: &mut Planes<'_>, rect: Rect) -> Result<(), YuvError> {
    let (width, height) = (usize::from(rect.width), usize::from(rect.height));
    let stride = planes.width();
    let begin = usize::from(rect.y) * stride + usize::from(rect.x);
    let chroma = usize::from(rect.y) / 2 * (stride / 2) + usize::from(rect.x) / 2;
    // The converter takes whole rows of the stride, and below the last rectangle there is no
    // more than the part of a row: it goes over a row pair of its own.
    let rows = if begin + height * stride > planes.y.len() { height - 2 } else { height };
    let (pixels, last) = pixels.split_at((rows * width * 4).min(pixels.len()));
    if rows > 0 {
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(part(planes.y, begin, rows * stride)),
            y_stride: stride as u32,
            u_plane: BufferStoreMut::Borrowed(part(planes.u, chroma, rows / 2 * (stride / 2))),
            u_stride: stride as u32 / 2,
            v_plane: BufferStoreMut::Borrowed(part(planes.v, chroma, rows / 2 * (stride / 2))),
            v_stride: stride as u32 / 2,
            width: width as u32,
            height: rows as u32,
        };
        one(&mut image, pixels)?;
    }
    if rows < height {
        let mut pair = [0; MAX_WIDTH * 3];
        let (y, chroma_pair) = pair[..width * 3].split_at_mut(width * 2);
        let (u, v) = chroma_pair.split_at_mut(width / 2);
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut *y),
            y_stride: width as u32,
            u_plane: BufferStoreMut::Borrowed(&mut *u),
            u_stride: width as u32 / 2,
            v_plane: BufferStoreMut::Borrowed(&mut *v),
            v_stride: width as u32 / 2,
            width: width as u32,
            height: 2,
        };
        one(&mut image, last)?;
        for (row, luma) in y.chunks(width).enumerate() {
            let at = begin + (rows + row) * stride;
            planes.y[at..at + width].copy_from_slice(luma);
        }
        let at = chroma + rows / 2 * (stride / 2);
        planes.u[at..at + width / 2].copy_from_slice(u);
        planes.v[at..at + width / 2].copy_from_slice(v);
    }
    Ok(())
}

fn one(image: &mut YuvPlanarImageMut<'_, u8>, pixels: &[u8]) -> Result<(), YuvError> {
    let stride = image.width * 4;
    bgra_to_yuv420(
        image,
        pixels,
        stride,
        YuvRange::Limited,
        YuvStandardMatrix::Bt601,
        YuvConversionMode::Balanced,
    )
}

/// As much of it as there is: the converter says what is missing.
fn part(plane: &mut [u8], begin: usize, len: usize) -> &mut [u8] {
    let begin = begin.min(plane.len());
    let end = begin.saturating_add(len).min(plane.len());
    &mut plane[begin..end]
}

/// The longest row of a picture.
const MAX_WIDTH: usize = crate::source::MAX_SIDES.0 as usize;
