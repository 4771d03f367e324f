//! The seam that the facade fills with a WebRTC engine.

use std::time::Instant;

use bytes::Bytes;
use paceline_transport::{SendError, Transport};
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};

use crate::Network;

/// The transport of one node, over the [`Network`] that all share.
///
/// ```
/// use paceline_sim::{LinkConfig, Network, Random, epoch};
/// use paceline_transport::Transport;
/// use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};
///
/// let (ann, ben) = (PeerId::from_bytes([1; 16]), PeerId::from_bytes([2; 16]));
/// let mut network = Network::new(LinkConfig::wan().loss(0.0), Random::new(1));
/// let mut now = epoch();
/// network.transport(ann).apply(now, ben, ConnectionOp::Call);
///
/// let mut open = 0;
/// while open < 2 {
///     for (us, them) in [(ann, ben), (ben, ann)] {
///         while let Some((_, event)) = network.transport(us).poll_event() {
///             match event {
///                 // There is no signalling here: what one says, the other hears.
///                 ConnectionEvent::Local(signal) => {
///                     network.transport(them).apply(now, us, ConnectionOp::Remote(signal));
///                 }
///                 ConnectionEvent::Open => open += 1,
///                 _ => {}
///             }
///         }
///     }
///     now = network.poll_timeout().unwrap_or(now);
///     network.handle_timeout(now);
/// }
/// assert_eq!(network.transport(ann).try_send(now, ben, PacketKind::Message, "hello".into()), Ok(()));
/// assert_eq!(network.transport(ann).outstanding(ben), 5);
/// ```
#[derive(Debug)]
pub struct SimTransport<'a> {
    network: &'a mut Network,
    node: PeerId,
}

impl<'a> SimTransport<'a> {
    pub(crate) const fn new(network: &'a mut Network, node: PeerId) -> Self {
        Self { network, node }
    }
}

impl Transport for SimTransport<'_> {
    fn apply(&mut self, now: Instant, peer: PeerId, op: ConnectionOp) {
        self.network.apply(now, self.node, peer, op);
    }

    fn try_send(
        &mut self,
        now: Instant,
        peer: PeerId,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), SendError> {
        match kind {
            PacketKind::Message => self.network.try_send(now, self.node, peer, bytes),
            PacketKind::Rtcp | PacketKind::Rtp => {
                self.network.try_send_rtp(now, (self.node, peer), kind, bytes)
            }
        }
    }

    fn outstanding(&self, peer: PeerId) -> usize {
        self.network.outstanding(self.node, peer)
    }

    fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)> {
        self.network.poll_event(self.node)
    }
}
