//! The packet: what one end means to tell the other.

use bytes::{Bytes, BytesMut};
use paceline_types::{EncodedFrame, Epoch, SenderId, StreamKey};

use crate::header::Header;
use crate::kind::Kind;
use crate::{Control, ParseError, media};

/// Everything that is sent is one of these.
///
/// ```
/// use paceline_framing::types::{Epoch, SenderId};
/// use paceline_framing::{Body, Control, Packet};
///
/// let ping = Packet {
///     sender: SenderId::new(7),
///     epoch: Some(Epoch::new(1, 0)),
///     body: Body::Control(Control::Ping { t1: 1_000 }),
/// };
/// assert_eq!(Packet::parse(ping.emit()), Ok(ping));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Whose it is. A claim: only the channel it came on says who sent it.
    pub sender: SenderId,
    /// Under which host it was sent.
    pub epoch: Option<Epoch>,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
///
/// ```
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{Body, Control, Packet};
///
/// let body = Body::Control(Control::Ping { t1: 1_000 });
/// let message = Packet { sender: SenderId::new(7), epoch: None, body }.emit();
/// let Body::Control(Control::Ping { t1 }) = Packet::parse(message)?.body else { panic!() };
/// assert_eq!(t1, 1_000);
/// # Ok::<(), paceline_framing::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the type's number is in one range or the other")]
pub enum Body {
    /// Something that keeps the call going.
    Control(Control),
    /// A frame. What was parsed has the 32 bits of its sequence number that the
    /// wire carries; whoever knows the stream extends them.
    Media(EncodedFrame),
}

impl Packet {
    /// The packet as one message, however long.
    ///
    /// # Panics
    ///
    /// If the body is one that [`parse`](Self::parse) refuses: a picture whose bytes do
    /// not fit its sides, a glyph that there is not, no channel or more than two, a level
    /// below silence. If a media time is not of the 48 kHz clock for sound, the 90 kHz
    /// clock for everything else. If a list or a text has more than the 65,535 that its
    /// count can say: the numbering of [`Prepare`](crate::Prepare), the name of a media
    /// section.
    #[must_use]
    pub fn emit(&self) -> Bytes {
        let (fields, data) = self.emit_body();
        self.header().emit(None, [&fields, data])
    }

    /// The packet in a message that is not a fragment. A frame's bytes are a slice
    /// of the message.
    ///
    /// # Errors
    ///
    /// [`ParseError`] says what is wrong with it.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use paceline_framing::{Packet, ParseError};
    ///
    /// let junk = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
    /// assert_eq!(Packet::parse(junk), Err(ParseError::Truncated { field: "header" }));
    /// ```
    pub fn parse(message: Bytes) -> Result<Self, ParseError> {
        let (header, part, read) = Header::parse(&message)?;
        if part.is_some() {
            return Err(ParseError::Fragment);
        }
        Self::from_parts(header, message, read)
    }

    /// One whose body is `bytes` without the first `at`.
    #[inline]
    pub(crate) fn from_parts(header: Header, bytes: Bytes, at: usize) -> Result<Self, ParseError> {
        let body = match header.kind {
            kind @ (Kind::Audio | Kind::Cells | Kind::Image | Kind::Video) => {
                Body::Media(media::parse(kind, bytes, at)?)
            }
            kind => Body::Control(Control::parse(kind, &bytes, at)?),
        };
        Ok(Self { sender: header.sender, epoch: header.epoch, body })
    }

    pub(crate) fn header(&self) -> Header {
        let kind = match &self.body {
            Body::Control(control) => control.kind(),
            Body::Media(frame) => media::kind(&frame.coding),
        };
        Header { kind, sender: self.sender, epoch: self.epoch }
    }

    /// All after the header: its fields, and the bytes that it carries as they are.
    pub(crate) fn emit_body(&self) -> (BytesMut, &[u8]) {
        let mut fields = BytesMut::with_capacity(MEDIA_FIELDS);
        let data: &[u8] = match &self.body {
            Body::Control(control) => {
                control.emit(&mut fields);
                control.data()
            }
            Body::Media(frame) => {
                media::emit(frame, &mut fields);
                &frame.data
            }
        };
        (fields, data)
    }

    pub(crate) fn frame(&self) -> Option<(StreamKey, &EncodedFrame)> {
        match &self.body {
            Body::Control(_) => None,
            Body::Media(frame) => {
                Some((StreamKey { sender: self.sender, stream: frame.stream }, frame))
            }
        }
    }
}

/// No kind of media has more bytes before its frame; control may.
const MEDIA_FIELDS: usize = 28;
