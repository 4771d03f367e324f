//! Datagrams that wait until the engine has said all that it has to say.
//!
//! The engine hands over one after the other, and joins only runs of 16 or more, or of as many
//! as the socket takes if that is less: a picture is five to ten packets, and the rest of a run
//! goes alone. Here datagrams of one length to one address that follow one another go in one
//! system call however few they are (UDP GSO). Nothing waits for longer than the engine takes to
//! come to its sleep, or to anything else that it waits for.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tracing::debug;
use webrtc::runtime::{AsyncUdpSocket, EcnCodepoint, Transmit};

/// What waits to leave a connection's sockets: one run, as the next one begins when it has left.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Run>);

/// Datagrams of one length, the last perhaps shorter, from one socket to one address.
#[derive(Default)]
struct Run {
    contents: Vec<u8>,
    way: Option<Way>,
    /// How many bytes have left.
    left: usize,
    /// They do not go together: one by one.
    singly: bool,
}

struct Way {
    socket: Arc<dyn AsyncUdpSocket>,
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    segment: usize,
    most: usize,
}

impl Outbox {
    /// Takes what is to go. Pending while what is before it cannot leave.
    pub(super) fn poll_push(
        &self,
        cx: &mut Context<'_>,
        socket: &Arc<dyn AsyncUdpSocket>,
        transmit: &Transmit<'_>,
    ) -> Poll<()> {
        let mut run = self.lock();
        if !run.takes(socket, transmit) {
            ready!(run.poll_leave(cx));
            run.begin(socket, transmit);
        }
        run.contents.extend_from_slice(transmit.contents);
        Poll::Ready(())
    }

    /// Sends all that waits. Pending while the kernel takes no more; whoever asks is woken when
    /// it does.
    pub(super) fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_leave(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Whether it goes with what waits.
    fn takes(&self, socket: &Arc<dyn AsyncUdpSocket>, transmit: &Transmit<'_>) -> bool {
        let Some(way) = &self.way else { return false };
        let (len, waiting) = (transmit.contents.len(), self.contents.len());
        Arc::ptr_eq(&way.socket, socket)
            && (way.destination, way.ecn) == (transmit.destination, transmit.ecn)
            && is_one(transmit)
            && (1..=way.segment).contains(&len)
            // A shorter one is the last.
            && waiting % way.segment == 0
            && waiting / way.segment < way.most
            && self.left == 0
    }

    fn begin(&mut self, socket: &Arc<dyn AsyncUdpSocket>, transmit: &Transmit<'_>) {
        let len = transmit.contents.len();
        self.way = Some(Way {
            socket: Arc::clone(socket),
            destination: transmit.destination,
            ecn: transmit.ecn,
            segment: transmit.segment_size.unwrap_or(len),
            // What is several already has no more after it.
            most: if is_one(transmit) { socket.max_gso_segments().min(MOST) } else { 0 },
        });
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(way) = &self.way {
            // An empty one is one, too.
            while self.left < self.contents.len().max(1) {
                let rest = &self.contents[self.left..];
                let end = if self.singly { way.segment.min(rest.len()) } else { rest.len() };
                let is_one = end <= way.segment;
                let transmit = Transmit {
                    destination: way.destination,
                    ecn: way.ecn,
                    contents: &rest[..end],
                    segment_size: (!is_one).then_some(way.segment),
                    src_ip: None,
                };
                match ready!(way.socket.poll_send(cx, &transmit)) {
                    Ok(_) => self.left += end.max(1),
                    // A device without checksums of its own, or a path whose packets are smaller,
                    // refuses what it takes one by one.
                    Err(error) if !is_one => {
                        debug!(%error, "a run is sent one by one");
                        self.singly = true;
                    }
                    Err(error) => {
                        debug!(%error, "a datagram is lost at once");
                        self.left += end.max(1);
                    }
                }
            }
        }
        self.contents.clear();
        (self.way, self.left, self.singly) = (None, 0, false);
        Poll::Ready(())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.contents.len().saturating_sub(self.left);
        f.debug_struct("Run").field("bytes", &bytes).finish_non_exhaustive()
    }
}

fn is_one(transmit: &Transmit<'_>) -> bool {
    transmit.segment_size.is_none_or(|segment| transmit.contents.len() <= segment)
}

/// Datagrams of one run. Measured, of 1,200 bytes: 3.1 µs each one by one, 0.93 by eights, 0.75 by
/// sixteens. A receiver whose buffer is full loses a whole run, so it is no longer than that.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use std::io::{self, IoSliceMut};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Waker;

    use webrtc::runtime::RecvMeta;

    use super::*;

    /// Keeps what it is given: to whom, of how many bytes, cut at which.
    #[derive(Debug, Default)]
    struct Wire {
        sent: Mutex<Vec<(u16, usize, Option<usize>)>>,
        bytes: Mutex<Vec<u8>>,
        refuses_runs: bool,
        is_full: AtomicBool,
    }

    impl AsyncUdpSocket for Wire {
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
        }

        fn max_gso_segments(&self) -> usize {
            64
        }

        fn poll_send(
            &self,
            cx: &mut Context<'_>,
            transmit: &Transmit<'_>,
        ) -> Poll<io::Result<usize>> {
            if self.is_full.load(Ordering::Relaxed) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.refuses_runs && transmit.segment_size.is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            let (to, len) = (transmit.destination.port(), transmit.contents.len());
            self.sent.lock().unwrap().push((to, len, transmit.segment_size));
            self.bytes.lock().unwrap().extend(transmit.contents);
            Poll::Ready(Ok(len))
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            _: &mut [IoSliceMut<'_>],
            _: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    /// Hands over one datagram each: to whom, and how long.
    fn push(outbox: &Outbox, wire: &Arc<Wire>, datagrams: &[(u16, usize)]) -> Vec<u8> {
        let socket: Arc<dyn AsyncUdpSocket> = Arc::clone(wire) as _;
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        for (at, (to, len)) in datagrams.iter().enumerate() {
            let contents = vec![at as u8; *len];
            let transmit = Transmit {
                destination: SocketAddr::from(([127, 0, 0, 1], *to)),
                ecn: None,
                contents: &contents,
                segment_size: None,
                src_ip: None,
            };
            assert!(outbox.poll_push(&mut cx, &socket, &transmit).is_ready());
            all.extend(contents);
        }
        all
    }

    fn leave(outbox: &Outbox) -> Poll<()> {
        outbox.poll_leave(&mut Context::from_waker(Waker::noop()))
    }

    fn sent(wire: &Wire) -> Vec<(u16, usize, Option<usize>)> {
        std::mem::take(&mut wire.sent.lock().unwrap())
    }

    #[test]
    fn datagrams_of_one_length_that_follow_one_another_leave_in_one_call_and_in_order() {
        let (outbox, wire) = (Outbox::default(), Arc::<Wire>::default());
        let all = push(&outbox, &wire, &[(7, 100), (7, 100), (7, 100), (7, 60)]);
        assert_eq!(sent(&wire), []);
        assert!(leave(&outbox).is_ready());
        assert_eq!(sent(&wire), [(7, 360, Some(100))]);
        assert_eq!(*wire.bytes.lock().unwrap(), all);
        assert!(leave(&outbox).is_ready());
        assert_eq!(sent(&wire), []);
    }

    #[test]
    fn a_run_ends_at_a_shorter_one_before_a_longer_one_and_at_another_address() {
        let (outbox, wire) = (Outbox::default(), Arc::<Wire>::default());
        let datagrams = [(7, 50), (7, 40), (7, 40), (7, 41), (7, 41), (8, 41), (8, 41), (7, 41)];
        let all = push(&outbox, &wire, &datagrams);
        assert!(leave(&outbox).is_ready());
        let expected =
            [(7, 90, Some(50)), (7, 40, None), (7, 82, Some(41)), (8, 82, Some(41)), (7, 41, None)];
        assert_eq!(sent(&wire), expected);
        assert_eq!(*wire.bytes.lock().unwrap(), all);
    }

    #[test]
    fn a_run_is_no_longer_than_the_most() {
        let (outbox, wire) = (Outbox::default(), Arc::<Wire>::default());
        let all = push(&outbox, &wire, &[(7, 10); 2 * MOST + 1]);
        assert!(leave(&outbox).is_ready());
        let most = (7, 10 * MOST, Some(10));
        assert_eq!(sent(&wire), [most, most, (7, 10, None)]);
        assert_eq!(*wire.bytes.lock().unwrap(), all);
    }

    #[test]
    fn a_run_that_is_refused_goes_one_by_one() {
        let (outbox, wire) =
            (Outbox::default(), Arc::new(Wire { refuses_runs: true, ..Wire::default() }));
        let all = push(&outbox, &wire, &[(7, 10), (7, 10), (7, 3), (7, 20)]);
        assert!(leave(&outbox).is_ready());
        assert_eq!(sent(&wire), [(7, 10, None), (7, 10, None), (7, 3, None), (7, 20, None)]);
        assert_eq!(*wire.bytes.lock().unwrap(), all);
    }

    #[test]
    fn while_the_kernel_takes_nothing_what_goes_with_it_is_taken_and_what_does_not_waits() {
        let (outbox, wire) = (Outbox::default(), Arc::<Wire>::default());
        wire.is_full.store(true, Ordering::Relaxed);
        let mut all = push(&outbox, &wire, &[(7, 10), (7, 10)]);
        assert!(leave(&outbox).is_pending());
        all.extend(push(&outbox, &wire, &[(7, 10)]));
        let socket: Arc<dyn AsyncUdpSocket> = Arc::clone(&wire) as _;
        let transmit = Transmit {
            destination: SocketAddr::from(([127, 0, 0, 1], 8)),
            ecn: None,
            contents: &[1; 10],
            segment_size: None,
            src_ip: None,
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_push(&mut cx, &socket, &transmit).is_pending());
        wire.is_full.store(false, Ordering::Relaxed);
        assert!(leave(&outbox).is_ready());
        assert_eq!(sent(&wire), [(7, 30, Some(10))]);
        assert_eq!(*wire.bytes.lock().unwrap(), all);
    }
}
