//! Why a datagram was not RTCP.

use std::error::Error;
use std::fmt;

/// Bytes from a peer that are not RTCP, or not such as we hold.
///
/// Every variant is the peer's doing: the whole datagram is dropped, and worth a
/// counter and a `debug!`. A caller that emits what nobody could parse gets a panic.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtcp::{self, RtcpError};
///
/// // A receiver report that says it has eight words, and has one.
/// let bytes = Bytes::from_static(&[0x81, 201, 0, 7]);
/// assert_eq!(rtcp::parse(bytes), Err(RtcpError::Truncated { field: "packet" }));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RtcpError {
    /// Padding is longer than its packet, has no length, or is not at the datagram's
    /// end.
    BadPadding {
        /// Octets of padding that the last octet of the packet announces.
        len: u8,
    },
    /// A field has a value that it cannot have.
    BadValue {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// There is no packet in it.
    Empty,
    /// It is larger than [`MAX_COMPOUND`](super::MAX_COMPOUND).
    TooLarge {
        /// Octets that it has.
        len: usize,
        /// Octets that it may have.
        max: usize,
    },
    /// It has more packets than [`MAX_PACKETS`](super::MAX_PACKETS).
    TooManyPackets {
        /// How many it may have.
        max: usize,
    },
    /// Octets are left after the last field of a packet.
    TrailingBytes {
        /// Which field is the last.
        field: &'static str,
        /// How many octets.
        len: usize,
    },
    /// The bytes end within, or before, a field.
    Truncated {
        /// Which field.
        field: &'static str,
    },
    /// The version is not 2 (RFC 3550 §6.4.1).
    UnknownVersion(u8),
}

impl fmt::Display for RtcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadPadding { len } => write!(f, "padding of {len} octets is out of place"),
            Self::BadValue { field, value } => write!(f, "{field} cannot be {value}"),
            Self::Empty => f.write_str("the datagram is empty"),
            Self::TooLarge { len, max } => {
                write!(f, "{len} octets are more than the limit of {max}")
            }
            Self::TooManyPackets { max } => write!(f, "there are more packets than {max}"),
            Self::TrailingBytes { field, len } => write!(f, "{len} octets are left after {field}"),
            Self::Truncated { field } => write!(f, "the bytes end before the end of {field}"),
            Self::UnknownVersion(version) => write!(f, "unknown version {version}"),
        }
    }
}

impl Error for RtcpError {}
