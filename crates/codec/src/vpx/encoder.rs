//! Pictures to frames.

use paceline_types::{Bitrate, Coding, Pool, VideoFrame};

use super::native::{Code, Encoder, Parameters};
use super::{NAME, Vpx};
use crate::size::check_size;
use crate::{
    Content, EncodeError, EncodedPicture, EncoderTarget, VideoEncoder, VideoEncoderConfig,
};

/// Pictures to VP8 or VP9. The native encoder starts with the first picture, and anew with
/// each that has another size.
#[derive(Debug)]
pub(crate) struct VpxEncoder {
    codec: Vpx,
    config: VideoEncoderConfig,
    frame_rate: f64,
    /// Asked for, and not made yet.
    keyframe: bool,
    running: Option<Running>,
    pool: Pool,
}

#[derive(Debug)]
struct Running {
    size: (u16, u16),
    native: Encoder,
}

impl VpxEncoder {
    pub(crate) fn new(codec: Vpx, config: VideoEncoderConfig) -> Self {
        let frame_rate = f64::from(config.max_frame_rate);
        let pool = Pool::new(PACKETS);
        Self { codec, config, frame_rate, keyframe: false, running: None, pool }
    }

    fn encode_running(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, Code> {
        let size = (frame.width(), frame.height());
        let running = match &mut self.running {
            Some(running) if running.size == size => running,
            running => {
                let native = Encoder::start(Parameters {
                    codec: self.codec,
                    width: size.0,
                    height: size.1,
                    kilobits: kilobits(self.config.bitrate),
                    screen: self.config.content == Content::Screen,
                    max_intra_percent: max_intra_percent(self.frame_rate),
                })?;
                running.insert(Running { size, native })
            }
        };
        let ticks = (CLOCK / self.frame_rate).round() as u32;
        let Some(packet) = running.native.encode(frame, ticks, self.keyframe)? else {
            return Ok(None);
        };
        self.keyframe &= !packet.key;
        let coding = Coding::Video {
            codec: self.codec.codec(),
            key: packet.key,
            discardable: false,
            width: size.0,
            height: size.1,
        };
        let mut data = self.pool.take(packet.data.len());
        data.copy_from_slice(packet.data);
        let (qp, data) = (Some(packet.quantizer), self.pool.share(data));
        Ok(Some(EncodedPicture { coding, qp, temporal_layer: 0, data }))
    }
}

impl VideoEncoder for VpxEncoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError> {
        check_size(frame.width(), frame.height())?;
        self.encode_running(frame).map_err(|Code(code)| {
            self.running = None;
            EncodeError::Native { encoder: NAME, code }
        })
    }

    // One that does not take what is asked for is replaced by one that starts with it.

    fn set_target(&mut self, target: EncoderTarget) {
        self.keyframe |= target.keyframe;
        if let Some(bitrate) = target.bitrate {
            self.config.bitrate = bitrate;
            self.running.take_if(|running| running.native.set_bitrate(kilobits(bitrate)).is_err());
        }
    }

    fn set_frame_rate(&mut self, frame_rate: f64) {
        if !frame_rate.is_finite() {
            return;
        }
        self.frame_rate = frame_rate.clamp(MIN_FRAME_RATE, MAX_FRAME_RATE);
        let percent = max_intra_percent(self.frame_rate);
        self.running.take_if(|running| running.native.set_max_intra(percent).is_err());
    }

    fn set_content(&mut self, content: Content) {
        self.config.content = content;
        let screen = content == Content::Screen;
        self.running.take_if(|running| running.native.set_screen(screen).is_err());
    }
}

fn kilobits(bitrate: Bitrate) -> u32 {
    (bitrate.bps() / 1_000).clamp(MIN_KILOBITS, MAX_KILOBITS) as u32
}

/// Half of the rate control's buffer of 600 ms, and not less than three pictures, as in
/// libwebrtc's encoders: a key frame is sent for 300 ms at most.
fn max_intra_percent(frame_rate: f64) -> u32 {
    (frame_rate * 0.3).max(3.0) as u32 * 100
}

/// RFC 7741 §4.1: ticks of a second.
const CLOCK: f64 = 90_000.0;

const MIN_FRAME_RATE: f64 = 1.0;

/// As of H.264, where OpenH264 takes no more.
const MAX_FRAME_RATE: f64 = 60.0;

/// What libwebrtc never goes below (`kDefaultMinVideoBitrateBps`).
const MIN_KILOBITS: u64 = 30;

/// As of H.264: ITU-T H.264, Table A-1, MaxBR of level 5.2.
const MAX_KILOBITS: u64 = 240_000;

/// Frames that wait to be sent: what is encoded besides is allocated.
const PACKETS: usize = 8;
