//! A socket that lets in what a data connection can use, and holds traffic back
//! while a path is looked for anew.
//!
//! * **A door.** One socket carries everything, told apart by the first byte
//!   (RFC 7983 §7). A connection that has data channels only has no use for RTP and
//!   RTCP, so they are dropped here, before the engine has spent anything on them.
//!   Where both ends carry RTP the door is open to what says that it is from one of the other
//!   end's sources, and comes from where ICE has asked or answered: the engine remembers each
//!   source that it is asked about, and begins a replay window with the first number it sees of
//!   it, before it has looked whether the packet is authentic.
//!   Until the connection is open, so does DTLS: an alert of a handshake is believed unsigned,
//!   so who guesses a port could end it.
//! * **A waiting room.** When ICE restarts, the engine forgets its pair and drops what
//!   comes until there is a new one. What is dropped costs SCTP a retransmission
//!   timeout of at least a second, for a restart that takes two round trips. So
//!   it waits here, bounded, and goes in when there is a pair. RTP does not wait: what is
//!   late by that much would look like a path that is full, and what is lost is asked for
//!   again.
//! * **A shrug.** A datagram that the kernel refuses is a datagram lost, as it would
//!   be a hop later; a path that is down is for ICE to notice. What leaves goes through the
//!   connection's [`Outbox`](super::outbox::Outbox).

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tracing::trace;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::shared::Shared;

/// A socket of one connection.
#[derive(Debug)]
pub(super) struct Socket {
    inner: Arc<dyn AsyncUdpSocket>,
    shared: Arc<Shared>,
    waiting: Mutex<WaitingRoom>,
    /// Where our checks, and our answers to those that were signed, went to; the last is the
    /// latest.
    asked: Mutex<VecDeque<SocketAddr>>,
}

#[derive(Debug, Default)]
struct WaitingRoom {
    datagrams: VecDeque<(RecvMeta, Box<[u8]>)>,
    bytes: usize,
}

/// What a datagram is, by its first byte (RFC 7983 §7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// DTLS, in which all of our data is.
    Dtls,
    /// Nothing that we have a use for.
    Foreign,
    /// RTP and RTCP, protected.
    Rtp,
    /// STUN and TURN channels, which look for paths and keep them.
    Stun,
}

impl Kind {
    fn of(first: u8) -> Self {
        match first {
            0..=3 | 64..=79 => Self::Stun,
            20..=63 => Self::Dtls,
            128..=191 => Self::Rtp,
            _ => Self::Foreign,
        }
    }
}

impl Socket {
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, shared: Arc<Shared>) -> Self {
        Self { inner, shared, waiting: Mutex::default(), asked: Mutex::default() }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, WaitingRoom> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, VecDeque<SocketAddr>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where a check or an answer to one goes to.
    fn note_sent(&self, transmit: &Transmit<'_>) {
        let to = transmit.destination;
        if !matches!(transmit.contents.first(), Some(0..=3)) {
            return;
        }
        let mut asked = self.asked();
        // Whoever is in use is asked each second.
        match asked.iter().position(|known| *known == to) {
            Some(at) => drop(asked.remove(at)),
            None if asked.len() >= MAX_ASKED => drop(asked.pop_front()),
            None => {}
        }
        asked.push_back(to);
    }

    /// Lets the next one in that waited.
    fn admit(&self, buf: &mut [u8], meta: &mut RecvMeta) -> bool {
        let mut waiting = self.waiting();
        let Some((of, datagram)) = waiting.datagrams.pop_front() else { return false };
        waiting.bytes -= datagram.len();
        // The buffer is the one it came in, or as large.
        let len = datagram.len().min(buf.len());
        buf[..len].copy_from_slice(&datagram[..len]);
        (*meta, meta.len, meta.stride) = (of, len, len);
        true
    }

    /// Keeps what the engine is to have now, closed up at the front of the buffer,
    /// which holds datagrams of equal length, the last perhaps shorter. Returns how
    /// many bytes that are.
    fn sort(&self, buf: &mut [u8], meta: RecvMeta) -> usize {
        let held = self.shared.is_held();
        let tap = self.shared.tap().filter(|_| !held);
        let is_opening = self.shared.is_opening();
        let (stride, mut kept) = (meta.stride.max(1), 0);
        let is_known = self.asked().contains(&meta.addr);
        let admits_dtls = is_known || !is_opening;
        if meta.len > 0 && Kind::of(buf[0]) == Kind::Dtls && admits_dtls {
            self.shared.note_data(now());
        }
        for start in (0..meta.len).step_by(stride) {
            let end = (start + stride).min(meta.len);
            match Kind::of(buf[start]) {
                Kind::Dtls if !admits_dtls => trace!(from = %meta.addr, "dropped a stranger's"),
                Kind::Dtls if held => self.hold(&buf[start..end], meta),
                Kind::Rtp if !is_known => {
                    trace!(from = %meta.addr, "dropped a stranger's");
                    tap.into_iter().for_each(|tap| tap.count(|stats| stats.foreign += 1));
                }
                Kind::Rtp if tap.is_some_and(|tap| tap.admits(&buf[start..end])) => {
                    if kept != start {
                        buf.copy_within(start..end, kept);
                    }
                    kept += end - start;
                }
                Kind::Foreign | Kind::Rtp => trace!(from = %meta.addr, "dropped what is of no use"),
                kind => {
                    self.shared.note_arrival(kind == Kind::Dtls);
                    if kept != start {
                        buf.copy_within(start..end, kept);
                    }
                    kept += end - start;
                }
            }
        }
        kept
    }

    fn hold(&self, datagram: &[u8], meta: RecvMeta) {
        let mut waiting = self.waiting();
        if waiting.bytes + datagram.len() > MAX_WAITING {
            trace!(from = %meta.addr, "dropped: too many wait for a path");
            return;
        }
        waiting.bytes += datagram.len();
        waiting.datagrams.push_back((meta, datagram.into()));
    }
}

impl AsyncUdpSocket for Socket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.note_sent(transmit);
        // What is refused later is lost: that is nothing to tell.
        let taken = self.shared.outbox().poll_push(cx, &self.inner, transmit);
        taken.map(|()| Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        for _ in 0..MAX_TURNED_AWAY {
            if !self.shared.is_held() && self.admit(buf, meta) {
                self.shared.note_arrival(true);
                return Poll::Ready(Ok(1));
            }
            let received =
                self.inner.poll_recv(cx, std::slice::from_mut(buf), std::slice::from_mut(meta));
            match received {
                Poll::Ready(Ok(_)) => {
                    meta.len = self.sort(buf, *meta);
                    if meta.len > 0 {
                        return Poll::Ready(Ok(1));
                    }
                }
                Poll::Pending if self.waiting().datagrams.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    if self.shared.wake_when_released(cx.waker()) {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        // A flood of what is turned away does not keep the task from its timers.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn max_gso_segments(&self) -> usize {
        // The engine is not to join any: the outbox does.
        1
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Bytes that wait for a path at each socket: the engine's receive window, which is
/// all that a peer that keeps to SCTP can have in flight.
const MAX_WAITING: usize = 1 << 20;

/// Addresses of the other end that are remembered: it names one for each interface and family,
/// and what is between gives it a few more.
const MAX_ASKED: usize = 64;

/// Datagrams turned away in a row before others have their turn: the engine's own
/// burst.
const MAX_TURNED_AWAY: usize = 64;

#[cfg(test)]
mod tests {
    use paceline_types::{Carrier, PeerId, Ssrc};

    use super::*;
    use crate::WebRtcConfig;
    use crate::webrtc::media::sources;

    /// Gives out batches that were put in, and keeps what is sent.
    #[derive(Debug, Default)]
    struct Pipe(Mutex<VecDeque<(Vec<u8>, usize)>>);

    impl AsyncUdpSocket for Pipe {
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
        }

        fn poll_send(&self, _: &mut Context<'_>, _: &Transmit<'_>) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::NetworkUnreachable.into()))
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            bufs: &mut [IoSliceMut<'_>],
            meta: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            let Some((bytes, stride)) = self.0.lock().unwrap().pop_front() else {
                return Poll::Pending;
            };
            bufs[0][..bytes.len()].copy_from_slice(&bytes);
            (meta[0].len, meta[0].stride) = (bytes.len(), stride);
            Poll::Ready(Ok(1))
        }
    }

    /// One that has asked whoever these come from.
    fn socket(batches: impl IntoIterator<Item = (Vec<u8>, usize)>) -> Socket {
        let pipe = Pipe(Mutex::new(batches.into_iter().collect()));
        let socket = Socket::new(Arc::new(pipe), Arc::new(Shared::new(now(), None)));
        send(&socket, RecvMeta::default().addr, &[1; 20]);
        socket
    }

    fn send(socket: &Socket, destination: SocketAddr, contents: &[u8]) -> usize {
        let transmit =
            Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(sent) = socket.poll_send(&mut cx, &transmit) else { panic!("sent") };
        sent.unwrap()
    }

    /// One of a connection to this peer over which both ends carry RTP.
    fn socket_with_rtp(peer: PeerId, batches: Vec<(Vec<u8>, usize)>) -> Socket {
        let config = WebRtcConfig::default().carrier(Carrier::Rtp);
        let tap = config.chain(peer).map(|(_, tap)| tap);
        let shared = Shared::new(now(), tap);
        shared.set_carries_rtp(true);
        let socket = Socket::new(Arc::new(Pipe(Mutex::new(batches.into()))), Arc::new(shared));
        send(&socket, RecvMeta::default().addr, &[1; 20]);
        socket
    }

    fn receive(socket: &Socket) -> Option<Vec<u8>> {
        let mut buf = [0; 512];
        let mut meta = [RecvMeta::default()];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut buf)], &mut meta) {
            Poll::Ready(received) => {
                assert_eq!(received.unwrap(), 1);
                Some(buf[..meta[0].len].to_vec())
            }
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_neither_stun_nor_dtls_does_not_get_in() {
        for first in 0..=255_u8 {
            let expected = matches!(first, 0..=3 | 20..=79).then(|| vec![first; 9]);
            assert_eq!(receive(&socket([(vec![first; 9], 9)])), expected, "{first}");
        }
        assert_eq!(receive(&socket([(Vec::new(), 1)])), None);
    }

    /// The engine keeps something of each source that it is asked about.
    #[test]
    fn of_a_hundred_thousand_sources_those_of_the_peer_get_in() {
        let peer = PeerId::from_bytes([7; 16]);
        let rtp = |source: u32| {
            [&[0x80, 96, 0, 1, 0, 0, 0, 9], &source.to_be_bytes()[..], &[1; 10]].concat()
        };
        let rtcp = |source: u32| [&[0x80, 201, 0, 1], &source.to_be_bytes()[..], &[1; 14]].concat();
        let sources = sources(peer).map(Ssrc::get).collect::<Vec<_>>();
        let all = (0..100_000).map(|at| 7 + at * 41_999).chain(sources.iter().copied());
        let batches = all.flat_map(|source| [(rtp(source), 22), (rtcp(source), 22)]);
        // And what is too short to have one.
        let batches = batches.chain([(vec![0x80, 96, 0, 1], 4), (vec![0x80, 201], 2)]).collect();
        let socket = socket_with_rtp(peer, batches);
        let mut got = Vec::new();
        // Each turn ends after a burst.
        for _ in 0..4_000 {
            got.extend(receive(&socket));
        }
        let expected: Vec<_> =
            sources.iter().flat_map(|source| [rtp(*source), rtcp(*source)]).collect();
        assert_eq!(got, expected);
        let stats = socket.shared.tap().map(crate::rtp::Tap::stats).expect("a tap");
        assert_eq!(stats.foreign, 200_002);
    }

    #[test]
    fn of_dtls_that_of_who_was_asked_gets_in_until_it_is_open() {
        let batches = (0..4).map(|at| (vec![22, at], 2)).collect();
        let pipe = Arc::new(Pipe(Mutex::new(batches)));
        let socket = Socket::new(pipe, Arc::new(Shared::new(now(), None)));
        assert_eq!(receive(&socket), None, "all of a stranger");
        // DTLS that we send makes nobody known: it goes to whom the engine was told of.
        let from = RecvMeta::default().addr;
        send(&socket, from, &[22; 20]);
        assert!(socket.asked().is_empty());
        for port in 1..=1_000 {
            send(&socket, SocketAddr::new(from.ip(), port), &[1; 20]);
            // Whoever is in use stays, as he is asked again.
            send(&socket, from, &[1; 20]);
        }
        assert_eq!(socket.asked().len(), MAX_ASKED);
        assert!(socket.asked().contains(&from));
        let socket = self::socket([(vec![22, 4], 2)]);
        assert_eq!(receive(&socket), Some(vec![22, 4]));
        let pipe = Arc::new(Pipe(Mutex::new([(vec![22, 5], 2)].into())));
        let socket = Socket::new(pipe, Arc::new(Shared::new(now(), None)));
        socket.shared.set_open();
        assert_eq!(receive(&socket), Some(vec![22, 5]), "what is open is signed");
    }

    /// One forged number, and the engine would take all that the peer sends for too old.
    #[test]
    fn rtp_in_the_peer_s_name_from_elsewhere_does_not_get_in() {
        let peer = PeerId::from_bytes([7; 16]);
        let source = sources(peer).map(Ssrc::get).next().expect("four");
        let header = [&[0x80, 96, 0x80, 1, 0, 0, 0, 9], &source.to_be_bytes()[..]].concat();
        let socket = socket_with_rtp(peer, vec![(header.clone(), 12), (header.clone(), 12)]);
        socket.asked().clear();
        socket.shared.set_open();
        assert_eq!(receive(&socket), None);
        let stats = socket.shared.tap().map(crate::rtp::Tap::stats).expect("a tap");
        assert_eq!(stats.foreign, 2);
        let again = socket_with_rtp(peer, vec![(header.clone(), 12)]);
        assert_eq!(receive(&again), Some(header));
    }

    #[test]
    fn of_a_batch_the_foreign_ones_are_taken_out_and_the_rest_close_up() {
        // Four of 3 bytes and one of 2.
        let batch = [[128, 1, 1], [22, 2, 2], [200, 3, 3], [1, 4, 4]].concat();
        let batch = [batch, vec![23, 5]].concat();
        let kept = receive(&socket([(batch, 3)])).unwrap();
        assert_eq!(kept, [22, 2, 2, 1, 4, 4, 23, 5]);
    }

    #[test]
    fn data_waits_while_it_is_held_and_comes_in_order_and_stun_overtakes_it() {
        let socket =
            socket([(vec![22, 1], 2), (vec![22, 2, 23, 3], 2), (vec![1, 4], 2), (vec![22, 5], 2)]);
        socket.shared.hold();
        assert_eq!(receive(&socket), Some(vec![1, 4]));
        assert_eq!(receive(&socket), None);
        socket.shared.release(now());
        for expected in [vec![22, 1], vec![22, 2], vec![23, 3], vec![22, 5]] {
            assert_eq!(receive(&socket), Some(expected));
        }
        assert_eq!(receive(&socket), None);
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let socket = socket((0..5_000).map(|_| (vec![22; 500], 500)));
        socket.shared.hold();
        // Each turn ends after a burst.
        for _ in 0..100 {
            assert_eq!(receive(&socket), None);
        }
        assert_eq!(socket.waiting().bytes, MAX_WAITING / 500 * 500);
        socket.shared.release(now());
        let mut got = 0;
        while receive(&socket).is_some() {
            got += 1;
        }
        assert_eq!(got, MAX_WAITING / 500);
        assert_eq!(socket.waiting().bytes, 0);
    }

    #[test]
    fn a_datagram_that_the_kernel_refuses_is_only_lost() {
        let socket = socket([]);
        assert_eq!(send(&socket, SocketAddr::from(([127, 0, 0, 1], 2)), &[22; 30]), 30);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(socket.shared.outbox().poll_leave(&mut cx).is_ready());
    }
}
