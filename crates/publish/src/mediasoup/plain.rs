//! The server's end of a plain transport, which here is always one with SRTP.

use serde_json::{Value, json};

use super::SrtpParameters;
use crate::sdp::CandidateAddress;

/// Where to send to, and under which keys.
///
/// The transport is *comedia*: the server answers to where our first packets came from, so
/// RTP has to be sent before any feedback comes, and RTCP too if it has a port of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlainRemote {
    /// The server's address.
    pub address: CandidateAddress,
    /// Its port for RTP, and for RTCP too if there is no other.
    pub port: u16,
    /// Its port for RTCP, if that is not multiplexed.
    pub rtcp_port: Option<u16>,
    /// What our packets are protected with.
    pub local: SrtpParameters,
    /// What the server's packets are protected with.
    pub remote: SrtpParameters,
}

/// Why an answer describes no such transport.
#[derive(Debug)]
pub(crate) enum PlainError {
    Field(&'static str),
    NoSrtp,
}

impl PlainRemote {
    /// What a server is asked for.
    pub(crate) fn request(srtp: &SrtpParameters) -> [(&'static str, Value); 4] {
        [
            ("comedia", json!(true)),
            ("rtcpMux", json!(true)),
            ("enableSrtp", json!(true)),
            ("srtpCryptoSuite", json!(srtp.suite().name())),
        ]
    }

    /// Reads `ip` (or `address`), `port`, `rtcpPort` and `srtpParameters`. An address that is
    /// none of a host's, such as `0.0.0.0`, is as good as none.
    pub(crate) fn parse(data: &Value, local: &SrtpParameters) -> Result<Self, PlainError> {
        let remote = data.get("srtpParameters").and_then(SrtpParameters::parse);
        let remote = remote.filter(|remote| remote.suite() == local.suite());
        let remote = remote.ok_or(PlainError::NoSrtp)?;
        let address = data.get("ip").or_else(|| data.get("address")).and_then(Value::as_str);
        let address = address.and_then(crate::sdp::candidate_address);
        let address = address.filter(CandidateAddress::is_one);
        let port = |field: &'static str| match data.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
                port.filter(|port| *port != 0).map(Some).ok_or(PlainError::Field(field))
            }
        };
        Ok(Self {
            address: address.ok_or(PlainError::Field("ip"))?,
            port: port("port")?.ok_or(PlainError::Field("port"))?,
            rtcp_port: port("rtcpPort")?,
            local: local.clone(),
            remote,
        })
    }
}
