//! What every message begins with.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                      magic = 0xDEADBEEF                       |
//! +---------------+-----------+-+-+-------------------------------+
//! |  version = 1  |     0     |E|F|             type              |
//! +---------------+-----------+-+-+-------------------------------+
//! |                 length (bytes after the header)               |
//! +---------------------------------------------------------------+
//! |      CRC-32C of header (this field zero) and all after it     |
//! +---------------------------------------------------------------+
//! |                           sender id                           |
//! +---------------------------------------------------------------+
//! |                       epoch, if E is set                      |
//! |                                                               |
//! +---------------------------------------------------------------+
//! |                     packet id, if F is set                    |
//! +-------------------------------+-------------------------------+
//! |             index             |             count             |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! The header proper is the first 20 bytes; `length` counts the optional words.

use bytes::{BufMut, Bytes};
use paceline_types::{Epoch, SenderId};

use crate::ParseError;
use crate::kind::Kind;
use crate::reader::Reader;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) sender: SenderId,
    pub(crate) epoch: Option<Epoch>,
}

/// Which part of which packet. `index` is below `count`, which is at least 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) packet: u32,
    pub(crate) index: u16,
    pub(crate) count: u16,
}

impl Header {
    /// Bytes before the body in a message that is a whole packet.
    pub(crate) const fn len(&self) -> usize {
        HEADER_BYTES + if self.epoch.is_some() { EPOCH_BYTES } else { 0 }
    }

    /// A message: the header, and the two parts of `body` after it.
    pub(crate) fn emit(&self, part: Option<Part>, body: [&[u8]; 2]) -> Bytes {
        let words = self.len() - HEADER_BYTES + part.map_or(0, |_| PART_BYTES);
        let after = words + body[0].len() + body[1].len();
        let length = u32::try_from(after).expect("a message is shorter than 4 GiB");
        let epoch_flag = self.epoch.map_or(0, |_| FLAG_EPOCH);
        let part_flag = part.map_or(0, |_| FLAG_FRAGMENT);

        let mut space = [0; HEADER_BYTES + EPOCH_BYTES + PART_BYTES];
        let mut fields = &mut space[..];
        fields.put_u32(MAGIC);
        fields.put_u8(PROTOCOL_VERSION);
        fields.put_u8(epoch_flag | part_flag);
        fields.put_u16(self.kind as u16);
        fields.put_u32(length);
        fields.put_u32(0);
        fields.put_u32(self.sender.get());
        if let Some(epoch) = self.epoch {
            fields.put_u64(epoch.to_bits());
        }
        if let Some(Part { packet, index, count }) = part {
            fields.put_u32(packet);
            fields.put_u16(index);
            fields.put_u16(count);
        }
        let header = &mut space[..HEADER_BYTES + words];
        // Before the copy, which then finds the body in the cache.
        let checksum = body
            .iter()
            .fold(crc32c::crc32c(header), |crc, bytes| crc32c::crc32c_append(crc, bytes));
        header[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());

        let mut out = Vec::with_capacity(HEADER_BYTES + after);
        out.extend_from_slice(header);
        out.extend_from_slice(body[0]);
        out.extend_from_slice(body[1]);
        out.into()
    }

    /// What a message begins with, and how many bytes that is.
    #[inline]
    pub(crate) fn parse(message: &[u8]) -> Result<(Self, Option<Part>, usize), ParseError> {
        if message.len() < HEADER_BYTES {
            return Err(ParseError::Truncated { field: "header" });
        }
        let computed = checksum(message);
        let mut fields = Reader::new(message);
        let magic = fields.u32("magic")?;
        if magic != MAGIC {
            return Err(ParseError::BadMagic(magic));
        }
        let version = fields.u8("version")?;
        if version != PROTOCOL_VERSION {
            return Err(ParseError::UnknownVersion(version));
        }
        let flags = fields.u8("flags")?;
        if flags & !(FLAG_EPOCH | FLAG_FRAGMENT) != 0 {
            return Err(ParseError::BadFlags(flags));
        }
        let kind = fields.u16("type")?;
        let length = fields.u32("length")?;
        let expected = fields.u32("checksum")?;
        let sender = SenderId::new(fields.u32("sender")?);
        if usize::try_from(length) != Ok(fields.len()) {
            return Err(ParseError::BadLength { expected: length, len: fields.len() });
        }
        // A fuzzer would never get past it.
        if !cfg!(fuzzing) && computed != expected {
            return Err(ParseError::BadChecksum { expected, computed });
        }
        let kind = Kind::from_wire(kind).ok_or(ParseError::UnknownType(kind))?;
        let epoch = match flags & FLAG_EPOCH {
            0 => None,
            _ => Some(Epoch::from_bits(fields.u64("epoch")?)),
        };
        let part = match flags & FLAG_FRAGMENT {
            0 => None,
            _ => Some(Part::parse(&mut fields)?),
        };
        Ok((Self { kind, sender, epoch }, part, message.len() - fields.len()))
    }
}

impl Part {
    fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let packet = fields.u32("packet id")?;
        let index = fields.u16("fragment index")?;
        let count = fields.u16("fragment count")?;
        // A packet of one message has no fragment header.
        if count < 2 {
            return Err(ParseError::BadValue { field: "fragment count", value: count.into() });
        }
        if index >= count {
            return Err(ParseError::BadValue { field: "fragment index", value: index.into() });
        }
        if fields.is_empty() {
            return Err(ParseError::Truncated { field: "fragment" });
        }
        Ok(Self { packet, index, count })
    }
}

/// Of a message with at least a header, as if its checksum were zero.
fn checksum(message: &[u8]) -> u32 {
    let mut header = [0; CHECKSUM.end];
    header[..CHECKSUM.start].copy_from_slice(&message[..CHECKSUM.start]);
    crc32c::crc32c_append(crc32c::crc32c(&header), &message[CHECKSUM.end..])
}

/// What every message begins with.
pub const MAGIC: u32 = 0xDEAD_BEEF;

/// The one version of the format that this crate speaks.
pub const PROTOCOL_VERSION: u8 = 1;

pub(crate) const EPOCH_BYTES: usize = 8;
pub(crate) const HEADER_BYTES: usize = 20;
pub(crate) const PART_BYTES: usize = 8;

const CHECKSUM: std::ops::Range<usize> = 12..16;
const FLAG_EPOCH: u8 = 1 << 1;
const FLAG_FRAGMENT: u8 = 1 << 0;
