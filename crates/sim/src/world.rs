//! The world: all nodes, and the loop that moves time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_playout::{SeamStats, SourceStats};
use paceline_session::{Event, MigrationStats, PeerStats, ReceiveStats, Role};
use paceline_transport::SendError;
use paceline_transport::rtp::TapStats;
use paceline_types::{Bitrate, Carrier, Epoch, PeerId, Signal, StreamId, StreamKey};

use crate::node::{Joining, Node, Wires};
use crate::report::{NodeReport, Perceived, Report, Spread, TrackReport};
use crate::switchboard::Switchboard;
use crate::{Bottleneck, Network, Random, WorldConfig, epoch, voice};

/// A node of a [`World`], in the order they joined.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(usize);

impl NodeId {
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// A signalling server, a network, and people in a call.
///
/// | group | calls |
/// |---|---|
/// | who | [`join`](Self::join), [`join_with_clock`](Self::join_with_clock), [`join_to_host`](Self::join_to_host), [`join_over`](Self::join_over), [`set_hosting`](Self::set_hosting), [`hand_over`](Self::hand_over), [`leave`](Self::leave), [`kill`](Self::kill) |
/// | breaking | [`cut`](Self::cut), [`isolate`](Self::isolate), [`heal`](Self::heal), [`set_uplink`](Self::set_uplink), [`set_downlink`](Self::set_downlink), [`inject`](Self::inject), [`signal`](Self::signal) |
/// | time | [`run_for`](Self::run_for), [`elapsed`](Self::elapsed) |
/// | looking | [`report`](Self::report), [`events`](Self::events), [`is_connected`](Self::is_connected), [`peer_stats`](Self::peer_stats), [`rtp_stats`](Self::rtp_stats), [`sound_stats`](Self::sound_stats), [`source_stats`](Self::source_stats), [`peer`](Self::peer), [`hosts`](Self::hosts), [`standby`](Self::standby), [`migration_stats`](Self::migration_stats), [`seam_stats`](Self::seam_stats), [`video_bitrate`](Self::video_bitrate), [`send_delay`](Self::send_delay), [`picture_ages`](Self::picture_ages), [`picture_transits`](Self::picture_transits), [`broken_pictures`](Self::broken_pictures) |
///
/// Everybody shows a picture and says something as long as he is there.
///
/// Calls that name a node panic if it is of another world.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    random: Random,
    now: Instant,
    network: Network,
    switchboard: Switchboard,
    nodes: Vec<Node>,
}

impl World {
    /// A world without people, at the [`epoch`].
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        let mut random = Random::new(config.seed);
        Self {
            now: epoch(),
            network: Network::new(config.network(), random.fork()),
            switchboard: Switchboard::new(random.fork()),
            nodes: Vec::new(),
            random,
            config,
        }
    }

    /// Somebody comes in.
    ///
    /// # Panics
    ///
    /// If 30 have joined already, whether they are still there or not: there are
    /// tones for no more, and his would be taken for those of the first. So do
    /// [`join_with_clock`](Self::join_with_clock) and
    /// [`join_to_host`](Self::join_to_host).
    pub fn join(&mut self, name: &str) -> NodeId {
        self.add(name, false, 0, self.config.carrier)
    }

    /// Somebody comes in whose camera and microphone run `ppm` fast, or slow if it
    /// is negative.
    ///
    /// # Panics
    ///
    /// As [`join`](Self::join) does.
    pub fn join_with_clock(&mut self, name: &str, ppm: i32) -> NodeId {
        self.add(name, false, ppm, self.config.carrier)
    }

    /// Somebody comes in who may host: he does if nobody else does, and may be elected
    /// when the host is gone. Who [`join`](Self::join)s may not.
    ///
    /// # Panics
    ///
    /// As [`join`](Self::join) does.
    pub fn join_to_host(&mut self, name: &str) -> NodeId {
        self.add(name, true, 0, self.config.carrier)
    }

    /// Somebody comes in whose media go over `carrier` to those who have the same, whatever
    /// the world's is. Connections can carry RTP only if the world's carrier is that.
    ///
    /// # Panics
    ///
    /// As [`join`](Self::join) does; and if it is RTP in a world of another carrier, whose
    /// connections would lose all of it.
    pub fn join_over(&mut self, name: &str, carrier: Carrier) -> NodeId {
        assert!(
            carrier != Carrier::Rtp || self.config.carrier == Carrier::Rtp,
            "{name} would send RTP over connections that carry none"
        );
        self.add(name, false, 0, carrier)
    }

    fn add(&mut self, name: &str, host: bool, clock_ppm: i32, carrier: Carrier) -> NodeId {
        let senders = voice::SENDERS;
        assert!(
            self.nodes.len() < senders as usize,
            "{name} is one too many: there are tones for {senders} joins to a world"
        );
        let now = self.now;
        let conn = self.switchboard.open(now);
        let (session, stage) = self.config.node(carrier);
        let topology = self.config.mesh.topology();
        let random = self.random.fork();
        let name = name.to_owned();
        let (encodes, records) = (self.config.encodes, self.config.records_transits);
        let joining = Joining {
            name,
            host,
            clock_ppm,
            conn,
            random,
            session,
            stage,
            topology,
            encodes,
            records,
        };
        let Self { network, switchboard, .. } = self;
        self.nodes.push(Node::new(now, joining, &mut Wires { network, switchboard }));
        NodeId(self.nodes.len() - 1)
    }

    /// Somebody may host from now on, or may not.
    pub fn set_hosting(&mut self, node: NodeId, host: bool) {
        let (now, node, mut wires) = self.at(node);
        node.set_hosting(now, host, &mut wires);
    }

    /// Somebody leaves, and says so.
    pub fn leave(&mut self, node: NodeId) {
        let (now, node, mut wires) = self.at(node);
        node.leave(now, &mut wires);
    }

    /// Somebody hands over to who stands by, if he hosts; his events tell what came of it.
    pub fn hand_over(&mut self, node: NodeId) {
        let (now, node, mut wires) = self.at(node);
        node.hand_over(now, &mut wires);
    }

    /// Somebody is gone from one moment to the next, and says nothing to anybody. His
    /// connection to the signalling server breaks, or if it `hangs`, the server has to find
    /// out by itself.
    pub fn kill(&mut self, node: NodeId, hangs: bool) {
        let (now, node, mut wires) = self.at(node);
        node.kill(now, hangs, &mut wires);
    }

    /// Cuts the link between two nodes. Both still reach the signalling server.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        self.network.cut(self.peer(a), self.peer(b));
    }

    /// Cuts the links between a node and all others. It still reaches the
    /// signalling server.
    pub fn isolate(&mut self, node: NodeId) {
        self.network.isolate(self.peer(node));
    }

    /// All that a node sends goes through this from now on; without one there is no limit.
    pub fn set_uplink(&mut self, node: NodeId, to: Option<Bottleneck>) {
        self.network.set_uplink(self.now, self.peer(node), to);
    }

    /// All that a node gets goes through this from now on; without one there is no limit.
    pub fn set_downlink(&mut self, node: NodeId, to: Option<Bottleneck>) {
        self.network.set_downlink(self.now, self.peer(node), to);
    }

    /// Makes every link whole again.
    pub fn heal(&mut self) {
        self.network.heal();
    }

    /// Has `from` send a message that its session knows nothing of.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no open channel between the two, or it is full.
    pub fn inject(&mut self, from: NodeId, to: NodeId, message: Bytes) -> Result<(), SendError> {
        let to = self.peer(to);
        let (now, node, mut wires) = self.at(from);
        node.inject(now, to, message, &mut wires)
    }

    /// Has `from` send a signal that its session knows nothing of.
    pub fn signal(&mut self, from: NodeId, to: NodeId, signal: Signal) {
        let to = self.peer(to);
        let (now, node, mut wires) = self.at(from);
        node.signal(now, to, signal, &mut wires);
    }

    fn at(&mut self, node: NodeId) -> (Instant, &mut Node, Wires<'_>) {
        let Self { network, switchboard, .. } = self;
        (self.now, &mut self.nodes[node.0], Wires { network, switchboard })
    }

    /// Lets `span` pass, from one event to the next.
    ///
    /// # Panics
    ///
    /// If time stands still: some machine wants to be woken for what it has done
    /// already.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        let mut turns = 0;
        while let Some(at) = self.poll_timeout().filter(|&at| at <= end) {
            turns = if at > self.now { 0 } else { turns + 1 };
            assert!(
                turns < MAX_TURNS,
                "time stands still at {:?}: {}",
                self.elapsed(),
                self.woken()
            );
            self.now = self.now.max(at);
            self.turn();
        }
        self.now = end;
    }

    fn turn(&mut self) {
        let Self { now, network, switchboard, nodes, .. } = self;
        let heard = switchboard.handle_timeout(*now);
        network.handle_timeout(*now);
        let mut wires = Wires { network, switchboard };
        for (conn, heard) in heard {
            if let Some(node) = nodes.iter_mut().find(|node| node.conn == conn) {
                node.handle_heard(*now, heard, &mut wires);
            }
        }
        for node in nodes {
            node.handle_timeout(*now, &mut wires);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let nodes = self.nodes.iter().filter_map(Node::poll_timeout);
        nodes.chain(self.network.poll_timeout()).chain(self.switchboard.poll_timeout()).min()
    }

    /// Who wants to be woken, and why.
    fn woken(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let due = |at: Instant| at <= self.now;
            let session = node.session.poll_timeout().filter(|&(at, _)| due(at));
            let stage = node.playout.poll_timeout().is_some_and(due);
            format!("{}: session {:?}, stage {stage}", node.name, session.map(|(_, why)| why))
        });
        Vec::from_iter(nodes).join("; ")
    }

    /// How much virtual time has passed since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - epoch()
    }

    /// Who hosts now, each as he knows, and under which epoch.
    #[must_use]
    pub fn hosts(&self) -> Vec<(NodeId, Epoch)> {
        let nodes = self.nodes.iter().enumerate().filter(|(_, node)| node.is_there());
        let hosts = nodes.filter(|(_, node)| node.role.0 == Role::Host);
        hosts.map(|(index, node)| (NodeId(index), node.role.1)).collect()
    }

    /// Who is to follow the host, as a node knows.
    #[must_use]
    pub fn standby(&self, node: NodeId) -> Option<NodeId> {
        let standby = self.nodes[node.0].session.standby()?;
        self.nodes.iter().position(|node| node.peer == standby).map(NodeId)
    }

    /// What a node counts of elections and handovers.
    #[must_use]
    pub fn migration_stats(&self, node: NodeId) -> MigrationStats {
        self.nodes[node.0].session.migration_stats()
    }

    /// How a node put the mixes of one host after another's.
    #[must_use]
    pub fn seam_stats(&self, node: NodeId) -> SeamStats {
        self.nodes[node.0].playout.seam_stats()
    }

    /// The session id of a node.
    #[must_use]
    pub fn peer(&self, node: NodeId) -> PeerId {
        self.nodes[node.0].peer
    }

    /// What a node's session told its owner, and when; all but the mix's layouts.
    #[must_use]
    pub fn events(&self, node: NodeId) -> &[(Duration, Event)] {
        &self.nodes[node.0].events
    }

    /// Whether `a` has a connection to `b`, as far as `a` knows.
    #[must_use]
    pub fn is_connected(&self, a: NodeId, b: NodeId) -> bool {
        self.peer_stats(a, b).is_some()
    }

    /// What `a` counts of its connection to `b`, if it has one.
    #[must_use]
    pub fn peer_stats(&self, a: NodeId, b: NodeId) -> Option<PeerStats> {
        let b = self.peer(b);
        let stats = self.nodes[a.0].session.peer_stats();
        stats.into_iter().find(|&(peer, _)| peer == b).map(|(_, stats)| stats)
    }

    /// What `a` counts of the RTP to and from `b`, if their connection carries any.
    #[must_use]
    pub fn rtp_stats(&self, a: NodeId, b: NodeId) -> Option<TapStats> {
        self.network.rtp_stats(self.peer(a), self.peer(b))
    }

    /// What became of the sound and pictures of `of` on the stage of `host`, if he has
    /// one and the other is on it.
    #[must_use]
    pub fn source_stats(&self, host: NodeId, of: NodeId) -> Option<SourceStats> {
        self.nodes[host.0].playout.source_stats(self.nodes[of.0].us?)
    }

    /// What a node's encoder of a stream is told to make.
    #[must_use]
    pub fn video_bitrate(&self, node: NodeId, stream: StreamId) -> Bitrate {
        self.nodes[node.0].session.video_bitrate(stream)
    }

    /// How long what a node's encoder of a stream makes now waits on its way.
    #[must_use]
    pub fn send_delay(&self, node: NodeId, stream: StreamId) -> Duration {
        self.nodes[node.0].session.send_delay(self.now, stream)
    }

    /// Pictures that came to a node and could not be shown because one before them did not
    /// come.
    #[must_use]
    pub fn broken_pictures(&self, node: NodeId) -> u64 {
        self.nodes[node.0].playout.broken
    }

    /// How old each new picture of `of` was when it was shown to `node`, one after the
    /// other.
    #[must_use]
    pub fn picture_ages(&self, node: NodeId, of: NodeId) -> Vec<Duration> {
        let perceived = &self.nodes[node.0].playout.senses.perceived;
        let of = self.nodes[of.0].us.and_then(|us| perceived.get(&us));
        let ages = of.map(|perceived| perceived.pictures.latencies.iter());
        ages.into_iter().flatten().map(|&age| Duration::from_micros(age.into())).collect()
    }

    /// When each picture of `of` that `node` decoded was taken, since the world began, and how
    /// old it was when the last of it had come: what it waits for to be shown is not in it.
    /// None unless the world [records them](WorldConfig::records_transits).
    #[must_use]
    pub fn picture_transits(&self, node: NodeId, of: NodeId) -> &[(Duration, Duration)] {
        let of = self.nodes[of.0].us.and_then(|us| self.nodes[node.0].playout.transits.get(&us));
        of.map_or(&[], Vec::as_slice)
    }

    /// How a node receives the sound of `of`, if he sends it any.
    #[must_use]
    pub fn sound_stats(&self, node: NodeId, of: NodeId) -> Option<ReceiveStats> {
        let key = StreamKey { sender: self.nodes[of.0].us?, stream: StreamId::AUDIO };
        let stats = self.nodes[node.0].session.receive_stats();
        stats.into_iter().find(|&(stream, _)| stream == key).map(|(_, stats)| stats)
    }

    /// What the call has been like so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let nodes = self.nodes.iter().map(|node| self.report_on(node)).collect();
        Report { seed: self.config.seed, elapsed: self.elapsed(), nodes }
    }

    fn report_on(&self, node: &Node) -> NodeReport {
        let senses = &node.playout.senses;
        let perceived = self.nodes.iter().enumerate().filter_map(|(index, other)| {
            let perceived = senses.perceived.get(&other.us?)?;
            let pictures = TrackReport::of(&perceived.pictures);
            let sounds = TrackReport::of(&perceived.sounds);
            let skew = Spread::of(&perceived.skews);
            Some((NodeId(index), Perceived { pictures, sounds, skew }))
        });
        let showing = self.nodes.iter().enumerate().filter_map(|(index, other)| {
            senses.showing.contains(&other.us?).then_some(NodeId(index))
        });
        let stats = node.session.stats();
        let bad: u64 = node.session.peer_stats().iter().map(|(_, stats)| stats.bad_messages).sum();
        let delays = node.session.receive_stats().into_iter().map(|(_, stats)| stats.jitter.delay);
        NodeReport {
            name: node.name.clone(),
            connect: node.connect,
            pictures: senses.pictures,
            sounds: senses.sounds,
            concealed: senses.concealed,
            lost: node.playout.lost,
            jitter_delay: delays.max().unwrap_or_default(),
            unreadable: senses.unreadable,
            errors: node.errors
                + node.playout.errors
                + stats.wrong_role
                + stats.unknown_stream
                + bad,
            mix_pictures_missing: senses.mix_pictures.missing,
            mix_pictures_again: senses.mix_pictures.again,
            mix_sounds_missing: senses.mix_sounds.missing,
            mix_sounds_again: senses.mix_sounds.again,
            stale_epoch_rendered: senses.stale,
            stale_dropped: node.playout.seam_stats().stale_dropped,
            still: senses.still.clone(),
            silent: senses.silent.clone(),
            digest: senses.digest.get(),
            showing: showing.collect(),
            perceived: perceived.collect(),
        }
    }
}

/// Turns at one instant: an answer may be due at once, and one to that, but not
/// for ever.
const MAX_TURNS: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "tones for 30 joins")]
    fn the_thirty_first_join_is_refused_for_he_would_sing_as_the_first() {
        let mut world = World::new(WorldConfig::default());
        for _ in 0..30 {
            let _ = world.join("one of many");
        }
        assert_eq!(world.nodes.len(), 30);
        let _ = world.join("cal");
    }
}
