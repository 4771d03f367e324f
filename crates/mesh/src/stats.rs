//! What a mesh counts.

use std::time::Duration;

use paceline_types::{Bitrate, Carrier, ConnectionState};

use crate::RtpStats;

/// Counts of all connections, since the mesh was made, and how many there are now.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_mesh::types::{PeerId, SenderId};
/// use paceline_mesh::{Identity, Mesh, MeshConfig, MeshStats, Role};
///
/// let (us, them) = (PeerId::from_bytes([1; 16]), PeerId::from_bytes([2; 16]));
/// let identity =
///     Identity { session: [7; 16], peer: us, sender: SenderId::new(1), role: Role::Member };
/// let mut mesh = Mesh::new(Instant::now(), identity, MeshConfig::default());
/// mesh.call(Instant::now(), them, SenderId::new(2))?;
/// let expected = MeshStats { peers: 1, negotiating: 1, ..MeshStats::default() };
/// assert_eq!(mesh.mesh_stats(), expected);
/// # Ok::<(), paceline_mesh::CallError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MeshStats {
    /// Peers that are called or expected now.
    pub peers: usize,
    /// Those who are connected now, also while they look for a path.
    pub active: usize,
    /// Those who are being connected to now.
    pub negotiating: usize,
    /// Those who wait until they may be, now.
    pub waiting: usize,
    /// Bytes that wait in all queues now.
    pub queued_bytes: usize,
    /// Offers, ours that went out and theirs that were taken.
    pub offers: u64,
    /// Answers, ours that went out and theirs that were taken.
    pub answers: u64,
    /// Calls made again after a connection broke or did not come about.
    pub retries: u64,
    /// Times that we looked for a path anew. Not those of the other end.
    pub restarts: u64,
    /// Connections that were begun and given up before both ends said hello.
    pub abandoned: u64,
    /// Peers that found no place.
    pub refused: u64,
    /// Offers that lost against ours, or were of a connection that is over.
    pub ignored_offers: u64,
    /// Candidates that were of no use: of a description that is over or was ignored, too
    /// many, too long, or known already.
    pub stale_candidates: u64,
    /// Answers that fitted no offer of ours.
    pub late_answers: u64,
    /// Descriptions that were too long.
    pub oversized: u64,
    /// Channels that were open before they could be: bugs of the engine.
    pub opened_early: u64,
    /// Peers that were given up because they took nothing, or too little.
    pub evicted: u64,
    /// Packets that newcomers were sent of what was kept for them.
    pub replayed: u64,
}

/// Counts of one peer's connection, since it was first called or expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerStats {
    /// Where its connection stands. Never `Closed`: whose connection is over and not
    /// made again is forgotten.
    pub state: ConnectionState,
    /// Round trip by four timestamps, the latest; `None` before the first pong.
    pub rtt: Option<Duration>,
    /// Bytes handed to the transport. Not what the transport adds.
    pub sent_bytes: u64,
    /// Bytes taken from the transport.
    pub received_bytes: u64,
    /// Bytes that wait in our queues.
    pub queued_bytes: usize,
    /// Bytes handed to the transport that the other end has not confirmed.
    pub outstanding: usize,
    /// Bytes that may be outstanding.
    pub window: usize,
    /// What the path takes, as far as it was seen; if it carries RTP, as the transport's
    /// congestion control says once that is another than it began with.
    pub capacity: Option<Bitrate>,
    /// What counts of his application's data that ours has not taken yet.
    pub unread: u64,
    /// Packets that were not sent because they waited too long, or are larger than
    /// he takes.
    pub shed: u64,
    /// Messages that were no packet, or broke a bound.
    pub bad_messages: u64,
    /// Packets in the name of somebody else.
    pub spoofed: u64,
    /// Times the connection was made again.
    pub retries: u64,
    /// Times that we looked for a path anew.
    pub restarts: u64,
    /// What carries the media that RTP has a payload format for.
    pub carrier: Carrier,
    /// What the path takes, of everything, by the congestion control of RTP; `None` where
    /// that is not carried.
    pub target: Option<Bitrate>,
    /// What went and came over RTP.
    pub rtp: RtpStats,
}
