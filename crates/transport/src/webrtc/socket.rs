//! A socket that lets in what a data connection can use, and holds traffic back
//! while a path is looked for anew.
//!
//! * **A door.** One socket carries everything, told apart by the first byte
//!   (RFC 7983 §7). A connection that has data channels only has no use for RTP and
//!   RTCP, so they are dropped here, before the engine has spent anything on them.
//! * **A waiting room.** When ICE restarts, the engine forgets its pair and drops what
//!   comes until there is a new one. What is dropped costs SCTP a retransmission
//!   timeout of at least a second, for a restart that takes two round trips. So
//!   it waits here, bounded, and goes in when there is a pair.
//! * **A shrug.** A datagram that the kernel refuses is a datagram lost, as it would
//!   be a hop later; a path that is down is for ICE to notice.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tracing::{debug, trace};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::shared::Shared;

/// A socket of one connection.
#[derive(Debug)]
pub(super) struct Socket {
    inner: Arc<dyn AsyncUdpSocket>,
    shared: Arc<Shared>,
    waiting: Mutex<WaitingRoom>,
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
    /// Nothing that a data connection has a use for.
    Foreign,
    /// STUN and TURN channels, which look for paths and keep them.
    Stun,
}

impl Kind {
    fn of(first: u8) -> Self {
        match first {
            0..=3 | 64..=79 => Self::Stun,
            20..=63 => Self::Dtls,
            _ => Self::Foreign,
        }
    }
}

impl Socket {
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, shared: Arc<Shared>) -> Self {
        Self { inner, shared, waiting: Mutex::default() }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, WaitingRoom> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (stride, mut kept) = (meta.stride.max(1), 0);
        if meta.len > 0 && Kind::of(buf[0]) == Kind::Dtls {
            self.shared.note_data(now());
        }
        for start in (0..meta.len).step_by(stride) {
            let end = (start + stride).min(meta.len);
            match Kind::of(buf[start]) {
                Kind::Dtls if held => self.hold(&buf[start..end], meta),
                Kind::Foreign => trace!(from = %meta.addr, "dropped what is no data"),
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
        self.inner.poll_send(cx, transmit).map(|sent| {
            sent.or_else(|error| {
                debug!(%error, "a datagram is lost at once");
                Ok(transmit.contents.len())
            })
        })
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
        self.inner.max_gso_segments().min(BATCH)
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

/// Datagrams that leave in one system call (UDP GSO). The engine batches only runs that
/// are as long as this, up to 16, and a message of 4 KiB is four datagrams. Measured by
/// `make bench-fanout`: 100 viewers of 60 such messages a second cost 0.90 of the
/// processor time that single sends do, and bulk goes at 1.5 times the rate; 8 and 16 gain
/// less.
const BATCH: usize = 4;

/// Datagrams turned away in a row before others have their turn: the engine's own
/// burst.
const MAX_TURNED_AWAY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

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

    fn socket(batches: impl IntoIterator<Item = (Vec<u8>, usize)>) -> Socket {
        let pipe = Pipe(Mutex::new(batches.into_iter().collect()));
        Socket::new(Arc::new(pipe), Arc::new(Shared::new(now())))
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
        let contents = [22; 30];
        let transmit = Transmit {
            destination: SocketAddr::from(([127, 0, 0, 1], 2)),
            ecn: None,
            contents: &contents,
            segment_size: None,
            src_ip: None,
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(sent) = socket([]).poll_send(&mut cx, &transmit) else { panic!("sent") };
        assert_eq!(sent.unwrap(), 30);
    }
}
