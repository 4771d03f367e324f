//! The bounds of a node.

use std::time::Duration;

use paceline_jitter::{JitterConfig, SyncConfig};
use paceline_mesh::{MeshConfig, Topology};
use paceline_migration::MigrationConfig;
use paceline_types::Bitrate;

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
    pub(crate) migration: MigrationConfig,
    pub(crate) early: EarlyConfig,
    pub(crate) links: LinksConfig,
    pub(crate) quality_interval: Duration,
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

    /// What an encoder of pictures makes when no path is too narrow for it, and so what one
    /// is taken to be set to at first. Defaults to 1.2 Mbit/s.
    ///
    /// More makes better pictures where the network has room for them.
    #[must_use]
    pub fn max_video_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.steering.max_video_bitrate = bitrate;
        self
    }

    /// What it makes at least, however narrow the path is. Defaults to 100 kbit/s: a
    /// picture of 320 × 180 that can be made out, 10 times a second.
    ///
    /// A path that takes less is sent a part of the pictures: those that wait too long are
    /// left out, up to the next keyframe. Sound goes first all the same.
    #[must_use]
    pub fn min_video_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.steering.min_video_bitrate = bitrate;
        self
    }

    /// How often receivers report what they got. Defaults to 1 s.
    #[must_use]
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.steering.report_interval = interval;
        self
    }

    /// How the members of a star agree on who hosts. Its defaults are those of
    /// [`MigrationConfig`]. Nothing else has one host after another.
    #[must_use]
    pub fn migration(mut self, config: MigrationConfig) -> Self {
        self.migration = config;
        self
    }

    /// How long a frame of a host we do not know of yet waits for the word that he is it.
    /// Defaults to 500 ms.
    ///
    /// The word comes on another channel than his frames and may be behind them by what one
    /// path is slower than the other. A frame that has waited for longer is dropped and
    /// counted: its playout time is over.
    #[must_use]
    pub fn max_early_age(mut self, age: Duration) -> Self {
        self.early.max_age = age;
        self
    }

    /// Bytes of such frames, of all who send any, bookkeeping included. Defaults to 1 MiB:
    /// 500 ms at 16 Mbit/s.
    ///
    /// Over it, whoever has most waiting loses his oldest, so that one who makes up epochs
    /// crowds nobody out.
    #[must_use]
    pub fn max_early_bytes(mut self, bytes: usize) -> Self {
        self.early.max_bytes = bytes;
        self
    }

    /// How long a connection is kept that is of no more use, because neither end hosts or
    /// may follow the host any more. Defaults to 10 s.
    ///
    /// Making one takes a second or so; who was next once may be again.
    #[must_use]
    pub fn max_idle(mut self, span: Duration) -> Self {
        self.links.max_idle = span;
        self
    }

    /// How often the host and those who may follow him are told what we measured of the
    /// others. Defaults to 30 s: a host is not changed for anything shorter. Some 36 bytes
    /// for each whom we are connected to.
    #[must_use]
    pub fn quality_interval(mut self, interval: Duration) -> Self {
        self.quality_interval = interval;
        self
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            early: EarlyConfig { max_age: Duration::from_millis(500), max_bytes: 1 << 20 },
            jitter: JitterConfig::default().max_delay(MAX_DELAY).max_late(MAX_DELAY),
            links: LinksConfig { max_idle: Duration::from_secs(10) },
            mesh: MeshConfig::default(),
            migration: MigrationConfig::default(),
            quality_interval: Duration::from_secs(30),
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
    pub(crate) max_video_bitrate: Bitrate,
    pub(crate) min_video_bitrate: Bitrate,
    pub(crate) report_interval: Duration,
}

impl Default for SteeringConfig {
    fn default() -> Self {
        Self {
            keyframe_window: Duration::from_secs(1),
            max_video_bitrate: Bitrate::from_kbps(1_200),
            min_video_bitrate: Bitrate::from_kbps(100),
            report_interval: Duration::from_secs(1),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct EarlyConfig {
    pub(crate) max_age: Duration,
    pub(crate) max_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LinksConfig {
    pub(crate) max_idle: Duration,
}
