//! The packet: what one end means to tell the other.

use bytes::{Buf, Bytes, BytesMut};
use paceline_types::{EncodedFrame, Epoch, SenderId, StreamKey};

use crate::header::Header;
use crate::kind::Kind;
use crate::reader::Reader;
use crate::{Control, ParseError, control, media};

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
    /// If the body is one that [`parse`](Self::parse) refuses: a picture whose
    /// bytes do not fit its sides, a glyph that there is not, more than two
    /// channels, a level below silence; or if a media time is not of the 48 kHz
    /// clock for sound, the 90 kHz clock for everything else.
    #[must_use]
    pub fn emit(&self) -> Bytes {
        self.header().emit(None, self.emit_body())
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
        match Header::parse(message)? {
            (header, None, body) => Self::from_parts(header, body),
            (_, Some(_), _) => Err(ParseError::Fragment),
        }
    }

    pub(crate) fn from_parts(header: Header, body: Bytes) -> Result<Self, ParseError> {
        let fields = Reader::new(body);
        let body = match header.kind {
            Kind::Audio => Body::Media(media::parse(fields, media::audio)?),
            Kind::Cells => Body::Media(media::parse(fields, media::cells)?),
            Kind::Image => Body::Media(media::parse(fields, media::image)?),
            Kind::Video => Body::Media(media::parse(fields, media::video)?),
            Kind::Bye => whole(fields, control::bye)?,
            Kind::Hello => whole(fields, control::hello)?,
            Kind::KeyframeRequest => whole(fields, control::keyframe_request)?,
            Kind::MixInfo => whole(fields, control::mix_info)?,
            Kind::Ping => whole(fields, control::ping)?,
            Kind::Pong => whole(fields, control::pong)?,
            Kind::ReceiverReport => whole(fields, control::receiver_report)?,
            Kind::TrackState => whole(fields, control::track_state)?,
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

    /// All after the header; a frame's bytes are not copied.
    pub(crate) fn emit_body(&self) -> impl Buf {
        let mut fields = BytesMut::new();
        let data = match &self.body {
            Body::Control(control) => {
                control.emit(&mut fields);
                Bytes::new()
            }
            Body::Media(frame) => {
                media::emit(frame, &mut fields);
                frame.data.clone()
            }
        };
        fields.chain(data)
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

/// A control body with nothing behind it.
fn whole(
    mut fields: Reader,
    parse: fn(&mut Reader) -> Result<Control, ParseError>,
) -> Result<Body, ParseError> {
    let control = parse(&mut fields)?;
    fields.finish()?;
    Ok(Body::Control(control))
}
