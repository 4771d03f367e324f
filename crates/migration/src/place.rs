//! What the addresses that a node gathered say of the NAT before it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use paceline_framing::{Mapping, NatType};

/// The class of the NAT before a node, how it maps ports, and whether others reach the node
/// by a relay only, as its own ICE candidates show them (RFC 8839 §5.1; `a=` in front or not).
///
/// | what was gathered over UDP | class | mapping |
/// |---|---|---|
/// | a public address of its own, or a server saw the very port it sent from | `Open` | `EndpointIndependent` |
/// | each port of its own was seen as one port by whoever was asked | `PortRestricted` | `EndpointIndependent` |
/// | a port of its own was seen as several | `Symmetric` | `AddressAndPortDependent` |
/// | private addresses only, relays only, nothing | `Unknown` | `Unknown` |
///
/// Candidates show how ports are mapped, never who may send to one that is; so the class is
/// the worst there is with the mapping seen. With a single server asked a NAT that gives each
/// destination a port of its own looks like one that does not. Addresses that a browser hides
/// (mDNS names, `raddr 0.0.0.0`) tell nothing of where a mapping begins: with two of these
/// that differ nothing is known. IPv6 counts only if there is no candidate of IPv4, since not
/// everybody has it.
///
/// Lines that are no candidate, are not UDP's or come after the first 64 are passed over.
///
/// ```
/// use paceline_framing::{Mapping, NatType};
/// use paceline_migration::classify;
///
/// let home = [
///     "candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host",
///     "candidate:2 1 udp 1694498815 203.0.113.5 61000 typ srflx raddr 192.168.1.7 rport 50000",
/// ];
/// let expected = (NatType::PortRestricted, Mapping::EndpointIndependent, false);
/// assert_eq!(classify(&home), expected);
///
/// let office = [home[0], home[1], &home[1].replace("61000", "61001")];
/// assert_eq!(classify(&office).0, NatType::Symmetric);
/// ```
#[must_use]
pub fn classify(candidates: &[&str]) -> (NatType, Mapping, bool) {
    let lines = candidates.iter().take(MAX_LINES);
    let all: Vec<_> = lines.filter_map(|line| Line::parse(line)).collect();
    let four = all.iter().any(|line| line.kind != Kind::Relay && !line.is_six());
    let seen: Vec<_> = all.iter().filter(|line| !four || !line.is_six()).collect();

    let mapped = seen.iter().filter(|line| line.kind == Kind::Mapped);
    let public = |line: &&&Line| line.kind == Kind::Host && line.is_public();
    let unmapped = |line: &&Line| line.base.is_some() && line.base == line.address;
    if seen.iter().any(|line| public(&line)) || mapped.clone().any(unmapped) {
        return (NatType::Open, Mapping::EndpointIndependent, false);
    }

    let mut ports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in mapped {
        ports.entry(line.base).or_default().insert(line.address);
    }
    let several = |base: &Option<_>| ports.get(base).is_some_and(|seen| seen.len() > 1);
    if ports.is_empty() {
        let relayed = all.iter().any(|line| line.kind == Kind::Relay);
        return (NatType::Unknown, Mapping::Unknown, relayed);
    }
    if ports.keys().any(|base| base.is_some() && several(base)) {
        return (NatType::Symmetric, Mapping::AddressAndPortDependent, false);
    }
    if several(&None) {
        return (NatType::Unknown, Mapping::Unknown, false);
    }
    (NatType::PortRestricted, Mapping::EndpointIndependent, false)
}

/// What a candidate is of.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Host,
    Mapped,
    Relay,
}

/// One candidate.
struct Line {
    kind: Kind,
    /// `None`: hidden.
    address: Option<SocketAddr>,
    /// Of a mapped one: what it is mapped from. `None`: hidden.
    base: Option<SocketAddr>,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim().trim_start_matches("a=").strip_prefix("candidate:")?;
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next();
        let (_foundation, _component) = (word()?, word()?);
        if !word()?.eq_ignore_ascii_case("udp") {
            return None;
        }
        let _priority = word()?;
        let (address, port) = (word()?, word()?.parse().ok()?);
        if word()? != "typ" {
            return None;
        }
        let kind = match word()? {
            "host" => Kind::Host,
            // What a peer of ours saw, and no server, was mapped all the same.
            "prflx" | "srflx" => Kind::Mapped,
            "relay" => Kind::Relay,
            _ => return None,
        };
        let address = socket(address, port);
        if kind != Kind::Host && address.is_none() {
            return None;
        }
        let (mut from, mut from_port) = (None, None);
        while let (Some(name), Some(value)) = (word(), word()) {
            match name {
                "raddr" => from = Some(value),
                "rport" => from_port = value.parse().ok(),
                _ => {}
            }
        }
        let base = from.zip(from_port).and_then(|(address, port)| socket(address, port));
        Some(Self { kind, address, base })
    }

    fn is_six(&self) -> bool {
        self.address.is_some_and(|address| address.is_ipv6())
    }

    /// Whether it is an address that is routed everywhere.
    fn is_public(&self) -> bool {
        match self.address.map(|address| address.ip()) {
            None => false,
            Some(IpAddr::V4(ip)) => {
                let [a, b, ..] = ip.octets();
                let shared = a == 100 && b & 0xc0 == 64; // RFC 6598 §7: 100.64.0.0/10.
                let local = ip.is_private() || ip.is_loopback() || ip.is_link_local();
                let none = a == 0 || ip.is_multicast() || a >= 240;
                !(shared || local || none)
            }
            // RFC 4291 §2.4: what is handed out as global unicast.
            Some(IpAddr::V6(ip)) => ip.segments()[0] & 0xe000 == 0x2000,
        }
    }
}

/// An address and port, unless either is hidden (RFC 8839 §5.1: 0.0.0.0, :: and port 0 or 9
/// stand for none).
fn socket(address: &str, port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = address.parse().ok()?;
    let ip = ip.to_canonical();
    (!ip.is_unspecified() && port != 0 && port != DISCARD).then(|| SocketAddr::new(ip, port))
}

/// RFC 8839 §5.1: where there is no port to tell, the one of the discard service.
const DISCARD: u16 = 9;

/// Twice what the room's protocol takes of a peer.
const MAX_LINES: usize = 64;
