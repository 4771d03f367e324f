//! A TCP listener whose connections must finish their handshake in time.
//!
//! Until the server has written its first byte, which is the answer to a whole
//! request, a connection is nobody's: it has as long as a client has to announce
//! itself, and counts against the most connections there may be.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Sleep};
use tracing::debug;

#[derive(Debug)]
pub(crate) struct Timed {
    inner: TcpListener,
    handshake: Duration,
    places: Arc<Semaphore>,
}

impl Timed {
    /// Lets `max_connections` be open at once, and closes more as they come; each
    /// has the time `handshake` for its HTTP request.
    pub(crate) fn new(inner: TcpListener, max_connections: usize, handshake: Duration) -> Self {
        let max = max_connections.min(Semaphore::MAX_PERMITS);
        Self { inner, handshake, places: Arc::new(Semaphore::new(max)) }
    }
}

impl Listener for Timed {
    type Io = TimedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TimedStream, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.inner).await;
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                debug!("connection is refused: there are too many");
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "small messages may be delayed");
            }
            let handshake = Some(Box::pin(time::sleep(self.handshake)));
            return (TimedStream { stream, handshake, _place: place }, addr);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[derive(Debug)]
pub(crate) struct TimedStream {
    stream: TcpStream,
    /// Until something has been written.
    handshake: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let late = self.handshake.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
        if late {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.handshake = None;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
