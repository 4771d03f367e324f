//! The answer a server would give if it spoke SDP.

use std::fmt::Write;

use super::offer::{MAX_SDP, Offer, OfferSection, Setup};
use super::{RemoteTransport, SdpError};
use crate::rtp_parameters::extension::{ABS_SEND_TIME, TRANSPORT_CC};
use crate::rtp_parameters::{Negotiated, RtpParameters};

/// Who opens the DTLS connection: the client does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DtlsRole {
    /// Opens it.
    Client,
    /// Waits.
    Server,
}

impl DtlsRole {
    /// As mediasoup has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// An answer for an engine, and what the server has to be told for it to be true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    sdp: String,
    role: DtlsRole,
}

impl Answer {
    /// The server's answer to an offer: its transport takes the sections of `accepted` and
    /// nothing else. It only receives; RTCP is multiplexed and may be reduced in size;
    /// everything goes over one transport, whose candidates are in the first section taken.
    ///
    /// `version` is to count up with each answer to the same engine (RFC 9429 §5.3.1).
    ///
    /// # Errors
    ///
    /// If the DTLS roles contradict each other, a section is not in the offer, or the answer
    /// would be too long.
    pub fn new(
        offer: &Offer,
        remote: &RemoteTransport,
        accepted: &[Negotiated],
        version: u64,
    ) -> Result<Self, SdpError> {
        let role = role(offer, remote)?;
        let mids: Vec<_> = accepted
            .iter()
            .filter_map(|negotiated| negotiated.parameters().mid.as_deref())
            .collect();
        for negotiated in accepted {
            let mid = negotiated.parameters().mid.as_deref();
            if !offer.sections.iter().any(|section| Some(section.mid.as_str()) == mid) {
                return Err(SdpError::NoSection(negotiated.kind()));
            }
        }
        let mut lines = Lines::default();
        lines.line(format_args!("v=0"));
        lines.line(format_args!("o=- 1 {version} IN IP4 0.0.0.0"));
        lines.line(format_args!("s=-"));
        lines.line(format_args!("t=0 0"));
        if remote.ice.lite {
            lines.line(format_args!("a=ice-lite"));
        }
        let bundled = offer.sections.iter().map(|section| section.mid.as_str());
        let bundled: Vec<_> = bundled.filter(|mid| mids.contains(mid)).collect();
        if !bundled.is_empty() {
            lines.line(format_args!("a=group:BUNDLE {}", bundled.join(" ")));
        }
        if offer.allows_mixed {
            lines.line(format_args!("a=extmap-allow-mixed"));
        }
        let mut first = true;
        for section in &offer.sections {
            let parameters = accepted
                .iter()
                .map(Negotiated::parameters)
                .find(|parameters| parameters.mid.as_deref() == Some(&section.mid));
            match parameters {
                Some(parameters) => {
                    lines.accepted(section, parameters, remote, role, first);
                    first = false;
                }
                None => lines.rejected(section),
            }
        }
        let sdp = lines.0;
        if sdp.len() > MAX_SDP {
            return Err(SdpError::TooLarge { len: sdp.len(), limit: MAX_SDP });
        }
        Ok(Self { sdp, role })
    }

    /// As text, for the engine.
    #[must_use]
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// The engine's part in DTLS, for the server.
    #[must_use]
    pub const fn local_role(&self) -> DtlsRole {
        self.role
    }
}

/// The engine's role: client if nobody minds, as then its first flight goes out as soon as
/// ICE has a path. `mediasoup-client` chooses the same.
fn role(offer: &Offer, remote: &RemoteTransport) -> Result<DtlsRole, SdpError> {
    match (offer.setup, remote.role) {
        (Setup::ActPass | Setup::Active, None | Some(DtlsRole::Server)) => Ok(DtlsRole::Client),
        (Setup::ActPass | Setup::Passive, Some(DtlsRole::Client)) | (Setup::Passive, None) => {
            Ok(DtlsRole::Server)
        }
        (Setup::Active, Some(DtlsRole::Client)) | (Setup::Passive, Some(DtlsRole::Server)) => {
            Err(SdpError::Field {
                field: "dtlsParameters.role",
                reason: "is that of the engine too",
            })
        }
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(line);
        self.0.push_str("\r\n");
    }

    fn accepted(
        &mut self,
        section: &OfferSection,
        parameters: &RtpParameters,
        remote: &RemoteTransport,
        role: DtlsRole,
        first: bool,
    ) {
        let types: Vec<_> =
            parameters.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        let kind = section.kind.map_or("application", |kind| kind.name());
        self.line(format_args!("m={kind} 9 {} {}", section.protocol, types.join(" ")));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=mid:{}", section.mid));
        self.line(format_args!("a=ice-ufrag:{}", remote.ice.ufrag));
        self.line(format_args!("a=ice-pwd:{}", remote.ice.password));
        self.line(format_args!("a=fingerprint:sha-256 {}", remote.fingerprint));
        let setup = match role {
            DtlsRole::Client => Setup::Passive,
            DtlsRole::Server => Setup::Active,
        };
        self.line(format_args!("a=setup:{setup}"));
        self.line(format_args!("a=recvonly"));
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=rtcp-rsize"));
        self.codecs(parameters);
        for extension in &parameters.header_extensions {
            self.line(format_args!("a=extmap:{} {}", extension.id, extension.uri));
        }
        // RFC 8843 §7.1.3: what belongs to the transport stands once, with the first of a group.
        if first {
            for candidate in &remote.candidates {
                self.line(format_args!("a=candidate:{candidate}"));
            }
            self.line(format_args!("a=end-of-candidates"));
        }
    }

    fn codecs(&mut self, parameters: &RtpParameters) {
        // mediasoup answers with either transport-wide feedback or REMB, never with both.
        let has = |uri: &str| parameters.header_extensions.iter().any(|known| known.uri == uri);
        let unused: &[&str] = match (has(TRANSPORT_CC), has(ABS_SEND_TIME)) {
            (true, _) => &["goog-remb"],
            (false, true) => &["transport-cc"],
            (false, false) => &["goog-remb", "transport-cc"],
        };
        for codec in &parameters.codecs {
            let payload_type = codec.payload_type;
            let name = codec.mime_type.rsplit('/').next().unwrap_or_default();
            let channels = codec.channels.filter(|channels| *channels > 1);
            let channels = channels.map(|channels| format!("/{channels}")).unwrap_or_default();
            self.line(format_args!(
                "a=rtpmap:{payload_type} {name}/{}{channels}",
                codec.clock_rate
            ));
            let fmtp = crate::rtp_parameters::fmtp(&codec.parameters);
            if !fmtp.is_empty() {
                self.line(format_args!("a=fmtp:{payload_type} {fmtp}"));
            }
            for feedback in &codec.rtcp_feedback {
                if !unused.contains(&feedback.kind.as_str()) {
                    let gap = if feedback.parameter.is_empty() { "" } else { " " };
                    let (kind, parameter) = (&feedback.kind, &feedback.parameter);
                    self.line(format_args!("a=rtcp-fb:{payload_type} {kind}{gap}{parameter}"));
                }
            }
        }
    }

    /// RFC 9429 §5.3.1: port zero.
    fn rejected(&mut self, section: &OfferSection) {
        let kind = section.kind.map_or("application", |kind| kind.name());
        let formats = section.formats.join(" ");
        self.line(format_args!("m={kind} 0 {} {formats}", section.protocol));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=mid:{}", section.mid));
        self.line(format_args!("a=inactive"));
    }
}
