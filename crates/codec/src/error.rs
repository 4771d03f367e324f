//! Why a frame was not encoded, or not decoded.

#[cfg(feature = "cisco")]
use std::{io, path::PathBuf};

use paceline_types::{AudioCodec, Coding, FrameError, PictureFormat, VideoCodec};
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
        "no encoder for {0:?} pictures is built in: enable the feature `{feature}` of \
         paceline-codec", feature = feature_of_format(*.0)
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
    /// A picture of a size that not all video codecs can have, or that no decoder would take.
    #[error(
        "video is encoded with even sides from 16 × 16 to 3840 × 2160 or upright, not {width} × {height}: \
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
    #[error("no picture in the access unit (the decoder's code: {state:#x}): ask for a key frame")]
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
    /// The decoder has lost its reference pictures, or has none yet. VP8 and VP9 do not say
    /// what they refer to: of those, a frame that is not the next one is refused so.
    #[error("no picture before the next key frame: ask the sender for one")]
    NeedsKeyframe,
    /// This build has no decoder for it.
    #[error("no decoder for {0:?} is built in{remedy}", remedy = remedy(.0))]
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
        /// What it is encoded as.
        coding: Coding,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// An OpenH264 library that is not used.
#[cfg(feature = "cisco")]
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LibraryError {
    /// There is no such file, or it cannot be read.
    #[error(
        "{} cannot be read ({kind}): download libopenh264 2.6.0 for this platform from \
         https://github.com/cisco/openh264/releases, unpack it with bunzip2, and give its path",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        kind: io::ErrorKind,
    },
    /// It is no shared library, or one for another platform.
    #[error("{} is not loaded ({reason}): get the one for this platform", path.display())]
    NotLoaded {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It lacks a function, and is some other library.
    #[error("{} has no {symbol}: it is not OpenH264", path.display())]
    Symbol {
        /// Where it is.
        path: PathBuf,
        /// The function.
        symbol: &'static str,
    },
    /// It is none of the releases whose sums are known, or damaged.
    #[error(
        "{} (SHA-256 {sha256}) is no release of Cisco's that is known here: take \
         libopenh264 2.6.0, unpacked, or load it unchecked if you know whose it is",
        path.display()
    )]
    Unknown {
        /// Where it is.
        path: PathBuf,
        /// Of all its bytes, in hexadecimal.
        sha256: String,
    },
    /// Its interface is another.
    #[error(
        "{} is OpenH264 {}.{}.{}, whose interface is another: take 2.6.0",
        path.display(), version.0, version.1, version.2
    )]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its major, minor, revision.
        version: (u32, u32, u32),
    },
}

impl DecodeError {
    /// Whether the sender must be asked for a key frame before there can be
    /// another picture.
    #[must_use]
    pub const fn needs_keyframe(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::NeedsKeyframe => true,
            // What follows a picture of video that was not decoded refers to it; of the
            // other codings each is whole by itself.
            Self::Length { coding, .. } | Self::Size { coding, .. } => {
                matches!(coding, Coding::Video { .. })
            }
            _ => false,
        }
    }

    /// A picture that cannot be.
    pub(crate) const fn of(coding: Coding, error: FrameError) -> Self {
        Self::Size { coding, width: error.width as usize, height: error.height as usize }
    }
}

/// The feature that brings an encoder; cells and RGB are always there.
const fn feature_of_format(format: PictureFormat) -> &'static str {
    match format {
        PictureFormat::Vp8 | PictureFormat::Vp9 => "vpx",
        _ => "h264",
    }
}

/// What is to be done to have a decoder, if anything.
const fn remedy(coding: &Coding) -> &'static str {
    match coding {
        Coding::Audio { codec: AudioCodec::Opus, channels: 1 | 2 } => {
            ": enable the feature `opus` of paceline-codec"
        }
        Coding::Video { codec: VideoCodec::H264, .. } => {
            ": enable the feature `h264` of paceline-codec"
        }
        Coding::Video { codec: VideoCodec::Vp8 | VideoCodec::Vp9, .. } => {
            ": enable the feature `vpx` of paceline-codec"
        }
        _ => ", and no feature of paceline-codec brings it",
    }
}
