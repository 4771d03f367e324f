//! What every encoder and decoder can do.

use std::fmt::Debug;

use bytes::Bytes;
use paceline_types::{
    AudioFrame, Coding, EncodedFrame, EncoderTarget, MediaTime, NtpTime, VideoFrame,
};

use crate::{DecodeError, EncodeError};

/// An encoded picture: what its [`EncodedFrame`] needs beside stream, number and
/// times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedPicture {
    /// What [`data`](Self::data) is.
    pub coding: Coding,
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
