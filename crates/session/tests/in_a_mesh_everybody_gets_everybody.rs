//! Four nodes that are all connected to each other, over a network in memory.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::{Body, Control, Packet, Role};
use paceline_session::types::{
    AudioCodec, Coding, ConnectionEvent, ConnectionOp, EncodedFrame, Epoch, Frequency, MediaTime,
    MixInfo, NtpTime, PeerId, SenderId, SeqNo, Signal, StreamId, StreamKey, VideoCodec,
};
use paceline_session::{
    Event, Input, Member, MeshConfig, Output, Recipients, Roster, Session, SessionConfig, Topology,
};

const MS: Duration = Duration::from_millis(1);

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

fn number(peer: PeerId) -> u8 {
    peer.to_bytes()[0]
}

fn sender(n: u8) -> SenderId {
    SenderId::new(n.into())
}

fn member(n: u8) -> Member {
    Member {
        peer: peer(n),
        sender: sender(n),
        name: format!("member {n}"),
        may_host: true,
        nat: None,
    }
}

/// The nodes by number from 1; one that has left is `None`.
struct Room {
    start: Instant,
    now: Instant,
    nodes: Vec<Option<Session>>,
    /// Who made which connection, by caller and callee.
    calls: Vec<(u8, u8)>,
    /// What came out and is not the network's.
    heard: Vec<(u8, Output)>,
}

impl Room {
    fn of(people: u8) -> Self {
        let now = Instant::now();
        let (nodes, calls, heard) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = Self { start: now, now, nodes, calls, heard };
        (0..people).for_each(|_| room.join());
        room
    }

    /// One more comes in: those who are there are told, and he is told of them. The server
    /// says that the first hosts, as if he had asked to; in a mesh that means nothing.
    fn join(&mut self) {
        let n = self.nodes.len() as u8 + 1;
        let there: Vec<_> = (1..n).filter(|&n| self.nodes[usize::from(n) - 1].is_some()).collect();
        let config = SessionConfig::default().mesh(MeshConfig::new(Topology::Mesh));
        self.nodes.push(Some(Session::new(peer(n), config)));
        let roster = Roster {
            session: [7; 16],
            sender: sender(n),
            epoch: Epoch::new(5, 0),
            host: Some(peer(1)),
            members: there.iter().map(|&n| member(n)).collect(),
            may_host: true,
            genesis: true,
        };
        for &other in &there {
            self.input(other, Input::MemberJoined(member(n)));
        }
        self.input(n, Input::Joined(roster));
        self.settle();
    }

    fn node(&mut self, n: u8) -> Option<&mut Session> {
        self.nodes.get_mut(usize::from(n) - 1)?.as_mut()
    }

    fn numbers(&self) -> Vec<u8> {
        let there = self.nodes.iter().zip(1..).filter(|(node, _)| node.is_some());
        there.map(|(_, n)| n).collect()
    }

    fn input(&mut self, n: u8, input: Input) {
        let now = self.now;
        if let Some(node) = self.node(n) {
            node.handle_input(now, input);
        }
    }

    /// Lets a perfect network carry what there is to carry.
    fn settle(&mut self) {
        let poll = |room: &mut Self| {
            let numbers = 1..=room.nodes.len() as u8;
            numbers.into_iter().find_map(|n| Some((n, room.node(n)?.poll_output()?)))
        };
        while let Some((here, output)) = poll(self) {
            let from = |n, event| Input::Connection { peer: peer(n), event };
            match output {
                Output::Transmit { peer, bytes, .. } => {
                    let there = number(peer);
                    self.input(here, from(there, ConnectionEvent::Acked(bytes.len())));
                    self.input(there, from(here, ConnectionEvent::Message(bytes)));
                }
                Output::Connection { peer: there, op: ConnectionOp::Call } => {
                    let there = number(there);
                    self.calls.push((here, there));
                    let offer = ConnectionEvent::Local(Signal::Offer { sdp: String::new() });
                    self.input(here, from(there, offer));
                }
                Output::Connection { peer: there, op: ConnectionOp::Remote(signal) } => {
                    let there = number(there);
                    if matches!(signal, Signal::Offer { .. }) {
                        let answer = Signal::Answer { sdp: String::new() };
                        self.input(here, from(there, ConnectionEvent::Local(answer)));
                    }
                    self.input(here, from(there, ConnectionEvent::Open));
                }
                Output::Signal { peer: there, signal } => {
                    self.input(number(there), Input::Signal { peer: peer(here), signal });
                }
                Output::Connection { .. } => {}
                other => self.heard.push((here, other)),
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        let timeout = |node: &Session| node.poll_timeout().map(|(at, _)| at);
        while let Some(at) =
            self.nodes.iter().flatten().filter_map(timeout).min().filter(|&at| at <= end)
        {
            self.now = self.now.max(at);
            for n in self.numbers() {
                self.input(n, Input::Timeout);
            }
            self.settle();
        }
        self.now = end;
    }

    /// Everybody shows a picture and says something, captured now.
    fn publish(&mut self, seq: u64) {
        let since = self.now - self.start;
        for n in self.numbers() {
            for frame in [sound(StreamId::AUDIO, seq), picture(StreamId::VIDEO, seq)] {
                let time = MediaTime::new(0, frame.time.frequency()) + since;
                let frame = EncodedFrame { time, capture: NtpTime::from_unix(since), ..frame };
                self.input(n, Input::Encoded { to: Recipients::All, frame });
            }
        }
        self.settle();
    }

    /// Which streams were due at somebody.
    fn decoded(&self, at: u8) -> BTreeSet<StreamKey> {
        let stream = |(n, output): &(u8, Output)| match output {
            Output::Decode { stream, .. } if *n == at => Some(*stream),
            _ => None,
        };
        self.heard.iter().filter_map(stream).collect()
    }

    fn events(&self, at: u8) -> Vec<&Event> {
        let mut events = Vec::new();
        for heard in &self.heard {
            if let (n, Output::Event(event)) = heard
                && *n == at
            {
                events.push(event);
            }
        }
        events
    }

    fn steered(&self, at: u8) -> usize {
        let is_steered = |(n, output): &&(u8, Output)| {
            *n == at && matches!(output, Output::Steer { stream: StreamId::VIDEO, .. })
        };
        self.heard.iter().filter(is_steered).count()
    }

    /// Brings a packet of one to another, as if his session had sent it.
    fn inject(&mut self, from: u8, to: u8, epoch: Option<Epoch>, body: Body) {
        let packet = Packet { sender: sender(from), epoch, body };
        let event = ConnectionEvent::Message(packet.emit());
        self.input(to, Input::Connection { peer: peer(from), event });
        self.settle();
    }
}

/// Both streams of each of these.
fn streams_of(senders: impl IntoIterator<Item = u8>) -> BTreeSet<StreamKey> {
    let both = |n| [StreamId::AUDIO, StreamId::VIDEO].map(|stream| (sender(n), stream));
    let keys = senders.into_iter().flat_map(both);
    keys.map(|(sender, stream)| StreamKey { sender, stream }).collect()
}

fn sound(stream: StreamId, seq: u64) -> EncodedFrame {
    EncodedFrame {
        stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(0, Frequency::AUDIO),
        capture: NtpTime::default(),
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        data: vec![1, 2, 3].into(),
    }
}

fn picture(stream: StreamId, seq: u64) -> EncodedFrame {
    let codec = VideoCodec::H264;
    EncodedFrame {
        time: MediaTime::new(0, Frequency::VIDEO),
        coding: Coding::Video { codec, key: true, discardable: false, width: 320, height: 180 },
        ..sound(stream, seq)
    }
}

#[test]
fn who_comes_calls_all_who_are_there_and_each_two_have_one_connection() {
    let room = Room::of(4);
    assert_eq!(room.calls, [(2, 1), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3)]);
    for node in room.nodes.iter().flatten() {
        assert_eq!(node.peer_stats().len(), 3);
        assert!(!node.is_host());
    }
}

#[test]
fn the_frames_of_everybody_reach_everybody_else_and_nobody_himself() {
    let mut room = Room::of(4);
    room.publish(0);
    room.run_for(500 * MS);
    for n in 1..=4 {
        assert_eq!(room.decoded(n), streams_of((1..=4).filter(|&other| other != n)), "at {n}");
    }
}

#[test]
fn nobody_hosts_and_nobody_is_told_of_a_host_whatever_the_server_says() {
    let mut room = Room::of(3);
    for n in 1..=3 {
        room.input(n, Input::Host { host: Some(peer(3)), epoch: Epoch::new(6, 0) });
    }
    room.settle();
    let roles = |(_, output): &(u8, Output)| match output {
        Output::Role { role, .. } => Some(*role),
        _ => None,
    };
    assert_eq!(room.heard.iter().filter_map(roles).collect::<Vec<_>>(), [Role::Member; 3]);
    for n in 1..=3 {
        let of_a_host = |event: &&&Event| matches!(event, Event::HostChanged { .. });
        assert_eq!(room.events(n).iter().find(of_a_host).map(|event| format!("{event:?}")), None);
        let lost = |event: &&Event| matches!(event, Event::Disconnected { .. });
        assert!(!room.events(n).into_iter().any(|event| lost(&event)));
    }
}

#[test]
fn a_mix_is_neither_sent_nor_taken_of_whom_the_server_calls_host() {
    let mut room = Room::of(3);
    let epoch = Epoch::new(9, 0);
    // A node does not send one.
    let frame = picture(StreamId::MIX_VIDEO, 0);
    room.input(1, Input::Encoded { to: Recipients::All, frame });
    let time = MediaTime::new(0, Frequency::VIDEO);
    let info = MixInfo { stream: StreamId::MIX_VIDEO, time, sources: Vec::new() };
    room.input(1, Input::MixInfo(info.clone()));
    room.settle();
    room.run_for(500 * MS);
    assert!(room.decoded(2).is_empty() && room.decoded(3).is_empty());
    assert_eq!(room.node(2).map(|node| node.stats().wrong_role), Some(0));
    // And does not take one.
    for frame in [picture(StreamId::MIX_VIDEO, 0), sound(StreamId::MIX_AUDIO, 0)] {
        room.inject(1, 2, Some(epoch), Body::Media(frame));
    }
    room.inject(1, 2, Some(epoch), Body::Control(Control::MixInfo(info)));
    room.run_for(500 * MS);
    assert!(room.decoded(2).is_empty());
    assert!(!room.events(2).iter().any(|event| matches!(event, Event::MixInfo(_))));
    assert_eq!(room.node(2).map(|node| node.stats().wrong_role), Some(3));
}

#[test]
fn an_epoch_of_the_server_makes_nothing_stale() {
    let mut room = Room::of(2);
    room.publish(0);
    room.run_for(5_000 * MS);
    // Somebody of another program asks to host; only one of the two has heard of it.
    room.input(1, Input::Host { host: Some(peer(9)), epoch: Epoch::new(8, 0) });
    let steered = room.steered(1);
    room.input(2, Input::NeedsKeyframe(StreamKey { sender: sender(1), stream: StreamId::VIDEO }));
    room.settle();
    assert_eq!(room.node(1).map(|node| node.stats().stale_epoch), Some(0));
    assert!(room.steered(1) > steered, "he was asked for a keyframe");
}

#[test]
fn a_keyframe_is_asked_of_him_whose_picture_is_missing() {
    let mut room = Room::of(4);
    room.publish(0);
    // Those who came asked for some already: that has to be over.
    room.run_for(5_000 * MS);
    room.heard.clear();
    room.input(2, Input::NeedsKeyframe(StreamKey { sender: sender(3), stream: StreamId::VIDEO }));
    room.settle();
    room.run_for(3_000 * MS);
    assert_eq!([1, 2, 3, 4].map(|n| room.steered(n)), [0, 0, 1, 0]);
}

#[test]
fn who_comes_late_makes_everybody_send_a_keyframe_and_gets_all() {
    let mut room = Room::of(3);
    room.publish(0);
    room.run_for(5_000 * MS);
    room.heard.clear();
    room.join();
    room.run_for(100 * MS);
    assert_eq!([1, 2, 3].map(|n| room.steered(n)), [1, 1, 1]);
    room.publish(1);
    room.run_for(500 * MS);
    assert_eq!(room.decoded(4), streams_of(1..=3));
}

#[test]
fn many_who_come_at_once_cost_one_keyframe() {
    let mut room = Room::of(1);
    for _ in 0..6 {
        let steered = room.steered(1);
        room.join();
        if room.steered(1) > steered {
            room.publish(0);
        }
        room.run_for(100 * MS);
    }
    // The first to come made one; the others were shown that.
    assert_eq!(room.steered(1), 1);
    room.run_for(1_000 * MS);
    assert_eq!(room.steered(1), 1);
    for n in 2..=7 {
        let picture = StreamKey { sender: sender(1), stream: StreamId::VIDEO };
        assert!(room.decoded(n).contains(&picture), "{n} was shown nothing");
    }
}

#[test]
fn who_leaves_is_gone_at_all_and_nothing_more_is_sent_to_him() {
    let mut room = Room::of(4);
    room.publish(0);
    room.run_for(500 * MS);
    room.heard.clear();
    room.input(2, Input::Leave);
    room.settle();
    let left = room.nodes[1].take();
    assert!(left.is_some_and(|node| node.is_alone()));
    for n in [1, 3, 4] {
        room.input(n, Input::MemberLeft(peer(2)));
    }
    room.settle();
    for n in [1, 3, 4] {
        let told = room.events(n);
        let over = matches!(
            told[..],
            [Event::Disconnected { again: false, .. }, Event::MemberLeft { .. }]
        );
        assert!(over, "{n}: {told:?}");
    }
    room.heard.clear();
    room.publish(1);
    room.run_for(500 * MS);
    for n in [1, 3, 4] {
        let others = [1, 3, 4].into_iter().filter(|&other| other != n);
        assert_eq!(room.decoded(n), streams_of(others), "at {n}");
        assert_eq!(room.node(n).map(|node| node.peer_stats().len()), Some(2));
    }
}

#[test]
fn an_eleventh_finds_no_place_and_both_ends_say_so() {
    let mut room = Room::of(10);
    assert_eq!(room.calls.len(), 45);
    room.join();
    let refused = |event: &&&Event| matches!(event, Event::Refused { .. });
    for n in 1..=10 {
        assert_eq!(room.events(n).iter().filter(refused).count(), 1, "at {n}");
    }
    // Nobody was put out for him.
    for n in 1..=10 {
        assert_eq!(room.node(n).map(|node| node.peer_stats().len()), Some(9));
    }
    assert_eq!(room.events(11).iter().filter(refused).count(), 1);
}
