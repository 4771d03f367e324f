//! What peers tell each other beside media.

mod election;
mod handover;
mod hello;
mod report;
mod signal;

use bytes::{BufMut, Bytes, BytesMut};
use paceline_types::{Epoch, MixInfo, Signal, StreamId};

pub use self::election::{
    Lease, Mapping, MemberQuality, NatState, NatType, NetworkQuality, Roster, RosterId,
    RosterMember, Vote, VoteRequest,
};
pub use self::handover::{AbortReason, Migrate, Numbering, Prepare, Ready};
pub use self::hello::{ByeReason, Hello, Role};
pub use self::report::ReceptionReport;
use crate::ParseError;
use crate::kind::Kind;
use crate::reader::Reader;

/// The body of a control packet.
///
/// ```
/// use paceline_framing::types::{SenderId, StreamId};
/// use paceline_framing::{Body, Control, Packet};
///
/// let body = Body::Control(Control::KeyframeRequest { stream: StreamId::VIDEO });
/// let packet = Packet { sender: SenderId::new(7), epoch: None, body };
/// assert_eq!(packet.emit().len(), 20 + 2);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// A handover that was prepared does not take place.
    Abort {
        /// The one prepared for.
        epoch: Epoch,
        /// Why not.
        reason: AbortReason,
    },
    /// Something of the application's. The one kind here that is not urgent.
    ApplicationData {
        /// For the application to tell one use from another.
        channel: u16,
        /// As the application gave them.
        data: Bytes,
    },
    /// The last packet of a connection.
    Bye {
        /// Why it ends.
        reason: ByeReason,
    },
    /// The first packet of a connection.
    Hello(Hello),
    /// The receiver cannot go on without a keyframe (RFC 4585 §6.3.1 calls it a
    /// picture loss indication).
    KeyframeRequest {
        /// Of which of the addressee's streams.
        stream: StreamId,
    },
    /// The host goes on being host.
    Lease(Lease),
    /// Who is host next, and from when on.
    Migrate(Migrate),
    /// Who is in a mix, where, and how loud.
    MixInfo(MixInfo),
    /// What the sender knows of its place in the network.
    NatState(NatState),
    /// What the sender measured of the others.
    NetworkQuality(NetworkQuality),
    /// Asks for a pong.
    Ping {
        /// When it was sent: µs on its sender's own clock.
        t1: u64,
    },
    /// Answers a ping. Four timestamps give the round trip and the offset of the
    /// clocks (RFC 5905 §8).
    Pong {
        /// The ping's `t1`.
        t1: u64,
        /// When the ping arrived: µs on the answerer's own clock.
        t2: u64,
        /// When this was sent: µs on the answerer's own clock.
        t3: u64,
    },
    /// The standby is to get ready.
    Prepare(Prepare),
    /// The standby is ready.
    Ready(Ready),
    /// How streams arrive at its sender.
    ReceiverReport(Vec<ReceptionReport>),
    /// The old host has sent its last as host.
    Retire {
        /// The new host's.
        epoch: Epoch,
    },
    /// Who is in the room.
    Roster(Roster),
    /// Part of a negotiation, once a channel is up.
    Signal(Signal),
    /// A stream of its sender begins or pauses.
    TrackState {
        /// Which.
        stream: StreamId,
        /// Whether frames of it are to be expected.
        enabled: bool,
    },
    /// Answers a vote request.
    Vote(Vote),
    /// Asks for a vote.
    VoteRequest(VoteRequest),
    /// How much more the receiver takes.
    Window {
        /// Bytes of application data that it has taken since the connection began; each
        /// packet counts 32 more than its data.
        consumed: u64,
        /// Bytes that it takes beyond those.
        allowed: u32,
    },
}

impl Control {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Abort { .. } => Kind::Abort,
            Self::ApplicationData { .. } => Kind::ApplicationData,
            Self::Bye { .. } => Kind::Bye,
            Self::Hello(_) => Kind::Hello,
            Self::KeyframeRequest { .. } => Kind::KeyframeRequest,
            Self::Lease(_) => Kind::Lease,
            Self::Migrate(_) => Kind::Migrate,
            Self::MixInfo(_) => Kind::MixInfo,
            Self::NatState(_) => Kind::NatState,
            Self::NetworkQuality(_) => Kind::NetworkQuality,
            Self::Ping { .. } => Kind::Ping,
            Self::Pong { .. } => Kind::Pong,
            Self::Prepare(_) => Kind::Prepare,
            Self::Ready(_) => Kind::Ready,
            Self::ReceiverReport(_) => Kind::ReceiverReport,
            Self::Retire { .. } => Kind::Retire,
            Self::Roster(_) => Kind::Roster,
            Self::Signal(_) => Kind::Signal,
            Self::TrackState { .. } => Kind::TrackState,
            Self::Vote(_) => Kind::Vote,
            Self::VoteRequest(_) => Kind::VoteRequest,
            Self::Window { .. } => Kind::Window,
        }
    }

    /// What the body of a packet of `kind` says, after `at` bytes. No kind of media is
    /// one.
    pub(crate) fn parse(kind: Kind, packet: &Bytes, at: usize) -> Result<Self, ParseError> {
        let mut fields = Reader::new(&packet[at..]);
        let f = &mut fields;
        let control = match kind {
            Kind::Abort => Self::Abort { epoch: f.epoch()?, reason: AbortReason::parse(f)? },
            Kind::ApplicationData => {
                let channel = f.u16("channel")?;
                Self::ApplicationData { channel, data: packet.slice_ref(f.take_rest()) }
            }
            Kind::Bye => Self::Bye { reason: ByeReason::parse(f)? },
            Kind::Hello => Self::Hello(Hello::parse(f)?),
            Kind::KeyframeRequest => Self::KeyframeRequest { stream: f.stream()? },
            Kind::Lease => Self::Lease(Lease::parse(f)?),
            Kind::Migrate => Self::Migrate(Migrate::parse(f)?),
            Kind::MixInfo => Self::MixInfo(report::parse_mix_info(f)?),
            Kind::NatState => Self::NatState(NatState::parse(f)?),
            Kind::NetworkQuality => Self::NetworkQuality(NetworkQuality::parse(f)?),
            Kind::Ping => Self::Ping { t1: f.u64("t1")? },
            Kind::Pong => Self::Pong { t1: f.u64("t1")?, t2: f.u64("t2")?, t3: f.u64("t3")? },
            Kind::Prepare => Self::Prepare(Prepare::parse(f)?),
            Kind::Ready => Self::Ready(Ready::parse(f)?),
            Kind::ReceiverReport => Self::ReceiverReport(f.list(ReceptionReport::parse)?),
            Kind::Retire => Self::Retire { epoch: f.epoch()? },
            Kind::Roster => Self::Roster(Roster::parse(f)?),
            Kind::Signal => Self::Signal(signal::parse(f)?),
            Kind::TrackState => {
                Self::TrackState { stream: f.stream()?, enabled: f.flag("enabled")? }
            }
            Kind::Vote => Self::Vote(Vote::parse(f)?),
            Kind::VoteRequest => Self::VoteRequest(VoteRequest::parse(f)?),
            Kind::Window => {
                Self::Window { consumed: f.u64("consumed")?, allowed: f.u32("allowed")? }
            }
            Kind::Audio | Kind::Cells | Kind::Image | Kind::Video => {
                return Err(ParseError::UnknownType(kind as u16));
            }
        };
        fields.finish()?;
        Ok(control)
    }

    /// All of the body but an application's own bytes.
    pub(crate) fn emit(&self, out: &mut BytesMut) {
        match self {
            Self::Abort { epoch, reason } => {
                out.put_u64(epoch.to_bits());
                out.put_u8(reason.code());
            }
            Self::ApplicationData { channel, .. } => out.put_u16(*channel),
            Self::Bye { reason } => out.put_u8(reason.code()),
            Self::Hello(hello) => hello.emit(out),
            Self::KeyframeRequest { stream } => out.put_u16(stream.get()),
            Self::Lease(lease) => lease.emit(out),
            Self::Migrate(migrate) => migrate.emit(out),
            Self::MixInfo(info) => report::emit_mix_info(info, out),
            Self::NatState(state) => state.emit(out),
            Self::NetworkQuality(quality) => quality.emit(out),
            Self::Ping { t1 } => out.put_u64(*t1),
            Self::Pong { t1, t2, t3 } => [t1, t2, t3].into_iter().for_each(|t| out.put_u64(*t)),
            Self::Prepare(prepare) => prepare.emit(out),
            Self::Ready(ready) => ready.emit(out),
            Self::ReceiverReport(reports) => reports.iter().for_each(|report| report.emit(out)),
            Self::Retire { epoch } => out.put_u64(epoch.to_bits()),
            Self::Roster(roster) => roster.emit(out),
            Self::Signal(signal) => signal::emit(signal, out),
            Self::TrackState { stream, enabled } => {
                out.put_u16(stream.get());
                out.put_u8((*enabled).into());
            }
            Self::Vote(vote) => vote.emit(out),
            Self::VoteRequest(request) => request.emit(out),
            Self::Window { consumed, allowed } => {
                out.put_u64(*consumed);
                out.put_u32(*allowed);
            }
        }
    }

    /// The application's own bytes.
    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::ApplicationData { data, .. } => data,
            _ => &[],
        }
    }
}
