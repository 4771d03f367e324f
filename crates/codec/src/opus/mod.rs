//! Opus (RFC 6716), by libopus.

mod decoder;
mod encoder;

pub(crate) use decoder::OpusDecoder;
pub(crate) use encoder::OpusEncoder;

use ::opus::Channels;

const fn layout(channels: u8) -> Option<Channels> {
    match channels {
        1 => Some(Channels::Mono),
        2 => Some(Channels::Stereo),
        _ => None,
    }
}

const NAME: &str = "libopus";

/// RFC 7587 §4.1: the clock of Opus, whatever the sound's bandwidth.
const RATE: u32 = 48_000;

/// RFC 6716 §3.2.1: a frame has at most 1,275 bytes; before it, one byte says
/// what it is.
const MAX_PACKET: usize = 1_276;
