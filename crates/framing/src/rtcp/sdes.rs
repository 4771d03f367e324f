//! Who the sources are.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::RtcpError;
use super::fields::Fields;

/// SDES: what sources say of themselves (RFC 3550 §6.5).
///
/// Ours, not that of the `rtcp` crate, which takes an item type that it does not know
/// for the end of the list, reads its text as the next source, and fills words with
/// octets that are not null.
///
/// ```
/// use paceline_framing::rtcp::{self, Packet, SdesChunk, SdesItem, SourceDescription};
///
/// let chunk = SdesChunk::new(7, [SdesItem::cname("a@b")]);
/// assert_eq!(chunk.cname().as_deref(), Some(&b"a@b"[..]));
///
/// let sdes = Packet::SourceDescription(SourceDescription { chunks: vec![chunk] });
/// let bytes = rtcp::emit(std::slice::from_ref(&sdes));
/// assert_eq!(&bytes[..], b"\x81\xca\x00\x03\x00\x00\x00\x07\x01\x03a@b\x00\x00\x00");
/// assert_eq!(rtcp::parse(bytes)?, [sdes]);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceDescription {
    /// One for each source, 31 at most.
    pub chunks: Vec<SdesChunk>,
}

impl SourceDescription {
    pub(super) fn parse(count: u8, body: Bytes) -> Result<Self, RtcpError> {
        let mut fields = Fields::new(body);
        let mut chunks = Vec::with_capacity((fields.len() / 8).min(count.into()));
        for _ in 0..count {
            chunks.push(SdesChunk::parse(&mut fields)?);
        }
        fields.finish("SDES chunk")?;
        Ok(Self { chunks })
    }

    /// The body, and the count for its header.
    pub(super) fn emit(&self, out: &mut BytesMut) -> usize {
        for chunk in &self.chunks {
            out.put_u32(chunk.source);
            out.put_slice(&chunk.items);
            // The list ends with one null octet at least.
            out.put_bytes(0, 4 - chunk.items.len() % 4);
        }
        self.chunks.len()
    }
}

/// What one source says of itself (RFC 3550 §6.5).
///
/// Items stay as the wire has them until they are asked for: one may have two octets,
/// and a datagram of them would be twenty times its size in memory.
///
/// ```
/// use paceline_framing::rtcp::{SdesChunk, SdesItem, SdesType};
///
/// let tool = SdesItem { kind: SdesType::TOOL, text: "paceline".into() };
/// let chunk = SdesChunk::new(7, [SdesItem::cname("a@b"), tool.clone()]);
/// assert_eq!(chunk.items().nth(1), Some(tool));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SdesChunk {
    source: u32,
    /// Whole items, without the null octet behind the last.
    items: Bytes,
}

impl SdesChunk {
    /// What `source`, an SSRC or a CSRC, says of itself.
    ///
    /// # Panics
    ///
    /// If an item's text has more than 255 octets, or its type is [`SdesType::END`].
    #[must_use]
    pub fn new(source: u32, items: impl IntoIterator<Item = SdesItem>) -> Self {
        let mut out = BytesMut::new();
        for SdesItem { kind, text } in items {
            assert_ne!(kind, SdesType::END, "an SDES item has a type");
            out.put_u8(kind.0);
            out.put_u8(u8::try_from(text.len()).expect("an SDES text has 255 octets at most"));
            out.put_slice(&text);
        }
        Self { source, items: out.freeze() }
    }

    fn parse(fields: &mut Fields) -> Result<Self, RtcpError> {
        let source = fields.u32("SDES source")?;
        let list = fields.clone();
        let mut len = 0;
        while fields.u8("SDES item type")? != SdesType::END.0 {
            let text = fields.u8("SDES item length")?;
            fields.take(text.into(), "SDES item text")?;
            len += 2 + usize::from(text);
        }
        fields.take(3 - len % 4, "SDES chunk")?;
        Ok(Self { source, items: list.rest().slice(..len) })
    }

    /// The SSRC or CSRC.
    #[must_use]
    pub const fn source(&self) -> u32 {
        self.source
    }

    /// Its items, in their order.
    pub fn items(&self) -> impl Iterator<Item = SdesItem> {
        let mut rest = self.items.clone();
        std::iter::from_fn(move || {
            let kind = SdesType(rest.try_get_u8().ok()?);
            let len = usize::from(rest.try_get_u8().ok()?);
            Some(SdesItem { kind, text: rest.split_to(len.min(rest.len())) })
        })
    }

    /// Its canonical name, the first if there are more (RFC 3550 §6.5.1).
    #[must_use]
    pub fn cname(&self) -> Option<Bytes> {
        self.items().find(|item| item.kind == SdesType::CNAME).map(|item| item.text)
    }
}

/// One thing that a source says of itself.
///
/// ```
/// use paceline_framing::rtcp::{SdesItem, SdesType};
///
/// assert_eq!(SdesItem::cname("a@b").kind, SdesType::CNAME);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SdesItem {
    /// Which.
    pub kind: SdesType,
    /// In UTF-8 that nobody has checked; 255 octets at most.
    pub text: Bytes,
}

impl SdesItem {
    /// The item that every compound has.
    #[must_use]
    pub fn cname(text: impl Into<Bytes>) -> Self {
        Self { kind: SdesType::CNAME, text: text.into() }
    }
}

/// The type of an [`SdesItem`], known to us or not.
///
/// ```
/// use paceline_framing::rtcp::SdesType;
///
/// assert_eq!(SdesType::NOTE, SdesType(7));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SdesType(pub u8);

impl SdesType {
    /// RFC 3550 §6.5: no item, but the end of the list.
    pub const END: Self = Self(0);
    /// RFC 3550 §6.5.1: the canonical name, which ties streams to their participant.
    pub const CNAME: Self = Self(1);
    /// RFC 3550 §6.5.2: the participant's name, for people.
    pub const NAME: Self = Self(2);
    /// RFC 3550 §6.5.3.
    pub const EMAIL: Self = Self(3);
    /// RFC 3550 §6.5.4.
    pub const PHONE: Self = Self(4);
    /// RFC 3550 §6.5.5: where the participant is.
    pub const LOC: Self = Self(5);
    /// RFC 3550 §6.5.6: the program that sends.
    pub const TOOL: Self = Self(6);
    /// RFC 3550 §6.5.7: what is the matter at the moment.
    pub const NOTE: Self = Self(7);
    /// RFC 3550 §6.5.8: a prefix and a value that some application agreed on.
    pub const PRIV: Self = Self(8);
}
