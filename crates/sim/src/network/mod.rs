//! The network between all nodes: a link for each pair and direction, and the
//! connections over them.
//!
//! A connection is made as by WebRTC. `Call` makes an offer and a candidate; an
//! offer makes an answer and a candidate; with both of these, who offered knocks
//! over the link until it is let in. A restart of ICE is the same over again, with
//! new credentials: what is open goes on over the old path while that works, and then
//! over the one that was found. What is sent names both ends by number, so that
//! nothing of an earlier connection is mistaken for it.
//!
//! ```text
//! caller            signalling             callee
//!   │ ── offer, candidate ───────────────────▶ │
//!   │ ◀─────────────────── answer, candidate ─ │
//!   │ ═══ knock ═════════ link ══════════════▶ │ Open
//!   │ ◀══════════════════ link ═════ let in ══ │
//!   │ Open
//! ```
//!
//! What the rules of RFC 9429 §4.1 for a signalling state forbid ends the connection,
//! as it does in the engine, and is counted.

mod bottleneck;
mod carrier;
mod config;
mod description;
mod end;
mod ops;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

pub use bottleneck::Bottleneck;
use bytes::Bytes;
pub use config::NetworkConfig;
use paceline_transport::SendError;
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId};

use self::bottleneck::Strait;
use self::description::Address;
use self::end::End;
use self::traffic::Packet;
use crate::netem::Netem;
use crate::{Random, SimTransport};

/// From whom to whom.
type Way = (PeerId, PeerId);

/// What is woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Wake {
    /// Packets arrive.
    Link(Way),
    /// An engine does what it was asked.
    Ops(Way),
    /// An end sends again, or notices something.
    End(Way),
}

/// What a network has seen since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NetworkStats {
    /// Operations that the signalling state forbade, or descriptions that made no
    /// sense: each ended its connection. Not those for a connection that was gone.
    pub refused: u64,
    /// Candidates of no description that was in force, or that came before one. They
    /// end nothing.
    pub stray_candidates: u64,
}

/// All links and connections.
///
/// | group | calls |
/// |---|---|
/// | input | [`transport`](Self::transport), [`handle_timeout`](Self::handle_timeout) |
/// | breaking | [`cut`](Self::cut), [`isolate`](Self::isolate), [`heal`](Self::heal), [`change_path`](Self::change_path), [`set_uplink`](Self::set_uplink), [`set_downlink`](Self::set_downlink) |
/// | output | [`ready`](Self::ready), [`SimTransport::poll_event`](paceline_transport::Transport::poll_event) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking | [`agree`](Self::agree), [`ends`](Self::ends), [`links`](Self::links), [`stats`](Self::stats) |
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    random: Random,
    engines: Random,
    links: BTreeMap<Way, Link>,
    /// One end of a connection each: of the first, towards the second.
    ends: BTreeMap<Way, End>,
    /// What engines were asked and have not done, and when they will have.
    ops: BTreeMap<Way, VecDeque<(Instant, ConnectionOp)>>,
    wakes: BTreeSet<(Instant, Wake)>,
    /// Ends and ICE generations made so far.
    numbers: u64,
    /// Of nodes that have changed theirs.
    addresses: BTreeMap<PeerId, Address>,
    cuts: BTreeSet<Way>,
    isolated: BTreeSet<PeerId>,
    /// What nodes send all goes through, and what they get.
    uplinks: BTreeMap<PeerId, Strait>,
    downlinks: BTreeMap<PeerId, Strait>,
    /// Of those who have any.
    events: BTreeMap<PeerId, VecDeque<(PeerId, ConnectionEvent)>>,
    stats: NetworkStats,
}

#[derive(Debug)]
struct Link {
    netem: Netem<Packet>,
    wake: Option<Instant>,
}

impl Network {
    /// A network whose links are all as `config` says. Each has dice of its own, which
    /// nothing that happens to another moves.
    #[must_use]
    pub fn new(config: impl Into<NetworkConfig>, random: Random) -> Self {
        Self {
            config: config.into(),
            // Not drawn from those of the links: engines that take their time move none.
            engines: Random::new(!random.clone().bits()),
            random,
            links: BTreeMap::new(),
            ends: BTreeMap::new(),
            ops: BTreeMap::new(),
            wakes: BTreeSet::new(),
            numbers: 0,
            addresses: BTreeMap::new(),
            cuts: BTreeSet::new(),
            isolated: BTreeSet::new(),
            uplinks: BTreeMap::new(),
            downlinks: BTreeMap::new(),
            events: BTreeMap::new(),
            stats: NetworkStats::default(),
        }
    }

    /// The transport of a node.
    pub const fn transport(&mut self, node: PeerId) -> SimTransport<'_> {
        SimTransport::new(self, node)
    }

    /// Cuts the link between two nodes, both ways: what is put in or would arrive
    /// is thrown away. Nobody is told; after two seconds both notice.
    pub fn cut(&mut self, a: PeerId, b: PeerId) {
        self.cuts.insert((a, b));
        self.cuts.insert((b, a));
    }

    /// Cuts the links between a node and all others, also those that come later.
    pub fn isolate(&mut self, node: PeerId) {
        self.isolated.insert(node);
    }

    /// From now on all that a node sends goes through this, and shares it. Without one
    /// there is no limit, as at first.
    pub fn set_uplink(&mut self, now: Instant, node: PeerId, to: Option<Bottleneck>) {
        set_strait(&mut self.uplinks, now, node, to);
    }

    /// The same of all that a node gets.
    pub fn set_downlink(&mut self, now: Instant, node: PeerId, to: Option<Bottleneck>) {
        set_strait(&mut self.downlinks, now, node, to);
    }

    /// Makes every link whole again. What still waits at its sender is sent again.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.isolated.clear();
    }

    /// Gives a node another address: what is under way to or from the old one is lost,
    /// and its connections have no path until ICE is restarted.
    pub fn change_path(&mut self, node: PeerId) {
        self.numbers += 1;
        self.addresses.insert(node, CHANGED | self.numbers);
    }

    /// Forgets a node that is no more: its ends, without a word to the others, and all
    /// that is under way to or from it.
    pub fn forget(&mut self, node: PeerId) {
        for way in Vec::from_iter(self.ends.keys().copied().filter(|way| way.0 == node)) {
            self.remove_end(way);
        }
        for way in
            Vec::from_iter(self.links.keys().copied().filter(|&(a, b)| a == node || b == node))
        {
            self.remove_link(way);
        }
        for way in Vec::from_iter(self.ops.keys().copied().filter(|way| way.0 == node)) {
            self.remove_ops(way);
        }
        self.addresses.remove(&node);
        self.cuts.retain(|&(a, b)| a != node && b != node);
        self.isolated.remove(&node);
        self.uplinks.remove(&node);
        self.downlinks.remove(&node);
        self.events.remove(&node);
    }

    /// Lets time pass: brings what has arrived, and sends again what has to be.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut due = Vec::new();
        while let Some(&(at, wake)) = self.wakes.first()
            && at <= now
        {
            self.wakes.pop_first();
            due.push(wake);
        }
        // Links first: what has arrived need not be asked for again.
        due.sort_unstable();
        for wake in due {
            match wake {
                Wake::Link(way) => self.deliver(now, way),
                Wake::Ops(way) => self.work(now, way),
                Wake::End(way) => self.handle_end(now, way),
            }
        }
    }

    /// When the next packet arrives or has to be sent again, or an end notices
    /// something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wakes.first().map(|&(at, _)| at)
    }

    /// Nodes whose transport has events.
    pub fn ready(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.events.keys().copied()
    }

    /// Whether `a` and `b` have ends that belong together: both stable, each with what
    /// the other says of itself, and the ICE generation of the same negotiation.
    #[must_use]
    pub fn agree(&self, a: PeerId, b: PeerId) -> bool {
        let (Some(here), Some(there)) = (self.ends.get(&(a, b)), self.ends.get(&(b, a))) else {
            return false;
        };
        let knows = |us: &End, them: &End| {
            us.is_stable()
                && us.theirs.is_some_and(|theirs| {
                    theirs.session == them.id && Some(theirs.ufrag) == them.ours
                })
        };
        knows(here, there) && knows(there, here)
    }

    /// Ends of connections: two for each that both ends know of.
    #[must_use]
    pub fn ends(&self) -> usize {
        self.ends.len()
    }

    /// Links that are remembered: those with an end, or with something under way.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> NetworkStats {
        self.stats
    }

    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        us: PeerId,
        peer: PeerId,
        message: Bytes,
    ) -> Result<(), SendError> {
        let end = self.ends.get_mut(&(us, peer)).filter(|end| end.open);
        let outbox = &mut end.ok_or(SendError::NotOpen)?.outbox;
        if outbox.outstanding() >= self.config.max_outstanding {
            return Err(SendError::Full);
        }
        outbox.push(now, message);
        self.flush(now, (us, peer));
        Ok(())
    }

    pub(crate) fn outstanding(&self, us: PeerId, peer: PeerId) -> usize {
        self.ends.get(&(us, peer)).map_or(0, |end| end.outbox.outstanding())
    }

    pub(crate) fn poll_event(&mut self, us: PeerId) -> Option<(PeerId, ConnectionEvent)> {
        let events = self.events.get_mut(&us)?;
        let event = events.pop_front();
        if events.is_empty() {
            self.events.remove(&us);
        }
        if let Some((peer, ConnectionEvent::Message(message))) = &event
            && let Some(end) = self.ends.get_mut(&(us, *peer))
        {
            end.unread = end.unread.saturating_sub(message.len());
        }
        event
    }

    fn tell(&mut self, (us, peer): Way, event: ConnectionEvent) {
        self.events.entry(us).or_default().push_back((peer, event));
    }

    /// What an end had to tell is nobody's business once it is gone.
    fn forget_events(&mut self, (us, peer): Way) {
        if let Some(events) = self.events.get_mut(&us) {
            events.retain(|&(other, _)| other != peer);
            if events.is_empty() {
                self.events.remove(&us);
            }
        }
    }

    /// The address of a node: its own for life, unless it was changed.
    fn address(&self, node: PeerId) -> Address {
        let own = || u128::from_be_bytes(node.to_bytes()) as Address & !CHANGED;
        self.addresses.get(&node).copied().unwrap_or_else(own)
    }

    /// Sees to it that an end is woken in time. One that is woken early sleeps on, so
    /// what moves away need not be moved here with each packet.
    fn wake_end(&mut self, way: Way) {
        let Some(end) = self.ends.get_mut(&way) else { return };
        let Some(at) = end.poll_timeout() else { return };
        if end.wake.is_none_or(|wake| at < wake) {
            if let Some(wake) = end.wake.replace(at) {
                self.wakes.remove(&(wake, Wake::End(way)));
            }
            self.wakes.insert((at, Wake::End(way)));
        }
    }

    /// Sees to it that what is first on a link is delivered in time.
    fn wake_link(&mut self, way: Way) {
        let Some(link) = self.links.get_mut(&way) else { return };
        if link.wake.is_none()
            && let Some(at) = link.netem.poll_timeout()
        {
            link.wake = Some(at);
            self.wakes.insert((at, Wake::Link(way)));
        }
    }

    fn remove_end(&mut self, way: Way) {
        if let Some(End { wake: Some(at), .. }) = self.ends.remove(&way) {
            self.wakes.remove(&(at, Wake::End(way)));
        }
        self.tidy(way);
        self.tidy((way.1, way.0));
    }

    fn remove_link(&mut self, way: Way) {
        if let Some(Link { wake: Some(at), .. }) = self.links.remove(&way) {
            self.wakes.remove(&(at, Wake::Link(way)));
        }
    }

    fn remove_ops(&mut self, way: Way) {
        if let Some((at, _)) = self.ops.remove(&way).and_then(|mut queue| queue.pop_front()) {
            self.wakes.remove(&(at, Wake::Ops(way)));
        }
    }

    /// Forgets a link that nobody needs.
    fn tidy(&mut self, way: Way) {
        let used = self.ends.contains_key(&way) || self.ends.contains_key(&(way.1, way.0));
        if !used && self.links.get(&way).is_some_and(|link| link.netem.is_empty()) {
            self.remove_link(way);
        }
    }
}

fn set_strait(
    straits: &mut BTreeMap<PeerId, Strait>,
    now: Instant,
    node: PeerId,
    to: Option<Bottleneck>,
) {
    match (to, straits.get_mut(&node)) {
        (None, _) => {
            straits.remove(&node);
        }
        (Some(to), Some(strait)) => strait.change(now, to),
        (Some(to), None) => {
            straits.insert(node, Strait::new(now, to));
        }
    }
}

/// Marks addresses that nodes changed to, so that none is what another had from birth.
const CHANGED: Address = 1 << 63;
