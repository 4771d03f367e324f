//! The nouns of media transport.
//!
//! What two unrelated crates of paceline both need, and nothing else: who
//! ([`PeerId`], [`SenderId`]), which stream ([`StreamId`], [`StreamKey`],
//! [`SeqNo`]), when ([`MediaTime`], [`NtpTime`], [`WallClock`]), under whose
//! authority ([`Epoch`]), how much ([`Bitrate`]) and what ([`EncodedFrame`],
//! [`VideoFrame`], [`AudioFrame`]).
//!
//! Nothing here reads a clock or draws a random number.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use paceline_types::{Frequency, MediaTime, SeqExtender, SeqNo};
//!
//! // Sixteen bits on the wire, sixty-four in memory.
//! let mut extender = SeqExtender::new();
//! assert_eq!(extender.extend_u16(65_535), SeqNo::new(65_535));
//! assert_eq!(extender.extend_u16(0), SeqNo::new(65_536));
//!
//! // 20 ms of sound are 960 ticks of its clock.
//! let start = MediaTime::new(0, Frequency::AUDIO);
//! let next = start + Duration::from_millis(20);
//! assert_eq!(next.ticks(), 960);
//! assert_eq!(next.saturating_since(start), Duration::from_millis(20));
//! ```

mod connection;
mod device;
mod epoch;
mod frame;
mod id;
mod mix;
mod pool;
mod rate;
mod seq;
mod size;
mod time;

pub use connection::{
    Carrier, ConnectionEvent, ConnectionOp, ConnectionState, EncoderTarget, PacketKind, Signal,
};
pub use device::{Content, Device, DeviceKind};
pub use epoch::Epoch;
pub use frame::{
    AudioCodec, AudioFrame, CELL_BYTES, Coding, EncodedFrame, FrameError, GLYPHS, PictureFormat,
    PixelFormat, VideoCodec, VideoFrame,
};
pub use id::{ParsePeerIdError, PeerId, SenderId, Ssrc, StreamId, StreamKey};
pub use mix::{MixInfo, MixSource, Rect};
pub use pool::Pool;
pub use rate::PlayoutRate;
pub use seq::{SeqExtender, SeqNo};
pub use size::Bitrate;
pub use time::{Frequency, MediaTime, NtpTime, WallClock};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
