//! How an uplink with ICE and DTLS is made.

use std::net::IpAddr;
use std::time::Duration;

use paceline_types::Bitrate;

use super::limits::UplinkLimits;
use super::track::{HeaderExtension, UplinkTrack};
use crate::rtp::RtpConfig;

/// How an [`Uplink`](crate::Uplink) is made.
///
/// ```
/// use paceline_transport::{TrackKind, UplinkConfig, UplinkTrack};
///
/// let config = UplinkConfig::default()
///     .bind([0, 0, 0, 0].into())
///     .track(UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, 111, 7).channels(2));
/// ```
#[derive(Clone, Debug)]
pub struct UplinkConfig {
    pub(crate) bind: IpAddr,
    pub(crate) tracks: Vec<UplinkTrack>,
    pub(crate) extensions: Vec<(u8, HeaderExtension)>,
    /// Of this, only the bitrates.
    pub(crate) rates: RtpConfig,
    pub(crate) limits: UplinkLimits,
    pub(crate) connect_timeout: Duration,
}

impl UplinkConfig {
    /// The local address the socket is bound to. Defaults to 127.0.0.1.
    ///
    /// The default reaches this machine only. `0.0.0.0` lets the kernel choose the address
    /// for each datagram, so the connection outlives a change of the network.
    #[must_use]
    pub const fn bind(mut self, bind: IpAddr) -> Self {
        self.bind = bind;
        self
    }

    /// One more track, in a media section of its own, in this order. Defaults to none.
    #[must_use]
    pub fn track(mut self, track: UplinkTrack) -> Self {
        self.tracks.push(track);
        self
    }

    /// Header extensions and their ids, 1 to 14. Defaults to [`Mid`](HeaderExtension::Mid) 1,
    /// [`AbsSendTime`](HeaderExtension::AbsSendTime) 4 and
    /// [`TransportWideCc`](HeaderExtension::TransportWideCc) 5, as mediasoup numbers them.
    ///
    /// Without `TransportWideCc` there is no congestion control, and the target stays at
    /// [`start_bitrate`](Self::start_bitrate).
    #[must_use]
    pub fn extensions(mut self, extensions: Vec<(u8, HeaderExtension)>) -> Self {
        self.extensions = extensions;
        self
    }

    /// What congestion control begins at, and the least and most it says. Defaults to
    /// 1 Mbit/s, 100 kbit/s and 10 Mbit/s.
    ///
    /// A start above what the path takes costs loss in the first seconds, one below it
    /// costs quality until it has risen.
    #[must_use]
    pub const fn bitrates(mut self, start: Bitrate, min: Bitrate, max: Bitrate) -> Self {
        self.rates = self.rates.start_bitrate(start).min_bitrate(min).max_bitrate(max);
        self
    }

    /// What congestion control begins at, without a change to its bounds.
    #[must_use]
    pub const fn start_bitrate(mut self, start: Bitrate) -> Self {
        self.rates = self.rates.start_bitrate(start);
        self
    }

    /// How much it may hold. Defaults to [`UplinkLimits::default`].
    #[must_use]
    pub const fn limits(mut self, limits: UplinkLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How long ICE and DTLS may take, from the answer on. Defaults to 10 s.
    ///
    /// After it the uplink is closed, with the reason.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
}

impl Default for UplinkConfig {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            tracks: Vec::new(),
            extensions: vec![
                (1, HeaderExtension::Mid),
                (4, HeaderExtension::AbsSendTime),
                (5, HeaderExtension::TransportWideCc),
            ],
            rates: RtpConfig::default().max_bitrate(Bitrate::from_kbps(10_000)),
            limits: UplinkLimits::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}
