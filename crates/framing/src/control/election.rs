//! What members tell each other to agree on a host, and to keep it.

use bytes::{BufMut, BytesMut};
use paceline_types::{Epoch, PeerId, SenderId};

use super::Role;
use crate::ParseError;
use crate::reader::Reader;

/// Which roster: later ones are greater.
///
/// ```
/// use paceline_framing::RosterId;
/// use paceline_framing::types::Epoch;
///
/// let (one, two) = (Epoch::new(1, 0), Epoch::new(2, 0));
/// assert!(RosterId { epoch: one, number: 7 } < RosterId { epoch: two, number: 0 });
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RosterId {
    /// Under which its host made it.
    pub epoch: Epoch,
    /// +1 with each that he makes.
    pub number: u32,
}

/// The host's claim to be host for a while more; and, sent back by whom it came to, that
/// he knows of it.
///
/// ```
/// use paceline_framing::types::Epoch;
/// use paceline_framing::{Control, Lease, RosterId};
///
/// let epoch = Epoch::new(3, 0);
/// let roster = RosterId { epoch, number: 2 };
/// let renewal = Lease { epoch, length: 450_000, sequence: 17, roster };
/// let control = Control::Lease(renewal);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Under which it is host.
    pub epoch: Epoch,
    /// How long it holds from its arrival, in µs; 0: it is given up.
    pub length: u32,
    /// +1 with each renewal, modulo 2³².
    pub sequence: u32,
    /// The newest that its sender has.
    pub roster: RosterId,
}

/// Asks for a vote, or whether there would be one.
///
/// ```
/// use paceline_framing::types::{Epoch, SenderId};
/// use paceline_framing::{Control, RosterId, VoteRequest};
///
/// let epoch = Epoch::new(4, 0);
/// let roster = RosterId { epoch: Epoch::new(3, 0), number: 2 };
/// let request = VoteRequest {
///     epoch,
///     candidate: SenderId::new(7),
///     prevote: true,
///     length: 450_000,
///     roster,
/// };
/// let control = Control::VoteRequest(request);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VoteRequest {
    /// Under which the candidate would be host.
    pub epoch: Epoch,
    /// Who wants to be host.
    pub candidate: SenderId,
    /// Nothing is promised yet: whoever answers keeps his vote.
    pub prevote: bool,
    /// For how long the vote is to be a lease, from when the request came, in µs.
    pub length: u32,
    /// The newest that the candidate has: who has a newer one does not vote for him.
    pub roster: RosterId,
}

/// Answers a [`VoteRequest`].
///
/// ```
/// use paceline_framing::types::{Epoch, SenderId};
/// use paceline_framing::{Control, Vote};
///
/// let (epoch, candidate) = (Epoch::new(4, 0), SenderId::new(7));
/// let control = Control::Vote(Vote { epoch, candidate, prevote: false, granted: true });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vote {
    /// The request's.
    pub epoch: Epoch,
    /// The request's.
    pub candidate: SenderId,
    /// The request's.
    pub prevote: bool,
    /// Yes.
    pub granted: bool,
}

/// What a member knows of its own place in the network, before anything is measured.
///
/// ```
/// use paceline_framing::types::PeerId;
/// use paceline_framing::{Control, Mapping, NatState, NatType};
///
/// let state = NatState {
///     nat: NatType::PortRestricted,
///     mapping: Mapping::EndpointIndependent,
///     upload: 0,
///     rtt: 12_000,
///     needs_relay: false,
///     tie_break: PeerId::from_random([7; 16]),
/// };
/// assert!(state.nat < NatType::Symmetric);
/// let control = Control::NatState(state);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NatState {
    /// What is between it and the others.
    pub nat: NatType,
    /// How that maps its ports.
    pub mapping: Mapping,
    /// Its measured uplink in kbit/s; 0 until it is measured.
    pub upload: u32,
    /// Its round trip to the witness in µs.
    pub rtt: u32,
    /// Whether others reach it by a relay only.
    pub needs_relay: bool,
    /// Decides between members that are equal in everything else.
    pub tie_break: PeerId,
}

/// The kinds of NAT (RFC 3489 §5), easiest to reach first.
///
/// ```
/// use paceline_framing::NatType;
///
/// assert!(NatType::Open < NatType::FullCone && NatType::Symmetric < NatType::Unknown);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum NatType {
    /// None.
    Open,
    /// Anybody may send to a port that is mapped.
    FullCone,
    /// Only an address that was sent to may.
    Restricted,
    /// Only an address and port that was sent to may.
    PortRestricted,
    /// Each destination is given another port.
    Symmetric,
    /// Not found out.
    Unknown,
}

/// How a NAT maps ports (RFC 4787 §4.1), easiest first.
///
/// ```
/// use paceline_framing::Mapping;
///
/// assert!(Mapping::EndpointIndependent < Mapping::AddressDependent);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Mapping {
    /// One port for every destination.
    EndpointIndependent,
    /// One for each address.
    AddressDependent,
    /// One for each address and port.
    AddressAndPortDependent,
    /// Not found out.
    Unknown,
}

/// What the sender measured of the others in a while.
///
/// ```
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{Control, MemberQuality, NetworkQuality};
///
/// let member = MemberQuality {
///     member: SenderId::new(7),
///     capacity: 4_000,
///     loss: 655, // 1 %
///     min_rtt: 9_000,
///     mean_rtt: 11_000,
///     max_rtt: 30_000,
///     jitter: 1_500,
///     received: 891,
///     expected: 900,
/// };
/// let quality = NetworkQuality { window: 30_000_000, members: vec![member] };
/// let control = Control::NetworkQuality(quality);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetworkQuality {
    /// How long it measured, in µs.
    pub window: u32,
    /// What it measured of each.
    pub members: Vec<MemberQuality>,
}

/// One member's part of a [`NetworkQuality`].
///
/// ```
/// use paceline_framing::MemberQuality;
/// use paceline_framing::types::SenderId;
///
/// let member = MemberQuality {
///     member: SenderId::new(7),
///     capacity: 4_000,
///     loss: 6_554, // 10 %
///     min_rtt: 9_000,
///     mean_rtt: 11_000,
///     max_rtt: 30_000,
///     jitter: 1_500,
///     received: 810,
///     expected: 900,
/// };
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemberQuality {
    /// Whose media was measured.
    pub member: SenderId,
    /// What the path from it carries, in kbit/s.
    pub capacity: u32,
    /// The part of its frames that was lost, as a fraction of 65,536.
    pub loss: u16,
    /// The shortest round trip, in µs.
    pub min_rtt: u32,
    /// The mean round trip, in µs.
    pub mean_rtt: u32,
    /// The longest round trip, in µs.
    pub max_rtt: u32,
    /// Interarrival jitter, in µs.
    pub jitter: u32,
    /// Frames that came.
    pub received: u32,
    /// Frames that were sent, by their sequence numbers.
    pub expected: u32,
}

/// Who is in the room, and who decides who hosts.
///
/// ```
/// use paceline_framing::types::{Epoch, PeerId, SenderId};
/// use paceline_framing::{Control, Role, Roster, RosterId, RosterMember};
///
/// let peer = PeerId::from_random([7; 16]);
/// let host = RosterMember { sender: SenderId::new(1), peer, role: Role::Host, votes: false };
/// let id = RosterId { epoch: Epoch::new(1, 0), number: 0 };
/// let control = Control::Roster(Roster { id, witness: true, members: vec![host] });
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roster {
    /// Which.
    pub id: RosterId,
    /// Whether the witness votes.
    pub witness: bool,
    /// Everybody, the sender of this included: the host first, then those who may follow
    /// him, the next one first, then the others.
    pub members: Vec<RosterMember>,
}

/// One line of a [`Roster`].
///
/// ```
/// use paceline_framing::types::{PeerId, SenderId};
/// use paceline_framing::{Role, RosterMember};
///
/// let peer = PeerId::from_random([7; 16]);
/// let standby = RosterMember { sender: SenderId::new(2), peer, role: Role::Standby, votes: true };
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RosterMember {
    /// Its number in the room.
    pub sender: SenderId,
    /// Its session.
    pub peer: PeerId,
    /// What it does.
    pub role: Role,
    /// Whether it votes.
    pub votes: bool,
}

impl RosterId {
    fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self { epoch: fields.epoch()?, number: fields.u32("roster number")? })
    }

    fn emit(self, out: &mut BytesMut) {
        out.put_u64(self.epoch.to_bits());
        out.put_u32(self.number);
    }
}

impl Lease {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self {
            epoch: fields.epoch()?,
            length: fields.u32("lease length")?,
            sequence: fields.u32("lease sequence")?,
            roster: RosterId::parse(fields)?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u64(self.epoch.to_bits());
        out.put_u32(self.length);
        out.put_u32(self.sequence);
        self.roster.emit(out);
    }
}

impl VoteRequest {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self {
            epoch: fields.epoch()?,
            candidate: SenderId::new(fields.u32("candidate")?),
            prevote: fields.flag("prevote")?,
            length: fields.u32("length of the vote")?,
            roster: RosterId::parse(fields)?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u64(self.epoch.to_bits());
        out.put_u32(self.candidate.get());
        out.put_u8(self.prevote.into());
        out.put_u32(self.length);
        self.roster.emit(out);
    }
}

impl Vote {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self {
            epoch: fields.epoch()?,
            candidate: SenderId::new(fields.u32("candidate")?),
            prevote: fields.flag("prevote")?,
            granted: fields.flag("granted")?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u64(self.epoch.to_bits());
        out.put_u32(self.candidate.get());
        out.put_u8(self.prevote.into());
        out.put_u8(self.granted.into());
    }
}

impl NatState {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self {
            nat: fields.code("NAT type", &NAT_TYPES)?,
            mapping: fields.code("mapping", &MAPPINGS)?,
            upload: fields.u32("upload")?,
            rtt: fields.u32("round trip")?,
            needs_relay: fields.flag("relay needed")?,
            tie_break: PeerId::from_bytes(fields.uuid("tie-break")?),
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u8(self.nat as u8 + 1);
        out.put_u8(self.mapping as u8 + 1);
        out.put_u32(self.upload);
        out.put_u32(self.rtt);
        out.put_u8(self.needs_relay.into());
        out.put_slice(&self.tie_break.to_bytes());
    }
}

impl NetworkQuality {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let window = fields.u32("window")?;
        let members = fields.list(|fields| {
            Ok(MemberQuality {
                member: SenderId::new(fields.u32("measured member")?),
                capacity: fields.u32("capacity")?,
                loss: fields.u16("loss")?,
                min_rtt: fields.u32("least round trip")?,
                mean_rtt: fields.u32("mean round trip")?,
                max_rtt: fields.u32("most round trip")?,
                jitter: fields.u32("jitter")?,
                received: fields.u32("frames received")?,
                expected: fields.u32("frames expected")?,
            })
        })?;
        Ok(Self { window, members })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u32(self.window);
        for of in &self.members {
            out.put_u32(of.member.get());
            out.put_u32(of.capacity);
            out.put_u16(of.loss);
            let rest = [of.min_rtt, of.mean_rtt, of.max_rtt, of.jitter, of.received, of.expected];
            for field in rest {
                out.put_u32(field);
            }
        }
    }
}

impl Roster {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let id = RosterId::parse(fields)?;
        let witness = fields.flag("witness")?;
        let members = fields.list(|fields| {
            Ok(RosterMember {
                sender: SenderId::new(fields.u32("member")?),
                peer: PeerId::from_bytes(fields.uuid("peer")?),
                role: Role::parse(fields)?,
                votes: fields.flag("votes")?,
            })
        })?;
        Ok(Self { id, witness, members })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        self.id.emit(out);
        out.put_u8(self.witness.into());
        for member in &self.members {
            out.put_u32(member.sender.get());
            out.put_slice(&member.peer.to_bytes());
            out.put_u8(member.role.code());
            out.put_u8(member.votes.into());
        }
    }
}

/// Codes 1 and up, in the order of the enum.
const MAPPINGS: [Mapping; 4] = [
    Mapping::EndpointIndependent,
    Mapping::AddressDependent,
    Mapping::AddressAndPortDependent,
    Mapping::Unknown,
];

/// Codes 1 and up, in the order of the enum.
const NAT_TYPES: [NatType; 6] = [
    NatType::Open,
    NatType::FullCone,
    NatType::Restricted,
    NatType::PortRestricted,
    NatType::Symmetric,
    NatType::Unknown,
];
