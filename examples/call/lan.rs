//! Which addresses of this machine a call is held at, and how others reach them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use nix::net::if_::InterfaceFlags;
use paceline::Topology;
use paceline_signaling::{RoomsConfig, Server, ServerConfig, ServerError};

/// Why a call cannot be held where it was asked for. Each text is one line that says
/// what to do.
#[derive(Debug)]
pub(crate) enum LanError {
    /// The server cannot listen.
    Listen { addr: SocketAddr, source: io::Error, ours: Vec<(String, Ipv4Addr)> },
    /// All addresses were asked for, and none is of a private network.
    NoAddress,
    /// The address is of a public network, where peers do not find each other.
    Public { address: IpAddr },
}

impl fmt::Display for LanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { addr, source, ours } => match source.kind() {
                io::ErrorKind::AddrInUse => write!(
                    f,
                    "port {} of {} is in use: end what listens there, or take another port",
                    addr.port(),
                    addr.ip(),
                ),
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "{} is no address of this machine: use ", addr.ip())?;
                    for (interface, address) in ours {
                        write!(f, "{address} ({interface}), ")?;
                    }
                    write!(f, "127.0.0.1 for this machine only, or 0.0.0.0 for all addresses")
                }
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "this user may not listen on port {}: take one above 1023",
                    addr.port(),
                ),
                _ => write!(f, "cannot listen on {addr} ({source}): use another address or port"),
            },
            Self::NoAddress => f.write_str(
                "this machine has no address in a private network that is up: connect it to \
                 one, or use --listen 127.0.0.1:0 for a call on this machine only",
            ),
            Self::Public { address } => write!(
                f,
                "{address} is not in a private network, and calls over the internet do not \
                 work yet: use an address that begins with 10., 172.16. to 172.31., or 192.168."
            ),
        }
    }
}

impl std::error::Error for LanError {}

/// Starts a server, and says why not if it cannot be. Its rooms have places for as many
/// as the shape has.
pub(crate) async fn listen(addr: SocketAddr, topology: Topology) -> Result<Server, LanError> {
    let rooms = RoomsConfig::default().max_members(topology.max_peers() + 1);
    listen_with(addr, ServerConfig::default().rooms(rooms)).await
}

/// The same with bounds of one's own.
pub(crate) async fn listen_with(
    addr: SocketAddr,
    config: ServerConfig,
) -> Result<Server, LanError> {
    check(addr.ip())?;
    Server::bind(addr, config).await.map_err(|error| match error {
        ServerError::Bind { addr, source } => LanError::Listen { addr, source, ours: private() },
        error => LanError::Listen { addr, source: io::Error::other(error), ours: Vec::new() },
    })
}

/// What others join with: one line for each address that reaches the server.
pub(crate) fn urls(server: &Server, room: &str) -> Vec<String> {
    let addr = server.local_addr();
    if addr.ip() != IpAddr::from(Ipv4Addr::UNSPECIFIED) {
        return vec![server.url(room)];
    }
    let url = |(_, ip)| format!("ws://{ip}:{}/{room}", addr.port());
    let urls: Vec<_> = private().into_iter().map(url).collect();
    if urls.is_empty() { vec![server.url(room)] } else { urls }
}

/// What a server at this address lets happen; `None` on loopback, where nobody else is.
pub(crate) fn warning(addr: SocketAddr) -> Option<String> {
    (!addr.ip().is_loopback()).then(|| {
        format!(
            "whoever reaches port {} of this machine can join, and signalling is not encrypted: \
             use a network you trust",
            addr.port(),
        )
    })
}

/// The address of ours that the way to the server of `url` begins at: where media are
/// best bound. No packet is sent for it. Where there is no way, joining says so itself,
/// and loopback is as good as any.
pub(crate) fn towards(url: &str) -> Result<IpAddr, LanError> {
    let address = way(url).unwrap_or(Ipv4Addr::LOCALHOST.into());
    if is_reached(address) { Ok(address) } else { Err(LanError::Public { address }) }
}

fn way(url: &str) -> Option<IpAddr> {
    let (authority, _) = url.strip_prefix("ws://")?.split_once('/')?;
    let server = authority.to_socket_addrs().ok()?.next()?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn check(address: IpAddr) -> Result<(), LanError> {
    if address == IpAddr::from(Ipv4Addr::UNSPECIFIED) {
        return if private().is_empty() { Err(LanError::NoAddress) } else { Ok(()) };
    }
    if is_reached(address) { Ok(()) } else { Err(LanError::Public { address }) }
}

/// Whether peers reach it without anybody's help: what `Config::bind` takes without a
/// STUN server.
fn is_reached(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// The addresses in private networks, with their interfaces, in the system's order.
fn private() -> Vec<(String, Ipv4Addr)> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| {
            let ip = interface.address?.as_sockaddr_in()?.ip();
            ip.is_private().then_some((interface.interface_name, ip))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_goes_out_where_the_server_is() {
        assert_eq!(towards("ws://127.0.0.1:9/call").ok(), Some(Ipv4Addr::LOCALHOST.into()));
        // What is no URL is told of when it is joined.
        assert_eq!(towards("ws://nonsense").ok(), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn public_addresses_are_refused_with_what_to_use() {
        for public in ["8.8.8.8", "100.64.0.1", "2001:4860:4860::8888", "::"] {
            let address = public.parse().expect("an address");
            let error = check(address).expect_err(public).to_string();
            assert!(error.contains(public) && error.contains("192.168."), "{error}");
        }
        for good in ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.7", "fd00::1"] {
            assert!(check(good.parse().expect("an address")).is_ok(), "{good}");
        }
    }

    #[test]
    fn only_loopback_goes_without_a_warning() {
        assert_eq!(warning(([127, 0, 0, 1], 4455).into()), None);
        for open in [[0, 0, 0, 0], [192, 168, 1, 7]] {
            assert!(warning((open, 4455).into()).is_some_and(|text| text.contains("trust")));
        }
    }
}
