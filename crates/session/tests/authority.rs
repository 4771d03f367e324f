//! Who may say what: by the channel it came on, the epoch and the role.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_framing::{Body, Control, Packet};
use paceline_session::types::{
    AudioCodec, Coding, ConnectionEvent, ConnectionOp, ConnectionState, EncodedFrame, Epoch,
    Frequency, MediaTime, MixInfo, NtpTime, PeerId, SenderId, SeqNo, Signal, StreamId, StreamKey,
    VideoCodec,
};
use paceline_session::{
    Event, Input, Member, MeshConfig, Output, Recipients, Roster, Session, SessionConfig,
};

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

fn member(n: u8) -> Member {
    Member { peer: peer(n), sender: SenderId::new(n.into()), name: format!("member {n}") }
}

/// Two nodes in a room of epoch 5, the first of which hosts.
struct Pair {
    now: Instant,
    host: Session,
    guest: Session,
    /// What came out and is not the network's.
    heard: Vec<(u8, Output)>,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let session = |n| Session::new(peer(n), SessionConfig::default());
        let mut pair = Self { now, host: session(1), guest: session(2), heard: Vec::new() };
        for (n, other) in [(1, 2), (2, 1)] {
            let roster = Roster {
                session: [7; 16],
                sender: SenderId::new(n.into()),
                epoch: Epoch::new(5, 0),
                host: Some(peer(1)),
                members: vec![member(other)],
            };
            pair.input(n, Input::Joined(roster));
        }
        pair.settle();
        pair
    }

    fn node(&mut self, n: u8) -> &mut Session {
        if n == 1 { &mut self.host } else { &mut self.guest }
    }

    fn input(&mut self, n: u8, input: Input) {
        let now = self.now;
        self.node(n).handle_input(now, input);
    }

    /// Lets a perfect network carry what there is to carry.
    fn settle(&mut self) {
        while let Some((here, output)) =
            [1, 2].into_iter().find_map(|n| self.node(n).poll_output().map(|output| (n, output)))
        {
            let there = 3 - here;
            let to_us = |event| Input::Connection { peer: peer(there), event };
            let to_him = |event| Input::Connection { peer: peer(here), event };
            match output {
                Output::Transmit { bytes, .. } => {
                    self.input(here, to_us(ConnectionEvent::Acked(bytes.len())));
                    self.input(there, to_him(ConnectionEvent::Message(bytes)));
                }
                Output::Connection { op: ConnectionOp::Call, .. } => {
                    let offer = Signal::Offer { sdp: String::new() };
                    self.input(here, to_us(ConnectionEvent::Local(offer.clone())));
                    self.input(there, Input::Signal { peer: peer(here), signal: offer });
                    let answer = Signal::Answer { sdp: String::new() };
                    self.input(here, Input::Signal { peer: peer(there), signal: answer });
                    self.input(here, to_us(ConnectionEvent::Open));
                    self.input(there, to_him(ConnectionEvent::Open));
                }
                Output::Connection { .. } | Output::Signal { .. } => {}
                other => self.heard.push((here, other)),
            }
        }
    }

    /// Brings a packet over the channel from one to the other.
    fn inject(&mut self, from: u8, packet: &Packet) {
        let event = ConnectionEvent::Message(packet.emit());
        self.input(3 - from, Input::Connection { peer: peer(from), event });
        self.settle();
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = [&self.host, &self.guest]
            .into_iter()
            .filter_map(|node| node.poll_timeout().map(|(at, _)| at))
            .min()
            .filter(|&at| at <= end)
        {
            self.now = self.now.max(at);
            self.input(1, Input::Timeout);
            self.input(2, Input::Timeout);
            self.settle();
        }
        self.now = end;
    }

    fn decoded(&self, at: u8) -> Vec<StreamKey> {
        let stream = |(n, output): &(u8, Output)| match output {
            Output::Decode { stream, .. } if *n == at => Some(*stream),
            _ => None,
        };
        self.heard.iter().filter_map(stream).collect()
    }
}

fn sound(stream: StreamId, seq: u64) -> EncodedFrame {
    EncodedFrame {
        stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 960, Frequency::AUDIO),
        capture: NtpTime::from_unix(Duration::from_millis(20 * seq)),
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        data: vec![1, 2, 3].into(),
    }
}

fn keyframe(seq: u64) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::MIX_VIDEO,
        time: MediaTime::new(seq * 3_000, Frequency::VIDEO),
        coding: Coding::Video {
            codec: VideoCodec::H264,
            key: true,
            discardable: false,
            width: 640,
            height: 360,
        },
        ..sound(StreamId::MIX_VIDEO, seq)
    }
}

fn media(sender: u32, epoch: Option<Epoch>, frame: EncodedFrame) -> Packet {
    Packet { sender: SenderId::new(sender), epoch, body: Body::Media(frame) }
}

const NOW: Option<Epoch> = Some(Epoch::new(5, 0));
const BEFORE: Option<Epoch> = Some(Epoch::new(4, 9));

#[test]
fn sound_of_a_member_and_the_mix_of_the_host_are_played() {
    let mut pair = Pair::new();
    let frame = sound(StreamId::AUDIO, 0);
    pair.input(2, Input::Encoded { to: Recipients::All, frame });
    let frame = sound(StreamId::MIX_AUDIO, 0);
    pair.input(1, Input::Encoded { to: Recipients::One(peer(2)), frame });
    pair.settle();
    pair.run_for(Duration::from_millis(60));
    let key = |sender, stream| StreamKey { sender: SenderId::new(sender), stream };
    assert_eq!(pair.decoded(1), [key(2, StreamId::AUDIO)]);
    assert_eq!(pair.decoded(2), [key(1, StreamId::MIX_AUDIO)]);
}

#[test]
fn control_that_nothing_uses_is_dropped_and_counted() {
    let mut pair = Pair::new();
    let body = Body::Control(Control::Retire { epoch: Epoch::new(6, 0) });
    pair.inject(1, &Packet { sender: SenderId::new(1), epoch: NOW, body });
    assert_eq!(pair.guest.stats().unused, 1);
    let peers = pair.guest.peer_stats();
    assert!(peers.iter().all(|(_, stats)| stats.state == ConnectionState::Connected));
}

#[test]
fn a_mix_of_who_does_not_host_is_dropped_and_counted() {
    let mut pair = Pair::new();
    pair.inject(2, &media(2, NOW, sound(StreamId::MIX_AUDIO, 0)));
    pair.inject(1, &media(1, None, sound(StreamId::MIX_AUDIO, 0)));
    let info = MixInfo {
        stream: StreamId::MIX_VIDEO,
        time: MediaTime::new(0, Frequency::VIDEO),
        sources: Vec::new(),
    };
    let body = Body::Control(Control::MixInfo(info));
    pair.inject(2, &Packet { sender: SenderId::new(2), epoch: NOW, body });
    pair.run_for(Duration::from_millis(300));
    assert!(pair.decoded(1).is_empty() && pair.decoded(2).is_empty());
    assert_eq!((pair.host.stats().wrong_role, pair.guest.stats().wrong_role), (2, 1));
    // And a member that thinks it hosts sends nothing at all.
    let frame = sound(StreamId::MIX_AUDIO, 0);
    pair.input(2, Input::Encoded { to: Recipients::All, frame });
    assert!(pair.guest.poll_output().is_none());
}

#[test]
fn what_is_of_an_older_epoch_is_dropped_and_counted() {
    let mut pair = Pair::new();
    pair.inject(1, &media(1, BEFORE, sound(StreamId::MIX_AUDIO, 0)));
    let request = Control::KeyframeRequest { stream: StreamId::MIX_VIDEO };
    let body = Body::Control(request);
    pair.inject(2, &Packet { sender: SenderId::new(2), epoch: BEFORE, body });
    pair.run_for(Duration::from_millis(300));
    assert!(pair.decoded(2).is_empty());
    assert_eq!((pair.host.stats().stale_epoch, pair.guest.stats().stale_epoch), (1, 1));
}

#[test]
fn a_stream_that_nobody_defined_is_dropped_and_counted() {
    let mut pair = Pair::new();
    pair.inject(2, &media(2, None, sound(StreamId::new(77), 0)));
    // Sound where a picture belongs.
    pair.inject(2, &media(2, None, sound(StreamId::VIDEO, 0)));
    // A keyframe of a stream that the host does not make for him.
    let body = Body::Control(Control::KeyframeRequest { stream: StreamId::VIDEO });
    pair.heard.clear();
    pair.inject(2, &Packet { sender: SenderId::new(2), epoch: NOW, body });
    assert!(pair.heard.is_empty(), "{:?}", pair.heard);
    assert_eq!(pair.host.stats().unknown_stream, 3);
    assert!(pair.host.receive_stats().is_empty());
}

#[test]
fn a_new_connection_and_requests_make_at_most_two_keyframes_a_second() {
    let mut pair = Pair::new();
    let steered = |(n, output): &&(u8, Output)| {
        *n == 1 && matches!(output, Output::Steer { stream: StreamId::MIX_VIDEO, .. })
    };
    let mut seq = 0;
    for _ in 0..50 {
        let request = Control::KeyframeRequest { stream: StreamId::MIX_VIDEO };
        let body = Body::Control(request);
        pair.inject(2, &Packet { sender: SenderId::new(2), epoch: NOW, body });
        // The encoder makes what it was asked for.
        while pair.heard.iter().filter(steered).count() as u64 > seq {
            pair.input(1, Input::Encoded { to: Recipients::All, frame: keyframe(seq) });
            seq += 1;
        }
        pair.run_for(Duration::from_millis(18));
    }
    assert_eq!(pair.heard.iter().filter(steered).count(), 2);
}

#[test]
fn who_leaves_is_told_disconnected_before_he_is_told_gone() {
    let mut pair = Pair::new();
    pair.heard.clear();
    pair.input(1, Input::MemberLeft(peer(2)));
    pair.settle();
    let events: Vec<_> =
        pair.heard.iter().filter(|(n, _)| *n == 1).map(|(_, output)| output).collect();
    assert!(
        matches!(
            &events[..],
            [
                Output::Event(Event::Disconnected { again: false, .. }),
                Output::Event(Event::MemberLeft { .. }),
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn who_found_no_place_is_expected_once_one_is_free() {
    let now = Instant::now();
    let config = SessionConfig::default().mesh(MeshConfig::default().max_peers(1));
    let mut host = Session::new(peer(1), config);
    let roster = Roster {
        session: [7; 16],
        sender: SenderId::new(1),
        epoch: Epoch::new(5, 0),
        host: Some(peer(1)),
        members: vec![member(2)],
    };
    host.handle_input(now, Input::Joined(roster));
    host.handle_input(now, Input::MemberJoined(member(3)));
    let offer = || Signal::Offer { sdp: String::new() };
    host.handle_input(now, Input::Signal { peer: peer(3), signal: offer() });
    let outputs: Vec<_> = std::iter::from_fn(|| host.poll_output()).collect();
    let refused = |output: &Output| matches!(output, Output::Event(Event::Refused { .. }));
    let connection = |output: &Output| matches!(output, Output::Connection { .. });
    assert!(outputs.iter().any(refused) && !outputs.iter().any(connection), "{outputs:?}");

    host.handle_input(now, Input::MemberLeft(peer(2)));
    host.handle_input(now, Input::Signal { peer: peer(3), signal: offer() });
    assert!(std::iter::from_fn(|| host.poll_output()).any(|output| connection(&output)));
}
