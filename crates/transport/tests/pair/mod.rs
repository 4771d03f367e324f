//! Two transports that signal to each other, over loopback or over a link of ours.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod link;
pub(crate) mod packet;

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::{
    Bitrate, Carrier, ConnectionEvent, ConnectionOp, PacketKind, PeerId, Signal,
};
use paceline_transport::{SendError, Transport, WebRtc, WebRtcConfig};

use self::link::Link;

pub(crate) const A: PeerId = PeerId::from_bytes([1; 16]);
pub(crate) const B: PeerId = PeerId::from_bytes([2; 16]);

/// One end, and what it was told.
pub(crate) struct Side {
    pub(crate) transport: WebRtc,
    /// The other end.
    pub(crate) peer: PeerId,
    pub(crate) open: bool,
    pub(crate) closed: Option<String>,
    pub(crate) acked: usize,
    pub(crate) messages: Vec<Bytes>,
    pub(crate) rtp: Vec<Bytes>,
    pub(crate) rtcp: Vec<Bytes>,
    pub(crate) targets: Vec<Bitrate>,
    pub(crate) paths: Vec<bool>,
    /// What it wants told to the other end and was not brought there yet.
    pub(crate) signals: Vec<Signal>,
}

impl Side {
    fn new(peer: PeerId, config: WebRtcConfig) -> Self {
        Self {
            transport: WebRtc::new(config),
            peer,
            open: false,
            closed: None,
            acked: 0,
            messages: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            targets: Vec::new(),
            paths: Vec::new(),
            signals: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, op: ConnectionOp) {
        self.transport.apply(Instant::now(), self.peer, op);
    }

    pub(crate) fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.transport.try_send(Instant::now(), self.peer, PacketKind::Message, message.into())
    }

    pub(crate) fn send_rtp(&mut self, packet: Bytes) -> Result<(), SendError> {
        self.transport.try_send(Instant::now(), self.peer, PacketKind::Rtp, packet)
    }

    pub(crate) fn send_rtcp(&mut self, compound: Bytes) -> Result<(), SendError> {
        self.transport.try_send(Instant::now(), self.peer, PacketKind::Rtcp, compound)
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.transport.outstanding(self.peer)
    }

    /// Takes what it was told.
    pub(crate) fn drain(&mut self) {
        while let Some((peer, event)) = self.transport.poll_event() {
            assert_eq!(peer, self.peer);
            match event {
                ConnectionEvent::Acked(bytes) => {
                    assert!(bytes > 0, "an acknowledgement of nothing");
                    self.acked += bytes;
                }
                ConnectionEvent::Closed { reason } => self.closed = Some(reason),
                ConnectionEvent::Local(signal) => self.signals.push(signal),
                ConnectionEvent::Message(message) => self.messages.push(message),
                ConnectionEvent::Open => self.open = true,
                ConnectionEvent::Path { up } => {
                    assert!(self.open, "a path before the channel is open");
                    self.paths.push(up);
                }
                ConnectionEvent::Rtcp(compound) => self.rtcp.push(compound),
                ConnectionEvent::Rtp(packet) => self.rtp.push(packet),
                ConnectionEvent::Target(target) => self.targets.push(target),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Two ends, and what is between them.
pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) link: Option<Link>,
}

impl Pair {
    pub(crate) fn new(config: WebRtcConfig, link: Option<Link>) -> Self {
        let (a, b) = (config.clone().local_peer(A), config.local_peer(B));
        Self { a: Side::new(B, a), b: Side::new(A, b), link }
    }

    /// Two ends that are made as these say, the first of which calls.
    pub(crate) fn of(a: WebRtcConfig, b: WebRtcConfig, link: Option<Link>) -> Self {
        let (a, b) = (a.local_peer(A), b.local_peer(B));
        Self { a: Side::new(B, a), b: Side::new(A, b), link }
    }

    /// Both ends of an open connection that carries RTP.
    pub(crate) async fn rtp(link: Option<Link>) -> Self {
        Self::new(rtp_config(), link).opened().await
    }

    /// Both ends of an open channel on loopback.
    pub(crate) async fn open() -> Self {
        Self::new(WebRtcConfig::default(), None).opened().await
    }

    /// Both ends of an open channel that goes through a link.
    pub(crate) async fn over(link: Link) -> Self {
        Self::new(WebRtcConfig::default(), Some(link)).opened().await
    }

    pub(crate) async fn opened(mut self) -> Self {
        self.a.apply(ConnectionOp::Call);
        self.until(|a, b| a.open && b.open).await;
        self
    }

    /// Brings each what the other wants told.
    pub(crate) fn bring(&mut self) {
        let Self { a, b, link } = self;
        for signal in a.signals.drain(..).map(|signal| rewritten(link, true, signal)) {
            b.apply(ConnectionOp::Remote(signal));
        }
        for signal in b.signals.drain(..).map(|signal| rewritten(link, false, signal)) {
            a.apply(ConnectionOp::Remote(signal));
        }
    }

    /// Waits until either end has something, and takes it.
    pub(crate) async fn turn(&mut self) {
        tokio::select! {
            () = self.a.transport.ready() => {}
            () = self.b.transport.ready() => {}
        }
        self.a.drain();
        self.b.drain();
    }

    /// Lets both ends work until `done`; the watchdog is 20 s.
    pub(crate) async fn until(&mut self, done: impl Fn(&Side, &Side) -> bool) {
        let work = async {
            while !done(&self.a, &self.b) {
                self.turn().await;
                self.bring();
            }
        };
        tokio::time::timeout(WATCHDOG, work).await.expect("the pair is stuck");
    }

    pub(crate) async fn shutdown(mut self) {
        self.a.transport.shutdown().await;
        self.b.transport.shutdown().await;
    }
}

/// Connections that carry RTP.
pub(crate) fn rtp_config() -> WebRtcConfig {
    WebRtcConfig::default().carrier(Carrier::Rtp)
}

fn rewritten(link: &Option<Link>, first: bool, mut signal: Signal) -> Signal {
    if let Some(link) = link {
        link.rewrite(first, &mut signal);
    }
    signal
}

/// A message that says its number, and of which no byte is forgotten.
pub(crate) fn numbered(number: u32, len: usize) -> Bytes {
    let mut message: Vec<u8> = (0..len).map(|at| (at as u32 ^ number) as u8).collect();
    message[..4].copy_from_slice(&number.to_be_bytes());
    message.into()
}

/// All of these came, once, in this order, whole.
pub(crate) fn assert_numbered(messages: &[Bytes], count: u32, len: usize) {
    for (number, message) in (0..).zip(messages) {
        assert_eq!(message, &numbered(number, len), "message {number}");
    }
    assert_eq!(messages.len(), count as usize);
}

pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);
