//! The first packet of a connection, and the last.

use bytes::{BufMut, BytesMut};
use paceline_types::{PeerId, SenderId};

use crate::ParseError;
use crate::reader::Reader;

/// Why a connection ends.
///
/// ```
/// use paceline_framing::{ByeReason, Control};
///
/// let last = Control::Bye { reason: ByeReason::Leaving };
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ByeReason {
    /// Something went wrong at the end that says it.
    Failed,
    /// Its sender leaves the room.
    Leaving,
    /// The other end takes too little of what it is sent.
    TooSlow,
}

/// What a participant does in its room.
///
/// ```
/// use paceline_framing::Role;
///
/// assert_ne!(Role::Host, Role::Member);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// It mixes what the others send.
    Host,
    /// It sends its own, and gets the mix.
    Member,
    /// A member that is ready to be the next host.
    Standby,
}

/// Who a peer says it is, and what it takes. Nothing in it is proof.
///
/// ```
/// use paceline_framing::types::{PeerId, SenderId};
/// use paceline_framing::{Body, Control, Hello, PROTOCOL_VERSION, Packet, Role};
///
/// let hello = Hello {
///     session: [1; 16],
///     peer: PeerId::from_random([2; 16]),
///     sender: SenderId::new(7),
///     min_version: PROTOCOL_VERSION,
///     max_version: PROTOCOL_VERSION,
///     role: Role::Member,
///     capabilities: Hello::DECODES_OPUS,
///     max_message: 16_384,
///     max_packet: 4 << 20,
///     resume: [0; 16],
/// };
/// let body = Body::Control(Control::Hello(hello));
/// let packet = Packet { sender: hello.sender, epoch: None, body };
/// assert_eq!(Packet::parse(packet.emit()), Ok(packet));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The room's session, a UUID.
    pub session: [u8; 16],
    /// The sender of this.
    pub peer: PeerId,
    /// Its number in the room.
    pub sender: SenderId,
    /// The oldest version of the format that it speaks.
    pub min_version: u8,
    /// The newest version of the format that it speaks.
    pub max_version: u8,
    /// What it does in the room.
    pub role: Role,
    /// A set of bits: [`DECODES_H264`](Self::DECODES_H264),
    /// [`DECODES_OPUS`](Self::DECODES_OPUS), [`CARRIES_RTP`](Self::CARRIES_RTP). Others are
    /// to be ignored.
    pub capabilities: u32,
    /// Bytes of the longest message that it takes.
    pub max_message: u32,
    /// Bytes of the largest packet that it takes.
    pub max_packet: u32,
    /// What takes up an earlier connection again; all zero for none.
    pub resume: [u8; 16],
}

impl Hello {
    /// It can decode H.264.
    pub const DECODES_H264: u32 = 1 << 0;
    /// It can decode Opus. What is not encoded (pixels, cells, PCM) all can.
    pub const DECODES_OPUS: u32 = 1 << 1;
    /// It has described its end with media beside the channel, and sends media that have an
    /// RTP payload format over RTP to who says the same.
    pub const CARRIES_RTP: u32 = 1 << 2;

    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let session = fields.uuid("session")?;
        let peer = PeerId::from_bytes(fields.uuid("peer")?);
        let sender = SenderId::new(fields.u32("hello's sender")?);
        let min_version = fields.u8("least version")?;
        let max_version = fields.u8("most version")?;
        let role = Role::parse(fields)?;
        fields.reserved()?;
        Ok(Self {
            session,
            peer,
            sender,
            min_version,
            max_version,
            role,
            capabilities: fields.u32("capabilities")?,
            max_message: fields.u32("message limit")?,
            max_packet: fields.u32("packet limit")?,
            resume: fields.uuid("resume token")?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_slice(&self.session);
        out.put_slice(&self.peer.to_bytes());
        out.put_u32(self.sender.get());
        out.put_u8(self.min_version);
        out.put_u8(self.max_version);
        out.put_u8(self.role.code());
        out.put_u8(0);
        out.put_u32(self.capabilities);
        out.put_u32(self.max_message);
        out.put_u32(self.max_packet);
        out.put_slice(&self.resume);
    }
}

impl Role {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        match fields.u8("role")? {
            1 => Ok(Self::Member),
            2 => Ok(Self::Host),
            3 => Ok(Self::Standby),
            value => Err(ParseError::BadValue { field: "role", value: value.into() }),
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Member => 1,
            Self::Host => 2,
            Self::Standby => 3,
        }
    }
}

impl ByeReason {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        match fields.u8("reason")? {
            1 => Ok(Self::Leaving),
            2 => Ok(Self::Failed),
            3 => Ok(Self::TooSlow),
            value => Err(ParseError::BadValue { field: "reason", value: value.into() }),
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Leaving => 1,
            Self::Failed => 2,
            Self::TooSlow => 3,
        }
    }
}
