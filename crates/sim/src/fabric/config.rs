//! What a fabric is made of.

use std::time::Duration;

use paceline_mesh::{MeshConfig, Topology};

use super::RoadConfig;
use crate::NetworkConfig;

/// The seed, the network, the road, and what the machines and their owners do.
///
/// ```
/// use paceline_mesh::Topology;
/// use paceline_sim::{FabricConfig, LinkConfig};
///
/// let config = FabricConfig::new(Topology::Mesh).seed(7).network(LinkConfig::wan());
/// ```
#[derive(Clone, Debug)]
pub struct FabricConfig {
    pub(super) seed: u64,
    pub(super) topology: Topology,
    pub(super) network: NetworkConfig,
    pub(super) road: RoadConfig,
    pub(super) mesh: MeshConfig,
    pub(super) both_call: bool,
    pub(super) recall_after: Duration,
    pub(super) data_interval: Duration,
    pub(super) data_bytes: usize,
}

impl FabricConfig {
    /// A room of this shape, with the mesh's own defaults for it.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self {
            seed: 1,
            topology,
            network: NetworkConfig::default(),
            road: RoadConfig::default(),
            mesh: MeshConfig::new(topology),
            both_call: false,
            recall_after: Duration::from_secs(2),
            data_interval: Duration::from_millis(500),
            data_bytes: 200,
        }
    }

    /// What decides every random number. Defaults to 1.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The links and engines. Defaults to those of [`NetworkConfig`].
    #[must_use]
    pub fn network(mut self, network: impl Into<NetworkConfig>) -> Self {
        self.network = network.into();
        self
    }

    /// The signalling road. Defaults to that of [`RoadConfig`].
    #[must_use]
    pub const fn road(mut self, road: RoadConfig) -> Self {
        self.road = road;
        self
    }

    /// The bounds of each mesh. Defaults to [`MeshConfig::new`] of the topology.
    #[must_use]
    pub fn mesh(mut self, mesh: MeshConfig) -> Self {
        self.mesh = mesh;
        self
    }

    /// Has both of a pair call, instead of one. Defaults to no.
    #[must_use]
    pub const fn both_call(mut self, both: bool) -> Self {
        self.both_call = both;
        self
    }

    /// After how long a peer that the mesh gave up is called again, if he is still in
    /// the room. Defaults to 2 s.
    #[must_use]
    pub const fn recall_after(mut self, span: Duration) -> Self {
        self.recall_after = span;
        self
    }

    /// How often each sends a message of so many bytes to everybody it is connected to.
    /// Defaults to 200 bytes each 500 ms; at least 24 bytes.
    #[must_use]
    pub const fn data(mut self, interval: Duration, bytes: usize) -> Self {
        self.data_interval = interval;
        self.data_bytes = bytes;
        self
    }
}
