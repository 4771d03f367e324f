//! Every bound of a broadcast.

use std::net::IpAddr;
use std::time::Duration;

use paceline_session::{MeshConfig, SessionConfig, Topology};
use paceline_transport::WebRtcConfig;
use paceline_types::{Bitrate, PeerId};

use crate::config::{Config, ConfigError};

/// How a broadcast is held or watched, and what it may cost. Each end looks at its own.
///
/// ```
/// use paceline::BroadcastConfig;
///
/// let config = BroadcastConfig::default().max_peers(50);
/// assert!(config.validate().is_ok());
///
/// let error = config.max_peers(128).validate().unwrap_err();
/// assert_eq!(error.to_string(), "max_peers is 128: it must be 1 to 127");
/// ```
#[derive(Clone, Debug)]
pub struct BroadcastConfig {
    /// What a call has too.
    call: Config,
    max_peers: usize,
    receive_queue: usize,
}

impl BroadcastConfig {
    /// Viewers at a time, at the publisher. Defaults to 120: one hundred are what a
    /// broadcast is measured with, and twenty may come while others leave. 1 to 127: a
    /// room of the signalling server has at most 128 places, and the publisher takes one.
    ///
    /// At the cap a new viewer is refused; nobody is evicted for it. The server's own
    /// bound (`RoomsConfig::max_members`) has to be one more than this.
    #[must_use]
    pub const fn max_peers(mut self, peers: usize) -> Self {
        self.max_peers = peers;
        self
    }

    /// Bytes that may wait for [`Viewer::next`](crate::Viewer::next). Defaults to
    /// 256 KiB; 1 KiB to 64 MiB. Each frame counts for 256 bytes more. Messages do not
    /// count: of those 256 KiB may wait in any case, and then the publisher sends no more
    /// of them (type 134 of `docs/WIRE.md`), keeps 256 KiB for 4 s at most, and gives the
    /// viewer up.
    ///
    /// Over it nothing is dropped: the viewer takes nothing from the network, until SCTP's
    /// window is full and the publisher keeps frames for this viewer until they are late,
    /// and then sheds them. [`Viewer`](crate::Viewer) tells what becomes of one that takes
    /// nothing for long. What is on its way in the viewer then still comes, so it may be passed by one
    /// packet of messages, and by the frames that the jitter buffer holds.
    #[must_use]
    pub const fn receive_queue(mut self, bytes: usize) -> Self {
        self.receive_queue = bytes;
        self
    }

    /// How long joining may take, to the open channel for a viewer. Defaults to 10 s;
    /// 100 ms to 60 s.
    #[must_use]
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.join_timeout(timeout);
        self
    }

    /// The local address of all sockets. As [`Config::bind`].
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.call = self.call.bind(address);
        self
    }

    /// STUN servers as `stun:HOST:PORT`. As [`Config::stun`].
    #[must_use]
    pub fn stun(mut self, urls: Vec<String>) -> Self {
        self.call = self.call.stun(urls);
        self
    }

    /// How long frames wait at least at a viewer before they are due. As
    /// [`Config::jitter`]. Messages do not wait.
    #[must_use]
    pub fn jitter(mut self, delay: Duration) -> Self {
        self.call = self.call.jitter(delay);
        self
    }

    /// How far that wait may grow. As [`Config::max_jitter`], but defaults to 1 s: nobody
    /// answers a broadcast, so a late picture is better than none.
    #[must_use]
    pub fn max_jitter(mut self, delay: Duration) -> Self {
        self.call = self.call.max_jitter(delay);
        self
    }

    /// Bits per second of a picture that the publisher encodes. As
    /// [`Config::video_bitrate`].
    #[must_use]
    pub fn video_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.call = self.call.video_bitrate(bitrate);
        self
    }

    /// Events that may wait for [`Publisher::next`](crate::Publisher::next). Defaults to
    /// 256; 16 to 65,536. Over it the oldest is dropped and counted.
    #[must_use]
    pub fn event_queue(mut self, events: usize) -> Self {
        self.call = self.call.event_queue(events);
        self
    }

    /// Checks every field against its bounds.
    ///
    /// # Errors
    ///
    /// The first field that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |field, value: usize, min: usize, max: usize, unit| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            let (value, min, max) = (value as u128, min as u128, max as u128);
            Err(ConfigError::OutOfBounds { field, value, min, max, unit })
        };
        within("max_peers", self.max_peers, 1, MAX_PEERS, "")?;
        within("receive_queue", self.receive_queue, 1 << 10, 64 << 20, " bytes")?;
        self.call.validate()
    }

    pub(super) const fn call(&self) -> &Config {
        &self.call
    }

    pub(super) const fn queue(&self) -> usize {
        self.receive_queue
    }

    pub(super) fn session(&self) -> SessionConfig {
        let mesh = MeshConfig::new(Topology::Broadcast).max_peers(self.max_peers);
        self.call.session().mesh(mesh)
    }

    pub(super) fn transport(&self, us: PeerId) -> WebRtcConfig {
        self.call.transport(us)
    }
}

impl Default for BroadcastConfig {
    fn default() -> Self {
        Self {
            call: Config::default()
                .join_timeout(Duration::from_secs(10))
                .max_jitter(Duration::from_secs(1)),
            max_peers: Topology::Broadcast.max_peers(),
            receive_queue: 256 << 10,
        }
    }
}

/// The places of the largest room that a signalling server has, less the publisher's.
const MAX_PEERS: usize = paceline_signaling::limits::MAX_MEMBERS - 1;
