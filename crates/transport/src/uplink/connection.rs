//! The owner's end of an uplink.

use std::time::Instant;

use bytes::Bytes;
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind};
use tokio::sync::mpsc;

use super::config::UplinkConfig;
use super::mailbox::{UplinkError, UplinkStats};
use super::owner::Owner;
use super::task;

/// A connection that only sends, to a server that forwards: ICE, DTLS, SRTP,
/// retransmissions and congestion control. Lives on a tokio runtime.
///
/// | step | what is said |
/// |---|---|
/// | [`apply`](Self::apply)`(Call)` | `Local(Offer)`: one section a track, sendonly, actpass, one bundle |
/// | `apply(Remote(Answer))` | `Open` when DTLS is up, then `Target` |
/// | [`try_send`](Self::try_send) | `Rtcp` (PLI, FIR, reports), `Target` |
/// | `apply(RestartIce)` | `Local(Offer)` with new credentials; media goes on by the old path until its answer is applied, waits until there is a new one, and then `Path { up: true }` |
/// | `apply(Close)`, or a failure | `Closed` after a failure only |
///
/// Our own candidates are not in the offer: a server answers where it is asked from. Sender
/// reports are the owner's to write, for it knows when what was captured.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Instant;
///
/// use paceline_transport::types::{ConnectionEvent, ConnectionOp, Signal};
/// use paceline_transport::{TrackKind, Uplink, UplinkConfig, UplinkTrack};
///
/// let voice = UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, 111, 7).channels(2);
/// let mut uplink = Uplink::new(UplinkConfig::default().track(voice));
/// uplink.apply(Instant::now(), ConnectionOp::Call);
/// uplink.ready().await;
/// let Some(ConnectionEvent::Local(Signal::Offer { sdp })) = uplink.poll_event() else {
///     panic!("it begins with an offer")
/// };
/// assert!(sdp.contains("a=sendonly") && sdp.contains("a=rtpmap:111 opus/48000/2"));
/// uplink.shutdown().await;
/// # }
/// ```
#[derive(Debug)]
pub struct Uplink {
    ops: mpsc::UnboundedSender<ConnectionOp>,
    owner: Owner,
}

impl Uplink {
    /// An uplink that has said nothing yet.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(config: UplinkConfig) -> Self {
        let (ops, op_queue) = mpsc::unbounded_channel();
        let (tracks, limits) = (config.tracks.clone(), config.limits);
        let owner = Owner::spawn(&tracks, limits, |end| task::run(config, end, op_queue));
        Self { ops, owner }
    }

    /// Asks it to do something. What becomes of it is told by events; what makes no sense
    /// is dropped.
    pub fn apply(&mut self, _now: Instant, op: ConnectionOp) {
        if matches!(op, ConnectionOp::Close) {
            self.owner.close();
        }
        // A task that has ended needs no telling.
        let _ = self.ops.send(op);
    }

    /// Hands over one RTP packet of a track, or one compound of RTCP of ours.
    ///
    /// The header extensions that the uplink offers are written by the uplink. What waited for
    /// a path for longer than 200 ms, by `now`, is not sent when there is one.
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

    /// What happened, oldest first, until `None`.
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

    /// Closes it and waits until it is gone, for at most the configured time. Cancel-safe; what
    /// is gone is not waited for again.
    pub async fn shutdown(&mut self) {
        self.owner.close();
        let _ = self.ops.send(ConnectionOp::Close);
        self.owner.ended().await;
    }
}
