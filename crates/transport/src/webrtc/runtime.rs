//! Tokio for the engine, with the two things that its own runtime lacks.
//!
//! * **Wake-ups until open.** Three messages of a handshake (the DTLS
//!   ClientHello, the SCTP INIT, the channel's OPEN) are queued after the
//!   driver's last write and leave only at the next 200 ms ICE tick: 604 ms on
//!   loopback for 4 ms of work. Capping each sleep at 2 ms until the channel is
//!   open brings that to 12 ms, and costs nothing afterwards.
//! * **A receive buffer.** Nothing in the engine sets `SO_RCVBUF`.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::Shared;

/// The runtime of one connection.
#[derive(Debug)]
pub(super) struct Tuned {
    pub(super) shared: Arc<Shared>,
    pub(super) receive_buffer: usize,
}

impl Runtime for Tuned {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        grow_receive_buffer(&socket, self.receive_buffer)?;
        TokioRuntime.wrap_udp_socket(socket)
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

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let open = self.shared.open.load(Ordering::Acquire);
        TokioRuntime.sleep(if open { duration } else { duration.min(OPENING_TICK) })
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

/// Longest sleep of the driver while a connection opens. Measured: 2 ms gives
/// 12 ms from offer to open channel on loopback where 200 ms gives 604.
const OPENING_TICK: Duration = Duration::from_millis(2);
