//! What a call needs of a WebRTC engine, and no more.
//!
//! [`Transport`] is the seam: connections are named by peer, asked to do things
//! ([`ConnectionOp`]), tell things ([`ConnectionEvent`]) and carry messages with
//! explicit backpressure. The simulator implements it over a virtual network;
//! the feature `webrtc` implements it over the `webrtc` crate.
//!
//! # Example
//!
//! What every user of a transport does, here with one that loses everything:
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::Bytes;
//! use paceline_transport::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};
//! use paceline_transport::{SendError, Transport};
//!
//! struct Void;
//!
//! impl Transport for Void {
//!     fn apply(&mut self, _: Instant, _: PeerId, _: ConnectionOp) {}
//!     fn try_send(
//!         &mut self, _: Instant, _: PeerId, _: PacketKind, _: Bytes,
//!     ) -> Result<(), SendError> {
//!         Err(SendError::NotOpen)
//!     }
//!     fn outstanding(&self, _: PeerId) -> usize { 0 }
//!     fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)> { None }
//! }
//!
//! let (mut transport, peer) = (Void, PeerId::default());
//! let now = Instant::now();
//! transport.apply(now, peer, ConnectionOp::Call);
//! assert_eq!(transport.try_send(now, peer, PacketKind::Message, Bytes::new()), Err(SendError::NotOpen));
//! assert!(transport.poll_event().is_none());
//! ```
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `rtp` | `rtp`, what both ends of a path of RTP have, without a clock or a socket |
//! | `srtp` | `PlainUplink`, which sends RTP over UDP with keys that both ends know, on tokio |
//! | `webrtc` | `WebRtc`, over the `webrtc` crate on tokio, and `Uplink`, which only sends |

use std::error::Error;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
pub use paceline_types as types;
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};

#[cfg(feature = "rtp")]
pub mod rtp;
#[cfg(feature = "webrtc")]
mod webrtc;

#[cfg(feature = "webrtc")]
pub use crate::webrtc::{WebRtc, WebRtcConfig};

#[cfg(feature = "srtp")]
mod plain;
#[cfg(feature = "srtp")]
mod uplink;

#[cfg(feature = "srtp")]
pub use crate::plain::{CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey};

#[cfg(feature = "srtp")]
pub use crate::uplink::{
    HeaderExtension, TrackKind, UplinkError, UplinkLimits, UplinkStats, UplinkTrack,
};
#[cfg(feature = "webrtc")]
pub use crate::uplink::{Uplink, UplinkConfig};

/// An engine that keeps one connection to each peer it is told of.
///
/// Nothing here waits. What an engine does in the background comes back through
/// [`poll_event`](Self::poll_event).
pub trait Transport {
    /// Asks the connection to `peer` to do something. What becomes of it is told
    /// by events; an operation that makes no sense is dropped.
    fn apply(&mut self, now: Instant, peer: PeerId, op: ConnectionOp);

    /// Hands over one message, RTP packet or compound of RTCP packets. The sources
    /// ([`Ssrc::of`](paceline_types::Ssrc::of)) of the streams in RTP are those of our own id.
    ///
    /// # Errors
    ///
    /// [`SendError`], and it is gone: of messages ask [`outstanding`](Self::outstanding)
    /// first.
    fn try_send(
        &mut self,
        now: Instant,
        peer: PeerId,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), SendError>;

    /// Bytes of messages handed over for `peer` that the other end has not acknowledged: each
    /// [`Acked`](ConnectionEvent::Acked) is what it went down by. The caller keeps
    /// this low and its queue long, because what waits in the caller's queue can
    /// still be overtaken or shed, and what is handed over cannot.
    fn outstanding(&self, peer: PeerId) -> usize;

    /// What happened, oldest first, until `None`.
    fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)>;
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// More is outstanding than the transport's limit allows; of RTP, more packets wait to go
    /// out than may.
    Full,
    /// It is no RTP packet of a source of ours, or no compound of RTCP packets.
    Malformed,
    /// There is no open channel to this peer; of RTP, or it carries none.
    NotOpen,
    /// It is larger than both ends take, and will never be taken.
    TooLarge,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the transport's send buffer is full: of messages wait for `Acked`, of RTP send less",
            Self::Malformed => "it is not RTP of a source of ours, or not RTCP",
            Self::NotOpen => "the channel to this peer is not open, or it carries no RTP",
            Self::TooLarge => "the message is larger than both ends take",
        })
    }
}

impl Error for SendError {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
