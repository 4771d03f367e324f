//! What carries the packets: an engine with ICE and DTLS, or a socket with keys.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use paceline_transport::{
    CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, Uplink, UplinkConfig, UplinkError,
    UplinkLimits, UplinkStats,
};
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, Signal};

use super::address::Way;
use super::config::SfuConfig;
use super::error::PublishError;
use super::tracks::Tracks;
use crate::mediasoup::{PlainRemote, SrtpParameters, SrtpSuite};
use crate::sdp::CandidateAddress;

/// Either.
pub(super) enum Engine {
    /// `None` until the server has said where to send to.
    Plain(Option<PlainUplink>),
    Web(Uplink),
}

impl Engine {
    /// One that makes an offer.
    pub(super) fn web(config: &SfuConfig, tracks: &Tracks, bind: IpAddr, now: Instant) -> Self {
        let [first, min, max] = config.bitrates;
        let uplink = UplinkConfig::default()
            .bind(bind)
            .bitrates(first, min, max)
            .connect_timeout(config.connect_timeout)
            .limits(limits(config));
        let mut uplink = Uplink::new(tracks.of_uplink().fold(uplink, UplinkConfig::track));
        uplink.apply(now, ConnectionOp::Call);
        Self::Web(uplink)
    }

    /// Begins to send to where the server says.
    pub(super) fn connect_plain(
        &mut self,
        config: &SfuConfig,
        tracks: &Tracks,
        way: &Way,
        remote: &PlainRemote,
    ) -> Result<(), PublishError> {
        let negotiation = |reason: &str| PublishError::Negotiation { reason: reason.to_owned() };
        let CandidateAddress::Ip(ip) = remote.address else {
            return Err(negotiation("the server gives a name where an address is needed"));
        };
        let keys = key_of(&remote.local).zip(key_of(&remote.remote));
        let (local, theirs) = keys.ok_or_else(|| negotiation("a key has the wrong length"))?;
        let bind = way.towards(ip)?;
        let at = |port| SocketAddr::new(ip, port);
        let [first, min, max] = config.bitrates;
        let mut plain = PlainUplinkConfig::new(at(remote.port), local, theirs)
            .bitrates(first, min, max)
            .limits(limits(config))
            .bind(bind);
        if let Some(port) = remote.rtcp_port {
            plain = plain.rtcp(at(port));
        }
        let plain = tracks.of_uplink().fold(plain, PlainUplinkConfig::track);
        *self = Self::Plain(Some(PlainUplink::new(plain)));
        Ok(())
    }

    pub(super) fn answer(&mut self, now: Instant, sdp: String) {
        if let Self::Web(uplink) = self {
            uplink.apply(now, ConnectionOp::Remote(Signal::Answer { sdp }));
        }
    }

    pub(super) fn restart_ice(&mut self, now: Instant) {
        if let Self::Web(uplink) = self {
            uplink.apply(now, ConnectionOp::RestartIce);
        }
    }

    pub(super) fn try_send(
        &mut self,
        now: Instant,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), UplinkError> {
        match self {
            Self::Plain(None) => Err(UplinkError::NotOpen),
            Self::Plain(Some(uplink)) => uplink.try_send(now, kind, bytes),
            Self::Web(uplink) => uplink.try_send(now, kind, bytes),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<ConnectionEvent> {
        match self {
            Self::Plain(uplink) => uplink.as_mut()?.poll_event(),
            Self::Web(uplink) => uplink.poll_event(),
        }
    }

    /// Waits for an event. Cancel-safe.
    pub(super) async fn ready(&mut self) {
        match self {
            Self::Plain(None) => std::future::pending().await,
            Self::Plain(Some(uplink)) => uplink.ready().await,
            Self::Web(uplink) => uplink.ready().await,
        }
    }

    pub(super) fn stats(&self) -> UplinkStats {
        match self {
            Self::Plain(uplink) => uplink.as_ref().map(PlainUplink::stats).unwrap_or_default(),
            Self::Web(uplink) => uplink.stats(),
        }
    }

    pub(super) async fn shutdown(&mut self) {
        match self {
            Self::Plain(None) => {}
            Self::Plain(Some(uplink)) => uplink.shutdown().await,
            Self::Web(uplink) => uplink.shutdown().await,
        }
    }
}

fn limits(config: &SfuConfig) -> UplinkLimits {
    UplinkLimits::default().close_timeout(config.close_timeout)
}

fn key_of(parameters: &SrtpParameters) -> Option<SrtpKey> {
    let suite = match parameters.suite() {
        SrtpSuite::AeadAes128Gcm => CryptoSuite::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm => CryptoSuite::AeadAes256Gcm,
        SrtpSuite::AesCm128HmacSha1_32 => CryptoSuite::AesCm128HmacSha1_32,
        SrtpSuite::AesCm128HmacSha1_80 => CryptoSuite::AesCm128HmacSha1_80,
    };
    SrtpKey::new(suite, parameters.key())
}
