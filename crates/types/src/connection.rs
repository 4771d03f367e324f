//! What is said about one connection: to it, by it, and to its other end.

use std::fmt;

use bytes::Bytes;

/// What two peers tell each other, by whatever road, to get connected.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9429 has no more")]
pub enum Signal {
    /// The description that answers an offer (RFC 9429 §5.3).
    Answer {
        /// The session description, as SDP.
        sdp: String,
    },
    /// A way to reach its sender, found after its description was sent (RFC 8838).
    Candidate {
        /// The candidate attribute (RFC 8839 §5.1); empty after the last one.
        candidate: String,
        /// The media section it belongs to, by name (RFC 5888 §4).
        mid: String,
        /// The media section it belongs to, by place, from 0.
        mline_index: u16,
        /// The ICE username fragment of the description it belongs to (RFC 8839 §5.4);
        /// empty if its sender does not say, and then it belongs to the latest one.
        ufrag: String,
    },
    /// The description that opens a negotiation (RFC 9429 §5.2).
    Offer {
        /// The session description, as SDP.
        sdp: String,
    },
}

impl fmt::Debug for Signal {
    /// Leaves the contents out: they hold addresses, which do not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { sdp } => write!(f, "Answer({} bytes)", sdp.len()),
            Self::Candidate { candidate, mline_index, .. } => {
                write!(f, "Candidate(section {mline_index}, {} bytes)", candidate.len())
            }
            Self::Offer { sdp } => write!(f, "Offer({} bytes)", sdp.len()),
        }
    }
}

/// What a connection is asked to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionOp {
    /// Come into being and make an offer.
    Call,
    /// Go away. The other end is told if it can be; it is never waited for.
    Close,
    /// Make an offer to look for a path anew (RFC 8445 §2.4, RFC 9429 §3.5.1). What is
    /// open stays open, and goes on over the path that is found.
    RestartIce,
    /// Take back the offer that was made and is not answered (RFC 9429 §4.1.10.2).
    Rollback,
    /// Take what the other end said. The first offer brings it into being.
    Remote(Signal),
}

/// What a connection tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// Messages of this many bytes, handed over earlier, are with the other end
    /// (RFC 9260 §3.3.4).
    Acked(usize),
    /// It is gone, and why. The last event of a connection.
    Closed {
        /// For a log and a person; nothing branches on it.
        reason: String,
    },
    /// Something for the other end.
    Local(Signal),
    /// One message of the other end.
    Message(Bytes),
    /// Its channel is open: messages can be sent, and RTP if it carries media.
    Open,
    /// The path to the other end works no more, or works again (RFC 7675). Told only
    /// while the channel is open.
    Path {
        /// Whether it works.
        up: bool,
    },
    /// One compound of the other end's RTCP packets (RFC 3550 §6.1): those that are the
    /// owner's to act on, and not the engine's.
    Rtcp(Bytes),
    /// One RTP packet of the other end (RFC 3550 §5.1).
    Rtp(Bytes),
    /// What the path takes of RTP, as congestion control has it: pictures and sound
    /// together, headers included. Told when it changes.
    Target(crate::Bitrate),
}

/// What a transport is handed for the other end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a transport has to carry all of them")]
pub enum PacketKind {
    /// A message on the channel: it arrives, and in order.
    Message,
    /// A compound of RTCP packets.
    Rtcp,
    /// One RTP packet.
    Rtp,
}

/// What carries the media between two peers. Whatever is said about them goes over the
/// channel in any case.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Carrier {
    /// The data channel: all of it arrives, some of it late.
    #[default]
    Channel,
    /// RTP over SRTP (RFC 3550, RFC 3711): what comes late is not waited for, and what is lost
    /// is asked for only while there is time.
    Rtp,
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
    /// It was asked for, and there is no description of its own yet.
    Gathering,
    /// Known, and nothing done yet.
    #[default]
    New,
    /// It was connected, and looks for a path; what is sent waits.
    Reconnecting,
}
