//! What every encoder and decoder can do.

use std::fmt::Debug;

use bytes::Bytes;
use paceline_types::{
    AudioFrame, Coding, Content, EncodedFrame, EncoderTarget, MediaTime, NtpTime, VideoFrame,
};

use crate::{AudioEncoderTarget, DecodeError, EncodeError};

/// An encoded picture: what its [`EncodedFrame`] needs beside stream, number and
/// times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedPicture {
    /// What [`data`](Self::data) is.
    pub coding: Coding,
    /// The quantizer: of H.264 0 to 51, of VP8 0 to 127, of VP9 0 to 255; the larger, the
    /// coarser. `None` where there is none.
    pub qp: Option<u8>,
    /// Which temporal layer it is of: it needs only pictures of this one and lower ones.
    pub temporal_layer: u8,
    /// The encoded bytes.
    pub data: Bytes,
}

/// Encoded sound: what its [`EncodedFrame`] needs beside stream, number and
/// times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedSound {
    /// What [`data`](Self::data) is.
    pub coding: Coding,
    /// The encoded bytes.
    pub data: Bytes,
}

/// Makes bytes of pictures.
pub trait VideoEncoder: Debug + Send {
    /// Encodes one picture. `None` if it was skipped to keep the bitrate: send
    /// nothing, and do not count it.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the picture cannot be encoded. The encoder goes on with
    /// the next one.
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError>;

    /// Changes what is asked for, from the next frame on. Formats without rate
    /// control have no bitrate to change, and each of their frames is a key frame.
    fn set_target(&mut self, target: EncoderTarget);

    /// So many pictures a second come from now on: each has its part of the bitrate. Less
    /// than 1 is taken as 1, more than 60 as 60, and what is no number is ignored. Formats
    /// without rate control do not care.
    fn set_frame_rate(&mut self, frame_rate: f64) {
        let _ = frame_rate;
    }

    /// Pictures show something else from now on, or are to be encoded as if they did: that of
    /// a screen as [`Content::Camera`] takes H.264 less than half the time, and is coarser; its
    /// next picture is a key frame. Formats
    /// that do not tell them apart do not care.
    fn set_content(&mut self, content: Content) {
        let _ = content;
    }
}

/// Makes pictures of bytes.
pub trait VideoDecoder: Debug + Send {
    /// Decodes one frame. The picture has the frame's times. `None` if this frame
    /// alone makes no picture.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the frame is no such picture. When it
    /// [`needs_keyframe`](DecodeError::needs_keyframe), what follows is refused
    /// until a key frame comes.
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError>;
}

/// Makes bytes of sound, 20 ms at a time.
pub trait AudioEncoder: Debug + Send {
    /// Encodes 20 ms.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the frame has other channels than the encoder or is not
    /// 20 ms long.
    fn encode(&mut self, frame: &AudioFrame) -> Result<EncodedSound, EncodeError>;

    /// Changes what is asked for, from the next frame on. Formats without rate control, into
    /// which no redundancy fits either, have nothing to change.
    fn set_target(&mut self, target: AudioEncoderTarget) {
        let _ = target;
    }
}

/// Makes sound of bytes, 20 ms at a time.
pub trait AudioDecoder: Debug + Send {
    /// Decodes 20 ms. The sound has the frame's times.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the frame is no such sound or not 20 ms long.
    /// [Conceal](Self::conceal) it.
    fn decode(&mut self, frame: &EncodedFrame) -> Result<AudioFrame, DecodeError>;

    /// Makes up 20 ms that never came.
    fn conceal(&mut self, time: MediaTime, capture: NtpTime) -> AudioFrame;

    /// Makes up the 20 ms that should have come just before `next`, from what `next`
    /// says of them if it says anything (in-band FEC, RFC 6716 §2.1.7), and else as
    /// [`conceal`](Self::conceal). Then decode `next`.
    fn recover(&mut self, next: &EncodedFrame, time: MediaTime, capture: NtpTime) -> AudioFrame {
        let _ = next;
        self.conceal(time, capture)
    }
}
