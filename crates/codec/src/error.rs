//! Why a frame was not encoded, or not decoded.

use paceline_types::{AudioCodec, Coding, FrameError, PictureFormat};
use thiserror::Error;

/// A frame that was not encoded, or an encoder that was not made.
///
/// All but [`Native`](Self::Native) say that the caller asked for what cannot be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A text-cell picture of no cells, or of more rows than a picture can have.
    #[error("{columns} × {rows} text cells: ask for at least 1 × 1 and at most 32767 rows")]
    CellGrid {
        /// Cells in a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Sound of other channels than the encoder was made for.
    #[error("{found} channels of sound: this encoder was made for {expected}")]
    Channels {
        /// How many the encoder takes.
        expected: u8,
        /// How many there are.
        found: u8,
    },
    /// An encoder of sound of neither one nor two channels.
    #[error("{0} channels of sound: ask for 1 or 2")]
    Layout(u8),
    /// The native encoder failed. The next frame starts it anew.
    #[error("{encoder} failed with code {code}; it starts anew with the next frame")]
    Native {
        /// Which.
        encoder: &'static str,
        /// Its own code.
        code: i32,
    },
    /// This build cannot encode such pictures.
    #[error(
        "no encoder for {0:?} pictures is built in: enable the feature `h264` of paceline-codec"
    )]
    NotBuiltIn(PictureFormat),
    /// A sound frame that is not 20 ms long.
    #[error("{found} samples of sound, where 20 ms have {expected}")]
    Samples {
        /// How many 20 ms have.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A picture that H.264 cannot have, or that no decoder would take.
    #[error(
        "H.264 takes even sides from 16 × 16 to 3840 × 2160 or upright, not {width} × {height}: \
         scale to {} × {}", nearest.0, nearest.1
    )]
    Size {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// The nearest size that is taken, width and height.
        nearest: (u16, u16),
    },
    /// This build cannot encode such sound.
    #[error("no encoder for {0:?} sound is built in: enable the feature `opus` of paceline-codec")]
    SoundNotBuiltIn(AudioCodec),
}

/// A frame that was not decoded, or a decoder that was not made.
///
/// All but [`NotBuiltIn`](Self::NotBuiltIn), and a [`Native`](Self::Native) decoder
/// that cannot be made, are the sender's doing, or the path's. Count them, and if [`needs_keyframe`](Self::needs_keyframe) says so,
/// ask the sender for one; nothing else is to be done.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No picture came of an access unit: it is broken, or refers to one that is
    /// missing.
    #[error("no picture in the access unit (OpenH264 state {state:#x}): ask for a key frame")]
    Damaged {
        /// What the decoder says is wrong; 0 if it had no complaint and no picture
        /// either.
        state: i64,
    },
    /// A glyph that is not in the list of those that can be printed.
    #[error("glyph {0} is not in the list of glyphs")]
    Glyph(u8),
    /// The bytes are more, or fewer, than the header says.
    #[error("{found} bytes of data, where {coding:?} has {expected}")]
    Length {
        /// What the header says.
        coding: Coding,
        /// How many bytes that has, or may have at most.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The native decoder could not be made, or did not take a packet of sound.
    #[error("{decoder} refused with code {code}")]
    Native {
        /// Which.
        decoder: &'static str,
        /// Its own code.
        code: i32,
    },
    /// The decoder has lost its reference pictures, or has none yet.
    #[error("no picture before the next key frame: ask the sender for one")]
    NeedsKeyframe,
    /// This build has no decoder for it.
    #[error(
        "no decoder for {0:?} is built in: enable the feature of paceline-codec that brings it"
    )]
    NotBuiltIn(Coding),
    /// A decoder for one coding was given a frame of another.
    #[error("a frame of {0:?} came to a decoder for another coding: make one for it")]
    OtherCoding(Coding),
    /// A sample that is not a number, or far beyond full scale.
    #[error("sample {index} is not a number within ±16")]
    Sample {
        /// Which, of the interleaved ones.
        index: usize,
    },
    /// A packet of sound that is not 20 ms long.
    #[error("{found} samples of sound, where 20 ms have {expected}")]
    Samples {
        /// How many 20 ms have.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A picture without pixels, or larger than is decoded.
    #[error("a picture of {width} × {height} is empty or larger than is decoded")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
}

impl DecodeError {
    /// Whether the sender must be asked for a key frame before there can be
    /// another picture.
    #[must_use]
    pub const fn needs_keyframe(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::NeedsKeyframe)
    }
}

impl From<FrameError> for DecodeError {
    fn from(error: FrameError) -> Self {
        Self::Size { width: error.width.into(), height: error.height.into() }
    }
}
