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
//! use paceline_transport::types::{ConnectionEvent, ConnectionOp, PeerId};
//! use paceline_transport::{SendError, Transport};
//!
//! struct Void;
//!
//! impl Transport for Void {
//!     fn apply(&mut self, _: Instant, _: PeerId, _: ConnectionOp) {}
//!     fn try_send(&mut self, _: Instant, _: PeerId, _: Bytes) -> Result<(), SendError> {
//!         Err(SendError::NotOpen)
//!     }
//!     fn outstanding(&self, _: PeerId) -> usize { 0 }
//!     fn poll_event(&mut self) -> Option<(PeerId, ConnectionEvent)> { None }
//! }
//!
//! let (mut transport, peer) = (Void, PeerId::default());
//! let now = Instant::now();
//! transport.apply(now, peer, ConnectionOp::Call);
//! assert_eq!(transport.try_send(now, peer, Bytes::new()), Err(SendError::NotOpen));
//! assert!(transport.poll_event().is_none());
//! ```
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `webrtc` | `WebRtc`, over the `webrtc` crate on tokio |

use std::error::Error;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
pub use paceline_types as types;
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId};

#[cfg(feature = "webrtc")]
mod webrtc;

#[cfg(feature = "webrtc")]
pub use crate::webrtc::{WebRtc, WebRtcConfig};

/// An engine that keeps one connection to each peer it is told of.
///
/// Nothing here waits. What an engine does in the background comes back through
/// [`poll_event`](Self::poll_event).
pub trait Transport {
    /// Asks the connection to `peer` to do something. What becomes of it is told
    /// by events; an operation that makes no sense is dropped.
    fn apply(&mut self, now: Instant, peer: PeerId, op: ConnectionOp);

    /// Hands over one message.
    ///
    /// # Errors
    ///
    /// [`SendError`], and the message is gone: ask
    /// [`outstanding`](Self::outstanding) first.
    fn try_send(&mut self, now: Instant, peer: PeerId, message: Bytes) -> Result<(), SendError>;

    /// Bytes handed over for `peer` that the other end has not acknowledged: each
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
    /// More is outstanding than the transport's limit allows.
    Full,
    /// There is no open channel to this peer.
    NotOpen,
    /// It is larger than both ends take, and will never be taken.
    TooLarge,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the transport's send buffer is full: wait for `Acked`",
            Self::NotOpen => "the channel to this peer is not open",
            Self::TooLarge => "the message is larger than both ends take",
        })
    }
}

impl Error for SendError {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
