//! What is said about one connection: to it, by it, and to its other end.

use bytes::Bytes;

/// What two peers tell each other, by whatever road, to get connected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// The description that answers an offer (RFC 9429 §5.3).
    Answer {
        /// The session description, as SDP.
        sdp: String,
    },
    /// A way to reach its sender (RFC 8839 §5.1).
    Candidate {
        /// The candidate attribute.
        candidate: String,
        /// The media section it belongs to, by name.
        mid: String,
        /// The media section it belongs to, by place.
        mline_index: u16,
    },
    /// The description that opens a negotiation (RFC 9429 §5.2).
    Offer {
        /// The session description, as SDP.
        sdp: String,
    },
}

/// What a connection is asked to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionOp {
    /// Come into being and make an offer.
    Call,
    /// Go away. The other end is told if it can be; it is never waited for.
    Close,
    /// Take what the other end said. The first offer brings it into being.
    Remote(Signal),
}

/// What a connection tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// It is gone, and why. The last event of a connection.
    Closed {
        /// For a log and a person; nothing branches on it.
        reason: String,
    },
    /// Something for the other end.
    Local(Signal),
    /// One message of the other end.
    Message(Bytes),
    /// Its channel is open: messages can be sent.
    Open,
    /// Messages of this many bytes, accepted earlier, have left our hands.
    Sent(usize),
}

/// What an encoder is to do from now on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EncoderTarget {
    /// The bitrate to aim at; `None` leaves it as it is.
    pub bitrate: Option<crate::Bitrate>,
    /// The next frame is to start a decoder.
    pub keyframe: bool,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is gone.
    Closed,
    /// Its channel is open and both ends have said hello.
    Connected,
    /// Descriptions are exchanged; the channel is not open yet.
    Connecting,
    /// It could not be made, or broke.
    Failed,
    /// Known, and nothing done yet.
    #[default]
    New,
}
