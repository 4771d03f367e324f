//! The composition.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use paceline_framing::{Body, ByeReason, Control, Packet, ReceptionReport, Role};
use paceline_mesh::{self as mesh, Identity, Link, Mesh, PeerStats, Place, Topology};
use paceline_types::{Epoch, PeerId, SenderId, StreamId, StreamKey};
use tracing::{debug, info};

use crate::SessionConfig;
use crate::io::{Event, Input, Member, Output, PathReport, Reason, Roster, SessionStats};
use crate::receive::{Due, ReceiveStats, Receiver};
use crate::steering::Steering;

/// One node of a call.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_input`](Self::handle_input) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking | [`stats`](Self::stats), [`peer_stats`](Self::peer_stats), [`receive_stats`](Self::receive_stats), [`path_reports`](Self::path_reports) |
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
            outputs: VecDeque::new(),
            stats: SessionStats::default(),
        }
    }

    /// Takes in whatever happened at `now`.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
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
            Input::Data { to, channel, data } => {
                let control = Control::ApplicationData { channel, data };
                let packet = room.mesh.control_packet(control);
                room.mesh.send(now, to, &packet);
            }
            Input::Host { host, epoch } if epoch >= room.epoch => {
                self.set_host(now, room, host, epoch);
            }
            Input::Leave => room.mesh.hang_up_all(now, ByeReason::Leaving),
            Input::MemberJoined(member) => {
                self.connect(now, room, member.peer, member.sender);
                let Member { peer, sender, name } = member.clone();
                room.members.insert(peer, member);
                self.event(Event::MemberJoined { peer, sender, name });
            }
            Input::MemberLeft(peer) => {
                if let Some(Member { sender, name, .. }) = room.members.remove(&peer) {
                    self.drop_peer(now, room, peer, sender, "it left the room");
                    self.event(Event::MemberLeft { peer, sender, name });
                    self.fill_places(now, room);
                }
            }
            Input::TrackState { stream, enabled } => {
                self.disabled.retain(|&other| other != stream);
                if !enabled {
                    self.disabled.push(stream);
                }
                room.mesh.broadcast_control(now, Control::TrackState { stream, enabled });
            }
            _ => {}
        }
    }

    fn handle_joined(&mut self, now: Instant, roster: Roster) {
        let Roster { session, sender, epoch, host, members } = roster;
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
            told: BTreeSet::new(),
        };
        self.outputs.push_back(Output::Role { role, epoch });
        self.event(Event::HostChanged { host });
        for member in members {
            let Member { peer, sender, name } = member.clone();
            self.connect(now, &mut room, peer, sender);
            room.members.insert(peer, member);
            self.event(Event::MemberJoined { peer, sender, name });
        }
        self.next_report = Some(now + self.config.steering.report_interval);
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
                // Who is expected already, or still finds no place, stays as he is.
                let _ = room.mesh.expect(now, member.peer, member.sender);
            }
        }
    }

    fn set_host(&mut self, now: Instant, room: &mut Room, host: Option<PeerId>, epoch: Epoch) {
        let changed = host != room.host;
        room.epoch = epoch;
        room.mesh.set_epoch(epoch);
        // In a mesh nothing hangs on who is host.
        if !changed || self.config.topology() == Topology::Mesh {
            return;
        }
        info!(?host, %epoch, "the host changed");
        for member in room.members.values().cloned().collect::<Vec<_>>() {
            self.drop_peer(now, room, member.peer, member.sender, "the host changed");
        }
        room.host = host;
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
    }

    /// Lets everything that is due happen.
    fn run(&mut self, now: Instant) {
        if let Some(mut room) = self.room.take() {
            room.mesh.handle_timeout(now);
            self.drain_mesh(now, &mut room);
            if self.next_report.is_some_and(|at| at <= now) {
                self.next_report = Some(now + self.config.steering.report_interval);
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
                self.steering.handle_request(self.video_for_peers(room));
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
                self.event(Event::Disconnected { peer, sender, reason, again: false });
            }
            mesh::Event::Interrupted { peer, sender, reason } => {
                self.forget(peer, sender);
                room.told.remove(&peer);
                self.event(Event::Disconnected { peer, sender, reason, again: true });
            }
            mesh::Event::NeedsKeyframe { .. } => {
                self.steering.handle_request(self.video_for_peers(room));
            }
            mesh::Event::Packet { peer, packet } => self.handle_packet(now, room, peer, packet),
            _ => {}
        }
    }

    /// The one place where epochs are compared, and roles.
    fn handle_packet(&mut self, now: Instant, room: &mut Room, peer: PeerId, packet: Packet) {
        if packet.epoch.is_some_and(|epoch| epoch < room.epoch) {
            self.stats.stale_epoch += 1;
            return;
        }
        let from_host = room.host == Some(peer);
        match packet.body {
            Body::Media(frame) => {
                // A mix is the host's, and under an epoch.
                if is_mix(frame.stream) && (!from_host || packet.epoch.is_none()) {
                    self.stats.wrong_role += 1;
                } else if !self.receiver.handle_frame(now, packet.sender, frame) {
                    self.stats.unknown_stream += 1;
                }
            }
            Body::Control(Control::ApplicationData { channel, data }) => {
                self.event(Event::Data { peer, sender: packet.sender, channel, data });
            }
            Body::Control(Control::KeyframeRequest { stream })
                if stream == self.video_for_peers(room) =>
            {
                self.steering.handle_request(stream);
            }
            Body::Control(Control::MixInfo(info)) if from_host => self.event(Event::MixInfo(info)),
            Body::Control(Control::MixInfo(_)) => self.stats.wrong_role += 1,
            Body::Control(Control::ReceiverReport(reports)) => {
                self.handle_reports(room.sender, peer, &reports);
            }
            Body::Control(Control::TrackState { stream, enabled })
                if matches!(stream, StreamId::AUDIO | StreamId::VIDEO) =>
            {
                let stream = StreamKey { sender: packet.sender, stream };
                self.event(Event::TrackState { stream, enabled });
            }
            Body::Control(Control::KeyframeRequest { .. } | Control::TrackState { .. }) => {
                self.stats.unknown_stream += 1;
            }
            _ => self.stats.unused += 1,
        }
    }

    fn handle_reports(&mut self, us: SenderId, peer: PeerId, reports: &[ReceptionReport]) {
        for report in reports {
            // Only our own streams, of which there are four: the map is bounded.
            if report.stream.sender == us && is_defined(report.stream.stream) {
                let path = PathReport {
                    lost: report.lost.into(),
                    jitter: Duration::from_micros(report.jitter.into()),
                    queue_delay: Duration::from_micros(report.queue_delay.into()),
                };
                self.reports.insert((peer, report.stream.stream), path);
            }
        }
    }

    fn send_reports(&mut self, now: Instant, room: &mut Room) {
        for peer in room.mesh.connected().collect::<Vec<_>>() {
            let reports = room.mesh.sender_of(peer).map(|sender| self.receiver.reports(sender));
            if let Some(reports) = reports.filter(|reports| !reports.is_empty()) {
                room.mesh.send_control(now, peer, Control::ReceiverReport(reports));
            }
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
        let hosts = host == Some(self.peer) && self.config.topology() != Topology::Mesh;
        if hosts { Role::Host } else { Role::Member }
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
