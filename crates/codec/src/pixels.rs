//! Uncompressed pixels, and the one place that knows about colour: everything is
//! BT.601 in limited range, as [`VideoFrame`] is.

use bytes::Bytes;
use paceline_types::{Coding, EncodedFrame, PixelFormat, VideoFrame};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

use crate::pass_through::check_length;
use crate::{DecodeError, EncodeError, EncodedPicture, EncoderTarget, VideoDecoder, VideoEncoder};

/// Pictures to RGB24.
#[derive(Debug)]
pub(crate) struct RgbEncoder;

impl VideoEncoder for RgbEncoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError> {
        let (width, height) = (frame.width(), frame.height());
        let image = YuvPlanarImage {
            y_plane: frame.y(),
            y_stride: width.into(),
            u_plane: frame.u(),
            u_stride: frame.chroma_width() as u32,
            v_plane: frame.v(),
            v_stride: frame.chroma_width() as u32,
            width: width.into(),
            height: height.into(),
        };
        let mut rgb = vec![0; PixelFormat::Rgb24.bytes(width, height)];
        yuv::yuv420_to_rgb(&image, &mut rgb, 3 * u32::from(width), RANGE, MATRIX)
            .expect("a frame has planes of its size");
        let coding = Coding::Image { format: PixelFormat::Rgb24, width, height };
        Ok(Some(EncodedPicture { coding, qp: None, temporal_layer: 0, data: rgb.into() }))
    }

    fn set_target(&mut self, _target: EncoderTarget) {}
}

/// RGB24 and RGBA to pictures.
#[derive(Debug)]
pub(crate) struct PixelsDecoder;

impl VideoDecoder for PixelsDecoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let (format, width, height) = match frame.coding {
            Coding::Image {
                format: format @ (PixelFormat::Rgb24 | PixelFormat::Rgba),
                width,
                height,
            } => (format, width, height),
            other => return Err(DecodeError::OtherCoding(other)),
        };
        check_length(frame, format.bytes(width, height))?;
        let wrong_size =
            DecodeError::Size { coding: frame.coding, width: width.into(), height: height.into() };
        if width == 0 || height == 0 {
            return Err(wrong_size);
        }
        let planes = to_i420(&frame.data, format, width, height).map_err(|_| wrong_size)?;
        let picture = VideoFrame::new(width, height, frame.time, frame.capture, planes);
        picture.map(Some).map_err(|error| DecodeError::of(frame.coding, error))
    }
}

/// The planes of a picture whose pixels lie as `format` says, RGB24 or RGBA.
pub(crate) fn to_i420(
    pixels: &[u8],
    format: PixelFormat,
    width: u16,
    height: u16,
) -> Result<Bytes, YuvError> {
    let mut planes = vec![0; PixelFormat::I420.bytes(width, height)];
    let (y, chroma) = planes.split_at_mut(usize::from(width) * usize::from(height));
    let (u, v) = chroma.split_at_mut(chroma.len() / 2);
    let chroma_stride = u32::from(width).div_ceil(2);
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width.into(),
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma_stride,
        width: width.into(),
        height: height.into(),
    };
    let stride = PixelFormat::bytes(format, width, 1) as u32;
    let convert = match format {
        PixelFormat::Rgba => yuv::rgba_to_yuv420,
        _ => yuv::rgb_to_yuv420,
    };
    convert(&mut image, pixels, stride, RANGE, MATRIX, YuvConversionMode::Balanced)?;
    Ok(planes.into())
}

/// RGB24 of a picture whose three planes all have its full size.
pub(crate) fn full_planes_to_rgb(planes: [&[u8]; 3], width: u16, height: u16) -> Vec<u8> {
    let [y_plane, u_plane, v_plane] = planes;
    let stride = u32::from(width);
    let image = YuvPlanarImage {
        y_plane,
        y_stride: stride,
        u_plane,
        u_stride: stride,
        v_plane,
        v_stride: stride,
        width: stride,
        height: height.into(),
    };
    let mut rgb = vec![0; PixelFormat::Rgb24.bytes(width, height)];
    yuv::yuv444_to_rgb(&image, &mut rgb, 3 * stride, RANGE, MATRIX)
        .expect("the planes have this size");
    rgb
}

const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;
