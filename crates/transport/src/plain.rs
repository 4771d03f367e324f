//! RTP and RTCP over UDP with keys that both ends were told (RFC 3711): no ICE, no DTLS.
//!
//! For servers that are reached without either, such as a mediasoup `PlainTransport` with
//! comedia: we send first, and the server answers where that came from.

mod config;
mod crypto;
mod loss;
mod silence;
mod task;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use paceline_types::{ConnectionEvent, PacketKind};
use tokio::sync::Notify;

pub use self::config::PlainUplinkConfig;
pub use self::crypto::{CryptoSuite, SrtpKey};
use crate::uplink::{Owner, UplinkError, UplinkStats};

/// Sends RTP and RTCP to one server, and hears its RTCP. Lives on a tokio runtime.
///
/// It is open at once: there is nobody to agree with. What is asked for again is sent again.
/// There is no congestion control but this: where reports tell of loss, of pictures if there
/// are any, the target is lowered, and slowly raised where they tell of none. Where no reports come while it sends,
/// the path is down, and then it is over
/// ([`report_timeout`](PlainUplinkConfig::report_timeout)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use paceline_transport::types::ConnectionEvent;
/// use paceline_transport::{
///     CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, TrackKind, UplinkTrack,
/// };
///
/// let suite = CryptoSuite::AesCm128HmacSha1_80;
/// let (ours, theirs) = (SrtpKey::new(suite, &[1; 30]), SrtpKey::new(suite, &[2; 30]));
/// let (ours, theirs) = (ours.expect("30 bytes"), theirs.expect("30 bytes"));
/// let voice = UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, 111, 7).channels(2);
/// let config = PlainUplinkConfig::new("127.0.0.1:9".parse().expect("an address"), ours, theirs)
///     .track(voice);
/// let mut uplink = PlainUplink::new(config);
/// uplink.ready().await;
/// assert_eq!(uplink.poll_event(), Some(ConnectionEvent::Open));
/// uplink.shutdown().await;
/// # }
/// ```
#[derive(Debug)]
pub struct PlainUplink {
    stop: Arc<Notify>,
    owner: Owner,
}

impl PlainUplink {
    /// An uplink that opens at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(config: PlainUplinkConfig) -> Self {
        let stop = Arc::new(Notify::new());
        let (tracks, limits) = (config.tracks.clone(), config.limits);
        let stopped = Arc::clone(&stop);
        let owner = Owner::spawn(&tracks, limits, |end| task::run(config, end, stopped));
        Self { stop, owner }
    }

    /// Hands over one RTP packet of a track, or one compound of RTCP of ours. Numbers rise by one
    /// from packet to packet of a track (RFC 3550 §5.1): two packets of one number are two
    /// texts under one nonce ([`SrtpKey`]).
    ///
    /// # Errors
    ///
    /// [`UplinkError`], and it is gone.
    pub fn try_send(
        &mut self,
        now: Instant,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), UplinkError> {
        self.owner.try_send(now, kind, bytes)
    }

    /// What happened, oldest first, until `None`: `Open`, `Rtcp`, `Target`, `Path`,
    /// `Closed`.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.owner.poll_event()
    }

    /// Waits until [`poll_event`](Self::poll_event) has something. Cancel-safe.
    pub async fn ready(&mut self) {
        self.owner.ready().await;
    }

    /// Counters, and what is known of the path.
    #[must_use]
    pub fn stats(&self) -> UplinkStats {
        self.owner.stats()
    }

    /// Closes it and waits until it is gone, for at most the configured time. What was handed
    /// over before is sent. Cancel-safe; what is gone is not waited for again.
    pub async fn shutdown(&mut self) {
        self.owner.close();
        self.stop.notify_one();
        self.owner.ended().await;
    }
}
