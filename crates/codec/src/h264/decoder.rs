//! Access units to pictures.

use std::fmt;
use std::sync::Arc;

use openh264_sys2::DynamicAPI;
use paceline_types::{Coding, EncodedFrame, Pool, VideoCodec, VideoFrame};

use super::native::{Code, NativeDecoder, from_source};
use crate::planes::{PICTURES, check_announced, tight_planes};
use crate::{DecodeError, VideoDecoder};

/// H.264 to pictures.
///
/// The native decoder lives from a key frame to the first error: what follows an
/// error is not shown, and the next key frame meets a decoder that remembers
/// nothing.
pub(crate) struct H264Decoder {
    api: Arc<DynamicAPI>,
    pictures: Pool,
    running: Option<NativeDecoder>,
}

impl H264Decoder {
    /// By an OpenH264 from elsewhere.
    pub(super) fn with_api(api: Arc<DynamicAPI>) -> Self {
        Self { api, pictures: Pool::new(PICTURES), running: None }
    }
}

impl Default for H264Decoder {
    fn default() -> Self {
        Self::with_api(from_source())
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let Coding::Video { codec: VideoCodec::H264, key, width, height, .. } = frame.coding else {
            return Err(DecodeError::OtherCoding(frame.coding));
        };
        // Taken out, and put back only if all goes well.
        let running = self.running.take();
        let (coding, expected, found) = (frame.coding, MAX_ACCESS_UNIT, frame.data.len());
        check_announced(coding, width, height)?;
        if found == 0 || found > expected {
            return Err(DecodeError::Length { coding, expected, found });
        }
        let mut decoder = match running {
            Some(decoder) => decoder,
            None if key => NativeDecoder::start(Arc::clone(&self.api))
                .map_err(|Code(code)| DecodeError::Native { decoder: "OpenH264", code })?,
            None => return Err(DecodeError::NeedsKeyframe),
        };
        let decoded = decoder
            .decode(&frame.data)
            .map_err(|Code(code)| DecodeError::Damaged { state: code.into() })?
            .ok_or(DecodeError::Damaged { state: 0 })?;
        let (width, height, planes) =
            tight_planes(&mut self.pictures, coding, decoded.size(), |plane, row| {
                decoded.row(plane, row)
            })?;
        self.running = Some(decoder);
        let picture = VideoFrame::new(width, height, frame.time, frame.capture, planes);
        picture.map(Some).map_err(|error| DecodeError::of(coding, error))
    }
}

impl fmt::Debug for H264Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H264Decoder").field("running", &self.running.is_some()).finish()
    }
}

/// The largest packet that is carried.
const MAX_ACCESS_UNIT: usize = 4 << 20;
