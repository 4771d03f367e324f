//! The JSON of mediasoup, typed: capabilities in, parameters out.
//!
//! Names and meaning: mediasoup's documentation, "RTP Parameters and Capabilities". Fields
//! that are not known here are ignored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Sound or pictures.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// As it is in JSON and in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parameters of a codec or an extension: numbers and strings by name.
pub type Parameters = Map<String, Value>;

/// What a router takes and gives.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpCapabilities {
    /// Its codecs, the preferred first; RTX is among them.
    pub codecs: Vec<RtpCodecCapability>,
    /// Its header extensions, one entry a kind.
    pub header_extensions: Vec<RtpHeaderExtension>,
}

/// A codec a router knows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecCapability {
    /// Such as `video/H264`; upper and lower case are alike.
    pub mime_type: String,
    /// The payload type a receiver of it sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_payload_type: Option<u8>,
    /// In Hz.
    pub clock_rate: u32,
    /// Of sound; one if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// As in an SDP's `a=fmtp`.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: Parameters,
    /// As in an SDP's `a=rtcp-fb`.
    #[serde(default, deserialize_with = "or_default")]
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

/// A header extension a router knows (RFC 8285).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpHeaderExtension {
    /// Of sound or of pictures; of both if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    /// Which.
    pub uri: String,
    /// The id a receiver of it sees.
    pub preferred_id: u16,
    /// Which way it may go, as the router sees it.
    #[serde(default)]
    pub direction: Direction,
}

/// Which way media or an extension goes, as the one sees it who says so.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Direction {
    /// Neither.
    Inactive,
    /// To me.
    RecvOnly,
    /// From me.
    SendOnly,
    /// Both.
    #[default]
    SendRecv,
}

impl Direction {
    /// Whether the one who says so takes it.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::RecvOnly | Self::SendRecv)
    }
}

/// A kind of feedback (RFC 4585 §4.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RtcpFeedback {
    /// Such as `nack`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `pli`; empty for none.
    #[serde(default, deserialize_with = "or_default")]
    pub parameter: String,
}

/// How one producer sends.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpParameters {
    /// The media section it is in, of a `WebRtcTransport` (RFC 8843).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// Its codec, and RTX if there is any.
    pub codecs: Vec<RtpCodecParameters>,
    /// The extensions on its packets.
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// Its streams: one here.
    pub encodings: Vec<RtpEncodingParameters>,
    /// How it does RTCP.
    pub rtcp: RtcpParameters,
    /// Stream and track it belongs to, of an SDP's `a=msid` (RFC 8830).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msid: Option<String>,
}

/// A codec, under the sender's payload type.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecParameters {
    /// Such as `video/H264`.
    pub mime_type: String,
    /// The sender's.
    pub payload_type: u8,
    /// In Hz.
    pub clock_rate: u32,
    /// Of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// As in an SDP's `a=fmtp`.
    #[serde(default)]
    pub parameters: Parameters,
    /// As in an SDP's `a=rtcp-fb`.
    #[serde(default)]
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

impl RtpCodecParameters {
    /// Whether it is the retransmission of another (RFC 4588).
    #[must_use]
    pub fn is_rtx(&self) -> bool {
        is_rtx(&self.mime_type)
    }
}

impl RtpCodecCapability {
    /// Whether it is the retransmission of another (RFC 4588).
    #[must_use]
    pub fn is_rtx(&self) -> bool {
        is_rtx(&self.mime_type)
    }
}

/// A header extension, under the sender's id.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RtpHeaderExtensionParameters {
    /// Which.
    pub uri: String,
    /// The sender's.
    pub id: u16,
    /// RFC 6904; mediasoup knows none of it.
    #[serde(default)]
    pub encrypt: bool,
    /// Of the extension.
    #[serde(default)]
    pub parameters: Parameters,
}

/// One stream of a producer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpEncodingParameters {
    /// Its source.
    pub ssrc: u32,
    /// The source of its retransmissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtx: Option<RtxParameters>,
    /// Whether silence is left out, so that mediasoup does not take it for a broken stream.
    #[serde(default)]
    pub dtx: bool,
}

/// Where retransmissions are (RFC 4588).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RtxParameters {
    /// Their source.
    pub ssrc: u32,
}

/// How a producer does RTCP.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtcpParameters {
    /// Its canonical name (RFC 3550 §6.5.1).
    pub cname: String,
    /// Whether reduced-size RTCP may be sent (RFC 5506).
    pub reduced_size: bool,
}

fn is_rtx(mime_type: &str) -> bool {
    mime_type.split_once('/').is_some_and(|(_, name)| name.eq_ignore_ascii_case("rtx"))
}

/// What JavaScript leaves out as `null` is as good as not there.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
