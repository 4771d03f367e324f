//! The bounds of a mesh.

use std::time::Duration;

use paceline_framing::{InterleaverConfig, ReassemblyConfig};

use crate::Topology;

/// How many peers, how long each step may take, how much may wait.
///
/// ```
/// use paceline_mesh::MeshConfig;
///
/// let config = MeshConfig::default().max_peers(10);
/// ```
#[derive(Clone, Debug)]
pub struct MeshConfig {
    pub(crate) topology: Topology,
    pub(crate) max_peers: usize,
    pub(crate) max_message: usize,
    pub(crate) open_timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) gone_after: Duration,
    pub(crate) retries: u32,
    pub(crate) interleaver: InterleaverConfig,
    pub(crate) reassembly: ReassemblyConfig,
}

impl MeshConfig {
    /// The bounds of a node in a room of this shape: those of
    /// [`default`](Self::default), with the topology's own cap on peers.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self { topology, max_peers: topology.max_peers(), ..Self::default() }
    }

    /// The shape of the room.
    #[must_use]
    pub const fn topology(&self) -> Topology {
        self.topology
    }

    /// Peers at a time. Defaults to what the topology allows
    /// ([`Topology::max_peers`]): 31 in a star around a host.
    ///
    /// At the cap a new peer is refused; nobody is evicted for it.
    #[must_use]
    pub const fn max_peers(mut self, peers: usize) -> Self {
        self.max_peers = peers;
        self
    }

    /// Bytes of one message. Defaults to 16,384, the size that every data-channel
    /// implementation accepts (RFC 8831 §6.6).
    ///
    /// A peer that accepts less gets less; larger messages hold audio up longer. At
    /// least 256.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How long a connection may take from the first signal to the peer's hello.
    /// Defaults to 10 s.
    #[must_use]
    pub const fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// How often a peer is pinged. Defaults to 1 s.
    #[must_use]
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// How long a peer may say nothing at all. Defaults to 5 s.
    ///
    /// After it the connection is given up, and made anew by whoever made it.
    #[must_use]
    pub const fn gone_after(mut self, silence: Duration) -> Self {
        self.gone_after = silence;
        self
    }

    /// How often a call that failed or broke is made again. Defaults to 3, after
    /// 0, 2 and 4 s.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The bounds of each peer's queue.
    #[must_use]
    pub const fn interleaver(mut self, config: InterleaverConfig) -> Self {
        self.interleaver = config;
        self
    }

    /// The bounds on what each peer can make us hold.
    #[must_use]
    pub const fn reassembly(mut self, config: ReassemblyConfig) -> Self {
        self.reassembly = config;
        self
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            topology: Topology::Star,
            max_peers: Topology::Star.max_peers(),
            max_message: 16_384,
            open_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(1),
            gone_after: Duration::from_secs(5),
            retries: 3,
            interleaver: InterleaverConfig::default(),
            reassembly: ReassemblyConfig::default(),
        }
    }
}
