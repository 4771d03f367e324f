//! The runtime that makes the engine open fast and read bursts: what `paceline-transport`
//! gives it, by hand.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit,
};

type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tokio with short sleeps until the channel is open.
#[derive(Debug)]
pub(super) struct Tuned {
    pub(super) open: Arc<AtomicBool>,
    /// Datagrams in one send at most; `None` leaves that to the engine.
    pub(super) batch: Option<usize>,
}

const TOKIO: &TokioRuntime = &TokioRuntime;

impl Runtime for Tuned {
    fn spawn(&self, future: Soon<'static, ()>) -> Box<dyn JoinHandle> {
        TOKIO.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        grow_receive_buffer(&socket)?;
        let socket = TOKIO.wrap_udp_socket(socket)?;
        Ok(match self.batch {
            Some(batch) => Arc::new(Batched { socket, batch }),
            None => socket,
        })
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TOKIO.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Soon<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        TOKIO.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Soon<'a, io::Result<Vec<SocketAddr>>> {
        TOKIO.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Soon<'static, ()> {
        let open = self.open.load(Ordering::Acquire);
        TOKIO.sleep(if open { duration } else { duration.min(Duration::from_millis(2)) })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TOKIO.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TOKIO.block_on(future);
    }

    fn yield_now(&self) -> Soon<'static, ()> {
        TOKIO.yield_now()
    }

    fn name(&self) -> &'static str {
        "tuned"
    }
}

/// A socket that makes the engine send few datagrams at once. The engine does so from 16 on,
/// which a picture seldom has, or from as many as the socket takes, if those are fewer.
#[derive(Debug)]
struct Batched {
    socket: Arc<dyn AsyncUdpSocket>,
    batch: usize,
}

impl AsyncUdpSocket for Batched {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, sent: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, sent)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, buffers, meta)
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments().min(self.batch)
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

/// 4 MiB where we may, else as much as anybody gets.
pub(super) fn grow_receive_buffer(socket: &UdpSocket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};

    const BYTES: usize = 4 << 20;
    if setsockopt(socket, sockopt::RcvBufForce, &BYTES).is_ok() {
        return Ok(());
    }
    socket2::SockRef::from(socket).set_recv_buffer_size(BYTES)
}
