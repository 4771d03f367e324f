//! What goes into a session and what comes out of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::Role;
use paceline_mesh::{self as mesh, Recipients};
use paceline_types::{
    ConnectionEvent, ConnectionOp, EncodedFrame, EncoderTarget, Epoch, MixInfo, PeerId,
    PlayoutRate, SenderId, Signal, StreamId, StreamKey,
};

/// Somebody in the room.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Member {
    /// His session.
    pub peer: PeerId,
    /// His number in the room.
    pub sender: SenderId,
    /// What he calls himself. Comes from the network: escape it before it is shown.
    pub name: String,
}

/// What the join reply says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Roster {
    /// The room's session UUID.
    pub session: [u8; 16],
    /// Our number in the room.
    pub sender: SenderId,
    /// Under which host.
    pub epoch: Epoch,
    /// Who is the host, if anybody is.
    pub host: Option<PeerId>,
    /// Who else is there.
    pub members: Vec<Member>,
}

/// What goes into a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// The transport says something of a connection.
    Connection {
        /// Whose.
        peer: PeerId,
        /// What.
        event: ConnectionEvent,
    },
    /// Our application has taken some of what a peer's sent ([`Event::Data`]). Until it
    /// has, there is a bound on how much he may send.
    Consumed {
        /// Whose.
        peer: PeerId,
        /// How many.
        packets: usize,
        /// How long they were together.
        bytes: usize,
    },
    /// The application has something for others (type 148 of `docs/WIRE.md`).
    Data {
        /// Who gets it.
        to: Recipients,
        /// For the application to tell one use from another.
        channel: u16,
        /// Bytes of its own: [`MAX_DATA`](mesh::MAX_DATA) at most, or they are refused
        /// and counted. Who does not keep up is given up.
        data: Bytes,
    },
    /// An encoder of ours made a frame. Its sequence number is the encoder's.
    Encoded {
        /// Who gets it; `All` unless it is a mix for one.
        to: Recipients,
        /// The frame.
        frame: EncodedFrame,
    },
    /// The room has another host, or none.
    Host {
        /// Who.
        host: Option<PeerId>,
        /// Under which epoch. An older one than ours is ignored.
        epoch: Epoch,
    },
    /// We are in the room.
    Joined(Roster),
    /// We leave: everybody connected is told.
    Leave,
    /// Somebody came in.
    MemberJoined(Member),
    /// Somebody left.
    MemberLeft(PeerId),
    /// This machine's network is another now: paths are looked for anew.
    NetworkChanged,
    /// Our stage tells what is in its mix.
    MixInfo(MixInfo),
    /// A decoder can go on only from a keyframe.
    NeedsKeyframe(StreamKey),
    /// A peer said something by the signalling road.
    Signal {
        /// Who.
        peer: PeerId,
        /// What.
        signal: Signal,
    },
    /// Nothing but time has passed.
    Timeout,
    /// A stream of ours was switched on or off.
    TrackState {
        /// Which.
        stream: StreamId,
        /// Whether it is on.
        enabled: bool,
    },
}

/// What comes out of a session.
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
    /// A frame is due.
    Decode {
        /// Whose.
        stream: StreamKey,
        /// When it should be heard or seen.
        due: Instant,
        /// The frame.
        frame: EncodedFrame,
    },
    /// The owner wants to know.
    Event(Event),
    /// Frames are missing where some are due.
    Lost {
        /// Whose.
        stream: StreamKey,
        /// How many.
        count: u64,
    },
    /// Playout has to go at another rate. Told for sound.
    Rate {
        /// Whose.
        stream: StreamKey,
        /// Which.
        rate: PlayoutRate,
    },
    /// We are something else now.
    Role {
        /// What.
        role: Role,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// The other end has to be told something, by the signalling road.
    Signal {
        /// Whom.
        peer: PeerId,
        /// What.
        signal: Signal,
    },
    /// An encoder of ours has to change.
    Steer {
        /// Which.
        stream: StreamId,
        /// To what.
        target: EncoderTarget,
    },
    /// A message for the transport.
    Transmit {
        /// To whom.
        peer: PeerId,
        /// The message.
        bytes: Bytes,
    },
}

/// What the owner of a session is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Much waits for somebody: more than his queue's high watermark.
    Congested {
        /// For whom.
        peer: PeerId,
    },
    /// A connection is up.
    Connected {
        /// To whom.
        peer: PeerId,
        /// His number.
        sender: SenderId,
    },
    /// Somebody's application has something for ours.
    Data {
        /// Who, by the connection it came on.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// For the application to tell one use from another.
        channel: u16,
        /// As his application gave them.
        data: Bytes,
    },
    /// A connection is down.
    Disconnected {
        /// To whom.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// For a log and a person.
        reason: String,
        /// It is being made again: [`Connected`](Self::Connected) may follow.
        again: bool,
    },
    /// Little waits any more for somebody who was congested.
    Drained {
        /// For whom.
        peer: PeerId,
    },
    /// The room has another host, or none.
    HostChanged {
        /// Who.
        host: Option<PeerId>,
    },
    /// Somebody is in the room.
    MemberJoined {
        /// Who.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// What he calls himself.
        name: String,
    },
    /// Somebody has left the room.
    MemberLeft {
        /// Who.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// What he called himself.
        name: String,
    },
    /// The host tells what is in the mix.
    MixInfo(MixInfo),
    /// The path to somebody is lost, and one is looked for; what is sent waits.
    Reconnecting {
        /// To whom.
        peer: PeerId,
    },
    /// There is a path to him again, and nothing was lost.
    Reconnected {
        /// To whom.
        peer: PeerId,
    },
    /// Somebody cannot be connected to because there is no place left.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why, and what to do.
        reason: String,
    },
    /// Somebody switched a stream of his on or off.
    TrackState {
        /// Whose, and which.
        stream: StreamKey,
        /// Whether it is on.
        enabled: bool,
    },
}

/// Why [`Session::poll_timeout`](crate::Session::poll_timeout) wants to be woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A keyframe request had to wait and is due.
    Keyframe,
    /// The mesh has something to do.
    Mesh(mesh::Reason),
    /// A frame is due.
    Playout,
    /// Receivers' reports are due.
    Report,
    /// The members are to be told who is in the room.
    Roster,
}

/// What a receiver last reported of a stream of ours, with the path to him.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PathReport {
    /// Frames he says were lost, of all.
    pub lost: u64,
    /// Interarrival jitter as he sees it.
    pub jitter: Duration,
    /// How long his jitter buffer holds frames.
    pub queue_delay: Duration,
}

/// Counts since the session was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SessionStats {
    /// Packets of an epoch before ours.
    pub stale_epoch: u64,
    /// Packets that their sender's role does not allow.
    pub wrong_role: u64,
    /// Packets of application data that were too large, or for a channel that is taken.
    pub refused_data: u64,
    /// Control packets that nothing here uses yet.
    pub unused: u64,
    /// Packets about streams that nobody defined, that we do not make, or of the
    /// wrong kind.
    pub unknown_stream: u64,
}
