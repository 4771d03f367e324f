//! The machine.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::{
    Body, ByeReason, Control, Fragmenter, Hello, PROTOCOL_VERSION, Packet, ParseError, Role,
};
use paceline_types::{
    ConnectionEvent, ConnectionOp, ConnectionState, Epoch, PeerId, SenderId, Signal,
};
use tracing::{debug, info};

use crate::MeshConfig;
use crate::io::{CallError, Event, Identity, Output, Reason, Recipients};
use crate::peer::{Peer, PeerStats, Side};

/// Keeps the connections of one participant.
///
/// | group | calls |
/// |---|---|
/// | who | [`call`](Self::call), [`expect`](Self::expect), [`hang_up`](Self::hang_up) |
/// | input | [`handle_signal`](Self::handle_signal), [`handle_connection`](Self::handle_connection), [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`send`](Self::send), [`set_role`](Self::set_role), [`set_epoch`](Self::set_epoch) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
#[derive(Debug)]
pub struct Mesh {
    config: MeshConfig,
    identity: Identity,
    epoch: Epoch,
    /// What our own clock reads zero at, on the wire.
    origin: Instant,
    peers: BTreeMap<PeerId, Peer>,
    /// One for each message size that some peer asks for: mostly one.
    fragmenters: BTreeMap<usize, Fragmenter>,
    outputs: VecDeque<Output>,
}

impl Mesh {
    /// A mesh without peers.
    ///
    /// # Panics
    ///
    /// If the config's `max_message` is below 256 bytes, or its `heartbeat` zero.
    #[must_use]
    pub fn new(now: Instant, identity: Identity, mut config: MeshConfig) -> Self {
        assert!(config.max_message >= MIN_MESSAGE, "max_message is at least {MIN_MESSAGE}");
        assert!(!config.heartbeat.is_zero(), "heartbeat is not zero");
        // What we say we accept is what we accept.
        config.reassembly = config.reassembly.max_message(config.max_message);
        Self {
            config,
            identity,
            epoch: Epoch::default(),
            origin: now,
            peers: BTreeMap::new(),
            fragmenters: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Makes a connection to `peer`, and makes it again if it breaks.
    ///
    /// # Errors
    ///
    /// [`CallError`], and nothing has changed.
    pub fn call(&mut self, now: Instant, peer: PeerId, sender: SenderId) -> Result<(), CallError> {
        self.admit(peer, sender, Side::Caller)?;
        self.dial(now, peer);
        Ok(())
    }

    /// Lets `peer` make a connection to us.
    ///
    /// # Errors
    ///
    /// [`CallError`], and nothing has changed.
    pub fn expect(
        &mut self,
        _now: Instant,
        peer: PeerId,
        sender: SenderId,
    ) -> Result<(), CallError> {
        self.admit(peer, sender, Side::Callee)
    }

    fn admit(&mut self, peer: PeerId, sender: SenderId, side: Side) -> Result<(), CallError> {
        if peer == self.identity.peer {
            return Err(CallError::Itself);
        }
        if self.peers.contains_key(&peer) {
            return Err(CallError::AlreadyKnown);
        }
        let max_peers = self.config.max_peers;
        if self.peers.len() >= max_peers {
            return Err(CallError::Full { max_peers });
        }
        self.peers.insert(peer, Peer::new(sender, side, &self.config));
        Ok(())
    }

    /// Ends the connection to `peer` and forgets him. Does nothing if he is unknown.
    pub fn hang_up(&mut self, now: Instant, peer: PeerId, reason: ByeReason) {
        let Some(state) = self.peers.get(&peer).map(|peer| peer.state) else { return };
        if state == ConnectionState::Connected {
            self.send_control(now, peer, Control::Bye { reason });
            // Control goes first, so this is it if it has not gone yet; what else
            // waits is of no use any more.
            let known = self.peers.get_mut(&peer);
            if let Some(bytes) = known.and_then(|known| known.pop_at_once(now)) {
                self.outputs.push_back(Output::Transmit { peer, bytes });
            }
        }
        self.peers.remove(&peer);
        if state != ConnectionState::New {
            self.outputs.push_back(Output::Connection { peer, op: ConnectionOp::Close });
        }
    }

    /// Ends all connections.
    pub fn hang_up_all(&mut self, now: Instant, reason: ByeReason) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.hang_up(now, peer, reason);
        }
    }

    /// What we say we do from the next hello on.
    pub fn set_role(&mut self, role: Role) {
        self.identity.role = role;
    }

    /// The epoch that our control packets carry.
    pub fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// Takes in what a peer said by the signalling road.
    pub fn handle_signal(&mut self, now: Instant, peer: PeerId, signal: Signal) {
        let us = self.identity.peer;
        let Some(known) = self.peers.get_mut(&peer) else {
            debug!(%peer, "a signal of somebody who is not expected");
            return;
        };
        if matches!(signal, Signal::Offer { .. }) {
            if known.side == Side::Caller && known.state == ConnectionState::Connecting {
                // Glare: both made an offer. The larger id is polite and gives way.
                if us < peer {
                    debug!(%peer, "his offer is ignored: ours stands");
                    return;
                }
                known.side = Side::Callee;
            }
            // Also a peer that comes back before we noticed that he was gone.
            if known.connected() {
                let reason = "it made a new connection".to_owned();
                let event = Event::Interrupted { peer, sender: known.sender, reason };
                self.outputs.push_back(Output::Event(event));
            }
            if known.state != ConnectionState::New {
                self.outputs.push_back(Output::Connection { peer, op: ConnectionOp::Close });
            }
            known.reset(ConnectionState::Connecting, &self.config);
            known.open_by = Some(now + self.config.open_timeout);
        }
        let op = ConnectionOp::Remote(signal);
        self.outputs.push_back(Output::Connection { peer, op });
    }

    /// Takes in what the transport says of a connection.
    pub fn handle_connection(&mut self, now: Instant, peer: PeerId, event: ConnectionEvent) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match event {
            ConnectionEvent::Closed { reason } => self.broken(now, peer, &reason),
            ConnectionEvent::Local(signal) => {
                self.outputs.push_back(Output::Signal { peer, signal });
            }
            ConnectionEvent::Message(bytes) => self.handle_message(now, peer, bytes),
            ConnectionEvent::Open => {
                known.open = true;
                self.send_hello(now, peer);
            }
            ConnectionEvent::Acked(bytes) => {
                known.outstanding = known.outstanding.saturating_sub(bytes);
                self.flush(now, peer);
            }
            _ => {}
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            while let Some(reason) = self.due(now, peer) {
                self.handle_deadline(now, peer, reason);
            }
        }
    }

    fn due(&self, now: Instant, peer: PeerId) -> Option<Reason> {
        let (at, reason) = self.peers.get(&peer)?.deadline(self.config.gone_after)?;
        (at <= now).then_some(reason)
    }

    fn handle_deadline(&mut self, now: Instant, peer: PeerId, reason: Reason) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match reason {
            Reason::Open => self.close_broken(now, peer, "the connection did not open in time"),
            Reason::Ping => {
                known.next_ping = Some(now + self.config.heartbeat);
                let t1 = self.micros(now);
                self.send_control(now, peer, Control::Ping { t1 });
            }
            Reason::Reassembly => known.reassembler.handle_timeout(now),
            Reason::Redial => {
                known.redial_at = None;
                known.stats.retries += 1;
                self.dial(now, peer);
            }
            Reason::Silence => self.close_broken(now, peer, "nothing was heard of it"),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.peers
            .values()
            .filter_map(|peer| peer.deadline(self.config.gone_after))
            .min_by_key(|&(at, _)| at)
    }

    /// Takes what has to be done, oldest first, until `None`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Queues a packet for everybody it is for. It is emitted, checksummed and cut
    /// once; all queues share the bytes.
    pub fn send(&mut self, now: Instant, to: Recipients, packet: &Packet) {
        let peers: Vec<_> = match to {
            Recipients::All => self.connected().collect(),
            Recipients::One(peer) => self.connected().filter(|&other| other == peer).collect(),
        };
        let mut cuts = BTreeMap::new();
        for peer in peers {
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            let cut = cuts.entry(known.max_message).or_insert_with_key(|&limit| {
                self.fragmenters.entry(limit).or_insert_with(|| Fragmenter::new(limit)).cut(packet)
            });
            if known.push(now, cut.clone()) {
                self.flush(now, peer);
            } else {
                self.close_broken(now, peer, "it takes no control packets any more");
            }
        }
    }

    /// Queues a control packet of ours for one peer.
    pub fn send_control(&mut self, now: Instant, peer: PeerId, control: Control) {
        let packet = self.control_packet(control);
        self.send(now, Recipients::One(peer), &packet);
    }

    /// Queues a control packet of ours for everybody.
    pub fn broadcast_control(&mut self, now: Instant, control: Control) {
        let packet = self.control_packet(control);
        self.send(now, Recipients::All, &packet);
    }

    /// Whether anybody is connected, or called, or about to call again. Not if we only
    /// expect somebody who never called.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.peers
            .values()
            .any(|peer| peer.side == Side::Caller || peer.connected() || peer.open_by.is_some())
    }

    /// Who is connected.
    pub fn connected(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.connected()).map(|(&id, _)| id)
    }

    /// The number in the room of a peer that is called or expected.
    #[must_use]
    pub fn sender_of(&self, peer: PeerId) -> Option<SenderId> {
        self.peers.get(&peer).map(|peer| peer.sender)
    }

    /// Counts of one peer's connection.
    #[must_use]
    pub fn stats(&self, peer: PeerId) -> Option<PeerStats> {
        self.peers.get(&peer).map(Peer::stats)
    }

    fn dial(&mut self, now: Instant, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.reset(ConnectionState::Connecting, &self.config);
            known.open_by = Some(now + self.config.open_timeout);
            self.outputs.push_back(Output::Connection { peer, op: ConnectionOp::Call });
        }
    }

    /// The transport still has the connection: it is told, then it is broken.
    fn close_broken(&mut self, now: Instant, peer: PeerId, reason: &str) {
        self.outputs.push_back(Output::Connection { peer, op: ConnectionOp::Close });
        self.broken(now, peer, reason);
    }

    /// The connection is no more: the caller makes it again, the callee waits for
    /// that as long as the caller would try.
    fn broken(&mut self, now: Instant, peer: PeerId, reason: &str) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        info!(%peer, reason, "connection lost");
        let attempt = known.attempts;
        let (sender, was_connected) = (known.sender, known.connected());
        known.attempts += 1;
        known.reset(ConnectionState::Failed, &self.config);
        match known.side {
            Side::Caller if attempt < self.config.retries => {
                known.redial_at = Some(now + REDIAL_STEP * attempt);
            }
            // The caller decides whether there is another try; the signalling
            // server tells when he has left.
            Side::Callee if attempt < self.config.retries => {
                known.state = ConnectionState::New;
                // But not for ever: he may have given up after fewer breaks than we saw.
                let patience = self.config.open_timeout + REDIAL_STEP * self.config.retries;
                known.open_by = Some(now + patience);
            }
            _ => return self.gone(peer, reason),
        }
        if was_connected {
            let event = Event::Interrupted { peer, sender, reason: reason.to_owned() };
            self.outputs.push_back(Output::Event(event));
        }
    }

    fn gone(&mut self, peer: PeerId, reason: &str) {
        if let Some(known) = self.peers.remove(&peer) {
            let event = Event::Gone { peer, sender: known.sender, reason: reason.to_owned() };
            self.outputs.push_back(Output::Event(event));
        }
    }

    fn handle_message(&mut self, now: Instant, peer: PeerId, bytes: Bytes) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.stats.received_bytes += bytes.len() as u64;
        if let Err(error) = known.reassembler.handle_message(now, bytes) {
            // What a later version says beside media is no fault of his.
            if known.newer && matches!(error, ParseError::UnknownType(128..)) {
                return;
            }
            known.stats.bad_messages += 1;
            debug!(%peer, %error, "a message is no packet");
            return;
        }
        if known.connected() {
            // Only what parses counts as a sign of life.
            known.heard = Some(now);
        }
        while let Some(packet) = self.peers.get_mut(&peer).and_then(|p| p.reassembler.poll_output())
        {
            self.handle_packet(now, peer, packet);
        }
    }

    fn handle_packet(&mut self, now: Instant, peer: PeerId, packet: Packet) {
        let t4 = self.micros(now);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        // Authority is the channel: nobody speaks for somebody else.
        if packet.sender != known.sender {
            known.stats.spoofed += 1;
            debug!(%peer, claimed = %packet.sender, "a packet in somebody else's name");
            return;
        }
        if packet.epoch.is_none() && matches!(packet.body, Body::Control(_)) {
            known.stats.bad_messages += 1;
            debug!(%peer, "a control packet without an epoch");
            return;
        }
        match packet.body {
            Body::Control(Control::Hello(hello)) => self.handle_hello(now, peer, &hello),
            // Before the hello nothing else counts.
            _ if !known.connected() => known.stats.bad_messages += 1,
            Body::Control(Control::Bye { reason }) => {
                self.outputs.push_back(Output::Connection { peer, op: ConnectionOp::Close });
                self.gone(peer, &format!("it said goodbye ({reason:?})"));
            }
            Body::Control(Control::Ping { t1 }) => {
                self.send_control(now, peer, Control::Pong { t1, t2: t4, t3: t4 });
            }
            Body::Control(Control::Pong { t1, t2, t3 }) => {
                let there = t3.saturating_sub(t2);
                let all = t4.saturating_sub(t1);
                known.stats.rtt = Some(Duration::from_micros(all.saturating_sub(there)));
            }
            _ => self.outputs.push_back(Output::Event(Event::Packet { peer, packet })),
        }
    }

    fn handle_hello(&mut self, now: Instant, peer: PeerId, hello: &Hello) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.connected() {
            known.stats.bad_messages += 1;
            return;
        }
        let ours = &self.identity;
        if hello.session != ours.session || hello.peer != peer || hello.sender != known.sender {
            return self.close_broken(now, peer, "its hello is not that of the peer we know");
        }
        let versions = hello.min_version..=hello.max_version;
        if !versions.contains(&PROTOCOL_VERSION) {
            return self.close_broken(now, peer, "it speaks no version that we do");
        }
        let limit = usize::try_from(hello.max_message).unwrap_or(usize::MAX);
        if limit < MIN_MESSAGE {
            return self.close_broken(now, peer, "it accepts too short messages");
        }
        known.max_message = self.config.max_message.min(limit);
        known.max_packet = usize::try_from(hello.max_packet).unwrap_or(usize::MAX);
        known.role = hello.role;
        known.newer = hello.max_version > PROTOCOL_VERSION;
        known.state = ConnectionState::Connected;
        known.attempts = 0;
        known.open_by = None;
        known.heard = Some(now);
        known.next_ping = Some(now);
        let (sender, role) = (known.sender, hello.role);
        info!(%peer, %sender, ?role, "connected");
        self.outputs.push_back(Output::Event(Event::Connected { peer, sender, role }));
    }

    /// Hello is the one packet that goes to a peer who is not connected yet.
    fn send_hello(&mut self, now: Instant, peer: PeerId) {
        let Identity { session, peer: us, sender, role } = self.identity;
        let hello = Hello {
            session,
            peer: us,
            sender,
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            role,
            capabilities: 0,
            max_message: self.config.max_message as u32,
            max_packet: self.config.reassembly.max_packet_bytes() as u32,
            resume: [0; 16],
        };
        let packet = self.control_packet(Control::Hello(hello));
        let limit = self.config.max_message;
        let fragmenter = self.fragmenters.entry(limit).or_insert_with(|| Fragmenter::new(limit));
        let cut = fragmenter.cut(&packet);
        if let Some(known) = self.peers.get_mut(&peer) {
            // A queue that is new has room for one packet.
            let _ = known.push(now, cut);
            self.flush(now, peer);
        }
    }

    fn flush(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        while let Some(bytes) = known.pop(now) {
            self.outputs.push_back(Output::Transmit { peer, bytes });
        }
        if known.queue.poll_needs_keyframe() {
            self.outputs.push_back(Output::Event(Event::NeedsKeyframe { peer }));
        }
    }

    /// A control packet of ours, under our number and epoch.
    #[must_use]
    pub fn control_packet(&self, control: Control) -> Packet {
        Packet {
            sender: self.identity.sender,
            epoch: Some(self.epoch),
            body: Body::Control(control),
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_micros() as u64
    }
}

/// A call is made again after 0, 2 and 4 s: at once for a blip, then slowly
/// enough not to hammer a host that everybody lost.
const REDIAL_STEP: Duration = Duration::from_secs(2);

/// The shortest message limit that is worth talking to: a header, an epoch, a
/// fragment header and some payload.
const MIN_MESSAGE: usize = 256;
