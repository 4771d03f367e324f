//! What is carried: a frame before, and after, its encoder.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{MediaTime, NtpTime, SeqNo, StreamId};

/// Bytes of one cell of a text-cell frame: a glyph (an index into [`GLYPHS`]),
/// then foreground and background as RGB.
pub const CELL_BYTES: usize = 7;

/// The only characters a text-cell frame can name: the halves of a block, and a
/// ramp of ASCII from empty to full. What is not in here cannot be printed.
pub const GLYPHS: [char; 13] = [' ', '▀', '▄', '█', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// What a picture is encoded as on its way.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PictureFormat {
    /// Text cells: small, for terminals, lossy in a way of its own.
    Cells,
    /// H.264 access units.
    #[default]
    H264,
    /// RGB24, uncompressed: for a LAN, and to see what the codec costs.
    Rgb,
    /// VP8 frames (RFC 6386).
    Vp8,
    /// VP9 frames.
    Vp9,
}

/// How a video access unit is encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum VideoCodec {
    /// H.264 (ITU-T H.264), Annex B byte stream.
    H264,
    /// VP8 (RFC 6386).
    Vp8,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
}

/// How sound is encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AudioCodec {
    /// Opus (RFC 6716).
    Opus,
    /// 32-bit floats, little-endian, interleaved, 48 kHz: the pass-through.
    PcmF32,
}

/// How the pixels of an image frame lie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Planar luma, then both chroma planes at half size, rounded up.
    I420,
    /// Three bytes a pixel.
    Rgb24,
    /// Four bytes a pixel, the last ignored.
    Rgba,
}

impl PixelFormat {
    /// Bytes of a picture of `width` × `height`.
    #[must_use]
    pub const fn bytes(self, width: u16, height: u16) -> usize {
        let (width, height) = (width as usize, height as usize);
        match self {
            Self::I420 => width * height + 2 * (width.div_ceil(2) * height.div_ceil(2)),
            Self::Rgb24 => 3 * width * height,
            Self::Rgba => 4 * width * height,
        }
    }
}

/// What the bytes of an [`EncodedFrame`] are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Coding {
    /// Sound.
    Audio {
        /// How it is encoded.
        codec: AudioCodec,
        /// How many channels, 1 or 2.
        channels: u8,
    },
    /// Text cells, [`CELL_BYTES`] each, row by row.
    Cells {
        /// Cells in a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Plain pixels.
    Image {
        /// How they lie.
        format: PixelFormat,
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// A video access unit.
    Video {
        /// How it is encoded.
        codec: VideoCodec,
        /// It starts a decoder: an IDR with its parameter sets.
        key: bool,
        /// Nothing else depends on it.
        discardable: bool,
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
}

impl Coding {
    /// Whether this is sound; everything else is a picture.
    #[must_use]
    pub const fn is_audio(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }

    /// Whether a receiver that has nothing can start here.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        !matches!(self, Self::Video { key: false, .. })
    }
}

/// One access unit, image or packet of sound: what an encoder makes, framing
/// carries and a decoder takes. Cloning shares the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedFrame {
    /// Which of its sender's streams.
    pub stream: StreamId,
    /// Its place in the stream; +1 each, also across hosts.
    pub seq: SeqNo,
    /// When it was sampled, on the sender's media clock.
    pub time: MediaTime,
    /// When it was captured, on the sender's wallclock.
    pub capture: NtpTime,
    /// What [`data`](Self::data) is.
    pub coding: Coding,
    /// The encoded bytes.
    pub data: Bytes,
}

/// A picture: planar I420 without padding, BT.601 limited range.
///
/// The three planes lie one behind the other in one shared buffer; both chroma
/// planes have half the size, rounded up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VideoFrame {
    width: u16,
    height: u16,
    time: MediaTime,
    capture: NtpTime,
    planes: Bytes,
}

impl VideoFrame {
    /// A picture of `width` × `height` whose planes are `planes`.
    ///
    /// # Errors
    ///
    /// [`FrameError`] if a side is zero or `planes` has another length than I420
    /// of that size.
    pub fn new(
        width: u16,
        height: u16,
        time: MediaTime,
        capture: NtpTime,
        planes: Bytes,
    ) -> Result<Self, FrameError> {
        let expected = PixelFormat::I420.bytes(width, height);
        if width == 0 || height == 0 || planes.len() != expected {
            return Err(FrameError { width, height, expected, len: planes.len() });
        }
        Ok(Self { width, height, time, capture, planes })
    }

    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> u16 {
        self.height
    }

    /// When it was sampled, on the 90 kHz clock of its source.
    #[must_use]
    pub const fn time(&self) -> MediaTime {
        self.time
    }

    /// When it was captured.
    #[must_use]
    pub const fn capture(&self) -> NtpTime {
        self.capture
    }

    /// All three planes.
    #[must_use]
    pub const fn planes(&self) -> &Bytes {
        &self.planes
    }

    /// Bytes in a row of a chroma plane.
    #[must_use]
    pub const fn chroma_width(&self) -> usize {
        (self.width as usize).div_ceil(2)
    }

    /// Rows of a chroma plane.
    #[must_use]
    pub const fn chroma_height(&self) -> usize {
        (self.height as usize).div_ceil(2)
    }

    /// Luma, `width` bytes a row.
    #[must_use]
    pub fn y(&self) -> &[u8] {
        &self.planes[..self.luma_len()]
    }

    /// Blue difference, [`chroma_width`](Self::chroma_width) bytes a row.
    #[must_use]
    pub fn u(&self) -> &[u8] {
        &self.planes[self.luma_len()..self.luma_len() + self.chroma_len()]
    }

    /// Red difference, [`chroma_width`](Self::chroma_width) bytes a row.
    #[must_use]
    pub fn v(&self) -> &[u8] {
        &self.planes[self.luma_len() + self.chroma_len()..]
    }

    const fn luma_len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    const fn chroma_len(&self) -> usize {
        self.chroma_width() * self.chroma_height()
    }
}

/// A picture whose bytes do not fit its size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameError {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bytes that a picture of this size has.
    pub expected: usize,
    /// Bytes that there are.
    pub len: usize,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, expected, len } = self;
        write!(f, "a picture of {width}×{height} has {expected} bytes, not {len}")
    }
}

impl Error for FrameError {}

/// Some milliseconds of sound at 48 kHz: interleaved floats, full scale ±1.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioFrame {
    /// How many channels, 1 or 2.
    pub channels: u8,
    /// When the first sample was taken, on the 48 kHz clock of its source.
    pub time: MediaTime,
    /// When the first sample was captured.
    pub capture: NtpTime,
    /// Interleaved samples.
    pub samples: Arc<[f32]>,
}
