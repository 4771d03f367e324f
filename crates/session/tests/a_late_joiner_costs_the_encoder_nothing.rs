//! A viewer who comes late starts from the keyframe that was, and what followed it.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_session::types::{
    Coding, ConnectionEvent, ConnectionOp, EncodedFrame, Epoch, Frequency, MediaTime, NtpTime,
    PeerId, SenderId, SeqNo, Signal, StreamId, VideoCodec,
};
use paceline_session::{
    Input, Member, MeshConfig, Output, Recipients, Roster, Session, SessionConfig, Topology,
};

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

fn member(n: u8) -> Member {
    Member {
        peer: peer(n),
        sender: SenderId::new(n.into()),
        name: format!("viewer {n}"),
        may_host: true,
        nat: None,
    }
}

/// One way of the network between any two.
const WAY: Duration = Duration::from_millis(20);
const FRAME: Duration = Duration::from_micros(33_333);
const HOST: u8 = 1;

/// A broadcast over a network that loses nothing, its messages 20 ms on their way.
struct Broadcast {
    start: Instant,
    now: Instant,
    sessions: BTreeMap<u8, Session>,
    /// What is on its way: when it arrives, from whom, to whom.
    way: VecDeque<(Instant, u8, u8, ConnectionEvent)>,
    decoded: BTreeMap<u8, Vec<(Duration, u64)>>,
    /// When the encoder was asked for a keyframe.
    asked: Vec<Duration>,
    next_frame: u64,
}

impl Broadcast {
    fn new() -> Self {
        let start = Instant::now();
        let mut broadcast = Self {
            start,
            now: start,
            sessions: BTreeMap::new(),
            way: VecDeque::new(),
            decoded: BTreeMap::new(),
            asked: Vec::new(),
            next_frame: 0,
        };
        broadcast.join(HOST);
        broadcast
    }

    fn join(&mut self, n: u8) {
        let config = SessionConfig::default().mesh(MeshConfig::new(Topology::Broadcast));
        let others: Vec<_> = self.sessions.keys().copied().collect();
        self.sessions.insert(n, Session::new(peer(n), config));
        for &other in &others {
            self.input(other, Input::MemberJoined(member(n)));
        }
        let roster = Roster {
            session: [7; 16],
            sender: SenderId::new(n.into()),
            epoch: Epoch::new(1, 0),
            host: Some(peer(HOST)),
            members: others.into_iter().map(member).collect(),
            may_host: true,
            genesis: true,
        };
        self.input(n, Input::Joined(roster));
    }

    fn input(&mut self, n: u8, input: Input) {
        let now = self.now;
        self.sessions.get_mut(&n).expect("he is there").handle_input(now, input);
        while let Some(output) = self.sessions.get_mut(&n).and_then(Session::poll_output) {
            self.apply(n, output);
        }
    }

    fn apply(&mut self, here: u8, output: Output) {
        let sdp = || "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\n".to_owned();
        let local = |signal| ConnectionEvent::Local(signal);
        match output {
            Output::Transmit { peer, bytes, .. } => {
                let there = peer.to_bytes()[0];
                let acked = ConnectionEvent::Acked(bytes.len());
                let arrives = self.now + WAY;
                self.way.push_back((arrives, here, there, ConnectionEvent::Message(bytes)));
                self.way.push_back((arrives + WAY, there, here, acked));
            }
            Output::Connection { peer, op: ConnectionOp::Call } => {
                let event = local(Signal::Offer { sdp: sdp() });
                self.input(here, Input::Connection { peer, event });
            }
            Output::Connection { peer, op: ConnectionOp::Remote(signal) } => {
                if matches!(signal, Signal::Offer { .. }) {
                    let event = local(Signal::Answer { sdp: sdp() });
                    self.input(here, Input::Connection { peer, event });
                }
                if matches!(signal, Signal::Offer { .. } | Signal::Answer { .. }) {
                    self.input(here, Input::Connection { peer, event: ConnectionEvent::Open });
                }
            }
            Output::Signal { peer: to, signal } => {
                self.input(to.to_bytes()[0], Input::Signal { peer: peer(here), signal });
            }
            Output::Decode { frame, .. } => {
                let at = self.now - self.start;
                self.decoded.entry(here).or_default().push((at, frame.seq.get()));
            }
            Output::Steer { target, .. } if here == HOST && target.keyframe => {
                self.asked.push(self.now - self.start);
            }
            _ => {}
        }
    }

    /// The host shows a frame each 33 ms; a keyframe first, and then when it is asked.
    fn show(&mut self) {
        let seq = self.next_frame;
        let shown = self.start + FRAME * seq as u32;
        let key = seq == 0 || self.asked.last().is_some_and(|&at| shown - FRAME < self.start + at);
        self.next_frame += 1;
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(seq * 3_000, Frequency::VIDEO),
            capture: NtpTime::from_unix(FRAME * seq as u32),
            coding: Coding::Video {
                codec: VideoCodec::H264,
                key,
                discardable: false,
                width: 640,
                height: 360,
            },
            data: vec![seq as u8; if key { 20_000 } else { 3_000 }].into(),
        };
        self.input(HOST, Input::Encoded { to: Recipients::All, frame });
    }

    fn run_until(&mut self, end: Duration) {
        let end = self.start + end;
        loop {
            let shows = self.start + FRAME * self.next_frame as u32;
            let arrives = self.way.iter().map(|&(at, ..)| at).min();
            let wakes = self.sessions.values().filter_map(|it| it.poll_timeout()).map(|(at, _)| at);
            let next = wakes.chain(arrives).chain([shows]).min().expect("frames go on");
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if shows <= self.now {
                self.show();
            }
            while let Some(at) = self.way.iter().position(|&(at, ..)| at <= self.now) {
                let (_, from, to, event) = self.way.remove(at).expect("it was just there");
                self.input(to, Input::Connection { peer: peer(from), event });
            }
            for n in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.input(n, Input::Timeout);
            }
        }
        self.now = end;
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn who_joins_within_two_seconds_of_a_keyframe_sees_it_and_all_since_at_once() {
    let mut broadcast = Broadcast::new();
    broadcast.join(2);
    broadcast.run_until(ms(1_500));
    let asked = broadcast.asked.len();
    let joined = broadcast.now - broadcast.start;
    broadcast.join(3);
    broadcast.run_until(ms(3_000));
    assert_eq!(broadcast.asked.len(), asked, "his coming is no reason for a keyframe");

    let seen = &broadcast.decoded[&3];
    let (first_at, first) = seen[0];
    let key = broadcast.decoded[&2].iter().map(|&(_, seq)| seq).min().expect("2 saw it");
    assert_eq!(first, key, "he starts from the keyframe that was");
    assert!(seen.windows(2).all(|two| two[1].1 == two[0].1 + 1), "and misses nothing since");
    // The hellos take one way, the picture another: a round trip and a frame in all, and
    // what a jitter buffer begins with.
    assert!(first_at - joined <= 2 * WAY + FRAME + ms(20), "{:?}", first_at - joined);
    // What has piled up is shown at once, and he is where the others are.
    let at = |n: u8, seq| broadcast.decoded[&n].iter().find(|&&(_, it)| it == seq).map(|it| it.0);
    for seq in broadcast.next_frame - 20..broadcast.next_frame - 5 {
        let behind = at(3, seq).expect("seen").saturating_sub(at(2, seq).expect("seen"));
        assert!(behind <= ms(10), "frame {seq} is {behind:?} later");
    }
}

#[test]
fn twenty_who_join_long_after_the_keyframe_cost_one() {
    let mut broadcast = Broadcast::new();
    broadcast.join(2);
    broadcast.run_until(ms(4_000));
    let asked = broadcast.asked.len();
    for n in 3..23 {
        broadcast.join(n);
        let then = broadcast.now - broadcast.start + ms(10);
        broadcast.run_until(then);
    }
    broadcast.run_until(ms(5_500));
    assert_eq!(broadcast.asked.len(), asked + 1);
    for n in 3..23 {
        let seen = &broadcast.decoded[&n];
        assert!(seen.windows(2).all(|two| two[1].1 == two[0].1 + 1), "viewer {n} missed something");
        assert!(seen.last().expect("he saw something").1 + 5 > broadcast.next_frame);
    }
}
