//! Which encoder or decoder it is to be.

use paceline_types::{AudioCodec, Coding, EncodedFrame, PictureFormat, PixelFormat, VideoFrame};

use crate::cells::{CellsDecoder, CellsEncoder};
use crate::pixels::{PixelsDecoder, RgbEncoder};
#[cfg(feature = "vpx")]
use crate::vpx::{Vpx, VpxDecoder, VpxEncoder};
use crate::{
    AudioDecoder, AudioEncoder, AudioEncoderConfig, DecodeError, EncodeError, PassThrough, Pcm,
    VideoDecoder, VideoEncoder, VideoEncoderConfig,
};

/// An encoder of pictures for `format`.
///
/// # Errors
///
/// [`EncodeError`] if this build has none, or the configuration makes no sense.
pub fn video_encoder(
    format: PictureFormat,
    config: VideoEncoderConfig,
) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    Ok(match format {
        PictureFormat::Cells => Box::new(CellsEncoder::new(config.cells.0, config.cells.1)?),
        #[cfg(feature = "h264")]
        PictureFormat::H264 => Box::new(crate::h264::H264Encoder::new(config)),
        PictureFormat::Rgb => Box::new(RgbEncoder),
        #[cfg(feature = "vpx")]
        PictureFormat::Vp8 => Box::new(VpxEncoder::new(Vpx::Vp8, config)),
        #[cfg(feature = "vpx")]
        PictureFormat::Vp9 => Box::new(VpxEncoder::new(Vpx::Vp9, config)),
        other => return Err(EncodeError::NotBuiltIn(other)),
    })
}

/// A decoder of pictures for frames of this coding; size and flags of the coding
/// do not matter and may change from frame to frame.
///
/// # Errors
///
/// [`DecodeError::NotBuiltIn`] if this build has none.
pub fn video_decoder(coding: &Coding) -> Result<Box<dyn VideoDecoder>, DecodeError> {
    Ok(match coding {
        Coding::Cells { .. } => Box::new(CellsDecoder),
        Coding::Image { format: PixelFormat::I420, .. } => Box::new(PassThrough),
        Coding::Image { format: PixelFormat::Rgb24 | PixelFormat::Rgba, .. } => {
            Box::new(PixelsDecoder)
        }
        #[cfg(feature = "h264")]
        Coding::Video { codec: paceline_types::VideoCodec::H264, .. } => {
            Box::new(crate::h264::H264Decoder::default())
        }
        #[cfg(feature = "vpx")]
        Coding::Video { codec: paceline_types::VideoCodec::Vp8, .. } => {
            Box::new(VpxDecoder::new(Vpx::Vp8))
        }
        #[cfg(feature = "vpx")]
        Coding::Video { codec: paceline_types::VideoCodec::Vp9, .. } => {
            Box::new(VpxDecoder::new(Vpx::Vp9))
        }
        other => return Err(DecodeError::NotBuiltIn(*other)),
    })
}

/// An encoder of sound for `codec`.
///
/// # Errors
///
/// [`EncodeError`] if this build has none, or the configuration makes no sense.
pub fn audio_encoder(
    codec: AudioCodec,
    config: AudioEncoderConfig,
) -> Result<Box<dyn AudioEncoder>, EncodeError> {
    Ok(match codec {
        #[cfg(feature = "opus")]
        AudioCodec::Opus => Box::new(crate::opus::OpusEncoder::new(config)?),
        AudioCodec::PcmF32 => Box::new(Pcm::new(config.channels)?),
        other => return Err(EncodeError::SoundNotBuiltIn(other)),
    })
}

/// A decoder of sound for frames of exactly this coding.
///
/// # Errors
///
/// [`DecodeError::NotBuiltIn`] if this build has none.
pub fn audio_decoder(coding: &Coding) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    let not_built_in = DecodeError::NotBuiltIn(*coding);
    Ok(match *coding {
        #[cfg(feature = "opus")]
        Coding::Audio { codec: AudioCodec::Opus, channels: channels @ (1 | 2) } => {
            Box::new(crate::opus::OpusDecoder::new(channels)?)
        }
        Coding::Audio { codec: AudioCodec::PcmF32, channels } => {
            Box::new(Pcm::new(channels).map_err(|_| not_built_in)?)
        }
        _ => return Err(not_built_in),
    })
}

/// Decodes pictures of every coding that is built in, and changes its decoder
/// when the coding changes.
///
/// What is being decoded is not kept across a change: coming back to video takes a key
/// frame.
#[derive(Debug, Default)]
pub struct AnyVideoDecoder {
    current: Option<(Coding, Box<dyn VideoDecoder>)>,
}

impl AnyVideoDecoder {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { current: None }
    }
}

impl VideoDecoder for AnyVideoDecoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let decoder = match &mut self.current {
            Some((coding, decoder)) if alike(coding, &frame.coding) => decoder,
            current => {
                let decoder = video_decoder(&frame.coding)?;
                &mut current.insert((frame.coding, decoder)).1
            }
        };
        decoder.decode(frame)
    }
}

/// Whether one decoder serves both.
fn alike(one: &Coding, other: &Coding) -> bool {
    match (one, other) {
        (Coding::Cells { .. }, Coding::Cells { .. }) => true,
        (Coding::Image { format: one, .. }, Coding::Image { format: other, .. }) => one == other,
        (Coding::Video { codec: one, .. }, Coding::Video { codec: other, .. }) => one == other,
        _ => false,
    }
}
