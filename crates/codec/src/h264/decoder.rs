//! Access units to pictures.

use std::fmt;

use bytes::{Bytes, BytesMut};
use openh264::decoder::{DecodedYUV, Decoder};
use openh264::formats::YUVSource;
use paceline_types::{Coding, EncodedFrame, PixelFormat, VideoCodec, VideoFrame};

use super::fits;
use crate::{DecodeError, VideoDecoder};

/// H.264 to pictures.
///
/// The native decoder lives from a key frame to the first error: what follows an
/// error is not shown, and the next key frame meets a decoder that remembers
/// nothing.
#[derive(Default)]
pub(crate) struct H264Decoder {
    running: Option<Decoder>,
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let Coding::Video { codec: VideoCodec::H264, key, width, height, .. } = frame.coding else {
            return Err(DecodeError::OtherCoding(frame.coding));
        };
        // Taken out, and put back only if all goes well.
        let running = self.running.take();
        if !fits(width.into(), height.into()) {
            return Err(DecodeError::Size { width: width.into(), height: height.into() });
        }
        let (coding, expected, found) = (frame.coding, MAX_ACCESS_UNIT, frame.data.len());
        if found == 0 || found > expected {
            return Err(DecodeError::Length { coding, expected, found });
        }
        let mut decoder = match running {
            Some(decoder) => decoder,
            None if key => Decoder::new().map_err(|error| DecodeError::Native {
                decoder: "OpenH264",
                code: error.native_code() as i32,
            })?,
            None => return Err(DecodeError::NeedsKeyframe),
        };
        let decoded = decoder
            .decode(&frame.data)
            .map_err(|error| DecodeError::Damaged { state: error.native_code() })?
            .ok_or(DecodeError::Damaged { state: 0 })?;
        let (width, height, planes) = tight_planes(&decoded)?;
        self.running = Some(decoder);
        Ok(Some(VideoFrame::new(width, height, frame.time, frame.capture, planes)?))
    }
}

impl fmt::Debug for H264Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H264Decoder").field("running", &self.running.is_some()).finish()
    }
}

/// The planes without the padding that the decoder's own have.
fn tight_planes(decoded: &DecodedYUV<'_>) -> Result<(u16, u16, Bytes), DecodeError> {
    let (width, height) = decoded.dimensions();
    let wrong_size = DecodeError::Size { width, height };
    if width == 0 || height == 0 || !fits(width, height) {
        return Err(wrong_size);
    }
    let (luma, u_stride, v_stride) = decoded.strides();
    let chroma_width = width.div_ceil(2);
    let (narrow, short) = (width as u16, height as u16);
    let mut planes = BytesMut::with_capacity(PixelFormat::I420.bytes(narrow, short));
    for (plane, stride, width, height) in [
        (decoded.y(), luma, width, height),
        (decoded.u(), u_stride, chroma_width, height.div_ceil(2)),
        (decoded.v(), v_stride, chroma_width, height.div_ceil(2)),
    ] {
        if stride < width {
            return Err(wrong_size);
        }
        for row in plane.chunks(stride).take(height) {
            planes.extend_from_slice(row.get(..width).ok_or(wrong_size.clone())?);
        }
    }
    Ok((narrow, short, planes.freeze()))
}

/// The largest packet that is carried.
const MAX_ACCESS_UNIT: usize = 4 << 20;
