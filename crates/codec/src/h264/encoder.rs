//! Pictures to access units.

use std::sync::Arc;

use openh264_sys2::DynamicAPI;
use paceline_types::{Bitrate, Coding, MediaTime, Pool, VideoCodec, VideoFrame};

use super::POOLED;
use super::native::{Code, FIRST_ID, Native, Parameters, from_source};
use crate::size::check_size;
use crate::{
    Content, EncodeError, EncodedPicture, EncoderTarget, VideoEncoder, VideoEncoderConfig,
};

/// Pictures to H.264.
///
/// The native encoder starts with the first picture. Of what can change it takes most
/// in flight; for another content, and after an error, a new one starts with the next
/// picture, which is then an IDR.
pub(crate) struct H264Encoder {
    api: Arc<DynamicAPI>,
    config: VideoEncoderConfig,
    frame_rate: f32,
    /// Asked for, and not made yet.
    keyframe: bool,
    /// The `idr_pic_id` of the access unit made last, if that is an IDR.
    last_idr: Option<u16>,
    packets: Pool,
    running: Option<Running>,
    #[cfg(test)]
    fail: bool,
}

#[derive(Debug)]
struct Running {
    size: (u16, u16),
    native: Native,
    /// The `idr_pic_id` of its next IDR.
    next_id: u16,
}

impl H264Encoder {
    pub(crate) fn new(config: VideoEncoderConfig) -> Self {
        Self::with_api(from_source(), config)
    }

    /// By an OpenH264 from elsewhere.
    pub(super) fn with_api(api: Arc<DynamicAPI>, config: VideoEncoderConfig) -> Self {
        Self {
            api,
            config,
            frame_rate: f32::from(config.max_frame_rate),
            keyframe: false,
            last_idr: None,
            packets: Pool::new(POOLED),
            running: None,
            #[cfg(test)]
            fail: false,
        }
    }

    fn parameters(&self, (width, height): (u16, u16)) -> Parameters {
        Parameters {
            width,
            height,
            bits_per_second: bits_per_second(self.config.bitrate),
            frame_rate: self.frame_rate,
            screen: self.config.content == Content::Screen,
            temporal_layers: self.config.temporal_layers,
            max_slice_bytes: self.config.max_slice_bytes,
        }
    }

    fn encode_running(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, Code> {
        let (width, height) = (frame.width(), frame.height());
        let parameters = self.parameters((width, height));
        let time = millis(frame.time());
        let running = match &mut self.running {
            Some(running) => {
                if running.size != (width, height) {
                    running.native.change_size(&parameters)?;
                    running.size = (width, height);
                } else if self.keyframe {
                    running.native.force_idr()?;
                }
                running
            }
            none => {
                // ITU-T H.264 §7.4.3: of two IDRs in a row each has its own `idr_pic_id`,
                // or a decoder may take the second for more of the first.
                let (api, size) = (Arc::clone(&self.api), (width, height));
                none.insert(if self.last_idr == Some(FIRST_ID) {
                    let native = Native::start_second(api, &parameters, time)?;
                    Running { size, native, next_id: FIRST_ID + 1 }
                } else {
                    let native = Native::start(api, &parameters)?;
                    Running { size, native, next_id: FIRST_ID }
                })
            }
        };
        #[cfg(test)]
        if std::mem::take(&mut self.fail) {
            return Err(Code(INJECTED));
        }
        let Some(unit) = running.native.encode(frame, time, &mut self.packets)? else {
            return Ok(None);
        };
        self.keyframe &= !unit.idr;
        self.last_idr = unit.idr.then_some(running.next_id);
        running.next_id = running.next_id.wrapping_add(u16::from(unit.idr));
        let coding = Coding::Video {
            codec: VideoCodec::H264,
            key: unit.idr,
            discardable: unit.discardable,
            width,
            height,
        };
        let (qp, temporal_layer) = (Some(unit.qp), unit.temporal_layer);
        Ok(Some(EncodedPicture { coding, qp, temporal_layer, data: unit.data }))
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError> {
        check_size(frame.width(), frame.height())?;
        self.encode_running(frame).map_err(|Code(code)| {
            self.running = None;
            EncodeError::Native { encoder: "OpenH264", code }
        })
    }

    fn set_target(&mut self, target: EncoderTarget) {
        self.keyframe |= target.keyframe;
        if let Some(bitrate) = target.bitrate {
            self.config.bitrate = bitrate;
            // One that does not take the bitrate is replaced by one that starts
            // with it.
            self.running
                .take_if(|running| running.native.set_bitrate(bits_per_second(bitrate)).is_err());
        }
    }

    fn set_frame_rate(&mut self, frame_rate: f64) {
        if !frame_rate.is_finite() {
            return;
        }
        let frame_rate = (frame_rate as f32).clamp(MIN_FRAME_RATE, MAX_FRAME_RATE);
        self.frame_rate = frame_rate;
        self.running.take_if(|running| running.native.set_frame_rate(frame_rate).is_err());
    }

    fn set_content(&mut self, content: Content) {
        if content != self.config.content {
            self.config.content = content;
            // OpenH264 refuses another usage type in flight (`WelsEncoderParamAdjust`).
            self.running = None;
        }
    }
}

impl std::fmt::Debug for H264Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H264Encoder")
            .field("config", &self.config)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

fn bits_per_second(bitrate: Bitrate) -> i32 {
    bitrate.bps().clamp(MIN_BITRATE, MAX_BITRATE) as i32
}

fn millis(time: MediaTime) -> i64 {
    time.saturating_since(MediaTime::new(0, time.frequency())).as_millis() as i64
}

/// What libwebrtc never goes below (`kDefaultMinVideoBitrateBps`); OpenH264
/// refuses zero.
const MIN_BITRATE: u64 = 30_000;

/// ITU-T H.264, Table A-1: MaxBR of level 5.2.
const MAX_BITRATE: u64 = 240_000_000;

/// Between these OpenH264 holds it itself (`MIN_FRAME_RATE`, `MAX_FRAME_RATE`).
const MIN_FRAME_RATE: f32 = 1.0;

const MAX_FRAME_RATE: f32 = 60.0;

/// A code that OpenH264 does not have.
#[cfg(test)]
const INJECTED: i32 = -77;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use paceline_types::{Frequency, NtpTime};

    use super::*;

    fn grey(index: u64) -> VideoFrame {
        let time = MediaTime::new(index * 3_000, Frequency::VIDEO);
        let planes = Bytes::from(vec![100 + index as u8; 64 * 48 * 3 / 2]);
        VideoFrame::new(64, 48, time, NtpTime::default(), planes).unwrap()
    }

    #[test]
    fn an_encoder_that_failed_starts_anew_with_the_next_frame_and_an_idr() {
        let mut encoder = H264Encoder::new(VideoEncoderConfig::default());
        for index in 0..12 {
            encoder.fail = index % 4 == 2;
            let result = encoder.encode(&grey(index));
            if index % 4 == 2 {
                let expected = EncodeError::Native { encoder: "OpenH264", code: INJECTED };
                assert_eq!(result, Err(expected));
            } else {
                let key = result.unwrap().unwrap().coding.is_key();
                assert_eq!(key, index == 0 || index % 4 == 3, "frame {index}");
            }
        }
    }

    #[test]
    fn a_key_frame_that_was_asked_for_is_not_forgotten_by_a_failure() {
        let mut encoder = H264Encoder::new(VideoEncoderConfig::default());
        encoder.encode(&grey(0)).unwrap();
        encoder.set_target(EncoderTarget { bitrate: None, keyframe: true });
        encoder.fail = true;
        encoder.encode(&grey(1)).unwrap_err();
        assert!(encoder.encode(&grey(2)).unwrap().unwrap().coding.is_key());
        assert!(!encoder.encode(&grey(3)).unwrap().unwrap().coding.is_key());
    }
}
