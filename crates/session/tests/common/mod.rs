//! A star in memory: sessions, a network, a witness and stages, in virtual time.
//!
//! Everybody's media clock shows the time since the beginning, so the frame that a host
//! makes of a moment has the same number whoever hosts.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

mod stage;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_framing::{Body, Control, Packet};
use paceline_session::types::{
    ConnectionEvent, ConnectionOp, EncodedFrame, Epoch, NtpTime, PacketKind, PeerId, SenderId,
    Signal, StreamId, StreamKey,
};
use paceline_session::{Event, Input, Member, Output, Roster, Session, SessionConfig};
use paceline_session::{Recipients, WitnessReply, WitnessRequest};

use self::stage::Stage;
use self::witness::Witness;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SESSION: [u8; 16] = [7; 16];

pub(crate) fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

pub(crate) fn number(peer: PeerId) -> u8 {
    peer.to_bytes()[0]
}

pub(crate) fn sender(n: u8) -> SenderId {
    SenderId::new(n.into())
}

pub(crate) fn member(n: u8) -> Member {
    let name = format!("member {n}");
    Member { peer: peer(n), sender: sender(n), name, may_host: true, nat: None }
}

pub(crate) fn own(n: u8, stream: StreamId) -> StreamKey {
    StreamKey { sender: sender(n), stream }
}

pub(crate) fn mix(stream: StreamId) -> StreamKey {
    StreamKey { sender: paceline_session::MIX_SENDER, stream }
}

/// Something on its way.
#[derive(Debug)]
enum Errand {
    Acked { by: u8, of: u8, bytes: usize },
    Ask { from: u8, request: WitnessRequest },
    Message { from: u8, to: u8, kind: PacketKind, bytes: bytes::Bytes },
    Reply { to: u8, reply: WitnessReply },
    Say { to: u8, input: Box<Input> },
}

/// A frame or packet of control that somebody put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) packet: Packet,
}

impl Sent {
    pub(crate) fn frame(&self) -> Option<&EncodedFrame> {
        match &self.packet.body {
            Body::Media(frame) => Some(frame),
            Body::Control(_) => None,
        }
    }

    pub(crate) fn control(&self) -> Option<&Control> {
        match &self.packet.body {
            Body::Media(_) => None,
            Body::Control(control) => Some(control),
        }
    }
}

/// A frame that was due at somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) at: Duration,
    pub(crate) by: u8,
    pub(crate) stream: StreamKey,
    pub(crate) seq: u64,
    pub(crate) key: bool,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) capture: NtpTime,
}

#[derive(Debug)]
struct Node {
    session: Session,
    stage: Stage,
}

#[derive(Debug)]
pub(crate) struct Call {
    start: Instant,
    pub(crate) now: Instant,
    nodes: BTreeMap<u8, Node>,
    joined: u8,
    witness: Witness,
    config: SessionConfig,
    /// Whether everybody shows and says something, and stages do what they are told.
    pub(crate) media: bool,
    ticks: [u64; 2],
    /// One way of the network, where it is not [`WAY`].
    ways: BTreeMap<(u8, u8), Duration>,
    arrived: BTreeMap<(u8, u8), Instant>,
    way: BTreeMap<(Instant, u64), Errand>,
    errands: u64,
    /// Pairs between which nothing passes.
    cut: BTreeSet<(u8, u8)>,
    /// Who does nothing at the moment, and what has come for him meanwhile.
    stalled: Option<u8>,
    waiting: Vec<Errand>,
    /// RTP and RTCP, from whom to whom.
    pub(crate) carried: Vec<(u8, u8, PacketKind, bytes::Bytes)>,
    /// The next packet of RTP between two that has this payload type does not arrive.
    pub(crate) lose_next: Option<(u8, u8, u8)>,
    /// What is said over channels takes so much longer than what goes over RTP.
    pub(crate) slow_channels: Duration,
    pub(crate) sent: Vec<Sent>,
    pub(crate) decoded: Vec<Decoded>,
    /// Who made which connection, by caller and callee.
    pub(crate) calls: Vec<(u8, u8)>,
    /// What else came out.
    pub(crate) heard: Vec<(u8, Duration, Output)>,
}

impl Call {
    pub(crate) fn new(config: SessionConfig) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            nodes: BTreeMap::new(),
            joined: 0,
            witness: Witness::default(),
            config,
            media: false,
            ticks: [0; 2],
            ways: BTreeMap::new(),
            arrived: BTreeMap::new(),
            way: BTreeMap::new(),
            errands: 0,
            cut: BTreeSet::new(),
            stalled: None,
            waiting: Vec::new(),
            carried: Vec::new(),
            lose_next: None,
            slow_channels: Duration::ZERO,
            sent: Vec::new(),
            decoded: Vec::new(),
            calls: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// So many in a call, one after another, who have all been told who votes.
    pub(crate) fn of(people: u8) -> Self {
        Self::with(people, SessionConfig::default())
    }

    pub(crate) fn with(people: u8, config: SessionConfig) -> Self {
        let mut call = Self::new(config);
        for _ in 0..people {
            call.join();
            call.run_for(300 * MS);
        }
        call.run_for(2_000 * MS);
        call
    }

    /// The next one comes in; the first hosts.
    pub(crate) fn join(&mut self) -> u8 {
        self.joined += 1;
        let n = self.joined;
        let there: Vec<_> = self.nodes.keys().copied().collect();
        for &other in &there {
            self.say(other, Input::MemberJoined(member(n)));
        }
        let genesis = self.witness.is_free(&there);
        if genesis && self.witness.host(&there).is_none() {
            self.witness.choose(self.now, n);
        }
        let roster = Roster {
            session: SESSION,
            sender: sender(n),
            epoch: self.witness.epoch(),
            host: self.witness.host(&[&there[..], &[n]].concat()).map(peer),
            members: there.into_iter().map(member).collect(),
            may_host: true,
            genesis,
        };
        let session = Session::new(peer(n), self.config.clone());
        self.nodes.insert(n, Node { session, stage: Stage::default() });
        self.input(n, Input::Joined(roster));
        n
    }

    /// Who joins from now on has these bounds.
    pub(crate) fn set_config(&mut self, config: SessionConfig) {
        self.config = config;
    }

    /// Ends somebody's program from one moment to the next. Nobody is told.
    pub(crate) fn kill(&mut self, n: u8) {
        self.nodes.remove(&n);
    }

    /// The signalling server has noticed that somebody is not there any more.
    pub(crate) fn tell_left(&mut self, n: u8) {
        for other in self.numbers() {
            self.say(other, Input::MemberLeft(peer(n)));
        }
    }

    pub(crate) fn set_way(&mut self, from: u8, to: u8, way: Duration) {
        self.ways.insert((from, to), way);
    }

    /// Somebody's program does nothing from now on.
    pub(crate) fn stall(&mut self, n: u8) {
        self.stalled = Some(n);
    }

    /// He goes on, hears what has come meanwhile, and then that it is late.
    pub(crate) fn resume(&mut self) {
        let Some(n) = self.stalled.take() else { return };
        for errand in std::mem::take(&mut self.waiting) {
            self.deliver(errand);
        }
        self.input(n, Input::Timeout);
    }

    /// Nothing passes between two any more.
    pub(crate) fn cut(&mut self, a: u8, b: u8) {
        self.cut.extend([(a, b), (b, a)]);
    }

    pub(crate) fn numbers(&self) -> Vec<u8> {
        self.nodes.keys().copied().collect()
    }

    pub(crate) fn node(&self, n: u8) -> &Session {
        &self.nodes[&n].session
    }

    pub(crate) fn host(&self) -> Option<u8> {
        self.numbers().into_iter().find(|&n| self.node(n).is_host())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Whom somebody is connected to.
    pub(crate) fn links(&self, n: u8) -> Vec<u8> {
        self.node(n).peer_stats().into_iter().map(|(peer, _)| number(peer)).collect()
    }

    pub(crate) fn input(&mut self, n: u8, input: Input) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&n) else { return };
        node.session.handle_input(now, input);
        while let Some(output) = self.nodes.get_mut(&n).and_then(|it| it.session.poll_output()) {
            self.apply(n, output);
        }
    }

    /// Brings a packet over the channel from one to the other, as if his session had sent
    /// it.
    pub(crate) fn inject(&mut self, from: u8, to: u8, packet: &Packet) {
        let event = ConnectionEvent::Message(packet.emit());
        self.input(to, Input::Connection { peer: peer(from), event });
    }

    fn later(&mut self, at: Instant, errand: Errand) {
        self.errands += 1;
        self.way.insert((at, self.errands), errand);
    }

    /// The signalling server says something.
    pub(crate) fn say(&mut self, to: u8, input: Input) {
        self.later(self.now + SERVER, Errand::Say { to, input: Box::new(input) });
    }

    fn apply(&mut self, here: u8, output: Output) {
        let from = |n, event| Input::Connection { peer: peer(n), event };
        match output {
            Output::Transmit { peer, kind, bytes } => {
                let there = number(peer);
                let way = self.ways.get(&(here, there)).copied().unwrap_or(WAY);
                if kind != PacketKind::Message {
                    self.carried.push((here, there, kind, bytes.clone()));
                    if kind == PacketKind::Rtp
                        && self.lose_next == Some((here, there, bytes[1] & 0x7f))
                    {
                        self.lose_next = None;
                        return;
                    }
                    let errand = Errand::Message { from: here, to: there, kind, bytes };
                    return self.later(self.now + way, errand);
                }
                let way = way + self.slow_channels;
                // A channel keeps the order.
                let last = self.arrived.get(&(here, there)).copied().unwrap_or(self.now);
                let arrives = last.max(self.now + way);
                self.arrived.insert((here, there), arrives);
                if let Ok(packet) = Packet::parse(bytes.clone()) {
                    let at = self.elapsed();
                    self.sent.push(Sent { at, from: here, to: there, packet });
                }
                self.later(arrives, Errand::Message { from: here, to: there, kind, bytes });
            }
            Output::Connection { peer: there, op: ConnectionOp::Call } => {
                self.calls.push((here, number(there)));
                let offer = ConnectionEvent::Local(Signal::Offer { sdp: String::new() });
                self.input(here, from(number(there), offer));
            }
            Output::Connection { peer: there, op: ConnectionOp::Remote(signal) } => {
                let there = number(there);
                if matches!(signal, Signal::Offer { .. }) {
                    let answer = Signal::Answer { sdp: String::new() };
                    self.input(here, from(there, ConnectionEvent::Local(answer)));
                }
                if self.nodes.contains_key(&there) {
                    self.input(here, from(there, ConnectionEvent::Open));
                }
            }
            Output::Connection { .. } => {}
            Output::Signal { peer: there, signal } => {
                self.say(number(there), Input::Signal { peer: peer(here), signal });
            }
            Output::Witness(request) => {
                self.later(self.now + SERVER, Errand::Ask { from: here, request });
            }
            Output::Decode { stream, frame, epoch, .. } => {
                self.note_decoded(here, stream, &frame, epoch);
            }
            other => {
                if let Some(node) = self.nodes.get_mut(&here) {
                    node.stage.handle_output(&other);
                }
                self.heard.push((here, self.elapsed(), other));
            }
        }
    }

    fn note_decoded(
        &mut self,
        by: u8,
        stream: StreamKey,
        frame: &EncodedFrame,
        epoch: Option<Epoch>,
    ) {
        let (at, seq, key) = (self.elapsed(), frame.seq.get(), frame.coding.is_key());
        let capture = frame.capture;
        self.decoded.push(Decoded { at, by, stream, seq, key, epoch, capture });
    }

    fn deliver(&mut self, errand: Errand) {
        let (Errand::Acked { of: to, .. }
        | Errand::Ask { from: to, .. }
        | Errand::Message { to, .. }
        | Errand::Reply { to, .. }
        | Errand::Say { to, .. }) = &errand;
        if self.stalled == Some(*to) && !matches!(errand, Errand::Ask { .. }) {
            return self.waiting.push(errand);
        }
        let from = |n, event| Input::Connection { peer: peer(n), event };
        match errand {
            Errand::Acked { by, of, bytes } => {
                self.input(of, from(by, ConnectionEvent::Acked(bytes)));
            }
            Errand::Ask { from, request } => {
                let there = self.numbers();
                let before = self.witness.host(&there);
                if let Some(reply) = self.witness.handle_request(self.now, sender(from), request) {
                    self.later(self.now + SERVER, Errand::Reply { to: from, reply });
                }
                let host = self.witness.host(&there);
                if host != before {
                    let epoch = self.witness.epoch();
                    for n in there {
                        self.say(n, Input::Host { host: host.map(peer), epoch });
                    }
                }
            }
            Errand::Message { from: here, to, kind, bytes } => {
                if self.cut.contains(&(here, to)) || !self.nodes.contains_key(&to) {
                    return;
                }
                let event = match kind {
                    PacketKind::Rtcp => ConnectionEvent::Rtcp(bytes),
                    PacketKind::Rtp => ConnectionEvent::Rtp(bytes),
                    _ => return self.deliver_message(here, to, bytes),
                };
                self.input(to, from(here, event));
            }
            Errand::Reply { to, reply } => self.input(to, Input::Witness(reply)),
            Errand::Say { to, input } => self.input(to, *input),
        }
    }

    fn deliver_message(&mut self, here: u8, to: u8, bytes: bytes::Bytes) {
        let from = |n, event| Input::Connection { peer: peer(n), event };
        let acked = Errand::Acked { by: to, of: here, bytes: bytes.len() };
        let back = self.ways.get(&(to, here)).copied().unwrap_or(WAY);
        self.later(self.now + back, acked);
        self.input(to, from(here, ConnectionEvent::Message(bytes)));
    }

    /// When the next frame of sound and the next picture are made.
    fn next_tick(&self) -> Option<(Instant, usize)> {
        let at = |which: usize| (self.start + TICKS[which] * self.ticks[which] as u32, which);
        self.media.then(|| at(0).min(at(1)))
    }

    fn tick(&mut self, which: usize) {
        let seq = self.ticks[which];
        self.ticks[which] += 1;
        for n in self.numbers().into_iter().filter(|&n| self.stalled != Some(n)).collect::<Vec<_>>()
        {
            let links = self.links(n);
            let Some(node) = self.nodes.get_mut(&n) else { continue };
            let (pictures, hosts) = (which == 1, node.session.is_host());
            let mut inputs = node.stage.make(pictures, seq, hosts, &links);
            for input in inputs.drain(..) {
                self.input(n, input);
            }
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        if self.media && self.ticks == [0; 2] {
            let done = |which: usize| {
                let since = (self.now - self.start).as_nanos();
                since.div_ceil(TICKS[which].as_nanos()) as u64
            };
            self.ticks = [done(0), done(1)];
        }
        let mut turns = 0;
        loop {
            let timeout = |node: &Node| node.session.poll_timeout().map(|(at, _)| at);
            let awake = self.nodes.iter().filter(|&(&n, _)| self.stalled != Some(n));
            let woken = awake.filter_map(|(_, node)| timeout(node)).min();
            let way = self.way.keys().next().map(|&(at, _)| at);
            let tick = self.next_tick().map(|(at, _)| at);
            let Some(at) = [woken, way, tick].into_iter().flatten().min() else { break };
            if at > end {
                break;
            }
            turns = if at > self.now { 0 } else { turns + 1 };
            assert!(turns < 10_000, "time stands still at {:?}", self.elapsed());
            self.now = self.now.max(at);
            while let Some(first) = self.way.first_entry().filter(|it| it.key().0 <= self.now) {
                let errand = first.remove();
                self.deliver(errand);
            }
            while let Some((_, which)) = self.next_tick().filter(|&(at, _)| at <= self.now) {
                self.tick(which);
            }
            for n in self.numbers() {
                let due = |at: Instant| at <= self.now;
                let is_awake = self.stalled != Some(n);
                if is_awake && self.node(n).poll_timeout().is_some_and(|(at, _)| due(at)) {
                    self.input(n, Input::Timeout);
                }
            }
        }
        self.now = end;
    }

    /// What the owner of somebody's session was told.
    pub(crate) fn events(&self, at: u8) -> impl Iterator<Item = &Event> {
        self.heard.iter().filter_map(move |(n, _, output)| match output {
            Output::Event(event) if *n == at => Some(event),
            _ => None,
        })
    }

    /// The numbers of a stream's frames as somebody got them, in that order; both of a
    /// crossfade as one.
    pub(crate) fn seqs(&self, by: u8, stream: StreamKey) -> Vec<u64> {
        let mut seqs: Vec<_> = self
            .decoded
            .iter()
            .filter(|it| it.by == by && it.stream == stream)
            .map(|it| (it.at, it.seq))
            .collect();
        for (n, at, output) in &self.heard {
            if let Output::Crossfade { stream: of, new, .. } = output
                && (*n, *of) == (by, stream)
            {
                seqs.push((*at, new.seq.get()));
            }
        }
        seqs.sort_unstable();
        seqs.into_iter().map(|(_, seq)| seq).collect()
    }

    /// To whom somebody put frames of a stream on the wire since then.
    pub(crate) fn sent_to(&self, from: u8, stream: StreamId, since: Duration) -> BTreeSet<u8> {
        let is_it = |sent: &&Sent| {
            let frame = sent.frame().is_some_and(|frame| frame.stream == stream);
            frame && sent.from == from && sent.at >= since
        };
        self.sent.iter().filter(is_it).map(|sent| sent.to).collect()
    }

    /// One more frame of somebody's for everybody.
    pub(crate) fn encode(&mut self, n: u8, frame: EncodedFrame) {
        self.input(n, Input::Encoded { to: Recipients::All, frame });
    }
}

/// One way of the network between any two.
const WAY: Duration = Duration::from_millis(10);

/// One way to the signalling server.
const SERVER: Duration = Duration::from_millis(10);

/// Sound and pictures.
const TICKS: [Duration; 2] = [Duration::from_millis(20), Duration::from_nanos(33_333_333)];

pub(crate) use self::stage::{picture, sound};
