//! What a world is made of.

use paceline_mesh::PacerConfig;
use paceline_playout::StageConfig;
use paceline_session::{MeshConfig, SessionConfig, Topology};
use paceline_transport::rtp::RtpConfig;
use paceline_types::Carrier;

use crate::mark;
use crate::netem::LinkConfig;
use crate::network::NetworkConfig;
use crate::source::FRAME_RATE;

/// A world's seed, its links, and what its nodes are.
///
/// ```
/// use paceline_sim::{LinkConfig, WorldConfig};
///
/// let config = WorldConfig::default().seed(7).link(LinkConfig::bad());
/// ```
#[derive(Clone, Debug)]
pub struct WorldConfig {
    pub(crate) seed: u64,
    pub(crate) link: LinkConfig,
    pub(crate) mesh: MeshConfig,
    pub(crate) session: SessionConfig,
    pub(crate) seats: u16,
    pub(crate) encodes: bool,
    pub(crate) carrier: Carrier,
    pub(crate) rtp: RtpConfig,
    pub(crate) records_transits: bool,
}

impl WorldConfig {
    /// What decides every random number. Defaults to 1.
    ///
    /// The same seed, config and calls give the same call, to the bit.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The link between any two nodes. Defaults to [`LinkConfig::lan`].
    ///
    /// The way to the signalling server is another: 20 ms each way, nothing lost.
    #[must_use]
    pub const fn link(mut self, link: LinkConfig) -> Self {
        self.link = link;
        self
    }

    /// How each node keeps its connections. Defaults to that of [`MeshConfig`], with
    /// 64 KiB for the least that may be in flight.
    ///
    /// Uncompressed sound is 1.6 Mbit/s, thirty times Opus: a round trip of the
    /// worse links holds more of it than the usual 32 KiB.
    #[must_use]
    pub fn mesh(mut self, mesh: MeshConfig) -> Self {
        self.mesh = mesh;
        self
    }

    /// The shape of the room, with its own bounds for the nodes' connections: it replaces
    /// what [`mesh`](Self::mesh) was given. Defaults to [`Topology::Star`].
    ///
    /// In a [`Topology::Mesh`] each node mixes what it sees and hears.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.mesh = node_mesh(topology);
        self
    }

    /// Every other bound of a node. Defaults to those of [`SessionConfig`]. Its
    /// mesh is not looked at: [`mesh`](Self::mesh) has that.
    #[must_use]
    pub fn session(mut self, session: SessionConfig) -> Self {
        self.session = session;
        self
    }

    /// Whether pictures are as large as those of encoders that make what they are told
    /// ([`Output::Steer`](paceline_session::Output::Steer)), keyframes four times as
    /// large, and nobody says anything in as many bytes as Opus would take. Defaults to
    /// `false`: pictures and sound are as they are.
    ///
    /// At first they make the session's `max_video_bitrate`.
    #[must_use]
    pub const fn encodes(mut self, encodes: bool) -> Self {
        self.encodes = encodes;
        self
    }

    /// What carries the media of all who join from now on that do not
    /// [say otherwise](crate::World::join_over). Defaults to [`Carrier::Channel`].
    ///
    /// RTP has formats only for what [encoders](Self::encodes) make: without them all goes
    /// over the channel in any case.
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = carrier;
        self
    }

    /// Reports, retransmissions and congestion control of those who carry RTP. Defaults to
    /// those of [`RtpConfig`].
    #[must_use]
    pub const fn rtp(mut self, rtp: RtpConfig) -> Self {
        self.rtp = rtp;
        self
    }

    /// Whether each picture's way is [recorded](crate::World::picture_transits): without end,
    /// and for one more look at every picture. Defaults to `false`.
    #[must_use]
    pub const fn records_transits(mut self, records: bool) -> Self {
        self.records_transits = records;
        self
    }

    /// Participants whose pictures the mix can show in full size. Defaults to 4;
    /// from 1 to 32.
    ///
    /// The mix is made that large. With more participants their pictures shrink,
    /// and the marks in them cannot be read any more.
    ///
    /// # Panics
    ///
    /// If it is not within 1 to 32.
    #[must_use]
    pub const fn seats(mut self, seats: u16) -> Self {
        assert!(seats >= 1 && seats <= 32, "a stage has 1 to 32 sources");
        self.seats = seats;
        self
    }

    pub(crate) fn node(&self, carrier: Carrier) -> (SessionConfig, StageConfig) {
        let side = (1..).find(|side| side * side >= self.seats).unwrap_or(self.seats);
        let stage = StageConfig::default()
            .frame_rate(FRAME_RATE)
            .width(side * mark::WIDTH)
            .height(side * mark::HEIGHT);
        let mesh = self.mesh.clone().carrier(carrier);
        (self.session.clone().mesh(mesh), stage)
    }

    pub(crate) fn network(&self) -> NetworkConfig {
        NetworkConfig::from(self.link).carrier(self.carrier).rtp(self.rtp)
    }
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            link: LinkConfig::lan(),
            mesh: node_mesh(Topology::Star),
            session: SessionConfig::default(),
            seats: 4,
            encodes: false,
            carrier: Carrier::Channel,
            rtp: RtpConfig::default(),
            records_transits: false,
        }
    }
}

fn node_mesh(topology: Topology) -> MeshConfig {
    MeshConfig::new(topology).pacer(PacerConfig::default().min_window(MIN_WINDOW))
}

/// A round trip of 240 ms holds 48 kB of uncompressed sound. With twice as much, sound waits
/// behind more pictures: they were up to 197 ms apart in ten minutes, and are 138.
const MIN_WINDOW: usize = 64 << 10;
