//! VP8 (RFC 6386) and VP9, by the libvpx of the system.
//!
//! `native` holds the calls, `header` reads what a peer sends before libvpx does.

mod decoder;
mod encoder;
mod header;
mod native;

pub(crate) use decoder::VpxDecoder;
pub(crate) use encoder::VpxEncoder;

use paceline_types::VideoCodec;

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Vpx {
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
}

impl Vpx {
    const fn codec(self) -> VideoCodec {
        match self {
            Self::Vp8 => VideoCodec::Vp8,
            Self::Vp9 => VideoCodec::Vp9,
        }
    }
}

/// What errors call it.
const NAME: &str = "libvpx";
