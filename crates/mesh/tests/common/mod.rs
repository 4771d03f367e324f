//! Two or three meshes and a perfect network between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_mesh::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, SenderId, Signal};
use paceline_mesh::{Event, Identity, Mesh, MeshConfig, Output, PacerConfig, Role};

pub fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

pub fn sender(n: u8) -> SenderId {
    SenderId::new(n.into())
}

pub fn identity(n: u8) -> Identity {
    Identity { session: [7; 16], peer: peer(n), sender: sender(n), role: Role::Member }
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A description of a connection of that session.
pub fn sdp(session: u64, ufrag: u64) -> String {
    format!("v=0\r\no=- {session} {ufrag} IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n")
}

pub fn offer(session: u64, ufrag: u64) -> Signal {
    Signal::Offer { sdp: sdp(session, ufrag) }
}

pub fn answer(session: u64, ufrag: u64) -> Signal {
    Signal::Answer { sdp: sdp(session, ufrag) }
}

pub fn outputs(mesh: &mut Mesh) -> Vec<Output> {
    std::iter::from_fn(|| mesh.poll_output()).collect()
}

pub fn ops(mesh: &mut Mesh) -> Vec<ConnectionOp> {
    let op = |output| match output {
        Output::Connection { op, .. } => Some(op),
        _ => None,
    };
    outputs(mesh).into_iter().filter_map(op).collect()
}

/// A packet of RTP or RTCP on its way.
#[derive(Clone, Debug)]
pub struct Carried {
    pub at: Instant,
    pub from: PeerId,
    pub to: PeerId,
    pub kind: PacketKind,
    pub bytes: Bytes,
}

/// Meshes whose connections open as soon as an offer has been answered.
pub struct Net {
    pub now: Instant,
    pub meshes: BTreeMap<PeerId, Mesh>,
    /// With what has passed since the beginning.
    pub events: Vec<(PeerId, Event)>,
    /// What engines were asked to do, and after how long.
    pub ops: Vec<(Duration, PeerId, ConnectionOp)>,
    /// Pairs whose messages vanish.
    pub cut: Vec<(PeerId, PeerId)>,
    /// Pairs whose signals vanish.
    pub mute: Vec<(PeerId, PeerId)>,
    /// Pairs whose messages arrive and are never confirmed.
    pub stuck: Vec<(PeerId, PeerId)>,
    /// What went over RTP, from whom to whom and when; and which of it does not arrive.
    pub carried: Vec<Carried>,
    pub lost: BTreeSet<usize>,
    /// Engines that are open, and the session each connection has.
    open: BTreeSet<(PeerId, PeerId)>,
    sessions: BTreeMap<(PeerId, PeerId), u64>,
    next: u64,
    began: Instant,
}

impl Net {
    /// Without probes: what this network loses is never confirmed, and their padding
    /// would be all that may be in flight.
    pub fn new(members: &[u8]) -> Self {
        let config = MeshConfig::default().pacer(PacerConfig::default().probe_bytes(0));
        Self::with(members, config)
    }

    pub fn with(members: &[u8], config: MeshConfig) -> Self {
        let members: Vec<_> = members.iter().map(|&n| (n, config.clone())).collect();
        Self::of(&members)
    }

    /// Each with bounds of its own.
    pub fn of(members: &[(u8, MeshConfig)]) -> Self {
        let now = Instant::now();
        let mesh = |(n, config): &(u8, MeshConfig)| {
            (peer(*n), Mesh::new(now, identity(*n), config.clone()))
        };
        Self {
            now,
            meshes: members.iter().map(mesh).collect(),
            events: Vec::new(),
            ops: Vec::new(),
            cut: Vec::new(),
            mute: Vec::new(),
            stuck: Vec::new(),
            carried: Vec::new(),
            lost: BTreeSet::new(),
            open: BTreeSet::new(),
            sessions: BTreeMap::new(),
            next: 1,
            began: now,
        }
    }

    pub fn mesh(&mut self, n: u8) -> &mut Mesh {
        self.meshes.get_mut(&peer(n)).expect("a member")
    }

    /// `a` calls, `b` expects; both are connected afterwards.
    pub fn connect(&mut self, a: u8, b: u8) {
        let now = self.now;
        self.mesh(a).call(now, peer(b), sender(b)).expect("a calls");
        self.mesh(b).expect(now, peer(a), sender(a)).expect("b expects");
        self.settle();
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        let ids: Vec<_> = self.meshes.keys().copied().collect();
        loop {
            let mut quiet = true;
            for &here in &ids {
                while let Some(output) =
                    self.meshes.get_mut(&here).and_then(|mesh| mesh.poll_output())
                {
                    quiet = false;
                    self.apply(here, output);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn apply(&mut self, here: PeerId, output: Output) {
        match output {
            Output::Event(event) => self.events.push((here, event)),
            Output::Connection { peer, op } => {
                self.ops.push((self.now - self.began, here, op.clone()));
                self.work(here, peer, op);
            }
            Output::Signal { peer, signal } => {
                let now = self.now;
                if !self.mute.contains(&(here, peer)) {
                    self.on(peer, |mesh| mesh.handle_signal(now, here, signal));
                }
            }
            Output::Transmit { peer, kind, bytes } if kind != PacketKind::Message => {
                let index = self.carried.len();
                let (at, from, to) = (self.now, here, peer);
                self.carried.push(Carried { at, from, to, kind, bytes: bytes.clone() });
                if !self.cut.contains(&(here, peer)) && !self.lost.contains(&index) {
                    let event = match kind {
                        PacketKind::Rtcp => ConnectionEvent::Rtcp(bytes),
                        _ => ConnectionEvent::Rtp(bytes),
                    };
                    self.tell(peer, here, event);
                }
            }
            Output::Transmit { peer, bytes, .. } => {
                let acked = ConnectionEvent::Acked(bytes.len());
                if !self.cut.contains(&(here, peer)) && !self.stuck.contains(&(here, peer)) {
                    self.tell(here, peer, acked);
                }
                if !self.cut.contains(&(here, peer)) {
                    self.tell(peer, here, ConnectionEvent::Message(bytes));
                }
            }
            _ => {}
        }
    }

    /// An engine: a description has a new fragment, and the session of its connection.
    fn work(&mut self, here: PeerId, peer: PeerId, op: ConnectionOp) {
        let way = (here, peer);
        self.next += 1;
        let ufrag = self.next;
        let creates = matches!(op, ConnectionOp::Call | ConnectionOp::Remote(Signal::Offer { .. }));
        if creates {
            self.sessions.entry(way).or_insert(1_000 + ufrag);
        }
        let session = self.sessions.get(&way).copied().unwrap_or_default();
        let local = match &op {
            ConnectionOp::Call | ConnectionOp::RestartIce => Some(offer(session, ufrag)),
            ConnectionOp::Remote(Signal::Offer { .. }) => Some(answer(session, ufrag)),
            _ => None,
        };
        if let Some(signal) = local {
            self.tell(here, peer, ConnectionEvent::Local(signal));
        }
        if op == ConnectionOp::Close {
            self.sessions.remove(&way);
            self.open.remove(&way);
        }
        let described =
            matches!(op, ConnectionOp::Remote(Signal::Answer { .. } | Signal::Offer { .. }));
        if described && self.open.insert(way) {
            self.tell(here, peer, ConnectionEvent::Open);
        } else if described && !self.cut.contains(&way) {
            self.tell(here, peer, ConnectionEvent::Path { up: true });
        }
    }

    /// The connection of two breaks at both ends.
    pub fn break_off(&mut self, a: u8, b: u8) {
        for way in [(peer(a), peer(b)), (peer(b), peer(a))] {
            self.sessions.remove(&way);
            self.open.remove(&way);
            let closed = ConnectionEvent::Closed { reason: "it broke".to_owned() };
            self.tell(way.0, way.1, closed);
        }
        self.settle();
    }

    pub fn tell(&mut self, here: PeerId, peer: PeerId, event: ConnectionEvent) {
        let now = self.now;
        self.on(here, |mesh| mesh.handle_connection(now, peer, event));
    }

    fn on(&mut self, peer: PeerId, act: impl FnOnce(&mut Mesh)) {
        if let Some(mesh) = self.meshes.get_mut(&peer) {
            act(mesh);
        }
    }

    /// Lets `span` pass, deadline by deadline.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next =
                self.meshes.values().filter_map(|mesh| mesh.poll_timeout()).map(|(at, _)| at).min();
            let Some(at) = next.filter(|&at| at <= end) else { break };
            self.now = self.now.max(at);
            let now = self.now;
            for mesh in self.meshes.values_mut() {
                mesh.handle_timeout(now);
            }
            self.settle();
        }
        self.now = end;
    }

    /// When this end's engine was asked for that, since `since` after the beginning.
    pub fn times(&self, n: u8, op: &ConnectionOp, since: Duration) -> Vec<Duration> {
        let ops = self.ops.iter().filter(|(_, at, it)| *at == peer(n) && it == op);
        ops.filter(|(at, ..)| *at >= since).map(|(at, ..)| *at - since).collect()
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.began
    }

    pub fn connected(&mut self, a: u8, b: u8) -> bool {
        self.mesh(a).connected().any(|other| other == peer(b))
            && self.mesh(b).connected().any(|other| other == peer(a))
    }
}
