//! Datagrams that no peer sends, from somebody who knows our ports.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use paceline_transport::types::{ConnectionOp, Signal};
use pair::link::Link;
use pair::{Pair, Side, WATCHDOG, assert_numbered, numbered};

/// Numbers that look random, the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// First bytes of every protocol on the port (RFC 7983 §7), and the second byte that
/// makes a datagram RTP or a kind of RTCP.
const STARTS: [&[u8]; 14] = [
    // STUN: request, success, error, indication; each with the magic cookie.
    &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42],
    &[1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42],
    &[1, 17, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42],
    &[0, 17, 0, 8, 0x21, 0x12, 0xA4, 0x42],
    // DTLS 1.2: change cipher spec, alert (fatal, close), handshake, data, ack.
    &[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1],
    &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 0],
    &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 12],
    &[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1, 0, 64],
    &[26, 254, 253],
    // A TURN channel, RTP, a NACK, a sender report, a picture loss indication.
    &[64, 0, 0, 4],
    &[0x80, 96, 0, 1],
    &[0x81, 205, 0, 3],
    &[0x80, 200, 0, 6],
    &[0x81, 206, 0, 2],
];

/// A datagram of the sort that a fuzzer makes: of nothing, of a start, or of a real one.
fn garbage(random: &mut Random, real: &[Vec<u8>]) -> Vec<u8> {
    let tail = random.below(200);
    match random.below(4) {
        0 => random.bytes(tail),
        1 => [STARTS[random.below(STARTS.len())], &random.bytes(tail)].concat(),
        _ if real.is_empty() => Vec::new(),
        how => {
            let mut datagram = real[random.below(real.len())].clone();
            for _ in 0..=random.below(4) {
                let at = random.below(datagram.len());
                datagram[at] = random.next() as u8;
            }
            if how == 2 {
                datagram.truncate(random.below(datagram.len() + 1));
            }
            datagram
        }
    }
}

/// Sends so much of it to each of these ports, and hears whether it is answered.
struct Stranger {
    socket: UdpSocket,
    random: Random,
}

impl Stranger {
    fn new(seed: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, random: Random(seed) }
    }

    fn throw(&mut self, count: usize, at: &[SocketAddr], real: &[Vec<u8>]) {
        for _ in 0..count {
            let datagram = garbage(&mut self.random, real);
            for addr in at {
                // A port that is closed again, or a full buffer, is nothing to us.
                let _ = self.socket.send_to(&datagram, addr);
            }
        }
    }

    fn was_answered(&self) -> bool {
        self.socket.recv_from(&mut [0; 2_048]).is_ok()
    }
}

/// Ports that a side has told of.
fn ports(side: &Side) -> Vec<SocketAddr> {
    let port = |signal: &Signal| match signal {
        Signal::Candidate { candidate, .. } => {
            let words: Vec<&str> = candidate.split(' ').collect();
            let addr = format!("{}:{}", words.get(4)?, words.get(5)?);
            addr.parse().ok()
        }
        _ => None,
    };
    side.signals.iter().filter_map(port).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_opens_and_goes_on_under_garbage() {
    let link = Link::new(Duration::ZERO).await;
    let mut pair = Pair::new(Default::default(), Some(link));
    let mut stranger = Stranger::new(1);
    let mut targets: Vec<SocketAddr> = Vec::new();
    pair.a.apply(ConnectionOp::Call);
    // Before the handshake, and all through it.
    let opening = async {
        while !(pair.a.open && pair.b.open) {
            pair.turn().await;
            targets.extend([&pair.a, &pair.b].into_iter().flat_map(ports));
            let real = pair.link.as_ref().expect("a link").seen();
            stranger.throw(60, &targets, &real);
            pair.bring();
        }
    };
    tokio::time::timeout(WATCHDOG, opening).await.expect("it does not open");
    assert!(targets.len() >= 2, "{targets:?}");
    let real = pair.link.as_ref().expect("a link").seen();
    assert!(real.len() > 10, "only {} real datagrams", real.len());
    // After it, between the messages.
    for number in 0..200 {
        stranger.throw(40, &targets, &real);
        pair.a.send(numbered(number, 1_200)).expect("room");
        pair.b.send(numbered(number, 1_200)).expect("room");
        pair.until(|a, b| {
            let heard = number as usize + 1;
            a.messages.len() == heard && b.messages.len() == heard
        })
        .await;
    }
    assert_numbered(&pair.a.messages, 200, 1_200);
    assert_numbered(&pair.b.messages, 200, 1_200);
    assert_eq!((&pair.a.closed, &pair.b.closed), (&None, &None));
    // No path was lost by it, and none found.
    assert_eq!((&pair.a.paths[..], &pair.b.paths[..]), (&[][..], &[][..]));
    // And it restarts under garbage.
    pair.a.apply(ConnectionOp::RestartIce);
    stranger.throw(500, &targets, &real);
    pair.until(|a, b| a.paths == [true] && b.paths == [true]).await;
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtp_and_rtcp_are_not_answered_and_garbage_is_not_kept() {
    let mut pair = Pair::new(Default::default(), None);
    let mut targets: Vec<SocketAddr> = Vec::new();
    pair.a.apply(ConnectionOp::Call);
    let opening = async {
        while !(pair.a.open && pair.b.open) {
            pair.turn().await;
            targets.extend([&pair.a, &pair.b].into_iter().flat_map(ports));
            pair.bring();
        }
    };
    tokio::time::timeout(WATCHDOG, opening).await.expect("it does not open");
    let mut stranger = Stranger::new(2);
    let media: Vec<Vec<u8>> =
        STARTS[10..].iter().map(|start| [start, &stranger.random.bytes(60)[..]].concat()).collect();
    let resident = resident();
    for number in 0..100 {
        for _ in 0..100 {
            for datagram in &media {
                for addr in &targets {
                    let _ = stranger.socket.send_to(datagram, addr);
                }
            }
        }
        pair.a.send(numbered(number, 100)).expect("room");
        pair.until(|_, b| b.messages.len() == number as usize + 1).await;
    }
    assert!(!stranger.was_answered());
    // The kernel's buffers are not ours; ours did not grow by 40,000 datagrams.
    let grown = self::resident().saturating_sub(resident);
    assert!(grown < 16 << 20, "{grown} bytes more");
    pair.shutdown().await;
}

/// Bytes of memory that this process has; nothing where that cannot be read.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|line| line.split(' ').nth(1)?.parse::<usize>().ok());
    pages.map_or(0, |pages| pages * 4_096)
}
