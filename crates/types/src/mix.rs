//! What a host tells about the mix it makes.

use crate::{MediaTime, NtpTime, SenderId, StreamId};

/// Who is in a mix, where, and how loud.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MixInfo {
    /// The mixed picture's stream.
    pub stream: StreamId,
    /// The picture's media time that this describes.
    pub time: MediaTime,
    /// One entry for each participant, the host included.
    pub sources: Vec<MixSource>,
}

/// One participant in a mix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MixSource {
    /// Who.
    pub sender: SenderId,
    /// Where his picture lies in the mix; empty if he shows none.
    pub tile: Rect,
    /// How loud he is, in −dBov: 0 is the loudest, 127 is silence (RFC 6465 §3).
    pub level: u8,
    /// When the picture that is shown of him was captured.
    pub capture: NtpTime,
    /// He has switched his sound off.
    pub muted: bool,
}

/// A rectangle in a picture, in pixels.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rect {
    /// Columns left of it.
    pub x: u16,
    /// Rows above it.
    pub y: u16,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}
