//! Which of our addresses a candidate of the other end is reached from.
//!
//! Our own candidates are told to nobody: a server that forwards has a public address and
//! answers where it is asked from (RFC 8445 §2.5, ICE-lite). So there is one, for the engine,
//! and it is what the kernel would choose.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The candidates in a description (RFC 8839 §5.1), or one alone, each without its name.
pub(super) fn candidates(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines()
        .filter_map(|line| line.strip_prefix("a=").unwrap_or(line).strip_prefix("candidate:"))
}

/// Where a candidate is, if it says so by an address.
pub(super) fn address_of(candidate: &str) -> Option<SocketAddr> {
    // foundation component transport priority address port
    let mut words = candidate.split_ascii_whitespace().skip(4);
    let address: IpAddr = words.next()?.parse().ok()?;
    Some(SocketAddr::new(address, words.next()?.parse().ok()?))
}

/// The address that datagrams to `remote` leave from, or none of that family. Nothing is sent
/// for it.
pub(super) fn local_address(bind: IpAddr, remote: SocketAddr) -> Option<IpAddr> {
    if bind.is_ipv4() != remote.is_ipv4() {
        return None;
    }
    if !bind.is_unspecified() {
        return Some(bind);
    }
    let socket = UdpSocket::bind((bind, 0)).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_descriptions_and_alone_and_nonsense_is_none() {
        let sdp = "v=0\r\na=candidate:1 1 udp 5 192.0.2.1 9 typ host\r\n\
                   a=candidate:2 1 udp 4 x.local 9 typ host\r\na=candidate:3 1\r\n\
                   a=candidate:4 1 udp 3 2001:db8::1 70000 typ host\r\n\
                   a=candidate:5 1 udp 2 2001:db8::1 7 typ host\r\na=mid:0\r\n";
        let found: Vec<_> = candidates(sdp).filter_map(address_of).collect();
        let expected: [SocketAddr; 2] =
            ["192.0.2.1:9", "[2001:db8::1]:7"].map(|text| text.parse().unwrap());
        assert_eq!((found, candidates(sdp).count()), (expected.to_vec(), 5));
        let alone = "candidate:1 1 udp 5 127.0.0.1 9 typ host";
        assert_eq!(candidates(alone).filter_map(address_of).count(), 1);
    }

    #[test]
    fn a_wildcard_is_narrowed_to_what_reaches_the_other_end() {
        let remote = "127.0.0.1:9".parse().unwrap();
        let any = [0, 0, 0, 0].into();
        assert_eq!(local_address(any, remote), Some([127, 0, 0, 1].into()));
        assert_eq!(local_address([127, 0, 0, 5].into(), remote), Some([127, 0, 0, 5].into()));
        assert_eq!(local_address(any, "[::1]:9".parse().unwrap()), None);
    }
}
