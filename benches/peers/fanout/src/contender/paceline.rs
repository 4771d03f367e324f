//! Ours: a mesh and a transport at each end, and the loop that an application's driver is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use paceline_mesh::framing::{Body, Packet};
use paceline_mesh::types::{
    Coding, ConnectionEvent, EncodedFrame, Frequency, MediaTime, NtpTime, PeerId, SenderId, SeqNo,
    StreamId, VideoCodec,
};
use paceline_mesh::{
    CallError, Event, Identity, Mesh, MeshConfig, Output, Recipients, Role, Topology,
};
use paceline_transport::{Transport, WebRtc, WebRtcConfig};
use tokio::sync::mpsc;

use super::transport::{BATCH, HOST, Mail, Post, id_of, viewer_of};
use super::{Fan, Gate, HELLO, Joined, Losses, OPEN, Scene, Step, Teller, sleep_until};

pub(super) async fn join(scene: &Scene) -> Result<Joined, String> {
    let mut gate = Gate::new(scene.viewers, OPEN.len() + HELLO.len());
    let (to_host, inbox) = mpsc::unbounded_channel();
    let mut host_end = End::new(HOST, Role::Host, scene.viewers, inbox);
    for viewer in 0..scene.viewers {
        let (to_viewer, inbox) = mpsc::unbounded_channel();
        host_end.post.insert(id_of(viewer), to_viewer);
        host_end.expect(id_of(viewer)).map_err(|error| error.to_string())?;
        let (teller, recorder) = (gate.teller(), Arc::clone(&scene.recorder));
        let to_host = to_host.clone();
        scene.places.of(viewer).spawn(async move {
            let mut end = End::new(id_of(viewer), Role::Member, 1, inbox);
            end.post.insert(HOST, to_host);
            if let Err(error) = end.call(HOST) {
                eprintln!("viewer {viewer}: {error}");
            }
            loop {
                end.turn(None, |_, seen| match seen {
                    Seen::Open => teller.tell(viewer, Step::ViewerOpen),
                    Seen::Event(Event::Connected { .. }) => teller.tell(viewer, Step::ViewerHello),
                    Seen::Event(Event::Packet { packet, .. }) => {
                        if let Body::Media(frame) = packet.body {
                            recorder.take(viewer, &frame.data);
                        }
                    }
                    Seen::Event(_) => {}
                })
                .await;
            }
        });
    }
    let viewers = (0..scene.viewers).map(id_of).collect();
    let (teller, state) = (gate.teller(), State::default());
    let mut host = Host { end: host_end, viewers, teller, state };
    let forever = Instant::now() + Duration::from_secs(3_600);
    tokio::select! {
        () = gate.wait() => {}
        () = host.run_until(forever) => {}
    }
    let (open_ms, hello_ms) = (gate.times(OPEN), gate.times(HELLO));
    Ok(Joined { fan: Box::new(host), open_ms, hello_ms })
}

/// What the owner of an end is told.
enum Seen {
    Event(Event),
    Open,
}

/// One participant.
struct End {
    us: PeerId,
    mesh: Mesh,
    transport: WebRtc,
    inbox: mpsc::UnboundedReceiver<Mail>,
    post: Post,
    /// Messages that the transport did not take, which the mesh should not let happen.
    refused: u64,
}

impl End {
    fn new(us: PeerId, role: Role, peers: usize, inbox: mpsc::UnboundedReceiver<Mail>) -> Self {
        let identity = Identity { session: [1; 16], peer: us, sender: sender_of(us), role };
        let config = MeshConfig::new(Topology::Broadcast);
        let config = config.max_peers(peers.max(Topology::Broadcast.max_peers()));
        Self {
            us,
            mesh: Mesh::new(Instant::now(), identity, config),
            transport: WebRtc::new(WebRtcConfig::default()),
            inbox,
            post: Post::new(),
            refused: 0,
        }
    }

    fn expect(&mut self, peer: PeerId) -> Result<(), CallError> {
        self.mesh.expect(Instant::now(), peer, sender_of(peer))
    }

    fn call(&mut self, peer: PeerId) -> Result<(), CallError> {
        let now = Instant::now();
        self.mesh.call(now, peer, sender_of(peer))?;
        self.flush(now, &mut |_, _| {});
        Ok(())
    }

    /// Waits for something, and handles it: the loop of the facade's driver.
    async fn turn(&mut self, until: Option<Instant>, mut on_seen: impl FnMut(PeerId, Seen)) {
        let deadline = self.mesh.poll_timeout().map(|(at, _)| at).into_iter().chain(until).min();
        let pause = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {
                let now = Instant::now();
                self.mesh.handle_timeout(now);
                self.flush(now, &mut on_seen);
            }
            Some((from, signal)) = self.inbox.recv() => {
                let now = Instant::now();
                self.mesh.handle_signal(now, from, signal);
                self.flush(now, &mut on_seen);
            }
            () = self.transport.ready() => {
                for _ in 0..BATCH {
                    let Some((peer, event)) = self.transport.poll_event() else { break };
                    if matches!(event, ConnectionEvent::Open) {
                        on_seen(peer, Seen::Open);
                    }
                    let now = Instant::now();
                    self.mesh.handle_connection(now, peer, event);
                    self.flush(now, &mut on_seen);
                }
            }
        }
    }

    fn flush(&mut self, now: Instant, on_seen: &mut impl FnMut(PeerId, Seen)) {
        while let Some(output) = self.mesh.poll_output() {
            match output {
                Output::Connection { peer, op } => self.transport.apply(now, peer, op),
                Output::Event(event) => {
                    if let Some(peer) = peer_of(&event) {
                        on_seen(peer, Seen::Event(event));
                    }
                }
                Output::Signal { peer, signal } => {
                    if let Some(way) = self.post.get(&peer) {
                        let _ = way.send((self.us, signal));
                    }
                }
                Output::Transmit { peer, kind, bytes } => {
                    self.refused +=
                        u64::from(self.transport.try_send(now, peer, kind, bytes).is_err());
                }
                _ => {}
            }
        }
    }
}

fn peer_of(event: &Event) -> Option<PeerId> {
    match *event {
        Event::Connected { peer, .. }
        | Event::Gone { peer, .. }
        | Event::Interrupted { peer, .. }
        | Event::NeedsKeyframe { peer }
        | Event::Packet { peer, .. } => Some(peer),
        _ => None,
    }
}

fn sender_of(peer: PeerId) -> SenderId {
    let [.., high, low] = peer.to_bytes();
    SenderId::new(u32::from(u16::from_be_bytes([high, low])) + 1)
}

/// What the host has done and seen.
#[derive(Default)]
struct State {
    frames: u64,
    wants_key: bool,
    evicted: u64,
}

struct Host {
    end: End,
    viewers: Vec<PeerId>,
    teller: Teller,
    state: State,
}

impl Host {
    async fn turn(&mut self, until: Instant) {
        let (teller, state) = (&self.teller, &mut self.state);
        self.end
            .turn(Some(until), |peer, seen| match seen {
                Seen::Open => teller.tell(viewer_of(peer), Step::HostOpen),
                Seen::Event(Event::Connected { .. }) => {
                    teller.tell(viewer_of(peer), Step::HostHello);
                    state.wants_key = true;
                }
                Seen::Event(Event::NeedsKeyframe { .. }) => state.wants_key = true,
                Seen::Event(Event::Interrupted { .. } | Event::Gone { .. }) => state.evicted += 1,
                Seen::Event(_) => {}
            })
            .await;
    }

    /// Messages go as pictures: what a fan-out is for. A tenth of a second of them, and no
    /// less, lies between two keyframes that somebody asked for.
    fn picture(&mut self, message: &Bytes, key: bool) -> Packet {
        let state = &mut self.state;
        let key = key || state.frames == 0 || (state.wants_key && state.frames.is_multiple_of(6));
        state.wants_key &= !key;
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(state.frames),
            time: MediaTime::new(state.frames * 1_500, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding: Coding::Video {
                codec: VideoCodec::H264,
                key,
                discardable: false,
                width: 640,
                height: 360,
            },
            data: message.clone(),
        };
        state.frames += 1;
        Packet { sender: sender_of(HOST), epoch: None, body: Body::Media(frame) }
    }

    fn push(&mut self, message: &Bytes, key: bool) {
        let now = Instant::now();
        let packet = self.picture(message, key);
        self.end.mesh.send(now, Recipients::All, &packet);
        let state = &mut self.state;
        self.end.flush(now, &mut |_, seen| match seen {
            Seen::Event(Event::NeedsKeyframe { .. }) => state.wants_key = true,
            Seen::Event(Event::Interrupted { .. } | Event::Gone { .. }) => state.evicted += 1,
            _ => {}
        });
    }

    fn stat(&self, of: impl Fn(paceline_mesh::PeerStats) -> usize) -> Vec<usize> {
        let of = |&peer| self.end.mesh.stats(peer).map_or(0, &of);
        self.viewers.iter().map(of).collect()
    }
}

#[async_trait]
impl Fan for Host {
    async fn send(&mut self, message: &Bytes) {
        self.push(message, false);
    }

    async fn run_until(&mut self, until: Instant) {
        while Instant::now() < until {
            self.turn(until).await;
        }
    }

    async fn flood(&mut self, message: &Bytes, until: Instant) {
        while Instant::now() < until {
            // Enough that the queue is not empty between two turns, and an end even if the
            // mesh takes nothing.
            for _ in 0..FLOOD.div_ceil(message.len().max(1)) {
                if self.stat(|stats| stats.queued_bytes).into_iter().all(|held| held >= FLOOD) {
                    break;
                }
                self.push(message, true);
            }
            self.turn(until).await;
        }
    }

    async fn held(&mut self) -> Vec<usize> {
        let queued = self.stat(|stats| stats.queued_bytes);
        let viewers = self.viewers.iter();
        let outstanding = viewers.map(|&peer| self.end.transport.outstanding(peer));
        queued.into_iter().zip(outstanding).map(|(queued, out)| queued + out).collect()
    }

    fn losses(&self) -> Losses {
        let shed: usize = self.stat(|stats| stats.shed as usize).into_iter().sum();
        Losses { refused: shed as u64 + self.end.refused, evicted: self.state.evicted }
    }
}

/// Bytes that wait in a flood: below what the queue of pictures may hold.
const FLOOD: usize = 256 << 10;
