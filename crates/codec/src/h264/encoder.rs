//! Pictures to access units.

use paceline_types::{Bitrate, Coding, MediaTime, VideoCodec, VideoFrame};

use super::native::{Code, Native, Parameters};
use super::{MAX_LONG, MAX_SHORT, fits};
use crate::config::Content;
use crate::{EncodeError, EncodedPicture, EncoderTarget, VideoEncoder, VideoEncoderConfig};

/// Pictures to H.264. The native encoder starts with the first picture, and anew
/// with each that has another size.
#[derive(Debug)]
pub(crate) struct H264Encoder {
    config: VideoEncoderConfig,
    /// Asked for, and not made yet.
    keyframe: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    size: (u16, u16),
    native: Native,
}

impl H264Encoder {
    pub(crate) const fn new(config: VideoEncoderConfig) -> Self {
        Self { config, keyframe: false, running: None }
    }

    fn encode_running(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, Code> {
        let (width, height) = (frame.width(), frame.height());
        let running = match &mut self.running {
            Some(running) if running.size == (width, height) => {
                if self.keyframe {
                    running.native.force_idr()?;
                }
                running
            }
            running => {
                let native = Native::start(Parameters {
                    width,
                    height,
                    bits_per_second: bits_per_second(self.config.bitrate),
                    max_frame_rate: self.config.max_frame_rate.max(1),
                    screen: self.config.content == Content::Screen,
                })?;
                running.insert(Running { size: (width, height), native })
            }
        };
        let Some(unit) = running.native.encode(frame, millis(frame.time()))? else {
            return Ok(None);
        };
        self.keyframe &= !unit.idr;
        let coding = Coding::Video {
            codec: VideoCodec::H264,
            key: unit.idr,
            discardable: false,
            width,
            height,
        };
        Ok(Some(EncodedPicture { coding, data: unit.data }))
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
}

fn check_size(width: u16, height: u16) -> Result<(), EncodeError> {
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    let large_enough = width.min(height) >= MIN_SIDE;
    if even && large_enough && fits(width.into(), height.into()) {
        return Ok(());
    }
    let (max_width, max_height) =
        if width >= height { (MAX_LONG, MAX_SHORT) } else { (MAX_SHORT, MAX_LONG) };
    let nearest =
        ((width & !1).clamp(MIN_SIDE, max_width), (height & !1).clamp(MIN_SIDE, max_height));
    Err(EncodeError::Size { width, height, nearest })
}

fn bits_per_second(bitrate: Bitrate) -> i32 {
    bitrate.bps().clamp(MIN_BITRATE, MAX_BITRATE) as i32
}

fn millis(time: MediaTime) -> i64 {
    time.saturating_since(MediaTime::new(0, time.frequency())).as_millis() as i64
}

/// OpenH264 refuses less.
const MIN_SIDE: u16 = 16;

/// What libwebrtc never goes below (`kDefaultMinVideoBitrateBps`); OpenH264
/// refuses zero.
const MIN_BITRATE: u64 = 30_000;

/// ITU-T H.264, Table A-1: MaxBR of level 5.2.
const MAX_BITRATE: u64 = 240_000_000;
