//! What ends say of themselves: enough of SDP for who reads along.

use std::net::Ipv6Addr;

use paceline_types::Signal;

/// Where packets come from or go to. A node has one at a time.
pub(super) type Address = u64;

/// What an end learns from a description of the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Description {
    /// The end that made it, by number: the session id of the `o=` line.
    pub(super) session: u64,
    /// Its version: one more than that of the description before (RFC 9429 §5.2.2).
    pub(super) version: u64,
    /// The ICE generation.
    pub(super) ufrag: u64,
}

impl Description {
    pub(super) fn emit(self) -> String {
        let Self { session, version, ufrag } = self;
        format!(
            "v=0\r\n\
             o=- {session} {version} IN IP4 0.0.0.0\r\n\
             s=-\r\n\
             t=0 0\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
             c=IN IP4 0.0.0.0\r\n\
             a=mid:{MID}\r\n\
             a=ice-ufrag:{ufrag:08x}\r\n\
             a=ice-pwd:{ufrag:022x}\r\n\
             a=sctp-port:5000\r\n"
        )
    }

    pub(super) fn parse(sdp: &str) -> Option<Self> {
        let line = |name: &str| sdp.split("\r\n").find_map(|line| line.strip_prefix(name));
        let mut origin = line("o=- ")?.split(' ');
        let session = origin.next()?.parse().ok()?;
        let version = origin.next()?.parse().ok()?;
        let ufrag = u64::from_str_radix(line("a=ice-ufrag:")?, 16).ok()?;
        Some(Self { session, version, ufrag })
    }
}

/// The one candidate that there is (RFC 8839 §5.1).
pub(super) fn emit_candidate(address: Address, ufrag: u64) -> Signal {
    let ip = Ipv6Addr::from_bits(PREFIX | u128::from(address));
    Signal::Candidate {
        candidate: format!("candidate:1 1 udp 2130706431 {ip} 9 typ host"),
        mid: MID.to_owned(),
        mline_index: 0,
        ufrag: format!("{ufrag:08x}"),
    }
}

pub(super) fn parse_candidate(candidate: &str) -> Option<Address> {
    let ip: Ipv6Addr = candidate.strip_prefix("candidate:")?.split(' ').nth(4)?.parse().ok()?;
    (ip.to_bits() >> 64 == PREFIX >> 64).then_some(ip.to_bits() as Address)
}

const MID: &str = "0";

/// A unique local prefix (RFC 4193 §3.1): no address here is anybody's.
const PREFIX: u128 = 0xfd00 << 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let description = Description { session: 7, version: 3, ufrag: 0xbeef };
        assert_eq!(Description::parse(&description.emit()), Some(description));
        let Signal::Candidate { candidate, ufrag, .. } = emit_candidate(u64::MAX, 0xbeef) else {
            panic!("it is a candidate");
        };
        assert_eq!((parse_candidate(&candidate), ufrag.as_str()), (Some(u64::MAX), "0000beef"));
    }

    #[test]
    fn nonsense_is_refused() {
        for sdp in ["", "v=0\r\n", "o=- 1 2\r\n", "o=- x 1\r\na=ice-ufrag:1\r\n", "o=- 1 1\n"] {
            assert_eq!(Description::parse(sdp), None, "{sdp:?}");
        }
        for candidate in ["", "candidate:", "candidate:1 1 udp 1 192.0.2.1 9 typ host"] {
            assert_eq!(parse_candidate(candidate), None, "{candidate:?}");
        }
    }
}
