//! Two or three meshes and a perfect network between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_mesh::types::{ConnectionEvent, ConnectionOp, PeerId, SenderId, Signal};
use paceline_mesh::{Event, Identity, Mesh, MeshConfig, Output, Role};

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

/// Meshes whose connections open as soon as an offer has been answered.
pub struct Net {
    pub now: Instant,
    pub meshes: BTreeMap<PeerId, Mesh>,
    pub events: Vec<(PeerId, Event)>,
    /// Pairs whose messages vanish.
    pub cut: Vec<(PeerId, PeerId)>,
}

impl Net {
    pub fn new(members: &[u8]) -> Self {
        let now = Instant::now();
        let mesh = |&n: &u8| (peer(n), Mesh::new(now, identity(n), MeshConfig::default()));
        Self {
            now,
            meshes: members.iter().map(mesh).collect(),
            events: Vec::new(),
            cut: Vec::new(),
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
        let now = self.now;
        match output {
            Output::Event(event) => self.events.push((here, event)),
            Output::Connection { peer, op: ConnectionOp::Call } => {
                let offer = ConnectionEvent::Local(Signal::Offer { sdp: "offer".into() });
                self.on(here, |mesh| mesh.handle_connection(now, peer, offer));
            }
            Output::Connection { peer, op: ConnectionOp::Remote(Signal::Offer { .. }) } => {
                let answer = ConnectionEvent::Local(Signal::Answer { sdp: "answer".into() });
                self.on(here, |mesh| mesh.handle_connection(now, peer, answer));
                self.on(here, |mesh| mesh.handle_connection(now, peer, ConnectionEvent::Open));
            }
            Output::Connection { peer, op: ConnectionOp::Remote(Signal::Answer { .. }) } => {
                self.on(here, |mesh| mesh.handle_connection(now, peer, ConnectionEvent::Open));
            }
            Output::Signal { peer, signal } => {
                self.on(peer, |mesh| mesh.handle_signal(now, here, signal));
            }
            Output::Transmit { peer, bytes } => {
                let sent = ConnectionEvent::Acked(bytes.len());
                self.on(here, |mesh| mesh.handle_connection(now, peer, sent));
                if !self.cut.contains(&(here, peer)) {
                    let message = ConnectionEvent::Message(bytes);
                    self.on(peer, |mesh| mesh.handle_connection(now, here, message));
                }
            }
            _ => {}
        }
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

    pub fn connected(&mut self, a: u8, b: u8) -> bool {
        self.mesh(a).connected().any(|other| other == peer(b))
            && self.mesh(b).connected().any(|other| other == peer(a))
    }
}
