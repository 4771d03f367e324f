//! What is on its way to one peer, and how long it takes: what a bitrate is chosen by.

use std::time::{Duration, Instant};

use paceline_types::{Bitrate, PeerId};

use crate::Mesh;
use crate::peer::Peer;

/// What waits for one peer and what is on its way to him, at one instant.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_mesh::types::{PeerId, SenderId};
/// use paceline_mesh::{Identity, Mesh, MeshConfig, Role};
///
/// let (us, them) = (PeerId::from_bytes([1; 16]), PeerId::from_bytes([2; 16]));
/// let identity =
///     Identity { session: [7; 16], peer: us, sender: SenderId::new(1), role: Role::Member };
/// let mesh = Mesh::new(Instant::now(), identity, MeshConfig::default());
/// assert_eq!(mesh.load(Instant::now(), them), None, "he is not connected");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// Bytes of this connection that he has confirmed, whatever they were.
    pub delivered: u64,
    /// Bytes that he has not: those with the transport, and the sound and pictures that
    /// wait in our queue. An application's data that wait do not count: they go last.
    pub backlog: usize,
    /// How much longer than the shortest round trip of late the oldest of what is with the
    /// transport has been there, and how long the oldest picture has waited before it. Zero
    /// before a round trip was measured.
    ///
    /// What is lost and sent again looks like a delay for as long as that takes: a round
    /// trip, mostly.
    pub delay: Duration,
    /// The shortest round trip of the last 10 s.
    pub least_rtt: Option<Duration>,
    /// Packets left out of his queue, for whatever reason.
    pub shed: u64,
    /// There is a path to him, as far as is known.
    pub path_up: bool,
}

impl Mesh {
    /// What waits for `peer` and what is on its way to him; `None` if he is not connected.
    ///
    /// It costs a look at what waits for him, and at nobody else.
    #[must_use]
    pub fn load(&self, now: Instant, peer: PeerId) -> Option<Load> {
        self.peers.get(&peer).filter(|known| known.connected()).map(|known| known.load(now))
    }

    /// As long as this is set, no more is in flight to `peer` than a path of that rate holds
    /// ([`Pacer::set_limit`](crate::Pacer::set_limit)); `None`: as much as its pacer says.
    /// It ends with the connection.
    pub fn set_limit(&mut self, peer: PeerId, rate: Option<Bitrate>) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.pacer.set_limit(rate);
            self.schedule(peer);
        }
    }
}

impl Peer {
    fn load(&self, now: Instant) -> Load {
        let least_rtt = self.pacer.least_rtt();
        let in_flight = self.pacer.oldest_age(now).unwrap_or_default();
        let waited = self.queue.oldest_picture_age(now).unwrap_or_default();
        let delay =
            least_rtt.map_or(Duration::ZERO, |least| in_flight.saturating_sub(least) + waited);
        let rtp = self.rtp.as_ref();
        let paced = rtp.map(|link| link.oldest_age(now)).unwrap_or_default();
        let backlog = rtp.map_or(0, |link| link.queued_bytes());
        Load {
            delivered: self.pacer.delivered(),
            backlog: self.outstanding + self.queue.queued_media_bytes() + backlog,
            delay: delay.max(paced),
            least_rtt,
            shed: self.left_out(),
            path_up: !self.is_cut_off(),
        }
    }
}
