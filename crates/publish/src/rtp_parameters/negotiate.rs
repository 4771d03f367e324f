//! A stream of ours against a router's capabilities.
//!
//! The rules are those of `ortc.matchCodecs` in `mediasoup-client` (strict): media type,
//! clock and channels; for H.264 the packetization mode and the profile, with the level as
//! RFC 6184 §8.2.2 has it; for VP9 the profile. Retransmissions and extensions are used if
//! both sides have them.

use std::fmt;

use serde_json::{Value, json};

use super::{
    Codec, MediaKind, NegotiationError, ProfileLevelId, RtcpFeedback, RtcpParameters,
    RtpCapabilities, RtpCodecCapability, RtpCodecParameters, RtpEncodingParameters,
    RtpHeaderExtensionParameters, RtpParameters, RtxParameters,
};
use crate::protoo::printable;

/// The numbers and names of one stream of ours: what its packets bear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stream {
    payload_type: u8,
    ssrc: u32,
    cname: String,
    mid: Option<String>,
    msid: Option<String>,
    retransmission: Option<Retransmission>,
    extensions: Vec<(String, u16)>,
}

/// The retransmissions of a stream (RFC 4588).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retransmission {
    /// Their payload type.
    pub payload_type: u8,
    /// Their source.
    pub ssrc: u32,
}

impl Stream {
    /// A stream without retransmissions and extensions, in no media section.
    #[must_use]
    pub fn new(payload_type: u8, ssrc: u32, cname: impl Into<String>) -> Self {
        Self {
            payload_type,
            ssrc,
            cname: cname.into(),
            mid: None,
            msid: None,
            retransmission: None,
            extensions: Vec::new(),
        }
    }

    /// The media section it is in, if it is described by an SDP.
    #[must_use]
    pub fn mid(mut self, mid: impl Into<String>) -> Self {
        self.mid = Some(mid.into());
        self
    }

    /// Stream and track it belongs to, as an SDP's `a=msid` has it.
    #[must_use]
    pub fn msid(mut self, msid: impl Into<String>) -> Self {
        self.msid = Some(msid.into());
        self
    }

    /// Its retransmissions. Without, lost packets are sent again as they were.
    #[must_use]
    pub const fn retransmission(mut self, retransmission: Retransmission) -> Self {
        self.retransmission = Some(retransmission);
        self
    }

    /// An extension its packets can have, and its id.
    #[must_use]
    pub fn extension(mut self, uri: impl Into<String>, id: u16) -> Self {
        self.extensions.push((uri.into(), id));
        self
    }

    /// Its source.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }
}

/// What a router and a stream agreed on. Its `Display` is one line for a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Negotiated {
    codec: Codec,
    parameters: RtpParameters,
}

impl Negotiated {
    /// Sound or pictures.
    #[must_use]
    pub const fn kind(&self) -> MediaKind {
        self.codec.kind()
    }

    /// The codec; of H.264, with the level agreed on.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// What the router is told.
    #[must_use]
    pub const fn parameters(&self) -> &RtpParameters {
        &self.parameters
    }

    /// The id of an extension, if it is to be written.
    #[must_use]
    pub fn extension(&self, uri: &str) -> Option<u16> {
        let extensions = &self.parameters.header_extensions;
        extensions.iter().find(|extension| extension.uri == uri).map(|extension| extension.id)
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mime_type = self.codec.mime_type();
        for codec in &self.parameters.codecs {
            if codec.is_rtx() {
                write!(f, ", rtx {}", codec.payload_type)?;
            } else {
                write!(f, "{mime_type} {}", codec.payload_type)?;
                if let Codec::H264(id) = self.codec {
                    write!(f, " {id}")?;
                }
            }
            let encoding = self.parameters.encodings.first();
            let ssrc = encoding.and_then(|encoding| {
                if codec.is_rtx() { encoding.rtx.map(|rtx| rtx.ssrc) } else { Some(encoding.ssrc) }
            });
            if let Some(ssrc) = ssrc {
                write!(f, " ssrc {ssrc}")?;
            }
        }
        f.write_str(", extensions ")?;
        if self.parameters.header_extensions.is_empty() {
            f.write_str("none")?;
        }
        for (index, extension) in self.parameters.header_extensions.iter().enumerate() {
            let name = extension.uri.rsplit(['/', ':']).next().unwrap_or_default();
            write!(f, "{}{}={}", if index == 0 { "" } else { " " }, extension.id, name)?;
        }
        Ok(())
    }
}

/// What to tell a router of a stream of this codec.
///
/// # Errors
///
/// [`NegotiationError::Unsupported`] if the router takes no such codec; it lists those it does.
pub fn negotiate(
    codec: &Codec,
    stream: &Stream,
    router: &RtpCapabilities,
) -> Result<Negotiated, NegotiationError> {
    let media = || router.codecs.iter().filter(|theirs| !theirs.is_rtx());
    let Some((codec, theirs)) =
        media().find_map(|theirs| matched(*codec, theirs).map(|codec| (codec, theirs)))
    else {
        let router = media().take(MAX_LISTED).map(describe).collect();
        return Err(NegotiationError::Unsupported { wanted: codec.to_string(), router });
    };
    let rtx = stream.retransmission.filter(|_| {
        let apt = |rtx: &RtpCodecCapability| rtx.parameters.get("apt").and_then(Value::as_u64);
        let preferred = theirs.preferred_payload_type.map(u64::from);
        let of_it = |rtx: &&RtpCodecCapability| rtx.is_rtx() && apt(rtx) == preferred;
        preferred.is_some() && router.codecs.iter().any(|rtx| of_it(&rtx))
    });
    let mut codecs = vec![RtpCodecParameters {
        mime_type: codec.mime_type().to_owned(),
        payload_type: stream.payload_type,
        clock_rate: codec.clock_rate(),
        channels: codec.channels(),
        parameters: codec.parameters(),
        rtcp_feedback: common(codec.rtcp_feedback(), &theirs.rtcp_feedback),
    }];
    codecs.extend(rtx.map(|rtx| RtpCodecParameters {
        mime_type: format!("{}/rtx", codec.kind()),
        payload_type: rtx.payload_type,
        clock_rate: codec.clock_rate(),
        channels: None,
        parameters: [("apt".to_owned(), json!(stream.payload_type))].into_iter().collect(),
        rtcp_feedback: Vec::new(),
    }));
    let encoding = RtpEncodingParameters {
        ssrc: stream.ssrc,
        rtx: rtx.map(|rtx| RtxParameters { ssrc: rtx.ssrc }),
        dtx: false,
    };
    let parameters = RtpParameters {
        mid: stream.mid.clone(),
        codecs,
        header_extensions: extensions(codec.kind(), stream, router),
        encodings: vec![encoding],
        rtcp: RtcpParameters { cname: stream.cname.clone(), reduced_size: true },
        msid: stream.msid.clone(),
    };
    Ok(Negotiated { codec, parameters })
}

/// What is sent of `ours` to a router that has `theirs`, if they are the same codec.
fn matched(ours: Codec, theirs: &RtpCodecCapability) -> Option<Codec> {
    let channels = match ours.kind() {
        MediaKind::Audio => Some(theirs.channels.unwrap_or(1)),
        MediaKind::Video => None,
    };
    let same = theirs.mime_type.eq_ignore_ascii_case(ours.mime_type())
        && theirs.clock_rate == ours.clock_rate()
        && channels == ours.channels();
    match ours {
        _ if !same => None,
        Codec::H264(id) => {
            let router = match theirs.parameters.get("profile-level-id") {
                None => ProfileLevelId::DEFAULT,
                Some(value) => ProfileLevelId::parse(&text(value))?,
            };
            let asymmetry = number(theirs, "level-asymmetry-allowed") == Some(1);
            let mode = number(theirs, "packetization-mode").unwrap_or(0);
            id.answer(router, asymmetry).filter(|_| mode == 1).map(Codec::H264)
        }
        Codec::Vp9 => (number(theirs, "profile-id").unwrap_or(0) == 0).then_some(ours),
        Codec::Opus(_) | Codec::Vp8 => Some(ours),
    }
}

/// A parameter that is a number, or a string that says one.
fn number(codec: &RtpCodecCapability, name: &str) -> Option<i64> {
    let value = codec.parameters.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A parameter as text: `420010` may have come as a number.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn common(ours: Vec<RtcpFeedback>, theirs: &[RtcpFeedback]) -> Vec<RtcpFeedback> {
    ours.into_iter().filter(|feedback| theirs.contains(feedback)).collect()
}

/// Those of the stream's extensions that the router takes, in the router's order.
fn extensions(
    kind: MediaKind,
    stream: &Stream,
    router: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    let taken = router.header_extensions.iter().filter(|extension| {
        extension.kind.is_none_or(|theirs| theirs == kind) && extension.direction.receives()
    });
    let mut list: Vec<RtpHeaderExtensionParameters> = Vec::new();
    for theirs in taken {
        let ours = stream.extensions.iter().find(|(uri, _)| *uri == theirs.uri);
        if let Some((uri, id)) = ours
            && list.iter().all(|listed| listed.uri != *uri)
        {
            list.push(RtpHeaderExtensionParameters {
                uri: uri.clone(),
                id: *id,
                encrypt: false,
                parameters: super::Parameters::new(),
            });
        }
    }
    list
}

/// A codec of the router's, for an error.
fn describe(codec: &RtpCodecCapability) -> String {
    let channels = codec.channels.map(|channels| format!("/{channels}")).unwrap_or_default();
    let parameters = super::codec::fmtp(&codec.parameters);
    let gap = if parameters.is_empty() { "" } else { " " };
    printable(&format!("{} {}{channels}{gap}{parameters}", codec.mime_type, codec.clock_rate))
}

/// Enough to see what a router has: mediasoup knows 25 codecs.
const MAX_LISTED: usize = 32;
