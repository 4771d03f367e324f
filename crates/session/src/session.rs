//! The composition.

mod incoming;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use paceline_framing::{self as framing, Body, ByeReason, Control, Packet, Role, RosterMember};
use paceline_mesh::{
    self as mesh, CallError, GoneReason, Identity, Link, Mesh, MeshStats, PeerStats, Place,
    Quality, Recipients, Topology,
};
use paceline_types::{Epoch, PeerId, SenderId, StreamId, StreamKey};
use tracing::{debug, info};

use crate::SessionConfig;
use crate::io::{Event, Input, Member, Output, PathReport, Reason, Roster, SessionStats};
use crate::receive::{Due, ReceiveStats, Receiver};
use crate::roster::Telling;
use crate::steering::Steering;

/// One node of a call.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_input`](Self::handle_input) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking | [`stats`](Self::stats), [`peer_stats`](Self::peer_stats), [`receive_stats`](Self::receive_stats), [`qualities`](Self::qualities), [`roster`](Self::roster), [`path_reports`](Self::path_reports) |
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    peer: PeerId,
    room: Option<Room>,
    receiver: Receiver,
    steering: Steering,
    next_report: Option<Instant>,
    disabled: Vec<StreamId>,
    reports: BTreeMap<(PeerId, StreamId), PathReport>,
    qualities: BTreeMap<PeerId, Quality>,
    telling: Telling,
    outputs: VecDeque<Output>,
    stats: SessionStats,
}

/// What there is once we are in a room.
#[derive(Debug)]
struct Room {
    mesh: Mesh,
    sender: SenderId,
    epoch: Epoch,
    host: Option<PeerId>,
    /// Who was there when we came: whom we call in a mesh.
    before_us: BTreeSet<PeerId>,
    members: BTreeMap<PeerId, Member>,
    /// What the host told last.
    roster: Option<framing::Roster>,
    /// Whose connection the owner was told of, and not of its end.
    told: BTreeSet<PeerId>,
}

impl Session {
    /// A node that is in no room yet.
    ///
    /// # Panics
    ///
    /// If the config's `report_interval` is zero.
    #[must_use]
    pub fn new(peer: PeerId, config: SessionConfig) -> Self {
        assert!(!config.steering.report_interval.is_zero(), "report_interval is not zero");
        Self {
            receiver: Receiver::new(config.clone()),
            steering: Steering::new(config.steering.keyframe_window),
            config,
            peer,
            room: None,
            next_report: None,
            disabled: Vec::new(),
            reports: BTreeMap::new(),
            qualities: BTreeMap::new(),
            telling: Telling::default(),
            outputs: VecDeque::new(),
            stats: SessionStats::default(),
        }
    }

    /// Takes in whatever happened at `now`.
    ///
    /// What a connection tells does not let time pass for the mesh: a node that is late
    /// hears all that was said meanwhile, and only then, with [`Input::Timeout`], finds
    /// out who was silent.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        let hears = matches!(input, Input::Connection { .. });
        match input {
            Input::Joined(roster) => self.handle_joined(now, roster),
            Input::NeedsKeyframe(stream) => self.request_keyframe(now, stream),
            Input::Timeout => {}
            other => {
                // Outside a room nothing else means anything.
                if let Some(mut room) = self.room.take() {
                    self.handle_in_room(now, &mut room, other);
                    self.room = Some(room);
                }
            }
        }
        if !hears && let Some(room) = &mut self.room {
            room.mesh.handle_timeout(now);
        }
        self.run(now);
    }

    fn handle_in_room(&mut self, now: Instant, room: &mut Room, input: Input) {
        match input {
            Input::Connection { peer, event } => room.mesh.handle_connection(now, peer, event),
            Input::Signal { peer, signal } => room.mesh.handle_signal(now, peer, signal),
            Input::Encoded { to, frame } => {
                // What a host makes carries its epoch; a member's own does not.
                let mix = is_mix(frame.stream);
                if mix && room.host != Some(self.peer) {
                    debug!("a mix is not sent: we are not the host");
                    return;
                }
                // Sound counts as key too, and has nothing to steer.
                if frame.coding.is_key() && !frame.coding.is_audio() {
                    self.steering.handle_keyframe(now, frame.stream);
                }
                let packet = Packet {
                    sender: room.sender,
                    epoch: mix.then_some(room.epoch),
                    body: Body::Media(frame),
                };
                room.mesh.send(now, to, &packet);
            }
            Input::MixInfo(info) if room.host == Some(self.peer) => {
                room.mesh.broadcast_control(now, Control::MixInfo(info));
            }
            Input::Consumed { peer, packets, bytes } => {
                room.mesh.consume(now, peer, packets, bytes);
            }
            Input::Data { to, channel, data } => {
                if let Err(error) = room.mesh.send_data(now, to, channel, data) {
                    debug!(%error, "data are not sent");
                    self.stats.refused_data += 1;
                }
            }
            Input::Host { host, epoch } if epoch >= room.epoch => {
                self.set_host(now, room, host, epoch);
            }
            Input::NetworkChanged => room.mesh.restart_ice(now, Recipients::All),
            Input::Leave => room.mesh.hang_up_all(now, ByeReason::Leaving),
            Input::MemberJoined(member) => {
                self.connect(now, room, member.peer, member.sender);
                let Member { peer, sender, name } = member.clone();
                room.members.insert(peer, member);
                self.telling.handle_change(now);
                self.event(Event::MemberJoined { peer, sender, name });
            }
            Input::MemberLeft(peer) => {
                if let Some(Member { sender, name, .. }) = room.members.remove(&peer) {
                    room.before_us.remove(&peer);
                    self.telling.handle_change(now);
                    self.drop_peer(now, room, peer, sender, "it left the room");
                    self.event(Event::MemberLeft { peer, sender, name });
                    self.fill_places(now, room);
                }
            }
            Input::TrackState { stream, enabled } => {
                self.disabled.retain(|&other| other != stream);
                if !enabled {
                    self.disabled.push(stream);
                    room.mesh.forget_stream(stream);
                }
                room.mesh.broadcast_control(now, Control::TrackState { stream, enabled });
            }
            _ => {}
        }
    }

    fn handle_joined(&mut self, now: Instant, roster: Roster) {
        let Roster { session, sender, epoch, host, members } = roster;
        // In a mesh nobody is: whoever says he hosts has no mix for us.
        let host = host.filter(|_| self.has_host());
        let role = self.role(host);
        let identity = Identity { session, peer: self.peer, sender, role };
        let mut mesh = Mesh::new(now, identity, self.config.mesh.clone());
        mesh.set_epoch(epoch);
        let before_us = members.iter().map(|member| member.peer).collect();
        let mut room = Room {
            mesh,
            sender,
            epoch,
            host,
            before_us,
            members: BTreeMap::new(),
            roster: None,
            told: BTreeSet::new(),
        };
        self.outputs.push_back(Output::Role { role, epoch });
        if self.has_host() {
            self.event(Event::HostChanged { host });
        }
        for member in members {
            let Member { peer, sender, name } = member.clone();
            self.connect(now, &mut room, peer, sender);
            room.members.insert(peer, member);
            self.event(Event::MemberJoined { peer, sender, name });
        }
        self.next_report = now.checked_add(self.config.steering.report_interval);
        self.room = Some(room);
    }

    /// Calls or expects a member, as the topology has it.
    fn connect(&mut self, now: Instant, room: &mut Room, peer: PeerId, sender: SenderId) {
        let result = match self.link(room, peer) {
            Some(Link::Call) => room.mesh.call(now, peer, sender),
            Some(Link::Expect) => room.mesh.expect(now, peer, sender),
            None => return,
        };
        if let Err(error) = result {
            self.event(Event::Refused { peer, reason: error.to_string() });
        }
    }

    fn link(&self, room: &Room, them: PeerId) -> Option<Link> {
        let place = |peer| if room.host == Some(peer) { Place::Host } else { Place::Member };
        let was_there = room.before_us.contains(&them);
        self.config.topology().link(place(self.peer), place(them), was_there)
    }

    /// A place is free: members who found none are expected now.
    fn fill_places(&mut self, now: Instant, room: &mut Room) {
        for member in room.members.values() {
            if self.link(room, member.peer) == Some(Link::Expect) {
                let expected = room.mesh.expect(now, member.peer, member.sender);
                if matches!(expected, Err(CallError::Full { .. })) {
                    // The others find none either.
                    return;
                }
            }
        }
    }

    fn set_host(&mut self, now: Instant, room: &mut Room, host: Option<PeerId>, epoch: Epoch) {
        let changed = host != room.host;
        room.epoch = epoch;
        room.mesh.set_epoch(epoch);
        self.telling.handle_change(now);
        if !changed || !self.has_host() {
            return;
        }
        info!(?host, %epoch, "the host changed");
        for member in room.members.values().cloned().collect::<Vec<_>>() {
            self.drop_peer(now, room, member.peer, member.sender, "the host changed");
        }
        room.host = host;
        room.roster = None;
        let role = self.role(host);
        room.mesh.set_role(role);
        self.outputs.push_back(Output::Role { role, epoch });
        self.event(Event::HostChanged { host });
        for member in room.members.values().cloned().collect::<Vec<_>>() {
            self.connect(now, room, member.peer, member.sender);
        }
    }

    fn drop_peer(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        sender: SenderId,
        reason: &str,
    ) {
        let was_told = room.told.remove(&peer);
        room.mesh.hang_up(now, peer, ByeReason::Leaving);
        self.forget(peer, sender);
        if was_told {
            let reason = reason.to_owned();
            self.event(Event::Disconnected { peer, sender, reason, again: false });
        }
    }

    /// What came over an earlier connection does not continue on the next one.
    fn forget(&mut self, peer: PeerId, sender: SenderId) {
        self.receiver.forget(sender);
        self.reports.retain(|&(other, _), _| other != peer);
        self.qualities.remove(&peer);
    }

    /// Lets everything that is due happen.
    fn run(&mut self, now: Instant) {
        if let Some(mut room) = self.room.take() {
            self.drain_mesh(now, &mut room);
            if self.telling.poll_due(now) {
                self.tell_roster(now, &mut room);
            }
            if self.next_report.is_some_and(|at| at <= now) {
                self.next_report = now.checked_add(self.config.steering.report_interval);
                self.send_reports(now, &mut room);
            }
            self.room = Some(room);
        }
        self.receiver.handle_timeout(now);
        while let Some(due) = self.receiver.poll_due(now) {
            self.handle_due(now, due);
        }
        while let Some((stream, target)) = self.steering.poll_target(now) {
            self.outputs.push_back(Output::Steer { stream, target });
        }
        if let Some(mut room) = self.room.take() {
            self.drain_mesh(now, &mut room);
            self.room = Some(room);
        }
    }

    fn drain_mesh(&mut self, now: Instant, room: &mut Room) {
        while let Some(output) = room.mesh.poll_output() {
            let output = match output {
                mesh::Output::Connection { peer, op } => Output::Connection { peer, op },
                mesh::Output::Signal { peer, signal } => Output::Signal { peer, signal },
                mesh::Output::Transmit { peer, bytes } => Output::Transmit { peer, bytes },
                mesh::Output::Event(event) => {
                    self.handle_mesh_event(now, room, event);
                    continue;
                }
                _ => continue,
            };
            self.outputs.push_back(output);
        }
    }

    fn handle_mesh_event(&mut self, now: Instant, room: &mut Room, event: mesh::Event) {
        match event {
            mesh::Event::Connected { peer, sender, .. } => {
                self.forget(peer, sender);
                self.telling.handle_change(now);
                for stream in self.disabled.clone() {
                    let state = Control::TrackState { stream, enabled: false };
                    room.mesh.send_control(now, peer, state);
                }
                room.told.insert(peer);
                self.event(Event::Connected { peer, sender });
            }
            mesh::Event::Gone { peer, sender, reason } => {
                self.forget(peer, sender);
                room.told.remove(&peer);
                // Who could not be reached, or was too slow, may call again while he is in
                // the room, but nobody knows: whom we gave up was told so, and if he heard
                // it, he does not.
                let may_call = matches!(
                    reason,
                    GoneReason::NoProgress
                        | GoneReason::NotOpened { .. }
                        | GoneReason::Silent
                        | GoneReason::TooSlow
                );
                if may_call
                    && room.members.contains_key(&peer)
                    && self.link(room, peer) == Some(Link::Expect)
                {
                    // Who finds no place is not expected.
                    let _ = room.mesh.expect(now, peer, sender);
                }
                let reason = match reason {
                    GoneReason::Bye(ByeReason::TooSlow) => {
                        format!("{reason}: take what comes sooner, and join again")
                    }
                    reason => reason.to_string(),
                };
                self.event(Event::Disconnected { peer, sender, reason, again: false });
            }
            mesh::Event::Interrupted { peer, sender, reason } => {
                self.forget(peer, sender);
                room.told.remove(&peer);
                let reason = reason.to_string();
                self.event(Event::Disconnected { peer, sender, reason, again: true });
            }
            mesh::Event::Congested { peer } => self.event(Event::Congested { peer }),
            mesh::Event::Drained { peer } => self.event(Event::Drained { peer }),
            mesh::Event::Quality { peer, quality } => {
                self.qualities.insert(peer, quality);
            }
            mesh::Event::Reconnecting { peer, .. } => self.event(Event::Reconnecting { peer }),
            mesh::Event::Reconnected { peer, .. } => self.event(Event::Reconnected { peer }),
            mesh::Event::NeedsKeyframe { .. } => {
                self.steering.handle_request(self.video_for_peers(room));
            }
            mesh::Event::Packet { peer, packet } => self.handle_packet(now, room, peer, packet),
            _ => {}
        }
    }

    fn handle_due(&mut self, now: Instant, due: Due) {
        match due {
            Due::Play { stream, due, frame } => {
                self.outputs.push_back(Output::Decode { stream, due, frame });
            }
            Due::Lost { stream, count } => {
                self.outputs.push_back(Output::Lost { stream, count });
                if matches!(stream.stream, StreamId::VIDEO | StreamId::MIX_VIDEO) {
                    self.request_keyframe(now, stream);
                }
            }
            Due::Rate { stream, rate } => self.outputs.push_back(Output::Rate { stream, rate }),
        }
    }

    fn request_keyframe(&mut self, now: Instant, stream: StreamKey) {
        let Some(room) = &mut self.room else { return };
        let sender = stream.sender;
        let peer = room.mesh.connected().find(|&peer| room.mesh.sender_of(peer) == Some(sender));
        if let Some(peer) = peer {
            let request = Control::KeyframeRequest { stream: stream.stream };
            room.mesh.send_control(now, peer, request);
        }
    }

    /// The picture that peers get of us: the mix if we make it.
    fn video_for_peers(&self, room: &Room) -> StreamId {
        match (self.config.topology(), self.role(room.host)) {
            (Topology::Star, Role::Host) => StreamId::MIX_VIDEO,
            _ => StreamId::VIDEO,
        }
    }

    fn role(&self, host: Option<PeerId>) -> Role {
        let hosts = host == Some(self.peer) && self.has_host();
        if hosts { Role::Host } else { Role::Member }
    }

    fn has_host(&self) -> bool {
        self.config.topology() != Topology::Mesh
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Takes what has to be done, oldest first, until `None`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to bring [`Input::Timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let mesh = self.room.as_ref().and_then(|room| room.mesh.poll_timeout());
        [
            mesh.map(|(at, reason)| (at, Reason::Mesh(reason))),
            self.receiver.poll_timeout().map(|at| (at, Reason::Playout)),
            self.steering.poll_timeout().map(|at| (at, Reason::Keyframe)),
            self.next_report.map(|at| (at, Reason::Report)),
            self.telling.poll_timeout().map(|at| (at, Reason::Roster)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }

    /// Whether this node is the host.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.room.as_ref().is_some_and(|room| self.role(room.host) == Role::Host)
    }

    /// Whether nobody is connected, and no connection is being made.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.room.as_ref().is_none_or(|room| !room.mesh.is_busy())
    }

    /// Who is in the room, and what he does there: as the host of our epoch told last, or,
    /// if he did not yet, as the signalling server has it. Nobody if we are in none.
    #[must_use]
    pub fn roster(&self) -> Vec<RosterMember> {
        let Some(room) = &self.room else { return Vec::new() };
        let told = room.roster.as_ref().filter(|told| told.id.epoch == room.epoch);
        told.map_or_else(|| self.roster_of(room).members, |told| told.members.clone())
    }

    /// The last ten seconds of each connection, brought up to date every second or so.
    #[must_use]
    pub fn qualities(&self) -> Vec<(PeerId, Quality)> {
        self.qualities.iter().map(|(&peer, &quality)| (peer, quality)).collect()
    }

    /// Counts of all connections.
    #[must_use]
    pub fn mesh_stats(&self) -> MeshStats {
        self.room.as_ref().map(|room| room.mesh.mesh_stats()).unwrap_or_default()
    }

    /// Counts since the session was made.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.stats
    }

    /// Counts of the connection to each peer that is connected.
    #[must_use]
    pub fn peer_stats(&self) -> Vec<(PeerId, PeerStats)> {
        let Some(room) = &self.room else { return Vec::new() };
        let peers = room.mesh.connected();
        peers.filter_map(|peer| Some((peer, room.mesh.stats(peer)?))).collect()
    }

    /// Counts of each stream that is received.
    #[must_use]
    pub fn receive_stats(&self) -> Vec<(StreamKey, ReceiveStats)> {
        self.receiver.all_stats().collect()
    }

    /// What each receiver last reported of each stream of ours.
    #[must_use]
    pub fn path_reports(&self) -> Vec<(PeerId, StreamId, PathReport)> {
        self.reports.iter().map(|(&(peer, stream), &report)| (peer, stream, report)).collect()
    }
}

fn is_mix(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
}

fn is_defined(stream: StreamId) -> bool {
    is_mix(stream) || matches!(stream, StreamId::AUDIO | StreamId::VIDEO)
}
