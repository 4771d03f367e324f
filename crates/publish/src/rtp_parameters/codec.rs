//! What each codec is on the wire: the one place that says so.

use std::fmt;

use paceline_framing::rtp::Codec as Payload;
use serde_json::{Value, json};

use super::{Level, MediaKind, Parameters, Profile, ProfileLevelId, RtcpFeedback};

/// A codec as it is sent to a router.
///
/// ```
/// use paceline_publish::rtp_parameters::Codec;
///
/// let codec = Codec::h264(1920, 1080, 30).expect("within H.264's levels");
/// assert_eq!(codec.mime_type(), "video/H264");
/// assert_eq!(
///     codec.fmtp(),
///     "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e028",
/// );
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// H.264, packetization-mode 1 (RFC 6184).
    H264(ProfileLevelId),
    /// Opus (RFC 7587).
    Opus(OpusOptions),
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9, profile 0 (RFC 9628).
    Vp9,
}

/// What an Opus stream has. The defaults are those of a browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpusOptions {
    dtx: bool,
    fec: bool,
    nack: bool,
    stereo: Option<bool>,
}

impl OpusOptions {
    /// Whether silence is left out (`usedtx`). Not by default.
    #[must_use]
    pub const fn dtx(mut self, dtx: bool) -> Self {
        self.dtx = dtx;
        self
    }

    /// Whether packets carry a copy of the one before (`useinbandfec`). They do by default.
    #[must_use]
    pub const fn fec(mut self, fec: bool) -> Self {
        self.fec = fec;
        self
    }

    /// Whether lost packets are asked for again. They are by default, as `mediasoup-client`
    /// has it.
    #[must_use]
    pub const fn nack(mut self, nack: bool) -> Self {
        self.nack = nack;
        self
    }

    /// Whether the sound is stereo (`sprop-stereo`). Not said by default.
    #[must_use]
    pub const fn stereo(mut self, stereo: bool) -> Self {
        self.stereo = Some(stereo);
        self
    }
}

impl Default for OpusOptions {
    fn default() -> Self {
        Self { dtx: false, fec: true, nack: true, stereo: None }
    }
}

impl Codec {
    /// H.264 of constrained baseline profile for pictures up to this size at this rate; none
    /// if no level is enough. The level is at least 3.1, as every browser announces: a stream
    /// may always do less.
    #[must_use]
    pub fn h264(width: u16, height: u16, frame_rate: u16) -> Option<Self> {
        let level = Level::of(width, height, frame_rate)?.max(Level::L3_1);
        Some(Self::H264(ProfileLevelId::new(Profile::ConstrainedBaseline, level)))
    }

    /// Opus with a browser's options.
    #[must_use]
    pub fn opus() -> Self {
        Self::Opus(OpusOptions::default())
    }

    /// Sound or pictures.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus(_) => MediaKind::Audio,
            Self::H264(_) | Self::Vp8 | Self::Vp9 => MediaKind::Video,
        }
    }

    /// In the spelling of browsers.
    #[must_use]
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::H264(_) => "video/H264",
            Self::Opus(_) => "audio/opus",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
        }
    }

    /// In Hz. Opus has 48,000 whatever it was made of (RFC 7587 §4.1).
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus(_) => 48_000,
            Self::H264(_) | Self::Vp8 | Self::Vp9 => 90_000,
        }
    }

    /// Of sound: Opus has always two (RFC 7587 §7).
    #[must_use]
    pub const fn channels(self) -> Option<u8> {
        match self {
            Self::Opus(_) => Some(2),
            Self::H264(_) | Self::Vp8 | Self::Vp9 => None,
        }
    }

    /// The payload format its frames get.
    #[must_use]
    pub const fn payload(self) -> Payload {
        match self {
            Self::H264(_) => Payload::H264,
            Self::Opus(_) => Payload::Opus,
            Self::Vp8 => Payload::Vp8,
            Self::Vp9 => Payload::Vp9,
        }
    }

    /// Its parameters, as a browser announces them.
    #[must_use]
    pub fn parameters(self) -> Parameters {
        let pairs: Vec<(&str, Value)> = match self {
            Self::H264(id) => vec![
                ("level-asymmetry-allowed", json!(1)),
                ("packetization-mode", json!(1)),
                ("profile-level-id", json!(id.to_string())),
            ],
            // A decoder is told the shortest packet to expect, 10 ms; libwebrtc says the same.
            Self::Opus(options) => {
                let mut pairs =
                    vec![("minptime", json!(10)), ("useinbandfec", json!(u8::from(options.fec)))];
                pairs.extend(options.dtx.then(|| ("usedtx", json!(1))));
                pairs
                    .extend(options.stereo.map(|stereo| ("sprop-stereo", json!(u8::from(stereo)))));
                pairs
            }
            Self::Vp8 => Vec::new(),
            Self::Vp9 => vec![("profile-id", json!(0))],
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Its parameters as one line of an SDP, without `a=fmtp` and payload type.
    #[must_use]
    pub fn fmtp(self) -> String {
        fmtp(&self.parameters())
    }

    /// The feedback it takes, in a browser's order. REMB is only announced: a router with
    /// transport-wide feedback, which any has for a `WebRtcTransport`, does not send it.
    #[must_use]
    pub fn rtcp_feedback(self) -> Vec<RtcpFeedback> {
        let list: &[(&str, &str)] = match self {
            Self::Opus(OpusOptions { nack: true, .. }) => &[("transport-cc", ""), ("nack", "")],
            Self::Opus(_) => &[("transport-cc", "")],
            Self::H264(_) | Self::Vp8 | Self::Vp9 => &[
                ("goog-remb", ""),
                ("transport-cc", ""),
                ("ccm", "fir"),
                ("nack", ""),
                ("nack", "pli"),
            ],
        };
        list.iter()
            .map(|&(kind, parameter)| RtcpFeedback {
                kind: kind.to_owned(),
                parameter: parameter.to_owned(),
            })
            .collect()
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mime_type, fmtp) = (self.mime_type(), self.fmtp());
        write!(
            f,
            "{mime_type} {}{}{fmtp}",
            self.clock_rate(),
            if fmtp.is_empty() { "" } else { " " }
        )
    }
}

/// Parameters as one line of an SDP.
pub(crate) fn fmtp(parameters: &Parameters) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    pairs.join(";")
}
