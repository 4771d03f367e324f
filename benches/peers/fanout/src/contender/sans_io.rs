//! `str0m`: one socket and one loop for the whole host, as its examples do; a socket and a
//! task for each viewer. It holds what it holds by default, 128 KiB a peer: with more it
//! gets slower, as it looks through all that is in flight for each packet.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::ChannelId;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::tuned::grow_receive_buffer;
use super::{Fan, Gate, Joined, Losses, OPEN, Scene, Step, Teller, sleep_until};
use crate::record::Recorder;

/// A viewer's offer, and the way back.
struct Call {
    viewer: usize,
    from: SocketAddr,
    offer: SdpOffer,
    answer: oneshot::Sender<SdpAnswer>,
}

pub(super) async fn join(scene: &Scene) -> Result<Joined, String> {
    let mut gate = Gate::new(scene.viewers, OPEN.len());
    str0m::crypto::from_feature_flags().install_process_default();
    let socket = bind().map_err(|error| error.to_string())?;
    let local = socket.local_addr().map_err(|error| error.to_string())?;
    let (calls, incoming) = mpsc::unbounded_channel();
    for viewer in 0..scene.viewers {
        let (teller, recorder) = (gate.teller(), Arc::clone(&scene.recorder));
        let calls = calls.clone();
        scene.places.of(viewer).spawn(async move {
            if let Err(error) = view(viewer, calls, teller, recorder).await {
                eprintln!("viewer {viewer}: {error}");
            }
        });
    }
    let mut host = Host {
        socket,
        local,
        peers: Vec::new(),
        by_address: HashMap::new(),
        by_viewer: vec![None; scene.viewers],
        incoming,
        teller: gate.teller(),
        buffer: vec![0; DATAGRAM],
        losses: Losses::default(),
    };
    let forever = Instant::now() + Duration::from_secs(3_600);
    // The gate gives up by itself.
    tokio::select! {
        () = gate.wait() => {}
        () = host.run_until(forever) => {}
    }
    let open_ms = gate.times(OPEN);
    Ok(Joined { fan: Box::new(host), open_ms, hello_ms: Vec::new() })
}

fn bind() -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    grow_receive_buffer(&socket)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// One connection and when it wants to be called.
struct Peer {
    viewer: usize,
    rtc: Rtc,
    channel: Option<ChannelId>,
    due: Instant,
}

impl Peer {
    fn new(viewer: usize, local: SocketAddr) -> Result<Self, RtcError> {
        let now = Instant::now();
        let mut rtc = Rtc::new(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        Ok(Self { viewer, rtc, channel: None, due: now })
    }

    /// Does what the machine asks for until it asks for nothing.
    async fn drain(
        &mut self,
        socket: &UdpSocket,
        mut on_event: impl FnMut(usize, Event),
    ) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(due) => {
                    self.due = due;
                    return Ok(());
                }
                Output::Transmit(packet) => {
                    // A packet that the kernel refuses is a packet lost.
                    let _ = match socket.try_send_to(&packet.contents, packet.destination) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            socket.send_to(&packet.contents, packet.destination).await
                        }
                        sent => sent,
                    };
                }
                Output::Event(Event::ChannelOpen(channel, label)) => {
                    self.channel = Some(channel);
                    on_event(self.viewer, Event::ChannelOpen(channel, label));
                }
                Output::Event(event) => on_event(self.viewer, event),
            }
        }
    }

    /// Takes in a datagram. One that is none of ours is dropped.
    fn receive(
        &mut self,
        local: SocketAddr,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), RtcError> {
        let Ok(received) = Receive::new(Protocol::Udp, source, local, datagram) else {
            return Ok(());
        };
        self.rtc.handle_input(Input::Receive(Instant::now(), received))
    }
}

async fn view(
    viewer: usize,
    calls: mpsc::UnboundedSender<Call>,
    teller: Teller,
    recorder: Arc<Recorder>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let socket = bind()?;
    let local = socket.local_addr()?;
    let mut peer = Peer::new(viewer, local)?;
    let mut change = peer.rtc.sdp_api();
    change.add_channel("fanout".to_owned());
    let (offer, pending) = change.apply().ok_or("there is nothing to offer")?;
    let (answer, answered) = oneshot::channel();
    calls.send(Call { viewer, from: local, offer, answer }).map_err(|_| "the host is gone")?;
    peer.rtc.sdp_api().accept_answer(pending, answered.await?)?;

    let mut buffer = vec![0; DATAGRAM];
    loop {
        peer.drain(&socket, |viewer, event| match event {
            Event::ChannelOpen(..) => teller.tell(viewer, Step::ViewerOpen),
            Event::ChannelData(message) => recorder.take(viewer, &message.data),
            _ => {}
        })
        .await?;
        tokio::select! {
            () = sleep_until(peer.due) => peer.rtc.handle_input(Input::Timeout(Instant::now()))?,
            received = socket.recv_from(&mut buffer) => {
                let (len, source) = received?;
                peer.receive(local, source, &buffer[..len])?;
            }
        }
    }
}

/// All connections of the host.
struct Host {
    socket: UdpSocket,
    local: SocketAddr,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, usize>,
    /// Where each viewer is among the peers.
    by_viewer: Vec<Option<usize>>,
    incoming: mpsc::UnboundedReceiver<Call>,
    teller: Teller,
    buffer: Vec<u8>,
    losses: Losses,
}

impl Host {
    fn answer(&mut self, call: Call) -> Result<(), RtcError> {
        let mut peer = Peer::new(call.viewer, self.local)?;
        let answer = peer.rtc.sdp_api().accept_offer(call.offer)?;
        self.by_address.insert(call.from, self.peers.len());
        self.by_viewer[call.viewer] = Some(self.peers.len());
        self.peers.push(peer);
        // A viewer that is gone is a failure that the gate sees.
        let _ = call.answer.send(answer);
        Ok(())
    }

    async fn drain(&mut self, at: usize) {
        let (socket, teller) = (&self.socket, &self.teller);
        let Some(peer) = self.peers.get_mut(at) else { return };
        let drained = peer.drain(socket, |viewer, event| {
            if matches!(event, Event::ChannelOpen(..)) {
                teller.tell(viewer, Step::HostOpen);
            }
        });
        if drained.await.is_err() {
            self.losses.evicted += 1;
            peer.rtc.disconnect();
            peer.due = Instant::now() + Duration::from_secs(3_600);
        }
    }

    /// Takes what the socket has, up to a burst: timers wait for it.
    async fn receive(&mut self) {
        for _ in 0..BURST {
            let Ok((len, source)) = self.socket.try_recv_from(&mut self.buffer) else { return };
            let Some(&at) = self.by_address.get(&source) else { continue };
            let Some(peer) = self.peers.get_mut(at) else { continue };
            // An error shows again when it is drained.
            let _ = peer.receive(self.local, source, &self.buffer[..len]);
            self.drain(at).await;
        }
    }

    async fn expire(&mut self) {
        let now = Instant::now();
        for at in 0..self.peers.len() {
            if let Some(peer) = self.peers.get_mut(at)
                && peer.due <= now
            {
                let _ = peer.rtc.handle_input(Input::Timeout(now));
                self.drain(at).await;
            }
        }
    }

    /// Writes to one peer; `false` if it does not take it.
    async fn write(&mut self, at: usize, message: &[u8]) -> bool {
        let Some(peer) = self.peers.get_mut(at) else { return false };
        let Some(mut channel) = peer.channel.and_then(|id| peer.rtc.channel(id)) else {
            return false;
        };
        let written = matches!(channel.write(true, message), Ok(true));
        if written {
            self.drain(at).await;
        }
        written
    }
}

#[async_trait]
impl Fan for Host {
    async fn send(&mut self, message: &Bytes) {
        for at in 0..self.peers.len() {
            if !self.write(at, message).await {
                self.losses.refused += 1;
            }
        }
    }

    async fn run_until(&mut self, until: Instant) {
        loop {
            self.expire().await;
            let due = self.peers.iter().map(|peer| peer.due).min().unwrap_or(until).min(until);
            tokio::select! {
                biased;
                readable = self.socket.readable() => {
                    if readable.is_ok() {
                        self.receive().await;
                    }
                }
                Some(call) = self.incoming.recv() => {
                    if let Err(error) = self.answer(call) {
                        eprintln!("an offer was refused: {error}");
                    }
                }
                () = sleep_until(due) => {}
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    async fn flood(&mut self, message: &Bytes, until: Instant) {
        while Instant::now() < until {
            while self.write(0, message).await {}
            self.expire().await;
            let due = self.peers.first().map_or(until, |peer| peer.due).min(until);
            tokio::select! {
                _ = self.socket.readable() => self.receive().await,
                () = sleep_until(due) => {}
            }
        }
    }

    async fn held(&mut self) -> Vec<usize> {
        let mut held = vec![0; self.by_viewer.len()];
        for peer in &mut self.peers {
            let channel = peer.channel.and_then(|id| peer.rtc.channel(id));
            held[peer.viewer] = channel.map_or(0, |mut channel| channel.buffered_amount());
        }
        held
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

/// Longer than any datagram of either end.
const DATAGRAM: usize = 2_000;

/// Datagrams between two looks at the timers.
const BURST: usize = 64;
