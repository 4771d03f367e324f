//! Ports, and when a peer listens.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;

use crate::Peer;

/// A socket of ours, on loopback and a port that the system chose.
///
/// # Panics
///
/// If the system has no port.
#[must_use]
pub fn socket() -> UdpSocket {
    let given = GIVEN.lock().expect("nobody panics with it");
    let mut refused = Vec::new();
    loop {
        let socket = bind(0).expect("the system has a port");
        if !given.contains(&port(&socket)) {
            return socket;
        }
        // Kept until there is another, so as not to get it again.
        refused.push(socket);
    }
}

/// A port for a peer's RTP, and the one above it for its RTCP. Nobody has them now, and
/// in this process nobody gets them again; whether another process did, the peer finds.
fn free_pair() -> u16 {
    let mut given = GIVEN.lock().expect("nobody panics with it");
    let mut refused = Vec::new();
    loop {
        let socket = bind(0).expect("the system has a port");
        let port = port(&socket);
        let above = port.checked_add(1).filter(|&above| bind(above).is_ok());
        if let Some(above) = above
            && !given.contains(&port)
            && !given.contains(&above)
        {
            given.extend([port, above]);
            return port;
        }
        refused.push(socket);
    }
}

fn bind(port: u16) -> std::io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
}

/// The port of a socket of ours.
///
/// # Panics
///
/// If the system does not say.
#[must_use]
pub fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("is bound").port()
}

/// Sends a datagram to a port on loopback.
///
/// # Panics
///
/// If the system does not let us.
pub fn send(socket: &UdpSocket, datagram: &[u8], port: u16) {
    let sent = socket.send_to(datagram, (Ipv4Addr::LOCALHOST, port)).expect("loopback is up");
    assert_eq!(sent, datagram.len());
}

/// What comes within that time.
///
/// # Panics
///
/// If the socket cannot be read, or the time is none.
pub(crate) fn receive(socket: &UdpSocket, within: Duration) -> Option<Bytes> {
    let mut buffer = [0; 2_048];
    socket.set_read_timeout(Some(within)).expect("more than nothing");
    match socket.recv(&mut buffer) {
        Ok(len) => Some(Bytes::copy_from_slice(&buffer[..len])),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// The ports that peers were told to take.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Whether some socket of this machine has the port.
fn is_bound(port: u16) -> bool {
    queued(port).is_some()
}

/// Bytes that wait to be read at a port, as the kernel counts them; none if no socket has
/// it.
fn queued(port: u16) -> Option<usize> {
    let table = fs::read_to_string("/proc/net/udp").expect("this is Linux");
    let lines = table.lines().skip(1);
    // slot, local address:port, remote address:port, state, queue out:in; all in hex.
    let mut queues = lines.filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, local) = fields.next()?.rsplit_once(':')?;
        let (_, queue) = fields.nth(2)?.split_once(':')?;
        let mine = u16::from_str_radix(local, 16) == Ok(port);
        mine.then(|| usize::from_str_radix(queue, 16).ok())?
    });
    queues.next()
}

/// A peer that listens.
#[derive(Debug)]
pub struct Receiver {
    /// The program.
    pub peer: Peer,
    /// Its port for RTP; the one above is for RTCP, if it has one.
    pub port: u16,
}

impl Receiver {
    /// Starts a peer with a port of its own, and waits until it has that, and the one
    /// above if it takes RTCP.
    ///
    /// # Panics
    ///
    /// If it does not come up: between our giving the port and its taking it, somebody
    /// else can have it. So it has three tries.
    #[must_use]
    pub fn start(rtcp: bool, start: impl Fn(u16) -> Peer) -> Self {
        let mut complaints = Vec::new();
        for _ in 0..3 {
            let port = free_pair();
            let mut peer = start(port);
            while !peer.is_over_within(PAUSE) {
                if is_bound(port) && (!rtcp || is_bound(port + 1)) {
                    return Self { peer, port };
                }
            }
            complaints.push(peer.complaint());
        }
        panic!("the peer does not listen: {}", complaints.join("\n"));
    }

    /// What comes next from it at a socket of ours.
    ///
    /// # Panics
    ///
    /// If it is over, or its deadline is.
    #[must_use]
    pub fn next(&mut self, socket: &UdpSocket) -> Bytes {
        loop {
            if let Some(datagram) = receive(socket, 10 * PAUSE) {
                return datagram;
            }
            assert!(!self.peer.is_over_within(Duration::ZERO), "{}", self.peer.complaint());
        }
    }

    /// Waits until not more than so many bytes wait to be read by it.
    ///
    /// # Panics
    ///
    /// If it is not over, and does not read.
    pub fn wait_for_queue(&mut self, most: usize) {
        while queued(self.port).is_some_and(|queue| queue > most) {
            if self.peer.is_over_within(PAUSE) {
                return;
            }
        }
    }
}

/// Ours: how long to wait for a peer before the next look at it.
const PAUSE: Duration = Duration::from_millis(5);
