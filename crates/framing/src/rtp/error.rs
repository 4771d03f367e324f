//! What is wrong with a payload, or with a frame.

use std::error::Error;
use std::fmt;

/// Bytes from a peer that are no payload of the codec that was agreed on.
///
/// Every variant is the peer's doing: the packet, or its frame, is dropped and counted.
///
/// ```
/// use paceline_framing::rtp::PayloadError;
///
/// let error = PayloadError::TooMany { field: "extension elements", max: 255 };
/// assert_eq!(error.to_string(), "more than 255 extension elements");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PayloadError {
    /// A field has a value that it cannot have, or that packets of one frame disagree
    /// on.
    BadValue {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// There are more of something than we hold.
    TooMany {
        /// Of what.
        field: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The payload format has no such structure, or not in the mode that was agreed on.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// The bytes end within, or before, a field.
    Truncated {
        /// Which field.
        field: &'static str,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadValue { field, value } => write!(f, "{field} cannot be {value}"),
            Self::TooMany { field, max } => write!(f, "more than {max} {field}"),
            Self::Unsupported { what } => write!(f, "{what} is not supported"),
            Self::Truncated { field } => write!(f, "the bytes end before the end of {field}"),
        }
    }
}

impl Error for PayloadError {}

/// A frame that cannot be sent: what the encoder gave is not what it said.
///
/// ```
/// use paceline_framing::rtp::PacketizeError;
///
/// let error = PacketizeError::TooLarge { len: 1_300, max: 1_188 };
/// assert_eq!(error.to_string(), "a frame of 1300 bytes does not fit a payload of 1188");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketizeError {
    /// The frame has no bytes, or, for H.264, no NAL unit that is to be sent.
    Empty,
    /// The frame is no bitstream of its codec.
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// It does not fit one packet, and its payload format cannot split it.
    TooLarge {
        /// Bytes that it has.
        len: usize,
        /// Bytes that a payload may have.
        max: usize,
    },
}

impl fmt::Display for PacketizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("the frame has nothing to send"),
            Self::Malformed { what } => write!(f, "the frame is malformed: {what}"),
            Self::TooLarge { len, max } => {
                write!(f, "a frame of {len} bytes does not fit a payload of {max}")
            }
        }
    }
}

impl Error for PacketizeError {}
