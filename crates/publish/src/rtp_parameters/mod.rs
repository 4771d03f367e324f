//! What mediasoup is told of a stream: RTP parameters, negotiated with a router.
//!
//! A router announces [`RtpCapabilities`]; a sender answers with [`RtpParameters`] of each
//! stream. What a [`Codec`] is on the wire (its parameters, its feedback) is written in this
//! module and nowhere else; the numbers (payload types, SSRCs, ids of extensions) are the
//! sender's own, a [`Stream`], mostly read from the offer of its engine. [`negotiate`] makes
//! the one from the other, by the rules and to the letter of `mediasoup-client`.
//!
//! ```
//! use paceline_publish::rtp_parameters::{Codec, RtpCapabilities, Stream, negotiate};
//!
//! let router: RtpCapabilities = serde_json::from_str(
//!     r#"{ "codecs": [{ "kind": "audio", "mimeType": "audio/opus", "clockRate": 48000,
//!          "channels": 2, "preferredPayloadType": 100 }] }"#,
//! )?;
//! let stream = Stream::new(111, 0x1234_5678, "ada");
//! let negotiated = negotiate(&Codec::opus(), &stream, &router)?;
//! assert_eq!(negotiated.to_string(), "audio/opus 111 ssrc 305419896, extensions none");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
mod error;
pub mod extension;
mod h264;
mod model;
mod negotiate;

pub(crate) use self::codec::fmtp;
pub use self::codec::{Codec, OpusOptions};
pub use self::error::NegotiationError;
pub use self::h264::{Level, Profile, ProfileLevelId};
pub use self::model::{
    Direction, MediaKind, Parameters, RtcpFeedback, RtcpParameters, RtpCapabilities,
    RtpCodecCapability, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtension,
    RtpHeaderExtensionParameters, RtpParameters, RtxParameters,
};
pub use self::negotiate::{Negotiated, Retransmission, Stream, negotiate};
