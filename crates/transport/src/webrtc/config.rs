//! How connections are made.

use std::net::IpAddr;
use std::time::Duration;

use paceline_types::{Carrier, PeerId};
use rtc::interceptor::Registry;

use super::media::sources;
use crate::rtp::{RtpConfig, Tap, registry};

/// How connections are made.
///
/// ```
/// use paceline_transport::WebRtcConfig;
///
/// let config = WebRtcConfig::default().max_outstanding(256 << 10);
/// ```
#[derive(Clone, Debug)]
pub struct WebRtcConfig {
    pub(crate) bind: IpAddr,
    pub(crate) ice_servers: Vec<String>,
    pub(crate) max_outstanding: usize,
    pub(crate) max_message: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) close_timeout: Duration,
    pub(crate) event_queue: usize,
    pub(crate) carrier: Carrier,
    pub(crate) local_peer: PeerId,
    pub(crate) rtp: RtpConfig,
}

impl WebRtcConfig {
    /// The local address that sockets are bound to. Defaults to 127.0.0.1.
    ///
    /// The default reaches this machine only. `0.0.0.0` binds every interface but
    /// loopback and so reaches the network.
    #[must_use]
    pub const fn bind(mut self, bind: IpAddr) -> Self {
        self.bind = bind;
        self
    }

    /// STUN servers as `stun:HOST:PORT`. Defaults to none.
    ///
    /// Without one, only peers that can reach our own addresses can connect.
    #[must_use]
    pub fn ice_servers(mut self, urls: Vec<String>) -> Self {
        self.ice_servers = urls;
        self
    }

    /// Bytes handed over for one peer and not acknowledged, above which
    /// [`try_send`](crate::Transport::try_send) refuses; passed by one message at most.
    /// Defaults to 1 MiB.
    ///
    /// It bounds memory and nothing else: what is handed over cannot be overtaken by more
    /// urgent packets, so a caller has a window of its own, regulated by
    /// [`Acked`](paceline_types::ConnectionEvent::Acked), and keeps it far lower. Below the
    /// product of rate and round trip it limits the rate: 1 MiB is 84 Mbit/s at 100 ms.
    #[must_use]
    pub const fn max_outstanding(mut self, bytes: usize) -> Self {
        self.max_outstanding = bytes;
        self
    }

    /// Bytes of the largest message that we take and send. Defaults to 64 KiB.
    ///
    /// It is told to the other end (RFC 8841 §6), and the lower of both ends' holds: above
    /// it, [`try_send`](crate::Transport::try_send) refuses. Events that wait to be
    /// polled hold up to [`event_queue`](Self::event_queue) messages, so a
    /// large one lets peers fill more memory.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Bytes of the kernel's receive buffer of each socket. Defaults to 4 MiB.
    ///
    /// The kernel's own default of 208 KiB overflows in a burst, which limits a
    /// channel to 12–18 MB/s on loopback where 4 MiB gives 109–150. More
    /// than `net.core.rmem_max` takes `CAP_NET_ADMIN`, on Linux; without it the kernel
    /// gives that instead.
    #[must_use]
    pub const fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// How long closing may take before the connection is dropped. Defaults to 1 s.
    ///
    /// A peer that is gone answers nothing; leaving must not wait for it.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Events of all connections that may wait to be polled. Defaults to 1,024.
    ///
    /// When it is full, connections stop reading, and SCTP's receive window makes
    /// their peers wait: no message is lost. RTP may take half of it, and of that no connection
    /// more than twice what it leaves to the others; what comes beyond that is dropped and
    /// counted ([`WebRtc::rtp_stats`](crate::WebRtc::rtp_stats)).
    #[must_use]
    pub const fn event_queue(mut self, events: usize) -> Self {
        self.event_queue = events;
        self
    }

    /// What carries media. Defaults to the data channel.
    ///
    /// With [`Carrier::Rtp`], connections have four streams of RTP each way beside the
    /// channel, if the other end has them too. It takes
    /// [`local_peer`](Self::local_peer).
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = carrier;
        self
    }

    /// Our own id, from which the sources of our streams of RTP are made
    /// ([`Ssrc::of`](paceline_types::Ssrc::of)). Defaults to the id of zeros.
    ///
    /// The other end takes no RTP of sources that are not of the id it knows us by.
    #[must_use]
    pub const fn local_peer(mut self, peer: PeerId) -> Self {
        self.local_peer = peer;
        self
    }

    /// How RTP is carried. Used with [`Carrier::Rtp`] only.
    #[must_use]
    pub const fn rtp(mut self, rtp: RtpConfig) -> Self {
        self.rtp = rtp;
        self
    }

    /// The interceptors of a connection to `peer`, if it may carry RTP.
    pub(super) fn chain(&self, peer: PeerId) -> Option<(Registry, Tap)> {
        (self.carrier == Carrier::Rtp).then(|| {
            let (registry, tap) = registry(&self.rtp);
            tap.set_streams(sources(self.local_peer), sources(peer));
            (registry, tap)
        })
    }
}

impl Default for WebRtcConfig {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            ice_servers: Vec::new(),
            max_outstanding: 1 << 20,
            max_message: 64 << 10,
            receive_buffer: 4 << 20,
            close_timeout: Duration::from_secs(1),
            event_queue: 1_024,
            carrier: Carrier::Channel,
            local_peer: PeerId::default(),
            rtp: RtpConfig::default(),
        }
    }
}
