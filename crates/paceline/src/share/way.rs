//! From which address of this machine a room is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};

/// The address of ours that the way to the server of `url` begins at, where its members are to be
/// found too. No packet is sent for it, but a name is looked up: not for the thread that a
/// runtime needs. `None` if there is no way, which whoever goes it is told.
pub(super) fn towards(url: &str) -> Option<IpAddr> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "wss" { 443 } else { 80 };
    let server = match has_port {
        true => authority.to_socket_addrs().ok()?.next()?,
        false => (authority, port).to_socket_addrs().ok()?.next()?,
    };
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_server_of_this_machine_begins_on_loopback_and_to_nothing_there_is_none() {
        for url in ["ws://127.0.0.1:9/room", "ws://127.0.0.1/room", "wss://127.0.0.1?a=b"] {
            assert_eq!(towards(url), Some([127, 0, 0, 1].into()), "{url}");
        }
        for url in ["", "room", "ws://", "ws:///room", "ws://127.0.0.1:x/room"] {
            assert_eq!(towards(url), None, "{url}");
        }
    }
}
