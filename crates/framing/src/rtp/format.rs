//! What the payload formats have in common.

use bytes::Bytes;
use paceline_types::Frequency;

use super::{PayloadError, h264, opus, vp8, vp9};

/// The codecs that have a payload format here.
///
/// ```
/// use paceline_framing::rtp::Codec;
///
/// assert_eq!((Codec::Opus.clock().hz(), Codec::Vp8.clock().hz()), (48_000, 90_000));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// RFC 6184, packetization-mode 1. Frames are Annex B byte streams.
    H264,
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
}

impl Codec {
    /// The rate of its RTP clock: 48 kHz for Opus (RFC 7587 §4.1), 90 kHz for
    /// pictures.
    #[must_use]
    pub const fn clock(self) -> Frequency {
        match self {
            Self::Opus => Frequency::AUDIO,
            Self::H264 | Self::Vp8 | Self::Vp9 => Frequency::VIDEO,
        }
    }

    /// Looks at one packet's payload alone. What this refuses is never held.
    pub(super) fn inspect(self, payload: &Bytes) -> Result<Look, PayloadError> {
        let begins = |first| Look { first, idr: false, sets: false };
        match self {
            Self::H264 => h264::inspect(payload),
            Self::Opus => opus::inspect(payload).map(begins),
            Self::Vp8 => vp8::inspect(payload).map(begins),
            Self::Vp9 => vp9::inspect(payload).map(begins),
        }
    }

    /// Joins the payloads of all packets of a frame, in order and without a gap.
    /// Each passed [`inspect`](Self::inspect).
    pub(super) fn assemble(self, payloads: &[Bytes]) -> Result<Assembled, PayloadError> {
        match self {
            Self::H264 => h264::assemble(payloads),
            Self::Opus => opus::assemble(payloads),
            Self::Vp8 => vp8::assemble(payloads),
            Self::Vp9 => vp9::assemble(payloads),
        }
    }
}

/// What a payload alone says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Look {
    /// It is provably the first of its frame.
    pub(super) first: bool,
    /// It begins with the first slice of an IDR picture: the first of its frame, unless
    /// parameter sets went before it.
    pub(super) idr: bool,
    /// There is a parameter set in it.
    pub(super) sets: bool,
}

/// What the payloads of a frame's packets come to.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Assembled {
    /// For H.264 an Annex B byte stream.
    pub(super) data: Bytes,
    /// A decoder can start with it.
    pub(super) key: bool,
    /// The payload says that nothing else depends on it.
    pub(super) discardable: bool,
}
