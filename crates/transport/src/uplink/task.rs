//! The socket and the clock of one uplink.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_types::{ConnectionEvent, ConnectionOp, Signal};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, trace};

use super::clock::{now, sleep_until};
use super::config::UplinkConfig;
use super::engine::Engine;
use super::mailbox::{Mailbox, Phase};
use super::owner::{Handed, TaskEnd};

/// Lives as long as the uplink; its last words are `Closed`, unless it was told to close.
pub(super) async fn run(
    config: UplinkConfig,
    end: TaskEnd,
    mut ops: mpsc::UnboundedReceiver<ConnectionOp>,
) {
    let TaskEnd { mailbox, mut packets } = end;
    let (socket, engine) = match open(&config).await {
        Ok(opened) => opened,
        Err(error) => {
            let reason = format!("no connection could be made at {}: {error}", config.bind);
            return mailbox.tell(ConnectionEvent::Closed { reason });
        }
    };
    let mut driver = Driver {
        socket,
        engine,
        mailbox,
        last_timeout: now(),
        opened: false,
        give_up: None,
        waits: false,
    };
    let first_target = config.rates.first_target();
    // What was congested is told before anything is known: the owner has a rate to begin at.
    driver.mailbox.count(|stats| stats.target = first_target);
    let reason = driver.drive(&config, &mut ops, &mut packets).await.err();
    driver.engine.close();
    driver.transmit().await;
    match reason {
        Some(reason) => driver.mailbox.tell(ConnectionEvent::Closed { reason }),
        None => driver.mailbox.close(),
    }
}

async fn open(
    config: &UplinkConfig,
) -> Result<(UdpSocket, Engine), Box<dyn std::error::Error + Send + Sync>> {
    let socket = UdpSocket::bind(SocketAddr::new(config.bind, 0)).await?;
    let engine = Engine::new(now(), config, socket.local_addr()?.port())?;
    Ok((socket, engine))
}

struct Driver {
    socket: UdpSocket,
    engine: Engine,
    mailbox: Arc<Mailbox>,
    last_timeout: Instant,
    opened: bool,
    /// When an uplink that is not open by then is given up.
    give_up: Option<Instant>,
    /// What is in the queue may have waited for a path.
    waits: bool,
}

/// What woke a driver.
enum Woken {
    Deadline,
    Op(Option<ConnectionOp>),
    Packet(Handed),
    Received(std::io::Result<(usize, SocketAddr)>),
}

impl Driver {
    /// Until it is told to close. The error is the reason to.
    async fn drive(
        &mut self,
        config: &UplinkConfig,
        ops: &mut mpsc::UnboundedReceiver<ConnectionOp>,
        packets: &mut mpsc::Receiver<Handed>,
    ) -> Result<(), String> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            self.engine.settle(now(), &self.mailbox)?;
            self.transmit().await;
            if self.mailbox.is(Phase::Open) && !self.opened {
                (self.opened, self.give_up) = (true, None);
                self.mailbox.tell(ConnectionEvent::Target(self.mailbox.stats(0).target));
            }
            // What waits for a path waits in the queue, and who sends is told that it is full.
            let sends = self.mailbox.is(Phase::Open) && self.engine.has_path();
            self.waits |= !sends;
            let deadline = self.deadline();
            let woken = tokio::select! {
                op = ops.recv() => Woken::Op(op),
                Some(packet) = packets.recv(), if sends => Woken::Packet(packet),
                received = self.socket.recv_from(&mut buffer) => Woken::Received(received),
                () = sleep_until(deadline) => Woken::Deadline,
            };
            match woken {
                Woken::Op(None | Some(ConnectionOp::Close)) => return Ok(()),
                Woken::Op(Some(op)) => self.apply(config, op)?,
                Woken::Packet(packet) => {
                    let now = now();
                    self.send(now, packet);
                    for _ in 1..BATCH {
                        let Ok(packet) = packets.try_recv() else { break };
                        self.send(now, packet);
                    }
                    self.waits &= !packets.is_empty();
                }
                Woken::Received(received) => self.receive(received, &mut buffer),
                Woken::Deadline => {
                    let now = now();
                    if self.give_up.is_some_and(|at| at <= now) {
                        return Err(format!("not connected within {:?}", config.connect_timeout));
                    }
                    self.last_timeout = now;
                    self.engine.handle_timeout(now);
                }
            }
        }
    }

    /// The earliest of all deadlines. One that has passed already is not handled twice within
    /// a millisecond: no timer of the engine's is finer.
    fn deadline(&mut self) -> Option<Instant> {
        let engine = self.engine.poll_timeout().map(|due| due.max(self.last_timeout + FINEST));
        engine.into_iter().chain(self.give_up).min()
    }

    fn send(&mut self, now: Instant, (at, (kind, bytes)): Handed) {
        if self.waits && now.saturating_duration_since(at) > STALE {
            return self.mailbox.count(|stats| stats.stale += 1);
        }
        self.engine.send(now, kind, bytes, &self.mailbox);
    }

    fn receive(&mut self, mut received: std::io::Result<(usize, SocketAddr)>, buffer: &mut [u8]) {
        let now = now();
        for _ in 0..BATCH {
            match received {
                Ok((len, from)) => {
                    self.engine.handle_datagram(now, unmapped(from), &buffer[..len]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // The echo of a datagram that did not arrive: ICE notices by itself.
                Err(error) => trace!(%error, "receiving"),
            }
            received = self.socket.try_recv_from(buffer);
        }
    }

    fn apply(&mut self, config: &UplinkConfig, op: ConnectionOp) -> Result<(), String> {
        let now = now();
        let done = match op {
            ConnectionOp::Call => self.engine.call(now),
            ConnectionOp::RestartIce => self.engine.restart(),
            ConnectionOp::Rollback => {
                self.engine.roll_back();
                Ok(None)
            }
            ConnectionOp::Remote(Signal::Answer { sdp }) => {
                if self.mailbox.is(Phase::Opening) && self.give_up.is_none() {
                    self.give_up = now.checked_add(config.connect_timeout);
                }
                self.engine.answer(now, sdp).map(|()| None)
            }
            ConnectionOp::Remote(Signal::Candidate { candidate, .. }) => {
                self.engine.candidate(candidate).map(|()| None)
            }
            _ => Ok(None),
        };
        let signal = done.map_err(|error| format!("the engine refused: {error}"))?;
        if let Some(signal) = signal {
            self.mailbox.tell(ConnectionEvent::Local(signal));
        }
        Ok(())
    }

    async fn transmit(&mut self) {
        while let Some((to, datagram)) = self.engine.poll_transmit() {
            // A datagram that the kernel refuses is a datagram lost, as it would be a hop later.
            if let Err(error) = self.socket.send_to(&datagram, to).await {
                debug!(%error, %to, "a datagram is lost at once");
            }
        }
    }
}

/// A socket of both families names addresses of IPv4 in IPv6.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(ip.into(), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// The largest datagram that is read: what is sent to us is handshakes, checks and RTCP.
const MAX_DATAGRAM: usize = 4 << 10;

/// Packets or datagrams in one turn, before others have theirs.
const BATCH: usize = 32;

/// What waited for a path for longer than this is not sent when there is one: receivers play
/// what is later than a picture or two no more, and all of it at once would fill the new path's
/// queue.
const STALE: Duration = Duration::from_millis(200);

/// Below what the engine has timers for.
const FINEST: Duration = Duration::from_millis(1);
