//! The `webrtc` crate as an engine: one task a connection, one queue of events.

mod connection;
mod runtime;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId, Signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::{SendError, Transport};

/// How connections are made.
///
/// ```
/// use paceline_transport::WebRtcConfig;
///
/// let config = WebRtcConfig::default().max_outstanding(64 << 10);
/// ```
#[derive(Clone, Debug)]
pub struct WebRtcConfig {
    pub(crate) bind: IpAddr,
    pub(crate) ice_servers: Vec<String>,
    pub(crate) max_outstanding: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) close_timeout: Duration,
    pub(crate) event_queue: usize,
}

impl WebRtcConfig {
    /// The local address that sockets are bound to. Defaults to 127.0.0.1.
    ///
    /// The default reaches this machine only. `0.0.0.0` binds every interface but
    /// loopback and so reaches the network.
    #[must_use]
    pub const fn bind(mut self, bind: IpAddr) -> Self {
        self.bind = bind;
        self
    }

    /// STUN servers as `stun:HOST:PORT`. Defaults to none.
    ///
    /// Without one, only peers that can reach our own addresses can connect.
    #[must_use]
    pub fn ice_servers(mut self, urls: Vec<String>) -> Self {
        self.ice_servers = urls;
        self
    }

    /// Bytes that the engine may hold unacknowledged for one peer, and bytes that may
    /// wait for it; each may be passed by one message. Defaults to 32 KiB.
    ///
    /// What sits there cannot be overtaken by more urgent packets, so a caller keeps
    /// the waiting part lower. It is also all that can be in flight: one peer gets
    /// at most this much in a round trip, 5 Mbit/s at 50 ms.
    #[must_use]
    pub const fn max_outstanding(mut self, bytes: usize) -> Self {
        self.max_outstanding = bytes;
        self
    }

    /// Bytes of the kernel's receive buffer of each socket. Defaults to 4 MiB.
    ///
    /// The kernel's own default of 208 KiB overflows in a burst, which limits a
    /// channel to 12–18 MB/s on loopback where 4 MiB gives 109–150. More
    /// than `net.core.rmem_max` takes `CAP_NET_ADMIN`, on Linux; without it the kernel
    /// gives that instead.
    #[must_use]
    pub const fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// How long closing may take before the connection is dropped. Defaults to 1 s.
    ///
    /// A peer that is gone answers nothing; leaving must not wait for it.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Events of all connections that may wait to be polled. Defaults to 1,024.
    ///
    /// When it is full, connections stop reading, and SCTP's receive window makes
    /// their peers wait: nothing is lost.
    #[must_use]
    pub const fn event_queue(mut self, events: usize) -> Self {
        self.event_queue = events;
        self
    }
}

impl Default for WebRtcConfig {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            ice_servers: Vec::new(),
            max_outstanding: 32 << 10,
            receive_buffer: 4 << 20,
            close_timeout: Duration::from_secs(1),
            event_queue: 1_024,
        }
    }
}

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
    ops: mpsc::UnboundedSender<ConnectionOp>,
    messages: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What a connection's tasks and the transport both see.
#[derive(Debug, Default)]
struct Shared {
    open: AtomicBool,
    outstanding: AtomicUsize,
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
        let (report, events) = mpsc::channel(config.event_queue.max(1));
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

    fn open(&mut self, peer: PeerId) -> &Handle {
        match self.connections.entry(peer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.generation += 1;
                let (ops, op_queue) = mpsc::unbounded_channel();
                let (messages, message_queue) = mpsc::unbounded_channel();
                let shared = Arc::new(Shared::default());
                let reporter = connection::Reporter {
                    peer,
                    generation: self.generation,
                    queue: self.report.clone(),
                };
                let task = tokio::spawn(connection::run(
                    Arc::clone(&self.config),
                    Arc::clone(&shared),
                    reporter,
                    op_queue,
                    message_queue,
                ));
                let generation = self.generation;
                entry.insert(Handle { generation, ops, messages, shared, task })
            }
        }
    }

    fn close(&mut self, peer: PeerId) {
        if let Some(handle) = self.connections.remove(&peer) {
            // A task that is already gone needs no telling.
            let _ = handle.ops.send(ConnectionOp::Close);
            let patience = 2 * self.config.close_timeout;
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
    fn apply(&mut self, _now: Instant, peer: PeerId, op: ConnectionOp) {
        match op {
            ConnectionOp::Close => self.close(peer),
            ConnectionOp::Call | ConnectionOp::Remote(Signal::Offer { .. }) => {
                let _ = self.open(peer).ops.send(op);
            }
            // Anything else is about a connection that exists, or about none.
            _ => {
                if let Some(handle) = self.connections.get(&peer) {
                    let _ = handle.ops.send(op);
                }
            }
        }
    }

    fn try_send(&mut self, _now: Instant, peer: PeerId, message: Bytes) -> Result<(), SendError> {
        let handle = self.connections.get(&peer).ok_or(SendError::NotOpen)?;
        if !handle.shared.open.load(Ordering::Acquire) {
            return Err(SendError::NotOpen);
        }
        let held = handle.shared.outstanding.load(Ordering::Acquire);
        if held >= self.config.max_outstanding {
            return Err(SendError::Full);
        }
        handle.shared.outstanding.fetch_add(message.len(), Ordering::AcqRel);
        handle.messages.send(message).map_err(|_| SendError::NotOpen)
    }

    fn outstanding(&self, peer: PeerId) -> usize {
        let handle = self.connections.get(&peer);
        handle.map_or(0, |handle| handle.shared.outstanding.load(Ordering::Acquire))
    }

    fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)> {
        loop {
            let Tagged { peer, generation, event } =
                self.peeked.take().or_else(|| self.events.try_recv().ok())?;
            // What an earlier connection to the same peer still had to say is stale.
            if self.connections.get(&peer).is_some_and(|handle| handle.generation == generation) {
                if matches!(event, ConnectionEvent::Closed { .. }) {
                    self.close(peer);
                }
                return Some((peer, event));
            }
        }
    }
}
