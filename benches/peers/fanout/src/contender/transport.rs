//! `paceline-transport` without a mesh: what the seam costs by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use paceline_transport::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, Signal};
use paceline_transport::{Transport, WebRtc, WebRtcConfig};
use tokio::sync::mpsc;

use super::{Fan, Gate, Joined, Losses, OPEN, Scene, Step, Teller, sleep_until};

/// Who signals, and what.
pub(super) type Mail = (PeerId, Signal);

/// The ways to the others.
pub(super) type Post = HashMap<PeerId, mpsc::UnboundedSender<Mail>>;

/// The host's id; viewers come behind it.
pub(super) const HOST: PeerId = PeerId::from_bytes([0; 16]);

pub(super) const fn id_of(viewer: usize) -> PeerId {
    let [high, low] = (viewer as u16 + 1).to_be_bytes();
    PeerId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

pub(super) fn viewer_of(peer: PeerId) -> usize {
    let [.., high, low] = peer.to_bytes();
    usize::from(u16::from_be_bytes([high, low])).wrapping_sub(1)
}

pub(super) async fn join(scene: &Scene) -> Result<Joined, String> {
    let mut gate = Gate::new(scene.viewers, OPEN.len());
    let (to_host, inbox) = mpsc::unbounded_channel();
    let mut post = Post::new();
    for viewer in 0..scene.viewers {
        let (to_viewer, inbox) = mpsc::unbounded_channel();
        post.insert(id_of(viewer), to_viewer);
        let (teller, recorder) = (gate.teller(), Arc::clone(&scene.recorder));
        let post = Post::from([(HOST, to_host.clone())]);
        scene.places.of(viewer).spawn(async move {
            let mut end = End::new(id_of(viewer), inbox, post);
            end.transport.apply(Instant::now(), HOST, ConnectionOp::Call);
            loop {
                end.turn(None, |_, event| match event {
                    ConnectionEvent::Open => teller.tell(viewer, Step::ViewerOpen),
                    ConnectionEvent::Message(message) => recorder.take(viewer, &message),
                    _ => {}
                })
                .await;
            }
        });
    }
    let end = End::new(HOST, inbox, post);
    let viewers = (0..scene.viewers).map(id_of).collect();
    let losses = Losses::default();
    let mut host = Host { end, viewers, teller: gate.teller(), losses };
    let forever = Instant::now() + std::time::Duration::from_secs(3_600);
    tokio::select! {
        () = gate.wait() => {}
        () = host.run_until(forever) => {}
    }
    let open_ms = gate.times(OPEN);
    Ok(Joined { fan: Box::new(host), open_ms, hello_ms: Vec::new() })
}

/// One participant.
struct End {
    us: PeerId,
    transport: WebRtc,
    inbox: mpsc::UnboundedReceiver<Mail>,
    post: Post,
}

impl End {
    fn new(us: PeerId, inbox: mpsc::UnboundedReceiver<Mail>, post: Post) -> Self {
        Self { us, transport: WebRtc::new(WebRtcConfig::default()), inbox, post }
    }

    /// Waits for something, and handles it.
    async fn turn(
        &mut self,
        until: Option<Instant>,
        mut on_event: impl FnMut(PeerId, ConnectionEvent),
    ) {
        let pause = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            Some((from, signal)) = self.inbox.recv() => {
                self.transport.apply(Instant::now(), from, ConnectionOp::Remote(signal));
            }
            () = self.transport.ready() => {
                for _ in 0..BATCH {
                    let Some((peer, event)) = self.transport.poll_event() else { break };
                    match event {
                        ConnectionEvent::Local(signal) => {
                            if let Some(way) = self.post.get(&peer) {
                                let _ = way.send((self.us, signal));
                            }
                        }
                        event => on_event(peer, event),
                    }
                }
            }
        }
    }
}

struct Host {
    end: End,
    viewers: Vec<PeerId>,
    teller: Teller,
    losses: Losses,
}

impl Host {
    async fn turn(&mut self, until: Instant) {
        let (teller, losses) = (&self.teller, &mut self.losses);
        self.end
            .turn(Some(until), |peer, event| match event {
                ConnectionEvent::Open => teller.tell(viewer_of(peer), Step::HostOpen),
                ConnectionEvent::Closed { .. } => losses.evicted += 1,
                _ => {}
            })
            .await;
    }
}

#[async_trait]
impl Fan for Host {
    async fn send(&mut self, message: &Bytes) {
        let now = Instant::now();
        for &peer in &self.viewers {
            if self.end.transport.try_send(now, peer, PacketKind::Message, message.clone()).is_err()
            {
                self.losses.refused += 1;
            }
        }
    }

    async fn run_until(&mut self, until: Instant) {
        while Instant::now() < until {
            self.turn(until).await;
        }
    }

    async fn flood(&mut self, message: &Bytes, until: Instant) {
        while Instant::now() < until {
            let now = Instant::now();
            while self
                .end
                .transport
                .try_send(now, self.viewers[0], PacketKind::Message, message.clone())
                .is_ok()
            {}
            self.turn(until).await;
        }
    }

    async fn held(&mut self) -> Vec<usize> {
        self.viewers.iter().map(|&peer| self.end.transport.outstanding(peer)).collect()
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

/// Events between two looks at the clock, as in the facade.
pub(super) const BATCH: usize = 64;
