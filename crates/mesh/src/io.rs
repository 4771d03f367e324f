//! What goes into a mesh and what comes out of it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use paceline_framing::{Packet, Role};
use paceline_types::{ConnectionOp, PacketKind, PeerId, SenderId, Signal};

use crate::{GoneReason, Quality};

/// Who we are in the room.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Identity {
    /// The room's session UUID, from the join reply.
    pub session: [u8; 16],
    /// Our own.
    pub peer: PeerId,
    /// Our number in the room.
    pub sender: SenderId,
    /// What we do there.
    pub role: Role,
}

/// Who gets a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Recipients {
    /// Everybody who is connected.
    All,
    /// One peer, if he is connected.
    One(PeerId),
}

/// What a mesh gives out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// The transport has to do something.
    Connection {
        /// With the connection to this peer.
        peer: PeerId,
        /// What.
        op: ConnectionOp,
    },
    /// Something happened that the owner wants to know.
    Event(Event),
    /// The other end has to be told something, by the signalling road.
    Signal {
        /// Whom.
        peer: PeerId,
        /// What.
        signal: Signal,
    },
    /// Something for the transport.
    Transmit {
        /// To whom.
        peer: PeerId,
        /// What it is.
        kind: PacketKind,
        /// A message has at most `max_message` of them.
        bytes: Bytes,
    },
}

/// How it is known when a frame was captured, for who draws a line through such times: over RTP
/// one report stamps all frames up to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CaptureTime {
    /// The frame says it itself, as over the channel. Also of what is no frame.
    Own,
    /// From a sender report (RFC 3550 §6.4.1), by which no frame of its stream was stamped
    /// before.
    Reported,
    /// From the report of a frame before: it is right where that is, and tells nothing new.
    /// Before the first report it is zero.
    Derived,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// More than the high watermark waits for a peer.
    Congested {
        /// For whom.
        peer: PeerId,
    },
    /// Both ends have said hello: he is ready.
    Connected {
        /// Who.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
        /// What he says he does there.
        role: Role,
    },
    /// No more than the low watermark waits for a peer who was congested. Not told when his
    /// connection ends, which is as good.
    Drained {
        /// For whom.
        peer: PeerId,
    },
    /// The connection is over, and is not made again.
    Gone {
        /// Who.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
        /// Why.
        reason: GoneReason,
    },
    /// A connection that was up is down, and is being made again.
    Interrupted {
        /// To whom.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
        /// Why.
        reason: GoneReason,
    },
    /// The path to him seems lost, and one is looked for. What is sent waits, within the
    /// bounds of his queue.
    Reconnecting {
        /// To whom.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
    },
    /// There is a path to him again; nothing that waited is lost.
    Reconnected {
        /// To whom.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
    },
    /// Pictures for him were shed, or he is new and nothing is kept for newcomers: he can
    /// go on only from a keyframe.
    NeedsKeyframe {
        /// Who.
        peer: PeerId,
    },
    /// A packet that is not the mesh's own business.
    Packet {
        /// From whom, by the channel it came on.
        peer: PeerId,
        /// The packet; its sender is his.
        packet: Packet,
        /// Of a frame, how the time of its capture is known.
        capture: CaptureTime,
    },
    /// How the last ten seconds were, told every second or so.
    Quality {
        /// Of the connection to whom.
        peer: PeerId,
        /// The figures.
        quality: Quality,
    },
    /// A ping was answered.
    RoundTrip {
        /// By whom.
        peer: PeerId,
        /// After how long, without what he took to answer.
        rtt: Duration,
    },
}

/// Why [`Mesh::poll_timeout`](crate::Mesh::poll_timeout) wants to be woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// An offer of ours was not answered in time.
    Answer,
    /// Our engine has not described its end of a connection in time.
    Offer,
    /// A connection has taken too long to open.
    Open,
    /// Something that may not be left out has waited for a peer for too long.
    Overdue,
    /// A peer is to be pinged.
    Ping,
    /// What a path takes is to be measured.
    Probe,
    /// A packet's fragments are overdue.
    Reassembly,
    /// A broken call is to be made again, or is waited for no longer.
    Redial,
    /// A path is to be looked for anew.
    Restart,
    /// Something is due of what goes over RTP: a packet may go, one is waited for no
    /// longer, or a keyframe is to be asked for again.
    Rtp,
    /// A peer has been silent for too long.
    Silence,
    /// A peer has confirmed nothing for too long.
    Stall,
}

/// Why a peer is not called or expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallError {
    /// There is a connection to him already.
    AlreadyKnown,
    /// The mesh has as many peers as it may.
    Full {
        /// `max_peers`.
        max_peers: usize,
    },
    /// It is ourselves.
    Itself,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyKnown => f.write_str("there is a connection to this peer already"),
            Self::Full { max_peers } => {
                write!(f, "all {max_peers} places are taken: raise `max_peers`")
            }
            Self::Itself => f.write_str("a peer cannot call itself"),
        }
    }
}

impl Error for CallError {}
