//! The composition.

mod connections;
mod early;
mod incoming;
mod joining;
mod links;
mod looking;
mod measure;
mod media;
mod migrating;
mod rates;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use paceline_framing::{ByeReason, Control, NatState, Role};
use paceline_mesh::{self as mesh, Mesh, Quality, Recipients, Topology};
use paceline_types::{ConnectionEvent, Epoch, PeerId, SenderId, StreamId, StreamKey};
use tracing::debug;

use self::links::Links;
use self::measure::Measure;
use self::migrating::Star;
use self::rates::Rates;
use crate::SessionConfig;
use crate::config::SteeringConfig;
use crate::event::Event;
use crate::io::{Input, MIX_SENDER, Member, Output, PathReport, Reason, SessionStats};
use crate::receive::{Due, Receiver};
use crate::steering::Steering;

/// One node of a call.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_input`](Self::handle_input) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | looking | [`stats`](Self::stats), [`mesh_stats`](Self::mesh_stats), [`migration_stats`](Self::migration_stats), [`peer_stats`](Self::peer_stats), [`receive_stats`](Self::receive_stats), [`qualities`](Self::qualities), [`roster`](Self::roster), [`is_host`](Self::is_host), [`is_retiring`](Self::is_retiring), [`standby`](Self::standby), [`path_reports`](Self::path_reports), [`send_delay`](Self::send_delay), [`video_bitrate`](Self::video_bitrate) |
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    peer: PeerId,
    /// What we know of our own place in the network.
    nat: NatState,
    room: Option<Room>,
    receiver: Receiver,
    steering: Steering,
    rates: Rates,
    next_report: Option<Instant>,
    disabled: Vec<StreamId>,
    reports: BTreeMap<(PeerId, StreamId), PathReport>,
    qualities: BTreeMap<PeerId, Quality>,
    outputs: VecDeque<Output>,
    stats: SessionStats,
}

/// What there is once we are in a room.
#[derive(Debug)]
struct Room {
    mesh: Mesh,
    sender: SenderId,
    /// Under which host, but in a star: there the machine knows.
    epoch: Epoch,
    host: Option<PeerId>,
    members: BTreeMap<PeerId, Member>,
    /// Whose connection the owner was told of, and not of its end.
    told: BTreeSet<PeerId>,
    links: Links,
    measure: Measure,
    /// What only a star has.
    star: Option<Star>,
    /// We leave: nobody is connected to any more.
    leaves: bool,
}

impl Room {
    /// Under which host.
    fn epoch(&self) -> Epoch {
        self.star.as_ref().map_or(self.epoch, |star| star.migration.epoch())
    }

    fn sender_of(&self, peer: PeerId) -> Option<SenderId> {
        self.members.get(&peer).map(|member| member.sender)
    }

    fn peer_of(&self, us: PeerId, sender: SenderId) -> Option<PeerId> {
        if sender == self.sender {
            return Some(us);
        }
        let member = self.members.values().find(|member| member.sender == sender);
        member.map(|member| member.peer)
    }
}

impl Session {
    /// A node that is in no room yet.
    ///
    /// # Panics
    ///
    /// If the config's `report_interval` or `quality_interval` is zero, its
    /// `min_video_bitrate` zero, or its `max_video_bitrate` below that.
    #[must_use]
    pub fn new(peer: PeerId, config: SessionConfig) -> Self {
        assert!(!config.steering.report_interval.is_zero(), "report_interval is not zero");
        assert!(!config.quality_interval.is_zero(), "quality_interval is not zero");
        let SteeringConfig { min_video_bitrate: min, max_video_bitrate: max, .. } = config.steering;
        assert!(min.bps() > 0, "min_video_bitrate is not zero");
        assert!(min <= max, "max_video_bitrate is not below min_video_bitrate");
        Self {
            receiver: Receiver::new(config.clone()),
            steering: Steering::new(&config.steering),
            rates: Rates::new(&config.steering),
            nat: measure::unknown(peer),
            config,
            peer,
            room: None,
            next_report: None,
            disabled: Vec::new(),
            reports: BTreeMap::new(),
            qualities: BTreeMap::new(),
            outputs: VecDeque::new(),
            stats: SessionStats::default(),
        }
    }

    /// Takes in whatever happened at `now`.
    ///
    /// Only [`Input::Timeout`] lets time pass for the mesh and for who hosts: a node that is
    /// late is to hear all that was said meanwhile, and only then finds out who was silent.
    /// In a broadcast whatever is not said by a connection does, as there its owner takes
    /// nothing from the connections while he has no room.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        let passes = match &input {
            Input::Timeout => true,
            Input::Connection { .. } => false,
            _ => self.config.topology() == Topology::Broadcast,
        };
        match input {
            Input::Joined(roster) => self.handle_joined(now, roster),
            Input::NeedsKeyframe(stream) => self.request_keyframe(now, stream),
            Input::Timeout => {}
            other => {
                if let Input::Nat(state) = other {
                    self.nat = state;
                }
                // Outside a room nothing else means anything.
                if let Some(mut room) = self.room.take() {
                    self.handle_in_room(now, &mut room, other);
                    self.room = Some(room);
                }
            }
        }
        if passes && let Some(room) = &mut self.room {
            room.mesh.handle_timeout(now);
            if let Some(star) = &mut room.star {
                star.migration.handle_timeout(now);
            }
        }
        self.run(now);
    }

    fn handle_in_room(&mut self, now: Instant, room: &mut Room, input: Input) {
        match input {
            Input::Connection { peer, event } => {
                let acks = matches!(event, ConnectionEvent::Acked(_) | ConnectionEvent::Target(_));
                room.mesh.handle_connection(now, peer, event);
                if acks {
                    self.rates.handle_acked(now, &mut room.mesh, peer);
                }
            }
            Input::Signal { peer, signal } => room.mesh.handle_signal(now, peer, signal),
            Input::Encoded { to, frame } => self.handle_encoded(now, room, to, frame),
            Input::MixInfo(info) => self.handle_own_mix_info(now, room, info),
            Input::Consumed { peer, packets, bytes } => {
                room.mesh.consume(now, peer, packets, bytes);
            }
            Input::Data { to, channel, data } => {
                let sent = match self.data_recipients(room, to) {
                    Some(to) => room.mesh.send_data(now, to, channel, data).is_ok(),
                    None => false,
                };
                if !sent {
                    debug!(channel, "data are not sent");
                    self.stats.refused_data += 1;
                }
            }
            Input::Host { host, epoch } if room.star.is_some() => {
                self.set_hint(now, room, host, epoch);
            }
            Input::Host { host, epoch } if epoch >= room.epoch => {
                self.set_host(now, room, host, epoch);
            }
            Input::NetworkChanged => room.mesh.restart_ice(now, Recipients::All),
            Input::Leave => self.leave(now, room),
            Input::MemberJoined(member) => self.handle_member_joined(now, room, member),
            Input::MemberLeft(peer) => self.handle_member_left(now, room, peer),
            Input::TrackState { stream, enabled } => {
                self.disabled.retain(|&other| other != stream);
                if !enabled {
                    self.disabled.push(stream);
                    room.mesh.forget_stream(stream);
                }
                room.mesh.broadcast_control(now, Control::TrackState { stream, enabled });
            }
            other => self.handle_for_star(now, room, other),
        }
    }

    fn leave(&mut self, now: Instant, room: &mut Room) {
        room.leaves = true;
        if let Some(star) = &mut room.star {
            star.migration.resign(now);
        }
        // The lease is given up before the goodbye.
        self.drain(now, room);
        if room.star.take().is_some() {
            room.host = None;
        }
        room.mesh.hang_up_all(now, ByeReason::Leaving);
    }

    /// Lets everything that is due happen.
    fn run(&mut self, now: Instant) {
        if let Some(mut room) = self.room.take() {
            self.drain(now, &mut room);
            self.handle_links_due(now, &mut room);
            self.handle_early_due(now, &mut room);
            if self.next_report.is_some_and(|at| at <= now) {
                self.next_report = now.checked_add(self.config.steering.report_interval);
                self.send_reports(now, &mut room);
            }
            self.tell_quality(now, &mut room);
            self.room = Some(room);
        }
        self.receiver.handle_timeout(now);
        while let Some(due) = self.receiver.poll_due(now) {
            self.handle_due(now, due);
        }
        while let Some(stream) = self.receiver.poll_needs_keyframe() {
            self.ask_for_keyframe(now, stream);
        }
        while let Some((stream, target)) = self.steering.poll_target(now) {
            self.outputs.push_back(Output::Steer { stream, target });
        }
        if let Some(mut room) = self.room.take() {
            self.drain(now, &mut room);
            self.room = Some(room);
        }
    }

    /// Moves what the machines say to where it belongs until none says anything.
    fn drain(&mut self, now: Instant, room: &mut Room) {
        loop {
            if let Some(output) = room.mesh.poll_output() {
                self.handle_mesh_output(now, room, output);
            } else if let Some(output) =
                room.star.as_mut().and_then(|star| star.migration.poll_output())
            {
                self.handle_migration_output(now, room, output);
            } else {
                break;
            }
        }
        self.settle_host(room);
    }

    fn handle_mesh_output(&mut self, now: Instant, room: &mut Room, output: mesh::Output) {
        let output = match output {
            mesh::Output::Connection { peer, op } => Output::Connection { peer, op },
            mesh::Output::Signal { peer, signal } => Output::Signal { peer, signal },
            mesh::Output::Transmit { peer, kind, bytes } => Output::Transmit { peer, kind, bytes },
            mesh::Output::Event(event) => return self.handle_mesh_event(now, room, event),
            _ => return,
        };
        self.outputs.push_back(output);
    }

    fn handle_due(&mut self, now: Instant, due: Due) {
        let output = match due {
            Due::Crossfade { stream, due, arrival, old, new, epoch } => {
                Output::Crossfade { stream, due, arrival, old, new, epoch }
            }
            Due::Play { stream, due, frame, epoch, arrival } => {
                Output::Decode { stream, due, frame, epoch, arrival }
            }
            Due::Lost { stream, count } => {
                self.outputs.push_back(Output::Lost { stream, count });
                if matches!(stream.stream, StreamId::VIDEO | StreamId::MIX_VIDEO) {
                    self.request_keyframe(now, stream);
                }
                return;
            }
            Due::Rate { stream, rate } => Output::Rate { stream, rate },
        };
        self.outputs.push_back(output);
    }

    /// Asks whoever makes a stream now, unless what is asked for is here and waits its turn.
    fn request_keyframe(&mut self, now: Instant, stream: StreamKey) {
        if self.receiver.needs_keyframe(stream) {
            self.ask_for_keyframe(now, stream);
        }
    }

    fn ask_for_keyframe(&mut self, now: Instant, stream: StreamKey) {
        let Some(room) = &mut self.room else { return };
        let peer = match stream.sender {
            MIX_SENDER => room.host,
            sender => room.peer_of(self.peer, sender),
        };
        if let Some(peer) = peer {
            room.mesh.request_keyframe(now, peer, stream.stream);
        }
    }

    fn role(&self, room: &Room) -> Role {
        match &room.star {
            Some(star) => star.migration.role(),
            None if room.host == Some(self.peer) && self.has_host() => Role::Host,
            None => Role::Member,
        }
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
        let room = self.room.as_ref();
        let star = room.and_then(|room| room.star.as_ref());
        let mesh = room.and_then(|room| room.mesh.poll_timeout());
        let migration = star.and_then(|star| star.migration.poll_timeout());
        let at = |at: Option<Instant>, reason| at.map(|at| (at, reason));
        [
            mesh.map(|(at, reason)| (at, Reason::Mesh(reason))),
            migration.map(|(at, reason)| (at, Reason::Migration(reason))),
            at(self.receiver.poll_timeout(), Reason::Playout),
            at(self.steering.poll_timeout(), Reason::Keyframe),
            at(self.next_report, Reason::Report),
            at(star.and_then(|star| star.early.poll_timeout()), Reason::Early),
            at(room.and_then(|room| room.links.poll_timeout(&self.config)), Reason::Link),
            at(room.and_then(|room| room.measure.poll_timeout()), Reason::Quality),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }
}

fn is_mix(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
}

fn is_defined(stream: StreamId) -> bool {
    is_mix(stream) || matches!(stream, StreamId::AUDIO | StreamId::VIDEO)
}
