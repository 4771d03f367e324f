//! Tokio for the engine, with what its own runtime lacks.
//!
//! * **Rounds until open.** Three messages of a handshake (the DTLS ClientHello, the
//!   SCTP INIT, the channel's OPEN) are queued after the engine's last write and leave
//!   only at its next tick, 200 ms later: 604 ms on loopback for 4 ms of work.
//!   So while a connection opens, or looks for a path, the engine's sleep is
//!   over at once a few times after each arrival, and then doubles. Nothing ticks.
//! * **A clock that skips.** What the engine would wait for without a reason, in a
//!   restart, has passed already ([`Shared::ahead`]).
//! * **A passenger.** The engine's task also carries our messages ([`Carrier`]).
//! * **A receive buffer.** Nothing in the engine sets `SO_RCVBUF`.
//! * **A door** before each socket ([`Socket`]), and one system call for what leaves together
//!   ([`Outbox`](super::outbox::Outbox)).

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::carrier::Carrier;
use super::media::{Delivery, Nap};
use super::shared::Shared;
use super::socket::Socket;

/// The runtime of one connection.
pub(super) struct Tuned {
    shared: Arc<Shared>,
    receive_buffer: usize,
    /// Gets on with the first task that is spawned, which is the engine's loop.
    passenger: Mutex<Option<Carrier>>,
}

impl Tuned {
    pub(super) fn new(shared: Arc<Shared>, receive_buffer: usize, passenger: Carrier) -> Self {
        Self { shared, receive_buffer, passenger: Mutex::new(Some(passenger)) }
    }
}

impl fmt::Debug for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuned").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Runtime for Tuned {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        let passenger = self.passenger.lock().unwrap_or_else(PoisonError::into_inner).take();
        TokioRuntime.spawn(match passenger {
            Some(carrier) => {
                let delivery = self.shared.has_tap().then(|| Delivery {
                    shared: Arc::clone(&self.shared),
                    reporter: carrier.reporter.clone(),
                });
                let carrier: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(carrier.run());
                let shared = Arc::clone(&self.shared);
                Box::pin(Ride { engine: future, carrier: Some(carrier), delivery, shared })
            }
            None => future,
        })
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        grow_receive_buffer(&socket, self.receive_buffer)?;
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(Socket::new(inner, Arc::clone(&self.shared))))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        // `TokioRuntime` is a unit: a promoted constant outlives the borrow.
        const TOKIO: &TokioRuntime = &TokioRuntime;
        TOKIO.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        const TOKIO: &TokioRuntime = &TokioRuntime;
        TOKIO.resolve_host(host)
    }

    #[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
    fn now(&self) -> Instant {
        Instant::now() + self.shared.ahead()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        // All that it had to send it has sent. What the kernel does not take yet is tried again
        // when the task's turn ends.
        let _ = self.shared.outbox().poll_leave(&mut Context::from_waker(Waker::noop()));
        let duration = self.shared.nap(duration);
        // A timer of tokio's is late by up to a millisecond, also one of nothing.
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let sleep = TokioRuntime.sleep(duration);
        if self.shared.has_tap() {
            return Box::pin(Nap { sleep, shared: Arc::clone(&self.shared) });
        }
        sleep
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "paceline"
    }
}

/// The engine's loop and what carries messages and RTP, as one task that ends with the loop.
struct Ride {
    engine: Pin<Box<dyn Future<Output = ()> + Send>>,
    carrier: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Of RTP, where it may be carried.
    delivery: Option<Delivery>,
    shared: Arc<Shared>,
}

impl Ride {
    fn carry(&mut self, cx: &mut Context<'_>) {
        if self.carrier.as_mut().is_some_and(|carrier| carrier.as_mut().poll(cx).is_ready()) {
            self.carrier = None;
        }
        if let Some(delivery) = &self.delivery {
            delivery.run();
        }
    }
}

impl Future for Ride {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // What was handed over is with the engine before it looks for something to
        // write, and what it found in the datagrams it read is told at once.
        self.carry(cx);
        let ended = self.engine.as_mut().poll(cx);
        self.carry(cx);
        // If the kernel takes no more, it wakes this task when it does; of an engine that has
        // ended that is lost.
        let _ = self.shared.outbox().poll_leave(cx);
        ended
    }
}

/// As large as asked where we may, else as large as the kernel allows anybody: less
/// than asked is no failure.
fn grow_receive_buffer(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};

        if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_ok() {
            return Ok(());
        }
    }
    socket2::SockRef::from(socket).set_recv_buffer_size(bytes)
}
