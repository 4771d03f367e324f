//! What has to be read from an engine's offer.

use std::fmt;

use super::SdpError;
use super::remote::{ice_char, is_sha256};
use crate::rtp_parameters::{
    Codec, Direction, MediaKind, Negotiated, NegotiationError, ProfileLevelId, Retransmission,
    RtpCapabilities, Stream, negotiate,
};

/// An engine's offer: one transport (BUNDLE), and what is sent over it.
///
/// ```
/// use paceline_publish::rtp_parameters::MediaKind;
/// use paceline_publish::sdp::{Offer, SdpError};
///
/// let fingerprint = vec!["AB"; 32].join(":");
/// let offer = Offer::parse(&format!(
///     "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
///      a=fingerprint:sha-256 {fingerprint}\r\na=group:BUNDLE 0\r\n\
///      m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=setup:actpass\r\na=sendonly\r\n\
///      a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\n\
///      a=rtpmap:111 opus/48000/2\r\na=ssrc:7 cname:ada\r\n",
/// ))?;
/// assert_eq!(offer.sections()[0].kind(), Some(MediaKind::Audio));
/// # Ok::<(), SdpError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    pub(super) ufrag: String,
    pub(super) fingerprint: String,
    pub(super) setup: Setup,
    pub(super) allows_mixed: bool,
    pub(super) sections: Vec<OfferSection>,
}

/// Who opens the DTLS connection (RFC 8842 §5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Setup {
    /// The offerer.
    Active,
    /// Either.
    ActPass,
    /// The answerer.
    Passive,
}

/// One media section of an offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfferSection {
    /// None for a data channel.
    pub(super) kind: Option<MediaKind>,
    pub(super) protocol: String,
    pub(super) formats: Vec<String>,
    pub(super) mid: String,
    direction: Direction,
    codecs: Vec<OfferCodec>,
    extensions: Vec<(String, u16)>,
    sources: Vec<u32>,
    /// A source, and that of its retransmissions.
    retransmissions: Vec<(u32, u32)>,
    cname: Option<String>,
    msid: Option<String>,
}

/// A codec of a section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfferCodec {
    /// As on packets.
    pub payload_type: u8,
    /// As after the slash of a media type.
    pub name: String,
    /// In Hz.
    pub clock_rate: u32,
    /// Of sound.
    pub channels: Option<u8>,
    /// Parameters, name and value.
    pub parameters: Vec<(String, String)>,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    ///
    /// If it is too long, has no ICE credentials, no fingerprint of SHA-256 or no setup role, or
    /// an attribute that cannot be read. Attributes that are not needed are not looked at.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_SDP {
            return Err(SdpError::TooLarge { len: text.len(), limit: MAX_SDP });
        }
        let mut reading = Reading::default();
        for line in text.lines() {
            match line.split_at_checked(2) {
                Some(("m=", media)) => reading.begin(media)?,
                Some(("a=", attribute)) => {
                    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                    reading.attribute(name, value)?;
                }
                _ => {}
            }
        }
        reading.end()
    }

    /// Its media sections, in order.
    #[must_use]
    pub fn sections(&self) -> &[OfferSection] {
        &self.sections
    }

    /// The ICE user name: another one in each ICE restart.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The SHA-256 of the engine's certificate, as `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What is sent of each codec to this router: the numbers are those of the first section
    /// that has the codec and a source, and is not another's.
    ///
    /// # Errors
    ///
    /// If the offer has no such section, or the router does not take the codec.
    pub fn negotiate(
        &self,
        codecs: &[Codec],
        router: &RtpCapabilities,
    ) -> Result<Vec<Negotiated>, NegotiationError> {
        let mut taken: Vec<&str> = Vec::new();
        let mut all = Vec::new();
        for codec in codecs {
            let of_kind = self.sections.iter().filter(|section| section.kind == Some(codec.kind()));
            let mut free = of_kind.filter(|section| !taken.contains(&section.mid()));
            let found = free.find_map(|section| Some((section.mid(), section.stream(*codec)?)));
            let (mid, stream) = found.ok_or(NegotiationError::NotOffered {
                kind: codec.kind(),
                missing: "a section with the codec and a source",
            })?;
            all.push(negotiate(codec, &stream, router)?);
            taken.push(mid);
        }
        Ok(all)
    }
}

impl OfferSection {
    /// Sound, pictures, or a data channel.
    #[must_use]
    pub const fn kind(&self) -> Option<MediaKind> {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn mid(&self) -> &str {
        &self.mid
    }

    /// Its codecs, the preferred first.
    #[must_use]
    pub fn codecs(&self) -> &[OfferCodec] {
        &self.codecs
    }

    /// The numbers of what it sends, if it has this codec and a source.
    fn stream(&self, codec: Codec) -> Option<Stream> {
        let sends = matches!(self.direction, Direction::SendOnly | Direction::SendRecv);
        let ours = self.codecs.iter().find(|offered| sends && offered.is(codec))?;
        let is_rtx = |ssrc: &u32| self.retransmissions.iter().any(|(_, rtx)| rtx == ssrc);
        let ssrc = *self.sources.iter().find(|ssrc| !is_rtx(ssrc))?;
        let mut stream =
            Stream::new(ours.payload_type, ssrc, self.cname.clone().unwrap_or_default())
                .mid(self.mid.clone());
        if let Some(msid) = &self.msid {
            stream = stream.msid(msid.clone());
        }
        let apt = ours.payload_type.to_string();
        let rtx = self.codecs.iter().find(|offered| {
            offered.name.eq_ignore_ascii_case("rtx") && offered.parameter("apt") == Some(&apt)
        });
        let rtx_ssrc = self.retransmissions.iter().find(|(of, _)| *of == ssrc);
        if let (Some(rtx), Some(&(_, ssrc))) = (rtx, rtx_ssrc) {
            let payload_type = rtx.payload_type;
            stream = stream.retransmission(Retransmission { payload_type, ssrc });
        }
        for (uri, id) in &self.extensions {
            stream = stream.extension(uri.clone(), *id);
        }
        Some(stream)
    }
}

impl OfferCodec {
    fn parameter(&self, name: &str) -> Option<&String> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether it is this codec, as far as packets tell: of H.264, profile and packetization.
    fn is(&self, codec: Codec) -> bool {
        let name = codec.mime_type().rsplit('/').next().unwrap_or_default();
        let says = |parameter: &str, default: &str, wanted: &str| {
            self.parameter(parameter).map_or(default, String::as_str) == wanted
        };
        self.name.eq_ignore_ascii_case(name)
            && self.clock_rate == codec.clock_rate()
            && self.channels == codec.channels()
            && match codec {
                Codec::H264(id) => {
                    let offered = match self.parameter("profile-level-id") {
                        None => Some(ProfileLevelId::DEFAULT),
                        Some(text) => ProfileLevelId::parse(text),
                    };
                    says("packetization-mode", "0", "1")
                        && offered.is_some_and(|offered| offered.profile() == id.profile())
                }
                Codec::Vp9 => says("profile-id", "0", "0"),
                Codec::Opus(_) | Codec::Vp8 => true,
            }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::ActPass => "actpass",
            Self::Passive => "passive",
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    ufrag: Option<String>,
    has_password: bool,
    fingerprint: Option<String>,
    setup: Option<Setup>,
    allows_mixed: bool,
    sections: Vec<OfferSection>,
}

impl Reading {
    fn begin(&mut self, media: &str) -> Result<(), SdpError> {
        if self.sections.len() == MAX_SECTIONS {
            return Err(SdpError::TooMany { field: "m", limit: MAX_SECTIONS });
        }
        let mut words = media.split_ascii_whitespace();
        let (kind, _port, protocol) = (words.next(), words.next(), words.next());
        let kind = match kind.ok_or(SdpError::missing("m"))? {
            "audio" => Some(MediaKind::Audio),
            "video" => Some(MediaKind::Video),
            "application" => None,
            _ => return Err(SdpError::odd("m")),
        };
        let formats: Vec<_> = words.map(str::to_owned).collect();
        let protocol = protocol.ok_or(SdpError::missing("m"))?.to_owned();
        let is_token = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-';
        if !protocol.chars().chain(formats.iter().flat_map(|format| format.chars())).all(is_token) {
            return Err(SdpError::odd("m"));
        }
        self.sections.push(OfferSection {
            kind,
            protocol,
            formats,
            mid: String::new(),
            direction: Direction::SendRecv,
            codecs: Vec::new(),
            extensions: Vec::new(),
            sources: Vec::new(),
            retransmissions: Vec::new(),
            cname: None,
            msid: None,
        });
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), SdpError> {
        match name {
            "extmap-allow-mixed" => self.allows_mixed = true,
            "fingerprint" => {
                let (algorithm, value) = value.split_once(' ').unwrap_or_default();
                if algorithm.eq_ignore_ascii_case("sha-256") {
                    let value = Some(value.trim()).filter(|value| is_sha256(value));
                    let value = value.ok_or(SdpError::odd("fingerprint"))?.to_ascii_uppercase();
                    self.fingerprint = Some(value);
                }
            }
            "ice-pwd" => self.has_password = true,
            "ice-ufrag" if !value.is_empty() && value.chars().all(ice_char) => {
                self.ufrag = Some(value.to_owned());
            }
            "ice-ufrag" => return Err(SdpError::odd("ice-ufrag")),
            "setup" => {
                self.setup = Some(match value {
                    "active" => Setup::Active,
                    "actpass" => Setup::ActPass,
                    "passive" => Setup::Passive,
                    _ => return Err(SdpError::odd("setup")),
                });
            }
            _ => {
                if let Some(section) = self.sections.last_mut() {
                    section.attribute(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Offer, SdpError> {
        if !self.has_password {
            return Err(SdpError::missing("ice-pwd"));
        }
        let mut mids: Vec<_> = self.sections.iter().map(|section| section.mid.as_str()).collect();
        mids.sort_unstable();
        if mids.first().is_some_and(|mid| mid.is_empty()) {
            return Err(SdpError::missing("mid"));
        }
        if mids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(SdpError::odd("mid"));
        }
        Ok(Offer {
            ufrag: self.ufrag.ok_or(SdpError::missing("ice-ufrag"))?,
            fingerprint: self.fingerprint.ok_or(SdpError::missing("fingerprint"))?,
            setup: self.setup.ok_or(SdpError::missing("setup"))?,
            allows_mixed: self.allows_mixed,
            sections: self.sections,
        })
    }
}

impl OfferSection {
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), SdpError> {
        match name {
            "mid" => {
                let fits = value.len() <= MAX_MID && value.chars().all(mid_char);
                self.mid = Some(value).filter(|_| fits).ok_or(SdpError::odd("mid"))?.to_owned();
            }
            "inactive" => self.direction = Direction::Inactive,
            "recvonly" => self.direction = Direction::RecvOnly,
            "sendonly" => self.direction = Direction::SendOnly,
            "sendrecv" => self.direction = Direction::SendRecv,
            "msid" => self.msid = Some(value.to_owned()),
            "rtpmap" => self.codecs.push(rtpmap(value).ok_or(SdpError::odd("rtpmap"))?),
            "fmtp" => {
                let (payload_type, config) = value.split_once(' ').unwrap_or((value, ""));
                let payload_type: u8 = payload_type.parse().map_err(|_| SdpError::odd("fmtp"))?;
                let of_it = |codec: &&mut OfferCodec| codec.payload_type == payload_type;
                if let Some(codec) = self.codecs.iter_mut().find(of_it) {
                    codec.parameters = parameters(config);
                }
            }
            "extmap" => {
                let (id, uri) = value.split_once(' ').ok_or(SdpError::odd("extmap"))?;
                let id = id.split('/').next().and_then(|id| id.parse().ok());
                let uri = uri.split(' ').next().unwrap_or_default();
                // The answer repeats it.
                let id = id.filter(|_| uri.bytes().all(|byte| byte.is_ascii_graphic()));
                self.extensions.push((uri.to_owned(), id.ok_or(SdpError::odd("extmap"))?));
            }
            "ssrc" => {
                let (ssrc, rest) = value.split_once(' ').unwrap_or((value, ""));
                let ssrc = ssrc.parse().map_err(|_| SdpError::odd("ssrc"))?;
                if !self.sources.contains(&ssrc) {
                    self.sources.push(ssrc);
                }
                if let (None, Some(cname)) = (&self.cname, rest.strip_prefix("cname:")) {
                    self.cname = Some(cname.to_owned());
                }
            }
            "ssrc-group" => {
                if let Some(pair) = value.strip_prefix("FID ") {
                    let (ssrc, rtx) = pair.split_once(' ').ok_or(SdpError::odd("ssrc-group"))?;
                    let pair = ssrc.parse().ok().zip(rtx.parse().ok());
                    self.retransmissions.push(pair.ok_or(SdpError::odd("ssrc-group"))?);
                }
            }
            _ => {}
        }
        if self.codecs.len() + self.extensions.len() + self.sources.len() > MAX_ENTRIES {
            return Err(SdpError::TooMany { field: "m", limit: MAX_ENTRIES });
        }
        Ok(())
    }
}

/// `111 opus/48000/2`
fn rtpmap(value: &str) -> Option<OfferCodec> {
    let (payload_type, codec) = value.split_once(' ')?;
    let mut parts = codec.split('/');
    let (name, clock_rate, channels) = (parts.next()?, parts.next()?, parts.next());
    Some(OfferCodec {
        payload_type: payload_type.parse().ok().filter(|payload_type| *payload_type < 128)?,
        name: name.to_owned(),
        clock_rate: clock_rate.trim().parse().ok()?,
        channels: channels.map(|channels| channels.trim().parse()).transpose().ok()?,
        parameters: Vec::new(),
    })
}

/// `apt=96;x=y`
fn parameters(config: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    config.split(';').filter_map(pair).collect()
}

/// RFC 8866 §9, `token`: those of its characters that any engine uses.
fn mid_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.'
}

/// The longest SDP to read or to make, in bytes: the bound of our own signalling.
pub const MAX_SDP: usize = 32 << 10;
/// Two streams are sent; an engine of a call has four, and a data channel.
const MAX_SECTIONS: usize = 32;
/// Codecs, extensions and sources of a section: Chromium's offers have about 70.
const MAX_ENTRIES: usize = 512;
/// Chromium and the engine number them; RFC 8843 §15.2 wants them short.
const MAX_MID: usize = 32;
