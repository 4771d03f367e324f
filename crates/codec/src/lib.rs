//! Encoders and decoders for real-time media.
//!
//! Four traits, [`VideoEncoder`], [`VideoDecoder`], [`AudioEncoder`] and
//! [`AudioDecoder`], and what implements them:
//!
//! | coding | made by | feature |
//! |---|---|---|
//! | H.264 | OpenH264, from source | `h264` |
//! | Opus | libopus, from source | `opus` |
//! | RGB24, text cells | this crate | |
//! | I420 and floats as they are | [`PassThrough`], [`Pcm`] | |
//!
//! No feature is on by default, so that the crate is pure Rust; nothing in it
//! reads a clock, starts a thread or opens a file. Whatever a peer sends, a decoder
//! here returns a [`DecodeError`] at worst, and holds no more than the size of the
//! frame allows. With the features, the peer's H.264 and Opus are parsed by C++
//! and C, and OpenH264 keeps as many reference pictures as the peer's stream says:
//! at most 16 of level 5.2, a quarter of a gigabyte.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use paceline_codec::types::{
//!     EncodedFrame, Frequency, MediaTime, NtpTime, PictureFormat, SeqNo, StreamId, VideoFrame,
//! };
//! use paceline_codec::{AnyVideoDecoder, VideoDecoder, VideoEncoderConfig, video_encoder};
//!
//! let mut encoder = video_encoder(PictureFormat::Cells, VideoEncoderConfig::default())?;
//! let mut decoder = AnyVideoDecoder::new();
//!
//! let (time, capture) = (MediaTime::new(0, Frequency::VIDEO), NtpTime::default());
//! let grey = Bytes::from(vec![128; 640 * 360 * 3 / 2]);
//! let frame = VideoFrame::new(640, 360, time, capture, grey)?;
//! if let Some(picture) = encoder.encode(&frame)? {
//!     let sent = EncodedFrame {
//!         stream: StreamId::VIDEO,
//!         seq: SeqNo::new(0),
//!         time,
//!         capture,
//!         coding: picture.coding,
//!         data: picture.data,
//!     };
//!     let shown = decoder.decode(&sent)?.expect("each frame is a picture");
//!     assert_eq!((shown.width(), shown.height()), (160, 90));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Patents
//!
//! OpenH264 is BSD-licensed, and the feature `h264` compiles it from source. The
//! patent fees for H.264 are then the business of whoever distributes the result;
//! Cisco pays them for its own binary only.
//!
//! # Where to start reading
//!
//! `traits` says what all of them do, `any` which there are, and `h264` holds the
//! only unsafe code of the workspace, in `native`.

mod any;
mod cells;
mod config;
mod error;
#[cfg(feature = "h264")]
mod h264;
#[cfg(feature = "opus")]
mod opus;
mod pass_through;
mod pixels;
mod traits;

pub use paceline_types as types;
pub use paceline_types::EncoderTarget;

pub use any::{AnyVideoDecoder, audio_decoder, audio_encoder, video_decoder, video_encoder};
pub use config::{AudioEncoderConfig, Content, VideoEncoderConfig};
pub use error::{DecodeError, EncodeError};
#[cfg(feature = "h264")]
pub use h264::has_assembly;
pub use pass_through::{PassThrough, Pcm};
pub use traits::{
    AudioDecoder, AudioEncoder, EncodedPicture, EncodedSound, VideoDecoder, VideoEncoder,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
