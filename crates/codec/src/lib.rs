//! Encoders and decoders for real-time media.
//!
//! Four traits, [`VideoEncoder`], [`VideoDecoder`], [`AudioEncoder`] and
//! [`AudioDecoder`], and what implements them:
//!
//! | coding | made by | feature |
//! |---|---|---|
//! | H.264 | OpenH264, from source | `h264` |
//! | H.264 | OpenH264, a library loaded as the program runs | `cisco` |
//! | Opus | libopus, from source | `opus` |
//! | VP8, VP9 | libvpx, of the system | `vpx` |
//! | RGB24, text cells | this crate | |
//! | I420 and floats as they are | [`PassThrough`], [`Pcm`] | |
//!
//! Beside them, what keeps an encoder within its means: [`Ladder`] says how large, how
//! often and in how many bits pictures are encoded when the machine or the path cannot keep
//! up, [`fit`] which size keeps a shape, and `Scaler` (feature `scale`) makes pictures of it.
//!
//! No feature is on by default, so that the crate is pure Rust; nothing in it
//! reads a clock, starts a thread or, but for `Library::load`, opens a file. Whatever
//! a peer sends, a decoder here returns a [`DecodeError`] at worst, and holds no more
//! than the size of the frame allows. With the features, the peer's H.264, VP8, VP9 and
//! Opus are parsed by C++ and C, and OpenH264 keeps as many reference pictures as the
//! peer's stream says: at most 16 of level 5.2, a quarter of a gigabyte. libvpx keeps at
//! most 4 pictures of VP8 and 12 of VP9, and is shown no frame that is larger than is
//! decoded: by itself it would make place for 16,384 × 16,384.
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
//! Cisco pays them for its own binary only, which the feature `cisco` loads.
//!
//! # Where to start reading
//!
//! `ladder` has the picture of the ladder and all its thresholds, `traits` says what all
//! encoders and decoders do, `any` which there are; the unsafe code is in `native` of `h264`
//! and of `vpx`.

mod any;
mod cells;
mod config;
mod error;
mod fit;
#[cfg(feature = "h264")]
mod h264;
mod ladder;
#[cfg(feature = "opus")]
mod opus;
mod pass_through;
mod pixels;
#[cfg(any(feature = "h264", feature = "vpx"))]
mod planes;
#[cfg(feature = "scale")]
mod scale;
mod size;
mod traits;
#[cfg(feature = "vpx")]
mod vpx;

pub use paceline_types as types;
pub use paceline_types::{Content, EncoderTarget};

pub use any::{AnyVideoDecoder, audio_decoder, audio_encoder, video_decoder, video_encoder};
pub use config::{AudioContent, AudioEncoderConfig, AudioEncoderTarget, VideoEncoderConfig};
#[cfg(feature = "cisco")]
pub use error::LibraryError;
pub use error::{DecodeError, EncodeError};
pub use fit::fit;
#[cfg(feature = "cisco")]
pub use h264::Library;
#[cfg(feature = "h264")]
pub use h264::has_assembly;
pub use ladder::{
    Cause, Change, DegradationPreference, Direction, FrameReport, Ladder, LadderConfig,
    LadderConfigError, LadderStats, NetworkCause, Step,
};
pub use pass_through::{PassThrough, Pcm};
#[cfg(feature = "scale")]
pub use scale::{ScaleError, Scaler};
pub use traits::{
    AudioDecoder, AudioEncoder, EncodedPicture, EncodedSound, VideoDecoder, VideoEncoder,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
