//! The network between all nodes: a link for each pair and direction, and the
//! connections over them.
//!
//! A connection is made as by WebRTC. `Call` makes an offer and a candidate; an
//! offer makes an answer and a candidate; with both of these, the caller knocks
//! over the link until it is let in. What is said names the connection by number,
//! so that nothing of an earlier one is mistaken for it.
//!
//! ```text
//! caller            signalling             callee
//!   │ ── offer, candidate ───────────────────▶ │
//!   │ ◀─────────────────── answer, candidate ─ │
//!   │ ═══ knock ═════════ link ══════════════▶ │ Open
//!   │ ◀══════════════════ link ═════ let in ══ │
//!   │ Open
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::SendError;
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId, Signal};

use crate::netem::{LinkConfig, Netem};
use crate::reliable::{Ack, Data, Inbox, Outbox};
use crate::{Random, SimTransport};

/// What goes over a link.
#[derive(Clone, Debug)]
struct Packet {
    connection: u64,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Ack(Ack),
    Close,
    Data(Data),
    Knock,
    LetIn,
}

/// From whom to whom.
type Way = (PeerId, PeerId);

/// All links and connections.
///
/// | group | calls |
/// |---|---|
/// | input | [`transport`](Self::transport), [`handle_timeout`](Self::handle_timeout) |
/// | breaking | [`cut`](Self::cut), [`isolate`](Self::isolate), [`heal`](Self::heal) |
/// | output | [`SimTransport::poll_event`](paceline_transport::Transport::poll_event) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
#[derive(Debug)]
pub struct Network {
    config: LinkConfig,
    random: Random,
    links: BTreeMap<Way, Netem<Packet>>,
    /// One end of a connection each: of the first, towards the second.
    ends: BTreeMap<Way, End>,
    connections: u64,
    cuts: BTreeSet<Way>,
    isolated: BTreeSet<PeerId>,
    events: BTreeMap<PeerId, VecDeque<(PeerId, ConnectionEvent)>>,
}

#[derive(Debug)]
struct End {
    connection: u64,
    state: State,
    outbox: Outbox,
    inbox: Inbox,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The callee, until the caller knocks.
    Answered,
    /// The caller, with an answer and a candidate.
    Knocking {
        again: Instant,
    },
    /// The caller, with what it has of the other end.
    Offered {
        answer: bool,
        candidate: bool,
    },
    Open,
}

impl Network {
    /// A network whose links are all as `config` says, with dice of their own.
    #[must_use]
    pub const fn new(config: LinkConfig, random: Random) -> Self {
        Self {
            config,
            random,
            links: BTreeMap::new(),
            ends: BTreeMap::new(),
            connections: 0,
            cuts: BTreeSet::new(),
            isolated: BTreeSet::new(),
            events: BTreeMap::new(),
        }
    }

    /// The transport of a node.
    pub const fn transport(&mut self, node: PeerId) -> SimTransport<'_> {
        SimTransport::new(self, node)
    }

    /// Cuts the link between two nodes, both ways: what is put in or would arrive
    /// is thrown away. Nobody is told.
    pub fn cut(&mut self, a: PeerId, b: PeerId) {
        self.cuts.insert((a, b));
        self.cuts.insert((b, a));
    }

    /// Cuts the links between a node and all others, also those that come later.
    pub fn isolate(&mut self, node: PeerId) {
        self.isolated.insert(node);
    }

    /// Makes every link whole again. What still waits at its sender is sent again.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.isolated.clear();
    }

    /// Lets time pass: brings what has arrived, and sends again what has to be.
    pub fn handle_timeout(&mut self, now: Instant) {
        for way in self.links.keys().copied().collect::<Vec<_>>() {
            self.deliver(now, way);
        }
        for way in self.ends.keys().copied().collect::<Vec<_>>() {
            let Some(end) = self.ends.get_mut(&way) else { continue };
            if let State::Knocking { again } = &mut end.state
                && *again <= now
            {
                *again = now + KNOCK_INTERVAL;
                let connection = end.connection;
                self.put(now, way, connection, Body::Knock);
            } else if end.outbox.poll_timeout().is_some_and(|at| at <= now) {
                end.outbox.handle_timeout(now);
                self.flush(now, way);
            }
        }
    }

    /// When the next packet arrives or has to be sent again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(Netem::poll_timeout);
        let ends = self.ends.values().filter_map(|end| match end.state {
            State::Knocking { again } => Some(again),
            _ => end.outbox.poll_timeout(),
        });
        links.chain(ends).min()
    }

    pub(crate) fn apply(&mut self, now: Instant, us: PeerId, peer: PeerId, op: ConnectionOp) {
        match op {
            ConnectionOp::Call => {
                self.connections += 1;
                let state = State::Offered { answer: false, candidate: false };
                let sdp = self.begin((us, peer), self.connections, state);
                self.tell_signals((us, peer), Signal::Offer { sdp });
            }
            ConnectionOp::Close => {
                if let Some(end) = self.ends.remove(&(us, peer)) {
                    self.forget_events((us, peer));
                    self.put(now, (us, peer), end.connection, Body::Close);
                }
            }
            ConnectionOp::Remote(signal) => self.handle_signal(now, (us, peer), signal),
            _ => {}
        }
    }

    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        us: PeerId,
        peer: PeerId,
        message: Bytes,
    ) -> Result<(), SendError> {
        let end = self.ends.get_mut(&(us, peer)).filter(|end| end.state == State::Open);
        let outbox = &mut end.ok_or(SendError::NotOpen)?.outbox;
        if outbox.outstanding() >= MAX_OUTSTANDING {
            return Err(SendError::Full);
        }
        outbox.push(now, message);
        self.flush(now, (us, peer));
        Ok(())
    }

    pub(crate) fn outstanding(&self, us: PeerId, peer: PeerId) -> usize {
        self.ends.get(&(us, peer)).map_or(0, |end| end.outbox.outstanding())
    }

    pub(crate) fn poll_event(&mut self, us: PeerId) -> Option<(PeerId, ConnectionEvent)> {
        self.events.get_mut(&us)?.pop_front()
    }

    fn handle_signal(&mut self, now: Instant, way: Way, signal: Signal) {
        let end = self.ends.get_mut(&way);
        match signal {
            Signal::Offer { sdp } => {
                if let Some(connection) = parse(&sdp) {
                    let sdp = self.begin(way, connection, State::Answered);
                    self.tell_signals(way, Signal::Answer { sdp });
                } else if end.is_none() {
                    let reason = "the offer is not of this network".to_owned();
                    self.tell(way, ConnectionEvent::Closed { reason });
                }
            }
            Signal::Answer { sdp: text } | Signal::Candidate { candidate: text, .. } => {
                // What is of no use, or of an earlier connection, ends nothing.
                let Some(end) = end.filter(|end| parse(&text) == Some(end.connection)) else {
                    return;
                };
                if let State::Offered { answer, candidate } = &mut end.state {
                    if text.starts_with(CANDIDATE) {
                        *candidate = true;
                    } else {
                        *answer = true;
                    }
                    if *answer && *candidate {
                        end.state = State::Knocking { again: now };
                    }
                }
            }
        }
    }

    /// A new end, in place of the old if there is one; its description.
    fn begin(&mut self, way: Way, connection: u64, state: State) -> String {
        self.forget_events(way);
        let (outbox, inbox) = (Outbox::default(), Inbox::default());
        self.ends.insert(way, End { connection, state, outbox, inbox });
        format!("{DESCRIPTION}{connection}")
    }

    /// A description, and the one candidate that there is.
    fn tell_signals(&mut self, way: Way, description: Signal) {
        let Some(connection) = self.ends.get(&way).map(|end| end.connection) else { return };
        self.tell(way, ConnectionEvent::Local(description));
        let candidate = Signal::Candidate {
            candidate: format!("{CANDIDATE}{connection}"),
            mid: "0".to_owned(),
            mline_index: 0,
            ufrag: String::new(),
        };
        self.tell(way, ConnectionEvent::Local(candidate));
    }

    fn tell(&mut self, (us, peer): Way, event: ConnectionEvent) {
        self.events.entry(us).or_default().push_back((peer, event));
    }

    /// What an end had to tell is nobody's business once it is gone.
    fn forget_events(&mut self, (us, peer): Way) {
        if let Some(events) = self.events.get_mut(&us) {
            events.retain(|&(other, _)| other != peer);
        }
    }

    fn put(&mut self, now: Instant, way: Way, connection: u64, body: Body) {
        if self.is_cut(way) {
            return;
        }
        let (config, random) = (self.config, &mut self.random);
        let link = self.links.entry(way).or_insert_with(|| Netem::new(config, random.fork()));
        // Whether it is lost, its sender must not know.
        let _ = link.handle_packet(now, Packet { connection, body });
    }

    fn is_cut(&self, way: Way) -> bool {
        self.cuts.contains(&way) || self.isolated.contains(&way.0) || self.isolated.contains(&way.1)
    }

    /// Brings to its other end what has arrived.
    fn deliver(&mut self, now: Instant, (from, to): Way) {
        let cut = self.is_cut((from, to));
        let Some(link) = self.links.get_mut(&(from, to)) else { return };
        if link.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        link.handle_timeout(now);
        let packets = Vec::from_iter(std::iter::from_fn(|| link.poll_output()));
        if cut {
            return;
        }
        for packet in packets {
            self.handle_packet(now, (to, from), packet);
        }
        if let Some(end) = self.ends.get_mut(&(to, from))
            && let Some(ack) = end.inbox.poll_ack()
        {
            let connection = end.connection;
            self.put(now, (to, from), connection, Body::Ack(ack));
        }
    }

    /// Takes in a packet at the end `way` that it is for.
    fn handle_packet(&mut self, now: Instant, way: Way, packet: Packet) {
        let Packet { connection, body } = packet;
        let end = self.ends.get_mut(&way).filter(|end| end.connection == connection);
        let Some(end) = end else { return };
        match body {
            Body::Ack(ack) => {
                let freed = end.outbox.handle_ack(now, &ack);
                self.flush(now, way);
                if freed > 0 {
                    self.tell(way, ConnectionEvent::Acked(freed));
                }
            }
            Body::Close => {
                self.ends.remove(&way);
                let reason = "the other end closed it".to_owned();
                self.tell(way, ConnectionEvent::Closed { reason });
            }
            Body::Data(data) => {
                let messages = end.inbox.handle_data(data);
                self.open(way);
                for message in messages {
                    self.tell(way, ConnectionEvent::Message(message));
                }
            }
            Body::Knock => {
                self.open(way);
                self.put(now, way, connection, Body::LetIn);
            }
            Body::LetIn => self.open(way),
        }
    }

    fn open(&mut self, way: Way) {
        if let Some(end) = self.ends.get_mut(&way)
            && matches!(end.state, State::Answered | State::Knocking { .. })
        {
            end.state = State::Open;
            self.tell(way, ConnectionEvent::Open);
        }
    }

    fn flush(&mut self, now: Instant, way: Way) {
        let Some(end) = self.ends.get_mut(&way) else { return };
        let connection = end.connection;
        for data in Vec::from_iter(std::iter::from_fn(|| end.outbox.poll_output())) {
            self.put(now, way, connection, Body::Data(data));
        }
    }
}

fn parse(text: &str) -> Option<u64> {
    text.strip_prefix(DESCRIPTION).or(text.strip_prefix(CANDIDATE))?.parse().ok()
}

const CANDIDATE: &str = "simulated candidate ";
const DESCRIPTION: &str = "simulated description ";

/// How often the caller knocks: as often as ICE sends its checks again when it has
/// but one pair (RFC 8445 §14.3).
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes of one connection that may be under way. Uncompressed sound alone is
/// 1.6 Mbit/s, of which a round trip of 240 ms with one retransmission holds 100 kB.
pub(crate) const MAX_OUTSTANDING: usize = 256 << 10;
