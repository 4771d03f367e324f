//! Motion JPEG: each buffer is one JPEG, often without the tables that all have in common.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    rgb_to_yuv420,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::convert::{Damage, split};

/// Decodes one after the other, in the same memory.
#[derive(Debug, Default)]
pub(super) struct Jpeg {
    pixels: Vec<u8>,
    whole: Vec<u8>,
}

impl Jpeg {
    /// Writes the JPEG in `data`, which must be of `full` pixels, to `planes`, I420 of `size`,
    /// which is that made even.
    ///
    /// A JPEG is of full range and BT.601 (JFIF 1.02); what comes out is of limited range.
    ///
    /// # Errors
    ///
    /// If it is of another size, or is no JPEG, ends early or has something in it that none has.
    pub(super) fn decode(
        &mut self,
        data: &[u8],
        full: (u32, u32),
        size: (u16, u16),
        planes: &mut [u8],
    ) -> Result<(), Damage> {
        let (full_width, full_height) = (full.0 as usize, full.1 as usize);
        let data = if has_tables(data) {
            data
        } else {
            self.whole.clear();
            self.whole.extend_from_slice(START);
            self.whole.extend_from_slice(AS_IN_AVI);
            self.whole.extend_from_slice(data.get(START.len()..).unwrap_or_default());
            &self.whole
        };
        // Strict: what ends early is told, and not filled up with grey.
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(full_width)
            .set_max_height(full_height)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
        decoder.decode_headers().map_err(|_| Damage::Jpeg)?;
        if decoder.dimensions() != Some((full_width, full_height)) {
            return Err(Damage::OtherSize);
        }
        let len = full_width * full_height * 3;
        if decoder.output_buffer_size() != Some(len) {
            return Err(Damage::Jpeg);
        }
        self.pixels.resize(len, 0);
        decoder.decode_into(&mut self.pixels).map_err(|_| Damage::Jpeg)?;

        let (width, height) = (usize::from(size.0), usize::from(size.1));
        let (y, u, v) = split(planes, width, height);
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y),
            y_stride: width as u32,
            u_plane: BufferStoreMut::Borrowed(u),
            u_stride: width as u32 / 2,
            v_plane: BufferStoreMut::Borrowed(v),
            v_stride: width as u32 / 2,
            width: width as u32,
            height: height as u32,
        };
        let stride = full_width * 3;
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
        let pixels = &self.pixels[..stride * height];
        let mode = YuvConversionMode::Balanced;
        rgb_to_yuv420(&mut image, pixels, stride as u32, range, matrix, mode)
            .map_err(|_| Damage::Jpeg)
    }
}

/// Whether there is a DHT segment before the picture's bits (T.81 §B.1.1.4).
fn has_tables(data: &[u8]) -> bool {
    let mut rest = data.get(START.len()..).unwrap_or_default();
    while let &[0xff, marker, high, low, ..] = rest {
        match marker {
            DHT => return true,
            SOS => return false,
            0xff => rest = &rest[1..],
            _ => {
                let len = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(2 + len..).unwrap_or_default();
            }
        }
    }
    false
}

/// Start of image.
const START: &[u8] = &[0xff, 0xd8];
/// Define Huffman tables.
const DHT: u8 = 0xc4;
/// Start of scan.
const SOS: u8 = 0xda;
/// The segment APP0 of pictures in AVI files. The decoder takes the tables of T.81 §K.3 for
/// those that are missing where it is, as they are in such files and over USB.
const AS_IN_AVI: &[u8] = b"\xff\xe0\x00\x08AVI1\0\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_looked_for_up_to_the_picture_and_in_anything() {
        let tables = [0xff, DHT, 0, 4, 1, 2];
        let scan = [0xff, SOS, 0, 2];
        let comment = [0xff, 0xfe, 0, 4, 9, 9];
        let join = |parts: &[&[u8]]| parts.concat();
        assert!(has_tables(&join(&[START, &comment, &[0xff], &tables, &scan])));
        assert!(!has_tables(&join(&[START, &comment, &scan, &tables])));
        assert!(!has_tables(&join(&[START, &[0xff, 0xfe, 0xff, 0xff], &tables])));
        assert!(!has_tables(&[0xff]));
        assert!(!has_tables(&[]));
    }
}
