//! How a plain uplink is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use paceline_types::Bitrate;

use super::crypto::SrtpKey;
use crate::rtp::RtpConfig;
use crate::uplink::{UplinkLimits, UplinkTrack};

/// How a [`PlainUplink`](crate::PlainUplink) is made, and one only: no key may send for two
/// ([`SrtpKey`]).
#[derive(Debug)]
pub struct PlainUplinkConfig {
    pub(crate) bind: IpAddr,
    pub(crate) rtp: SocketAddr,
    /// None: on the socket of RTP (RFC 5761).
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) local_key: SrtpKey,
    pub(crate) remote_key: SrtpKey,
    pub(crate) tracks: Vec<UplinkTrack>,
    /// Of this, only the bitrates.
    pub(crate) rates: RtpConfig,
    pub(crate) limits: UplinkLimits,
    pub(crate) report_timeout: Duration,
    pub(crate) path_timeout: Duration,
}

impl PlainUplinkConfig {
    /// Sends to `rtp`, RTCP too, with `local_key`, and reads what comes with `remote_key`. The
    /// local address is the kernel's choice; [`bind`](Self::bind) makes another.
    ///
    /// The local key must not have sent for anybody before ([`SrtpKey`]).
    #[must_use]
    pub fn new(rtp: SocketAddr, local_key: SrtpKey, remote_key: SrtpKey) -> Self {
        let bind = match rtp {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            bind,
            rtp,
            rtcp: None,
            local_key,
            remote_key,
            tracks: Vec::new(),
            rates: RtpConfig::default().max_bitrate(Bitrate::from_kbps(10_000)),
            limits: UplinkLimits::default(),
            report_timeout: Duration::from_secs(5),
            path_timeout: Duration::from_secs(10),
        }
    }

    /// The local address. Defaults to the unspecified one of the server's family.
    #[must_use]
    pub const fn bind(mut self, bind: IpAddr) -> Self {
        self.bind = bind;
        self
    }

    /// RTCP goes to a port of its own, from a socket of its own. Defaults to that of RTP.
    #[must_use]
    pub const fn rtcp(mut self, rtcp: SocketAddr) -> Self {
        self.rtcp = Some(rtcp);
        self
    }

    /// One more track. Defaults to none. Only its source, payload type and retransmissions
    /// matter: the server is told the rest elsewhere.
    #[must_use]
    pub fn track(mut self, track: UplinkTrack) -> Self {
        self.tracks.push(track);
        self
    }

    /// The target at first, the least that loss lowers it to, and the most that it rises to
    /// while reports tell of none. Defaults to 1 Mbit/s, 100 kbit/s and 10 Mbit/s.
    ///
    /// No feedback on each packet comes this way, so what the path does not take, at the
    /// start or at the most, costs loss until the next report. It rises whether or not so
    /// much is sent.
    #[must_use]
    pub const fn bitrates(mut self, start: Bitrate, min: Bitrate, max: Bitrate) -> Self {
        self.rates = self.rates.start_bitrate(start).min_bitrate(min).max_bitrate(max);
        self
    }

    /// How long packets may be sent without RTCP that has the server's key, before the path
    /// is told to be down. Defaults to 5 s: three times the longest that mediasoup lets pass
    /// between two reports (1 s, varied by a half).
    ///
    /// Shorter, and lost reports are taken for a dead server. A receiver that reports as
    /// seldom as RFC 3550 §6.2 allows, up to 7.5 s apart, needs longer.
    #[must_use]
    pub const fn report_timeout(mut self, timeout: Duration) -> Self {
        self.report_timeout = timeout;
        self
    }

    /// How long the path may be down before the uplink is closed. Defaults to 10 s; RTCP
    /// that comes before brings it up again.
    #[must_use]
    pub const fn path_timeout(mut self, timeout: Duration) -> Self {
        self.path_timeout = timeout;
        self
    }

    /// How much it may hold. Defaults to [`UplinkLimits::default`].
    #[must_use]
    pub const fn limits(mut self, limits: UplinkLimits) -> Self {
        self.limits = limits;
        self
    }
}
