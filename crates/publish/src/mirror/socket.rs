//! The sockets of a mirror.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::{Datagram, Mirror};

/// Counts since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MirrorSocketStats {
    /// Datagrams that the system took. Whether anybody has read them is not known.
    pub sent: u64,
    /// Datagrams that it did not take: its buffer was full, or nobody listens, of which it tells
    /// with about every second one.
    pub refused: u64,
}

/// UDP sockets, one for each stream, that never wait. What they cannot send now is counted, and
/// gone.
#[derive(Debug)]
pub struct MirrorSocket {
    ways: Vec<Way>,
    has_newcomer: bool,
    stats: MirrorSocketStats,
}

/// Where one stream goes.
#[derive(Debug)]
struct Way {
    to: SocketAddr,
    socket: UdpSocket,
    /// Nobody listens, as the system last said, and so many datagrams were taken since.
    unheard: Option<u8>,
}

impl MirrorSocket {
    /// Sockets for what this mirror makes: on loopback if that is where it goes.
    ///
    /// # Errors
    ///
    /// That of the system, if it has no socket for us or no way there.
    pub fn open(mirror: &Mirror) -> io::Result<Self> {
        // An IPv4 address as IPv6 has it (RFC 4291 §2.5.5.2) is one of IPv4.
        let ip = mirror.address().to_canonical();
        let way = |port| {
            let socket = UdpSocket::bind(from(ip))?;
            socket.set_nonblocking(true)?;
            // So that it is heard if nobody listens.
            socket.connect((ip, port))?;
            Ok(Way { to: SocketAddr::new(mirror.address(), port), socket, unheard: None })
        };
        let ways: io::Result<_> = mirror.description().media.iter().map(|m| way(m.port)).collect();
        Ok(Self { ways: ways?, has_newcomer: false, stats: MirrorSocketStats::default() })
    }

    /// Sends a datagram, or counts that it could not.
    pub fn send(&mut self, datagram: &Datagram) {
        let Some(way) = self.ways.iter_mut().find(|way| way.to == datagram.to) else {
            self.stats.refused += 1;
            return;
        };
        match way.socket.send(&datagram.bytes) {
            Ok(_) => {
                self.stats.sent += 1;
                // Beyond this machine it takes a while until a refusal is heard.
                let is_here = way.to.ip().to_canonical().is_loopback();
                let Some(taken) = way.unheard.as_mut().filter(|_| is_here) else { return };
                *taken += 1;
                if *taken == HEARD {
                    way.unheard = None;
                    self.has_newcomer = true;
                }
            }
            Err(error) => {
                self.stats.refused += 1;
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    way.unheard = Some(0);
                }
            }
        }
    }

    /// Whether somebody has begun to listen since this was last asked, where nobody did before.
    /// He sees nothing until a keyframe comes: whoever makes them is to be told.
    ///
    /// It is known of this machine alone, where the system says at once that nobody listens. On
    /// one that is very busy it says so late, and then there is a newcomer who is none.
    pub fn poll_newcomer(&mut self) -> bool {
        std::mem::take(&mut self.has_newcomer)
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> MirrorSocketStats {
        self.stats
    }
}

fn from(to: IpAddr) -> SocketAddr {
    match (to.is_ipv4(), to.is_loopback()) {
        (true, true) => (Ipv4Addr::LOCALHOST, 0).into(),
        (true, false) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        (false, true) => (Ipv6Addr::LOCALHOST, 0).into(),
        (false, false) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Datagrams in a row after which somebody listens. Linux tells with the next one that the one
/// before was for nobody (RFC 1122 §4.1.3.3), so that while nobody listens no two follow each
/// other.
const HEARD: u8 = 2;
