//! Who, and which stream.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A participant's session: a UUID made anew at each join, never a person.
///
/// Two tabs of one person are two peers, and a reload is a new one, so that the
/// stale state of an earlier life is never taken for this one.
///
/// ```
/// use paceline_types::PeerId;
///
/// let id: PeerId = "00112233-4455-6677-8899-aabbccddeeff".parse()?;
/// assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
/// assert!("not-a-uuid".parse::<PeerId>().is_err());
/// # Ok::<(), paceline_types::ParsePeerIdError>(())
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId([u8; 16]);

impl PeerId {
    /// A peer whose UUID has these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A version 4 UUID (RFC 9562 §5.4) out of 16 random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The bytes of the UUID.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl FromStr for PeerId {
    type Err = ParsePeerIdError;

    fn from_str(text: &str) -> Result<Self, ParsePeerIdError> {
        let mut bytes = [0; 16];
        let mut nibbles = 0;
        if text.len() != 36 {
            return Err(ParsePeerIdError);
        }
        for (index, c) in text.chars().enumerate() {
            if matches!(index, 8 | 13 | 18 | 23) {
                if c != '-' {
                    return Err(ParsePeerIdError);
                }
                continue;
            }
            let digit = c.to_digit(16).ok_or(ParsePeerIdError)? as u8;
            bytes[nibbles / 2] = bytes[nibbles / 2] << 4 | digit;
            nibbles += 1;
        }
        Ok(Self(bytes))
    }
}

/// A text that is not a UUID of 36 characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParsePeerIdError;

impl fmt::Display for ParsePeerIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    }
}

impl Error for ParsePeerIdError {}

/// A member's number in its room, assigned by the roster, unique for the room's
/// life. It names the origin of what a host relays; it gives no authority.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SenderId(u32);

impl SenderId {
    /// The member with this number.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A stream of one sender. Which number is which stream is fixed, so that a
/// receiver knows a stream's kind from its first packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(u16);

impl StreamId {
    /// A member's own picture.
    pub const VIDEO: Self = Self(1);
    /// A member's own sound.
    pub const AUDIO: Self = Self(2);
    /// The picture a host makes of everybody.
    pub const MIX_VIDEO: Self = Self(3);
    /// The sound a host makes of everybody but its receiver.
    pub const MIX_AUDIO: Self = Self(4);

    /// The stream with this number.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A stream in a room: whose, and which of his.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamKey {
    /// Who makes it.
    pub sender: SenderId,
    /// Which of his streams.
    pub stream: StreamId,
}

/// A synchronization source of RTP (RFC 3550 §3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ssrc(u32);

impl Ssrc {
    /// The source with this identifier.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The source of a stream of `peer` on the RTP carrier; `None` for a stream that nobody
    /// defined.
    ///
    /// Both ends know it without being told: thirty random bits of his id, which is made anew
    /// at each join, and two for the stream. Of two peers in one connection one in 2³⁰ pairs
    /// has the same (RFC 3550 §8.2 counts on 2³²).
    ///
    /// ```
    /// use paceline_types::{PeerId, Ssrc, StreamId};
    ///
    /// let peer: PeerId = "00112233-4455-4677-8899-aabbccddeeff".parse()?;
    /// let ssrc = Ssrc::of(peer, StreamId::AUDIO).expect("a stream that there is");
    /// assert_eq!(ssrc.get(), 0x0011_2231);
    /// assert_eq!(ssrc.stream_of(peer), Some(StreamId::AUDIO));
    /// assert_eq!(ssrc.stream_of(PeerId::default()), None);
    /// # Ok::<(), paceline_types::ParsePeerIdError>(())
    /// ```
    #[must_use]
    pub const fn of(peer: PeerId, stream: StreamId) -> Option<Self> {
        let at = match stream {
            StreamId::VIDEO => 0,
            StreamId::AUDIO => 1,
            StreamId::MIX_VIDEO => 2,
            StreamId::MIX_AUDIO => 3,
            _ => return None,
        };
        let [a, b, c, d, ..] = peer.0;
        Some(Self(u32::from_be_bytes([a, b, c, d]) & !3 | at))
    }

    /// Which stream of `peer` this is the source of; `None` if it is none of his.
    #[must_use]
    pub const fn stream_of(self, peer: PeerId) -> Option<StreamId> {
        let stream = match self.0 & 3 {
            0 => StreamId::VIDEO,
            1 => StreamId::AUDIO,
            2 => StreamId::MIX_VIDEO,
            _ => StreamId::MIX_AUDIO,
        };
        match Self::of(peer, stream) {
            Some(Self(id)) if id == self.0 => Some(stream),
            _ => None,
        }
    }

    /// The identifier.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}
