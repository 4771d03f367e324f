//! The machine: who is called and expected, what is sent, when it wants to be woken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use paceline_framing::{Body, ByeReason, Control, Cut, Fragmenter, Packet, Role};
use paceline_types::{Epoch, PeerId, SenderId};

use crate::io::{CallError, Identity, Output, Reason, Recipients};
use crate::peer::{Peer, Stage};
use crate::pictures::Pictures;
use crate::rtp::{Packetizers, Shown};
use crate::supervisor::Supervisor;
use crate::{Cache, MeshConfig, MeshStats, Negotiator, PeerStats, Quality};

/// Keeps the connections of one participant.
///
/// | group | calls |
/// |---|---|
/// | who | [`call`](Self::call), [`expect`](Self::expect), [`hang_up`](Self::hang_up) |
/// | input | [`handle_signal`](Self::handle_signal), [`handle_connection`](Self::handle_connection), [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`send`](Self::send), [`send_to`](Self::send_to), [`send_data`](Self::send_data), [`consume`](Self::consume), [`request_keyframe`](Self::request_keyframe), [`restart_ice`](Self::restart_ice), [`set_role`](Self::set_role), [`set_epoch`](Self::set_epoch) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking | [`mesh_stats`](Self::mesh_stats), [`stats`](Self::stats), [`quality`](Self::quality), [`carrier`](Self::carrier), [`target`](Self::target), [`load`](Self::load), [`connected`](Self::connected) |
#[derive(Debug)]
pub struct Mesh {
    pub(crate) config: MeshConfig,
    pub(crate) identity: Identity,
    pub(crate) epoch: Epoch,
    /// What our own clock reads zero at, on the wire.
    pub(crate) origin: Instant,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    /// The next deadline of each peer who has one.
    deadlines: BTreeSet<(Instant, PeerId)>,
    pub(crate) supervisor: Supervisor,
    pub(crate) cutters: Cutters,
    pub(crate) cache: Cache,
    /// The same where RTP is carried.
    pub(crate) shown: Pictures<Shown>,
    pub(crate) packetizers: Packetizers,
    pub(crate) outputs: VecDeque<Output>,
    /// What is counted; what there is now is not in it.
    pub(crate) counts: MeshStats,
}

impl Mesh {
    /// A mesh without peers.
    ///
    /// # Panics
    ///
    /// If the config's `max_message` is below 256 bytes, its `heartbeat` zero, or its
    /// `max_negotiators` zero.
    #[must_use]
    pub fn new(now: Instant, identity: Identity, mut config: MeshConfig) -> Self {
        assert!(config.max_message >= MIN_MESSAGE, "max_message is at least {MIN_MESSAGE}");
        assert!(!config.heartbeat.is_zero(), "heartbeat is not zero");
        assert!(config.max_negotiators > 0, "max_negotiators is not zero");
        // What we say we accept is what we accept.
        config.reassembly = config.reassembly.max_message(config.max_message);
        config.pacer = config.pacer.max_message(config.max_message);
        let mut cutters = Cutters::default();
        // What is kept for newcomers is cut to this also while nobody is there.
        cutters.join(config.max_message);
        Self {
            cache: Cache::new(config.cache.clone()),
            shown: Pictures::new(config.cache.clone()),
            packetizers: Packetizers::default(),
            supervisor: Supervisor::new(config.max_negotiators),
            config,
            identity,
            epoch: Epoch::default(),
            origin: now,
            peers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            cutters,
            outputs: VecDeque::new(),
            counts: MeshStats::default(),
        }
    }

    /// Makes a connection to `peer`, and makes it again if it breaks.
    ///
    /// # Errors
    ///
    /// [`CallError`], and nothing has changed.
    pub fn call(&mut self, now: Instant, peer: PeerId, sender: SenderId) -> Result<(), CallError> {
        self.admit(peer, sender, true)?;
        self.begin(now, peer, None);
        self.schedule(peer);
        Ok(())
    }

    /// Lets `peer` make a connection to us. Until he does it costs nothing but his place,
    /// and is waited for without end.
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
        self.admit(peer, sender, false)
    }

    fn admit(&mut self, peer: PeerId, sender: SenderId, calls: bool) -> Result<(), CallError> {
        if peer == self.identity.peer {
            return Err(CallError::Itself);
        }
        if self.peers.contains_key(&peer) {
            return Err(CallError::AlreadyKnown);
        }
        let max_peers = self.config.max_peers;
        if self.peers.len() >= max_peers {
            self.counts.refused += 1;
            return Err(CallError::Full { max_peers });
        }
        let negotiator = Negotiator::new(self.polite(peer), self.config.negotiator);
        self.peers.insert(peer, Peer::new(sender, calls, negotiator, &self.config));
        Ok(())
    }

    /// Of two ends that both call, the one with the larger id gives way.
    pub(crate) fn polite(&self, peer: PeerId) -> bool {
        self.identity.peer > peer
    }

    /// Ends the connection to `peer`, however far it is, and forgets him. Does nothing if
    /// he is unknown.
    pub fn hang_up(&mut self, now: Instant, peer: PeerId, reason: ByeReason) {
        self.say_bye(now, peer, reason);
        self.remove(now, peer);
    }

    /// Ends all connections.
    pub fn hang_up_all(&mut self, now: Instant, reason: ByeReason) {
        // Who waits is forgotten first, so that nobody's end is another's turn.
        let waits = |known: &Peer| matches!(known.stage, Stage::Waiting { .. });
        let mut peers: Vec<_> = self.peers.iter().map(|(&id, known)| (!waits(known), id)).collect();
        peers.sort_unstable();
        for (_, peer) in peers {
            self.hang_up(now, peer, reason);
        }
    }

    /// What we say we do from the next hello on.
    pub fn set_role(&mut self, role: Role) {
        self.identity.role = role;
    }

    /// The epoch that our control packets carry.
    pub fn set_epoch(&mut self, epoch: Epoch) {
        if epoch != self.epoch {
            // Packets of an older one are refused.
            self.cache = Cache::new(self.config.cache.clone());
            self.shown = Pictures::new(self.config.cache.clone());
        }
        self.epoch = epoch;
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, peer)) = self.deadlines.first()
            && at <= now
        {
            let known = self.peers.get(&peer);
            if let Some((_, reason)) = known.and_then(|known| known.deadline(&self.config)) {
                self.handle_deadline(now, peer, reason);
            }
            self.schedule(peer);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let (_, peer) = self.deadlines.first()?;
        self.peers.get(peer)?.deadline(&self.config)
    }

    /// Puts a peer's next deadline where it belongs. To be called after whatever may
    /// have changed it.
    pub(crate) fn schedule(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let next = known.deadline(&self.config).map(|(at, _)| at);
        if next != known.scheduled {
            if let Some(at) = known.scheduled {
                self.deadlines.remove(&(at, peer));
            }
            self.deadlines.extend(next.map(|at| (at, peer)));
            known.scheduled = next;
        }
    }

    /// Forgets a peer, and lets those who wait go on.
    pub(crate) fn remove(&mut self, now: Instant, peer: PeerId) -> Option<Peer> {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.negotiator.close();
        }
        self.drain_negotiator(now, peer);
        self.leave_stage(now, peer, Stage::Expected);
        let known = self.peers.remove(&peer)?;
        if let Some(at) = known.scheduled {
            self.deadlines.remove(&(at, peer));
        }
        Some(known)
    }

    /// Takes what has to be done, oldest first, until `None`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
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

    /// A control packet of ours, under our number and epoch.
    #[must_use]
    pub fn control_packet(&self, control: Control) -> Packet {
        Packet {
            sender: self.identity.sender,
            epoch: Some(self.epoch),
            body: Body::Control(control),
        }
    }

    /// Whether anybody is connected, or called, or about to call again. Not if we only
    /// expect somebody who never called.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.peers.values().any(|known| known.called || !matches!(known.stage, Stage::Expected))
    }

    /// Who is connected, also while a path to him is looked for.
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

    /// The last ten seconds of one peer's connection; `None` if he is not connected.
    #[must_use]
    pub fn quality(&self, now: Instant, peer: PeerId) -> Option<Quality> {
        self.peers.get(&peer)?.quality.as_ref().map(|meter| meter.quality(now))
    }

    /// Counts of all connections. Looks at every peer: not for each packet.
    #[must_use]
    pub fn mesh_stats(&self) -> MeshStats {
        MeshStats {
            peers: self.peers.len(),
            active: self.connected().count(),
            negotiating: self.supervisor.busy(),
            waiting: self.supervisor.waiting(),
            queued_bytes: self.peers.values().map(Peer::queued_bytes).sum(),
            ..self.counts
        }
    }
}

/// A fragmenter for each message size that somebody who is connected asks for, mostly
/// one. Those of one size share its numbering, so it lives as long as any of them.
#[derive(Debug, Default)]
pub(crate) struct Cutters(BTreeMap<usize, (Fragmenter, usize)>);

impl Cutters {
    pub(crate) fn join(&mut self, limit: usize) {
        self.0.entry(limit).or_insert_with(|| (Fragmenter::new(limit), 0)).1 += 1;
    }

    pub(crate) fn leave(&mut self, limit: usize) {
        if let Some((_, users)) = self.0.get_mut(&limit) {
            *users -= 1;
            if *users == 0 {
                self.0.remove(&limit);
            }
        }
    }

    pub(crate) fn cut(&mut self, limit: usize, packet: &Packet) -> Cut {
        match self.0.get_mut(&limit) {
            Some((fragmenter, _)) => fragmenter.cut(packet),
            None => Fragmenter::new(limit).cut(packet),
        }
    }
}

/// The shortest message limit that is worth talking to: a header, an epoch, a
/// fragment header and some payload.
pub(crate) const MIN_MESSAGE: usize = 256;

#[cfg(test)]
mod tests {
    use paceline_framing::{Body, Control, Packet};
    use paceline_types::SenderId;

    use super::Cutters;

    /// Whoever says in his hello that he takes messages of yet another size.
    #[test]
    fn sizes_that_nobody_asks_for_any_more_are_forgotten() {
        let mut cutters = Cutters::default();
        let body = Body::Control(Control::Ping { t1: 0 });
        let packet = Packet { sender: SenderId::new(1), epoch: None, body };
        for limit in 256..2_000 {
            cutters.join(limit);
            cutters.join(limit);
            let _ = cutters.cut(limit, &packet);
            cutters.leave(limit);
            assert_eq!(cutters.0.len(), 1);
            cutters.leave(limit);
            assert!(cutters.0.is_empty());
        }
    }
}
