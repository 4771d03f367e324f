//! The bounds of a node.

use std::time::Duration;

use paceline_jitter::{JitterConfig, SyncConfig};
use paceline_mesh::{MeshConfig, Topology};

/// The bounds of a node, most of them those of the machines it is made of.
///
/// ```
/// use paceline_session::{MeshConfig, SessionConfig};
///
/// let config = SessionConfig::default().mesh(MeshConfig::default().max_peers(3));
/// ```
#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub(crate) mesh: MeshConfig,
    pub(crate) jitter: JitterConfig,
    pub(crate) sync: SyncConfig,
    pub(crate) steering: SteeringConfig,
}

impl SessionConfig {
    /// How connections are kept, and the shape of the room
    /// ([`MeshConfig::new`]).
    #[must_use]
    pub fn mesh(mut self, config: MeshConfig) -> Self {
        self.mesh = config;
        self
    }

    pub(crate) const fn topology(&self) -> Topology {
        self.mesh.topology()
    }

    /// How long frames wait before they are played. Each of the two buffers on the
    /// way through a host (member → host, host → member) has these bounds, so what
    /// is set here counts twice from mouth to ear. Defaults to
    /// [`JitterConfig::default`] with a `max_delay` and `max_late` of 400 ms: a
    /// channel that loses nothing sends again what the network lost, when three later
    /// messages have come through (RFC 9260 §7.2.4): a round trip and some, or two if
    /// it is lost again. What waits for a timeout, a second at least, is not waited for.
    #[must_use]
    pub fn jitter(mut self, config: JitterConfig) -> Self {
        self.jitter = config;
        self
    }

    /// How far lip sync may hold a stream back.
    #[must_use]
    pub fn sync(mut self, config: SyncConfig) -> Self {
        self.sync = config;
        self
    }

    /// The time in which one encoder makes at most two keyframes on request. Defaults
    /// to 1 s.
    ///
    /// Two who join together each start at once; further requests are answered
    /// together when the time is up. A keyframe costs ten times a frame, and a peer
    /// that asks all the time must not have it.
    #[must_use]
    pub fn keyframe_window(mut self, window: Duration) -> Self {
        self.steering.keyframe_window = window;
        self
    }

    /// How often receivers report what they got. Defaults to 1 s.
    #[must_use]
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.steering.report_interval = interval;
        self
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            jitter: JitterConfig::default().max_delay(MAX_DELAY).max_late(MAX_DELAY),
            mesh: MeshConfig::default(),
            steering: SteeringConfig::default(),
            sync: SyncConfig::default(),
        }
    }
}

/// What ITU-T G.114 still tolerates.
const MAX_DELAY: Duration = Duration::from_millis(400);

#[derive(Clone, Debug)]
pub(crate) struct SteeringConfig {
    pub(crate) keyframe_window: Duration,
    pub(crate) report_interval: Duration,
}

impl Default for SteeringConfig {
    fn default() -> Self {
        Self { keyframe_window: Duration::from_secs(1), report_interval: Duration::from_secs(1) }
    }
}
