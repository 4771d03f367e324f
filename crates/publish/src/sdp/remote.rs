//! The server's end of a transport, as mediasoup describes it.

use std::fmt;
use std::net::IpAddr;

use serde_json::Value;

use super::SdpError;
use super::answer::DtlsRole;

/// A server's `WebRtcTransport`: the answer to `createWebRtcTransport`, every value checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteTransport {
    pub(super) ice: IceParameters,
    pub(super) candidates: Vec<IceCandidate>,
    /// The SHA-256 of its certificate, as `AB:CD:…`.
    pub(super) fingerprint: String,
    /// None if it takes either.
    pub(super) role: Option<DtlsRole>,
}

/// The ICE credentials of a server's transport.
#[derive(Clone, Eq, PartialEq)]
pub struct IceParameters {
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) lite: bool,
}

impl fmt::Debug for IceParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceParameters")
            .field("ufrag", &self.ufrag)
            .field("lite", &self.lite)
            .finish_non_exhaustive()
    }
}

/// Where a server's transport can be reached (RFC 8839 §5.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IceCandidate {
    pub(super) foundation: String,
    pub(super) priority: u32,
    pub(super) address: CandidateAddress,
    pub(super) port: u16,
    pub(super) tcp: bool,
    /// One of `host`, `srflx`, `prflx`, `relay`.
    pub(super) kind: &'static str,
    /// One of `active`, `passive`, `so`; of TCP only.
    pub(super) tcp_type: Option<&'static str>,
}

/// An address, or a name for one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CandidateAddress {
    /// An address.
    Ip(IpAddr),
    /// A name: letters, digits, dots and hyphens. mediasoup gives one if it is told to
    /// announce one.
    Name(String),
}

impl CandidateAddress {
    /// Whether one host can be behind it. A server that listens on `0.0.0.0` and was not told
    /// what to announce says just that; checks to there would go to this very machine.
    pub(crate) fn is_one(&self) -> bool {
        match self {
            Self::Ip(ip) => {
                let ip = ip.to_canonical();
                !ip.is_unspecified() && !ip.is_multicast()
            }
            Self::Name(_) => true,
        }
    }
}

impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl RemoteTransport {
    /// Reads `iceParameters`, `iceCandidates` and `dtlsParameters` of an object.
    ///
    /// # Errors
    ///
    /// If one of them is missing, or has a value that none can have: the field is named. A
    /// candidate at an address of no host, as `0.0.0.0`, is left out;
    /// [`SdpError::NoAddress`] if there is no other.
    pub fn parse(data: &Value) -> Result<Self, SdpError> {
        let ice = data.get("iceParameters").ok_or(SdpError::missing("iceParameters"))?;
        let ice = IceParameters::parse(ice)?;
        let list = data.get("iceCandidates").and_then(Value::as_array);
        let list = list.ok_or(SdpError::missing("iceCandidates"))?;
        if list.len() > MAX_CANDIDATES {
            return Err(SdpError::TooMany { field: "iceCandidates", limit: MAX_CANDIDATES });
        }
        let candidates = list.iter().map(IceCandidate::parse).collect::<Result<Vec<_>, _>>()?;
        let candidates: Vec<_> = candidates.into_iter().filter(|it| it.address.is_one()).collect();
        if candidates.is_empty() && !list.is_empty() {
            return Err(SdpError::NoAddress);
        }
        let dtls = data.get("dtlsParameters").ok_or(SdpError::missing("dtlsParameters"))?;
        let role = match dtls.get("role").map(Value::as_str) {
            None | Some(Some("auto")) => None,
            Some(Some("client")) => Some(DtlsRole::Client),
            Some(Some("server")) => Some(DtlsRole::Server),
            Some(_) => return Err(SdpError::odd("dtlsParameters.role")),
        };
        Ok(Self { ice, candidates, fingerprint: fingerprint(dtls)?, role })
    }

    /// The same transport with other ICE credentials: after an ICE restart.
    #[must_use]
    pub fn with_ice(self, ice: IceParameters) -> Self {
        Self { ice, ..self }
    }

    /// Where it can be reached.
    #[must_use]
    pub fn candidates(&self) -> &[IceCandidate] {
        &self.candidates
    }
}

impl IceParameters {
    /// Reads `usernameFragment`, `password` and `iceLite` of an object.
    ///
    /// # Errors
    ///
    /// If one of the first two is missing, or not of ICE's characters (RFC 8839 §5.4).
    pub fn parse(data: &Value) -> Result<Self, SdpError> {
        let take = |name: &str, field, least| {
            let text = data.get(name).and_then(Value::as_str).ok_or(SdpError::missing(field))?;
            let fits = (least..=MAX_ICE_TEXT).contains(&text.len()) && text.chars().all(ice_char);
            if fits { Ok(text.to_owned()) } else { Err(SdpError::odd(field)) }
        };
        let lite = match data.get("iceLite") {
            None | Some(Value::Null) => false,
            Some(lite) => lite.as_bool().ok_or(SdpError::missing("iceParameters.iceLite"))?,
        };
        Ok(Self {
            ufrag: take("usernameFragment", "iceParameters.usernameFragment", MIN_UFRAG)?,
            password: take("password", "iceParameters.password", MIN_PASSWORD)?,
            lite,
        })
    }
}

impl IceCandidate {
    fn parse(data: &Value) -> Result<Self, SdpError> {
        let text =
            |name, field| data.get(name).and_then(Value::as_str).ok_or(SdpError::missing(field));
        let number =
            |name, field| data.get(name).and_then(Value::as_u64).ok_or(SdpError::missing(field));
        let foundation = text("foundation", "iceCandidates.foundation")?;
        if !(1..=MAX_FOUNDATION).contains(&foundation.len()) || !foundation.chars().all(ice_char) {
            return Err(SdpError::odd("iceCandidates.foundation"));
        }
        let priority = u32::try_from(number("priority", "iceCandidates.priority")?)
            .map_err(|_| SdpError::odd("iceCandidates.priority"))?;
        // `ip` is the old name of `address`; new servers send both.
        let address = text("address", "iceCandidates.address")
            .or_else(|_| text("ip", "iceCandidates.address"))?;
        let port = u16::try_from(number("port", "iceCandidates.port")?)
            .ok()
            .filter(|port| *port != 0)
            .ok_or(SdpError::odd("iceCandidates.port"))?;
        let tcp = match text("protocol", "iceCandidates.protocol")? {
            "tcp" => true,
            "udp" => false,
            _ => return Err(SdpError::odd("iceCandidates.protocol")),
        };
        let tcp_type = match data.get("tcpType").and_then(Value::as_str) {
            None => None,
            Some(kind) => Some(
                one_of(kind, &["active", "passive", "so"])
                    .ok_or(SdpError::odd("iceCandidates.tcpType"))?,
            ),
        };
        Ok(Self {
            foundation: foundation.to_owned(),
            priority,
            address: candidate_address(address).ok_or(SdpError::odd("iceCandidates.address"))?,
            port,
            tcp,
            kind: one_of(text("type", "iceCandidates.type")?, &["host", "srflx", "prflx", "relay"])
                .ok_or(SdpError::odd("iceCandidates.type"))?,
            tcp_type: tcp_type.filter(|_| tcp),
        })
    }

    /// Whether it is reached by TCP.
    #[must_use]
    pub const fn is_tcp(&self) -> bool {
        self.tcp
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> &CandidateAddress {
        &self.address
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for IceCandidate {
    /// As after `a=candidate:`. The component is always 1: mediasoup multiplexes RTCP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, priority, address, port, kind, .. } = self;
        let protocol = if self.tcp { "tcp" } else { "udp" };
        write!(f, "{foundation} 1 {protocol} {priority} {address} {port} typ {kind}")?;
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        Ok(())
    }
}

/// An address, or a name that cannot be anything else in an SDP.
pub(crate) fn candidate_address(text: &str) -> Option<CandidateAddress> {
    if let Ok(ip) = text.parse() {
        return Some(CandidateAddress::Ip(ip));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let is_name = plain && (1..=MAX_NAME).contains(&text.len());
    is_name.then(|| CandidateAddress::Name(text.to_owned()))
}

/// The SHA-256 among `fingerprints`.
fn fingerprint(dtls: &Value) -> Result<String, SdpError> {
    const FIELD: &str = "dtlsParameters.fingerprints";
    let list = dtls.get("fingerprints").and_then(Value::as_array);
    let list = list.ok_or(SdpError::missing(FIELD))?;
    let sha256 = list.iter().find(|fingerprint| {
        let algorithm = fingerprint.get("algorithm").and_then(Value::as_str);
        algorithm.is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("sha-256"))
    });
    let value = sha256.ok_or(SdpError::NoFingerprint)?.get("value").and_then(Value::as_str);
    let value = value.ok_or(SdpError::missing("dtlsParameters.fingerprints.value"))?;
    if is_sha256(value) {
        Ok(value.to_ascii_uppercase())
    } else {
        Err(SdpError::odd("dtlsParameters.fingerprints.value"))
    }
}

/// 32 bytes in hexadecimal, with colons between (RFC 8122 §5).
pub(super) fn is_sha256(value: &str) -> bool {
    let is_byte = |pair: &str| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit());
    value.split(':').count() == 32 && value.split(':').all(is_byte)
}

/// RFC 8839 §5.1: letters, digits, `+` and `/`.
pub(super) fn ice_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '+' || c == '/'
}

fn one_of(text: &str, all: &[&'static str]) -> Option<&'static str> {
    all.iter().find(|known| **known == text).copied()
}

/// How many candidates of a server are taken; one with more is refused. mediasoup has two an
/// address it listens on.
pub const MAX_CANDIDATES: usize = 32;
/// RFC 8839 §5.4.
const MIN_UFRAG: usize = 4;
/// RFC 8839 §5.4.
const MIN_PASSWORD: usize = 22;
/// RFC 8839 §5.4: of both.
const MAX_ICE_TEXT: usize = 256;
/// RFC 8839 §5.1.
const MAX_FOUNDATION: usize = 32;
/// RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;
