//! The `webrtc` crate as an engine: one task a connection, one queue of events.

mod carrier;
mod config;
mod connection;
mod media;
mod negotiation;
mod outbox;
mod runtime;
mod shared;
mod socket;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, Signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

pub use self::config::WebRtcConfig;
use self::shared::Shared;
use crate::rtp::{Tap, TapStats};
use crate::{SendError, Transport};

/// Connections over the `webrtc` crate. Lives on a tokio runtime.
#[derive(Debug)]
pub struct WebRtc {
    config: Arc<WebRtcConfig>,
    connections: HashMap<PeerId, Handle>,
    events: mpsc::Receiver<Tagged>,
    report: mpsc::Sender<Tagged>,
    /// An event that [`ready`](Self::ready) took and `poll_event` has to give out.
    peeked: Option<Tagged>,
    closing: JoinSet<()>,
    generation: u64,
}

/// What the transport holds of a connection's task.
#[derive(Debug)]
struct Handle {
    generation: u64,
    /// It made the first offer, and has no answer.
    calls: bool,
    ops: mpsc::UnboundedSender<ConnectionOp>,
    messages: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// An event and which life of which connection it is of.
#[derive(Debug)]
struct Tagged {
    peer: PeerId,
    generation: u64,
    event: ConnectionEvent,
}

impl WebRtc {
    /// An engine without connections.
    #[must_use]
    pub fn new(config: WebRtcConfig) -> Self {
        let (report, events) = mpsc::channel(config.event_queue.clamp(1, MAX_EVENTS));
        Self {
            config: Arc::new(config),
            connections: HashMap::new(),
            events,
            report,
            peeked: None,
            closing: JoinSet::new(),
            generation: 0,
        }
    }

    /// Waits until [`poll_event`](Transport::poll_event) has something. Cancel-safe.
    pub async fn ready(&mut self) {
        if self.peeked.is_none() {
            self.peeked = self.events.recv().await;
        }
    }

    /// Closes every connection and waits until they are gone, each for at most the
    /// configured time.
    pub async fn shutdown(&mut self) {
        let peers: Vec<_> = self.connections.keys().copied().collect();
        for peer in peers {
            self.close(peer);
        }
        // Connections that are closing may still want to report: nobody listens.
        self.events.close();
        while self.closing.join_next().await.is_some() {}
    }

    /// What became of the RTP to and from `peer`; `None` if the connection carries none.
    #[must_use]
    pub fn rtp_stats(&self, peer: PeerId) -> Option<TapStats> {
        self.connections.get(&peer)?.shared.tap().map(Tap::stats)
    }

    fn open(&mut self, now: Instant, peer: PeerId, calls: bool) -> &Handle {
        match self.connections.entry(peer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.generation += 1;
                let (ops, op_queue) = mpsc::unbounded_channel();
                let (messages, message_queue) = mpsc::unbounded_channel();
                let (registry, tap) = self.config.chain(peer).unzip();
                let shared = Arc::new(Shared::new(now, tap));
                let reporter = connection::Reporter {
                    peer,
                    generation: self.generation,
                    queue: self.report.clone(),
                };
                let task = tokio::spawn(connection::run(connection::Start {
                    config: Arc::clone(&self.config),
                    shared: Arc::clone(&shared),
                    reporter,
                    ops: op_queue,
                    registry,
                    messages: message_queue,
                }));
                let generation = self.generation;
                entry.insert(Handle { generation, calls, ops, messages, shared, task })
            }
        }
    }

    fn close(&mut self, peer: PeerId) {
        if let Some(handle) = self.connections.remove(&peer) {
            // A task that is already gone needs no telling.
            let _ = handle.ops.send(ConnectionOp::Close);
            let patience = self.config.close_timeout.saturating_mul(2);
            self.closing.spawn(async move {
                let Handle { mut task, ops, messages, .. } = handle;
                // Nothing more comes: the queue of messages ends with its last one.
                drop((ops, messages));
                // An error is a panic or an abort of that task, logged by tokio.
                if tokio::time::timeout(patience, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
        while self.closing.try_join_next().is_some() {}
    }
}

impl Transport for WebRtc {
    fn apply(&mut self, now: Instant, peer: PeerId, op: ConnectionOp) {
        match op {
            ConnectionOp::Close => self.close(peer),
            ConnectionOp::Call | ConnectionOp::Remote(Signal::Offer { .. }) => {
                let calls = matches!(op, ConnectionOp::Call);
                let _ = self.open(now, peer, calls).ops.send(op);
            }
            // All that there is of it is what is taken back.
            ConnectionOp::Rollback
                if self.connections.get(&peer).is_some_and(|handle| handle.calls) =>
            {
                self.close(peer);
            }
            // Anything else is about a connection that exists, or about none.
            _ => {
                if let Some(handle) = self.connections.get_mut(&peer) {
                    handle.calls &= !matches!(op, ConnectionOp::Remote(Signal::Answer { .. }));
                    let _ = handle.ops.send(op);
                }
            }
        }
    }

    fn try_send(
        &mut self,
        now: Instant,
        peer: PeerId,
        kind: PacketKind,
        message: Bytes,
    ) -> Result<(), SendError> {
        let handle = self.connections.get(&peer).ok_or(SendError::NotOpen)?;
        if !handle.shared.is_open() {
            return Err(SendError::NotOpen);
        }
        if kind != PacketKind::Message {
            let tap = handle.shared.tap().ok_or(SendError::NotOpen)?;
            // As the engine's clock has it, which what comes is stamped by.
            return tap.try_send(now + handle.shared.ahead(), kind, message);
        }
        let len = message.len();
        if len > handle.shared.max_message() {
            return Err(SendError::TooLarge);
        }
        if handle.shared.outstanding() >= self.config.max_outstanding {
            return Err(SendError::Full);
        }
        handle.shared.hand_over(len);
        handle.messages.send(message).map_err(|_| SendError::NotOpen)
    }

    fn outstanding(&self, peer: PeerId) -> usize {
        self.connections.get(&peer).map_or(0, |handle| handle.shared.outstanding())
    }

    fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)> {
        loop {
            let Tagged { peer, generation, event } =
                self.peeked.take().or_else(|| self.events.try_recv().ok())?;
            // What an earlier connection to the same peer still had to say is stale.
            let Some(handle) = self.connections.get(&peer) else { continue };
            if handle.generation != generation {
                continue;
            }
            match event {
                ConnectionEvent::Acked(_) => {
                    let acked = handle.shared.take_acked();
                    return Some((peer, ConnectionEvent::Acked(acked)));
                }
                ConnectionEvent::Closed { .. } => self.close(peer),
                ConnectionEvent::Rtp(_) | ConnectionEvent::Rtcp(_) => {
                    handle.shared.note_media_taken();
                }
                _ => {}
            }
            return Some((peer, event));
        }
    }
}

/// A queue of more events than this would be no bound.
const MAX_EVENTS: usize = 1 << 20;
