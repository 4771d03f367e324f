//! The bounds of a mesh.

use std::time::Duration;

use paceline_framing::{InterleaverConfig, ReassemblyConfig};
use paceline_types::Carrier;

use crate::{CacheConfig, NegotiatorConfig, PacerConfig, QualityConfig, RtpConfig, Topology};

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
    pub(crate) carrier: Carrier,
    pub(crate) max_peers: usize,
    pub(crate) max_message: usize,
    pub(crate) max_negotiators: usize,
    pub(crate) negotiator: NegotiatorConfig,
    pub(crate) offer_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) open_timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) restart_after: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) gone_after: Duration,
    pub(crate) retries: u32,
    pub(crate) interleaver: InterleaverConfig,
    pub(crate) reassembly: ReassemblyConfig,
    pub(crate) pacer: PacerConfig,
    pub(crate) cache: CacheConfig,
    pub(crate) quality: QualityConfig,
    pub(crate) rtp: RtpConfig,
}

impl MeshConfig {
    /// The bounds of a node in a room of this shape: those of
    /// [`default`](Self::default), with the topology's own cap on peers. In a broadcast no
    /// path is probed: nobody's capacity decides about anything there.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let config = Self { topology, max_peers: topology.max_peers(), ..Self::default() };
        match topology {
            Topology::Broadcast => Self { pacer: config.pacer.clone().probe_bytes(0), ..config },
            _ => config,
        }
    }

    /// The shape of the room.
    #[must_use]
    pub const fn topology(&self) -> Topology {
        self.topology
    }

    /// What carries media to those who are asked for the same. Defaults to the channel. What
    /// RTP has no payload format for goes over the channel in any case.
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = carrier;
        self
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

    /// Connections that are being made at a time. Defaults to 128, more than a topology
    /// has peers: it matters to who raises [`max_peers`](Self::max_peers).
    ///
    /// Who comes above it waits, in order of arrival, until one of them is connected or
    /// given up. At least 1.
    #[must_use]
    pub const fn max_negotiators(mut self, negotiators: usize) -> Self {
        self.max_negotiators = negotiators;
        self
    }

    /// The bounds on what each peer's signals can make us hold.
    #[must_use]
    pub const fn negotiator(mut self, config: NegotiatorConfig) -> Self {
        self.negotiator = config;
        self
    }

    /// How long our engine may take to make an offer, or the answer to one. Defaults to
    /// 5 s.
    ///
    /// After it the connection is given up, and made anew by whoever made it.
    #[must_use]
    pub const fn offer_timeout(mut self, timeout: Duration) -> Self {
        self.offer_timeout = timeout;
        self
    }

    /// How long the other end may take to answer our offer. Defaults to 5 s, for which
    /// signalling servers keep what is for somebody who is not there yet.
    ///
    /// After it a call is given up and made anew; the offer of an ICE restart is taken
    /// back, and made again at the next try if there is one.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// How long a connection may take in all, from its beginning to the peer's hello.
    /// Defaults to 10 s. What waits for its turn has not begun.
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

    /// How long a peer may say nothing before a path to him is looked for anew. Defaults
    /// to 2 s, two pings.
    ///
    /// Shorter, and a burst of losses sets it off. Not longer than
    /// [`gone_after`](Self::gone_after), or it never is.
    #[must_use]
    pub const fn restart_after(mut self, silence: Duration) -> Self {
        self.restart_after = silence;
        self
    }

    /// How long a peer who is there may confirm nothing of what he was sent. Defaults to
    /// 5 s.
    ///
    /// After it his connection is given up, and he has to make it anew.
    #[must_use]
    pub const fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
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

    /// How much may be in flight to each peer, and how his path is measured. Defaults to
    /// [`PacerConfig::default`] with a probe every 30 s at most, 9 kbit/s, and only where no
    /// media went for 2 s: pictures are probes enough.
    #[must_use]
    pub const fn pacer(mut self, config: PacerConfig) -> Self {
        self.pacer = config;
        self
    }

    /// How much of what went out is kept for newcomers.
    #[must_use]
    pub const fn cache(mut self, config: CacheConfig) -> Self {
        self.cache = config;
        self
    }

    /// How media go over RTP, where the [`carrier`](Self::carrier) is that.
    #[must_use]
    pub fn rtp(mut self, config: RtpConfig) -> Self {
        self.rtp = config;
        self
    }

    /// How the last ten seconds of each connection are summed up.
    #[must_use]
    pub const fn quality(mut self, config: QualityConfig) -> Self {
        self.quality = config;
        self
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            carrier: Carrier::Channel,
            topology: Topology::Star,
            max_peers: Topology::Star.max_peers(),
            max_message: 16_384,
            max_negotiators: 128,
            negotiator: NegotiatorConfig::default(),
            offer_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            open_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(1),
            restart_after: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(5),
            gone_after: Duration::from_secs(5),
            retries: 3,
            interleaver: InterleaverConfig::default(),
            reassembly: ReassemblyConfig::default(),
            pacer: PacerConfig::default().probe_interval(Duration::from_secs(30)),
            cache: CacheConfig::default(),
            quality: QualityConfig::default(),
            rtp: RtpConfig::default(),
        }
    }
}
