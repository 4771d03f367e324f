//! One participant: the facade's driver, with the world's time and network.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_codec::Pcm;
use paceline_playout::StageConfig;
use paceline_session::{
    Event, Input, Member, Output, Recipients, Role, Roster, Session, SessionConfig, Topology,
};
use paceline_signaling::{
    Capabilities, Client, ClientConfig, ClientEvent, ClientOutput, ConnId, Joined, code,
};
use paceline_transport::{SendError, Transport};
use paceline_types::{Epoch, PacketKind, PeerId, SenderId, SeqNo, Signal, StreamId};

use crate::encoder::{Encoder, hush};
use crate::playout::{FromStage, Playout, encode_picture, encode_sound};
use crate::source::Source;
use crate::switchboard::{Heard, Switchboard};
use crate::{Network, Random, epoch};

/// What a node needs of the world around it.
#[derive(Debug)]
pub(crate) struct Wires<'a> {
    pub(crate) network: &'a mut Network,
    pub(crate) switchboard: &'a mut Switchboard,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) peer: PeerId,
    pub(crate) conn: ConnId,
    pub(crate) session: Session,
    pub(crate) playout: Playout,
    /// Since the epoch.
    pub(crate) events: Vec<(Duration, Event)>,
    /// From the join to the first connection.
    pub(crate) connect: Option<Duration>,
    /// Things that should not happen to anybody who does as he should.
    pub(crate) errors: u64,
    /// Our number, once we are in the room.
    pub(crate) us: Option<SenderId>,
    /// What we are, and under which epoch.
    pub(crate) role: (Role, Epoch),
    may_host: bool,
    began: Instant,
    client: Client,
    random: Random,
    clock_ppm: i32,
    source: Option<Source>,
    encoder: Option<Encoder>,
    sound: Pcm,
    picture_seq: SeqNo,
    sound_seq: SeqNo,
    in_room: bool,
    left: bool,
}

/// Who joins, and how.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) name: String,
    pub(crate) host: bool,
    pub(crate) clock_ppm: i32,
    pub(crate) conn: ConnId,
    pub(crate) random: Random,
    pub(crate) session: SessionConfig,
    pub(crate) stage: StageConfig,
    pub(crate) topology: Topology,
    pub(crate) encodes: bool,
    /// When pictures came.
    pub(crate) records: bool,
}

impl Node {
    pub(crate) fn new(now: Instant, joining: Joining, wires: &mut Wires<'_>) -> Self {
        let Joining {
            name,
            host,
            clock_ppm,
            conn,
            mut random,
            session,
            stage,
            topology,
            encodes,
            records,
        } = joining;
        let id = u128::from(random.bits()) << 64 | u128::from(random.bits());
        let peer = PeerId::from_random(id.to_be_bytes());
        let capabilities = Capabilities { host, ..Capabilities::default() };
        let mut client =
            Client::new(ClientConfig::new(peer, name.clone()).capabilities(capabilities));
        client.handle_open();
        let session = Session::new(peer, session);
        let encoder = |stream| encodes.then(|| Encoder::new(session.video_bitrate(stream)));
        let (encoder, mix_encoder) = (encoder(StreamId::VIDEO), encoder(StreamId::MIX_VIDEO));
        let mut node = Self {
            name,
            peer,
            conn,
            session,
            playout: Playout::new(stage, topology, mix_encoder, records),
            events: Vec::new(),
            connect: None,
            errors: 0,
            us: None,
            role: (Role::Member, Epoch::default()),
            may_host: host,
            began: now,
            client,
            random,
            clock_ppm,
            source: None,
            encoder,
            sound: Pcm::new(1).expect("one channel is a layout"),
            picture_seq: SeqNo::default(),
            sound_seq: SeqNo::default(),
            in_room: false,
            left: false,
        };
        node.drain(now, wires);
        node
    }

    /// Takes in what the signalling server said.
    pub(crate) fn handle_heard(&mut self, now: Instant, heard: Heard, wires: &mut Wires<'_>) {
        match heard {
            // Who has left is not told any more. Connections that are up stay up.
            Heard::Closed => {}
            Heard::Text(_) if self.left => {}
            Heard::Text(text) => {
                self.errors += u64::from(self.client.handle_text(&text).is_err());
                self.drain(now, wires);
            }
        }
    }

    /// Does what is due by `now`, and takes in what the network brought.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wires: &mut Wires<'_>) {
        if self.left {
            return;
        }
        self.drain(now, wires);
        self.publish(now, wires);
        if self.session.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.handle(now, Input::Timeout, wires);
        }
        // Last, so that what is due now is in the mix.
        if self.playout.poll_timeout().is_some_and(|at| at <= now) {
            for output in self.playout.handle_timeout(now) {
                let input = match output {
                    FromStage::Encoded { to, frame } => {
                        Input::Encoded { to: to.map_or(Recipients::All, Recipients::One), frame }
                    }
                    FromStage::MixInfo(info) => Input::MixInfo(info),
                    FromStage::Mixer(state) => Input::Mixer(state),
                    FromStage::Ready { epoch, missing } => Input::StageReady { epoch, missing },
                };
                self.handle(now, input, wires);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.left {
            return None;
        }
        let session = self.session.poll_timeout().map(|(at, _)| at);
        let source = self.source.as_ref().map(Source::poll_timeout);
        [session, source, self.playout.poll_timeout()].into_iter().flatten().min()
    }

    /// Leaves the room, and tells everybody.
    pub(crate) fn leave(&mut self, now: Instant, wires: &mut Wires<'_>) {
        self.handle(now, Input::Leave, wires);
        self.client.leave();
        self.drain(now, wires);
        self.left = true;
        self.role.0 = Role::Member;
    }

    /// It is gone, from one moment to the next, and says nothing to anybody.
    pub(crate) fn kill(&mut self, now: Instant, hangs: bool, wires: &mut Wires<'_>) {
        self.left = true;
        self.role.0 = Role::Member;
        wires.network.forget(self.peer);
        wires.switchboard.kill(now, self.conn, hangs);
    }

    pub(crate) fn hand_over(&mut self, now: Instant, wires: &mut Wires<'_>) {
        self.handle(now, Input::HandOver, wires);
    }

    pub(crate) const fn is_there(&self) -> bool {
        !self.left
    }

    pub(crate) fn set_hosting(&mut self, now: Instant, host: bool, wires: &mut Wires<'_>) {
        // In a star the members decide, and the server only knows what they did.
        if !self.playout.is_star() {
            self.client.set_hosting(host);
        }
        self.handle(now, Input::MayHost(host), wires);
    }

    pub(crate) fn signal(
        &mut self,
        now: Instant,
        to: PeerId,
        signal: Signal,
        wires: &mut Wires<'_>,
    ) {
        self.client.send(to, signal);
        self.drain(now, wires);
    }

    pub(crate) fn inject(
        &self,
        now: Instant,
        to: PeerId,
        message: Bytes,
        wires: &mut Wires<'_>,
    ) -> Result<(), SendError> {
        wires.network.transport(self.peer).try_send(now, to, PacketKind::Message, message)
    }

    /// Frames that are due go to our own stage if there is one, and on their way: in a star
    /// to the host and to who stands by, as the session knows.
    fn publish(&mut self, now: Instant, wires: &mut Wires<'_>) {
        while let Some(picture) = self.source.as_mut().and_then(|source| source.poll_picture(now)) {
            if self.playout.mixes() {
                self.playout.show_own(now, picture.clone());
            }
            if self.playout.sends_own() && self.in_room {
                let (stream, seq) = (StreamId::VIDEO, &mut self.picture_seq);
                let frame = encode_picture(&mut self.encoder, stream, seq, &picture);
                self.handle(now, Input::Encoded { to: Recipients::All, frame }, wires);
            }
        }
        while let Some(sound) = self.source.as_mut().and_then(|source| source.poll_sound(now)) {
            if self.playout.mixes() {
                self.playout.say_own(now, sound.clone());
            }
            if self.playout.sends_own() && self.in_room {
                let (stream, seq) = (StreamId::AUDIO, &mut self.sound_seq);
                let frame = match self.encoder {
                    Some(_) => hush(stream, seq, &sound),
                    None => encode_sound(&mut self.sound, stream, seq, &sound),
                };
                self.handle(now, Input::Encoded { to: Recipients::All, frame }, wires);
            }
        }
    }

    fn handle(&mut self, now: Instant, input: Input, wires: &mut Wires<'_>) {
        self.session.handle_input(now, input);
        self.drain(now, wires);
    }

    /// Moves everything to where it belongs until nothing moves any more.
    fn drain(&mut self, now: Instant, wires: &mut Wires<'_>) {
        loop {
            if let Some(output) = self.session.poll_output() {
                self.apply(now, output, wires);
            } else if let Some(output) = self.client.poll_output() {
                match output {
                    ClientOutput::Send(text) => wires.switchboard.send(now, self.conn, text),
                    ClientOutput::Event(event) => self.handle_client(now, event),
                    _ => {}
                }
            } else if let Some((peer, event)) = wires.network.transport(self.peer).poll_event() {
                self.session.handle_input(now, Input::Connection { peer, event });
            } else {
                return;
            }
        }
    }

    fn apply(&mut self, now: Instant, output: Output, wires: &mut Wires<'_>) {
        match output {
            Output::Connection { peer, op } => {
                wires.network.transport(self.peer).apply(now, peer, op);
            }
            Output::Crossfade { due, old, new, epoch, .. } => {
                self.playout.crossfade(now, due, (&old, &new), epoch);
            }
            Output::Decode { stream, due, frame, epoch, arrival } => {
                self.playout.decode(now, stream, due, &frame, (epoch, arrival));
            }
            Output::Event(event) => self.handle_event(now, event),
            Output::Lost { stream, count } => self.playout.handle_lost(now, stream, count),
            Output::Rate { stream, rate } => self.playout.set_rate(now, stream, rate),
            Output::Role { role, epoch, .. } => {
                self.role = (role, epoch);
                self.playout.set_role(now, role);
            }
            Output::Stage(order) => self.playout.handle_order(now, order),
            Output::Witness(request) => self.client.witness(request),
            Output::Signal { peer, signal } => self.client.send(peer, signal),
            // Every frame of a codec that changes nothing is a keyframe.
            Output::Steer { stream: StreamId::MIX_VIDEO, target } => self.playout.steer(target),
            Output::Steer { target, .. } => {
                if let Some(encoder) = &mut self.encoder {
                    encoder.set_target(target);
                }
            }
            Output::Transmit { peer, kind, bytes } => {
                let sent = wires.network.transport(self.peer).try_send(now, peer, kind, bytes);
                self.errors += u64::from(sent == Err(SendError::Full));
            }
            _ => {}
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        match &event {
            Event::Connected { peer, sender } => {
                self.connect.get_or_insert(now - self.began);
                self.in_room = true;
                self.playout.handle_connected(now, *peer, *sender);
            }
            Event::Disconnected { sender, .. } => self.playout.handle_gone(now, *sender),
            Event::HostChanged { planned: false, .. } => self.playout.senses.forget_layouts(),
            Event::TrackState { stream, enabled } => {
                self.playout.set_enabled(now, *stream, *enabled);
            }
            _ => {}
        }
        match event {
            // Ten a second: they are looked at, and not kept.
            Event::MixInfo(info) => self.playout.senses.handle_mix_info(info),
            event => self.events.push((now - epoch(), event)),
        }
    }

    fn handle_client(&mut self, now: Instant, event: ClientEvent) {
        let input = match event {
            ClientEvent::Host { host, epoch } => Input::Host { host, epoch },
            ClientEvent::Joined(joined) => {
                self.us = Some(joined.sender);
                self.playout.set_sender(joined.sender);
                self.source =
                    Some(Source::new(now, joined.sender, self.clock_ppm, &mut self.random));
                Input::Joined(roster_of(joined, self.may_host))
            }
            ClientEvent::PeerJoined(member) => Input::MemberJoined(member_of(member)),
            ClientEvent::PeerLeft { peer, .. } => Input::MemberLeft(peer),
            ClientEvent::Signal { from, signal } => Input::Signal { peer: from, signal },
            ClientEvent::Witness(reply) => Input::Witness(reply),
            // He has left, and we hear it in a moment.
            ClientEvent::SendFailed { code: code::UNKNOWN_PEER, .. } => return,
            // Refusals: of us, of our wish to host, of a signal.
            _ => {
                self.errors += 1;
                return;
            }
        };
        self.session.handle_input(now, input);
    }
}

fn roster_of(joined: Joined, may_host: bool) -> Roster {
    let Joined { session, sender, epoch, host, genesis, members } = joined;
    let members = members.into_iter().map(member_of).collect();
    Roster { session, sender, epoch, host, members, may_host, genesis }
}

fn member_of(member: paceline_signaling::Member) -> Member {
    let paceline_signaling::Member { peer, sender, name, capabilities } = member;
    let nat = capabilities.nat.map(|nat| nat.state(peer));
    Member { peer, sender, name, may_host: capabilities.host, nat }
}
