//! One node of a fabric: its mesh, and the owner who tells it whom to call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_mesh::framing::{Body, ByeReason, Control};
use paceline_mesh::{CallError, Event, Identity, Link, Mesh, Output, Place, Role, Topology};
use paceline_transport::{SendError, Transport};
use paceline_types::{PeerId, SenderId, Signal};

use super::road::{Errand, Road};
use super::streams::{Outcome, Stream};
use super::{FabricConfig, Tally};
use crate::{Network, Random};

/// What a member needs of the fabric around it.
pub(super) struct Around<'a> {
    pub(super) now: Instant,
    pub(super) config: &'a FabricConfig,
    pub(super) network: &'a mut Network,
    pub(super) road: &'a mut Road,
    pub(super) tally: &'a mut Tally,
    pub(super) host: Option<PeerId>,
    pub(super) sending: bool,
    /// When each who is there joined.
    pub(super) joined: &'a BTreeMap<PeerId, Instant>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) peer: PeerId,
    /// From the roster on.
    pub(super) mesh: Option<Mesh>,
    /// Whom the mesh was told to call or expect.
    pub(super) ties: BTreeMap<PeerId, Tie>,
    /// When it is woken, if it is.
    pub(super) deadline: Option<Instant>,
    /// It does nothing any more, until it is resumed.
    pub(super) stalled: bool,
    /// How long messages of each peer took, and how many took so long.
    pub(super) latencies: BTreeMap<(PeerId, Duration), u64>,
    /// Who has no room for us.
    pub(super) turned_away: BTreeSet<PeerId>,
    /// For whom we have no room, in order of arrival.
    pub(super) waiting: Vec<PeerId>,
    /// What came by the road while it was stalled.
    unread: Vec<Errand>,
    roster: BTreeMap<PeerId, Known>,
    /// Who of them was called or expected before.
    met: BTreeSet<PeerId>,
    recalls: BTreeMap<PeerId, Instant>,
    next_send: Instant,
    /// Connections so far, to whomever.
    lives: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    sender: SenderId,
    was_there: bool,
}

/// What the owner knows of one peer of his.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    pub(super) stream: Stream,
    /// Since when it is to be connected.
    pub(super) began: Instant,
    pub(super) connected: bool,
    /// It has been, once.
    was_connected: bool,
    /// There was another before, which the mesh gave up.
    again: bool,
}

impl Member {
    pub(super) fn new(peer: PeerId, now: Instant, interval: Duration, random: &mut Random) -> Self {
        Self {
            peer,
            mesh: None,
            ties: BTreeMap::new(),
            deadline: None,
            stalled: false,
            latencies: BTreeMap::new(),
            turned_away: BTreeSet::new(),
            waiting: Vec::new(),
            unread: Vec::new(),
            roster: BTreeMap::new(),
            met: BTreeSet::new(),
            recalls: BTreeMap::new(),
            // Nodes do not all send at the same instant.
            next_send: now + interval.mul_f64(random.fraction()),
            lives: 0,
        }
    }

    /// Takes in what came while it was stalled.
    pub(super) fn catch_up(&mut self, around: &mut Around<'_>) {
        for errand in std::mem::take(&mut self.unread) {
            self.handle_errand(errand, around);
        }
        self.drain(around);
    }

    /// Takes in what came by the road.
    pub(super) fn handle_errand(&mut self, errand: Errand, around: &mut Around<'_>) {
        if self.stalled {
            self.unread.push(errand);
            return;
        }
        let now = around.now;
        match errand {
            Errand::Roster(number, members) => {
                let role = if around.host == Some(self.peer) { Role::Host } else { Role::Member };
                let sender = SenderId::new(number);
                let identity = Identity { session: SESSION, peer: self.peer, sender, role };
                self.mesh = Some(Mesh::new(now, identity, around.config.mesh.clone()));
                for (peer, number) in members {
                    self.meet(peer, number, true, around);
                }
            }
            Errand::Joined(peer, number) => self.meet(peer, number, false, around),
            Errand::Left(peer) => {
                self.roster.remove(&peer);
                self.met.remove(&peer);
                self.let_go(peer, around);
                self.turned_away.remove(&peer);
                self.waiting.retain(|&other| other != peer);
                self.fill_places(around);
            }
            Errand::Refused(peer) => {
                self.turned_away.insert(peer);
                self.let_go(peer, around);
            }
            Errand::Invite(peer) => {
                if self.turned_away.remove(&peer) {
                    self.link(peer, around);
                }
            }
            Errand::Signal(peer, signal) => {
                if let Some(mesh) = &mut self.mesh {
                    mesh.handle_signal(now, peer, signal);
                }
            }
            // The server's own.
            Errand::Announce | Errand::Leave | Errand::NoRoom(_) | Errand::Room(_) => {}
        }
        self.drain(around);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        let due = |at: Instant| at <= now;
        let recalls = self.recalls.iter().filter(|&(_, &at)| due(at)).map(|(&peer, _)| peer);
        for peer in Vec::from_iter(recalls) {
            self.recalls.remove(&peer);
            self.link(peer, around);
        }
        if let Some(mesh) = &mut self.mesh
            && mesh.poll_timeout().is_some_and(|(at, _)| due(at))
        {
            mesh.handle_timeout(now);
        }
        if around.sending && due(self.next_send) {
            self.next_send = now + around.config.data_interval;
            self.send(around);
        }
        self.drain(around);
    }

    /// When something is due. Nothing is to be sent as long as nobody is there to get it.
    pub(super) fn poll_timeout(&self, sending: bool) -> Option<Instant> {
        let mesh = self.mesh.as_ref().and_then(|mesh| mesh.poll_timeout()).map(|(at, _)| at);
        let sends = sending && self.ties.values().any(|tie| tie.connected);
        let next = sends.then_some(self.next_send);
        [mesh, next, self.recalls.values().min().copied()].into_iter().flatten().min()
    }

    /// Says goodbye to everybody.
    pub(super) fn leave(&mut self, around: &mut Around<'_>) {
        if let Some(mesh) = &mut self.mesh {
            mesh.hang_up_all(around.now, ByeReason::Leaving);
        }
        self.drain(around);
    }

    /// One more message to everybody who is connected.
    fn send(&mut self, around: &mut Around<'_>) {
        let (now, len) = (around.now, around.config.data_bytes);
        let Some(mesh) = &mut self.mesh else { return };
        for (&peer, tie) in self.ties.iter_mut().filter(|(_, tie)| tie.connected) {
            let Some(before) = mesh.stats(peer) else { continue };
            let data = tie.stream.emit(now, len);
            mesh.send_control(now, peer, Control::ApplicationData { channel: CHANNEL, data });
            // What did not fit the queue was never sent: the next one has its number.
            if mesh.stats(peer).is_some_and(|after| after.shed == before.shed) {
                tie.stream.handle_sent();
                around.tally.sent += 1;
            } else {
                around.tally.held_back += 1;
            }
        }
    }

    /// Moves everything to where it belongs until nothing moves any more.
    pub(super) fn drain(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        loop {
            let Some(mesh) = &mut self.mesh else { return };
            if let Some(output) = mesh.poll_output() {
                self.apply(output, around);
            } else if let Some((peer, event)) = around.network.transport(self.peer).poll_event() {
                mesh.handle_connection(now, peer, event);
            } else {
                return;
            }
        }
    }

    fn apply(&mut self, output: Output, around: &mut Around<'_>) {
        let now = around.now;
        match output {
            Output::Connection { peer, op } => {
                around.network.transport(self.peer).apply(now, peer, op);
            }
            Output::Event(event) => self.handle_event(event, around),
            Output::Signal { peer, signal } => {
                match signal {
                    Signal::Offer { .. } => around.tally.offers += 1,
                    Signal::Answer { .. } => around.tally.answers += 1,
                    Signal::Candidate { .. } => {}
                }
                around.road.say(now, self.peer, Errand::Signal(peer, signal));
            }
            Output::Transmit { peer, kind, bytes } => {
                let sent = around.network.transport(self.peer).try_send(now, peer, kind, bytes);
                // One that was closed in this instant takes nothing, and that is told.
                around.tally.untaken += u64::from(sent == Err(SendError::Full));
            }
            _ => {}
        }
    }

    fn handle_event(&mut self, event: Event, around: &mut Around<'_>) {
        let now = around.now;
        match event {
            Event::Connected { peer, .. } => {
                let Some(tie) = self.ties.get_mut(&peer) else { return };
                let joined = |peer| around.joined.get(peer).copied();
                let since = match (joined(&peer), joined(&self.peer)) {
                    (Some(theirs), Some(ours)) if !tie.again => theirs.max(ours),
                    // It is not his first, or he has left in the meantime.
                    _ => tie.began,
                };
                around.tally.handle_connected(now - since, tie.was_connected);
                self.lives += 1;
                tie.stream.handle_connected(self.lives);
                (tie.connected, tie.was_connected, tie.again) = (true, true, true);
            }
            Event::Interrupted { peer, reason, .. } => {
                around.tally.interrupted += 1;
                around.tally.handle_reason(&reason);
                if let Some(tie) = self.ties.get_mut(&peer) {
                    (tie.connected, tie.began) = (false, now);
                }
            }
            Event::Gone { peer, reason, .. } => {
                around.tally.gone += 1;
                around.tally.handle_reason(&reason);
                self.ties.remove(&peer);
                match self.side(peer, around) {
                    Some(Link::Call) => {
                        self.recalls.insert(peer, now + around.config.recall_after);
                    }
                    Some(Link::Expect) => self.link(peer, around),
                    None => {}
                }
                self.fill_places(around);
            }
            Event::Packet { peer, packet, .. } => {
                if let Body::Control(Control::ApplicationData { channel: CHANNEL, data }) =
                    packet.body
                {
                    self.handle_data(peer, data, around);
                }
            }
            _ => {}
        }
    }

    fn handle_data(&mut self, peer: PeerId, data: Bytes, around: &mut Around<'_>) {
        // Its application reads all that comes.
        if let Some(mesh) = &mut self.mesh {
            mesh.consume(around.now, peer, 1, data.len());
        }
        let tie = self.ties.get_mut(&peer);
        match tie.map_or(Outcome::Wrong, |tie| tie.stream.handle_message(around.now, data)) {
            Outcome::Good(took) => {
                around.tally.received += 1;
                *self.latencies.entry((peer, took)).or_default() += 1;
            }
            Outcome::Wrong => around.tally.wrong += 1,
        }
    }

    /// Somebody is in the room.
    fn meet(&mut self, peer: PeerId, number: u32, was_there: bool, around: &mut Around<'_>) {
        if self.mesh.is_some() {
            self.roster.insert(peer, Known { sender: SenderId::new(number), was_there });
            self.link(peer, around);
        }
    }

    fn side(&self, peer: PeerId, around: &Around<'_>) -> Option<Link> {
        let known = self.roster.get(&peer)?;
        let place = |peer| if around.host == Some(peer) { Place::Host } else { Place::Member };
        let topology: Topology = around.config.topology;
        let side = topology.link(place(self.peer), place(peer), known.was_there)?;
        Some(if around.config.both_call { Link::Call } else { side })
    }

    /// Calls or expects a peer, if there is room. Who is expected and finds none is told.
    fn link(&mut self, peer: PeerId, around: &mut Around<'_>) {
        let now = around.now;
        let (Some(side), Some(known)) = (self.side(peer, around), self.roster.get(&peer)) else {
            return;
        };
        let Some(mesh) = &mut self.mesh else { return };
        if self.turned_away.contains(&peer) {
            return;
        }
        let asked = match side {
            Link::Call => mesh.call(now, peer, known.sender),
            Link::Expect => mesh.expect(now, peer, known.sender),
        };
        let waited = self.waiting.iter().position(|&other| other == peer);
        match asked {
            Ok(()) => {
                let (stream, connected) = (Stream::default(), false);
                let again = !self.met.insert(peer);
                let tie = Tie { stream, began: now, connected, was_connected: false, again };
                self.ties.insert(peer, tie);
                if let Some(place) = waited {
                    self.waiting.remove(place);
                    if side == Link::Expect {
                        around.road.say(now, self.peer, Errand::Room(peer));
                    }
                }
            }
            Err(CallError::Full { .. }) if waited.is_none() => {
                self.waiting.push(peer);
                around.tally.refused += 1;
                if side == Link::Expect {
                    around.road.say(now, self.peer, Errand::NoRoom(peer));
                }
            }
            // He still waits; or an earlier connection is not over yet.
            Err(_) => {}
        }
    }

    /// Ends what there is with a peer.
    fn let_go(&mut self, peer: PeerId, around: &mut Around<'_>) {
        self.recalls.remove(&peer);
        self.ties.remove(&peer);
        if let Some(mesh) = &mut self.mesh {
            mesh.hang_up(around.now, peer, ByeReason::Leaving);
        }
    }

    fn fill_places(&mut self, around: &mut Around<'_>) {
        for peer in self.waiting.clone() {
            self.link(peer, around);
        }
    }
}

/// The room's session UUID: there is one room.
const SESSION: [u8; 16] = [7; 16];

/// The application's channel.
const CHANNEL: u16 = 1;
