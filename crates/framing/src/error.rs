//! Why bytes were not a packet.

use std::error::Error;
use std::fmt;

/// Bytes from a peer that are not a [`Packet`](crate::Packet), or not one that we
/// hold.
///
/// Every variant is the peer's doing: the message is dropped, and worth a counter
/// and a `debug!`. A caller that emits what nobody could parse gets a panic.
///
/// ```
/// use paceline_framing::ParseError;
///
/// let error = ParseError::TooLarge { len: 70_000, max: 65_536 };
/// assert_eq!(error.to_string(), "70000 bytes are more than the limit of 65536");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// The CRC-32C in the header is not that of the message.
    BadChecksum {
        /// What the header says.
        expected: u32,
        /// What the bytes hash to.
        computed: u32,
    },
    /// A flag is set that has no meaning yet.
    BadFlags(u8),
    /// The header's length is not that of the message.
    BadLength {
        /// Bytes after the header, as the header says.
        expected: u32,
        /// Bytes after the header that there are.
        len: usize,
    },
    /// The first four bytes are not [`MAGIC`](crate::MAGIC).
    BadMagic(u32),
    /// A field is not UTF-8, which it has to be.
    BadText {
        /// Which field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    BadValue {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// It is a fragment, where a whole packet was expected.
    Fragment,
    /// A fragment says something else than the earlier ones of its packet.
    Mismatch {
        /// The packet's number.
        packet: u32,
    },
    /// It is larger than our limit, or makes its packet so.
    TooLarge {
        /// Bytes that it has, or its packet has so far.
        len: usize,
        /// Bytes that it may have.
        max: usize,
    },
    /// Bytes are left after the last field.
    TrailingBytes {
        /// How many.
        len: usize,
    },
    /// The bytes end within, or before, a field.
    Truncated {
        /// Which field.
        field: &'static str,
    },
    /// No packet type that we know.
    UnknownType(u16),
    /// No version of the format that we speak.
    UnknownVersion(u8),
    /// The bytes of a picture are not as many as its sides ask for.
    WrongSize {
        /// Pixels or cells in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// Bytes of the picture.
        len: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadChecksum { expected, computed } => {
                write!(f, "checksum is {computed:#010x}, header says {expected:#010x}")
            }
            Self::BadFlags(flags) => write!(f, "flags {flags:#04x} have bits that must be zero"),
            Self::BadLength { expected, len } => {
                write!(f, "{len} bytes follow the header, which says {expected}")
            }
            Self::BadMagic(magic) => write!(f, "magic number is {magic:#010x}"),
            Self::BadText { field } => write!(f, "{field} is not UTF-8"),
            Self::BadValue { field, value } => write!(f, "{field} cannot be {value}"),
            Self::Fragment => f.write_str("a fragment is no packet: it needs a reassembler"),
            Self::Mismatch { packet } => {
                write!(f, "a fragment disagrees with the earlier ones of packet {packet}")
            }
            Self::TooLarge { len, max } => {
                write!(f, "{len} bytes are more than the limit of {max}")
            }
            Self::TrailingBytes { len } => write!(f, "{len} bytes are left after the last field"),
            Self::Truncated { field } => write!(f, "the bytes end before the end of {field}"),
            Self::UnknownType(kind) => write!(f, "unknown packet type {kind}"),
            Self::UnknownVersion(version) => write!(f, "unknown version {version}"),
            Self::WrongSize { width, height, len } => {
                write!(f, "a picture of {width}×{height} does not have {len} bytes")
            }
        }
    }
}

impl Error for ParseError {}
