//! Datagrams, and when they came.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::Failure;
use crate::stop::Event;

/// A datagram, and when the kernel took it, since the beginning of 1970.
pub(crate) type Datagram = (Duration, Bytes);

/// A socket and the thread that empties it. It ends with this.
#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    /// Takes what senders of RTP send to the port above, and is not looked at.
    _control: UdpSocket,
    thread: Option<JoinHandle<Result<Vec<Datagram>, Failure>>>,
}

impl Receiver {
    /// On a port that the system chooses. That the first datagram came is told.
    pub(crate) fn start(teller: Sender<Event>) -> Result<Self, Failure> {
        let (socket, control) = pair()?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // More than `rmem_max` is for root; without it a burst of 200 KiB still fits.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        let port = socket.local_addr()?.port();
        let thread = thread::Builder::new()
            .name("receiver".into())
            .spawn(move || receive(&socket, || teller.send(Event::Came(port))))?;
        Ok(Self { port, _control: control, thread: Some(thread) })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Ends, and gives what came.
    pub(crate) fn end(mut self) -> Result<Vec<Datagram>, Failure> {
        self.tell_to_end()?;
        let thread = self.thread.take().ok_or("it has ended")?;
        thread.join().map_err(|_| "the receiver has panicked")?
    }

    /// A datagram of no bytes is the sign.
    fn tell_to_end(&self) -> io::Result<()> {
        UdpSocket::bind(("127.0.0.1", 0))?.send_to(&[], ("127.0.0.1", self.port)).map(drop)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.thread.is_some()
            && let Err(error) = self.tell_to_end()
        {
            eprintln!("the receiver cannot be ended: {error}");
        }
    }
}

/// Two sockets, the second on the port above the first (RFC 3550 §11).
fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..50 {
        let first = UdpSocket::bind(("127.0.0.1", 0))?;
        let above = first.local_addr()?.port().checked_add(1);
        match above.map(|port| UdpSocket::bind(("127.0.0.1", port))) {
            Some(Ok(second)) => return Ok((first, second)),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
    Err(last)
}

fn receive<E>(
    socket: &UdpSocket,
    tell: impl FnOnce() -> Result<(), E>,
) -> Result<Vec<Datagram>, Failure> {
    let mut tell = Some(tell);
    let mut all = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut control = cmsg_space!(TimeSpec);
    loop {
        let (len, stamp) = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let fd = socket.as_raw_fd();
            let message =
                recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
            let stamp = message.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            });
            (message.bytes, stamp)
        };
        if len == 0 {
            return Ok(all);
        }
        let stamp = stamp.ok_or("the kernel stamps no datagrams")?;
        all.push((stamp, Bytes::copy_from_slice(&buffer[..len])));
        if let Some(tell) = tell.take() {
            // Nobody may be waiting any more.
            let _ = tell();
        }
    }
}

/// Bytes that may wait: more than the first picture has, at any of the bitrates.
const BUFFER: usize = 8 << 20;
