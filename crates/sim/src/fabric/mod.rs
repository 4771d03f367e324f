//! Many meshes and nothing else: no session, no stage, no media. What is left is who is
//! connected to whom, and that is fast enough to try it hundreds of times.

mod config;
mod member;
mod road;
mod streams;
mod tally;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub use config::FabricConfig;
use paceline_mesh::{Mesh, PeerStats};
use paceline_types::PeerId;
pub use road::RoadConfig;
pub use tally::{Holding, Tally};

use self::member::{Around, Member};
use self::road::{Errand, Road};
use crate::{Network, NetworkStats, Random, epoch};

/// A room of bare [`Mesh`] machines over a [`Network`], and a road for their signals.
///
/// | group | calls |
/// |---|---|
/// | who | [`join`](Self::join), [`leave`](Self::leave), [`vanish`](Self::vanish), [`with_mesh`](Self::with_mesh) |
/// | breaking | [`cut`](Self::cut), [`part`](Self::part), [`heal`](Self::heal), [`change_path`](Self::change_path), [`stall`](Self::stall), [`resume`](Self::resume), [`set_road`](Self::set_road), [`set_sending`](Self::set_sending) |
/// | time | [`run_for`](Self::run_for), [`run_until`](Self::run_until), [`elapsed`](Self::elapsed) |
/// | looking | [`present`](Self::present), [`is_connected`](Self::is_connected), [`agree`](Self::agree), [`stuck`](Self::stuck), [`missing`](Self::missing), [`latencies`](Self::latencies), [`stats`](Self::stats), [`tally`](Self::tally), [`holding`](Self::holding), [`network`](Self::network), [`waiting`](Self::waiting), [`turned_away`](Self::turned_away) |
///
/// The roster is kept by a model of a server with one room and no bound on members; the
/// real one has at most 64, which is for [`World`](crate::World) to try. The first who
/// joins is the host, where the topology has one, and hosts until he leaves.
///
/// Everybody sends numbered messages to everybody he is connected to, and checks what he
/// gets: nothing lost, doubled or out of order while a connection lasts. Whom a mesh gives
/// up is called again as long as he is in the room. A peer for whom there is no room is
/// told so by the road, and again when there is.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_mesh::Topology;
/// use paceline_sim::{Fabric, FabricConfig};
///
/// let mut fabric = Fabric::new(FabricConfig::new(Topology::Mesh).seed(3));
/// let nodes: Vec<_> = (0..5).map(|_| fabric.join()).collect();
/// fabric.run_for(Duration::from_secs(3));
///
/// assert!(fabric.is_connected(nodes[0], nodes[4]));
/// assert_eq!((fabric.holding().connected, fabric.tally().wrong), (20, 0));
/// ```
///
/// Calls that name a node panic if it is not there.
#[derive(Debug)]
pub struct Fabric {
    config: FabricConfig,
    random: Random,
    now: Instant,
    network: Network,
    road: Road,
    members: BTreeMap<PeerId, Member>,
    joined: BTreeMap<PeerId, Instant>,
    /// What the server knows: who is there, and his number.
    seats: Vec<(PeerId, u32)>,
    last_number: u32,
    host: Option<PeerId>,
    deadlines: BTreeSet<(Instant, PeerId)>,
    /// Who left, and when nothing of him is under way any more.
    departed: VecDeque<(Instant, PeerId)>,
    sending: bool,
    tally: Tally,
}

impl Fabric {
    /// A room without anybody in it, at the [`epoch`].
    #[must_use]
    pub fn new(config: FabricConfig) -> Self {
        let mut random = Random::new(config.seed);
        Self {
            now: epoch(),
            network: Network::new(config.network, random.fork()),
            road: Road::new(config.road, random.fork()),
            members: BTreeMap::new(),
            joined: BTreeMap::new(),
            seats: Vec::new(),
            last_number: 0,
            host: None,
            deadlines: BTreeSet::new(),
            departed: VecDeque::new(),
            sending: true,
            tally: Tally::default(),
            random,
            config,
        }
    }

    /// Somebody comes in.
    pub fn join(&mut self) -> PeerId {
        let id = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits());
        let peer = PeerId::from_random(id.to_be_bytes());
        let interval = self.config.data_interval;
        let member = Member::new(peer, self.now, interval, &mut self.random);
        self.members.insert(peer, member);
        self.joined.insert(peer, self.now);
        self.host.get_or_insert(peer);
        self.tally.joins += 1;
        self.road.say(self.now, peer, Errand::Announce);
        peer
    }

    /// Somebody leaves: he hangs up, and tells the server.
    pub fn leave(&mut self, node: PeerId) {
        self.at(node, Member::leave);
        self.remove(node);
        self.departed.push_back((self.now + UNDER_WAY, node));
    }

    /// Somebody is gone without a word. The server notices at once, the peers do not.
    pub fn vanish(&mut self, node: PeerId) {
        self.remove(node);
        self.network.forget(node);
    }

    fn remove(&mut self, node: PeerId) {
        let member = self.members.remove(&node).expect("he is there");
        if let Some(at) = member.deadline {
            self.deadlines.remove(&(at, node));
        }
        self.joined.remove(&node);
        self.tally.leaves += 1;
        self.road.say(self.now, node, Errand::Leave);
        if self.host == Some(node) {
            self.host = None;
        }
    }

    /// Has a node's owner do something with its mesh, which has to be in the room: with
    /// its roster, so some time after it joined.
    pub fn with_mesh<T>(&mut self, node: PeerId, act: impl FnOnce(&mut Mesh, Instant) -> T) -> T {
        self.at(node, |member, around| {
            let done = act(member.mesh.as_mut().expect("it is in the room"), around.now);
            member.drain(around);
            done
        })
    }

    /// Cuts the link between two nodes. Both still reach the server.
    pub fn cut(&mut self, a: PeerId, b: PeerId) {
        self.network.cut(a, b);
    }

    /// Cuts all links between those who are named and those who are not.
    pub fn part(&mut self, some: &[PeerId]) {
        for &a in some {
            for &b in self.members.keys().filter(|b| !some.contains(b)) {
                self.network.cut(a, b);
            }
        }
    }

    /// Makes every link whole again.
    pub fn heal(&mut self) {
        self.network.heal();
    }

    /// Gives a node another address: it has no path to anybody until ICE is restarted.
    pub fn change_path(&mut self, node: PeerId) {
        self.network.change_path(node);
    }

    /// Stops a node: it reads nothing and does nothing, while its engine goes on until it
    /// can hold no more.
    pub fn stall(&mut self, node: PeerId) {
        self.at(node, |member, _| member.stalled = true);
    }

    /// Lets a node go on. What came for it in between, it gets now.
    pub fn resume(&mut self, node: PeerId) {
        self.at(node, |member, around| {
            member.stalled = false;
            member.catch_up(around);
        });
    }

    /// From now on the road is like this.
    pub const fn set_road(&mut self, road: RoadConfig) {
        self.road.set_config(road);
    }

    /// Whether everybody sends messages. Starts as yes.
    pub fn set_sending(&mut self, sending: bool) {
        self.sending = sending;
        for node in self.present() {
            self.at(node, |_, _| {});
        }
    }

    /// Does something with a node, and sees to it that it is woken in time afterwards.
    fn at<T>(&mut self, node: PeerId, act: impl FnOnce(&mut Member, &mut Around<'_>) -> T) -> T {
        let Self { now, config, network, road, tally, joined, .. } = self;
        let (now, host, sending) = (*now, self.host, self.sending);
        let mut around = Around { now, config, network, road, tally, host, sending, joined };
        let member = self.members.get_mut(&node).expect("he is there");
        let done = act(member, &mut around);
        let next = if member.stalled { None } else { member.poll_timeout(sending) };
        if next != member.deadline {
            if let Some(at) = member.deadline {
                self.deadlines.remove(&(at, node));
            }
            self.deadlines.extend(next.map(|at| (at, node)));
            member.deadline = next;
        }
        done
    }

    /// Lets `span` pass, from one event to the next.
    ///
    /// # Panics
    ///
    /// If time stands still: some machine wants to be woken for what it has done
    /// already.
    pub fn run_for(&mut self, span: Duration) {
        let _ = self.run_until(span, |_| false);
    }

    /// Lets time pass until something holds, but at most `span`; how long it took, if it
    /// came to hold.
    ///
    /// # Panics
    ///
    /// As [`run_for`](Self::run_for) does.
    pub fn run_until(
        &mut self,
        span: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let (began, end) = (self.now, self.now + span);
        let mut turns = 0;
        while !holds(self) {
            let Some(at) = self.poll_timeout().filter(|&at| at <= end) else {
                self.now = end;
                return None;
            };
            turns = if at > self.now { 0 } else { turns + 1 };
            let seed = self.config.seed;
            assert!(turns < MAX_TURNS, "seed {seed}: time stands still at {:?}", self.elapsed());
            self.now = self.now.max(at);
            self.turn();
        }
        Some(self.now - began)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        [deadline, self.network.poll_timeout(), self.road.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn turn(&mut self) {
        while let Some((to, about, errand)) = self.road.poll_arrival(self.now) {
            match to {
                None => self.serve(about, errand),
                Some(to) if self.members.contains_key(&to) => {
                    self.at(to, |member, around| member.handle_errand(errand, around));
                }
                Some(_) => {}
            }
        }
        self.network.handle_timeout(self.now);
        loop {
            let reads =
                |node: &PeerId| self.members.get(node).is_some_and(|member| !member.stalled);
            let Some(node) = self.network.ready().find(reads) else { break };
            self.at(node, |member, around| member.drain(around));
        }
        while let Some(&(at, node)) = self.deadlines.first()
            && at <= self.now
        {
            self.at(node, |member, around| member.handle_timeout(around));
            if self.deadlines.contains(&(at, node)) {
                // It does not get on: `run_until` counts that.
                break;
            }
        }
        while let Some((_, node)) = self.departed.pop_front_if(|(at, _)| *at <= self.now) {
            self.network.forget(node);
        }
    }

    /// What the server does.
    fn serve(&mut self, from: PeerId, errand: Errand) {
        let Self { now, road, seats, .. } = self;
        let others = seats.iter().map(|&(peer, _)| peer).filter(|&peer| peer != from);
        let is_seated = |peer: PeerId| seats.iter().any(|&(other, _)| other == peer);
        match errand {
            Errand::Announce => {
                self.last_number += 1;
                let number = self.last_number;
                for peer in others {
                    road.tell(*now, peer, Errand::Joined(from, number));
                }
                road.tell(*now, from, Errand::Roster(number, seats.clone()));
                seats.push((from, number));
            }
            Errand::Leave => {
                for peer in others {
                    road.tell(*now, peer, Errand::Left(from));
                }
                seats.retain(|&(peer, _)| peer != from);
                road.forget(from);
            }
            Errand::Signal(to, signal) if is_seated(to) && is_seated(from) => {
                road.tell(*now, to, Errand::Signal(from, signal));
            }
            Errand::NoRoom(to) if is_seated(to) => road.tell(*now, to, Errand::Refused(from)),
            Errand::Room(to) if is_seated(to) => road.tell(*now, to, Errand::Invite(from)),
            _ => {}
        }
    }

    /// How much virtual time has passed since the fabric began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - epoch()
    }

    /// Who is there, in the order of their ids.
    #[must_use]
    pub fn present(&self) -> Vec<PeerId> {
        self.members.keys().copied().collect()
    }

    /// Whether both of two nodes think that they are connected.
    #[must_use]
    pub fn is_connected(&self, a: PeerId, b: PeerId) -> bool {
        self.thinks(a, b) && self.thinks(b, a)
    }

    fn thinks(&self, a: PeerId, b: PeerId) -> bool {
        let tie = self.members.get(&a).and_then(|member| member.ties.get(&b));
        tie.is_some_and(|tie| tie.connected)
    }

    /// Whether all who are connected belong together: both think so, and their engines are
    /// [in step](Network::agree).
    #[must_use]
    pub fn agree(&self) -> bool {
        self.members.iter().all(|(&us, member)| {
            member
                .ties
                .iter()
                .filter(|(_, tie)| tie.connected)
                .all(|(&peer, _)| self.thinks(peer, us) && self.network.agree(us, peer))
        })
    }

    /// Who is to be connected to whom and is not, for longer than `limit` since both were
    /// there and the last connection was lost. Not who waits for room, and not whoever is
    /// stalled.
    #[must_use]
    pub fn stuck(&self, limit: Duration) -> Vec<(PeerId, PeerId)> {
        let mut stuck = Vec::new();
        for (&us, member) in self.members.iter().filter(|(_, member)| !member.stalled) {
            for (&peer, tie) in member.ties.iter().filter(|(_, tie)| !tie.connected) {
                let Some(other) = self.members.get(&peer) else { continue };
                let since = tie.began.max(self.joined[&us]).max(self.joined[&peer]);
                if since + limit < self.now && !other.turned_away.contains(&us) && !other.stalled {
                    stuck.push((us, peer));
                }
            }
        }
        stuck
    }

    /// Messages of connections that are up which were sent and have not arrived. Some
    /// always are under way; after sending was stopped, none are.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let mut missing = 0;
        for (us, member) in &self.members {
            for (peer, tie) in member.ties.iter().filter(|(_, tie)| tie.connected) {
                let there = self.members.get(peer).and_then(|other| other.ties.get(us));
                missing += there.map_or(0, |there| tie.stream.missing(&there.stream));
            }
        }
        missing
    }

    /// How long messages took to a node, and how many took so long, for each who sent them.
    #[must_use]
    pub fn latencies(&self, node: PeerId) -> &BTreeMap<(PeerId, Duration), u64> {
        &self.members[&node].latencies
    }

    /// What the mesh of `a` counts of its connection to `b`.
    #[must_use]
    pub fn stats(&self, a: PeerId, b: PeerId) -> Option<PeerStats> {
        self.members[&a].mesh.as_ref()?.stats(b)
    }

    /// For whom a node has no room, in the order in which they came.
    #[must_use]
    pub fn waiting(&self, node: PeerId) -> &[PeerId] {
        &self.members[&node].waiting
    }

    /// Whether a node was told that `by` has no room for it.
    #[must_use]
    pub fn turned_away(&self, node: PeerId, by: PeerId) -> bool {
        self.members[&node].turned_away.contains(&by)
    }

    /// What has been counted so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the network has seen.
    #[must_use]
    pub const fn network(&self) -> NetworkStats {
        self.network.stats()
    }

    /// What is held now.
    #[must_use]
    pub fn holding(&self) -> Holding {
        let members = self.members.values();
        let mut holding = Holding {
            ends: self.network.ends(),
            links: self.network.links(),
            on_the_road: self.road.len(),
            ..Holding::default()
        };
        for member in members {
            let Some(mesh) = &member.mesh else { continue };
            holding.peers += member.ties.len();
            holding.connected += member.ties.values().filter(|tie| tie.connected).count();
            holding.deadlines += usize::from(mesh.poll_timeout().is_some());
            let stats = member.ties.keys().filter_map(|&peer| mesh.stats(peer));
            holding.queued_bytes += stats.map(|stats| stats.queued_bytes).sum::<usize>();
        }
        holding
    }
}

/// Turns at one instant: an answer may be due at once, and one to that, but not
/// for ever.
const MAX_TURNS: u32 = 1_000;

/// After so long nothing that somebody sent is under way any more: ten times what the
/// slowest preset takes.
const UNDER_WAY: Duration = Duration::from_secs(2);
