//! What goes into a session and what comes out of it.

use std::time::{Duration, Instant};

use crate::event::Event;
use bytes::Bytes;
use paceline_framing::{NatState, Role};
use paceline_mesh::{self as mesh, Recipients};
use paceline_migration::{self as migration, MixerState, StageOrder, WitnessReply, WitnessRequest};
use paceline_types::{
    ConnectionEvent, ConnectionOp, EncodedFrame, EncoderTarget, Epoch, MixInfo, PacketKind, PeerId,
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
    /// Whether he may host.
    pub may_host: bool,
    /// What the signalling server knows of his place in the network.
    pub nat: Option<NatState>,
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
    /// Whether we may host a star.
    pub may_host: bool,
    /// In a star: nobody votes on who hosts but the signalling server, because nobody was in
    /// the room, or nobody who voted is any more.
    pub genesis: bool,
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
        /// Who gets it. In a star all are the host, or, of the host, everybody else.
        to: Recipients,
        /// For the application to tell one use from another.
        channel: u16,
        /// Bytes of its own: [`MAX_DATA`](mesh::MAX_DATA) at most, or they are refused
        /// and counted. Who does not keep up is given up.
        data: Bytes,
    },
    /// An encoder of ours made a frame. Its sequence number is the encoder's.
    ///
    /// In a star our own sound goes to the host and to who stands by, our own picture to the
    /// host, and to the standby too while a handover is prepared; so a host makes both as
    /// well. A frame of a mix goes out if we may send it at its media time, and is dropped
    /// without a word if we may not: a standby mixes in the dark.
    Encoded {
        /// Who gets it; `All` unless it is a mix for one.
        to: Recipients,
        /// The frame.
        frame: EncodedFrame,
    },
    /// Hand over to whoever stands by, if we host a star. [`Event::Retired`] or
    /// [`Event::HandoverAborted`] tells what came of it, the latter at once if we do not host
    /// or there is nobody to hand over to.
    HandOver,
    /// The signalling server says that the room has another host, or none. In a star it is
    /// only a hint whom to connect to: who hosts is decided among the members.
    Host {
        /// Who.
        host: Option<PeerId>,
        /// Under which epoch. An older one than ours is ignored.
        epoch: Epoch,
    },
    /// We are in the room.
    Joined(Roster),
    /// We leave: everybody connected is told. Who hosts gives that up with it, and another
    /// is elected; [`HandOver`](Self::HandOver) before it leaves no gap.
    Leave,
    /// Whether we may host a star from now on.
    MayHost(bool),
    /// Somebody came in.
    MemberJoined(Member),
    /// Somebody left.
    MemberLeft(PeerId),
    /// This machine's network is another now: paths are looked for anew.
    NetworkChanged,
    /// Our stage tells what is in its mix.
    MixInfo(MixInfo),
    /// How our stage stands: as the host's after each frame or so, as a standby's when it is
    /// asked for.
    Mixer(MixerState),
    /// What we know of our own place in the network.
    Nat(NatState),
    /// A decoder can go on only from a keyframe. Nobody is asked while one waits to be played:
    /// if it cannot go on from that either, it says so again.
    NeedsKeyframe(StreamKey),
    /// We stop hosting a star, and somebody is elected at once.
    Resign,
    /// A peer said something by the signalling road.
    Signal {
        /// Who.
        peer: PeerId,
        /// What.
        signal: Signal,
    },
    /// Our stage mixes, and has a keyframe: it could take over.
    StageReady {
        /// As [`StageOrder::Prepare`] said.
        epoch: Epoch,
        /// Whose media it lacks.
        missing: Vec<SenderId>,
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
    /// The witness of a star answers.
    Witness(WitnessReply),
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
    /// The same piece of sound came from the host of before and from the next one: the one
    /// fades into the other.
    Crossfade {
        /// Which.
        stream: StreamKey,
        /// When it should be heard.
        due: Instant,
        /// When the next one's came.
        arrival: Instant,
        /// As the host of before has it.
        old: EncodedFrame,
        /// As the next one has it.
        new: EncodedFrame,
        /// The next one's.
        epoch: Epoch,
    },
    /// A frame is due.
    Decode {
        /// Whose. A mix of a star is nobody's: it has the number [`MIX_SENDER`](crate::MIX_SENDER), whoever
        /// hosts, and is one stream for the whole call.
        stream: StreamKey,
        /// When it should be heard or seen.
        due: Instant,
        /// The frame.
        frame: EncodedFrame,
        /// Of which host, if it is of a mix.
        epoch: Option<Epoch>,
        /// When it came: what a standby follows the host's media clock by.
        arrival: Instant,
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
    /// How long a packet takes from the host of a star to us at least: half of the shortest
    /// round trip of late, for who follows his media clock. With another host, nothing if
    /// none was measured, and then about once
    /// a second.
    OneWay(Duration),
    /// We are something else now, or somebody else hosts.
    Role {
        /// What we are.
        role: Role,
        /// Under which epoch.
        epoch: Epoch,
        /// Who hosts; `None`: nobody that we know of.
        host: Option<PeerId>,
    },
    /// The other end has to be told something, by the signalling road.
    Signal {
        /// Whom.
        peer: PeerId,
        /// What.
        signal: Signal,
    },
    /// Our stage has to do something else.
    Stage(StageOrder),
    /// An encoder of ours has to change.
    ///
    /// The bitrate is what the paths take of those who get the stream, within the bounds of
    /// the config, and is told when it is another by a twentieth. It holds until the next:
    /// also for an encoder that is made anew ([`Session::video_bitrate`](crate::Session::video_bitrate)).
    /// One path decides: of a single receiver his, of two the slower, of three to seven the
    /// second slowest, of more the one that a quarter is slower than. Who is slower sees a
    /// part of the pictures.
    Steer {
        /// Which.
        stream: StreamId,
        /// To what.
        target: EncoderTarget,
    },
    /// Something for the transport.
    Transmit {
        /// To whom.
        peer: PeerId,
        /// What it is.
        kind: PacketKind,
        /// The message or packet.
        bytes: Bytes,
    },
    /// Besides the host of a star, another needs our own picture for now, or none does any
    /// more: who hosts has to encode it as well as mix it.
    VideoAlsoTo(Option<PeerId>),
    /// Something for the witness of a star.
    Witness(WitnessRequest),
}

/// Why [`Session::poll_timeout`](crate::Session::poll_timeout) wants to be woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// What came too early has waited for long enough.
    Early,
    /// A keyframe request had to wait and is due.
    Keyframe,
    /// A connection is of no more use, or is to be made again.
    Link,
    /// The mesh has something to do.
    Mesh(mesh::Reason),
    /// Who hosts is to be looked at.
    Migration(migration::Reason),
    /// A frame is due.
    Playout,
    /// What we measured of others is to be told.
    Quality,
    /// Receivers' reports are due.
    Report,
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
    /// Packets of an epoch before ours. Not those accepted in the window of a handover.
    pub stale_epoch: u64,
    /// Packets that their sender's role does not allow.
    pub wrong_role: u64,
    /// Frames of a mix, and what tells of one, that came before the word that its sender
    /// hosts, and waited for it.
    pub early: u64,
    /// Those of them that it did not come for, or that had no room.
    pub early_dropped: u64,
    /// Packets of application data that were too large, or for a channel that is taken, or
    /// for all of a star in which nobody hosts.
    pub refused_data: u64,
    /// Control packets that nothing here uses yet, and media of members for a mix that we do
    /// not make.
    pub unused: u64,
    /// Packets about streams that nobody defined, that we do not make, or of the
    /// wrong kind.
    pub unknown_stream: u64,
}

/// Whose the mix of a star is, whoever hosts. The signalling server gives numbers from 1.
pub const MIX_SENDER: SenderId = crate::receive::MIX;
